// Tests of what does not depend on HAProxy's version, beside those of what does.

import { test } from "bun:test";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { firstVersion } from "./gateway.ts";

/** `test` for the first version that is tested with. For the others nothing is tested again. */
export function detailsOf(
  version: HaproxyVersion,
): (title: string, body: () => void | Promise<void>) => void {
  return version === firstVersion() ? test : () => undefined;
}
