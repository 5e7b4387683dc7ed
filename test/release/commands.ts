// Runs programs in tests: as root or as an ordinary user, with chosen tools and environment.

import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";

/** `nobody` of every Linux. */
const NOBODY = 65_534;

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

/** Runs a program to its end, with only that environment. */
export async function run(
  words: readonly string[],
  { env = {}, input = "", cwd = "/" }: RunOptions = {},
): Promise<Finished> {
  const child = Bun.spawn([...words], {
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: SYSTEM_PATH, ...env },
    cwd,
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Where programs are on any Debian. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The words that run these as an ordinary user. */
export function asUser(words: readonly string[]): readonly string[] {
  if (process.getuid?.() !== 0) return words;
  return ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", ...words];
}

/** A new folder that ordinary users reach too. */
export function openDir(kind: string): string {
  const folder = labDir(kind);
  chmodSync(folder, 0o755);
  return folder;
}

/**
 * A folder for PATH with only these programs in it.
 * @param applets those that are busybox's and not the system's
 */
export function toolbox(tools: readonly string[], applets: readonly string[] = []): string {
  const folder = join(openDir("tools"), "bin");
  mkdirSync(folder);
  for (const tool of tools) symlinkSync(programPath(tool), join(folder, tool));
  for (const applet of applets) symlinkSync(programPath("busybox"), join(folder, applet));
  return folder;
}

/** Where a program is. @throws Error where it is not installed */
export function programPath(name: string): string {
  const path = Bun.which(name, { PATH: SYSTEM_PATH });
  if (path === null) throw new Error(`${name} is missing: run test/lab/setup release`);
  return path;
}
