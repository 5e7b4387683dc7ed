// What HAProxy is told of a server comes in its order, though it goes several ways: by plans, by probes, and at once.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { WAITING_ROOM, type Operation, type ServerLine } from "../../../src/config/operations.ts";
import { Runtime } from "../../../src/haproxy/runtime/runtime.ts";
import { deadEnd, freePort, startApp } from "../../lab/app.ts";
import { labDir } from "../../lab/leftovers.ts";
import { silent } from "../../lab/proxy.ts";

/** Longer than a command takes, in milliseconds. */
const A_WHILE = 100;

function at({ address, port }: { address: string; port: number }): ServerLine {
  const rest = { settings: ["check"], disabled: false, connectCheckOnly: true, cookieKey: "" };
  return { name: "s", address, port: String(port), ...rest };
}

/** A HAProxy that notes what it is told. @param before what it waits for before it answers a line */
function noting(before: (line: string) => Promise<void> = () => Promise.resolve()) {
  const told: string[] = [];
  const unix = join(labDir("order"), "admin.sock");
  const haproxy = Bun.listen({
    unix,
    socket: {
      data: (socket, chunk) => {
        const line = chunk.toString().trim();
        if (line === "show info") {
          socket.end("Version: 3.4.7\nPid: 1\nStart_time_sec: 1\n");
          return;
        }
        const answer = async (): Promise<void> => {
          await before(line);
          told.push(line);
          socket.end("admin\n");
        };
        void answer();
      },
    },
  });
  const runtime = new Runtime(
    () => unix,
    () => 0,
    true,
    silent,
    10_000,
  );
  const stop = (): void => {
    runtime.reset();
    haproxy.stop(true);
  };
  return { told, runtime, stop };
}

test("a server is moved once HAProxy knows that it was up", async () => {
  const slow = Promise.withResolvers<void>();
  const { told, runtime, stop } = noting(async (line) => {
    if (line.includes("health up")) await slow.promise;
  });
  const place = { address: "127.0.0.1", port: await freePort() };
  await runtime.execute([{ do: "enable server", backend: "b", server: at(place) }]);
  const app = await startApp({ port: place.port });
  // The probe finds it soon.
  await Bun.sleep(A_WHILE);
  const server = at(await deadEnd());
  const moving = runtime.execute([{ do: "move server", backend: "b", server, from: at(place) }]);
  await Bun.sleep(A_WHILE);
  slow.resolve();
  await moving;
  const order = told.filter((line) => /health up| addr /.test(line));
  expect(order.map((line) => (line.includes(" addr ") ? "moved" : "up"))).toEqual(["up", "moved"]);
  stop();
  await app.stop();
});

test.each<[string, (server: ServerLine) => Operation]>([
  ["enables", (server) => ({ do: "enable server", backend: "b", server })],
  ["moves", (server) => ({ do: "move server", backend: "b", server, from: server })],
  ["adds", (server) => ({ do: "add server", backend: "b", server })],
])("a plan that %s a server does not undo that it was drained since", async (_, toOperation) => {
  const { told, runtime, stop } = noting();
  const operation = toOperation(at(await deadEnd()));
  const planned = runtime.overrides;
  runtime.drain("b", "s");
  await runtime.execute([operation], planned);
  const states = told.flatMap(
    (line) => line.match(/(?<=state )(?:drain|maint|ready)|enable server/g) ?? [],
  );
  expect(new Set(states)).toEqual(new Set(["drain"]));
  expect([...runtime.overridden]).toEqual(["b/s"]);
  // One that was made since does.
  await runtime.execute([operation]);
  expect(told.join("\n")).toMatch(/state ready|enable server/);
  expect([...runtime.overridden]).toEqual([]);
  stop();
});

test("of a server that is removed nothing is remembered, though it was drained since", async () => {
  const { runtime, stop } = noting();
  const planned = runtime.overrides;
  runtime.drain("b", "s");
  const server = at(await deadEnd());
  await runtime.execute([{ do: "remove server", backend: "b", server }], planned);
  expect([...runtime.overridden]).toEqual([]);
  stop();
});

test("a plan does not close a waiting room that was opened since", async () => {
  const { told, runtime, stop } = noting();
  const server = { ...at(await deadEnd()), name: WAITING_ROOM, disabled: true };
  const planned = runtime.overrides;
  runtime.openWaitingRoom("b");
  await runtime.execute([{ do: "drain server", backend: "b", server }], planned);
  expect(told.filter((line) => line.includes("state"))).toEqual([
    expect.stringContaining(`b/${WAITING_ROOM} state ready`),
  ]);
  stop();
});
