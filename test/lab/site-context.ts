// Tells what is served where, in the same words for files and for a running HAProxy.

import { mapsOf } from "../../src/config/map-file.ts";
import type { Files } from "../../src/model.ts";

/** By a route's key and prefix: the servers by name, each with `address:port on` or `off`. */
export type SiteView = Record<string, Record<string, string>>;

interface Parts {
  /** Lines of `key backend|prefix`. */
  entries: string[];
  /** The key is `backend/server`. The state is its address and whether it gets requests. */
  servers: [key: string, state: string][];
}

/** What is served according to files of a built-in template. */
export function viewOfFiles(files: Files): SiteView {
  const servers: [string, string][] = [];
  let backend = "";
  for (const line of files.config.split("\n")) {
    const [word, name = "", target = "", ...rest] = line.trim().split(" ");
    if (word === "backend") backend = name;
    if (word === "server") {
      const on = rest.includes("disabled") ? "off" : "on";
      servers.push([`${backend}/${name}`, `${target.replace(/[[\]]/g, "")} ${on}`]);
    }
  }
  const lines = Object.values(mapsOf(files)).flatMap((text) => text.split("\n"));
  // Other maps have no keys of places.
  const entries = lines.filter((line) => /^\S+\/ /.test(line));
  return join({ entries, servers });
}

/** What is served according to HAProxy. Leaves out servers without a route: they will go. */
export async function viewOfHaproxy(
  ask: (command: string) => Promise<string>,
  map: string,
): Promise<SiteView> {
  const entries = (await ask(`show map ${map}`)).split("\n").filter(Boolean);
  // Spare backends have one server more, which gets no requests.
  const states = (await ask("show servers state"))
    .split("\n")
    .slice(2)
    .filter((line) => line !== "" && !line.includes(" _reserve "));
  const servers = states.map((line): [string, string] => {
    const fields = line.split(" ");
    const [, backend, , name, address, , admin] = fields;
    // The third bit only means that the file has `disabled`.
    const isOff = (Number(admin) & ~4) !== 0;
    return [`${backend}/${name}`, `${address}:${fields[18]} ${isOff ? "off" : "on"}`];
  });
  return join({ entries: entries.map((line) => line.slice(line.indexOf(" ") + 1)), servers });
}

function join({ entries, servers }: Parts): SiteView {
  return Object.fromEntries(
    entries.map((entry) => {
      const [key = "", value = ""] = entry.split(" ");
      const [backend = "", prefix = ""] = value.split("|");
      const own = servers.filter(([server]) => server.startsWith(`${backend}/`));
      const named = own.map(([server, state]) => [server.slice(backend.length + 1), state]);
      return [`${key} ${prefix}`, Object.fromEntries(named) as Record<string, string>];
    }),
  );
}
