// What takes half a minute each, side by side: the gateway killed again and again, and what hangs.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { startExternal } from "./external.ts";
import { BRIEF_HOLD, closeGateways, firstVersion, startGateway } from "./gateway.ts";
import { createNetwork } from "./network.ts";
import { isAlive } from "./processes.ts";
import { startRelay } from "./relay.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(180_000);

/** On each version. */
const KILLS = 25;
/** The gateway lives that long at most: its start, a pass and a reload all fall within. */
const LONGEST_LIFE_MS = 500;
/** The golden ratio's share of each step spreads them over all moments, the same at every run, others on each version. */
const STEP = 0.618;

let engine: Engine;
let hanging: Awaited<ReturnType<typeof startHanging>>;
let frozen: Awaited<ReturnType<typeof startFrozen>>;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["stable:1", "coming:1", "last:1", "hung:1", "thawed:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
  // Their limits are long, so they run out while the other tests run.
  hanging = await startHanging();
  frozen = await startFrozen();
});

afterAll(async () => {
  await removeAll(engine);
  closeGateways();
});

test.each(haproxyVersions())(`killed ${KILLS} times, HAProxy %s`, async (version) => {
  const { dockerHost } = engine;
  const stable = await run(engine, "stable:1");
  let gateway = await startGateway({ version, dockerHost });
  const { dir, port } = gateway;
  await gateway.served("/stable/", stable.name);
  const { master } = await gateway.haproxy();
  const traffic = new Traffic({ port, target: "/stable/", perSecond: 50 });

  const churn = new Churn(engine, "coming:1");
  for (let count = 0; count < KILLS; count++) {
    const number = haproxyVersions().indexOf(version) * KILLS + count;
    await Bun.sleep(((number * STEP) % 1) * LONGEST_LIFE_MS);
    await gateway.kill9();
    gateway = await startGateway({ version, dockerHost, dir, port });
  }
  const left = await churn.stop();

  for (const { name } of left) await gateway.served("/coming/", name);
  const answered = new Set<string>();
  for (let count = 0; count < 4 * left.length; count++) {
    answered.add((await gateway.served("/coming/")).name);
  }
  expect([...answered].toSorted()).toEqual(left.map(({ name }) => name).toSorted());

  const last = await run(engine, "last:1");
  await gateway.served("/last/", last.name);
  await Promise.all(left.map((container) => container.remove()));
  await gateway.answers("/coming/", 403);

  const { failures, requests } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(KILLS);
  expect((await gateway.haproxy()).master).toBe(master);
  expect(await gateway.stop()).toBe(0);
  await stable.remove();
  await last.remove();
});

test("a reload command that hangs is killed with all that it has started", async () => {
  const { gateway, pids, stable } = hanging;
  const line = await gateway.until(
    () => gateway.logged(/it did not end in 30 s and was killed/),
    60_000,
  );
  expect(line).toMatchObject({ level: "error" });
  const started = readFileSync(pids, "utf8").trim().split("\n").slice(0, 2).map(Number);
  expect(started.length).toBe(2);
  await eventually(() => {
    expect(started.filter(isAlive)).toEqual([]);
  });
  // Served since before it hung.
  await gateway.served("/stable/", stable.name);
  expect((await gateway.get("/hung/")).status).toBe(403);
  expect(gateway.running).toBe(true);
});

test("an Engine that falls silent is given up, and what it did meanwhile is seen", async () => {
  const { gateway, relay, gone, stable } = frozen;
  const lost = /Docker at "?tcp:.*what is served stays as it is/;
  await gateway.until(() => gateway.logged(lost), 60_000);
  expect(gateway.running).toBe(true);
  await gateway.served("/stable/", stable.name);
  await gateway.answers("/thawed/", 503);
  relay.thaw();
  await gateway.answers("/thawed/", 403);
  const next = await run(engine, "thawed:1");
  await gateway.served("/thawed/", next.name);
  await gateway.served("/stable/", stable.name);
  await relay.close();
  expect(gone.name).not.toBe(next.name);
});

/** A gateway whose Engine keeps its connections and says nothing any more. */
async function startFrozen() {
  const relay = await startRelay(engine.socket, 0);
  const gateway = await startGateway({ dockerHost: relay.dockerHost, flags: [BRIEF_HOLD] });
  const stable = await run(engine, "stable:1");
  // Nobody else gets its address there.
  await createNetwork(engine, "frozen");
  const gone = await run(engine, "thawed:1", { network: "frozen" });
  await gateway.served("/stable/", stable.name);
  await gateway.served("/thawed/", gone.name);
  relay.freeze();
  await gone.remove();
  return { gateway, relay, gone, stable };
}

/** A gateway whose reload command works once and then hangs, with a child that hangs too. */
async function startHanging() {
  const { options, haproxy } = await startExternal(firstVersion(), engine.dockerHost);
  const [command, pids] = [join(options.dir, "reload"), join(options.dir, "pids")];
  writeFileSync(
    command,
    `#!/bin/sh
if [ ! -e '${pids}' ]; then : >'${pids}'; exec kill -USR2 ${haproxy.pid}; fi
sleep 1000 &
printf '%s\\n' $$ $! >>'${pids}'
wait
`,
  );
  chmodSync(command, 0o755);
  const stable = await run(engine, "stable:1", { name: "served-before" });
  const gateway = await startGateway({
    ...options,
    dockerHost: engine.dockerHost,
    flags: ["--always-reload", `--reload-cmd=${command}`],
  });
  await gateway.served("/stable/", stable.name);
  await run(engine, "hung:1");
  await gateway.until(() => expect(readFileSync(pids, "utf8")).not.toBe(""));
  return { gateway, pids, stable };
}

/** Containers that start and stop for as long as they are let. */
class Churn {
  readonly #containers: Container[] = [];
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(
    private readonly host: Engine,
    private readonly image: string,
  ) {
    this.#done = this.#work();
  }

  /** Ends it; gives the containers that run now. */
  async stop(): Promise<Container[]> {
    this.#stopped = true;
    await this.#done;
    return this.#containers;
  }

  async #work(): Promise<void> {
    for (let count = 0; !this.#stopped; count++) {
      this.#containers.push(await run(this.host, this.image));
      if (this.#containers.length <= 2) continue;
      const first = this.#containers.shift();
      await (count % 2 === 0 ? first?.kill() : first?.stop());
      await first?.remove();
    }
  }
}
