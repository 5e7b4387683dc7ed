// A proxy on a core of its own that is asked as often as it takes: what a request costs it.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { cli, startHaproxy, type HaproxyVersion } from "../lab/haproxy.ts";
import type { PlayedEngine } from "../lab/played-engine.ts";
import { Gateway } from "./gateway.ts";
import { cpuTime } from "./processes.ts";
import { firstAnswer } from "./services.ts";
import { askManyTimes, type Load } from "./wrk.ts";

/** HAProxy checks a server every five seconds, and many at the same time. In milliseconds. */
const CHECK_INTERVAL = 5_000;
/** The cores that the proxy is kept to, and what asks it: neither takes CPU away from the other. */
export const PROXY_CORE = 0;
const ASKING_CORE = 1;

/** A proxy to measure. */
export interface Proxy {
  readonly port: number;
  /** Whether it checks its servers, which is taken off the price of a request. */
  readonly checks: boolean;
  start(): Promise<{ readonly pids: readonly number[]; stop(): Promise<void> }>;
}

/** What a proxy took. */
export interface Rate {
  /** Requests a second. */
  readonly rate: number;
  /** CPU time of the proxy for one request, in microseconds, without that of its checks. */
  readonly cpu: number;
  /** CPU of the proxy while it has no requests: its checks, in percent of a core. */
  readonly idle: number;
}

/**
 * HAProxy as the gateway makes it for the containers of an Engine, which is stopped then.
 * @param path one that is served
 * @param flags further flags of the gateway
 */
export async function ownProxy(
  version: HaproxyVersion,
  engine: PlayedEngine,
  path: string,
  flags: readonly string[] = [],
): Promise<Proxy> {
  const { dockerHost } = engine;
  const gateway = await Gateway.start({ dockerHost, version, way: "runtime", flags });
  try {
    await gateway.answers(path);
    const { output, port } = gateway;
    const files = namedFiles(dirname(output));
    return haproxyProxy({ version, port, checks: true, config: gateway.config(), files });
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}

/** The files that the configuration names, by path. They are gone once the gateway has ended. */
function namedFiles(dir: string): Readonly<Record<string, string>> {
  const names = readdirSync(dir, { encoding: "utf8", recursive: true }).filter((name) =>
    /^haproxy\..*\.(map|lua|crt-list|pem|keys)$/.test(name),
  );
  const paths = names.map((name) => join(dir, name));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(path, "utf8")]));
}

/** HAProxy with a configuration. @param files those that the configuration names, by path */
export function haproxyProxy({
  version,
  port,
  checks,
  config,
  files,
}: Omit<Proxy, "start"> & {
  readonly version: HaproxyVersion;
  readonly config: string;
  readonly files: Readonly<Record<string, string>>;
}): Proxy {
  const onOneCore = config.replace(
    /^global$/m,
    `global\n    nbthread 1\n    cpu-map auto:1/1 ${PROXY_CORE}`,
  );
  return {
    port,
    checks,
    async start() {
      for (const [path, text] of Object.entries(files)) await Bun.write(path, text);
      const haproxy = await startHaproxy({ version, config: onOneCore });
      const text = await cli(haproxy.masterSocket, "show proc");
      const worker = Number(/^(\d+)\s+worker\b/m.exec(text)?.[1]);
      return { pids: [worker], stop: () => haproxy.stop() };
    },
  };
}

/**
 * Asks a proxy for a path for so many seconds.
 * @param ask how it is asked; by wrk unless told otherwise
 */
export async function measure(
  proxy: Proxy,
  path: string,
  seconds: number,
  ask = (core: number): Promise<Load> =>
    askManyTimes(`http://127.0.0.1:${proxy.port}${path}`, seconds, core),
): Promise<Rate> {
  const { port, checks } = proxy;
  const started = await proxy.start();
  const { pids } = started;
  const spent = (): number => pids.reduce((sum, pid) => sum + cpuTime(pid), 0);
  try {
    // A server whose first check is to come gets nothing yet.
    await firstAnswer({ host: "127.0.0.1", port, target: path }, performance.now());
    let idle = 0;
    if (checks) {
      const beforeIdle = spent();
      await Bun.sleep(CHECK_INTERVAL);
      idle = (spent() - beforeIdle) / CHECK_INTERVAL;
    }
    const before = spent();
    const since = performance.now();
    const { requests, rate } = await ask(ASKING_CORE);
    const used = spent() - before - idle * (performance.now() - since);
    return { rate, cpu: (used * 1_000) / requests, idle: idle * 100 };
  } finally {
    await started.stop();
  }
}
