// What a program's file says of the machine and the C library that it is for.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { kindOf, readElf } from "../../src/cli/service/elf.ts";
import { openDir, programPath } from "./commands.ts";

test.each([
  ["x64", "/lib64/ld-linux-x86-64.so.2", "linux-x64"],
  ["arm64", "/lib/ld-linux-aarch64.so.1", "linux-arm64"],
  ["x64", "/lib/ld-musl-x86_64.so.1", "linux-x64-musl"],
  ["arm64", "/lib/ld-musl-aarch64.so.1", "linux-arm64-musl"],
])("%s with %s is %s", (machine, interpreter, kind) => {
  expect(kindOf({ machine, interpreter })).toBe(kind);
});

test("a program of this machine names its loader, as readelf has it", async () => {
  const program = programPath("readelf");
  const elf = readElf(program);
  const said = Bun.spawnSync([program, "--wide", "--program-headers", program]).stdout.toString();
  expect(elf?.machine).toBe(process.arch);
  expect(elf?.interpreter).toBe(/program interpreter: (\S+)\]/.exec(said)?.[1] ?? "none");
});

test("a static program has no loader", () => {
  expect(readElf(programPath("busybox"))).toEqual({ machine: process.arch, interpreter: "" });
});

test.each([
  ["a script", "#!/bin/sh\n".padEnd(100)],
  ["an empty file", ""],
  ["what is cut after its first bytes", "\u007fELF\u0002\u0001"],
])("%s is no program", async (_name, content) => {
  const path = join(openDir("elf"), "file");
  await Bun.write(path, content);
  expect(readElf(path)).toBeUndefined();
});
