// What a probe found of a server never overtakes a later change of it, though it goes its own way to HAProxy.

import { expect, test } from "bun:test";
import { join } from "node:path";
import type { ServerLine } from "../../../src/config/operations.ts";
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

test("a server is moved once HAProxy knows that it was up", async () => {
  const told: string[] = [];
  const slow = Promise.withResolvers<void>();
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
          if (line.includes("health up")) await slow.promise;
          told.push(line);
          socket.end("admin\n");
        };
        void answer();
      },
    },
  });
  const place = { address: "127.0.0.1", port: await freePort() };
  const runtime = new Runtime(
    () => unix,
    () => 0,
    true,
    silent,
    10_000,
  );
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
  runtime.reset();
  haproxy.stop(true);
  await app.stop();
});
