// `docker-api-gateway logs`: the changes of the running gateway, in the words of its log.

import type { ChangeDocument } from "../api/changes.ts";
import { GatewayClient } from "../api/client.ts";
import { pause } from "../lib/async.ts";
import { GatewayError } from "../lib/errors.ts";
import { ASK_FLAGS, runningGateway } from "./asked-gateway.ts";
import { painter, wantsColour, type Look } from "./colour.ts";
import type { Command, CommandIo } from "./command.ts";
import type { RawOptions } from "./options.ts";

/** So many changes are shown if nobody says how many. */
const USUAL_LINES = 100;
/** A gateway that is started anew answers after this time at the earliest, in milliseconds. */
const TRY_AGAIN = 1_000;

export const logsCommand: Command = {
  name: "logs",
  description: "Show the last changes of the running gateway, or those that come",
  flags: {
    follow: { type: "boolean", alias: "f", description: "go on with those that come" },
    lines: {
      type: "string",
      alias: "n",
      valueHint: "NUMBER",
      description: `how many of the last 1000, or all (default: ${USUAL_LINES})`,
    },
    json: { type: "boolean", description: "each as a line of JSON, for programs" },
    ...ASK_FLAGS,
  },
  examples: [
    ["docker-api-gateway logs", "the last changes"],
    ["docker-api-gateway logs -f -n 10", "ten of them, and then each as it comes"],
  ],
  async run({ values }, io) {
    const { follow, json, lines } = values;
    const count = countOf(lines);
    const gateway = await runningGateway(values, io.env);
    const paint = painter(wantsColour(io));
    const show = (change: ChangeDocument): void =>
      io.write(json === true ? `${JSON.stringify(change)}\n` : textOf(change, paint));
    const all = await gateway.changes();
    for (const change of count === 0 ? [] : all.slice(-count)) show(change);
    if (follow === true) await followChanges(gateway, all.at(-1)?.id ?? BEGINNING, show, io);
    return 0;
  },
};

/** No change has it, so all come after it. */
const BEGINNING = "-";

/** Shows changes as they come until the user ends it. The gateway may go and come back meanwhile. */
async function followChanges(
  gateway: GatewayClient,
  first: string,
  show: (change: ChangeDocument) => void,
  io: CommandIo,
): Promise<void> {
  const { end } = io.signals();
  let last = first;
  let isAway = false;
  while (!end.aborted) {
    try {
      for await (const change of gateway.follow(last, end)) {
        isAway = false;
        last = change.id;
        show(change);
      }
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (!isAway && !end.aborted) io.note(`${error.message}; trying again ...`);
      isAway = true;
    }
    await pause(TRY_AGAIN, end);
  }
}

/** How many lines are wanted. @throws GatewayError `usage` if it is no number */
function countOf(lines: RawOptions[string]): number {
  if (lines === undefined) return USUAL_LINES;
  if (lines === "all") return Infinity;
  if (typeof lines === "string" && /^\d{1,6}$/.test(lines)) return Number(lines);
  throw new GatewayError("usage", `Cannot show "${String(lines)}" lines: it is no number`, {
    hint: "such as -n 20, or -n all",
  });
}

/** What changes look like that are no plain news. */
const LOOKS: Readonly<Record<string, Look>> = {
  routed: "green",
  up: "green",
  "no requests for": "yellow",
  "waiting for a container": "yellow",
  "no container": "yellow",
};

/** A change as a line of the log, and what belongs to it below. */
export function textOf(change: ChangeDocument, paint: ReturnType<typeof painter>): string {
  const { time, level, message, event = "", details } = change;
  const label = level === "info" ? "" : `${level}: `;
  const look = { info: LOOKS[event], warn: "yellow", error: "red" } as const;
  const text = label + message.replaceAll(/[\r\n]+/g, " ");
  const shown = look[level] === undefined ? text : paint(look[level], text);
  const below = Array.isArray(details) ? details.map((line) => `  ${String(line)}\n`) : [];
  return [`${paint("dim", time)} ${shown}\n`, ...below].join("");
}
