// What a request costs HAProxy as the routes grow, beside a configuration written by hand.

import { readFileSync } from "node:fs";
import { cli, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { Gateway } from "./gateway.ts";
import { VERSIONS } from "./machine.ts";
import { digits } from "./numbers.ts";
import { playEngine } from "./played.ts";
import { cpuTime } from "./processes.ts";
import type { Bench, Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

const SIZES = [10, 1_000, 10_000];
/** The route that is asked for: in the middle of all, whatever their number. */
const APP = 5;
const PATH = `/bench/app-${APP}/`;
const CONNECTIONS = 32;
/** How much more than by hand it may be, and the most among all sizes over the least. */
const ALLOWED = 1.2;
/** HAProxy checks a server every five seconds, and many at the same time. */
const CHECK_INTERVAL = 5_000;

/** A configuration to measure. */
interface Setting {
  readonly name: string;
  readonly port: number;
  readonly config: string;
  readonly maps: Readonly<Record<string, string>>;
}

interface Rate {
  /** Requests a second. */
  readonly rate: number;
  /** CPU time of HAProxy for one request, in microseconds, without that of its checks. */
  readonly cpu: number;
  /** CPU of HAProxy while it has no requests: its checks, in percent of a core. */
  readonly idle: number;
}

/** Part `routes`. */
export async function measureRoutes({ quick, say }: Bench): Promise<Row[]> {
  const wrk = Bun.which("wrk");
  if (wrk === null) throw new Error("Cannot find wrk: not installed; run test/lab/setup bench");
  const server = await startTinyServer();
  const rows: Row[] = [];
  try {
    for (const version of VERSIONS) {
      const settings = [await byHand(server.port, false), await byHand(server.port, true)];
      for (const size of SIZES) settings.push(await byGateway(size, server.port, version));
      const rates = new Map<string, Rate[]>(settings.map(({ name }) => [name, []]));
      // In turns: what else the machine does is spread over all of them.
      for (let round = 0; round < (quick ? 2 : 4); round++) {
        for (const setting of settings) {
          const rate = await measure(setting, version, wrk, quick ? 1 : 4);
          rates.get(setting.name)?.push(rate);
          say(`${version} ${setting.name}: ${JSON.stringify(rate)}`);
        }
      }
      rows.push(...toRows(version, rates));
    }
  } finally {
    await server.stop();
  }
  return rows;
}

function toRows(version: string, rates: ReadonlyMap<string, readonly Rate[]>): Row[] {
  // What else the machine does only ever slows: the fastest round is the nearest to the truth.
  const best = [...rates].flatMap(([name, all]) =>
    all
      .toSorted((a, b) => b.rate - a.rate)
      .slice(0, 1)
      .map((rate) => ({ name, ...rate })),
  );
  const [bare, alike, ...sizes] = best;
  if (bare === undefined || alike === undefined) return [];
  const rows = sizes.map(({ name, rate, cpu, idle }) => ({
    what: `${name}: requests/s, CPU of HAProxy for one (and for the health checks)`,
    version,
    now: `${digits(rate)}/s, ${digits(cpu)} µs (${digits(idle)} %)`,
    old: [bare, alike]
      .map((each) => `${each.name}: ${digits(each.rate)}/s, ${digits(each.cpu)} µs`)
      .join("; "),
    target: `within 20 % of ${bare.name}`,
    reached: isNear(bare, { cpu, rate }),
  }));
  const cpus = sizes.map(({ cpu }) => cpu);
  const factor = Math.max(...cpus) / Math.min(...cpus);
  const near = sizes.filter((size) => isNear(alike, size));
  rows.push(
    {
      what: "CPU for one request, the dearest of these sizes times the cheapest",
      version,
      now: `${digits(factor)} x`,
      old: "",
      target: `${ALLOWED} x`,
      reached: factor <= ALLOWED,
    },
    {
      what: `sizes that are within 20 % of ${alike.name}`,
      version,
      now: `${near.length} of ${sizes.length}`,
      old: "",
      target: String(sizes.length),
      reached: near.length === sizes.length,
    },
  );
  return rows;
}

type Measure = Pick<Rate, "cpu" | "rate">;

function isNear(hand: Measure, own: Measure): boolean {
  return own.cpu <= hand.cpu * ALLOWED && own.rate * ALLOWED >= hand.rate;
}

/**
 * What somebody writes who has no gateway: one service, one rule.
 * @param alike with the service where the gateway serves it: prefix, headers and retries
 */
async function byHand(serverPort: number, alike: boolean): Promise<Setting> {
  const port = await freePort();
  const prefix = PATH.replace(/\/$/, "");
  const bare = `use_backend app if { path_beg ${PATH} }`;
  const rules = `http-request deny unless { path_beg ${PATH} }
    option forwardfor
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Prefix ${prefix}
    http-request replace-path ${prefix}(/.*)? \\1
    http-response replace-header Location ^(/.*) ${prefix}\\1
    use_backend app`;
  const retries = `
    option redispatch 1
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET`;
  return {
    name: alike ? "a hand-written one with prefix, headers and retries" : "one `use_backend`",
    port,
    maps: {},
    config: onOneCore(`global
    fd-hard-limit 50000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 30s
    default-server inter 2s
frontend http
    bind 127.0.0.1:${port}
    ${alike ? rules : bare}
backend app${alike ? retries : ""}
    server app 127.1.0.${APP + 1}:${serverPort} check
`),
  };
}

/** What the gateway makes of so many containers. */
async function byGateway(
  size: number,
  serverPort: number,
  version: (typeof VERSIONS)[number],
): Promise<Setting> {
  const engine = playEngine(size, serverPort);
  const gateway = await Gateway.start({
    dockerHost: engine.dockerHost,
    version,
    way: "runtime",
  });
  try {
    await gateway.answers(PATH);
    const map = gateway.output.replace(/\.cfg$/, ".routes.map");
    return {
      name: `${size.toLocaleString("en-US")} routes`,
      port: gateway.port,
      config: onOneCore(gateway.config()),
      maps: { [map]: readFileSync(map, "utf8") },
    };
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}

/** On a core of its own, so that neither wrk nor the server takes CPU away from it. */
function onOneCore(config: string): string {
  return config.replace(/^global$/m, "global\n    nbthread 1\n    cpu-map auto:1/1 0");
}

async function measure(
  { port, config, maps }: Setting,
  version: (typeof VERSIONS)[number],
  wrk: string,
  seconds: number,
): Promise<Rate> {
  for (const [path, text] of Object.entries(maps)) await Bun.write(path, text);
  const haproxy = await startHaproxy({ version, config });
  try {
    const worker = await workerOf(haproxy);
    await Bun.sleep(500);
    const beforeIdle = cpuTime(worker);
    await Bun.sleep(CHECK_INTERVAL);
    const idle = (cpuTime(worker) - beforeIdle) / CHECK_INTERVAL;

    const before = cpuTime(worker);
    const started = performance.now();
    const output = await run(
      `taskset -c 1 ${wrk} --threads 1 --connections ${CONNECTIONS} --duration ${seconds}s ` +
        `http://127.0.0.1:${port}${PATH}`,
    );
    const spent = cpuTime(worker) - before - idle * (performance.now() - started);
    const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
    const rate = Number(/Requests\/sec: +([\d.]+)/.exec(output)?.[1]);
    if (!(requests > 0) || /Non-2xx|Socket errors/.test(output)) throw new Error(output);
    return { rate, cpu: (spent * 1_000) / requests, idle: idle * 100 };
  } finally {
    await haproxy.stop();
  }
}

async function workerOf({ masterSocket }: Haproxy): Promise<number> {
  return Number(/^(\d+)\s+worker\b/m.exec(await cli(masterSocket, "show proc"))?.[1]);
}

async function run(command: string): Promise<string> {
  const child = Bun.spawn(command.split(" "), { stdout: "pipe", stderr: "inherit" });
  return new Response(child.stdout).text();
}
