// A HAProxy of the gateway's own that dies is started again, whatever fails about it, for ever.

import { afterEach, beforeEach, expect, jest, spyOn, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ManagedHaproxy } from "../../../src/haproxy/process/managed.ts";
import { through, turn, until, useFakeClock } from "../../lab/fake-clock.ts";
import { failure } from "../../lab/folder.ts";
import { labDir } from "../../lab/leftovers.ts";
import { listLogger } from "../../lab/proxy.ts";

let program: string;
let masterSocket: string;
let pidFile: string;
let log: string[];
/** How often it was told that it was started again. */
let restarts: number;
let listener: Bun.UnixSocketListener<undefined>;
let haproxy: ManagedHaproxy;

useFakeClock();
beforeEach(() => {
  const dir = labDir("restart");
  [program, masterSocket, pidFile] = ["haproxy", "master.sock", "pid"].map((name) =>
    join(dir, name),
  ) as [string, string, string];
  live();
  log = [];
  restarts = 0;
  // No delay is longer than it says.
  spyOn(Math, "random").mockReturnValue(0);
  listener = Bun.listen({
    unix: masterSocket,
    socket: { data: (socket, chunk) => void socket.end(answer(chunk.toString())) },
  });
  haproxy = new ManagedHaproxy(
    {
      program,
      config: "",
      masterSocket,
      replaced: () => Promise.resolve(),
      restarted: () => {
        restarts++;
        throw new Error("the callback has a bug");
      },
      explain: (message) => message,
      noticed: () => false,
    },
    listLogger(log),
  );
});
afterEach(() => {
  haproxy.closeNow();
  listener.stop(true);
  jest.restoreAllMocks();
});

/** What the program does when it is started. */
function runWith(...commands: readonly string[]): void {
  writeFileSync(program, ["#!/bin/sh", ...commands, ""].join("\n"), { mode: 0o755 });
}

/** From now on it comes up, and lives. */
function live(): void {
  runWith(`echo $$ > ${pidFile}.new`, `mv ${pidFile}.new ${pidFile}`, "exec sleep 60");
}

/** The number of the process that was started last; 0 where none was. */
function pid(): number {
  return existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : 0;
}

/** The master's answer: one process that is its own worker. */
function answer(question: string): string {
  if (question.includes("show info")) return `Pid: ${pid()}\n`;
  return pid() === 0
    ? ""
    : `${pid()} master 0 [failed: 0] 0d00h00m01s\n${pid()} worker 0 0d00h00m01s\n`;
}

/** Lets the clock go on, timer by timer, until this is logged so often. */
async function logged(text: string, times = 1): Promise<void> {
  for (let steps = 0; log.filter((line) => line.includes(text)).length < times; steps++) {
    if (steps > 2_000) throw new Error(`"${text}" was not logged: ${log.join("\n")}`);
    // A process needs its time to start, whatever the clock says.
    Bun.sleepSync(1);
    for (let turns = 0; turns < 20; turns++) await turn();
    jest.advanceTimersToNextTimer();
  }
}

/** Kills it, as a bug of its own does. */
function kill(): void {
  const old = pid();
  rmSync(pidFile);
  process.kill(old, "SIGKILL");
}

test("it is started again though the one who is told of it fails, and again after that", async () => {
  const starting = haproxy.start();
  await logged("started HAProxy");
  await starting;
  for (let times = 1; times <= 3; times++) {
    kill();
    await logged("ended by itself", times);
    await logged("started HAProxy", times + 1);
    await logged("error: the callback has a bug (trying again)", times);
    expect(restarts).toBe(times);
  }
  expect(await haproxy.pids()).toEqual([pid(), pid()]);
});

test("one that does not come up is tried again, with what it says", async () => {
  const starting = haproxy.start();
  await logged("started HAProxy");
  await starting;
  runWith('echo "[ALERT] (1) : cannot bind"', "exit 1");
  kill();
  await logged("error: Cannot start HAProxy: it ended at once (trying again)", 2);
  expect(log).toContain("error:   [ALERT] (1) : cannot bind");
  live();
  await logged("started HAProxy", 2);
  expect(restarts).toBe(1);
});

test.each([
  ["close", async () => through(haproxy.close())],
  ["closeNow", async () => Promise.resolve(haproxy.closeNow())],
])("one that is just starting ends too, by %s", async (_, close) => {
  // It never answers on its master socket.
  const file = `${pidFile}.silent`;
  runWith(`echo $$ > ${file}`, "exec sleep 60");
  const starting = failure(haproxy.start());
  await until(() => existsSync(file) && readFileSync(file, "utf8") !== "");
  await close();
  expect((await starting).message).toBe("Cannot start HAProxy: it ended at once");
  expect(existsSync(`/proc/${readFileSync(file, "utf8").trim()}`)).toBe(false);
});
