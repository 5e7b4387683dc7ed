// Asks the program about a gateway: the same flags, another command.

import type { Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { haproxyProgram, type HaproxyVersion } from "../lab/haproxy.ts";
import { firstVersion, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

/** The flags that a gateway with a HAProxy of its own runs with. */
export function flagsOf(
  gateway: Pick<Gateway, "output" | "port">,
  engine: Pick<Engine, "dockerHost">,
  version: HaproxyVersion = firstVersion(),
): string[] {
  return [
    `--docker-host=${engine.dockerHost}`,
    `--haproxy=${haproxyProgram(version)}`,
    `--output-file=${gateway.output}`,
    `--listen=127.0.0.1:${gateway.port}`,
    "--manage-haproxy",
  ];
}

/** A route as `routes --json` has it. */
export interface RouteRow {
  route: string;
  backend: string;
  servers: {
    container: string;
    name: string;
    address: string;
    state: string;
    since: number;
    requests: number;
    errors: number;
  }[];
}

/** The routes by name, as `routes --json` has them. */
export async function routesOf(flags: readonly string[]): Promise<Record<string, RouteRow>> {
  const { status, stdout, stderr } = await runToEnd(["routes", "--json", ...flags]);
  if (status !== 0) throw new Error(`routes ended with ${status}: ${stderr}`);
  return Object.fromEntries(
    (JSON.parse(stdout) as { routes: RouteRow[] }).routes.map((row) => [
      row.route || row.backend,
      row,
    ]),
  );
}

/** The state of each server of a route by its container. */
export function statesOf(row: RouteRow | undefined): Record<string, string> {
  return Object.fromEntries((row?.servers ?? []).map(({ container, state }) => [container, state]));
}

/** A table's rows as cells, by its own head. */
export function cellsOf(table: string): Record<string, string>[] {
  const [head = "", ...lines] = table.trimEnd().split("\n");
  const titles = [...head.matchAll(/\S+/g)].map(([title]) => title);
  return lines.map((line) => {
    const cells = line.split(/\s{2,}/);
    // The route and its backend stand only before the first of its servers.
    if (line.startsWith(" ")) cells.splice(0, 1, ...titles.slice(0, titles.indexOf("CONTAINER")));
    return Object.fromEntries(titles.map((title, index) => [title, cells[index] ?? ""]));
  });
}

/** What is explained, line by line. */
export async function explained(what: string, flags: readonly string[]): Promise<string[]> {
  const { status, stdout, stderr } = await runToEnd(["explain", what, ...flags]);
  if (status !== 0 || stderr !== "") throw new Error(`explain ended with ${status}: ${stderr}`);
  return stdout.trimEnd().split("\n");
}

/** A line's first word and the rest, which all begin in one column. */
export function pairs(lines: readonly string[]): Record<string, string> {
  const column = Math.max(...lines.map((line) => line.search(/ {2}/))) + 2;
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, column).trim(), line.slice(column)]),
  );
}

/** The first line about a container. */
export function titleOf({ id, name }: Container, image: string): string {
  return `${name} (${id.slice(0, 12)}), image ${image}`;
}

/** What the doctor found, by what it looked at: how well it is, and its lines. */
export interface Findings {
  status: number;
  levels: Record<string, string>;
  text: Record<string, string>;
}

/** Asks the doctor. @param prefix a command to run it with, such as `setpriv` */
export async function findings(
  flags: readonly string[],
  prefix: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Findings> {
  const { status, stdout, stderr } = await runToEnd(["doctor", ...flags], env, "/", prefix);
  if (stderr !== "") throw new Error(`doctor ended with ${status}: ${stderr}\n${stdout}`);
  const found: Findings = { status, levels: {}, text: {} };
  let last = "";
  for (const line of stdout.trimEnd().split("\n")) {
    const [, level, title = last, text = line.trim()] =
      /^(ok|warning|failure) +(\w+): (.*)$/.exec(line) ?? [];
    if (level !== undefined) found.levels[title] = level;
    found.text[title] = title === last ? `${found.text[title]}\n${text}` : text;
    last = title;
  }
  return found;
}
