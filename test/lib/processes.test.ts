// Real processes: what tells them apart, and when they end.

import { afterEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import {
  bootId,
  isAlive,
  ProcessWatch,
  startTime,
  type ProcessIdentity,
} from "../../src/lib/processes.ts";
import { eventually } from "../lab/http.ts";

const children: Bun.Subprocess[] = [];
let watch: ProcessWatch | undefined;

afterEach(async () => {
  watch?.close();
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

function start(...command: string[]): Bun.Subprocess {
  const child = Bun.spawn(command);
  children.push(child);
  return child;
}

function identify({ pid }: Bun.Subprocess): ProcessIdentity {
  return { pid, started: startTime(pid) ?? "gone" };
}

function sleeper(): ProcessIdentity & { readonly child: Bun.Subprocess } {
  const child = start("sleep", "60");
  return { child, ...identify(child) };
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("a process is alive as long as it runs", async () => {
  const { child, ...process } = sleeper();
  expect(isAlive(process)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  expect(isAlive(process)).toBe(false);
});

test("another process with the same number is not it", () => {
  const { pid, started } = sleeper();
  expect(isAlive({ pid, started: String(Number(started) - 1) })).toBe(false);
});

test("the program's name may hold anything", async () => {
  const child = start("bash", "-c", "printf ') Z 1 (' >/proc/self/comm; sleep 60; :");
  await eventually(() => {
    expect(readFileSync(`/proc/${child.pid}/comm`, "utf8").trim()).toBe(") Z 1 (");
  });
  expect(startTime(child.pid)).toMatch(/^\d+$/);
});

test("a process that only waits for its parent to notice its end is gone", async () => {
  // The shell is the parent, and becomes a program that never asks for its child.
  const child = Bun.spawn(["sh", "-c", "sleep 0.1 & echo $!; exec sleep 60"], { stdout: "pipe" });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  await eventually(() => {
    expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(") Z ");
  });
  expect(startTime(pid)).toBeUndefined();
});

test("the boot has an ID", () => {
  expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
});

test("each end is told once, and of each process", async () => {
  const [one, two, three] = [sleeper(), sleeper(), sleeper()];
  watch = new ProcessWatch([one, two, three]);
  expect(watch.ended()).toEqual([]);
  one.child.kill("SIGKILL");
  three.child.kill("SIGTERM");
  const ended: number[] = [];
  await eventually(() => {
    ended.push(...(watch?.ended() ?? []).map(({ pid }) => pid));
    expect(ended).toHaveLength(2);
  });
  expect(new Set(ended)).toEqual(new Set([one.pid, three.pid]));
  expect(watch.ended()).toEqual([]);
  expect(isAlive(two)).toBe(true);
});

test("it takes one descriptor for each process, and gives it back", () => {
  const process = sleeper();
  const open = openDescriptors();
  watch = new ProcessWatch([process]);
  expect(openDescriptors()).toBe(open + 1);
  watch.close();
  expect(openDescriptors()).toBe(open);
});

test("one that had ended before, and one whose number is another's, have ended", async () => {
  const [ended, living] = [sleeper(), sleeper()];
  ended.child.kill("SIGKILL");
  await ended.child.exited;
  const former = { pid: living.pid, started: "1" };
  watch = new ProcessWatch([ended, living, former]);
  expect(watch.ended()).toEqual([ended, former]);
  expect(watch.ended()).toEqual([]);
});
