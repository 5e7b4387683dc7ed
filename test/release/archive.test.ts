// The archive of a release: the same twice, and what GNU's tar takes out of it.

import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { programArchive } from "../../.ci/release/archive.ts";
import { openDir, run } from "./commands.ts";

const TIME = 1_767_323_045;
const PROGRAM = Buffer.from("#!/bin/sh\necho hello\n");
const BESIDE = { "man/it.8": ".SH NAME\n", LICENSE: "MIT, © somebody\n", EMPTY: "" };

test("it has the same bytes whenever and in whatever order it is made", async () => {
  const one = programArchive("it-1", PROGRAM, BESIDE, TIME);
  // The clock of a header has seconds.
  await Bun.sleep(1_000);
  const reversed = Object.fromEntries(Object.entries(BESIDE).toReversed());
  expect(programArchive("it-1", PROGRAM, reversed, TIME)).toEqual(one);
});

test("GNU's tar lists it as root's, of that time, with the program first", async () => {
  const words = ["tar", "--utc", "--full-time", "-tvzf", "-"];
  const input = programArchive("it-1", PROGRAM, BESIDE, TIME);
  const { stdout, stderr, status } = await run(words, { input, env: { LC_ALL: "C" } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.replaceAll(/ +/g, " ").trim().split("\n")).toEqual([
    "-rwxr-xr-x root/root 21 2026-01-02 03:04:05 it-1/docker-api-gateway",
    "-rw-r--r-- root/root 0 2026-01-02 03:04:05 it-1/EMPTY",
    "-rw-r--r-- root/root 17 2026-01-02 03:04:05 it-1/LICENSE",
    "-rw-r--r-- root/root 9 2026-01-02 03:04:05 it-1/man/it.8",
  ]);
});

test("GNU's tar unpacks it", async () => {
  const into = openDir("unpacked");
  const input = programArchive("it-1", PROGRAM, BESIDE, TIME);
  const finished = await run(["tar", "-xzf", "-", "-C", into], { input });
  expect(finished).toEqual({ status: 0, stdout: "", stderr: "" });
  for (const [name, text] of Object.entries(BESIDE)) {
    expect(readFileSync(join(into, "it-1", name), "utf8")).toBe(text);
  }
  const program = join(into, "it-1/docker-api-gateway");
  expect(statSync(program).mode & 0o777).toBe(0o755);
  expect((await run([program])).stdout).toBe("hello\n");
});

// Sizes around those that fill the ten kilobytes up to which archives are padded.
test.each([8_704, 9_216, 9_728, 10_240])(
  "with a program of %d bytes it ends as it should",
  async (size) => {
    const archive = programArchive("it-1", Buffer.alloc(size, "x"), {}, TIME);
    const tar = Buffer.from(Bun.gunzipSync(archive));
    expect(tar.subarray(-1_024).every((byte) => byte === 0)).toBe(true);
    const { stderr, status } = await run(["tar", "-tzf", "-"], { input: archive });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  },
);

test("a name that no header holds is refused", () => {
  expect(() => programArchive("it-1", PROGRAM, { ["x".repeat(96)]: "" }, TIME)).toThrow(
    `Cannot archive "it-1/${"x".repeat(96)}": the name is too long`,
  );
});
