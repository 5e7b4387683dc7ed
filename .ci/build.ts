// Builds the one executable: `npm run build [-- TARGET]`. Not part of the program itself. It is put
// at --outfile and contains the Bun at --runtime. Without --runtime, Bun fetches the one it needs.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { kindOf } from "./kind.ts";

/** Targets of `bun build --compile`; each is the program for one kind of machine. */
const TARGETS: Readonly<Record<string, Bun.Build.CompileTarget>> = {
  "linux-x64-baseline": "bun-linux-x64-baseline",
  "linux-arm64": "bun-linux-arm64",
  "linux-x64-musl-baseline": "bun-linux-x64-baseline-musl",
  "linux-arm64-musl": "bun-linux-arm64-musl",
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { runtime: { type: "string" }, outfile: { type: "string" } },
});
const [target] = positionals;
if (target !== undefined && TARGETS[target] === undefined) {
  console.error(`Cannot build "${target}": the targets are ${Object.keys(TARGETS).join(", ")}`);
  process.exit(2);
}

const outfile =
  values.outfile ?? `dist/docker-api-gateway${target === undefined ? "" : `-${target}`}`;
mkdirSync(dirname(outfile), { recursive: true });
const compileTarget = target === undefined ? undefined : TARGETS[target];
const result = await Bun.build({
  entrypoints: ["src/main.ts"],
  format: "esm",
  splitting: true,
  sourcemap: "inline",
  // With it commands start in a quarter of the CPU time; it is 9 MB. The name of `outfile` is in it: two builds
  // have the same bytes where that is the same.
  bytecode: true,
  define: {
    GATEWAY_COMMIT: JSON.stringify(commit()),
    GATEWAY_KIND: JSON.stringify(kindOf(target)),
  },
  compile: {
    outfile,
    ...(compileTarget === undefined ? {} : { target: compileTarget }),
    ...(values.runtime === undefined ? {} : { executablePath: values.runtime }),
    // The files in the folder where it is run must not change what it does.
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
for (const message of result.logs) console.error(message);
if (!result.success) process.exit(1);
console.log(`made ${outfile}`);

/** The commit that is built, with a mark if the files differ from it. */
function commit(): string {
  const hash = git("rev-parse", "--short=12", "HEAD");
  if (hash === "") return "unknown commit";
  return git("status", "--porcelain") === "" ? hash : `${hash}, changed`;
}

function git(...args: string[]): string {
  return Bun.spawnSync(["git", ...args], { stderr: "ignore" })
    .stdout.toString()
    .trim();
}
