// From the start of a container to its first answer: by itself, and through each contestant.

import { create, removeAll, type Container, type RunOptions } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { times } from "./cell.ts";
import {
  createFor,
  leaveOut,
  ownContestants,
  running,
  type Contestant,
  type Running,
} from "./contestants.ts";
import { inTurns } from "./rounds.ts";
import { ANSWER, firstAnswer, sturdy } from "./services.ts";
import { VERSIONS } from "./machine.ts";
import type { Bench, Column, Row } from "./table.ts";

const PORT = 8000;
/** The service that tells that a contestant serves. */
const CANARY = "bench/canary";
/** How much later than by itself it may answer, in milliseconds. */
const [LATER_P50, LATER_P95] = [2, 5];
/** Two containers take turns: so many are asked at once. */
const TURNS = 2;
/** An address that was another container's a moment ago can be out of reach for a second, in ms. */
const FORGOTTEN = 1_500;

/** In milliseconds. */
interface Times {
  /** Of the first container of a service. */
  readonly first: number[];
  /** Of one more container of it. */
  readonly further: number[];
}

/** Who is asked: a contestant, or the container itself. */
interface Asked {
  readonly column: Column;
  readonly isPeer: boolean;
  readonly contestant: Contestant | undefined;
}

/** Part `start`. */
export async function measureStart({ quick, say, peers, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  const services = Array.from({ length: quick ? 3 : 8 }, (_, index) => `bench/start-${index}`);
  for (const name of [...services, CANARY]) await importQuick(engine, name);
  const asked: Asked[] = [
    { column: "itself", isPeer: false, contestant: undefined },
    ...[...ownContestants(), ...peers].map((contestant) => ({ ...contestant, contestant })),
  ];
  const results = await inTurns(
    quick ? 2 : 4,
    asked,
    async ({ column, contestant }) => {
      const own =
        contestant === undefined
          ? await startByItself(engine, services)
          : await running(engine, contestant, (started) =>
              startThrough(engine, contestant, started, services),
            );
      say(`${column}: ${JSON.stringify(own, (_, each) => round(each))}`);
      await removeAll(engine);
      await Bun.sleep(FORGOTTEN);
      return own;
    },
    (entrant, error) => leaveOut(entrant, error, say),
  );
  const count = `${services.length} in each of ${quick ? 2 : 4} rounds`;
  return [
    toRow(`container of a new service started -> first 200, p50 / p95 of ${count}`, "first"),
    toRow("one more container of it started -> its first 200", "further"),
  ];

  function toRow(what: string, which: keyof Times): Row {
    const cells: Row["cells"] = Object.fromEntries(
      [...results].map(([{ column }, all]) => [column, times(all.map((each) => each[which]))]),
    );
    const { median = Number.NaN, p95 = Number.NaN } = cells["itself"] ?? {};
    const isNear = VERSIONS.every((version) => {
      const own = cells[version];
      const [middle = Infinity, late = Infinity] = [own?.median, own?.p95];
      return middle <= median + LATER_P50 && late <= p95 + LATER_P95;
    });
    const target = `itself + ${LATER_P50} / ${LATER_P95} ms`;
    return { what, cells, target, reached: isNear };
  }
}

function round(value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 10) / 10 : value;
}

/** An image that listens as soon as it runs, and answers with the container's name. */
async function importQuick(engine: Engine, name: string): Promise<void> {
  const serve = 'echo "$LAB_NAME" >/tmp/index.html; exec httpd -f -p 8000 -h /tmp';
  await importImage(engine, name, { cmd: ["/bin/sh", "-c", serve], expose: [PORT] });
}

async function startByItself(engine: Engine, services: readonly string[]): Promise<Times> {
  const result: Times = { first: [], further: [] };
  for (const service of services) {
    for (const which of ["first", "further"] as const) {
      const container = await create(engine, service, { name: nameOf(service, which) });
      const since = await start(container);
      const host = await container.ip();
      result[which].push(await firstAnswer({ host, port: PORT, target: "/" }, since));
    }
  }
  return result;
}

async function startThrough(
  engine: Engine,
  contestant: Contestant,
  started: Running,
  services: readonly string[],
): Promise<Times> {
  const make = (service: string, options: RunOptions): Promise<Container> =>
    createFor(engine, contestant, started, service, options);
  const answered = (service: string, body: string, since: number, atOnce = 1): Promise<number> =>
    firstAnswer(
      {
        host: "127.0.0.1",
        port: started.port,
        target: `/${service}/`,
        atOnce,
        isIt: (got) => got.trim() === body,
      },
      since,
    );
  await (await make(CANARY, { name: "canary" })).start();
  await answered(CANARY, "canary", performance.now());
  const result: Times = { first: [], further: [] };
  for (const service of services) {
    const [name, another] = [nameOf(service, "first"), nameOf(service, "further")];
    const first = await make(service, { name });
    result.first.push(await answered(service, name, await start(first)));
    // Another one takes its place, whose answers take no time.
    await start(await make(service, sturdy(0)));
    await answered(service, ANSWER, performance.now(), TURNS);
    await first.stop(0);
    const since = await start(await make(service, { name: another }));
    result.further.push(await answered(service, another, since, TURNS));
  }
  return result;
}

/** Starts a container, and tells when the call has returned. */
async function start(container: Container): Promise<number> {
  await container.start();
  return performance.now();
}

function nameOf(service: string, which: keyof Times): string {
  return `${service.replace("/", "-")}-${which}`;
}
