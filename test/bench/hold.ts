// The only container of a service is replaced again and again under load: who is lost, who waits.

import { removeAll, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { costOf, WaitingTraffic, type Cost, type Outage } from "../e2e/waiting-traffic.ts";
import { Gateway } from "./gateway.ts";
import { said, type Cell } from "./cell.ts";
import { VERSIONS } from "./machine.ts";
import { ms } from "./numbers.ts";
import { inTurns } from "./rounds.ts";
import { createSturdy, firstAnswer, importSturdy } from "./services.ts";
import type { Bench, Row } from "./table.ts";

const IMAGE = "bench/only";
const RATE = 100;

/** Takes a container away, and gives the one that is there afterwards. */
type TakeAway = (engine: Engine, container: Container) => Promise<Container>;

const start = async (engine: Engine): Promise<Container> => {
  const container = await createSturdy(engine, IMAGE, 0);
  await container.start();
  return container;
};

const OUTAGES: Readonly<Record<string, TakeAway>> = {
  "is replaced at once (rm -f)": async (engine, container) => {
    await container.remove();
    return start(engine);
  },
  "is replaced in good order (stop, rm)": async (engine, container) => {
    await container.stop();
    await container.remove();
    return start(engine);
  },
  "is restarted": async (_, container) => {
    await container.stop();
    await container.start();
    return container;
  },
  "is paused for a second": async (engine, container) => {
    await engine.docker.getContainer(container.id).pause();
    await Bun.sleep(1_000);
    await engine.docker.getContainer(container.id).unpause();
    return container;
  },
};

interface Result extends Cost {
  /** In milliseconds. */
  readonly longestOutage: number;
}

/** Part `hold`. */
export async function measureHold({ quick, say, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  await importSturdy(engine, IMAGE);
  // The outages of one kind: on each version, one right after the other.
  const rounds = quick ? 1 : 2;
  const rows: Row[] = [];
  for (const [name, outage] of Object.entries(OUTAGES)) {
    const results = await inTurns(rounds, VERSIONS, async (version) => {
      const result = await underLoad(engine, version, outage, quick ? 5 : 10);
      say(`${version} ${name} ${JSON.stringify(result)}`);
      return result;
    });
    rows.push({
      what: `the only container ${name}, ${RATE} requests/s (GET, HEAD, POST): lost of all (POSTs that it had taken); longest wait beyond the outage (longest outage)`,
      cells: Object.fromEntries([...results].map(([version, all]) => [version, toCell(all)])),
      target: "0; 100 ms",
      reached: [...results.values()]
        .flat()
        .every(({ lost, excess }) => lost.length === 0 && excess <= 100),
    });
  }
  return rows;
}

function toCell(all: readonly Result[]): Cell {
  const sum = (of: (result: Result) => number): number =>
    all.reduce((total, result) => total + of(result), 0);
  const excess = Math.max(...all.map((result) => result.excess));
  const outage = Math.max(...all.map(({ longestOutage }) => longestOutage));
  const lost = `${sum((each) => each.lost.length)} of ${sum(({ requests }) => requests)}`;
  return said(`${lost} (${sum(({ cut }) => cut)}); ${ms(excess)} (${ms(outage)})`);
}

async function underLoad(
  engine: Engine,
  version: HaproxyVersion,
  outage: TakeAway,
  rounds: number,
): Promise<Result> {
  const { dockerHost } = engine;
  const gateway = await Gateway.start({ dockerHost, version, way: "runtime" });
  try {
    let container = await start(engine);
    await gateway.answers(`/${IMAGE}/`);
    const traffic = new WaitingTraffic(gateway.port, `/${IMAGE}/`, RATE);
    const outages: Outage[] = [];
    for (let round = 0; round < rounds; round++) {
      await Bun.sleep(500);
      const from = performance.now();
      container = await outage(engine, container);
      const host = await container.ip();
      await firstAnswer({ host, port: 8000, target: "/" }, performance.now());
      outages.push({ from, to: performance.now() });
    }
    await Bun.sleep(500);
    const outcomes = await traffic.stop();
    const longestOutage = Math.max(...outages.map(({ from, to }) => to - from));
    return { ...costOf(outcomes, outages), longestOutage };
  } finally {
    await gateway.stop();
    await eventually(() => removeAll(engine));
  }
}
