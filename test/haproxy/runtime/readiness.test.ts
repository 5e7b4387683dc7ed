// What a probe found counts only as long as nobody has told HAProxy something else of that server.

import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Operation, ServerLine } from "../../../src/config/operations.ts";
import { ReadinessProbes } from "../../../src/haproxy/runtime/readiness.ts";
import { deadEnd, startApp, type App } from "../../lab/app.ts";
import { eventually } from "../../lab/http.ts";
import { silent } from "../../lab/proxy.ts";

let app: App;
/** What is to be told to HAProxy, once it is this one's turn. */
let turns: (() => readonly string[])[];
let probes: ReadinessProbes;

beforeEach(async () => {
  app = await startApp();
  turns = [];
  probes = new ReadinessProbes(
    (settle) => {
      turns.push(settle);
      return Promise.resolve();
    },
    0,
    silent,
  );
});
afterEach(() => app.stop());

function at({ address, port }: { address: string; port: number }): ServerLine {
  const rest = { settings: ["check"], disabled: false, connectCheckOnly: true };
  return { name: "s", address, port: String(port), ...rest };
}

async function found(operation: Operation): Promise<void> {
  probes.start([operation]).goOn();
  await eventually(() => expect(turns).toHaveLength(1));
}

test("a server that answers is up", async () => {
  await found({ do: "add server", backend: "b", server: at(app) });
  expect(turns[0]?.()).toEqual(["b/s"]);
});

test("one that was moved since it answered is not", async () => {
  await found({ do: "add server", backend: "b", server: at(app) });
  const dead = at(await deadEnd());
  probes.start([{ do: "move server", backend: "b", server: dead, from: at(app) }]);
  expect(turns[0]?.()).toEqual([]);
});

test("nor is one that was taken away", async () => {
  await found({ do: "add server", backend: "b", server: at(app) });
  probes.start([{ do: "remove server", backend: "b", server: at(app) }]);
  expect(turns[0]?.()).toEqual([]);
});
