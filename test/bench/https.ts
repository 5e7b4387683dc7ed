// What HTTPS costs: a handshake, beside one of a bare HAProxy with the same certificate; and 1,000
// certificates, beside one.

import { join } from "node:path";
import { Authority, place } from "../lab/authority.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import type { PlayedEngine } from "../lab/played-engine.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { bareConfig } from "./by-hand.ts";
import { measured } from "./cell.ts";
import { Gateway } from "./gateway.ts";
import { shakeHands } from "./handshakes.ts";
import { VERSIONS } from "./machine.ts";
import { median } from "./numbers.ts";
import { playedContainer, playEngine } from "./played.ts";
import { cpuTime, ownMemory } from "./processes.ts";
import { haproxyProxy, measure, ownProxy, type Proxy } from "./proxy.ts";
import { inTurns } from "./rounds.ts";
import { row, type Bench, type Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

const [ONE, MANY] = [1, 1_000];
const CONTAINERS = 10;
const PATH = "/bench/app-0/";
/** Containers that come and go have names that no other one has, from this number on. */
const CHANGING = 20_000;
const KILOBYTES = 1_024;
/** Bun looks after its memory every second until so long after the last change, in milliseconds. */
const AT_REST = 40_000;
/** The file beside the configuration that says which certificate is for which name. */
const LIST = "https.crt-list";
/** A machine that is busy reads 1,000 certificates in seconds. In milliseconds. */
const PATIENCE = 60_000;

/** How many fewer handshakes a second there may be than with a bare HAProxy. */
const FEWER = 0.03;
/** So much longer may a start take than with one certificate, in milliseconds. */
const LATER = 2_000;

/** Certificates in a folder, all of them by the same authority. */
interface Certificates {
  readonly folder: string;
  readonly authority: Authority;
  readonly count: number;
}

/** Part `https`. */
export async function measureHttps(bench: Bench): Promise<Row[]> {
  const server = await startTinyServer();
  try {
    const authority = await Authority.make();
    const one = await issue(authority, ONE);
    const many = await issue(authority, MANY);
    return [
      ...(await handshakeRows(bench, many, server.port)),
      ...(await sizeRows(bench, [one, many], server.port)),
    ];
  } finally {
    await server.stop();
  }
}

/** Makes a folder with so many certificates. */
async function issue(authority: Authority, count: number): Promise<Certificates> {
  const folder = labDir("certs");
  for (let index = 0; index < count; index++) {
    const { both } = await authority.issue([nameOf(index)]);
    place(fileOf(folder, index), both);
  }
  return { folder, authority, count };
}

function nameOf(index: number): string {
  return `app-${index}.example.com`;
}

function fileOf(folder: string, index: number): string {
  return join(folder, `app-${index}.pem`);
}

/** Whole handshakes (TLS 1.3, EC P-256) of the gateway's HAProxy and of a bare one. */
async function handshakeRows(
  { quick, say }: Bench,
  { folder, authority }: Certificates,
  port: number,
): Promise<Row[]> {
  const entrants: { isBare: boolean; version: HaproxyVersion; proxy: Proxy; https: number }[] = [];
  for (const version of VERSIONS) {
    const [ownTls, bareTls] = [await freePort(), await freePort()];
    const flags = [`--certs=${folder}`, `--listen-https=127.0.0.1:${ownTls}`];
    const own = await ownProxy(version, playEngine(CONTAINERS, port), PATH, flags);
    entrants.push({ isBare: false, version, proxy: own, https: ownTls });
    const bind = `127.0.0.1:${bareTls} ssl crt ${fileOf(folder, 0)} alpn h2,http/1.1`;
    const barePort = await freePort();
    const service = { name: "bench/app-0", address: `127.0.0.1:${port}` };
    const config = bareConfig(barePort, service, bind);
    const bare = haproxyProxy({ version, port: barePort, checks: false, config, files: {} });
    entrants.push({ isBare: true, version, proxy: bare, https: bareTls });
  }
  const results = await inTurns(quick ? 2 : 8, entrants, async (entrant) => {
    const { isBare, version, proxy, https } = entrant;
    const seconds = quick ? 2 : 5;
    const request = { port: https, name: nameOf(0), ca: authority.root, seconds };
    const { cpu, rate } = await measure(proxy, PATH, seconds, (core) => shakeHands(request, core));
    say(`handshakes of ${isBare ? "a bare" : "the gateway's"} ${version}: ${cpu} µs, ${rate}/s`);
    return cpu;
  });
  const cpus = (version: string, isBare: boolean): readonly number[] =>
    [...results].find(([each]) => each.version === version && each.isBare === isBare)?.[1] ?? [];
  const cells = (isBare: boolean): Row["cells"] =>
    Object.fromEntries(VERSIONS.map((version) => [version, measured(cpus(version, isBare), "µs")]));
  // As many handshakes a second as the CPU allows.
  const allowed = 1 / (1 - FEWER);
  return [
    row("a handshake, a bare HAProxy: CPU", cells(true)),
    {
      what: `the same of the gateway's, with ${MANY.toLocaleString("en-US")} certificates`,
      cells: cells(false),
      target: `${allowed.toFixed(2)} x the first`,
      reached: VERSIONS.every(
        (version) => median(cpus(version, false)) <= allowed * median(cpus(version, true)),
      ),
    },
  ];
}

/** What was measured of a gateway with so many certificates; times in milliseconds. */
interface Size {
  /** From the start of the gateway until a client is answered with the last certificate. */
  readonly start: number;
  /** CPU of the gateway while nothing happens, in percent. */
  readonly rest: number;
  /** Memory that is the processes' own, in megabytes. */
  readonly gateway: number;
  readonly haproxy: number;
  /** CPU of the gateway for one certificate that is renewed, and how long it takes until clients get it. */
  readonly renewalCpu: number;
  readonly renewal: number;
  /** CPU of the gateway for a container that comes or goes. */
  readonly change: number;
}

async function sizeRows(
  { quick, say }: Bench,
  all: readonly Certificates[],
  port: number,
): Promise<Row[]> {
  const entrants = VERSIONS.flatMap((version) =>
    all.map((certificates) => ({ version, certificates })),
  );
  const results = await inTurns(quick ? 1 : 2, entrants, async ({ version, certificates }) => {
    const size = await sizeOf(version, certificates, port, quick);
    say(`${version}, ${certificates.count} certificates: ${JSON.stringify(size)}`);
    return size;
  });
  const of = (version: string, count: number, field: keyof Size): number[] =>
    [...results].flatMap(([each, sizes]) =>
      each.version === version && each.certificates.count === count
        ? sizes.map((size) => size[field])
        : [],
    );
  const cells = (count: number, field: keyof Size, unit: string): Row["cells"] =>
    Object.fromEntries(VERSIONS.map((each) => [each, measured(of(each, count, field), unit)]));
  const both = (what: string, field: keyof Size, unit: string): Row[] => [
    row(`${what}, one certificate`, cells(ONE, field, unit)),
    row(`${what}, ${MANY.toLocaleString("en-US")} certificates`, cells(MANY, field, unit)),
  ];
  const more = (version: string, field: keyof Size): number =>
    median(of(version, MANY, field)) - median(of(version, ONE, field));
  const each = (field: keyof Size): Row["cells"] =>
    Object.fromEntries(
      VERSIONS.map((version) => {
        return [version, measured([(more(version, field) * KILOBYTES) / (MANY - ONE)], "kB")];
      }),
    );
  const [startOne, startMany] = both("started -> an answer by HTTPS", "start", "ms");
  return [
    ...(startOne === undefined || startMany === undefined
      ? []
      : [
          startOne,
          {
            ...startMany,
            target: `${LATER / 1_000} s more`,
            reached: VERSIONS.every((version) => more(version, "start") <= LATER),
          },
        ]),
    row("memory of a certificate: the gateway", each("gateway")),
    row("memory of a certificate: HAProxy", each("haproxy")),
    ...both("while nothing happens: CPU of the gateway", "rest", "%"),
    ...both("one is renewed: CPU of the gateway", "renewalCpu", "ms"),
    ...both("until clients get it", "renewal", "ms"),
    ...both("a container comes or goes: CPU of the gateway", "change", "ms"),
  ];
}

async function sizeOf(
  version: HaproxyVersion,
  { folder, authority, count }: Certificates,
  port: number,
  quick: boolean,
): Promise<Size> {
  const engine = playEngine(CONTAINERS, port);
  const https = await freePort();
  const since = performance.now();
  const gateway = await Gateway.start({
    dockerHost: engine.dockerHost,
    version,
    way: "runtime",
    flags: [`--certs=${folder}`, `--listen-https=127.0.0.1:${https}`],
  });
  const last = count - 1;
  /** Waits until clients get another certificate for the last name than that one. */
  const shown = (before: string): Promise<string> =>
    eventually(
      async () => {
        const name = nameOf(last);
        const ca = authority.root;
        const { problem, serial, status } = await requestTls({ port: https, name, path: PATH, ca });
        if (problem === "" && status === 200 && serial !== before) return serial;
        throw new Error(`${name} is answered ${status} ${problem}\n${gateway.log}`);
      },
      { timeoutMs: PATIENCE, everyMs: 5 },
    );
  try {
    let serial = await shown("");
    const start = performance.now() - since;
    await Bun.sleep(AT_REST);
    const worker = await gateway.worker();
    const [own, haproxy] = [ownMemory(gateway.pid), ownMemory(worker)];
    const seconds = quick ? 15 : 60;
    const rest = (await spent(gateway, () => Bun.sleep(seconds * 1_000))) / (seconds * 10);

    const [renewals, cpus]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < (quick ? 3 : 10); turn++) {
      const { both } = await authority.issue([nameOf(last)]);
      const written = gateway.written(LIST);
      const cpu = await spent(gateway, async () => {
        const changed = performance.now();
        place(fileOf(folder, last), both);
        serial = await shown(serial);
        renewals.push(performance.now() - changed);
        await gateway.settled(written, LIST);
      });
      cpus.push(cpu);
    }
    const change = await changes(gateway, engine, port, quick ? 5 : 20);
    const renewal = { renewal: median(renewals), renewalCpu: median(cpus) };
    return { start, rest, gateway: own, haproxy, ...renewal, change };
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}

/** The CPU of the gateway for a container that comes or goes, the median of so many pairs. */
async function changes(
  gateway: Gateway,
  engine: PlayedEngine,
  port: number,
  pairs: number,
): Promise<number> {
  const cpus: number[] = [];
  const change = async (
    event: "routed" | "removed",
    id: string,
    make: () => void,
  ): Promise<void> => {
    const [written, told] = [gateway.written(), gateway.says(event, id)];
    const cpu = await spent(gateway, async () => {
      make();
      await told;
      await gateway.settled(written);
    });
    cpus.push(cpu);
  };
  for (let turn = 0; turn < pairs; turn++) {
    // Of one that comes and goes again and again the log tells no more after a while.
    const container = playedContainer(CHANGING + turn, port);
    await change("routed", container.id, () => engine.add(container));
    await change("removed", container.id, () => engine.remove(container.id));
  }
  return median(cpus);
}

/** The CPU time of the gateway meanwhile, in milliseconds. */
async function spent(gateway: Gateway, task: () => Promise<unknown>): Promise<number> {
  const before = cpuTime(gateway.pid);
  await task();
  return cpuTime(gateway.pid) - before;
}
