// What 10,000 services take of the gateway's memory and of HAProxy's, and whether changes leave anything.

import type { HaproxyVersion } from "../lab/haproxy.ts";
import type { PlayedEngine } from "../lab/played-engine.ts";
import { measured, said, type Cell } from "./cell.ts";
import { Gateway } from "./gateway.ts";
import { VERSIONS } from "./machine.ts";
import { digits, median } from "./numbers.ts";
import { playedContainer, playEngine } from "./played.ts";
import { ownMemory, withDescendants } from "./processes.ts";
import { inTurns } from "./rounds.ts";
import { row, type Bench, type Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

/** What is there without services costs as much as with so many. */
const FEW = 10;
const KILOBYTES = 1_024;
/** Bun gives memory back while it is quiet, for so long after the last change. In milliseconds. */
const AT_REST = 40_000;
/** So many services take turns in coming and going, all of them at once. */
const TURNS = 50;
/** Changed services have other names than those that stay. */
const CHANGING = 20_000;
/** The most that the gateway may take in all, in megabytes, and for a service, in kilobytes. */
const [MOST, MOST_EACH] = [40, 4];
/** How much more it may be after many changes than after few, in megabytes. */
const LEFT_OVER = 5;

/** Memory that is the processes' own, in megabytes. */
interface Taken {
  readonly gateway: number;
  readonly haproxy: number;
}

interface Entrant {
  readonly version: (typeof VERSIONS)[number];
  readonly services: number;
}

/** Part `memory`. */
export async function measureMemory({ quick, say }: Bench): Promise<Row[]> {
  const server = await startTinyServer();
  const many = quick ? 1_000 : 10_000;
  const rest = quick ? 5_000 : AT_REST;
  try {
    const entrants = VERSIONS.flatMap((version) =>
      [FEW, many].map((services): Entrant => ({ version, services })),
    );
    const results = await inTurns(quick ? 1 : 2, entrants, async ({ version, services }) => {
      const taken = await withGateway(version, services, server.port, async (gateway) => {
        await Bun.sleep(rest);
        return takenBy(gateway);
      });
      say(`${version}, ${services} services: ${JSON.stringify(taken)} MB`);
      return taken;
    });
    const of = (version: string, services: number, part: keyof Taken): number[] =>
      [...results].flatMap(([entrant, all]) =>
        entrant.version === version && entrant.services === services
          ? all.map((taken) => taken[part])
          : [],
      );
    return [
      ...restRows(many, of),
      await changeRow(server.port, quick ? 1_000 : 100_000, rest, say),
    ];
  } finally {
    await server.stop();
  }
}

function restRows(
  many: number,
  of: (version: string, services: number, part: keyof Taken) => number[],
): Row[] {
  const each = (version: string, part: keyof Taken): number =>
    ((median(of(version, many, part)) - median(of(version, FEW, part))) * KILOBYTES) / (many - FEW);
  const perService = (part: keyof Taken): Row["cells"] =>
    eachVersion((version) => said(`${digits(each(version, part))} kB`));
  const inAll = (services: number, part: keyof Taken): Row["cells"] =>
    eachVersion((version) => measured(of(version, services, part), "MB"));
  const title = `${many.toLocaleString("en-US")} services at rest`;
  return [
    row(`${FEW} services at rest: the gateway's own memory`, inAll(FEW, "gateway")),
    row(`${FEW} services at rest: HAProxy's own memory`, inAll(FEW, "haproxy")),
    {
      what: `${title}: the gateway's own memory`,
      cells: inAll(many, "gateway"),
      target: `${MOST} MB`,
      reached: VERSIONS.every((version) => median(of(version, many, "gateway")) < MOST),
    },
    {
      what: "of that for a service",
      cells: perService("gateway"),
      target: `${MOST_EACH} kB`,
      reached: VERSIONS.every((version) => each(version, "gateway") < MOST_EACH),
    },
    row(`${title}: HAProxy's own memory`, inAll(many, "haproxy")),
    row("of that for a service", perService("haproxy")),
  ];
}

function eachVersion(toCell: (version: string) => Cell): Row["cells"] {
  return Object.fromEntries(VERSIONS.map((version) => [version, toCell(version)]));
}

async function changeRow(
  port: number,
  total: number,
  rest: number,
  say: Bench["say"],
): Promise<Row> {
  const few = 2 * TURNS;
  const version = "3.4";
  const { before, after, reloads } = await withGateway(
    version,
    FEW,
    port,
    async (gateway, engine) => {
      await change(gateway, engine, port, few);
      await Bun.sleep(rest);
      const first = takenBy(gateway);
      await change(gateway, engine, port, total - few);
      await Bun.sleep(rest);
      return { before: await first, after: await takenBy(gateway), reloads: gateway.reloads };
    },
  );
  say(`after changes: ${JSON.stringify({ before, after, reloads })}`);
  const text = (part: keyof Taken): string =>
    `${digits(after[part])} - ${digits(before[part])} = ${digits(after[part] - before[part])} MB`;
  return {
    what: `own memory after ${total.toLocaleString("en-US")} changes, less that after ${few}: the gateway; HAProxy`,
    cells: { [version]: said(`${text("gateway")}; ${text("haproxy")}`) },
    target: `${LEFT_OVER} MB`,
    reached: after.gateway - before.gateway <= LEFT_OVER,
  };
}

/** Services start and end, all of them at once, until there were so many changes. */
async function change(
  gateway: Gateway,
  engine: PlayedEngine,
  port: number,
  changes: number,
): Promise<void> {
  const containers = Array.from({ length: TURNS }, (_, index) =>
    playedContainer(CHANGING + index, port),
  );
  for (let count = 0; count < changes; count += 2 * TURNS) {
    const routed = containers.map(({ id }) => gateway.says("routed", id));
    for (const container of containers) engine.add(container);
    await Promise.all(routed);
    const removed = containers.map(({ id }) => gateway.says("removed", id));
    for (const { id } of containers) engine.remove(id);
    await Promise.all(removed);
    // The played Engine keeps what it was asked, for tests that look at it.
    engine.asked.length = 0;
    engine.queries.length = 0;
  }
}

async function takenBy(gateway: Gateway): Promise<Taken> {
  const worker = await gateway.worker();
  const others = withDescendants([gateway.pid]).filter((pid) => pid !== gateway.pid);
  const haproxy = [...new Set([worker, ...others])].reduce((sum, pid) => sum + ownMemory(pid), 0);
  return { gateway: ownMemory(gateway.pid), haproxy };
}

async function withGateway<T>(
  version: HaproxyVersion,
  services: number,
  port: number,
  task: (gateway: Gateway, engine: PlayedEngine) => Promise<T>,
): Promise<T> {
  const engine = playEngine(services, port);
  const { dockerHost } = engine;
  // So many changes are held back in the log, but for its lowest level.
  const gateway = await Gateway.start({ dockerHost, version, way: "runtime", logLevel: "debug" });
  try {
    for (const index of [0, services - 1]) await gateway.answers(`/bench/app-${index}/`);
    return await task(gateway, engine);
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}
