// Proves that the master of every HAProxy is understood: its workers, its reloads and its refusals.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  spyOn,
  test,
} from "bun:test";
import {
  awaitNewWorker,
  reloadMaster,
  showProcesses,
} from "../../../src/haproxy/process/master.ts";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { connect, eventually, requestBytes } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { failure } from "../../lab/folder.ts";
import { startPlain, takePort, type Plain } from "../../lab/plain.ts";
import { START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("master, HAProxy %s", (version) => {
  let plain: Plain;
  let socket: string;

  beforeEach(async () => {
    plain = await startPlain(version);
    socket = plain.haproxy.masterSocket;
  });

  afterEach(() => plain.haproxy.stop());

  test("it tells of itself and its worker", async () => {
    const processes = await showProcesses(socket);
    const [worker, ...others] = processes.workers;
    expect(processes).toMatchObject({ master: plain.haproxy.pid, reloads: 0, failed: 0 });
    expect(others).toEqual([]);
    expect(worker?.pid).not.toBe(plain.haproxy.pid);
    expect(parentOf(worker?.pid)).toBe(plain.haproxy.pid);
    await eventually(async () =>
      expect((await showProcesses(socket)).workers[0]?.uptime).toBeGreaterThan(0),
    );
  });

  test("a reload: another worker, which serves what is new", async () => {
    const before = await showProcesses(socket);
    plain.answerWith("second");
    await reloadMaster(socket);
    await awaitNewWorker(socket, before);
    const after = await showProcesses(socket);
    expect(after).toMatchObject({ master: before.master, reloads: 1, failed: 0 });
    expect(after.workers.map(({ pid }) => pid)).not.toEqual(before.workers.map(({ pid }) => pid));
    await eventually(async () => expect(await plain.ask()).toBe("second"));
  });

  test("an old worker that still has a connection is none of its workers", async () => {
    const before = await showProcesses(socket);
    const client = await connect({ port: plain.port });
    // Half a request keeps it from ending.
    client.send(requestBytes({ port: plain.port, method: "POST", body: "x" }).slice(0, 20));
    await reloadMaster(socket);
    await awaitNewWorker(socket, before);
    const { workers } = await showProcesses(socket);
    expect(workers.length).toBe(1);
    expect(workers[0]?.pid).not.toBe(before.workers[0]?.pid ?? 0);
    client.close();
  });

  test("a configuration that it refuses: an error each time, and the old one is served", async () => {
    for (const _ of ["first", "again"]) {
      const before = await showProcesses(socket);
      plain.spoil();
      const error = await failure(reload(before));
      expect(error.code).toBe("haproxy");
      expect(error.message).toStartWith("Cannot reload HAProxy: ");
      expect(error.lines.filter((line) => /NOTICE/.test(line))).toEqual([]);
      // HAProxy 2.6 tells only its own log why.
      if (version !== "2.6") expect(error.lines.join("\n")).toContain("no-such-word");
      expect(await plain.ask()).toBe("first");
    }
    const before = await showProcesses(socket);
    plain.answerWith("second");
    await reload(before);
    expect((await showProcesses(socket)).failed).toBe(0);
    await eventually(async () => expect(await plain.ask()).toBe("second"));
  });

  test("many reloads in a row: each is confirmed, and nobody is turned away", async () => {
    const end = new AbortController();
    const answers: string[] = [];
    const asking = (async () => {
      while (!end.signal.aborted) answers.push(await plain.ask());
    })();
    for (let count = 0; count < 8; count++) {
      const before = await showProcesses(socket);
      plain.answerWith(`round-${count}`);
      await reload(before);
    }
    await eventually(async () => expect(await plain.ask()).toBe("round-7"));
    end.abort();
    await asking;
    expect(answers.filter((text) => !/^(first|round-\d)$/.test(text))).toEqual([]);
    expect(answers.length).toBeGreaterThan(8);
  });

  async function reload(before: Awaited<ReturnType<typeof showProcesses>>): Promise<void> {
    await reloadMaster(socket);
    await awaitNewWorker(socket, before);
  }
});

describe.each(haproxyVersions())("a port that is another's, HAProxy %s", (version) => {
  let plain: Plain;
  let taken: number;
  let release: () => void;

  beforeAll(async () => {
    [taken, release] = await takePort();
    plain = await startPlain(version);
  });

  afterAll(async () => {
    release();
    await plain.haproxy.stop();
  });

  // HAProxy tries for two seconds. Whoever signals the master is told nothing, and since 3.1 it
  // lists the worker meanwhile.
  test.each(["over the socket", "by a signal", "by a signal, again"])(
    "told %s: an error, and the old one is served",
    async (how) => {
      const socket = plain.haproxy.masterSocket;
      const before = await showProcesses(socket);
      plain.claim(taken);
      const reload = async (): Promise<void> => {
        if (how === "over the socket") await reloadMaster(socket);
        else process.kill(plain.haproxy.pid, "SIGUSR2");
        await awaitNewWorker(socket, before);
      };
      expect((await failure(reload())).message).toStartWith("Cannot reload HAProxy: ");
      await eventually(async () => expect(await plain.ask()).toBe("first"));
    },
  );

  test("and after that a good one is taken", async () => {
    const socket = plain.haproxy.masterSocket;
    const before = await showProcesses(socket);
    plain.answerWith("second");
    process.kill(plain.haproxy.pid, "SIGUSR2");
    await awaitNewWorker(socket, before);
    await eventually(async () => expect(await plain.ask()).toBe("second"));
  });
});

describe("a master that does not do as it should", () => {
  const dir = labDir("master");
  const socket = join(dir, "master.sock");

  test("is not there: an error that names its socket", async () => {
    const error = await failure(showProcesses(socket));
    expect([error.code, error.message]).toEqual([
      "haproxy",
      expect.stringContaining(`Cannot ask HAProxy at "${socket}"`),
    ]);
  });

  test("left its socket behind: the same", async () => {
    writeFileSync(socket, "");
    expect((await failure(showProcesses(socket))).message).toContain(`"${socket}"`);
    rmSync(socket);
  });

  test("never starts a new worker: an error after a while, which time alone decides", async () => {
    const line = "1 master 1 [failed: 0] 0d00h00m09s 3.4\n# workers\n2 worker 0 0d00h00m05s 3.4\n";
    await using server = await listen(line);
    const before = await showProcesses(server.path);
    let jump = 0;
    const now = Date.now;
    const clock = spyOn(Date, "now").mockImplementation(() => now() + jump);
    try {
      const waiting = failure(awaitNewWorker(server.path, before));
      await eventually(() => expect(server.asked()).toBeGreaterThan(2));
      jump = 60_000;
      expect((await waiting).message).toBe(
        "Cannot reload HAProxy: not confirmed in 15 s: no new worker started",
      );
    } finally {
      clock.mockRestore();
    }
  });

  test("hangs up without an answer, as while it executes itself again: it is asked again", async () => {
    const line = "1 master 1 [failed: 0] 0d00h00m09s 3.4\n# workers\n2 worker 0 0d00h00m05s 3.4\n";
    await using server = await listen(line, 2);
    expect((await showProcesses(server.path)).master).toBe(1);
    expect(server.asked()).toBe(3);
  });

  /** Plays a master that gives one answer to everything, but hangs up the first times. */
  async function listen(answer: string, hangUps = 0) {
    let asked = 0;
    const path = join(dir, `played-${Math.random().toString(36).slice(2)}.sock`);
    const server = createServer((client) => {
      asked++;
      if (asked <= hangUps) client.resume().end();
      else client.once("data", () => void client.end(answer));
      client.on("error", () => void client.destroy());
    });
    await new Promise<void>((resolve) => void server.listen(path, resolve));
    return {
      path,
      asked: () => asked,
      [Symbol.asyncDispose]: () => new Promise<void>((done) => void server.close(() => done())),
    };
  }
});

function parentOf(pid: number | undefined): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
