// What a request costs HAProxy as the routes grow, beside one that is written by hand, and nginx.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cli, startHaproxy, type HaproxyVersion } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { bareConfig, handConfig, handMap } from "./by-hand.ts";
import { measured, said, type Cell } from "./cell.ts";
import { Gateway } from "./gateway.ts";
import { VERSIONS } from "./machine.ts";
import { nginxConfig, nginxServices, type Served } from "./nginx.ts";
import { digits, median } from "./numbers.ts";
import { playedContainer, playEngine } from "./played.ts";
import { cpuTime, withDescendants } from "./processes.ts";
import { inTurns } from "./rounds.ts";
import { firstAnswer } from "./services.ts";
import { row, type Bench, type Column, type Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";
import { askManyTimes } from "./wrk.ts";

const SIZES = [10, 1_000, 10_000];
/** The route that is asked for: in the middle of all, whatever their number. */
const APP = 5;
const PATH = `/bench/app-${APP}/`;
/** How much more than by hand it may be. */
const ALLOWED = 1.05;
/** How much more the dearest of all sizes may be than the cheapest. */
const GROWTH = 1.2;
/** HAProxy checks a server every five seconds, and many at the same time. In milliseconds. */
const CHECK_INTERVAL = 5_000;
/** The cores that the proxy is kept to, and what asks it: neither takes CPU away from the other. */
const [PROXY_CORE, ASKING_CORE] = [0, 1];

/** `bare` passes on. `hand` does what is needed, and no more. `own` is what the gateway makes. */
type Kind = "bare" | "hand" | "own";

/** A proxy to measure. */
interface Setting {
  readonly kind: Kind;
  readonly column: Column;
  readonly size: number;
  readonly port: number;
  /** Whether it checks its servers, which is taken off the price of a request. */
  readonly checks: boolean;
  start(): Promise<{ readonly pids: readonly number[]; stop(): Promise<void> }>;
}

interface Rate {
  /** Requests a second. */
  readonly rate: number;
  /** CPU time of the proxy for one request, in microseconds, without that of its checks. */
  readonly cpu: number;
  /** CPU of the proxy while it has no requests: its checks, in percent of a core. */
  readonly idle: number;
}

/** Part `routes`. */
export async function measureRoutes({ quick, say, nginx }: Bench): Promise<Row[]> {
  const server = await startTinyServer();
  try {
    const settings: Setting[] = [];
    for (const version of VERSIONS) {
      settings.push(await byHand(version, "bare", 1, server.port));
      for (const size of SIZES) {
        settings.push(await byHand(version, "hand", size, server.port));
        settings.push(await byGateway(version, size, server.port));
      }
    }
    if (nginx !== undefined) {
      for (const size of SIZES) settings.push(await byNginx(nginx, size, server.port));
    }
    const results = await inTurns(quick ? 1 : 3, settings, async (setting) => {
      const rate = await measure(setting, quick ? 1 : 4);
      say(`${setting.kind} ${setting.column}, ${setting.size}: ${JSON.stringify(rate)}`);
      return rate;
    });
    return toRows(results);
  } finally {
    await server.stop();
  }
}

function toRows(results: ReadonlyMap<Setting, readonly Rate[]>): Row[] {
  const find = (kind: Kind, column: Column, size: number, field: keyof Rate): number[] =>
    [...results].flatMap(([setting, rates]) =>
      setting.kind === kind && setting.column === column && setting.size === size
        ? rates.map((rate) => rate[field])
        : [],
    );
  const cells = (kind: Kind, size: number, field: keyof Rate, unit: string): Row["cells"] =>
    Object.fromEntries(
      ([...VERSIONS, "nginx"] as const).flatMap((column): [Column, Cell][] => {
        const values = find(kind, column, size, field);
        return values.length === 0 ? [] : [[column, measured(values, unit)]];
      }),
    );
  const price = (kind: Kind, version: (typeof VERSIONS)[number], size: number): number =>
    median(find(kind, version, size, "cpu"));
  const rows = SIZES.flatMap((size): Row[] => {
    const title = `${size.toLocaleString("en-US")} routes`;
    const fastest = median(find("hand", "nginx", size, "rate"));
    return [
      {
        what: `${title}: CPU of the proxy for one request`,
        cells: cells("own", size, "cpu", "µs"),
        target: `${ALLOWED} x by hand`,
        reached: VERSIONS.every(
          (version) => price("own", version, size) <= ALLOWED * price("hand", version, size),
        ),
      },
      row("the same routing, stripping and headers by hand", cells("hand", size, "cpu", "µs")),
      {
        what: `${title}: requests/s on one core`,
        cells: { ...cells("hand", size, "rate", "/s"), ...cells("own", size, "rate", "/s") },
        target: Number.isNaN(fastest) ? "" : "more than nginx",
        reached: Number.isNaN(fastest)
          ? undefined
          : VERSIONS.every((version) => median(find("own", version, size, "rate")) > fastest),
      },
      row(`${title}: CPU for the health checks`, cells("own", size, "idle", "%")),
    ];
  });
  const growth = VERSIONS.map((version) => {
    const prices = SIZES.map((size) => price("own", version, size));
    return [version, Math.max(...prices) / Math.min(...prices)] as const;
  });
  return [
    row("a single backend, and nothing else: CPU for one request", cells("bare", 1, "cpu", "µs")),
    ...rows,
    {
      what: "CPU for one request, the dearest of these sizes times the cheapest",
      cells: Object.fromEntries(
        growth.map(([version, factor]) => [version, said(`${digits(factor)} x`)]),
      ),
      target: `${GROWTH} x`,
      reached: growth.every(([, factor]) => factor <= GROWTH),
    },
  ];
}

/** The services of so many played containers. */
function servicesOf(size: number, serverPort: number): Served[] {
  return Array.from({ length: size }, (_, index) => {
    const { name, ip, port } = playedContainer(index, serverPort);
    return { name: `bench/${name}`, address: `${ip}:${port}` };
  });
}

async function byHand(
  version: (typeof VERSIONS)[number],
  kind: "bare" | "hand",
  size: number,
  serverPort: number,
): Promise<Setting> {
  const port = await freePort();
  const services = servicesOf(size, serverPort);
  const [service = { name: "", address: "" }] = services;
  const map = join(labDir("hand"), "routes.map");
  const isBare = kind === "bare";
  const config = isBare ? bareConfig(port, service) : handConfig(port, map, services);
  const maps = isBare ? {} : { [map]: handMap(services) };
  return haproxySetting(
    { kind, column: version, size, port, checks: false },
    version,
    config,
    maps,
  );
}

/** What the gateway makes of so many containers. */
async function byGateway(
  version: (typeof VERSIONS)[number],
  size: number,
  serverPort: number,
): Promise<Setting> {
  const engine = playEngine(size, serverPort);
  const { dockerHost } = engine;
  const gateway = await Gateway.start({ dockerHost, version, way: "runtime" });
  try {
    await gateway.answers(PATH);
    const { output, port } = gateway;
    const setting = { kind: "own", column: version, size, port, checks: true } as const;
    return haproxySetting(setting, version, gateway.config(), namedFiles(dirname(output)));
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}

/** The maps and scripts in a folder, by path. They are gone once the gateway has ended. */
function namedFiles(dir: string): Readonly<Record<string, string>> {
  const names = readdirSync(dir).filter((name) => /^haproxy\..*\.(map|lua)$/.test(name));
  const paths = names.map((name) => join(dir, name));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(path, "utf8")]));
}

