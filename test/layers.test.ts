// A folder of src/ is a layer, and imports go down only. The linter says so; here it is shown that it does.

import { expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/** The rooms from the bottom to the top. Those of one floor do not know each other. */
const FLOORS = [
  ["lib"],
  ["acme", "config", "docker", "routing", "template"],
  ["haproxy", "plan"],
  ["gateway"],
  ["api"],
  ["cli"],
];
const PURE = ["config", "plan", "routing", "template"];

/** What no room may have: console and exit are main's. */
const OUTSIDE = ["process.exit(1);", 'console.log("x");'];
/** What a room may not have that only decides. */
const DOING = [
  'export { readFileSync } from "node:fs";',
  'export { connect } from "node:net";',
  'export { env } from "node:process";',
  'export { dlopen } from "bun:ffi";',
  "export const now = Date.now();",
  "export const path = process.env;",
  "export const file = Bun.file;",
  "export const chance = Math.random();",
  "export const timer = setTimeout;",
];

/** Puts each text into a file of its own in a room, and gives those that the linter refuses. */
async function refused(room: string, texts: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "layers-"));
  try {
    copyFileSync(join(ROOT, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
    const paths = texts.map((_, index) => `src/${room}/deep/planted-${index}.ts`);
    for (const [index, path] of paths.entries()) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${texts[index]}\n`);
    }
    // The format is named: by itself oxlint takes another one in CI, and colours on a terminal.
    const command = [join(ROOT, "node_modules/.bin/oxlint"), "--format", "unix", "src"];
    const oxlint = Bun.spawn(command, { cwd: folder, stdout: "pipe" });
    const said = await new Response(oxlint.stdout).text();
    return texts.filter((_, index) => said.includes(`${paths[index]}:`));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function importOf(room: string): string {
  return `export * from "../../${room}/some.ts";`;
}

test("every folder of src has its floor", () => {
  const entries = readdirSync(join(ROOT, "src"), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders.toSorted()).toEqual(FLOORS.flat().toSorted());
});

test.each(FLOORS.flat())("%s imports only what is below it", async (room) => {
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  const others = FLOORS.slice(floor)
    .flat()
    .filter((other) => other !== room)
    .map(importOf);
  const wrong = [...others, 'export * from "../../main.ts";'];
  expect(await refused(room, wrong)).toEqual(wrong);
  expect(await refused(room, ['export * from "../other.ts";'])).toEqual([]);
});

test.each(FLOORS.flat())("%s leaves the console and the exit to main", async (room) => {
  expect(await refused(room, OUTSIDE)).toEqual(OUTSIDE);
});

test.each(PURE)("%s only decides", async (room) => {
  expect(await refused(room, DOING)).toEqual(DOING);
});
