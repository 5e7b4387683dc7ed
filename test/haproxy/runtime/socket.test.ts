// Proves that HAProxy's command line is asked as it wants to be, and given up on when it is silent.

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { askHaproxy } from "../../../src/haproxy/runtime/socket.ts";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { labDir } from "../../lab/leftovers.ts";
import { failure } from "../../lab/folder.ts";
import { startPlain, type Plain } from "../../lab/plain.ts";
import { START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** Enough for an answer that comes in many pieces. */
const BACKENDS = 2_000;

describe.each(haproxyVersions())("command line, HAProxy %s", (version) => {
  let plain: Plain;

  beforeAll(async () => {
    const names = Array.from({ length: BACKENDS }, (_, index) => `backend b${index}`);
    plain = await startPlain(
      version,
      names.map((name) => `${name}\n    server s 127.0.0.1:1\n`).join(""),
    );
  });

  afterAll(() => plain.haproxy.stop());

  test("one command", async () => {
    expect(await askHaproxy(plain.statsSocket, "show info")).toMatch(/^Name: HAProxy\nVersion: /);
  });

  test("several commands in one line are all answered, in their order", async () => {
    const answer = await askHaproxy(
      plain.statsSocket,
      "show version;show servers state b0;disable server b0/s;show servers state b0",
    );
    expect(answer).toContain(version);
    expect(
      [...answer.matchAll(/ b0 1 s 127\.0\.0\.1 \d (\d) /g)].map(([, admin]) => admin),
    ).toEqual(["0", "1"]);
  });

  test("a command that it does not know", async () => {
    expect(await askHaproxy(plain.statsSocket, "bogus")).toStartWith("Unknown command");
  });

  test("a long answer comes whole, and a long line goes whole", async () => {
    const answer = await askHaproxy(plain.statsSocket, "show servers state");
    expect([...answer.matchAll(/^\d+ b\d+ 1 s /gm)]).toHaveLength(BACKENDS);

    // The most that one line may have is some 16,000 bytes.
    const names = Array.from({ length: 500 }, (_, index) => `b${index + 1}`);
    const line = names.map((name) => `disable server ${name}/s`).join(";");
    expect(line.length).toBeGreaterThan(10_000);
    expect((await askHaproxy(plain.statsSocket, line)).trim()).toBe("");
    const after = await askHaproxy(plain.statsSocket, "show servers state");
    expect([...after.matchAll(/^\d+ b\d+ 1 s 127\.0\.0\.1 \d 1 /gm)].length).toBeGreaterThanOrEqual(
      500,
    );
  });

  test("many, one after the other", async () => {
    for (let count = 0; count < 200; count++) {
      expect(await askHaproxy(plain.statsSocket, "show version")).toContain(version);
    }
  });

  test("the master's waits for more, so it is told to quit", async () => {
    const answer = await askHaproxy(plain.haproxy.masterSocket, "show proc;quit");
    expect(answer).toContain(String(plain.haproxy.pid));
  });
});

describe("a socket where no HAProxy answers", () => {
  const dir = labDir("socket");

  test.each([
    ["is not there", () => {}, "ENOENT"],
    ["is a file", (path: string) => writeFileSync(path, ""), "ECONNREFUSED"],
    ["is a folder", (path: string) => mkdirSync(path), "ECONNREFUSED"],
  ] as const)("%s: an error that names it", async (name, make, code) => {
    const path = join(dir, name);
    make(path);
    const error = await failure(askHaproxy(path, "show info"));
    expect(error.code).toBe("haproxy");
    expect(error.message).toStartWith(`Cannot ask HAProxy at "${path}": `);
    expect((error.cause as { code?: string }).code).toBe(code);
  });

  test("accepts and is silent: given up on when the caller says so", async () => {
    await using silent = await listen(() => {});
    const waiting = new AbortController();
    const answer = failure(askHaproxy(silent.path, "show info", waiting.signal));
    await silent.asked;
    waiting.abort();
    expect((await answer).message).toStartWith(`Cannot ask HAProxy at "${silent.path}": `);
  });

  test("is asked too late: an error at once", async () => {
    await using silent = await listen(() => {});
    const answer = failure(askHaproxy(silent.path, "show info", AbortSignal.abort()));
    expect((await answer).code).toBe("haproxy");
  });

  test("breaks off in the middle: what came is the answer", async () => {
    await using half = await listen((client) => void client.end("Name: HAPr"));
    expect(await askHaproxy(half.path, "show info")).toBe("Name: HAPr");
  });

  /** Plays a socket; `asked` settles when it has received something. */
  async function listen(answer: (client: Socket) => void) {
    const path = join(dir, `${Math.random().toString(36).slice(2)}.sock`);
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const server = createServer((client) => {
      client.on("error", () => void client.destroy());
      client.once("data", () => {
        answer(client);
        resolve();
      });
    });
    await new Promise<void>((done) => void server.listen(path, done));
    return {
      path,
      asked,
      [Symbol.asyncDispose]: () => new Promise<void>((done) => void server.close(() => done())),
    };
  }
});
