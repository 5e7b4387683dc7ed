// `npm run bench [-- PART... --quick]`: measures the gateway beside the old way and prints a table.

import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { sharedEngine, stopSharedEngine } from "../lab/engine.ts";
import { cleanLeftovers, cleanOwn } from "../lab/leftovers.ts";
import { measureBurst } from "./burst.ts";
import { measureCost } from "./cost.ts";
import { buildGateway } from "./gateway.ts";
import { describeMachine } from "./machine.ts";
import { measureHold } from "./hold.ts";
import { measureRoutes } from "./routes.ts";
import { measureStart } from "./start.ts";
import { measureStop } from "./stop.ts";
import { toMarkdown, type Bench, type Row } from "./table.ts";

const PARTS: Readonly<Record<string, (bench: Bench) => Promise<Row[]>>> = {
  start: measureStart,
  stop: measureStop,
  hold: measureHold,
  burst: measureBurst,
  routes: measureRoutes,
  cost: measureCost,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false } },
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
const rows: Row[] = [];
let failed = false;
for (const [name, measure] of Object.entries(PARTS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  say(`part ${name}, load average ${loadavg()[0]?.toFixed(1)}`);
  try {
    rows.push(...(await measure({ quick: values.quick, engine: sharedEngine, say })));
  } catch (error) {
    // The other parts took minutes, or will: they are told all the same.
    console.error(error);
    failed = true;
  }
}
await stopSharedEngine();
console.log(`${toMarkdown(rows)}\n\n${describeMachine()}`);
process.exit(failed ? 1 : 0);
