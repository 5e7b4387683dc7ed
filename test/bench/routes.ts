// What a request costs HAProxy as the routes grow, beside one that is written by hand, and nginx.

import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { bareConfig, handConfig, handMap } from "./by-hand.ts";
import { measured, said, type Cell } from "./cell.ts";
import { VERSIONS } from "./machine.ts";
import { nginxConfig, nginxServices, type Served } from "./nginx.ts";
import { digits, median } from "./numbers.ts";
import { playedContainer, playEngine } from "./played.ts";
import { withDescendants } from "./processes.ts";
import { haproxyProxy, measure, ownProxy, PROXY_CORE, type Proxy, type Rate } from "./proxy.ts";
import { inTurns } from "./rounds.ts";
import { firstAnswer } from "./services.ts";
import { row, type Bench, type Column, type Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

const SIZES = [10, 1_000, 10_000];
/** The route that is asked for: in the middle of all, whatever their number. */
const APP = 5;
const PATH = `/bench/app-${APP}/`;
/** How much more than by hand it may be. */
const ALLOWED = 1.05;
/** How much more the dearest of all sizes may be than the cheapest. */
const GROWTH = 1.2;

/** `bare` passes on. `hand` does what is needed, and no more. `own` is what the gateway makes. */
type Kind = "bare" | "hand" | "own";

/** One of those that are compared. */
interface Setting extends Proxy {
  readonly kind: Kind;
  readonly column: Column;
  readonly size: number;
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
        const own = await ownProxy(version, playEngine(size, server.port), PATH);
        settings.push({ kind: "own", column: version, size, ...own });
      }
    }
    if (nginx !== undefined) {
      for (const size of SIZES) settings.push(await byNginx(nginx, size, server.port));
    }
    const results = await inTurns(quick ? 1 : 3, settings, async (setting) => {
      const rate = await measure(setting, PATH, quick ? 1 : 4);
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
  const proxy = haproxyProxy({ version, port, checks: false, config, files: maps });
  return { kind, column: version, size, ...proxy };
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
