// What settings cost: a request of a service with five of them, and one of a service without any, where
// others have all of them.

import type { PlayedEngine } from "../lab/played-engine.ts";
import { labels } from "../lab/labels.ts";
import { measured } from "./cell.ts";
import { VERSIONS } from "./machine.ts";
import { median } from "./numbers.ts";
import { playEngine } from "./played.ts";
import { measure, ownProxy, type Proxy } from "./proxy.ts";
import { inTurns } from "./rounds.ts";
import type { Bench, Column, Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

const SIZE = 1_000;
/** One in so many services has all settings. */
const EACH = 10;
/** The services that are asked for: without settings, and with five. */
const [PLAIN, FIVE] = [5, 7];
/** So much more may they cost than where nobody has any. */
const [BESIDE_ALLOWED, FIVE_ALLOWED] = [1.03, 1.5];

const HASH = "$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki";
const SOME = {
  allow: "127.0.0.0/8,10.0.0.0/8",
  rate: "1000000/1s",
  body: "1m",
  "headers.request.x-a": "1",
  "headers.response.x-b": "2",
};
const ALL = {
  ...SOME,
  deny: "192.0.2.0/24",
  auth: `bob:${HASH}`,
  cors: "https://a.example.com",
  redirect: "b.example.com",
  compress: "true",
  sticky: "place",
  check: "/",
  timeout: "5m",
  balance: "leastconn",
  slowstart: "10s",
  queue: "100",
};

/** What is asked for: a service where nobody has settings, where others have, or one with five. */
type Kind = "alone" | "beside" | "five";

/** Part `settings`. */
export async function measureSettings({ quick, say }: Bench): Promise<Row[]> {
  const server = await startTinyServer();
  try {
    const all: { kind: Kind; version: (typeof VERSIONS)[number]; proxy: Proxy; path: string }[] =
      [];
    for (const version of VERSIONS) {
      const plain = await ownProxy(version, playEngine(SIZE, server.port), pathOf(PLAIN));
      const mixed = await ownProxy(version, playMixed(server.port), pathOf(PLAIN));
      all.push({ kind: "alone", version, proxy: plain, path: pathOf(PLAIN) });
      all.push({ kind: "beside", version, proxy: mixed, path: pathOf(PLAIN) });
      all.push({ kind: "five", version, proxy: mixed, path: pathOf(FIVE) });
    }
    const results = await inTurns(quick ? 1 : 4, all, async ({ kind, version, proxy, path }) => {
      const rate = await measure(proxy, path, quick ? 1 : 4);
      say(`${kind} ${version}: ${JSON.stringify(rate)}`);
      return rate;
    });
    const find = (kind: Kind, version: Column): number[] =>
      [...results].flatMap(([each, rates]) =>
        each.kind === kind && each.version === version ? rates.map(({ cpu }) => cpu) : [],
      );
    const toRow = (what: string, kind: Kind, allowed?: number): Row => ({
      what,
      cells: Object.fromEntries(
        VERSIONS.map((version) => [version, measured(find(kind, version), "µs")]),
      ),
      target: allowed === undefined ? "" : `${allowed} x the first`,
      reached:
        allowed === undefined
          ? undefined
          : VERSIONS.every(
              (version) => median(find(kind, version)) <= allowed * median(find("alone", version)),
            ),
    });
    return [
      toRow("1,000 routes without settings: CPU of HAProxy for one request", "alone"),
      toRow("the same, where 100 others have all settings", "beside", BESIDE_ALLOWED),
      toRow("there, a service with five of them", "five", FIVE_ALLOWED),
    ];
  } finally {
    await server.stop();
  }
}

function pathOf(index: number): string {
  return `/bench/app-${index}/`;
}

function playMixed(port: number): PlayedEngine {
  return playEngine(SIZE, port, (index) => {
    if (index === FIVE) return labels(SOME);
    return index % EACH === 0 ? labels(ALL) : {};
  });
}
