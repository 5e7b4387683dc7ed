// What HAProxy counts: servers with their states, and the entries of its maps.

import { backendOf } from "../../config/map-file.ts";
import { isNoServer, WAITING_ROOM } from "../../config/operations.ts";
import { word } from "./commands.ts";
import type { Runtime } from "./runtime.ts";
import { addCount, type Counts } from "../../lib/times.ts";

/** A server as HAProxy sees it. Source: management guide, section 9.1 (CSV format). */
export interface ServerStats {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  /** `up`, `down`, `draining`, `disabled`, or HAProxy's own word. */
  readonly state: string;
  /** How long it has been in that state, in seconds. */
  readonly since: number;
  readonly requests: number;
  /** The result of its last check in HAProxy's words, such as `L4CON`; empty without checks. */
  readonly check: string;
  /** The status of the last check's answer; 0 if there was none. */
  readonly checkedStatus: number;
  /** Failed connections, broken answers, and answers of status 500 to 599. */
  readonly errors: number;
  /** How many proper answers it gave, whatever their status. */
  readonly answers: number;
  /** How often an answer was broken, missing or late. */
  readonly failures: number;
  /** How many requests failed because it could not be connected to. */
  readonly refused: number;
  /** How many requests were given up because it, or others before it, left them without an answer. */
  readonly abandoned: number;
  /** How many requests it has now. */
  readonly current: number;
  /** How long ago it got its last request, in seconds; undefined if it never got one. */
  readonly lastUsed: number | undefined;
}

/** A line of a map in the running HAProxy. */
export interface MapEntry {
  readonly key: string;
  /** The backend's name in HAProxy. */
  readonly backend: string;
  /** What stands behind the backend; undefined if the template of the map writes only a backend. */
  readonly prefix: string | undefined;
  /** What comes in place of the prefix; empty: nothing. */
  readonly rewrite: string;
}

/**
 * The servers of all backends, or of the one with that name in HAProxy.
 * @throws GatewayError `haproxy` if it does not answer
 */
export async function readStats(ask: Runtime["ask"], backend?: string): Promise<ServerStats[]> {
  return parseStats(await ask(`show stat ${backend === undefined ? "-1" : word(backend)} 4 -1`));
}

/** For so many backends it costs less to read the servers of all than those of each. */
const MANY = 50;

/**
 * Makes the function that reads the servers of a backend.
 * @param backends of how many it will be asked
 * @returns a function that throws as `readStats` does
 */
export function statsReader(
  ask: Runtime["ask"],
  backends: number,
): (backend: string) => Promise<readonly ServerStats[]> {
  if (backends <= MANY) return (backend) => readStats(ask, backend);
  let all: Map<string, ServerStats[]> | undefined;
  return async (backend) => {
    all ??= Map.groupBy(await readStats(ask), (server) => server.backend);
    return all.get(backend) ?? [];
  };
}

/** What HAProxy counted of all requests for a backend since its last reload. */
export interface Totals {
  /** The backend's name in HAProxy, and its number there. */
  readonly backend: string;
  readonly number: number;
  readonly requests: number;
  /** How many were answered with a status of 500 to 599, by HAProxy itself too. */
  readonly errors: number;
  /** How many are under way now, and how many of these wait for a free server. */
  readonly current: number;
  readonly queued: number;
  /**
   * How long servers took until the headers of their answers came, in milliseconds: the mean of the last 1,024
   * requests, and the longest. Source: management guide, section 9.1 (`rtime`).
   */
  readonly meanTime: number;
  readonly longestTime: number;
}

/** The table of the templates in which it is noted how long answers take. */
const TIMES = "_times";
/** Source: management guide, `show table`. */
const TIMES_ENTRY = /\bkey=(\d+) .*\bhttp_req_rate\(\d+\)=(\d+)/g;

/**
 * How many requests of the last minute took how long until the headers of their answers, by the numbers of the backends,
 * as `templates/times.hbs` notes it. Nothing is known where a template notes nothing.
 * @throws GatewayError `haproxy` if it does not answer
 */
export async function readTimes(ask: Runtime["ask"]): Promise<ReadonlyMap<number, Counts>> {
  const byBackend = new Map<number, Counts>();
  for (const [, key, count] of (await ask(`show table ${TIMES}`)).matchAll(TIMES_ENTRY)) {
    addCount(byBackend, Number(key), Number(count));
  }
  return byBackend;
}

/** Counts the requests of all backends. @throws GatewayError `haproxy` if it does not answer */
export async function readTotals(ask: Runtime["ask"]): Promise<Totals[]> {
  return readCsv(await ask("show stat -1 2 -1")).map((text) => {
    const number = (name: string): number => Number(text(name)) || 0;
    return {
      backend: text("pxname"),
      number: number("iid"),
      requests: number("stot"),
      errors: number("hrsp_5xx"),
      current: number("scur"),
      queued: number("qcur"),
      meanTime: number("rtime"),
      longestTime: number("rtime_max"),
    };
  });
}

