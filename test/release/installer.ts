// Runs install.sh as its users do, with the tools that a test lets it have.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { programPath, run, toolbox, type Finished } from "./commands.ts";

export const NAME = "docker-api-gateway";
export const SCRIPT = readFileSync(join(import.meta.dir, "../../.ci/release/install.sh"), "utf8");

/** What install.sh needs of any host, besides a loader and something that makes checksums. */
export const BARE: readonly string[] =
  "chmod cp dirname head id ln mkdir mktemp mv rm sed sh uname".split(" ");
export const USUAL: readonly string[] = [...BARE, "ldd", "sha256sum", "curl", "tar", "gzip"];

export interface Install {
  readonly shell?: readonly string[];
  readonly words?: readonly string[];
  /** The folder with the only tools there are. */
  readonly path?: string;
  /** The only one of curl and wget that there is. */
  readonly loader?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly script?: string;
}

/** Pipes the script into a shell, as the README says. */
export function runInstaller(
  dir: string,
  releases: string,
  options: Install = {},
): Promise<Finished> {
  const { shell = ["sh"], words = [], loader, script = SCRIPT, env = {} } = options;
  const tools = loader === undefined ? undefined : USUAL.filter((tool) => tool !== "curl");
  const path = options.path ?? (tools && toolbox([...tools, loader ?? "curl"]));
  const [program = "", ...rest] = shell;
  return run([programPath(program), ...rest, "-s", "--", ...words], {
    input: script,
    env: {
      GATEWAY_RELEASES: releases,
      INSTALL_DIR: dir,
      ...(path === undefined ? {} : { PATH: path }),
      ...env,
    },
  });
}

/** What the program there says its version is. */
export async function versionIn(dir: string, name = NAME): Promise<string> {
  const { stdout } = await run([join(dir, name), "--version"]);
  return stdout.trim();
}
