// `docker-api-gateway top`: what goes on at each route, live.

import type { GatewayClient } from "../../api/client.ts";
import type { StateDocument } from "../../api/state.ts";
import { pause, Wakeup } from "../../lib/async.ts";
import { describeError, GatewayError } from "../../lib/errors.ts";
import { formatTable } from "../../lib/text.ts";
import { ASK_FLAGS, runningGateway } from "../asked-gateway.ts";
import { painter, wantsColour } from "../colour.ts";
import type { Command, CommandIo } from "../command.ts";
import { FORMER_SCREEN, inPlace, OWN_SCREEN } from "../screen.ts";
import { COLUMNS, sorted, trafficBetween, type Column, type Traffic } from "./traffic.ts";

/** The time between two looks, in milliseconds. */
const EVERY = 1_000;
/** Source: ASCII; in raw mode Ctrl-C is a key. */
const CTRL_C = "\u0003";

export const topCommand: Command = {
  name: "top",
  description: "Show what goes on at each route: requests a second, errors, times, servers",
  flags: {
    once: {
      type: "boolean",
      description: "one second of it, and end; so it is without a terminal",
    },
    json: { type: "boolean", description: "the same as JSON, for programs" },
    ...ASK_FLAGS,
  },
  examples: [
    ["docker-api-gateway top", "until q; a letter sorts by a column: r e c t p m u n"],
    ["docker-api-gateway top --json | jq '.[] | select(.errors > 0)'", "what has errors now"],
  ],
  async run({ values }, io) {
    const { once, json } = values;
    const gateway = await runningGateway(values, io.env);
    const look = new Look(gateway);
    if (once === true || json === true || !io.isTerminal) {
      await look.again();
      await pause(EVERY, io.signals().end);
      await look.again();
      const rows = sorted(look.rows, "r", false);
      const text =
        json === true ? `${JSON.stringify(rows, undefined, 2)}\n` : tableOf(rows, Infinity);
      io.write(text);
      return 0;
    }
    await look.again();
    await showLive(look, io);
    return 0;
  },
};

/** The last two looks at the gateway. */
class Look {
  rows: readonly Traffic[] = [];
  state: StateDocument | undefined;
  #at = 0;

  constructor(private readonly gateway: GatewayClient) {}

  /** @throws GatewayError if the gateway or HAProxy cannot be asked */
  async again(signal?: AbortSignal): Promise<void> {
    const state = await this.gateway.state(signal);
    const at = performance.now();
    if (state.routes.length === 0 && state.haproxy.problem !== "") {
      throw new GatewayError("haproxy", state.haproxy.problem);
    }
    const before = this.state?.routes ?? [];
    this.rows = trafficBetween(before, state.routes, Math.max(1, at - this.#at) / 1000);
    [this.state, this.#at] = [state, at];
  }
}

/** Redraws the table until `q`. Whatever happens, the terminal is as before then. */
async function showLive(look: Look, io: CommandIo): Promise<void> {
  const { end } = io.signals();
  const done = new AbortController();
  const signal = AbortSignal.any([end, done.signal]);
  const redraw = new Wakeup();
  let [column, isReversed, problem]: [Column, boolean, string] = ["r", false, ""];
  const giveBack = io.keyboard(
    (key) => {
      if (key === "q" || key === CTRL_C) done.abort();
      else if (isColumn(key)) {
        isReversed = key === column && !isReversed;
        column = key;
      }
      redraw.set();
    },
    () => redraw.set(),
  );
  io.write(OWN_SCREEN);
  try {
    let next = Date.now() + EVERY;
    while (!signal.aborted) {
      const rows = sorted(look.rows, column, isReversed);
      io.write(draw(rows, { column, isReversed, problem }, look.state, io));
      await redraw.wait(Math.max(0, next - Date.now()), signal);
      if (Date.now() < next || signal.aborted) continue;
      next = Date.now() + EVERY;
      try {
        await look.again(signal);
        problem = "";
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        problem = `${describeError(error).join("; ")}; trying again ...`;
      }
    }
  } finally {
    giveBack();
    io.write(FORMER_SCREEN);
  }
}

interface View {
  readonly column: Column;
  readonly isReversed: boolean;
  readonly problem: string;
}

function isColumn(key: string): key is Column {
  return Object.hasOwn(COLUMNS, key);
}

/** The whole screen: a line about all, the table, and which keys there are. */
function draw(
  rows: readonly Traffic[],
  { column, isReversed, problem }: View,
  state: StateDocument | undefined,
  io: CommandIo,
): string {
  const screen = io.screen();
  const paint = painter(wantsColour(io));
  const sum = (value: (row: Traffic) => number): number =>
    rows.reduce((all, row) => all + value(row), 0);
  const title =
    problem ||
    `${rate(sum(({ requests }) => requests))} requests/s, ${rate(sum(({ errors }) => errors))} errors/s, ` +
      `HAProxy ${state?.haproxy.version ?? "-"}, Docker ${state?.engine.connected === true ? "connected" : "away"}`;
  const keys = Object.entries(COLUMNS).map(([key, name]) => `${key} ${name}`);
  const foot = `sorted by ${COLUMNS[column]}${isReversed ? ", reversed" : ""}; ${keys.join("  ")}  q quit`;
  const [head = "", ...lines] = tableOf(rows, screen.columns).trimEnd().split("\n");
  // Title, head, foot, and the line of the cursor.
  const room = Math.max(0, screen.rows - 5);
  const hidden = lines.length - room;
  const shown = hidden <= 0 ? lines : [...lines.slice(0, room - 1), `... and ${hidden + 1} more`];
  const cut = (text: string): string => text.slice(0, screen.columns);
  const text = [
    problem === "" ? cut(title) : paint("red", cut(title)),
    paint("bold", head),
    ...shown,
    "",
    paint("dim", cut(foot)),
  ].join("\n");
  // The orders for colours take no room on the screen.
  return inPlace(text, { ...screen, columns: Infinity });
}

/** The table. @param columns the width of the terminal */
function tableOf(rows: readonly Traffic[], columns: number): string {
  if (rows.length === 0) return "Nothing is served.\n";
  const head = ["REQ/S", "5XX/S", "NOW", "P50 MS", "P95 MS", "MAX MS", "UP", "ROUTE"];
  const cells = rows.map((row) => {
    const {
      requests,
      errors,
      current,
      p50Time,
      p95Time,
      longestTime,
      up,
      servers,
      route,
      more,
      waiting,
    } = row;
    const name = more === 0 ? route : `${route} and ${more} more`;
    return [
      padded(rate(requests), head[0]),
      padded(rate(errors), head[1]),
      current,
      padded(told(p50Time), head[3]),
      padded(told(p95Time), head[4]),
      longestTime,
      padded(waiting ? "waits" : `${up}/${servers}`, head[6]),
      name,
    ];
  });
  return formatTable(head, cells, columns);
}

/** Of no request no time is known. */
function told(time: number | null): string {
  return time === null ? "-" : String(time);
}

/** At the right of its column. */
function padded(text: string, title = ""): string {
  return text.padStart(title.length);
}

/** Such as `0.4` and `1250`. */
function rate(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}
