// `docker-api-gateway routes`: what is served, as HAProxy sees it.

import { pause } from "../async.ts";
import type { Command } from "../command.ts";
import { GatewayError } from "../errors.ts";
import { askHaproxy } from "../haproxy/socket.ts";
import { readMap, readStats, type ServerStats } from "../haproxy/stats.ts";
import { serverLines, statsSocket } from "../haproxy-config.ts";
import { mapPathsOf } from "../map-plan.ts";
import { parseOptions } from "../options.ts";
import { prepareLayout } from "../setup.ts";
import { formatDuration, formatTable } from "../table.ts";
import { GATEWAY_FLAGS } from "./flags.ts";

/** How often `--watch` looks again, in milliseconds. */
const WATCH_EVERY = 1_000;
/** Moves the cursor to the top left; erases to the end of the line; to the end of the screen. */
const [HOME, ERASE_LINE, ERASE_REST] = ["\u001B[H", "\u001B[K", "\u001B[J"];

interface RouteRow {
  /** `/foo/bar`, or `http://bar.example.com/`. */
  readonly route: string;
  /** Its name in the configuration. */
  readonly backend: string;
  readonly servers: readonly (Omit<ServerStats, "backend"> & { readonly container: string })[];
}

export const routesCommand: Command = {
  name: "routes",
  description: "Show what is served: routes, containers, their state, requests",
  flags: {
    json: { type: "boolean", description: "as JSON, for programs" },
    watch: { type: "boolean", description: "again every second, in place" },
    ...GATEWAY_FLAGS,
  },
  examples: [
    ["docker-api-gateway routes", "a table of what is served now"],
    ["docker-api-gateway routes --watch", "the same, redrawn in place"],
    ["docker-api-gateway routes --json | jq -r '.[].route'", "only the routes"],
  ],
  async run({ values }, io) {
    const { json, watch, ...raw } = values;
    const options = parseOptions(raw);
    const show = async (): Promise<string> => {
      const rows = await readRoutes(prepareLayout(options, io.env).output);
      return json === true ? `${JSON.stringify(rows, undefined, 2)}\n` : toTable(rows, io.columns);
    };
    if (watch !== true) {
      io.write(await show());
      return 0;
    }
    const { end } = io.signals();
    if (io.isTerminal) io.write(`${HOME}${ERASE_REST}`);
    while (!end.aborted) {
      const text = await show();
      const inPlace = `${HOME}${text.replaceAll("\n", `${ERASE_LINE}\n`)}${ERASE_REST}`;
      io.write(io.isTerminal ? inPlace : text);
      await pause(WATCH_EVERY, end);
    }
    return 0;
  },
};

/** The routes with their servers, by the running HAProxy. @throws GatewayError */
async function readRoutes(output: string): Promise<RouteRow[]> {
  const config = await Bun.file(output)
    .text()
    .catch((error: unknown) => {
      throw new GatewayError("config", `Cannot read "${output}"`, {
        hint: "is the gateway running? name its configuration with --output-file",
        cause: error,
      });
    });
  const socket = statsSocket(config);
  if (socket === undefined) {
    throw new GatewayError("haproxy", `Cannot ask HAProxy: "${output}" names no stats socket`);
  }
  const ask = (line: string): Promise<string> => askHaproxy(socket, line);
  const servers = Map.groupBy(await readStats(ask), ({ backend }) => backend);
  // A service that is new may have one of the spare backends until the next reload.
  const configured = new Map(serverLines(config).map(({ backend, words }) => [words[1], backend]));
  const rows: RouteRow[] = [];
  for (const path of mapPathsOf(config)) {
    for (const { key, backend } of await readMap(ask, path)) {
      const own = (servers.get(backend) ?? []).map(({ name, address, state, ...counts }) => ({
        container: containerOf(name),
        name,
        address,
        state,
        since: counts.since,
        requests: counts.requests,
        errors: counts.errors,
      }));
      const name = configured.get(own[0]?.name) ?? backend;
      rows.push({ route: toRoute(key), backend: name, servers: own });
    }
  }
  return rows.toSorted((a, b) => (a.route < b.route ? -1 : 1));
}

/** `/foo/bar` of the map's key `/foo/bar/`; `http://bar.example.com/` of `bar.example.com/`. */
function toRoute(key: string): string {
  return key.startsWith("/") ? key.replace(/(.)\/$/, "$1") : `http://${key}`;
}

function toTable(rows: readonly RouteRow[], columns: number): string {
  if (rows.length === 0) return "Nothing is served.\n";
  const cells = rows.flatMap(({ route, servers }) =>
    servers.length === 0
      ? [[route, "-", "-", "no server", "", 0, 0]]
      : servers.map((server, index) => [
          index === 0 ? route : "",
          server.container,
          server.address,
          server.state,
          formatDuration(server.since),
          server.requests,
          server.errors,
        ]),
  );
  return formatTable(
    ["ROUTE", "CONTAINER", "SERVER", "STATE", "SINCE", "REQUESTS", "ERRORS"],
    cells,
    columns,
  );
}

/** The container's name, which a server's name begins with. */
function containerOf(server: string): string {
  return server.replace(/:[0-9a-f]{12}(:\d+)?$/, "");
}