/** @param files those that the configuration names, by path */
function haproxySetting(
  setting: Omit<Setting, "start">,
  version: HaproxyVersion,
  config: string,
  files: Readonly<Record<string, string>>,
): Setting {
  const onOneCore = config.replace(
    /^global$/m,
    `global\n    nbthread 1\n    cpu-map auto:1/1 ${PROXY_CORE}`,
  );
  return {
    ...setting,
    async start() {
      for (const [path, text] of Object.entries(files)) await Bun.write(path, text);
      const haproxy = await startHaproxy({ version, config: onOneCore });
      const text = await cli(haproxy.masterSocket, "show proc");
      const worker = Number(/^(\d+)\s+worker\b/m.exec(text)?.[1]);
      return { pids: [worker], stop: () => haproxy.stop() };
    },
  };
}

async function byNginx(program: string, size: number, serverPort: number): Promise<Setting> {
  const port = await freePort();
  const dir = labDir("nginx");
  const config = join(dir, "nginx.conf");
  const http = nginxServices(port, servicesOf(size, serverPort));
  await Bun.write(config, nginxConfig(dir, http, 1));
  return {
    kind: "hand",
    column: "nginx",
    size,
    port,
    checks: false,
    async start() {
      const child = Bun.spawn(["taskset", "-c", String(PROXY_CORE), program, "-c", config], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: Bun.file(join(dir, "log")),
      });
      // By then its worker is there.
      await firstAnswer({ host: "127.0.0.1", port, target: PATH }, performance.now());
      return {
        pids: withDescendants([child.pid]),
        async stop() {
          child.kill("SIGTERM");
          await child.exited;
        },
      };
    },
  };
}

async function measure(setting: Setting, seconds: number): Promise<Rate> {
  const { port, checks } = setting;
  const proxy = await setting.start();
  const { pids } = proxy;
  const spent = (): number => pids.reduce((sum, pid) => sum + cpuTime(pid), 0);
  try {
    // A server whose first check is to come gets nothing yet.
    await firstAnswer({ host: "127.0.0.1", port, target: PATH }, performance.now());
    let idle = 0;
    if (checks) {
      const beforeIdle = spent();
      await Bun.sleep(CHECK_INTERVAL);
      idle = (spent() - beforeIdle) / CHECK_INTERVAL;
    }
    const before = spent();
    const started = performance.now();
    const url = `http://127.0.0.1:${port}${PATH}`;
    const { requests, rate } = await askManyTimes(url, seconds, ASKING_CORE);
    const used = spent() - before - idle * (performance.now() - started);
    return { rate, cpu: (used * 1_000) / requests, idle: idle * 100 };
  } finally {
    await proxy.stop();
  }
}
