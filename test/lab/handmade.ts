// Configurations for the tests of runtime changes that no built-in template makes.

import type { Files } from "../../src/model.ts";
import type { Site } from "./proxy.ts";

export interface Handmade {
  /** More lines for the `defaults` of the backends. */
  defaults?: string[];
  /** The lines of each backend, by its name. */
  backends?: Record<string, string[]>;
  /** The lines of the map from paths to backends. */
  routes?: string[];
  /** More lines for the frontend. */
  frontend?: string[];
}

/** Makes the files. HAProxy accepts them in every version. */
export function handmade(site: Site, parts: Handmade): Files {
  const { defaults = [], backends = {}, routes = [], frontend = [] } = parts;
  const { haproxy } = site.setup.paths;
  const map = site.setup.files.pathOf("routes.map");
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
