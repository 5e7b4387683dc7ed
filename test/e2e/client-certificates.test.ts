// Certificates of clients: who must show one, whose count, and what applications get to know of them.

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { X509Certificate } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { Authority, place, type Issued } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { parseAnswer, removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { openssl, requestTls, type TlsAnswer, type TlsRequest } from "../lab/tls-client.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

const [SHOP, WIKI, PLAIN] = ["shop.example.com", "wiki.example.com", "plain.example.com"];
/** The status of a client that is not let in while it connects. */
const REFUSED = 0;

let engine: Engine;
let authority: Authority;
let staff: Authority;
let others: Authority;
let alice: Issued;
let bob: Issued;
let eve: Issued;

beforeAll(async () => {
  engine = await sharedEngine();
  authority = await Authority.make();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
  staff = await Authority.make("Staff");
  others = await Authority.make("Others");
  alice = await staff.issue(["alice"]);
  bob = await staff.issue(["bob"]);
  eve = await others.issue(["eve"]);
});

afterAll(closeGateways);

/** What an application is told of a client. */
function told(body: string): (string | undefined)[] {
  const answer = parseAnswer(body);
  return ["subject", "issuer", "serial", "fingerprint", "verify"].map((each) =>
    answer.header(`x-client-cert-${each}`),
  );
}

describe.each(haproxyVersions())(`client certificates, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;
  let certs = "";
  let files = "";
  let port = 0;

  beforeEach(async () => {
    [certs, files, port] = [labDir("certs"), labDir("files"), await freePort()];
    for (const name of [SHOP, WIKI, PLAIN]) {
      place(join(certs, `${name}.pem`), (await authority.issue([name])).both);
    }
    place(join(files, "staff.pem"), staff.root);
    place(join(files, "others.pem"), others.root);
  });

  afterEach(async () => {
    await removeAll(engine);
    await gateway.stop();
    closeGateways();
  });

  async function start(...flags: readonly string[]): Promise<void> {
    gateway = await startGateway({
      dockerHost: engine.dockerHost,
      version,
      flags: [
        BRIEF_HOLD,
        `--certs=${certs}`,
        `--listen-https=127.0.0.1:${port}`,
        `--label-files=${files}`,
        ...flags,
      ],
    });
    await gateway.logged("there is no configuration of the gateway's yet");
  }

  function ask(name: string, more: Partial<TlsRequest> = {}): Promise<TlsAnswer> {
    return requestTls({ port, name, ca: authority.root, path: "/", ...more });
  }

  /** The status, and what the application is told. */
  async function toldOf(name: string, client?: Issued): Promise<unknown[]> {
    const answer = await ask(name, client === undefined ? {} : { own: client });
    const [subject, , , , verify] = told(answer.body);
    return [answer.status, verify, subject];
  }

  /** The status for a client with a certificate, or without. */
  async function status(name: string, client?: Issued, more: Partial<TlsRequest> = {}) {
    const { status: answered } = await ask(name, {
      ...more,
      ...(client === undefined ? {} : { own: client }),
    });
    return answered;
  }

  async function served(name: string, client?: Issued, wanted = 200, path = "/"): Promise<void> {
    await eventually(async () => expect(await status(name, client, { path })).toBe(wanted));
  }

  const asking = (name: string, ca = "staff.pem", mtls = "required") => ({
    "gateway.host": name,
    "gateway.path": "/",
    "gateway.mtls": mtls,
    "gateway.mtls.ca": join(files, ca),
  });

  const reloads = (): number => gateway.count(/^reload:/);

  test("who has none, or one of others, is not let in; the application is told who comes", async () => {
    await start();
    await run(engine, "acme/shop:1", { labels: asking(SHOP) });
    await run(engine, "acme/shop:1", { labels: { "gateway.host": PLAIN, "gateway.path": "/" } });
    await served(PLAIN);
    await served(SHOP, alice);
    expect(await status(SHOP)).toBe(REFUSED);
    expect(await status(SHOP, eve)).toBe(REFUSED);

    const forged = {
      "X-Client-Cert-Subject": "CN=root",
      x_client_cert_verify: "SUCCESS",
      "X-Client_Cert-Fingerprint": "00",
    };
    const known = await ask(SHOP, { headers: forged, own: alice });
    const { serialNumber, fingerprint256 } = new X509Certificate(alice.chain);
    expect(told(known.body)).toEqual([
      "CN=alice",
      "CN=Staff R1,O=Tests",
      serialNumber.toLowerCase(),
      fingerprint256.replaceAll(":", "").toLowerCase(),
      "SUCCESS",
    ]);
    expect(known.body.toLowerCase()).not.toContain("x_client");
    const other = await ask(PLAIN, { headers: forged });
    expect(other.status).toBe(200);
    expect(other.body.toLowerCase()).not.toMatch(/x[-_]client[-_]cert/);
    const plain = await gateway.get("/", { headers: { Host: PLAIN, ...forged } });
    expect(plain.status).toBe(308);

    // Over the connection to another host, or to none.
    expect(await status(PLAIN, alice, { host: SHOP })).toBe(421);
    expect(await status("", alice, { host: SHOP })).toBe(421);
    expect(await status("unknown.example.net", alice, { host: SHOP })).toBe(421);
    const insecure = await gateway.get("/", { headers: { Host: SHOP } });
    expect(insecure.status).toBe(308);
  });

  test("nothing is served without TLS, and no session of one host counts at another", async () => {
    await start("--no-redirect");
    await run(engine, "acme/shop:1", { labels: asking(SHOP) });
    await served(SHOP, alice);
    await gateway.until(() => expect(reloads()).toBe(2));
    const wiki = await run(engine, "acme/shop:1", { labels: asking(WIKI, "others.pem") });
    await run(engine, "acme/shop:1", { labels: { "gateway.host": PLAIN, "gateway.path": "/" } });
    await served(SHOP, alice);
    await served(WIKI, eve);
    await served(PLAIN);
    expect(await status(SHOP, eve)).toBe(REFUSED);
    for (const Host of [SHOP, WIKI]) {
      const { status: answered, body } = await gateway.get("/", { headers: { Host } });
      expect([answered, body]).toEqual([403, "By HTTPS only: clients show a certificate.\n"]);
    }
    expect((await gateway.get("/", { headers: { Host: PLAIN } })).status).toBe(200);
    // Over a connection to another host that asks, too.
    expect(await status(WIKI, eve, { host: SHOP })).toBe(421);

    const dir = labDir("session");
    const [file, eves] = [join(dir, "session"), join(dir, "eve.pem")];
    writeFileSync(eves, eve.both);
    for (const flag of ["-tls1_2", "-tls1_3"]) {
      for (const tickets of [[], ["-no_ticket"]]) {
        for (const [from, ...client] of [
          [WIKI, "-cert", eves, "-cert_chain", eves],
          [PLAIN],
        ] as const) {
          rmSync(file, { force: true });
          const first = openssl(
            port,
            from,
            authority.root,
            flag,
            ...tickets,
            ...client,
            "-sess_out",
            file,
          );
          expect(first).toContain("HTTP/1.1 200");
          // Without a session to come back with, openssl would say so, and not ask at all.
          const again = (await Bun.file(file).exists())
            ? openssl(port, SHOP, authority.root, flag, ...tickets, "-sess_in", file)
            : "";
          expect(again).not.toContain("HTTP/1.1 200");
          expect(again).not.toContain("Reused, ");
        }
      }
    }
    // Whom another host trusts comes and goes without a reload.
    await wiki.kill();
    await served(WIKI, undefined, 403);
    await served(SHOP, alice);
    expect(reloads()).toBe(2);
  });

  test("who has one of somebody who has expired, or whose list has, is not let in, and the doctor says so", async () => {
    const [old, late] = [await Authority.make("Old", -1), await Authority.make("Late")];
    place(join(files, "old.pem"), old.root);
    place(join(files, "late.pem"), late.root);
    place(join(files, "lists.pem"), await late.revokedUntil(-0.5));
    await start();
    await run(engine, "acme/shop:1", { labels: asking(SHOP, "old.pem") });
    const lists = { "gateway.mtls.crl": join(files, "lists.pem") };
    await run(engine, "acme/shop:1", { labels: { ...asking(WIKI, "late.pem"), ...lists } });
    await run(engine, "acme/shop:1", { labels: asking(PLAIN) });
    await served(PLAIN, alice);
    expect(await status(SHOP, await old.issue(["carol"]))).toBe(REFUSED);
    expect(await status(WIKI, await late.issue(["dave"]))).toBe(REFUSED);
    await gateway.logged(/old\.pem": Tests Old expired on /);
    await gateway.logged(/lists\.pem": its list of Tests Late expired on /);
    const socket = join(gateway.dir, "haproxy.gateway.sock");
    const { stdout } = await runToEnd(["doctor", `--gateway=${socket}`]);
    const out = "so nobody with a certificate of it gets in: ";
    expect(stdout).toContain("failure  Certificates: not all is right with them\n");
    expect(stdout).toMatch(
      new RegExp(`Tests Old, for clients of https://${SHOP}/: it expired on .*, ${out}put `),
    );
    expect(stdout).toMatch(
      new RegExp(
        `Tests Late, for clients of https://${WIKI}/: its list of what is revoked expired on .*, ${out}have `,
      ),
    );
    expect(stdout).not.toContain("Staff");

    place(join(files, "lists.pem"), await late.revoked());
    await served(WIKI, await late.issue(["dave"]));
  });

  test("files that change count at once, for who is connected too, without a reload", async () => {
    await start();
    const revoked = join(files, "revoked.pem");
    place(revoked, await staff.revoked());
    const labels = { ...asking(SHOP), "gateway.mtls.crl": revoked };
    await run(engine, "acme/shop:1", { labels });
    await served(SHOP, alice);
    await served(SHOP, bob);
    // The first label of this kind is one.
    const begun = 2;
    await gateway.until(() => expect(reloads()).toBe(begun));

    const connected = connect({
      host: "127.0.0.1",
      port,
      servername: SHOP,
      ca: authority.root,
      key: alice.key,
      cert: alice.chain,
    });
    let got = "";
    connected.on("data", (chunk: Buffer) => (got += chunk.toString()));
    const asked = async (): Promise<string> => {
      got = "";
      connected.write(`GET / HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n`);
      await eventually(() => expect(got).toContain("\r\n\r\n"));
      return got.slice(9, 12);
    };
    expect(await asked()).toBe("200");
    place(revoked, await staff.revoked(alice));
    await served(SHOP, alice, REFUSED);
    await served(SHOP, bob);
    await eventually(async () => expect(await asked()).toBe("421"));
    connected.destroy();

    place(join(files, "staff.pem"), others.root);
    place(revoked, await others.revoked());
    await served(SHOP, eve);
    await served(SHOP, bob, REFUSED);
    // A second host with the same files, and one that goes.
    const second = await run(engine, "acme/shop:1", {
      labels: { ...labels, "gateway.host": WIKI },
    });
    await served(WIKI, eve);
    expect(await status(WIKI, bob)).toBe(REFUSED);
    await second.kill();
    await served(SHOP, eve);
    expect(reloads()).toBe(begun);

    // What is broken lets nobody in, and is told.
    place(revoked, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    await gateway.logged("a list of revoked certificates in it cannot be read");
    await eventually(async () => expect([REFUSED, 503]).toContain(await status(SHOP, eve)));
    place(revoked, await others.revoked());
    await served(SHOP, eve);
    gateway.signal("SIGHUP");
    await gateway.logged("reading everything again");
    expect(gateway.log()).not.toContain("HAProxy has other certificates");
  });

  test("by HTTP/2, and never by HTTP/3", async () => {
    const quic = !["2.6", "3.0"].includes(version);
    await start(...(quic ? ["--http3"] : []));
    await run(engine, "acme/shop:1", { labels: asking(SHOP) });
    await run(engine, "acme/shop:1", { labels: { "gateway.host": PLAIN, "gateway.path": "/" } });
    await served(SHOP, alice);
    await served(PLAIN);
    const dir = labDir("curl");
    const curl = join(cached("curl"), "usr/bin/curl");
    writeFileSync(join(dir, "ca.pem"), authority.root);
    for (const [name, issued] of Object.entries({ alice, eve })) {
      writeFileSync(join(dir, name), issued.chain + issued.key);
    }
    const asked = (way: string, name: string, ...flags: string[]): string => {
      const words = ["-s", "--max-time", "5", "--cacert", join(dir, "ca.pem"), way, ...flags];
      const to = ["--connect-to", `::127.0.0.1:${port}`, `https://${name}:${port}/`];
      const { stdout } = Bun.spawnSync([
        curl,
        ...words,
        "-w",
        "\n%{http_version} %{http_code}",
        ...to,
      ]);
      const text = stdout.toString();
      const [, subject = ""] = /x-client-cert-subject: *(.*)/i.exec(text) ?? [];
      return `${text.slice(text.lastIndexOf("\n") + 1)} ${subject}`.trim();
    };
    const ways: [string, string, string][] = [
      ["--http2", "2", "2 200 CN=alice"],
      ...(quic ? [["--http3-only", "3", "3 421"] as [string, string, string]] : []),
    ];
    for (const [way, number, answer] of ways) {
      expect(asked(way, SHOP, "--cert", join(dir, "alice"))).toBe(answer);
      expect(asked(way, SHOP)).toEndWith("000");
      expect(asked(way, SHOP, "--cert", join(dir, "eve"))).toEndWith("000");
      expect(asked(way, PLAIN)).toBe(`${number} 200`);
      const host = ["-H", `Host: ${SHOP}:${port}`];
      expect(asked(way, PLAIN, "--cert", join(dir, "alice"), ...host)).toBe(`${number} 421`);
    }
    const announced = async (name: string): Promise<boolean> => {
      const { head } = await ask(name, { ...(alice && { own: alice }) });
      return /^alt-svc: h3=/im.test(head);
    };
    expect([await announced(SHOP), await announced(PLAIN)]).toEqual([false, quic]);
  });

  test("what is not right lets nobody in", async () => {
    await start();
    place(
      join(files, "broken.pem"),
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    const cases: [path: string, labels: Record<string, string>, message: string][] = [
      ["/a", { "gateway.mtls": "required" }, "label gateway.mtls.ca is missing"],
      ["/b", { "gateway.mtls.crl": "/x" }, "label gateway.mtls.ca is missing"],
      [
        "/c",
        { "gateway.mtls": "maybe", "gateway.mtls.ca": join(files, "staff.pem") },
        "is not required or optional",
      ],
      ["/d", { "gateway.mtls.ca": join(files, "none.pem") }, "there is no such file"],
      [
        "/e",
        { "gateway.mtls.ca": join(files, "broken.pem") },
        "a certificate in it cannot be read",
      ],
      ["/f", { "gateway.mtls.ca": "/etc/passwd" }, "it is not below"],
    ];
    for (const [path, labels, message] of cases) {
      await run(engine, "acme/shop:1", {
        labels: { "gateway.host": PLAIN, "gateway.path": path, ...labels },
      });
      await gateway.logged(message);
      await served(PLAIN, undefined, 503, path);
    }
    await run(engine, "acme/shop:1", {
      labels: { "gateway.path": "/g", "gateway.mtls.ca": join(files, "staff.pem") },
    });
    await gateway.logged("this route has none: name one with label gateway.host");
    await served(PLAIN, undefined, 503, "/g");
  });

  test("routes of one host: optional ones, others' authorities, a wildcard, a host without a certificate", async () => {
    await start();
    await run(engine, "acme/shop:1", { labels: asking(SHOP, "staff.pem", "optional") });
    await eventually(async () => expect(await toldOf(SHOP)).toEqual([200, "NONE", undefined]));
    expect(await toldOf(SHOP, bob)).toEqual([200, "SUCCESS", "CN=bob"]);
    expect(await status(SHOP, eve)).toBe(REFUSED);

    const more = (path: string, ca?: string): Record<string, string> => ({
      ...(ca === undefined ? { "gateway.host": SHOP } : asking(SHOP, ca)),
      "gateway.path": path,
    });
    await run(engine, "acme/shop:1", { labels: more("/staff", "staff.pem") });
    await run(engine, "acme/shop:1", { labels: more("/open") });
    await run(engine, "acme/shop:1", { labels: more("/others", "others.pem") });
    await served(SHOP, undefined, 403, "/staff");
    await served(SHOP, bob, 200, "/staff");
    await served(SHOP, undefined, 200, "/open");
    await served(SHOP, bob, 503, "/others");
    expect(await status(SHOP, undefined, { path: "/others" })).toBe(503);
    await gateway.logged(`http://${SHOP}/ trusts other authorities`);

    // All below a name, of which one has a certificate of its own; and one that has none.
    await run(engine, "acme/shop:1", { labels: asking("*.example.com") });
    await served(WIKI, alice);
    expect(await status(WIKI)).toBe(REFUSED);
    await served("none.example.com", alice);
    expect(await status("none.example.com")).toBe(REFUSED);
    // A wildcard of TLS is for one label.
    expect(await status("a.none.example.com", alice)).toBe(421);
    expect(await status("none.example.com", alice, { host: WIKI })).toBe(421);
    await served(SHOP, undefined, 200, "/open");
    const { status: insecure } = await gateway.get("/", { headers: { Host: "none.example.com" } });
    expect(insecure).toBe(403);
  });
});
