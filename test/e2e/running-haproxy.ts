// What the HAProxy of a gateway says of itself, read without the code under test.

import { join } from "node:path";
import { cli } from "../lab/haproxy.ts";
import type { Gateway } from "./gateway.ts";
import { idOf } from "./stage.ts";

/** Sends a command to the worker. */
export function ask(gateway: Gateway, command: string): Promise<string> {
  return cli(join(gateway.dir, "haproxy.admin.sock"), command);
}

/** The state of each server by its container's ID, cut to 12 digits: `UP`, `DOWN`, `DRAIN`, `MAINT`. */
export function states(gateway: Gateway): Promise<Record<string, string>> {
  return statistics(gateway, "status");
}

/** How many requests the server of a played container has under way. */
export async function underWay(gateway: Gateway, name: string): Promise<number> {
  return Number((await statistics(gateway, "scur"))[shortId(name)]);
}

/** The state of the server of a played container; undefined where HAProxy has none. */
export async function stateOf(gateway: Gateway, name: string): Promise<string | undefined> {
  return (await states(gateway))[shortId(name)];
}

/** How a server is meant to be: `on` or `off`, whatever its checks say; undefined without one. */
export async function wantedOf(gateway: Gateway, name: string): Promise<string | undefined> {
  const state = await stateOf(gateway, name);
  if (state === undefined) return undefined;
  return /^(DRAIN|MAINT)/.test(state) ? "off" : "on";
}

/** A column of HAProxy's statistics, up to its first space, by the container's ID. */
async function statistics(gateway: Gateway, column: string): Promise<Record<string, string>> {
  const [head = "", ...lines] = (await ask(gateway, "show stat -1 4 -1")).split("\n");
  const names = head.replace("# ", "").split(",");
  const cell = (line: string, name: string): string => line.split(",")[names.indexOf(name)] ?? "";
  return Object.fromEntries(
    lines.filter(Boolean).map((line) => {
      const id = /^([0-9a-f]{12})(:|$)/.exec(cell(line, "svname"))?.[1] ?? "";
      return [id, cell(line, column).replace(/ .*/, "")];
    }),
  );
}

function shortId(name: string): string {
  return idOf(name).slice(0, 12);
}