/** How much a counter has grown. After a reload it begins again. */
export function grown(before: number, after: number): number {
  return after < before ? after : after - before;
}

/** Whether the requests for a backend wait for a container. @param servers all of its servers */
export function requestsWait(servers: readonly ServerStats[]): boolean {
  const up = servers.filter(({ state }) => state === "up");
  return up.length > 0 && up.every(({ name }) => name === WAITING_ROOM);
}

/** What went wrong with requests since HAProxy's last reload. */
export interface ErrorCounts {
  /** How many were answered with a status of 500 to 599, by HAProxy itself too, or not at all. */
  readonly answers: number;
  /** How many were none, or too large. */
  readonly requests: number;
}

/**
 * Counts what went wrong in all frontends.
 * @throws GatewayError `haproxy` if it does not answer
 */
export async function countErrors(ask: Runtime["ask"]): Promise<ErrorCounts> {
  const frontends = readCsv(await ask("show stat -1 1 -1"));
  const total = (column: string): number =>
    frontends.reduce((sum, cell) => sum + (Number(cell(column)) || 0), 0);
  return { answers: total("hrsp_5xx") + total("dresp"), requests: total("ereq") };
}

/** The columns that count proper answers by the first digit of their status. */
const ANSWERS = ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"];

/** Reads the answer to `show stat`. */
function parseStats(csv: string): ServerStats[] {
  const servers = readCsv(csv).filter((text) => !isNoServer(text("svname")));
  return servers.map((text) => {
    const number = (name: string): number => Number(text(name)) || 0;
    return {
      backend: text("pxname"),
      name: text("svname"),
      address: text("addr"),
      state: toState(text("status")),
      since: number("lastchg"),
      requests: number("stot"),
      // While the next check runs, a star stands before it.
      check: text("check_status").replace(/^\* /, ""),
      checkedStatus: number("check_code"),
      errors: number("econ") + number("eresp") + number("hrsp_5xx"),
      answers: ANSWERS.reduce((sum, column) => sum + number(column), 0),
      failures: number("eresp") + number("dresp"),
      abandoned: number("dresp"),
      refused: number("econ"),
      current: number("scur"),
      lastUsed: number("lastsess") < 0 ? undefined : number("lastsess"),
    };
  });
}

/** A line of `show stat`: its cells by the names of their columns. Source: management guide, section 9.1. */
export type Cells = (column: string) => string;

/** What a line of `show stat` is about, in its column `type`. Source: management guide, section 9.1. */
export const LINE_TYPE = { frontend: "0", backend: "1", server: "2" } as const;

/** Reads all counters at once. @throws GatewayError `haproxy` if it does not answer */
export async function readAll(ask: Runtime["ask"]): Promise<readonly Cells[]> {
  return readCsv(await ask("show stat -1 7 -1"));
}

/** A cell in quotes may have commas: HAProxy writes so what the last check of a server found. */
const QUOTED_OR_NOT = /"((?:[^"]|"")*)"(?:,|$)|([^,]*)(?:,|$)/g;

function cellsOf(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  return [...line.matchAll(QUOTED_OR_NOT)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? "",
  );
}

function readCsv(csv: string): Cells[] {
  const [head = "", ...lines] = csv.split("\n").filter((line) => line !== "");
  const columns = new Map(
    head
      .replace(/^# /, "")
      .split(",")
      .map((name, index) => [name, index]),
  );
  return lines.map((line) => {
    let cells: string[] | undefined;
    return (name) => (cells ??= cellsOf(line))[columns.get(name) ?? -1] ?? "";
  });
}

/** The entries of a running map. @throws GatewayError `haproxy` */
export async function readMap(ask: Runtime["ask"], path: string): Promise<MapEntry[]> {
  const answer = await ask(`show map ${path}`);
  return answer.split("\n").flatMap((line) => {
    const [, key, value] = /^0x[0-9a-f]+ (\S+) (.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) return [];
    const [, second, third] = value.split("|");
    const backend = backendOf(value);
    const isRewritten = second?.startsWith(">") === true;
    const prefix = isRewritten ? third : second;
    return [{ key, backend, prefix, rewrite: isRewritten ? second.slice(1) : "" }];
  });
}

/** The state of a server as `ServerStats` has it. @param status what `show stat` says */
export function toState(status: string): string {
  if (/^(UP|no check|OPEN)/.test(status)) return "up";
  if (status.startsWith("DOWN")) return "down";
  if (/^(DRAIN|NOLB)/.test(status)) return "draining";
  if (status.startsWith("MAINT")) return "disabled";
  return status.toLowerCase();
}
