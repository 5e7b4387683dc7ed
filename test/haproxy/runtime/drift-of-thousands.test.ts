// Thousands of servers are compared in portions: a container that ends meanwhile is drained all the same.

import { expect, test } from "bun:test";
import { findDrift } from "../../../src/haproxy/runtime/drift.ts";

const BACKENDS = Array.from({ length: 3_000 }, (_, index) => ({
  backend: `b${index}`,
  address: `127.0.${Math.floor(index / 250)}.${(index % 250) + 1}`,
}));
const CONFIG = BACKENDS.map(
  ({ backend, address }) => `backend ${backend}\n    server s ${address}:80 check\n`,
).join("");
const FILES = { config: CONFIG, assets: {} };
const CAPABILITIES = {
  version: "3.0.0",
  dynamicBackends: false,
  refusedSettings: new Set<string>(),
};

/** @param admin what the administrator said of the last server */
function answer(admin: number): string {
  const lines = BACKENDS.map(({ backend, address }, index) => {
    const said = index === BACKENDS.length - 1 ? admin : 0;
    return `${index + 3} ${backend} 1 s ${address} 2 ${said} 1 1 5 6 3 4 6 0 0 0 - 80 - 0 0 - - 0`;
  });
  return `1\n# be_id be_name\n${lines.join("\n")}\n`;
}

function compare(admin: number, overridden: ReadonlySet<string>): Promise<string[]> {
  const compared = {
    ask: () => Promise.resolve(answer(admin)),
    overridden,
    removals: { names: new Set<string>(), hasServer: () => false, hasBackend: () => false },
  };
  return findDrift(compared, FILES, {}, CAPABILITIES);
}

test("others get their turn meanwhile", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  expect(await compare(0, new Set())).toEqual([]);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(1);
});

test("one that was drained by hand is found, but not what is drained meanwhile", async () => {
  expect(await compare(8, new Set())).toEqual(["HAProxy disabled server b2999/s"]);
  const overridden = new Set<string>();
  const comparing = compare(8, overridden);
  setTimeout(() => overridden.add("b2999/s"), 0);
  expect(await comparing).toEqual([]);
});
