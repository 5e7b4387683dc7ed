// Certificates by ACME, from a real authority for tests and behind a real HAProxy.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { haproxyVersions } from "../lab/haproxy.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { BLOCKED, Pebble, type PebbleOptions } from "./pebble.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(60_000);

/** The gateway has these hosts, and those that a test adds. */
const HOSTS = "127.0.0.1 localhost a.test b.test c.test blocked.test\n";
/** Gives the gateway another file of hosts than the machine's. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
/** HTTP-01 is about this port. Each lane has a network of its own. */
const PORT = 80;

describe.each(haproxyVersions())("HAProxy %s", (version) => {
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
    await gateway.stop();
    await pebble.stop();
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
    await gateway.logged(/^certificate for a\.test by .*Pebble.* until \d/);
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
});
