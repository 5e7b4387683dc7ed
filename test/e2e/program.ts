// Builds the gateway once for a test run and runs it as a user does: as a process of its own.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";

const ROOT = join(import.meta.dir, "../..");

let built: Promise<string> | undefined;

/**
 * The path of the compiled gateway, made from the sources as they are now. It is alone in a folder of
 * this process: other lanes make their own meanwhile, and a file that is written cannot be run.
 */
export function binary(): Promise<string> {
  built ??= build();
  return built;
}

/** What a finished run of the gateway left. */
export interface Finished {
  status: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs the gateway with these words to its end.
 * @param prefix a command to run it with, such as `setpriv`
 */
export async function runToEnd(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = "/",
  prefix: readonly string[] = [],
): Promise<Finished> {
  const child = Bun.spawn([...prefix, await binary(), ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnvironment(env),
    cwd,
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** An environment without the developer's own settings of Docker and of the gateway. */
export function cleanEnvironment(
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  home ??= labDir("home");
  return {
    PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: home,
    ...extra,
  };
}

let home: string | undefined;

async function build(): Promise<string> {
  const path = join(labDir("program"), "docker-api-gateway");
  const child = Bun.spawn([process.execPath, ".ci/build.ts", "--outfile", path], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0 || !existsSync(path)) throw new Error(`Cannot build: ${out}${err}`);
  return path;
}
