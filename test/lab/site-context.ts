// What is served where, as files say it and as a running HAProxy says it, in the same words.

import { mapsOf } from "../../src/config/map-file.ts";
import type { Files } from "../../src/model.ts";

/** `address:port on` or `off` for each server's name, by the route's key and its prefix. */
export type SiteView = Record<string, Record<string, string>>;

interface Parts {
  /** Lines of `key backend|prefix`. */
  entries: string[];
  /** `backend/server` with where it is and whether it gets requests. */
  servers: [key: string, state: string][];
}

/** What the files of the built-in template say. */
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
  const entries = Object.values(mapsOf(files)).flatMap((text) => text.split("\n").filter(Boolean));
  return join({ entries, servers });
}

/** What HAProxy says. Servers that are out of reach of any route are on their way out. */
export async function viewOfHaproxy(
  ask: (command: string) => Promise<string>,
  map: string,
): Promise<SiteView> {
  const entries = (await ask(`show map ${map}`)).split("\n").filter(Boolean);
  const states = (await ask("show servers state")).split("\n").slice(2).filter(Boolean);
  const servers = states.map((line): [string, string] => {
    const fields = line.split(" ");
    const [, backend, , name, address, , admin] = fields;
    // The third bit only tells that the file says `disabled`.
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
