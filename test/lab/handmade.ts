// Configurations written by hand for the tests of runtime changes, which no built-in template makes.

import type { Files } from "../../src/model.ts";
import type { Site } from "./proxy.ts";

export interface Handmade {
  /** Further lines of the `defaults` that the backends have. */
  defaults?: string[];
  /** The lines of each backend by its name. */
  backends?: Record<string, string[]>;
  /** The lines of the map that decides on the backend by the path. */
  routes?: string[];
  /** Further lines of the frontend. */
  frontend?: string[];
}

/** The files; HAProxy of any version takes them. */
export function handmade(site: Site, parts: Handmade): Files {
  const { defaults = [], backends = {}, routes = [], frontend = [] } = parts;
  const { haproxy } = site.setup.paths;
  const map = site.setup.files.mapPath("routes");
  const config = `# Written by docker-api-gateway: what is changed here is overwritten.
global
    stats socket ${haproxy.statsSocket} mode 600 level admin expose-fd listeners
    server-state-file ${haproxy.stateFile}
defaults _front
    mode http
    timeout client 30s
defaults _back
    mode http
    timeout connect 2s
    timeout server 30s
    load-server-state-from-file global
${indented(defaults)}frontend _http from _front
    bind 127.0.0.1:${site.port}
    http-request set-var(txn.route) path,map_beg(${map})
${indented(frontend)}    http-request return status 403 unless { var(txn.route) -m found }
    use_backend %[var(txn.route),field(1,|)]
${Object.entries(backends)
  .map(([name, lines]) => `backend ${name} from _back\n${indented(lines)}`)
  .join("")}`;
  const text = routes.map((line) => `${line}\n`).join("");
  return { config, assets: { [map]: { kind: "map", text } } };
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}\n`).join("");
}
