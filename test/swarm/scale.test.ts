// A large swarm that changes all the time, played: HAProxy gets to be right, without a reload, and little is
// read for that. How soon it is right and what a pass costs, `npm run bench -- swarm` measures.

import { expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { median } from "../bench/numbers.ts";
import { tryLargeSwarm } from "../bench/swarm-trial.ts";

setDefaultTimeout(300_000);

test.each(haproxyVersions())("HAProxy %s keeps in step with 3,000 tasks", async (version) => {
  const { calm, toldOfChange, reloads, wrong, changes, served } = await tryLargeSwarm({
    version,
    nodes: 100,
    services: 300,
    tasks: 3_000,
    rate: 20,
    seconds: 16,
    // Services are asked quickly for some seconds after the start.
    rest: 6,
    lossEvery: 12,
    soon: 10_000,
    say() {},
  });
  expect([reloads, wrong]).toEqual([[], []]);
  expect(changes).toBeGreaterThan(150);
  expect(median(served)).toBeLessThan(10_000);
  // All tasks are 4 MB, and a question for all of them each second is what it must not be.
  expect(calm.told).toBeLessThan(3);
  // A service is asked about for some seconds after each change. All tasks for each question would be 5 MB.
  expect(toldOfChange).toBeLessThan(1);
});
