// Runs before all tests: removes what an earlier run has left, and afterwards what this one has.

import { afterAll } from "bun:test";
import { stopSharedEngine } from "./engine.ts";
import { cleanLeftovers, cleanOwn } from "./leftovers.ts";

cleanLeftovers();

// Ending many containers takes seconds on a loaded machine.
const END_MS = 60_000;

afterAll(
  async () => {
    await stopSharedEngine();
    cleanOwn();
  },
  { timeout: END_MS },
);

process.once("exit", cleanOwn);
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}
