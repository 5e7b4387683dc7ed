// `npm run bench [-- PART... --quick --json FILE]`: measures this program beside others, in turns, prints a
// table and writes the same as JSON.

import { mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { sharedEngine, stopSharedEngine } from "../lab/engine.ts";
import { cleanLeftovers, cleanOwn } from "../lab/leftovers.ts";
import { measureBurst } from "./burst.ts";
import { measureCost } from "./cost.ts";
import { buildGateway } from "./gateway.ts";
import { describeMachine, readMachine } from "./machine.ts";
import { measureHold } from "./hold.ts";
import { measureHttps } from "./https.ts";
import { measureMemory } from "./memory.ts";
import { findPeers } from "./peers.ts";
import { measurePrice } from "./price.ts";
import { measureRoutes } from "./routes.ts";
import { measureSettings } from "./settings.ts";
import { measureStart } from "./start.ts";
import { measureStop } from "./stop.ts";
import { measureSwarm } from "./swarm.ts";
import { toMarkdown, type Bench, type Row } from "./table.ts";

const PARTS: Readonly<Record<string, (bench: Bench) => Promise<Row[]>>> = {
  start: measureStart,
  stop: measureStop,
  hold: measureHold,
  burst: measureBurst,
  price: measurePrice,
  routes: measureRoutes,
  settings: measureSettings,
  cost: measureCost,
  memory: measureMemory,
  https: measureHttps,
  swarm: measureSwarm,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string", default: "dist/bench.json" },
  },
});
const unknown = positionals.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  console.error(`bench: no part "${unknown[0]}": there are ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}

cleanLeftovers();
process.once("exit", cleanOwn);
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

buildGateway();
const started = performance.now();
const say = (line: string): void => {
  console.error(`bench ${((performance.now() - started) / 1000).toFixed(0)} s: ${line}`);
};
const { contestants: peers, nginx, versions, missing } = findPeers();
const machine = readMachine(versions);
const rows: (Row & { readonly part: string })[] = [];
let failed = false;
for (const [part, measure] of Object.entries(PARTS)) {
  if (positionals.length > 0 && !positionals.includes(part)) continue;
  say(`part ${part}, load average ${loadavg()[0]?.toFixed(1)}`);
  try {
    const made = await measure({ quick: values.quick, engine: sharedEngine, peers, nginx, say });
    rows.push(...made.map((row) => ({ part, ...row })));
  } catch (error) {
    // The other parts took minutes, or will: they are told all the same.
    console.error(error);
    failed = true;
  }
}
await stopSharedEngine();

mkdirSync(dirname(values.json), { recursive: true });
const { quick } = values;
writeFileSync(values.json, `${JSON.stringify({ ...machine, quick, missing, rows }, null, 2)}\n`);
console.log(`${toMarkdown(rows)}\n\n${describeMachine(machine)}`);
if (missing.length > 0) {
  console.log(`Not measured, as they are not on the PATH: ${missing.join(", ")}.`);
}
say(`the same as JSON: ${values.json}`);
process.exit(failed ? 1 : 0);
