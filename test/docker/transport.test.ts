// The ssh program is started again whenever it has ended, in whatever way. It is played by a script.

import { afterEach, beforeEach, expect, mock, spyOn, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTransport, type Transport } from "../../src/docker/transport.ts";
import { failure } from "../lab/folder.ts";
import { eventually } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";

const spawn = Bun.spawn;

let folder: string;
let transport: Transport;

beforeEach(() => {
  folder = labDir("ssh");
  // Bun looks a program up by the PATH that the tests were started with.
  const spawnPlayed = ([, ...words]: string[], options: object): Bun.Subprocess =>
    spawn([join(folder, "ssh"), ...words], options);
  spyOn(Bun, "spawn").mockImplementation(spawnPlayed as typeof Bun.spawn);
  const host = { kind: "ssh", destination: "far", port: "", path: "/docker.sock" } as const;
  transport = createTransport(host, undefined);
});
afterEach(() => {
  transport.close();
  mock.restore();
});

/** Plays ssh: writes its process number into a file, and goes on with these lines. */
function playSsh(...lines: readonly string[]): void {
  const script = ["#!/bin/sh", `echo $$ >>${folder}/started`, ...lines, ""].join("\n");
  writeFileSync(join(folder, "ssh"), script, { mode: 0o755 });
}

/** The process numbers of all ssh programs that were started. */
function started(): number[] {
  return readFileSync(join(folder, "started"), "utf8").trim().split("\n").map(Number);
}

/** Makes the socket that `-L` names, and stays. */
const CONNECTS = [
  `for word; do case $word in -L*) path=\${word#-L}; : >"\${path%%:*}";; esac; done`,
  "exec sleep 60",
];

test("one that runs is kept", async () => {
  playSsh(...CONNECTS);
  await transport.open();
  await transport.open();
  expect(started()).toHaveLength(1);
});

test.each(["SIGKILL", "SIGTERM"] as const)("one that %s ended is started again", async (signal) => {
  playSsh(...CONNECTS);
  await transport.open();
  process.kill(started()[0] ?? 0, signal);
  await eventually(async () => {
    await transport.open();
    expect(started()).toHaveLength(2);
  });
});

test.each([
  ["with a status", "exit 255"],
  ["by a signal", "kill -KILL $$"],
])("one that ends %s before it connects is told at once, with its words", async (_, end) => {
  playSsh("echo far: no such host >&2", end);
  const { message, lines } = await failure(transport.open());
  expect(message).toBe('Cannot reach Docker at "ssh://far": ssh failed');
  expect(lines).toEqual(["far: no such host"]);
});
