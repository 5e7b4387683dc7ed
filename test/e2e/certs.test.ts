// What `certs` and its friends tell of certificates, and `certs renew`, with an authority for tests.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { CertificateRow, CertificatesDocument } from "../../src/api/certificates.ts";
import { Authority, place } from "../lab/authority.ts";
import { haproxyProgram } from "../lab/haproxy.ts";
import {
  BRIEF_HOLD,
  closeGateways,
  firstVersion,
  gatewayDir,
  startGateway,
  type Gateway,
} from "./gateway.ts";
import { Pebble } from "./pebble.ts";
import { runToEnd } from "./program.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

/** The gateway has these hosts: one leads to nobody, one only by IPv4. */
const HOSTS =
  "127.0.0.1 localhost a.test file.test six.test caa.test\n127.0.0.9 away.test\n::1 six.test\n";
/** Gives the gateway another file of hosts than the machine's. */
const WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"';
/** The same for the DNS. */
const WITH_DNS = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"';
/** HTTP-01 is about this port. Each lane has a network of its own. */
const PORT = 80;

async function rows(...words: string[]): Promise<readonly CertificateRow[]> {
  const { status, stdout, stderr } = await runToEnd(["certs", "--json", ...words]);
  expect([status, stderr]).toEqual([0, ""]);
  return (JSON.parse(stdout) as CertificatesDocument).certificates;
}

async function explain(word: string): Promise<string> {
  return (await runToEnd(["explain", word])).stdout;
}

/** Asks a gateway at its socket. */
async function post(gateway: Gateway, target: string): Promise<unknown> {
  const options: object = { unix: join(gateway.dir, "haproxy.gateway.sock"), method: "POST" };
  return (await fetch(`http://gateway${target}`, options)).json();
}

// What is told of them does not depend on HAProxy's version.
const version = firstVersion();

