// What HAProxy noticed of answers and requests: that they are no HTTP, too large, or lead a client in a
// circle.

import type { Runtime } from "./runtime.ts";
import type { ServerStats } from "./stats.ts";

/** What is odd about the answers of a server. */
export interface Oddity {
  /** The server's name. */
  readonly server: string;
  /**
   * `foreign`: what it answers is no HTTP/1.1. `none`: it closes connections without an answer.
   * `circle`: it redirects to the very URL that was asked for. `large`: its headers are too large.
   */
  readonly answers: "foreign" | "none" | "circle" | "large";
  /** Another number than before means that there were more such answers. */
  readonly count: number;
}

/** A request that was refused as its headers are too large. */
export interface LargeRequest {
  /** The address that it came from. */
  readonly client: string;
  /** Another number than before means that it is another request. */
  readonly event: number;
}

/** The table of `templates/path.hbs` that has the servers that lead clients in a circle. */
const CIRCLES = "_http";

/**
 * The servers that lead clients in a circle. There are none if the template has no table for it.
 * @throws GatewayError `haproxy` if HAProxy does not answer
 */
export async function readCircles(ask: Runtime["ask"]): Promise<Oddity[]> {
  const answer = await ask(`show table ${CIRCLES}`);
  const entries = answer.matchAll(/^0x[0-9a-f]+: key=(\S+) .*\bconn_cnt=(\d+)/gm);
  return [...entries].map(([, server = "", count]) => {
    return { server, answers: "circle", count: Number(count) };
  });
}

/**
 * Those of these servers that do not speak HTTP/1.1, or whose headers were too large.
 * @throws GatewayError `haproxy` if HAProxy does not answer
 */
export async function readBadAnswers(
  ask: Runtime["ask"],
  servers: readonly ServerStats[],
): Promise<Oddity[]> {
  const suspects = servers.filter(({ failures }) => failures > 0);
  if (suspects.length === 0) return [];
  const refused = refusedAnswers(await ask("show errors -1 response"));
  return suspects.flatMap((stats): Oddity[] => {
    const { backend, name: server, failures: count } = stats;
    const event = refused.get(`${backend}/${server}`);
    if (event !== undefined && isLarge(event)) return [{ server, answers: "large", count }];
    if (!hasNeverAnswered(stats)) return [];
    const isForeign = event !== undefined && !event.start.startsWith("HTTP/");
    if (!isForeign && !hasClosedOnly(stats)) return [];
    return [{ server, answers: isForeign ? "foreign" : "none", count }];
  });
}

/**
 * The last request that HAProxy refused, if its headers were too large.
 * @throws GatewayError `haproxy` if HAProxy does not answer
 */
export async function readLargeRequest(ask: Runtime["ask"]): Promise<LargeRequest | undefined> {
  const [event] = toEvents(await ask("show errors -1 request")).filter(isLarge);
  return event && { client: event.client, event: event.number };
}

/** Whether requests have failed at a server that is up, and it has never answered with HTTP. */
function hasNeverAnswered({ state, answers, failures }: ServerStats): boolean {
  return state === "up" && answers === 0 && failures > 0;
}

/**
 * Whether a server leaves requests without an answer, as far as HAProxy's counters can tell: the
 * built-in templates give up a GET that got none again and again. One that died with the requests that
 * it had, is slow, or was left by its client, is another matter.
 */
function hasClosedOnly(stats: Omit<ServerStats, "backend" | "name">): boolean {
  const { since, lastUsed, current, refused, abandoned } = stats;
  // It has been up from before the last request until now, and that one has ended.
  const livesOn = lastUsed !== undefined && lastUsed < since && current === 0;
  return livesOn && refused === 0 && abandoned > 0;
}

/** A request or an answer that HAProxy refused, as `show errors` has it. */
interface RefusedEvent {
  readonly number: number;
  readonly backend: string;
  readonly server: string;
  readonly client: string;
  /** Its first line. What cannot be shown is escaped. */
  readonly start: string;
  /** How many of its lines HAProxy had. */
  readonly lines: number;
  /** How many bytes HAProxy had of it, and at which of them it was refused. */
  readonly length: number;
  readonly position: number;
  /** How far HAProxy had read. */
  readonly state: string;
}

/** So many headers pass: `tune.http.maxhdr` in `templates/global.hbs`, with some for HAProxy's own. */
const MOST_HEADERS = 250;

/** Whether the headers filled HAProxy's buffer, or are too many. */
function isLarge({ state, length, position, lines }: RefusedEvent): boolean {
  return state.startsWith("MSG_HDR_") && (position === length || lines > MOST_HEADERS);
}

/** The last refused answer of each server, by `backend/server`. There is one for each backend. */
function refusedAnswers(shown: string): ReadonlyMap<string, RefusedEvent> {
  return new Map(toEvents(shown).map((event) => [`${event.backend}/${event.server}`, event]));
}

/** Reads HAProxy's answer to `show errors`. */
function toEvents(shown: string): RefusedEvent[] {
  return shown.split(/^(?=\[)/m).flatMap((text) => {
    const find = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? "";
    // The bytes come in lines, with their position before them, and a plus where a line goes on.
    const start = /^ {2}00000[ +] (.*)$/m.exec(text)?.[1];
    if (start === undefined) return [];
    return {
      number: Number(find(/, event #(\d+)/)),
      backend: find(/ backend (\S+) \(#/),
      server: find(/, server (\S+) \(#/),
      client: find(/, src (.+):\d+$/m),
      start,
      lines: [...text.matchAll(/^ {2}\d{5} {2}/gm)].length,
      length: Number(find(/^ {2}len (\d+),/m)),
      position: Number(find(/error at position (\d+)/)),
      state: find(/ H1 msg state (\w+)/),
    };
  });
}
