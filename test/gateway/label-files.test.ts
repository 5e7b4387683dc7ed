// The files that labels name: only those below the operator's folders are read, and each change is seen.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LabelFiles, requireFolders } from "../../src/gateway/label-files.ts";
import { labDir } from "../lab/leftovers.ts";

let dir: string;
let folder: string;
let files: LabelFiles;

beforeEach(() => {
  dir = labDir("files");
  folder = join(dir, "open");
  mkdirSync(join(folder, "sub"), { recursive: true });
  writeFileSync(join(folder, "page"), "page");
  writeFileSync(join(folder, "sub", "page"), "sub");
  writeFileSync(join(dir, "secret"), "secret");
  mkdirSync(join(dir, "openly"));
  writeFileSync(join(dir, "openly", "secret"), "secret");
  files = new LabelFiles([join(dir, "none"), folder]);
});

afterEach(() => rmSync(dir, { recursive: true }));

const read = (path: string, most = 100) => files.read(join(folder, path), most);
const OUTSIDE = { problem: expect.stringContaining("it is not below") as string };

test("what is below a folder is read", () => {
  expect(read("page")).toEqual({ text: "page" });
  expect(read("sub/page")).toEqual({ text: "sub" });
  expect(read("sub/../page")).toEqual({ text: "page" });
  symlinkSync("sub/page", join(folder, "inner"));
  expect(read("inner")).toEqual({ text: "sub" });
});

test("a folder may be a symbolic link itself", () => {
  symlinkSync(folder, join(dir, "link"));
  files = new LabelFiles([join(dir, "link")]);
  expect(files.read(join(dir, "link", "page"), 100)).toEqual({ text: "page" });
});

test("nothing else is", () => {
  symlinkSync("../secret", join(folder, "out"));
  symlinkSync("..", join(folder, "up"));
  symlinkSync("/dev/zero", join(folder, "zero"));
  for (const path of ["../secret", "out", "up/secret", "zero", "../openly/secret", "."]) {
    expect(read(path)).toEqual(OUTSIDE);
  }
  expect(files.read("/etc/passwd", 10_000)).toEqual(OUTSIDE);
});

test("what is elsewhere is not even opened", () => {
  // Nobody can open a socket: the system would say so.
  using socket = Bun.listen({ unix: join(dir, "socket"), socket: { data: () => undefined } });
  expect(socket).toBeDefined();
  symlinkSync("../socket", join(folder, "socket"));
  expect(read("socket")).toEqual(OUTSIDE);
});

test("nor is it read if a link is changed at the very moment", async () => {
  mkdirSync(join(folder, "in"));
  writeFileSync(join(folder, "in", "secret"), "inner");
  const flip = `
    const { symlinkSync, renameSync } = require("node:fs");
    for (;;) for (const to of ["in", ".."]) { symlinkSync(to, "new"); renameSync("new", "link"); }`;
  const flipping = Bun.spawn([process.execPath, "-e", flip], { cwd: folder, stderr: "ignore" });
  try {
    const found = new Set<string>();
    const end = performance.now() + 10_000;
    for (let count = 0; count < 30_000 && performance.now() < end; count++) {
      const file = read("link/secret");
      found.add("text" in file ? file.text : file.problem.split(" ", 4).join(" "));
      if (count % 1_000 === 0) await Bun.sleep(1);
    }
    expect(found).toContain("inner");
    expect(found).toContain("it is not below");
    expect(found).not.toContain("secret");
  } finally {
    flipping.kill();
    await flipping.exited;
  }
});

test("without a folder no file is", () => {
  files = new LabelFiles([]);
  expect(read("page")).toEqual({
    problem: "no --label-files names the folder of files that labels may name",
  });
});

test("what is no text of that size is told", () => {
  writeFileSync(join(folder, "bytes"), new Uint8Array([0xff, 0xfe, 0]));
  expect(read("bytes")).toEqual({ problem: "it is no text in UTF-8" });
  expect(read("page", 3)).toEqual({ problem: "it is larger than 3 bytes" });
  expect(read("page", 4)).toEqual({ text: "page" });
  expect(read("none")).toEqual({ problem: "there is no such file" });
  expect(read("page/x")).toEqual({ problem: "there is no such file" });
  expect(read("sub")).toEqual({ problem: "it is no file" });
  Bun.spawnSync(["mkfifo", join(folder, "pipe")]);
  expect(read("pipe")).toEqual({ problem: "it is no file" });
  symlinkSync("circle", join(folder, "circle"));
  expect(read("circle")).toEqual({ problem: "its symbolic links lead round in a circle" });
});

test("the same file is the same object, and each change is seen", () => {
  expect(files.areUsed).toBe(false);
  const first = read("page");
  read("none");
  expect(files.areUsed).toBe(true);
  expect(read("page")).toBe(first);
  expect(files.haveChanged()).toBe(false);
  writeFileSync(join(folder, "new"), "other");
  renameSync(join(folder, "new"), join(folder, "page"));
  expect(files.haveChanged()).toBe(true);
  expect(read("page")).toEqual({ text: "other" });
  expect(files.haveChanged()).toBe(false);
  writeFileSync(join(folder, "none"), "here");
  expect(files.haveChanged()).toBe(true);
  rmSync(join(folder, "page"));
  expect(files.haveChanged()).toBe(true);
  files.begin();
  files.begin();
  expect(files.areUsed).toBe(false);
  expect(files.haveChanged()).toBe(false);
});

test("a folder that is not there is refused, and so is a file", () => {
  writeFileSync(join(folder, "file"), "x");
  expect(() => requireFolders([folder])).not.toThrow();
  for (const path of [join(folder, "none"), join(folder, "file")]) {
    expect(() => requireFolders([folder, path])).toThrow(
      `Cannot use --label-files "${path}": there is no such folder`,
    );
  }
});
