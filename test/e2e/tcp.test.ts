// Bytes are forwarded to real containers: a PostgreSQL, and servers of TLS by their names.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { cached } from "../lab/cache.ts";
import { parseAnswer, removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { request } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { labels } from "../lab/labels.ts";
import { freePort } from "../lab/ports.ts";
import { dial, helloFrom } from "../lab/tcp.ts";
import { explained, flagsOf, routesOf, statesOf } from "./asking.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { makeCertificates } from "./certificates.ts";
import { runToEnd } from "./program.ts";
import { startRelay } from "./relay.ts";

setDefaultTimeout(120_000);

/** A user who may listen at no port below 1024. */
const NOBODY = 65_534;

let engine: Engine;
/** A file system with PostgreSQL and openssl, which containers find at the same place. */
let system = "";
let certificates = "";

beforeAll(async () => {
  engine = await sharedEngine();
  system = cached("postgresql");
  certificates = labDir("certificates");
  makeCertificates(certificates);
  await importImage(engine, "postgres:15", { expose: [5432] });
  await importImage(engine, "acme/mail:1", { expose: [993] });
  for (const name of ["acme/api:1", "acme/shop:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterAll(closeGateways);

/** Makes a database and serves it. It may not run as root. */
function serving(bin: string): string {
  return `
    echo 'postgres:x:1000:1000::/tmp:/bin/sh' >/etc/passwd
    mkdir /data && chown 1000 /data && chmod 700 /data && chmod 1777 /tmp
    exec su postgres -c '
      ${bin}/initdb -D /data -A trust --locale=C --no-sync >/tmp/log 2>&1 || exec sleep 600
      echo "host all all all trust" >>/data/pg_hba.conf
      exec ${bin}/postgres -D /data -h "*" -k /tmp -F'`;
}

function runPostgres(own: Record<string, string>): Promise<Container> {
  const bin = join(system, "usr/lib/postgresql/15/bin");
  return run(engine, "postgres:15", {
    cmd: ["/bin/sh", "-c", serving(bin)],
    labels: labels(own),
    // It ends at once, and not when its clients have.
    stopSignal: "SIGINT",
    create: { HostConfig: { Binds: [`${system}:${system}:ro`] } },
  });
}

/** A server of TLS that sends back what it hears, each line the wrong way round. */
function runTls(own: Record<string, string>): Promise<Container> {
  const files = "-cert /certificates/server.pem -key /certificates/server-key.pem";
  return run(engine, "acme/mail:1", {
    cmd: ["/bin/sh", "-c", `exec ${system}/usr/bin/openssl s_server -accept 993 ${files} -rev`],
    labels: labels(own),
    create: {
      HostConfig: { Binds: [`${system}:${system}:ro`, `${certificates}:/certificates:ro`] },
    },
  });
}

/** Runs an SQL statement, and returns what it gives. @throws Error if that fails */
function query(port: number, sql: string): string {
  const psql = join(system, "usr/lib/postgresql/15/bin/psql");
  const words = [psql, "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-Atc", sql];
  const { exitCode, stdout, stderr } = Bun.spawnSync(words, {
    env: { PGCONNECT_TIMEOUT: "5", PGPASSFILE: "/dev/null" },
  });
  if (exitCode !== 0) throw new Error(`psql ended with ${exitCode}: ${stderr.toString()}`);
  return stdout.toString().trimEnd();
}

describe.each(haproxyVersions())(`ports of TCP, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;
  let flags: string[];

  async function start(...more: readonly string[]): Promise<void> {
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags: more });
    await gateway.answers("/", 403);
    flags = [...flagsOf(gateway, engine, version), ...more];
  }

  const reloads = (): number => gateway.count(/^reload: /);

  afterEach(async () => {
    await removeAll(engine);
    await gateway.stop();
    closeGateways();
  });

  test("a PostgreSQL", async () => {
    await start();
    const port = await freePort();
    const api = await run(engine, "acme/api:1");
    await gateway.served("/acme/api/", api.name);
    const db = await runPostgres({ tcp: String(port) });
    const line = await gateway.logged(`routed tcp port ${port} `);
    expect(line.container).toBe(db.name);
    await gateway.until(() => expect(query(port, "select 6 * 7")).toBe("42"));
    query(port, "create table t as select generate_series(1, 100000) as n");
    expect(query(port, "select sum(n) from t")).toBe("5000050000");
    // A session of its own stays while all else changes.
    const before = reloads();
    const begun = Date.now();
    const sleeping = gateway.until(() =>
      expect(query(port, "select pg_sleep(1)::text || 'slept'")).toBe("slept"),
    );
    await api.remove();
    await sleeping;
    expect(Date.now() - begun).toBeLessThan(10_000);
    expect((await gateway.get("/postgres/")).status).toBe(403);

    const route = `tcp port ${port}`;
    expect(statesOf((await routesOf(flags))[route])).toEqual({ [db.name]: "up" });
    const about = await explained(db.name, flags);
    expect(about).toContain(`tcp        ${route}, from label gateway.tcp`);
    expect(about).toContain("port       5432, the only one that is exposed");
    expect(about).toContain(`request    each to port ${port} goes there, byte by byte`);
    const ip = await db.ip();
    const [asked, elsewhere] = [
      await explained(`tcp://h:${port}`, flags),
      await explained("tcp://h:7", flags),
    ];
    expect(asked).toContain(`route  ${route}, whatever name is asked for`);
    expect(asked).toContain(`to     ${db.name} at ${ip}:5432`);
    expect(elsewhere).toContain("answer  closed: nothing is forwarded from that port");
    expect(await explained("/postgres/", flags)).toContain("answer  403: no route matches it");

    // Its port stays open while it is replaced, and nobody waits.
    await db.remove();
    await gateway.logged(`no container: connections to tcp port ${port} are closed`);
    expect(() => query(port, "select 1")).toThrow();
    const next = await runPostgres({ tcp: String(port) });
    await gateway.until(() => expect(query(port, "select 2")).toBe("2"));
    expect(next.name).not.toBe(db.name);
    expect(reloads()).toBe(before);
  });

  test("who is told to stop keeps its connections, and gets no new ones", async () => {
    await start();
    const port = await freePort();
    const own = labels({ tcp: String(port) });
    const first = await run(engine, "acme/api:1", { labels: own, graceMs: 2_000 });
    await gateway.logged(`routed tcp port ${port} `);
    const ask = async (): Promise<string> =>
      parseAnswer((await request({ port, target: "/" })).body).name;
    await gateway.until(async () => expect(await ask()).toBe(first.name));
    const old = dial(port, { hello: "GET / HTTP/1.1\r\nHost: h\r\n" });
    await Bun.sleep(100);
    const second = await run(engine, "acme/api:1", { labels: own });
    await gateway.until(async () => expect(await ask()).toBe(second.name));
    const stopping = first.stop(5);
    await gateway.logged(`no requests for tcp port ${port} `);
    for (let index = 0; index < 10; index++) expect(await ask()).toBe(second.name);
    old.socket.write("Connection: close\r\n\r\n");
    expect((await old.rest()).toString()).toContain(`name: ${first.name}`);
    old.socket.destroy();
    await stopping;
    for (let index = 0; index < 10; index++) expect(await ask()).toBe(second.name);
  });

  test("servers of TLS by their names, at one port", async () => {
    await start();
    const port = await freePort();
    const at = (sni: string): Record<string, string> => ({ tcp: String(port), "tcp.sni": sni });
    const one = await runTls(at("mail.example.com"));
    await gateway.logged(`routed tcp port ${port} for mail.example.com `);
    const before = reloads();
    await runTls(at("*.example.com"));
    await gateway.logged(`routed tcp port ${port} for *.example.com `);
    // Its bytes go untouched: it is the client's own TLS that is heard.
    const mirrored = async (servername: string): Promise<string> => {
      const connection = dial(port, { servername });
      connection.socket.write("abc\n");
      const line = await connection.line();
      expect(connection.certificate()).toBe("CN=server.pem");
      connection.socket.destroy();
      return line;
    };
    for (const name of ["mail.example.com", "x.example.com"]) {
      await gateway.until(async () => expect(await mirrored(name)).toBe("cba"));
    }
    expect(await helloFrom(port, { servername: "example.com" })).toBe("");
    expect(reloads()).toBe(before);
    const url = `tcp://mail.example.com:${port}`;
    expect(await explained(url, flags)).toContain(
      `route  tcp port ${port} for mail.example.com, that very name, asked for by TLS`,
    );
    await one.remove();
    await gateway.until(async () => {
      expect((await explained(url, flags)).join()).toContain("the longest wildcard of that name");
    });
  });

  test("a port that another program has costs nobody else anything", async () => {
    await start();
    const port = await freePort();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const other = createServer().listen(port, "127.0.0.1", () => resolve(undefined));
    await promise;
    const db = await run(engine, "acme/api:1", { labels: labels({ tcp: String(port) }) });
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    const why = `it cannot be served at tcp port ${port}: bun (process ${process.pid}) has it`;
    const line = await gateway.logged(`not routed: container ${db.name} `);
    expect(line.reason).toBe(why);
    expect(await explained(db.name, flags)).toContain(`not routed  ${why}`);
    expect((await runToEnd(["routes", ...flags])).stdout).toContain(why);
    expect((await runToEnd(["render", ...flags])).stdout).not.toContain(`_tcp_${port}`);
    const closed = Promise.withResolvers<undefined>();
    other.close(() => closed.resolve(undefined));
    await closed.promise;
    await gateway.logged(`routed tcp port ${port} `);
    await gateway.until(async () => {
      const { body } = await request({ port, target: "/" });
      expect(parseAnswer(body).name).toBe(db.name);
    });
    expect((await runToEnd(["render", ...flags])).stdout).toContain(`_tcp_${port}`);
  });

  test("nor does one that HAProxy may not have", async () => {
    const relay = await startRelay(engine.socket, await freePort());
    const db = await run(engine, "acme/api:1", { labels: labels({ tcp: "25" }) });
    const shop = await run(engine, "acme/shop:1");
    gateway = await startGateway({ dockerHost: relay.dockerHost, version, uid: NOBODY });
    await gateway.served("/acme/shop/", shop.name);
    const line = await gateway.logged(`not routed: container ${db.name} `);
    expect(line.reason).toMatch(/^it cannot be served at tcp port 25: HAProxy fails with it: .*25/);
    // So it is for one that comes later.
    const later = await run(engine, "acme/api:1", { labels: labels({ tcp: "26" }) });
    const next = await run(engine, "acme/shop:1", { labels: labels({ path: "/next" }) });
    await gateway.served("/next/", next.name);
    const reason = (await gateway.logged(`not routed: container ${later.name} `)).reason;
    expect(reason).toBe("it cannot be served at tcp port 26: ports below 1024 are root's");
    // HAProxy was not even asked to try.
    expect(gateway.count(/_tcp_26/)).toBe(0);
    await gateway.served("/acme/shop/", shop.name);
    await relay.close();
  });
});
