// From the start of a container to its first answer through the gateway.

import { create, removeAll, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { Gateway, WAYS, type Way } from "./gateway.ts";
import { VERSIONS } from "./machine.ts";
import { digits, median, p50p95 } from "./numbers.ts";
import { firstAnswer, importServices } from "./services.ts";
import type { Bench, Row } from "./table.ts";

const PORT = 8000;
/** The image of the containers that are asked directly. */
const DIRECT = "bench/direct";
const WITHIN = 20;
const SOONER = 10;

interface Times {
  readonly direct: readonly number[];
  readonly gateway: readonly number[];
}

/** Part `start`. */
export async function measureStart({ quick, say, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  const services = Array.from({ length: quick ? 10 : 50 }, (_, index) => `bench/start-${index}`);
  await importServices(engine, [...services, DIRECT]);
  const rows: Row[] = [];
  for (const version of VERSIONS) {
    const times = {
      runtime: undefined as Times | undefined,
      reload: undefined as Times | undefined,
    };
    for (const way of WAYS) {
      times[way] = await startAll(engine, services, version, way);
      say(`${version} ${way}: ${JSON.stringify(summary(times[way]))}`);
    }
    const [now, old] = [times.runtime, times.reload];
    if (now === undefined || old === undefined) throw new Error("nothing was measured");
    const [nowP50, oldP50] = [median(now.gateway), median(old.gateway)];
    const inTime = version === "2.6" || nowP50 <= WITHIN;
    rows.push(
      {
        what: `container of a new service started -> first 200 through the gateway, p50 / p95 of ${services.length}`,
        version,
        now: p50p95(now.gateway),
        old: p50p95(old.gateway),
        target: version === "2.6" ? `${SOONER} x sooner` : `p50 ${WITHIN} ms, ${SOONER} x sooner`,
        reached: inTime && oldP50 / nowP50 >= SOONER,
      },
      {
        what: "a container asked directly, in turns with these",
        version,
        now: p50p95(now.direct),
        old: p50p95(old.direct),
        target: "",
        reached: undefined,
      },
    );
  }
  return rows;
}

function summary({ direct, gateway }: Times): object {
  return { direct: p50p95(direct), gateway: p50p95(gateway), all: gateway.map(digits).join(" ") };
}

/**
 * One service after the other, and in between containers that are asked directly: not both at the
 * same time, as who asks again and again takes CPU away from the other. All of them stay until the
 * end: an address that was another container's a moment ago can be out of reach for a second.
 */
async function startAll(
  engine: Engine,
  services: readonly string[],
  version: HaproxyVersion,
  way: Way,
): Promise<Times> {
  const gateway = await Gateway.start({ dockerHost: engine.dockerHost, version, way });
  const direct: number[] = [];
  const through: number[] = [];
  try {
    await gateway.answers("/", 403);
    for (const service of services) {
      const asked = await start(engine, DIRECT, `direct-${direct.length}`);
      const host = await asked.container.ip();
      direct.push(await firstAnswer({ host, port: PORT, target: "/" }, asked.since));

      const { since } = await start(engine, service, service.replace("/", "-"));
      const target = `/${service}/`;
      through.push(await firstAnswer({ host: "127.0.0.1", port: gateway.port, target }, since));
    }
    return { direct, gateway: through };
  } catch (error) {
    throw new Error(`with the gateway's log:\n${gateway.log}`, { cause: error });
  } finally {
    await removeAll(engine);
    await gateway.stop();
  }
}

/** Starts a container, and tells when the call has returned. */
async function start(
  engine: Engine,
  image: string,
  name: string,
): Promise<{ readonly container: Container; readonly since: number }> {
  const container = await create(engine, image, { name });
  await container.start();
  return { container, since: performance.now() };
}
