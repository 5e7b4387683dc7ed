// Programs to release in tests: real ones of any version, and tiny ones that only say theirs.

import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { kindOf, readElf } from "../../src/cli/service/elf.ts";
import { programArchive } from "../../.ci/release/archive.ts";
import { labDir } from "../lab/leftovers.ts";

const ROOT = join(import.meta.dir, "../..");

/** What is compiled into the program and read while it is built. */
const SOURCES = [".ci", "src", "templates", "package.json", "package-lock.json", "tsconfig.json"];

/** The kind of the machine that the tests run on. */
export const KIND = hostKind();

/** The file of a real program that says it is that version. */
export async function buildVersion(version: string): Promise<string> {
  const folder = labDir("version");
  copySources(folder);
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const manifest = join(folder, "package.json");
  await Bun.write(
    manifest,
    readFileSync(manifest, "utf8").replace(/"version": "[^"]+"/, `"version": "${version}"`),
  );
  const child = Bun.spawn([process.execPath, ".ci/build.ts"], {
    cwd: folder,
    stdout: "ignore",
    stderr: "inherit",
  });
  if ((await child.exited) !== 0) throw new Error(`Cannot build version ${version}`);
  return join(folder, "dist/docker-api-gateway");
}

/** Copies what a build reads. */
export function copySources(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const name of SOURCES)
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, dereference: true });
}

/** A program that can say its version and nothing else. */
export function tinyProgram(version: string): string {
  return `#!/bin/sh\necho "docker-api-gateway ${version} (tiny)"\n`;
}

/** The files of a release for this machine's kind, or for another. */
export function releaseFiles(
  version: string,
  program: Uint8Array | string,
  kind = KIND,
): Record<string, Uint8Array> {
  const name = `docker-api-gateway-${version}-${kind}`;
  const bytes = Buffer.from(program);
  return {
    [name]: bytes,
    [`${name}.tar.gz`]: programArchive(name, bytes, { LICENSE: "MIT\n" }, 0),
  };
}

function hostKind(): string {
  const elf = readElf(process.execPath);
  if (elf === undefined) throw new Error(`${process.execPath} is no ELF program`);
  return kindOf(elf);
}
