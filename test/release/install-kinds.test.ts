// Which of a release's programs install.sh takes, by what the machine says of itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDir, toolbox } from "./commands.ts";
import { NAME, runInstaller, USUAL, versionIn } from "./installer.ts";
import { releaseFiles, tinyProgram } from "./programs.ts";
import { startReleaseServer, type ReleaseServer } from "./server.ts";

const KINDS = ["linux-x64", "linux-arm64", "linux-x64-musl", "linux-arm64-musl"];

let server: ReleaseServer;
beforeAll(async () => {
  server = await startReleaseServer();
  const files = KINDS.map((kind) =>
    Object.entries(releaseFiles("2.0.0", tinyProgram("2.0.0").replace("tiny", kind), kind)),
  );
  server.add("2.0.0", Object.fromEntries(files.flat()));
});
afterAll(() => server.stop());

test.each([
  ["x86_64", "ldd (Debian GLIBC 2.36-9) 2.36", "linux-x64"],
  ["aarch64", "ldd (Ubuntu GLIBC 2.39-0ubuntu8) 2.39", "linux-arm64"],
  ["amd64", "ldd (GNU libc) 2.34", "linux-x64"],
  ["x86_64", "musl libc (x86_64)", "linux-x64-musl"],
  ["arm64", "musl libc (aarch64)", "linux-arm64-musl"],
])("on %s with %s: %s", async (machine, libc, kind) => {
  const dir = openDir("install");
  // musl's says it on standard error, and fails.
  const path = pretend(machine, "Linux", `echo '${libc}' >&2; exit 1`);
  const { status, stderr } = await runInstaller(dir, server.url, { path });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(await versionIn(dir)).toBe(`${NAME} 2.0.0 (${kind})`);
});

test.each([
  ["arm64", "Darwin", "Cannot install on Darwin: it is made for Linux"],
  ["riscv64", "Linux", "Cannot install on riscv64"],
])("none for %s with %s", async (machine, system, says) => {
  const dir = openDir("install");
  const path = pretend(machine, system, "echo GLIBC");
  const { status, stderr } = await runInstaller(dir, server.url, { path });
  expect(status).toBe(1);
  expect(stderr).toContain(says);
  expect(readdirSync(dir)).toEqual([]);
});

/** A folder for PATH whose uname and ldd say that they are of another machine. */
function pretend(machine: string, system: string, ldd: string): string {
  const path = toolbox(USUAL.filter((tool) => tool !== "uname" && tool !== "ldd"));
  const uname = `case $1 in -m) echo ${machine} ;; *) echo ${system} ;; esac`;
  writeFileSync(join(path, "uname"), `#!/bin/sh\n${uname}\n`, { mode: 0o755 });
  writeFileSync(join(path, "ldd"), `#!/bin/sh\n${ldd}\n`, { mode: 0o755 });
  return path;
}
