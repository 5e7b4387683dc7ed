// Runs before all tests. It removes what earlier runs left, and at the end what this run left.

import { afterAll } from "bun:test";
import { stopSharedEngine } from "./engine.ts";
import { cleanLeftovers, cleanOwn } from "./leftovers.ts";

cleanLeftovers();

// It takes seconds to end many containers on a loaded machine.
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
