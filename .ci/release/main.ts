// Makes all files of a release in dist/release: `npm run release [-- --tag TAG]`. Not part of the
// program itself.

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { errorMessage } from "../../src/lib/errors.ts";
import { programName } from "../../src/cli/service/releases.ts";
import { programArchive, type Documents } from "./archive.ts";
import { kindOf } from "../kind.ts";
import { documents } from "./documents.ts";
import { checkTag, releaseNotes } from "./notes.ts";
import { run } from "./run.ts";
import { KINDS, runtimeOf, type Kind } from "./runtimes.ts";
import { billOfMaterials } from "./sbom.ts";

const ROOT = join(import.meta.dir, "../..");
const OUT = join(ROOT, "dist/release");
const WORK = join(ROOT, "dist/release-work");
/** A program names its loader within this many bytes, after the table of its parts. */
const BEGINNING = 4_096;
const { version } = manifest;

/**
 * Makes the release.
 * @param tag the tag of the release. If it is given, everything must be ready: the version, the
 * date in CHANGELOG.md, and a commit of all changes
 */
async function release(tag: string | undefined): Promise<void> {
  const changelog = readFileSync(join(ROOT, "CHANGELOG.md"), "utf8");
  const notes = releaseNotes(changelog, version);
  if (tag !== undefined) {
    checkTag(tag, version, changelog);
    const changed = await run(["git", "status", "--porcelain"], ROOT);
    if (changed !== "") throw new Error(`Cannot release tag ${tag}: changed are\n${changed}`);
  }
  for (const folder of [OUT, WORK]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  // All files have the time of the commit, so that a second build makes the same bytes.
  const time = Number(process.env["SOURCE_DATE_EPOCH"] ?? (await commitTime()));
  const texts = await documents(ROOT);
  for (const kind of KINDS) await makeProgram(kind, texts, time);
  const sbom = await billOfMaterials(ROOT, version, time);
  await make(`docker-api-gateway-${version}.cdx.json`, sbom);
  await make("install.sh", readFileSync(join(ROOT, ".ci/release/install.sh"), "utf8"));
  const sums = readdirSync(OUT)
    .toSorted()
    .map((name) => `${sha256(readFileSync(join(OUT, name)))}  ${name}\n`);
  await make("SHA256SUMS", sums.join(""));
  // This is the text of the release's page. It is not a file of the release.
  await make("../release-notes.md", notes);
  rmSync(WORK, { recursive: true });
}

async function makeProgram(kind: Kind, texts: Documents, time: number): Promise<void> {
  const program = await buildProgram(kind);
  const name = programName(version, kindOf(kind.target));
  if (!Buffer.from(program).subarray(0, BEGINNING).includes(`${kind.loader}\0`)) {
    throw new Error(`Cannot release ${name}: it is not started by ${kind.loader}`);
  }
  await make(name, program);
  chmodSync(join(OUT, name), 0o755);
  await make(`${name}.tar.gz`, programArchive(name, program, texts, time));
}

/** Builds the program for a kind of machine with the Bun that is pinned for it. */
async function buildProgram(kind: Kind): Promise<Uint8Array> {
  const runtime = await runtimeOf(kind, WORK);
  // The program contains its file name, so all programs have the same.
  const outfile = join(WORK, kind.target, "docker-api-gateway");
  const options = ["--runtime", runtime, "--outfile", outfile];
  await run([process.execPath, ".ci/build.ts", kind.target, ...options], ROOT);
  return Bun.file(outfile).bytes();
}

async function commitTime(): Promise<string> {
  return run(["git", "log", "-1", "--format=%ct"], ROOT).catch(() => "0");
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

async function make(name: string, content: Uint8Array | string): Promise<void> {
  const path = join(OUT, name);
  await Bun.write(path, content);
  process.stdout.write(`made ${relative(ROOT, path)}\n`);
}

try {
  await release(parseArgs({ options: { tag: { type: "string" } } }).values.tag);
} catch (error) {
  process.stderr.write(`${errorMessage(error)}\n`);
  process.exitCode = 1;
}
