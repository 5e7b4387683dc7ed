// Certificates by ACME, from a real authority for tests and behind a real HAProxy.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import type { CertificatesDocument } from "../../src/api/certificates.ts";
import { startApp } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { BLOCKED, Pebble, type PebbleOptions } from "./pebble.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

/** The gateway has these hosts, and those that a test adds. */
const HOSTS = "127.0.0.1 localhost a.test b.test c.test blocked.test\n";
/** Gives the gateway another file of hosts than the machine's. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
/** The serial number of the certificate that HAProxy has for a name. */
function servedFor(servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port: 443, servername, rejectUnauthorized: false });
  socket.once("error", reject);
  socket.once("secureConnect", () => {
    resolve(socket.getPeerCertificate().serialNumber);
    socket.destroy();
  });
  return promise;
}

/** HTTP-01 is about this port. Each lane has a network of its own. */
const PORT = 80;

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let stage: Stage;
  let pebble: Pebble;
  let gateway: Gateway;
  let dir: string;
  let hosts: string;

  beforeEach(() => {
    stage = new Stage();
    dir = gatewayDir();
    hosts = join(dir, "hosts");
    writeFileSync(hosts, HOSTS);
  });

  afterEach(async () => {
    await gateway?.stop();
    await pebble?.stop();
    await stage.stop();
    closeGateways();
  });

  async function authority(options: PebbleOptions = {}): Promise<void> {
    const folder = join(dir, "pebble");
    mkdirSync(folder);
    pebble = await Pebble.start(folder, PORT, options);
  }

  async function start(...flags: string[]): Promise<void> {
    gateway = await startGateway({
      dockerHost: stage.dockerHost,
      version,
      dir,
      port: PORT,
      prefix: ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", hosts],
      flags: [
        "--acme=me@example.com",
        `--acme-dir=${join(dir, "acme")}`,
        ...pebble.flags,
        BRIEF_HOLD,
        ...flags,
      ],
    });
  }

  /** A container with these hosts, and more labels. */
  function serve(name: string, hostNames: string, labels: Record<string, string> = {}): void {
    stage.start(name, {
      image: `acme/${name}:1`,
      ip: "127.0.0.1",
      port: 9,
      labels: { "gateway.host": hostNames, ...labels },
    });
  }

  function file(name: string): string {
    return join(dir, "acme", `${name}.pem`);
  }

  /** Waits for a certificate that is another one than that. */
  function issued(name: string, other?: string): Promise<X509Certificate> {
    return gateway.until(() => {
      const certificate = new X509Certificate(readFileSync(file(name)));
      if (certificate.serialNumber === other) throw new Error("it is still the one of before");
      return certificate;
    });
  }

  /** What the running gateway says is wrong with the certificate of a host. */
  async function problemOf(name: string): Promise<string | undefined> {
    const options: object = { unix: join(gateway.dir, "haproxy.gateway.sock") };
    const answer = await fetch("http://gateway/v1/certificates", options);
    const { certificates } = (await answer.json()) as CertificatesDocument;
    return certificates.find((each) => each.name === name)?.problem;
  }

  /** As if so much time had passed since all that is remembered, in milliseconds. */
  function pass(ms: number): void {
    const path = join(dir, "acme/state/memory.json");
    const shift = (value: unknown): unknown => {
      if (typeof value === "number" && value > 1e12) return value - ms;
      if (Array.isArray(value)) return value.map(shift);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shift(each)]));
    };
    writeFileSync(path, JSON.stringify(shift(JSON.parse(readFileSync(path, "utf8")))));
  }

  test("each host of a route gets one, without a reload, and the next gateway uses it on", async () => {
    await authority();
    serve("one", "a.test");
    await start();
    const first = await issued("a.test");
    expect(first.subjectAltName).toBe("DNS:a.test");
    await gateway.logged(/^certificate for a\.test from .*a\.test\.pem, by .*Pebble.*, until \d/);
    // The authority says when it wants it renewed (RFC 9773).
    await gateway.until(() => {
      const { certificates } = JSON.parse(
        readFileSync(join(dir, "acme/state/memory.json"), "utf8"),
      );
      const { window } = certificates["a.test"];
      expect(window.start).toBeGreaterThan(Date.now());
      expect(window.end).toBeLessThan(Date.parse(first.validTo));
    });
    // It is served.
    await gateway.until(async () => expect(await servedFor("a.test")).toBe(first.serialNumber));
    const reloads = gateway.count(/^HAProxy reloaded/);
    serve("two", "b.test,c.test");
    for (const name of ["b.test", "c.test"]) {
      expect((await issued(name)).subjectAltName).toBe(`DNS:${name}`);
    }
    expect(gateway.count(/^HAProxy reloaded/)).toBe(reloads);
    // Nothing is left of what the authority asked for.
    await gateway.until(async () => {
      const map = readFileSync(join(dir, "haproxy.challenges.map"), "utf8");
      expect(map).not.toContain("/");
    });
    expect(statSync(join(dir, "acme")).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(join(dir, "acme/state"))) {
      expect(statSync(join(dir, "acme/state", name)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(file("a.test")).mode & 0o777).toBe(0o600);
    const orders = pebble.log().split("There are now").length;
    await gateway.stop();
    await start();
    await gateway.answers("/", 403);
    serve("three", "a.test");
    await Bun.sleep(3_000);
    expect(pebble.log().split("There are now").length).toBe(orders);
    expect((await issued("a.test")).serialNumber).toBe(first.serialNumber);
  });

  test("no rule keeps the authority out, and the rest of that path is the container's", async () => {
    await authority();
    const app = await startApp();
    stage.start("one", {
      image: "acme/one:1",
      ip: app.address,
      port: app.port,
      labels: {
        "gateway.host": "a.test",
        "gateway.redirect": "https://other.test",
        "gateway.deny": "0.0.0.0/0",
        "gateway.route.open.host": "b.test",
      },
    });
    await start();
    await issued("a.test");
    const path = "/.well-known/acme-challenge/of-the-container";
    const get = (host: string) => gateway.get(path, { headers: { Host: host } });
    expect((await get("a.test")).status).toBe(403);
    await gateway.until(async () => expect((await get("b.test")).body).toBe(app.name));
    await app.stop();
  });

  detail("one for all hosts of a service, and a wildcard by DNS", async () => {
    await authority();
    const command = pebble.dnsCommand();
    serve("one", "a.test,*.a.test", { "gateway.acme": "together" });
    serve("two", "*.b.test");
    await start(`--acme-dns=${command}`);
    const wildcard = await issued("_.b.test");
    expect(wildcard.subjectAltName).toBe("DNS:*.b.test");
    const both = await gateway.until(() => {
      const name = readdirSync(join(dir, "acme")).find((each) => each.startsWith("_together."));
      return new X509Certificate(readFileSync(join(dir, "acme", name ?? "none yet")));
    });
    expect(both.subjectAltName?.split(", ").toSorted()).toEqual(["DNS:*.a.test", "DNS:a.test"]);
    await gateway.until(() => {
      const lines = readFileSync(`${command}.log`, "utf8").trim().split("\n").toSorted();
      expect(lines).toEqual([
        ...Array<string>(2).fill("set _acme-challenge.a.test"),
        "set _acme-challenge.b.test",
        ...Array<string>(2).fill("unset _acme-challenge.a.test"),
        "unset _acme-challenge.b.test",
      ]);
    });
  });

  detail("a command for the DNS that fails is told with its own lines", async () => {
    await authority();
    const command = join(dir, "fails");
    writeFileSync(command, "#!/bin/sh\necho no such zone >&2\nexit 3\n", { mode: 0o755 });
    serve("one", "a.test");
    await start(`--acme-dns=${command}`);
    const line = await gateway.logged(
      /^Cannot get a certificate for a\.test: .*set _acme-challenge/,
    );
    expect(line.message).toContain("ended with status 3");
    expect(gateway.log()).toContain("no such zone");
  });

  detail("it is renewed at two thirds of its life, and the old one serves until then", async () => {
    await authority({ validity: 30 });
    serve("one", "a.test");
    await start();
    const first = await issued("a.test");
    const second = await gateway.until(() => issued("a.test", first.serialNumber), 40_000);
    const [before, after] = [first, second].map(({ validFrom }) => Date.parse(validFrom));
    expect((after ?? 0) - (before ?? 0)).toBeGreaterThanOrEqual(9_000);
    expect(gateway.count(/^Cannot/)).toBe(0);
  });

  detail(
    "a route that is gone keeps its certificate for 30 days, and nothing is written meanwhile",
    async () => {
      await authority();
      serve("one", "a.test");
      serve("two", "b.test");
      await start();
      await issued("a.test");
      await issued("b.test");
      const memory = join(dir, "acme/state/memory.json");
      const since = (): unknown =>
        JSON.parse(readFileSync(memory, "utf8")).certificates["a.test"].unwantedSince;
      stage.end("one");
      await gateway.until(() => expect(since()).toBeNumber());
      // For the other one, too, there is nothing to remember now.
      await gateway.until(async () => {
        const { mtimeMs } = statSync(memory);
        await Bun.sleep(300);
        expect(statSync(memory).mtimeMs).toBe(mtimeMs);
      });
      await gateway.stop();
      expect(existsSync(file("a.test"))).toBe(true);
      pass(31 * 86_400_000);
      await start();
      await gateway.logged(/a\.test\.pem is removed: no route has had its names for 30 d/);
      expect(existsSync(file("a.test"))).toBe(false);
      expect(existsSync(file("b.test"))).toBe(true);
    },
  );

  detail("a name that does not lead here is not asked for until it does", async () => {
    await authority();
    writeFileSync(hosts, "127.0.0.1 localhost a.test\n127.0.0.9 b.test\n");
    const other = Bun.serve({
      hostname: "127.0.0.9",
      port: PORT,
      fetch: () => new Response("x", { headers: { Server: "another" } }),
    });
    try {
      serve("one", "a.test,b.test,c.test,d.test");
      await start();
      await issued("a.test");
      const line = await gateway.logged(
        /^Cannot get a certificate for b\.test: it does not lead here/,
      );
      expect(line.message).toContain(
        "at 127.0.0.9, another server answers: status 200, by another",
      );
      await gateway.logged(
        /^Cannot get a certificate for c\.test: its name (does not resolve|cannot be resolved)/,
      );
      expect(existsSync(file("b.test"))).toBe(false);
      expect(pebble.log()).not.toContain("b.test");
      writeFileSync(hosts, "127.0.0.1 localhost a.test b.test c.test\n");
      await gateway.until(() => issued("b.test"), 30_000);
      await gateway.until(() => issued("c.test"), 30_000);
    } finally {
      await other.stop(true);
    }
  });

  detail("what the authority refuses is told, and costs the others nothing", async () => {
    await authority();
    serve("one", `${BLOCKED},a.test`);
    await start("--no-acme-self-check");
    await issued("a.test");
    const line = await gateway.logged(/^Cannot get a certificate for blocked\.test/);
    expect(line.message).toContain("the authority makes no certificates for this name");
    expect(line.message).toMatch(/tried again in 5 min\)$/);
  });

  detail(
    "a failed proof is told with its reason, and is tried again by the next gateway in its time",
    async () => {
      await authority();
      serve("one", "a.test");
      // The authority looks where nobody listens.
      await pebble.lookAt(9);
      await start();
      const line = await gateway.logged(
        /^Cannot get a certificate for a\.test: a\.test: the authority/,
      );
      expect(line.message).toMatch(/cannot connect to it .*tried again in 5 min\)$/);
      await pebble.lookAt(PORT);
      await gateway.stop();
      await start();
      await gateway.answers("/", 403);
      await Bun.sleep(2_500);
      expect(existsSync(file("a.test"))).toBe(false);
      await gateway.stop();
      pass(10 * 60_000);
      await start();
      await issued("a.test");
    },
  );

  detail("an authority that is down, and comes back as one that knows no account", async () => {
    await authority();
    serve("one", "a.test");
    await start();
    await issued("a.test");
    await pebble.stop();
    serve("two", "b.test");
    const line = await gateway.logged(/^Cannot get a certificate for b\.test: .*cannot be asked/);
    expect(line.message).toMatch(/tried again in 1 min\)$/);
    // What is served goes on.
    expect((await gateway.get("/", { headers: { Host: "x.test" } })).status).toBe(403);
    // The next gateway waits as long, and knows why.
    await gateway.stop();
    await start();
    await gateway.until(async () => expect(await problemOf("b.test")).toMatch(/cannot be asked/));
    await pebble.run();
    await gateway.stop();
    pass(2 * 60_000);
    await start();
    await gateway.logged(/does not know the account any more: a new one is made/);
    expect((await issued("b.test")).subjectAltName).toBe("DNS:b.test");
  });

  detail("an account that was deactivated is made anew", async () => {
    await authority();
    serve("one", "a.test");
    await start();
    await issued("a.test");
    await pebble.deactivate(join(dir, "acme/state"));
    serve("two", "b.test");
    await gateway.logged(/does not know the account any more: a new one is made/);
    await issued("b.test");
    expect(gateway.count(/^Cannot/)).toBe(0);
  });

  detail("an authority that hangs holds up no route, and no end", async () => {
    await authority();
    pebble.pause(true);
    serve("one", "a.test");
    await start();
    await gateway.answers("/", 403);
    await Bun.sleep(2_500);
    serve("two", "b.test");
    await gateway.logged(/^routed .*b\.test/);
    expect(await gateway.stop()).toBe(0);
    pebble.pause(false);
    await start();
    await issued("a.test");
  });

  detail("nonces that it does not take are tried again", async () => {
    await authority({ env: { PEBBLE_WFE_NONCEREJECT: "25" } });
    serve("one", "a.test,b.test");
    await start();
    await issued("a.test");
    await issued("b.test");
    expect(gateway.count(/^Cannot/)).toBe(0);
  });

  detail("an authority that wants a key for accounts", async () => {
    const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    await authority({ binding: `kid-1:${key}` });
    serve("one", "a.test");
    await start();
    const line = await gateway.logged(/^Cannot get a certificate for a\.test/);
    expect(line.message).toContain("wants an account that it knows");
    await gateway.stop();
    pass(86_400_000);
    await start(`--acme-eab=kid-1:${key}`);
    await issued("a.test");
  });

  detail("the gateway is killed while it asks: the next one goes on with the order", async () => {
    await authority();
    // Its first call hangs, so that an order is under way for certain.
    const command = join(dir, "hangs-once");
    const text = `#!/bin/sh\n[ -e $0.ran ] || { touch $0.ran; sleep 60; }\nexec ${pebble.dnsCommand()} "$@"\n`;
    writeFileSync(command, text, { mode: 0o755 });
    serve("one", "a.test");
    await start(`--acme-dns=${command}`);
    const order = join(dir, "acme/state/order-a.test.json");
    const url = (): unknown => JSON.parse(readFileSync(order, "utf8")).url;
    const left = await gateway.until(url);
    await gateway.until(() => expect(existsSync(`${command}.ran`)).toBe(true));
    await gateway.kill9();
    expect(url()).toBe(left);
    await start(`--acme-dns=${command}`);
    await issued("a.test");
    expect(gateway.count(/^Cannot/)).toBe(0);
    // One order was enough.
    expect(pebble.log().match(/Added order/g)).toHaveLength(1);
  });

  detail("a disk that is full is told, and written again", async () => {
    await authority();
    const acme = join(dir, "acme");
    mkdirSync(acme, { mode: 0o700 });
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", acme]);
    expect(mount.exitCode).toBe(0);
    writeFileSync(join(acme, "ballast"), Buffer.alloc(64 * 1024 - 8192));
    serve("one", "a.test");
    await start();
    await gateway.logged(/Cannot write ".*": ENOSPC/);
    expect(existsSync(file("a.test"))).toBe(false);
    rmSync(join(acme, "ballast"));
    await gateway.until(() => issued("a.test"), 50_000);
  });
});
