// What HAProxy noticed of the answers of servers: that they are no HTTP, or lead a client in a circle.

import type { Runtime } from "./runtime.ts";
import type { ServerStats } from "./stats.ts";

/** What is odd about the answers of a server. */
export interface Oddity {
  /** The server's name. */
  readonly server: string;
  /**
   * `foreign`: what it answers is no HTTP/1.1. `none`: it closes connections without an answer.
   * `circle`: it redirects to the very URL that was asked for.
   */
  readonly answers: "foreign" | "none" | "circle";
  /** Another number than before means that there were more such answers. */
  readonly count: number;
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
 * Those of these servers that do not speak HTTP/1.1.
 * @throws GatewayError `haproxy` if HAProxy does not answer
 */
export async function readSpeechless(
  ask: Runtime["ask"],
  servers: readonly ServerStats[],
): Promise<Oddity[]> {
  const suspects = servers.filter(hasNeverAnswered);
  if (suspects.length === 0) return [];
  const foreign = foreignAnswers(await ask("show errors -1 response"));
  return suspects.flatMap(({ backend, name, ...stats }) => {
    const isForeign = foreign.has(`${backend}/${name}`);
    if (!isForeign && !hasClosedOnly(stats)) return [];
    return [{ server: name, answers: isForeign ? "foreign" : "none", count: stats.failures }];
  });
}

/** Whether requests have failed at a server that is up, and it has never answered with HTTP. */
function hasNeverAnswered({ state, answers, failures }: ServerStats): boolean {
  return state === "up" && answers === 0 && failures > 0;
}

/**
 * Whether a server leaves requests without an answer: the built-in templates give up a GET that got none
 * for the third time, as far as HAProxy's counters can tell. One that
 * died with the requests that it had, is slow, or was left by its client, is another matter.
 */
function hasClosedOnly(stats: Omit<ServerStats, "backend" | "name">): boolean {
  const { since, lastUsed, current, refused, abandoned } = stats;
  // It has been up from before the last request until now, and that one has ended.
  const livesOn = lastUsed !== undefined && lastUsed < since && current === 0;
  return livesOn && refused === 0 && abandoned > 0;
}

/**
 * The servers whose last refused answer did not begin as HTTP/1.1 does, as `backend/server`.
 * @param shown HAProxy's answer to `show errors`, which has the last one of each backend
 */
function foreignAnswers(shown: string): ReadonlySet<string> {
  const events = shown.split(/^(?=\[)/m).flatMap((event) => {
    const [, backend] = /^\[.*\] backend (\S+) \(#\d+\): invalid response$/m.exec(event) ?? [];
    const [, server] = /^ {2}frontend .*, server (\S+) \(#/m.exec(event) ?? [];
    // The bytes come in lines, with their position before them. What cannot be shown is escaped.
    const [, bytes] = /^ {2}00000[ +] (.*)$/m.exec(event) ?? [];
    if (backend === undefined || server === undefined || bytes === undefined) return [];
    return bytes.startsWith("HTTP/") ? [] : [`${backend}/${server}`];
  });
  return new Set(events);
}
