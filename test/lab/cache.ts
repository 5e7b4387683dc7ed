// What test/lab/setup has put into the cache for the suites.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The folder of a part of the cache: a root file system of its own.
 * @throws Error if it is not there
 */
export function cached(
  part: "chromium" | "applications" | "postgresql" | "pebble" | "curl" | "prometheus",
): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "docker-api-gateway", part);
  if (existsSync(folder)) return folder;
  throw new Error(`Cannot find ${folder}: not installed; run test/lab/setup ${part}`);
}
