// `bun test/lab/slowest.ts FILE...`: merges the times that `bun test --update-timings` wrote for
// each part, and prints which files took longest. With --keep these times balance the parts from
// now on; of a file that is tested in several, its longest.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** The file of bun: how long each test file takes, in milliseconds. */
interface Timings {
  readonly version: 1;
  readonly files: Readonly<Record<string, number>>;
}

const KEPT = join(import.meta.dir, "timings.json");
const SHOWN = 10;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: "boolean", default: false } },
});
const parts = await Promise.all(
  positionals.map(async (file) => ((await Bun.file(file).json()) as Timings).files),
);
const times = parts.flatMap((files) => Object.entries(files));

console.log(`the slowest of ${times.length} files, in seconds:`);
for (const [file, ms] of times.toSorted(([, a], [, b]) => b - a).slice(0, SHOWN))
  console.log(`${(ms / 1_000).toFixed(1).padStart(6)} ${file}`);

if (values.keep) {
  const before = ((await Bun.file(KEPT).json()) as Timings).files;
  const longest = Object.fromEntries(times.toSorted(([, a], [, b]) => a - b));
  const files = Object.entries({ ...before, ...longest })
    .filter(([file]) => existsSync(file))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const kept: Timings = { version: 1, files: Object.fromEntries(files) };
  await Bun.write(KEPT, `${JSON.stringify(kept, null, 2)}\n`);
}
