// HAProxy under a low limit of open files: it takes fewer connections, says so, and starts again.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { PlayedEngine } from "../lab/played-engine.ts";
import { closeGateways, startGateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: PlayedEngine;
let server: Bun.Server<undefined>;

beforeEach(() => {
  engine = new PlayedEngine(join(labDir("played"), "engine.sock"));
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("here") });
});

afterEach(async () => {
  closeGateways();
  await engine.stop();
  await server.stop(true);
});

/** Adds so many services, all of one server. */
function addServices(count: number): void {
  const { port = 0 } = server;
  for (let number = 1; number <= count; number++) {
    const id = String(number).padStart(64, "0");
    engine.add({ id, name: `c${number}`, image: `few/i${number}`, ip: "127.0.0.1", port });
  }
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test.each([
    // Beside its own files a quarter of them is for connections, which take two each.
    [256, 60, 52],
    [64, 1, 4],
  ])(
    "with %d open files at most it serves %d services, also when it died",
    async (files, count, most) => {
      addServices(count);
      const gateway = await startGateway({
        version,
        dockerHost: engine.dockerHost,
        prefix: ["sh", "-c", `ulimit -n ${files}; exec "$@"`, "sh"],
      });
      const serves = (): Promise<void> =>
        gateway.until(async () => {
          for (const number of [1, count]) {
            expect((await gateway.get(`/few/i${number}/`)).body).toBe("here");
          }
        });
      await serves();
      const line = await gateway.logged(/^HAProxy takes /);
      expect([line.level, line.message]).toEqual([
        "warn",
        `HAProxy takes ${most} connections at most, as it may have only ${files} files open: ` +
          "raise it (ulimit -Hn, or LimitNOFILE= in the unit) and restart HAProxy",
      ]);
      await gateway.confirmed();
      const { worker } = await gateway.haproxy();
      process.kill(worker, "SIGKILL");
      await gateway.logged(/ended by itself/);
      await serves();
      expect(gateway.count(/Cannot raise FD limit/)).toBe(0);
    },
  );

  test("with more services than fit, it starts again with fewer connections", async () => {
    addServices(170);
    const gateway = await startGateway({
      version,
      dockerHost: engine.dockerHost,
      prefix: ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"],
    });
    await gateway.until(async () => {
      expect((await gateway.get("/few/i170/")).body).toBe("here");
    });
    const { message } = await gateway.logged(/^HAProxy takes /);
    // Half of 52, or half of that: 2.6 has more files of its own than 3.4.
    expect(message).toMatch(/^HAProxy takes (26|13) connections at most/);
  });
});
