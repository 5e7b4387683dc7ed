// `docker-api-gateway routes`: shows what is served, as HAProxy sees it.

import type { GatewayClient } from "../api/client.ts";
import { describeNotServed, notServedOf, type NotServed } from "../api/not-served.ts";
import { readRoutes, type RouteRow } from "../api/routes.ts";
import { findRunning } from "../api/running.ts";
import { pause } from "../lib/async.ts";
import { describeError, GatewayError } from "../lib/errors.ts";
import { formatDuration, formatTable } from "../lib/text.ts";
import { ASK_FLAGS, askedGateway } from "./asked-gateway.ts";
import { modelBeside } from "./beside.ts";
import type { CommandIo, Command } from "./command.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { parseOptions, type Options } from "./options.ts";
import { preparePaths } from "./setup.ts";
import { inPlace } from "./screen.ts";

/** How often `--watch` asks HAProxy again, in milliseconds. */
const WATCH_EVERY = 1_000;
/** HAProxy answers within milliseconds. After this time `--watch` reports a failure. In ms. */
const WATCH_PATIENCE = 3_000;
/** What is shown. */
interface Shown {
  readonly routes: readonly RouteRow[];
  /** Undefined if Docker cannot be asked: the table needs only HAProxy. */
  readonly notServed: NotServed | undefined;
  /** Why the gateway's last pass failed; empty if it did not. */
  readonly problem: string;
}

/** Reads what is shown. @param isWhole whether it is also asked what is not served */
type Read = (signal: AbortSignal, isWhole: boolean) => Promise<Shown>;

export const routesCommand: Command = {
  name: "routes",
  description: "Show what is served: routes, containers, their state, requests",
  flags: {
    json: { type: "boolean", description: "as JSON, for programs" },
    watch: { type: "boolean", description: "again every second, in place" },
    ...ASK_FLAGS,
    ...GATEWAY_FLAGS,
  },
  examples: [
    ["docker-api-gateway routes", "a table of what is served now"],
    ["docker-api-gateway routes --watch", "the same, redrawn in place"],
    ["docker-api-gateway routes --json | jq -r '.routes[].route'", "only the routes"],
  ],
  async run(words, io) {
    const { json, watch, gateway: _, ...raw } = words.values;
    const options = parseOptions(raw);
    const gateway = await askedGateway(words, io);
    const read = gateway === undefined ? readBeside(options, io) : readFrom(gateway);
    const show = async (signal: AbortSignal, isWhole: boolean): Promise<string> => {
      const shown = await read(signal, isWhole);
      return json === true
        ? toJson(shown)
        : toText(shown, io.isTerminal ? io.screen().columns : Infinity);
    };
    if (watch !== true) {
      io.write(await show(new AbortController().signal, true));
      return 0;
    }
    const log = io.logger(options.log);
    await watchRoutes(
      (signal) => show(signal, json === true),
      io,
      (error) => log.failure(error, "trying again"),
    );
    return 0;
  },
};

/** Asks a running gateway. */
function readFrom(gateway: GatewayClient): Read {
  return async (signal, isWhole) => {
    const { routes, haproxy, notRouted, refusals, problem } = await gateway.state(signal);
    if (routes.length === 0 && haproxy.problem !== "")
      throw new GatewayError("haproxy", haproxy.problem);
    return {
      routes,
      notServed: isWhole ? { notRouted, refusals } : undefined,
      problem: isWhole ? (problem[0] ?? "") : "",
    };
  };
}

/** Asks HAProxy and Docker. */
function readBeside(options: Options, io: CommandIo): Read {
  const { output } = preparePaths(options.haproxy, io.env);
  return async (signal, isWhole) => ({
    routes: await readRoutes(await findRunning(output, signal)),
    notServed: isWhole ? await readNotServed(options, output, io) : undefined,
    problem: "",
  });
}

/**
 * Finds out which containers are not routed, and which routes they do not get. HAProxy does not know of these,
 * Docker's containers do.
 */
async function readNotServed(
  options: Options,
  output: string,
  io: CommandIo,
): Promise<NotServed | undefined> {
  const log = io.logger({ ...options.log, level: "error" });
  const model = await modelBeside(options, output, io.env, log);
  return model === undefined ? undefined : notServedOf(model);
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
  if (io.isTerminal) io.write(inPlace("", io.screen()));
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

function toJson({ routes, notServed }: Shown): string {
  const { notRouted, refusals } = notServed ?? { notRouted: null, refusals: null };
  return `${JSON.stringify({ routes, notRouted, refusals }, undefined, 2)}\n`;
}

/** The table, and below it what is not served. */
function toText({ routes, notServed, problem }: Shown, columns: number): string {
  const below = [
    ...(notServed === undefined ? [] : describeNotServed(notServed)).map(
      (each) => `not routed: ${each}\n`,
    ),
    ...(problem === "" ? [] : [`not up to date: ${problem}\n`]),
  ];
  return [toTable(routes, columns), ...(below.length === 0 ? [] : ["\n"]), ...below].join("");
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
