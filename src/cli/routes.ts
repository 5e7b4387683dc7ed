// `docker-api-gateway routes`: shows what is served, as HAProxy sees it.

import { readOnce } from "../docker/source.ts";
import { currentReach } from "../gateway/host.ts";
import { pause } from "../lib/async.ts";
import { nameOf as routeNameOf, isPlaceKey, placeOf } from "../lib/places.ts";
import type { Command, CommandIo } from "./command.ts";
import { describeError, GatewayError } from "../lib/errors.ts";
import { readMap, readStats, requestsWait, type ServerStats } from "../haproxy/runtime/stats.ts";
import { WAITING_ROOM } from "../config/operations.ts";
import { backendOf, mapEntries, valuesByKey, mapPathsOf } from "../config/map-file.ts";
import { parseOptions, type Options } from "./options.ts";
import { parseOwners } from "../config/owners.ts";
import { ownersPathOf } from "../haproxy/files/files.ts";
import { dockerClient, preparePaths } from "./setup.ts";
import { compare, formatDuration, formatTable } from "../lib/text.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { routeBeside } from "./beside.ts";
import { findRunning } from "./running.ts";

/** How often `--watch` asks HAProxy again, in milliseconds. */
const WATCH_EVERY = 1_000;
/** HAProxy answers within milliseconds. After this time `--watch` reports a failure. In ms. */
const WATCH_PATIENCE = 3_000;
/** Docker answers within tens of milliseconds. After this time its part is left out. In ms. */
const DOCKER_PATIENCE = 3_000;
/** Moves the cursor to the top left; erases the rest of the line; erases the rest below. */
const [HOME, ERASE_LINE, ERASE_REST] = ["\u001B[H", "\u001B[K", "\u001B[J"];

type ShownStats = Pick<ServerStats, "name" | "address" | "state" | "since" | "requests" | "errors">;

interface RouteRow {
  /** `/foo/bar` or `http://bar.example.com/`; empty if no map leads to the servers. */
  readonly route: string;
  /** The name of the backend in the configuration. */
  readonly backend: string;
  /** Whether requests wait for a container. */
  readonly waiting: boolean;
  readonly servers: readonly (ShownStats & { readonly container: string })[];
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
    const { output } = preparePaths(options.haproxy, io.env);
    const show = async (signal: AbortSignal): Promise<string> => {
      const rows = await readRoutes(output, signal);
      if (json === true) return `${JSON.stringify(rows, undefined, 2)}\n`;
      return toTable(rows, io.isTerminal ? io.screen().columns : Infinity);
    };
    if (watch !== true) {
      const table = await show(new AbortController().signal);
      const refusals = json === true ? [] : await readRefusals(options, output, io);
      io.write([table, ...refusals].join(""));
      return 0;
    }
    const log = io.logger(options.log);
    await watchRoutes(show, io, (error) => log.failure(error, "trying again"));
    return 0;
  },
};

/**
 * Tells which containers are not routed, and which routes they do not get. HAProxy does not know of these, Docker's
 * containers do. Nothing if Docker cannot be asked: the table needs only HAProxy.
 */
async function readRefusals(options: Options, output: string, io: CommandIo): Promise<string[]> {
  const { dockerHost, log } = options;
  const signal = AbortSignal.timeout(DOCKER_PATIENCE);
  try {
    const client = dockerClient(dockerHost, io.env);
    try {
      const snapshot = await readOnce(client, io.logger({ ...log, level: "error" }), { signal });
      const reach = currentReach(snapshot, client.transport.remoteHost);
      const { rejections, refusals } = await routeBeside(snapshot, reach, options, output);
      const wrong = rejections.filter(({ expected, ending }) => !expected && !ending);
      const isOut = new Set(wrong.map(({ id }) => id));
      const reasons = new Set([
        ...wrong.map(({ container, reason }) => `container ${container}: ${reason}`),
        ...refusals
          .filter(({ ids }) => !ids.every((id) => isOut.has(id)))
          .map((each) => each.reason),
      ]);
      return [...reasons].map(
        (reason, index) => `${index === 0 ? "\n" : ""}not routed: ${reason}\n`,
      );
    } finally {
      client.transport.close();
    }
  } catch (error) {
    if (error instanceof GatewayError || signal.aborted) return [];
    throw error;
  }
}

/**
 * Shows the routes again and again until the user ends it. HAProxy may go and come back meanwhile.
 * @param complain reports a failure if the output is not a terminal
 * @throws GatewayError if the routes cannot be shown the first time
 */
