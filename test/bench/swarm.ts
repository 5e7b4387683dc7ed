// A swarm of 10,000 tasks, 20 of which change a second: what the gateway takes, and how soon HAProxy is right.

import { measured, said, times } from "./cell.ts";
import { digits, percentile } from "./numbers.ts";
import { tryLargeSwarm } from "./swarm-trial.ts";
import { row, type Bench, type Row } from "./table.ts";

const VERSION = "3.4";
const SIZE = { nodes: 100, services: 1_000, tasks: 10_000 };
const RATE = 20;
/** HAProxy is to be right so soon after a change, in milliseconds. */
const SOON = 1_000;
/** The most CPU time that a pass may take, in milliseconds. */
const MOST_OF_PASS = 100;
/** How much more memory it may be at the end, in megabytes. */
const LEFT_OVER = 20;

/** Part `swarm`. */
export async function measureSwarm({ quick, say }: Bench): Promise<Row[]> {
  const seconds = quick ? 60 : 600;
  const [lossEvery, rest] = quick ? [30, 15] : [120, 30];
  const made = await tryLargeSwarm({
    ...SIZE,
    version: VERSION,
    rate: RATE,
    seconds,
    lossEvery,
    rest,
    soon: SOON,
    say,
  });
  const { calm, changing, memory, served, out, slow, late, reloads, wrong } = made;
  for (const each of [...reloads, ...wrong, ...late].slice(0, 20)) say(each);
  const [first, last] = memory;
  const all = [...served, ...out];
  const each = (cost: typeof calm): string =>
    `${digits(cost.cpu)} ms, ${digits(cost.told)} MB, ${digits(cost.checks)} ms`;
  const swarm = `a swarm of ${SIZE.tasks.toLocaleString("en-US")} tasks`;
  const cell = (text: string): Row["cells"] => ({ [VERSION]: said(text) });
  return [
    row(
      `${swarm} in calm: CPU a second, what is read of it, and CPU of \`haproxy -c\``,
      cell(each(calm)),
    ),
    row(`the same with ${digits(made.changes / seconds)} changes a second`, cell(each(changing))),
    {
      what: "CPU for a pass, with all that is read meanwhile",
      cells: { [VERSION]: measured([changing.cpuOfPass], "ms") },
      target: `${MOST_OF_PASS} ms`,
      reached: changing.cpuOfPass < MOST_OF_PASS,
    },
    row("a task runs -> its server is up, p50 / p95", { [VERSION]: times([served]) }),
    row("a task is to end, or died -> its server is out, p50 / p95", { [VERSION]: times([out]) }),
    row("the same of both, the manager 100 ms slower", { [VERSION]: times([slow]) }),
    {
      what: "of so many servers, those that were right later than a second; the longest",
      cells: cell(
        `${all.length.toLocaleString("en-US")}, ${late.length}; ${digits(percentile(all, 100))} ms`,
      ),
      target: "0",
      reached: late.length === 0,
    },
    {
      what: "own memory in the last quarter, less that in the second, medians",
      cells: cell(`${digits(last)} - ${digits(first)} = ${digits(last - first)} MB`),
      target: `${LEFT_OVER} MB`,
      reached: last - first <= LEFT_OVER,
    },
    {
      what: "reloads; servers that are wrong at the end",
      cells: cell(`${reloads.length}; ${wrong.length}`),
      target: "0; 0",
      reached: reloads.length + wrong.length === 0,
    },
  ];
}