describe(`HAProxy ${version}`, () => {
  let stage: Stage;
  let pebble: Pebble | undefined;
  let gateway: Gateway | undefined;
  let dir: string;
  let certs: string;
  let authority: Authority;

  beforeEach(async () => {
    stage = new Stage();
    dir = gatewayDir();
    certs = join(dir, "certs");
    mkdirSync(certs);
    authority = await Authority.make();
  });

  afterEach(async () => {
    await gateway?.stop();
    await pebble?.stop();
    await stage.stop();
    closeGateways();
  });

  async function start(...flags: string[]): Promise<Gateway> {
    const hosts = join(dir, "hosts");
    writeFileSync(hosts, HOSTS);
    gateway = await startGateway({
      dockerHost: stage.dockerHost,
      version,
      dir,
      port: PORT,
      prefix: ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", hosts],
      flags: [BRIEF_HOLD, ...flags],
    });
    return gateway;
  }

  async function startWithAuthority(): Promise<Gateway> {
    const folder = join(dir, "pebble");
    mkdirSync(folder);
    pebble = await Pebble.start(folder, PORT, { dnsPort: 53 });
    return start(
      "--acme=me@example.com",
      `--acme-dir=${join(dir, "acme")}`,
      `--certs=${certs}`,
      ...pebble.flags,
    );
  }

  /** A container with that host. */
  function serve(host: string, labels: Record<string, string> = {}): void {
    const name = host.replace(/\..*/, "");
    stage.start(name, {
      image: `acme/${name}:1`,
      ip: "127.0.0.1",
      port: 9,
      labels: { "gateway.host": host, ...labels },
    });
  }

  async function put(file: string, names: string[], days: [number, number] = [-1, 90]) {
    place(join(certs, file), (await authority.issue(names, { days })).both);
  }

  function made(): X509Certificate {
    return new X509Certificate(readFileSync(join(dir, "acme/a.test.pem")));
  }

  test("each host with its certificate, what is wrong first; renewed when somebody wants it", async () => {
    await put("file.pem", ["file.test", "*.wild.test"]);
    await put("old.pem", ["old.test"], [-90, 1]);
    const running = await startWithAuthority();
    serve("a.test");
    serve("away.test");
    serve("file.test", { "gateway.acme": "off" });
    await running.logged(/^certificate for a\.test from .*acme\/a\.test\.pem, by .*Pebble/);
    await running.logged(/^Cannot get a certificate for away\.test: it does not lead here/);
    await running.logged(/^certificate for \*\.wild\.test, file\.test from .*file\.pem, by Tests/);
    const found = await running.until(async () => {
      const all = await rows();
      expect(all.filter(({ underway }) => underway)).toEqual([]);
      return all;
    });
    expect(found.map(({ name, routed, match, source }) => [name, routed, match, source])).toEqual([
      ["away.test", true, "default", "self-signed"],
      ["old.test", false, "exact", "file"],
      ["*.wild.test", false, "exact", "file"],
      ["a.test", true, "exact", "acme"],
      ["file.test", true, "exact", "file"],
    ]);
    const [away, old, , own, file] = found;
    expect(away?.problem).toContain("it does not lead here: at 127.0.0.9, nothing listens there");
    expect(Date.parse(away?.renewal ?? "")).toBeGreaterThan(Date.now() - 60_000);
    expect([old?.problem, old?.daysLeft]).toEqual(["it ends soon: renew it", 0]);
    expect(own).toMatchObject({ authority: expect.stringContaining("127.0.0.1:"), problem: "" });
    expect(Date.parse(own?.renewal ?? "")).toBeGreaterThan(Date.now() + 30 * 86_400_000);
    expect(file).toMatchObject({ path: join(certs, "file.pem"), daysLeft: 89, renewal: null });
    const { stdout } = await runToEnd(["certs"]);
    expect(stdout).toMatch(/^HOST +CERTIFICATE +ISSUER +DAYS +RENEWAL +PROBLEM\naway\.test +self-/);

    expect(await explain("https://a.test/x")).toMatch(
      /^certificate .*a\.test\.pem \(ec\), for a\.test, by Pebble .*: it is for that very name\nacme +127\S+ is asked for the next one in \d+ d\nhttp +is sent here with 308\nroute +https:\/\/a\.test\/, /m,
    );
    expect(await explain("http://a.test/x?y")).toContain("308, to https://a.test/x?y; what");
    expect(await explain("https://away.test/")).toMatch(/^acme .* it does not lead here/m);
    expect(await explain("file")).toMatch(
      /^certificate +file\.test: .*file\.pem \(ec\), for file/m,
    );
    const { stdout: routes } = await runToEnd(["routes"]);
    expect(routes).toContain("\nhttps://a.test/ ");
    expect(routes).toContain("\nhttp://away.test/ ");

    for (const [action, name, fields] of [
      ["renew", "away.test", ["names", "authority"]],
      ["check", "a.test", ["addresses"]],
    ] as const) {
      const answer = (await post(running, `/v1/certificates/${name}/${action}`)) as object;
      expect(Object.keys(answer)).toEqual([...fields]);
      if (action === "check") {
        expect(answer).toEqual({
          addresses: [{ address: "127.0.0.1", type: "A", problem: "", unreachable: false }],
        });
      }
    }

    const before = made().serialNumber;
    const renewed = await runToEnd(["certs", "renew", "a.test"]);
    expect([renewed.status, renewed.stdout]).toEqual([
      0,
      expect.stringMatching(/^127\.0\.0\.1:\d+ has made it/),
    ]);
    expect(made().serialNumber).not.toBe(before);
    await running.logged(/^renewed certificate for a\.test from /);
    const logs = await runToEnd(["logs"]);
    expect(logs.stdout).toMatch(/ renewed certificate for a\.test from /);

    for (const [name, message] of [
      ["file.test", `its certificate is ${join(certs, "file.pem")}\n  hint: who put it there`],
      [
        "aa.test",
        "no route has that name, and no certificate is for it\n  hint: did you mean a.test",
      ],
    ] as const) {
      const { status, stderr } = await runToEnd(["certs", "renew", name]);
      expect([status, stderr]).toEqual([
        2,
        expect.stringContaining(`Cannot renew "${name}": ${message}`),
      ]);
    }
    const failed = await runToEnd(["certs", "renew", "away.test"]);
    expect([failed.status, failed.stderr]).toEqual([
      15,
      expect.stringContaining('Cannot renew "away.test": it does not lead here'),
    ]);
    // Nobody may ask the authority for the same more than five times in a week.
    for (let count = 0; count < 3; count++) await runToEnd(["certs", "renew", "a.test"]);
    const often = await runToEnd(["certs", "renew", "a.test"]);
    expect([often.status, often.stderr]).toEqual([
      15,
      expect.stringMatching(/now: it was made 5 times within a week\n {2}hint: .* again in 6 d/),
    ]);
  });

  test("doctor finds what keeps an authority from making them", async () => {
    await put("old.pem", ["old.test"], [-90, 1]);
    const running = await startWithAuthority();
    for (const host of ["a.test", "six.test", "caa.test"]) serve(host);
    await pebble?.allow("caa.test", ";");
    await running.logged(/^certificate for a\.test from /);
    await running.logged(/^Cannot get a certificate for six\.test: .* at ::1, nothing listens/);
    const resolv = join(dir, "resolv.conf");
    writeFileSync(resolv, "nameserver 127.0.0.1\n");
    const prefix = ["unshare", "--mount", "sh", "-c", WITH_DNS, "sh", resolv];
    const { status, stdout } = await runToEnd(["doctor"], {}, "/", prefix);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ok +Configuration: accepted by HAProxy/m);
    expect(stdout).toMatch(/^ok +Authority: 127\.0\.0\.1:\d+ answers, and this machine's clock/m);
    expect(stdout).toMatch(/^ok +Listen: 127\.0\.0\.1:80 held by .*, \*:443 held by this HAProxy/m);
    const [, names = ""] = stdout.split(/^warning  Names: /m);
    expect(names).toContain(
      " six.test: its AAAA record does not lead here: at ::1, nothing listens there, but its A record does\n",
    );
    expect(names).toContain(" caa.test: the CAA record of caa.test lets nobody make it\n");
    expect(names).not.toMatch(/^ +a\.test/m);
    const [, certificates = ""] = stdout.split(/^warning  Certificates: /m);
    expect(certificates).toMatch(/^ +\S+old\.pem \(old\.test\) expires on/m);
    expect(certificates).toMatch(/^ +six\.test: it does not lead here/m);
  });

  test("without a gateway they are what the flags say", async () => {
    await put("file.pem", ["file.test"]);
    stage.set("file", {
      image: "acme/one:1",
      ip: "127.0.0.1",
      port: 9,
      labels: { "gateway.host": "file.test,none.test" },
    });
    const flags = [
      `--docker-host=${stage.dockerHost}`,
      `--haproxy=${haproxyProgram(version)}`,
      `--output-file=${join(dir, "haproxy.cfg")}`,
      "--manage-haproxy",
    ];
    const found = await rows(...flags, `--certs=${certs}`);
    expect(found.map(({ name, source, problem }) => [name, source, problem])).toEqual([
      ["none.test", "self-signed", "no certificate is for it"],
      ["file.test", "file", ""],
    ]);
    const explained = await runToEnd([
      "explain",
      "https://none.test/",
      `--certs=${certs}`,
      ...flags,
    ]);
    expect(explained.stdout).toMatch(/^certificate +none is for that name/m);
    const doctor = await runToEnd(["doctor", `--certs=${certs}`, ...flags]);
    expect(doctor.stdout).toMatch(/^ok +Configuration: accepted by HAProxy, with 2 routes/m);
    expect(doctor.stdout).toMatch(
      /^warning +Certificates: .*\n +none\.test: no certificate is for it\n/m,
    );
    const { stdout } = await runToEnd(["certs", ...flags]);
    expect(stdout).toBe("Nothing is served by HTTPS. --certs or --acme begins it.\n");
  });
});