async function watchRoutes(
  show: (signal: AbortSignal) => Promise<string>,
  io: CommandIo,
  complain: (error: unknown) => void,
): Promise<void> {
  const { end } = io.signals();
  let text = await show(end).catch((error: unknown) => {
    if (end.aborted) return "";
    throw error;
  });
  if (io.isTerminal) io.write(`${HOME}${ERASE_REST}`);
  while (!end.aborted) {
    io.write(io.isTerminal ? inPlace(text, io.screen()) : text);
    await pause(WATCH_EVERY, end);
    try {
      text = await show(AbortSignal.any([end, AbortSignal.timeout(WATCH_PATIENCE)]));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      text = io.isTerminal ? `${describeError(error).join("\n")}\ntrying again ...\n` : "";
      if (!io.isTerminal && !end.aborted) complain(error);
    }
  }
}

/** Makes the text replace the last one on the screen. Leaves out what does not fit. */
function inPlace(text: string, { columns, rows }: ReturnType<CommandIo["screen"]>): string {
  const lines = text.trimEnd().split("\n");
  // The cursor needs the line after the text.
  const room = Math.max(1, rows - 1);
  const shown =
    lines.length <= room
      ? lines
      : [...lines.slice(0, room - 1), `... and ${lines.length - room + 1} more`];
  const drawn = shown.map((line) => `${line.slice(0, columns)}${ERASE_LINE}\n`);
  return `${HOME}${drawn.join("")}${ERASE_REST}`;
}

/** Reads the routes and their servers from the running HAProxy. @throws GatewayError */
async function readRoutes(output: string, signal: AbortSignal): Promise<RouteRow[]> {
  const { config, ask } = await findRunning(output, signal);
  const nameOf = await readNames(output);
  const servers = Map.groupBy(await readStats(ask), ({ backend }) => backend);
  // A template may use other maps too, with values that are not backends.
  const backends = new Set((await ask("show backend")).split("\n").filter(Boolean));
  const rows: RouteRow[] = [];
  const mapped = new Set<string>();
  for (const path of mapPathsOf(config)) {
    // A new service may use a spare backend until the next reload. The file has its real name.
    const file = Bun.file(path);
    const configured = valuesByKey(
      mapEntries(((await file.exists()) ? await file.text() : "").split("\n")),
    );
    for (const { key, backend } of await readMap(ask, path)) {
      if (!backends.has(backend) || !isPlaceKey(key)) continue;
      mapped.add(backend);
      const name = backendOf(configured.get(key) ?? backend);
      rows.push(toRow(routeNameOf(placeOf(key)), name, nameOf, servers.get(backend)));
    }
  }
  const others = [...servers].filter(([backend]) => !mapped.has(backend));
  return [
    ...rows.toSorted((a, b) => compare(a.route, b.route)),
    ...others.map(([backend, own]) => toRow("", backend, nameOf, own)),
  ];
}

function toRow(
  route: string,
  backend: string,
  nameOf: NameOf,
  all: readonly ServerStats[] = [],
): RouteRow {
  // The server at which requests wait is no container.
  const servers = all.filter(({ name }) => name !== WAITING_ROOM);
  return {
    route,
    backend,
    waiting: requestsWait(all),
    // HAProxy does not list them in the order of their names.
    servers: servers
      .map((server) => {
        const { name, address, state, since, requests, errors } = server;
        return { container: nameOf(server), name, address, state, since, requests, errors };
      })
      .toSorted((a, b) => compare(a.container, b.container) || compare(a.name, b.name)),
  };
}

/** Leaves out the column with the backends if the terminal has no room for it. */
function toTable(rows: readonly RouteRow[], columns: number): string {
  if (rows.length === 0) return "Nothing is served.\n";
  const head = ["ROUTE", "BACKEND", "CONTAINER", "SERVER", "STATE", "SINCE", "REQUESTS", "ERRORS"];
  const cells = rows.flatMap(({ route, backend, servers, waiting }) => {
    const lines = servers.map(({ container, address, state, since, requests, errors }) => {
      return [container, address, state, formatDuration(since), requests, errors];
    });
    if (waiting) lines.push(["-", "-", "waiting for a container", "", "", ""]);
    else if (lines.length === 0) lines.push(["-", "-", "no server", "", 0, 0]);
    return lines.map((line, index) => [
      ...(index === 0 ? [route || "-", backend] : ["", ""]),
      ...line,
    ]);
  });
  const whole = formatTable(head, cells, Infinity);
  if (whole.split("\n").every((line) => line.length <= columns)) return whole;
  return formatTable(
    head.toSpliced(1, 1),
    cells.map((row) => row.toSpliced(1, 1)),
    columns,
  );
}

/** Tells the names of containers by the servers that HAProxy has. */
type NameOf = (server: ServerStats) => string;

/**
 * Reads the names of containers. One that is on its way out, and the server of a template that is no
 * container's, have the name that HAProxy knows.
 */
async function readNames(output: string): Promise<NameOf> {
  const file = Bun.file(ownersPathOf(output));
  const owners = (await file.exists()) ? parseOwners(await file.text()) : undefined;
  return ({ name, address }) => {
    const all = owners?.byPlace.get(address) ?? [];
    return (all.find(({ id }) => name.startsWith(id.slice(0, 12))) ?? all[0])?.name ?? name;
  };
}
