// Containers come and go at random, and the gateway is killed now and then. STORM_SEED has one storm again, as far
// as the machine's own timing allows; STORM_SECONDS is how long each lasts.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeGateways, startGateway } from "../e2e/gateway.ts";
import { parseLog } from "../e2e/log-lines.ts";
import { removeAll } from "../lab/containers.ts";
import { sharedEngine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Dice } from "./dice.ts";
import { Storm } from "./storm.ts";
import { HANGS, Witness, type Asked } from "./witness.ts";

const SECONDS = Number(process.env["STORM_SECONDS"] ?? 60);
const SEED = Number(process.env["STORM_SEED"] ?? Date.now() % 1_000_000);
/** What ends a storm: that all is served, and then that nothing is, in milliseconds. */
const AFTERWARDS = 120_000;
const SERVICES = ["storm/ill", "storm/two", "storm/three"];
/** The longest pause between two things that happen, in milliseconds. */
const LONGEST_PAUSE = 500;
/** The gateway is killed once for so many things that happen. */
const KILLED_EVERY = 40;

setDefaultTimeout(SECONDS * 1_000 + AFTERWARDS);

afterEach(async () => {
  await removeAll(await sharedEngine());
  closeGateways();
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test(`a storm of ${SECONDS} s, seed ${SEED}`, async () => {
    const engine = await sharedEngine();
    const { dockerHost } = engine;
    const dice = new Dice(SEED);
    const storm = await Storm.begin(engine, dice, SERVICES);
    let gateway = await startGateway({ version, dockerHost });
    const { dir, port } = gateway;
    const logs: string[] = [];
    await gateway.answers("/", 403);
    const witnesses = SERVICES.map((service) => new Witness(service, port));

    const asked: Asked[] = [];
    try {
      const end = performance.now() + SECONDS * 1_000;
      while (performance.now() < end) {
        if (dice.below(KILLED_EVERY) === 0) {
          await storm.withoutGateway(async () => {
            await gateway.kill9();
            logs.push(gateway.log());
            await Bun.sleep(dice.below(LONGEST_PAUSE));
            gateway = await startGateway({ version, dockerHost, dir, port });
            await gateway.logged(/^connected to Docker/);
          });
        }
        storm.act();
        await Bun.sleep(dice.below(LONGEST_PAUSE));
      }
      await storm.calm();
    } finally {
      // Also after a failure: the next storm has witnesses of its own.
      for (const witness of witnesses) asked.push(...(await witness.stop()));
    }

    const what = (): string => chronicle(storm.told, [...logs, gateway.log()]);
    const wrong = asked.filter((each) => !isRight(each, storm));
    expect(wrong.map(inWords), what()).toEqual([]);
    for (const service of SERVICES) {
      const names = storm.serving(service);
      for (const name of names) await gateway.served(`/${service}/`, name);
      const answered = new Set<string>();
      for (let count = 0; count < 4 * names.length; count++) {
        answered.add((await gateway.served(`/${service}/`)).name);
      }
      expect([...answered].toSorted(), what()).toEqual(names.toSorted());
    }
    await Promise.all(storm.all.map((container) => container.remove()));
    for (const service of SERVICES) await gateway.answers(`/${service}/`, 403);
    expect(await gateway.stop()).toBe(0);
  });
});

/** What was done and what the gateways told of it, in the order of time. */
function chronicle(told: readonly string[], logs: readonly string[]): string {
  const lines = parseLog(logs.join("")).map(({ time, message }) => `${time} ${message}`);
  return [...told, ...lines].toSorted().join("\n");
}

/** As a person reads it. */
function inWords({ from, to, ...rest }: Asked): object {
  const [began, ended] = [from, to].map((time) => new Date(time).toISOString());
  return { began, ended, ...rest };
}

function isRight({ service, from, to, status, by }: Asked, storm: Storm): boolean {
  if (to - from >= HANGS) return false;
  const isOwn = by.startsWith(service.replaceAll("/", "-"));
  if (status === 200) return isOwn || storm.mayStray(to);
  return storm.mayFail(service, from, to);
}
