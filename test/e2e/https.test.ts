// HTTPS with certificates of --certs, which come, change and go while HAProxy runs.

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
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, place } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyProgram, haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { OcspResponder } from "./ocsp-responder.ts";
import { runToEnd } from "./program.ts";
import { openssl, requestTls, type TlsAnswer, type TlsRequest } from "../lab/tls-client.ts";
import { detailsOf } from "./details.ts";
import {
  BRIEF_HOLD,
  closeGateways,
  startGateway,
  type Gateway,
  type GatewayOptions,
} from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;
let authority: Authority;
let curl = "";

beforeAll(async () => {
  engine = await sharedEngine();
  authority = await Authority.make();
  curl = join(cached("curl"), "usr/bin/curl");
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`HTTPS, ${testFlavour()}, HAProxy %s`, (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let gateway: Gateway;
  let certs = "";
  let port = 0;

  beforeEach(async () => {
    certs = labDir("certs");
    port = await freePort();
  });

  afterEach(async () => {
    await removeAll(engine);
    await gateway.stop();
    closeGateways();
  });

  async function start({ flags = [], dir }: GatewayOptions = {}): Promise<void> {
    gateway = await startGateway({
      ...(dir === undefined ? {} : { dir }),
      dockerHost: engine.dockerHost,
      version,
      flags: [BRIEF_HOLD, `--certs=${certs}`, `--listen-https=127.0.0.1:${port}`, ...flags],
    });
    if (dir === undefined) await gateway.logged("there is no configuration of the gateway's yet");
  }

  function ask(name: string, more: Partial<TlsRequest> = {}): Promise<TlsAnswer> {
    return requestTls({ port, name, ca: authority.root, path: "/acme/shop/", ...more });
  }

  async function put(file: string, ...wish: Parameters<Authority["issue"]>): Promise<void> {
    const { both } = await authority.issue(...wish);
    place(join(certs, file), both);
  }

  /** The status for a host that is not the one of the connection. */
  async function statusFor(name: string, host: string): Promise<number> {
    return (await ask(name, { host })).status;
  }

  const reloads = (): readonly string[] =>
    gateway.lines().flatMap(({ event, message }) => (event === "reload" ? message : []));

  test("a host is served with its certificate, which comes, is renewed and goes without a reload", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    // Nobody has one yet.
    const before = await ask("shop.example.com");
    expect(before).toMatchObject({ names: ["no-certificate.invalid"], status: 200 });
    expect(before.body).toContain(shop.name);
    const begun = reloads();

    await put("shop.pem", ["shop.example.com"]);
    await eventually(async () => expect((await ask("shop.example.com")).problem).toBe(""));
    const first = await ask("shop.example.com");
    expect(first).toMatchObject({ names: ["shop.example.com"], status: 200, version: "TLSv1.3" });
    expect((await ask("other.example.com")).names).toEqual(["no-certificate.invalid"]);

    await put("shop.pem", ["shop.example.com", "www.example.com"]);
    await eventually(async () =>
      expect((await ask("shop.example.com")).serial).not.toBe(first.serial),
    );
    expect(await ask("www.example.com")).toMatchObject({ problem: "", status: 200 });

    rmSync(join(certs, "shop.pem"));
    await eventually(async () => {
      expect((await ask("shop.example.com")).names).toEqual(["no-certificate.invalid"]);
    });
    expect(reloads()).toEqual(begun);
    // HAProxy has what the files say.
    gateway.signal("SIGHUP");
    await gateway.logged("reading everything again");
    const wiki = await run(engine, "acme/shop:1", { labels: { "gateway.path": "/wiki" } });
    await gateway.served("/wiki/", wiki.name);
    expect(gateway.log()).not.toContain("HAProxy has other certificates");
    expect(reloads()).toEqual(begun);
  });

  test("the best certificate by name: exact, wildcard, default; one of each kind", async () => {
    await put("wild.pem", ["*.example.com"]);
    await put("shop.pem", ["shop.example.com"]);
    await put("shop.rsa.pem", ["shop.example.com"], { kind: "rsa" });
    await put("default.pem", ["fallback.example.org"]);
    await start();
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    const namesFor = async (name: string, more = {}): Promise<readonly string[]> =>
      (await ask(name, more)).names;
    await eventually(async () => {
      expect(await namesFor("shop.example.com")).toEqual(["shop.example.com"]);
    });
    expect(await namesFor("shop.example.com", { kind: "rsa" })).toEqual(["shop.example.com"]);
    expect(await namesFor("shop.example.com", { kind: "ec" })).toEqual(["shop.example.com"]);
    const rsa = await ask("shop.example.com", { kind: "rsa" });
    const ec = await ask("shop.example.com", { kind: "ec" });
    expect(rsa.serial).not.toBe(ec.serial);
    expect(await namesFor("blog.example.com")).toEqual(["*.example.com"]);
    expect(await namesFor("a.blog.example.com")).toEqual(["fallback.example.org"]);
    expect(await namesFor("")).toEqual(["fallback.example.org"]);
    const begun = reloads();
    // The default one is renewed in place.
    const old = await ask("unknown.example.net");
    await put("default.pem", ["fallback.example.org"]);
    await eventually(async () =>
      expect((await ask("unknown.example.net")).serial).not.toBe(old.serial),
    );
    expect(reloads()).toEqual(begun);
  });

  test("a host that has a certificate is redirected, one with another certificate is misdirected", async () => {
    await put("shop.pem", ["shop.example.com", "www.example.com"]);
    await put("wiki.pem", ["*.wiki.example.com"]);
    await start();
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    const plain = async (host: string, target = "/acme/shop/?a=b"): Promise<string> => {
      const answer = await gateway.get(target, { headers: { Host: host } });
      return `${answer.status} ${answer.header("location") ?? ""}`.trim();
    };
    await eventually(async () => {
      expect(await plain("shop.example.com")).toBe(
        `308 https://shop.example.com:${port}/acme/shop/?a=b`,
      );
    });
    expect(await plain("SHOP.example.com.:80")).toBe(
      `308 https://shop.example.com:${port}/acme/shop/?a=b`,
    );
    expect(await plain("a.wiki.example.com", "/none")).toBe(
      `308 https://a.wiki.example.com:${port}/none`,
    );
    expect(await plain("other.example.com")).toBe("200");
    // A container may answer the challenge of a CA itself.
    expect(await plain("shop.example.com", "/.well-known/acme-challenge/x")).toBe("403");

    expect(await statusFor("shop.example.com", "www.example.com")).toBe(200);
    expect(await statusFor("shop.example.com", "www.example.com:443")).toBe(200);
    expect(await statusFor("shop.example.com", "a.wiki.example.com")).toBe(421);
    expect(await statusFor("a.wiki.example.com", "b.wiki.example.com")).toBe(200);
    expect(await statusFor("shop.example.com", "unknown.example.net")).toBe(421);
    expect(await statusFor("unknown.example.net", "shop.example.com")).toBe(421);
    expect(await statusFor("unknown.example.net", "other.example.net")).toBe(200);
    expect(await statusFor("", "shop.example.com")).toBe(200);
  });

  test("labels: a route that stays on HTTP, and one that browsers ask for by HTTPS alone", async () => {
    await put("shop.pem", ["shop.example.com"]);
    await start();
    const labels = {
      "gateway.host": "shop.example.com",
      "gateway.path": "/",
      "gateway.hsts": "1y, subdomains",
      "gateway.deny": "127.0.0.9",
      "gateway.route.plain.host": "shop.example.com",
      "gateway.route.plain.path": "/plain",
      "gateway.route.plain.redirect": "none",
    };
    await run(engine, "acme/shop:1", { labels });
    const plain = async (target: string): Promise<[number, string | undefined]> => {
      const answer = await gateway.get(target, { headers: { Host: "shop.example.com" } });
      return [answer.status, answer.header("strict-transport-security")];
    };
    await gateway.until(async () => expect(await plain("/plain/x")).toEqual([200, undefined]));
    expect(await plain("/plainer")).toEqual([308, undefined]);
    expect(await plain("/")).toEqual([308, undefined]);
    const shown = await ask("shop.example.com", { path: "/" });
    expect(shown).toMatchObject({ status: 200, problem: "" });
    expect(shown.head).toContain("strict-transport-security: max-age=31536000; includeSubDomains");
    const other = await ask("shop.example.com", { path: "/plain/" });
    expect(other.status).toBe(200);
    expect(other.head).not.toContain("strict-transport-security");
  });

  test("with --no-redirect a label redirects its route alone, to the port of HTTPS", async () => {
    await put("shop.pem", ["shop.example.com"]);
    await start({ flags: ["--no-redirect"] });
    const labels = { "gateway.host": "shop.example.com", "gateway.redirect": "https" };
    await run(engine, "acme/shop:1", { labels });
    await gateway.until(async () => {
      const answer = await gateway.get("/a?b", { headers: { Host: "shop.example.com" } });
      expect(answer.header("location")).toBe(`https://shop.example.com:${port}/a?b`);
    });
    // It is redirected before its container answers.
    await gateway.until(async () => {
      expect((await ask("shop.example.com", { path: "/a?b" })).status).toBe(200);
    });
  });

  test("what is of no use is told, and the last good one is used on, over a restart too", async () => {
    await put("shop.pem", ["shop.example.com"]);
    await start();
    await eventually(async () => expect((await ask("shop.example.com")).problem).toBe(""));
    const { serial } = await ask("shop.example.com");
    const shop = join(certs, "shop.pem");
    const told = async (problem: string): Promise<void> => {
      const message = `${shop} cannot be used, and the one before it is used on: ${problem}`;
      await gateway.logged(message);
    };
    const { chain, key } = await authority.issue(["shop.example.com"]);
    writeFileSync(shop, chain.slice(0, 300));
    await told("it has no certificate in PEM");
    writeFileSync(shop, chain);
    await told("it has no private key in PEM");
    const { key: other } = await authority.issue(["other.example.com"]);
    writeFileSync(shop, chain + other);
    await told("its private key belongs to another certificate");
    await put("shop.pem", ["shop.example.com"], { days: [-90, -1] });
    await told("it expired on ");
    expect((await ask("shop.example.com")).serial).toBe(serial);
    await gateway.stop();
    await start({ dir: gateway.dir });
    await eventually(async () => expect((await ask("shop.example.com")).serial).toBe(serial));
    place(shop, key + chain);
    await eventually(async () => {
      const now = await ask("shop.example.com");
      expect(now).toMatchObject({ problem: "" });
      expect(now.serial).not.toBe(serial);
    });
  });

  test("clients come back with their tickets after a reload and a restart; keys are nobody's business", async () => {
    await put("shop.pem", ["shop.example.com"]);
    await start();
    await eventually(async () => expect((await ask("shop.example.com")).problem).toBe(""));
    const session = join(labDir("session"), "ticket");
    for (const flag of ["-tls1_2", "-tls1_3"]) {
      openssl(port, "shop.example.com", authority.root, flag, "-sess_out", session);
      const again = (): string =>
        openssl(port, "shop.example.com", authority.root, flag, "-sess_in", session)
          .split("\n")
          .filter((line) => /^(New|Reused), /.test(line))
          .join("\n");
      expect(again()).toContain("Reused, ");
      const { master, worker } = await gateway.haproxy();
      process.kill(master, "SIGUSR2");
      await gateway.until(async () => expect((await gateway.haproxy()).worker).not.toBe(worker));
      expect(again()).toContain("Reused, ");
    }
    for (const file of readdirSync(gateway.dir)) {
      const isSecret = /\.(keys|pem)$|\.certificates$/.test(file);
      const { mode } = statSync(join(gateway.dir, file));
      if (isSecret) expect([file, mode & 0o077]).toEqual([file, 0]);
    }
  });

  detail("render prints no key, neither that of the gateway nor that of its flags", async () => {
    await put("default.pem", ["shop.example.com"]);
    await start();
    await eventually(async () => expect((await ask("shop.example.com")).problem).toBe(""));
    const flags = [`--docker-host=${engine.dockerHost}`, `--haproxy=${haproxyProgram(version)}`];
    const output = `--output-file=${gateway.output}`;
    const own = [`--gateway=${join(gateway.dir, "haproxy.gateway.sock")}`];
    for (const words of [own, [...flags, output, "--manage-haproxy", `--certs=${certs}`]]) {
      const { status, stdout } = await runToEnd(["render", ...words]);
      expect([words, status]).toEqual([words, 0]);
      expect(stdout).toContain("haproxy.default.pem");
      expect(stdout).not.toContain("PRIVATE KEY");
      for (const line of readFileSync(join(gateway.dir, "haproxy.tickets.keys"), "utf8").split(
        "\n",
      )) {
        if (line !== "") expect(stdout).not.toContain(line);
      }
    }
  });

  test("by HTTP/2 a request is treated as by HTTP/1.1", async () => {
    await put("shop.pem", ["shop.example.com", "other.example.com"]);
    await start();
    const labels = {
      "gateway.host": "other.example.com",
      "gateway.path": "/",
      "gateway.service": "other",
    };
    const other = await run(engine, "acme/shop:1", { labels });
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    await eventually(async () => {
      const answer = await ask("other.example.com", { path: "/" });
      expect(answer.body).toContain(other.name);
    });
    writeFileSync(join(certs, "ca.crt"), authority.root);
    /** The status, where it leads, and what the container got: method, target and headers. */
    const asked = (protocol: string, url: string, flags: readonly string[]): string => {
      const host = new URL(url).hostname;
      const words = ["-s", "-i", protocol, "--path-as-is", "--cacert", join(certs, "ca.crt")];
      const to = ["--resolve", `${host}:${port}:127.0.0.1`, url];
      const { stdout, exitCode } = Bun.spawnSync([curl, ...words, ...flags, ...to]);
      return `${exitCode} ${stdout
        .toString()
        .split(/\r?\n/)
        .map((line) => line.toLowerCase())
        .filter((line) =>
          /^(http\/|location|name|method|target|header: x-|header: host)/.test(line),
        )
        .map((line) => line.replace(/^http\/\S+ (\d+).*/, "$1"))
        .join("; ")}`;
    };
    const targets = [
      "/acme/shop/a%20b?c=d",
      "/acme/shop",
      "/acme/shop/",
      "/acme/shop/a/../b",
      "/acme/shop/../b",
      "/acme/shop/%2e%2e/b",
      "/acme/shop/..%2fb",
      "/acme/shop/a?b=../c",
      "/acme/shop/https://x/",
      "/acme/shopper",
      "/",
      "//acme/shop/",
    ];
    const flags = [
      [],
      ["-X", "POST", "-d", "text"],
      ["-X", "DELETE"],
      ["-H", "Accept: text/html", "-H", `Referer: https://shop.example.com:${port}/acme/shop/`],
      ["-H", "X-Forwarded-For: 1.2.3.4", "-H", "X-Real-IP: 1.2.3.4"],
    ];
    for (const host of ["shop.example.com", "other.example.com"]) {
      for (const target of targets) {
        for (const more of flags) {
          const url = `https://${host}:${port}${target}`;
          const what = [url, ...more].join(" ");
          expect([what, asked("--http2", url, more)]).toEqual([
            what,
            asked("--http1.1", url, more),
          ]);
        }
      }
    }
    const url = `https://shop.example.com:${port}/acme/shop/x`;
    expect(asked("--http2", url, [])).toContain("target: /x");
  });

  detail("files of certbot, of nginx-proxy and of HAProxy are found", async () => {
    const [a, b, c] = await Promise.all(
      ["a.example.com", "b.example.com", "c.example.com"].map((name) => authority.issue([name])),
    );
    if (a === undefined || b === undefined || c === undefined) throw new Error("none was issued");
    mkdirSync(join(certs, "archive/a.example.com"), { recursive: true });
    place(join(certs, "archive/a.example.com/fullchain1.pem"), a.chain);
    place(join(certs, "live/a.example.com/privkey.pem"), a.key);
    place(join(certs, "live/a.example.com/fullchain.pem"), a.chain);
    place(
      join(certs, "live/a.example.com/cert.pem"),
      a.chain.slice(0, a.chain.indexOf("-----END") + 25),
    );
    place(join(certs, "b.example.com.crt"), b.chain);
    place(join(certs, "b.example.com.key"), b.key);
    place(join(certs, "b.example.com.dhparam.pem"), "-----BEGIN DH PARAMETERS-----");
    place(join(certs, "b.example.com.chain.pem"), b.chain);
    place(join(certs, "c.pem.ecdsa"), c.both);
    place(join(certs, "lonely.key"), b.key);
    await start();
    for (const name of ["a", "b", "c"]) {
      await eventually(async () => expect((await ask(`${name}.example.com`)).problem).toBe(""));
    }
    const warnings = gateway
      .lines()
      .flatMap(({ level, message }) => (level === "warn" ? message : []));
    expect(warnings.filter((message) => message.includes(certs))).toEqual([
      `${join(certs, "lonely.key")} is not used: there is no lonely.crt beside it`,
    ]);
  });

  test("where a certificate names a responder of OCSP, clients get its answer", async () => {
    const responder = await OcspResponder.start("shop.example.com");
    try {
      await start();
      place(join(certs, "shop.pem"), responder.pem);
      const stapled = (): string =>
        /OCSP response: (?:no response sent)|Cert Status: \w+/.exec(
          openssl(port, "shop.example.com", responder.pem, "-status"),
        )?.[0] ?? "";
      await gateway.until(async () => {
        expect((await ask("shop.example.com")).names).toEqual(["shop.example.com"]);
      });
      if (version === "2.6") expect(stapled()).toBe("OCSP response: no response sent");
      else await gateway.until(() => expect(stapled()).toBe("Cert Status: good"));
    } finally {
      await responder.stop();
    }
  });

  test("strict: only names that have a certificate; modern: only TLS 1.3", async () => {
    await put("shop.pem", ["shop.example.com"]);
    await start({ flags: ["--strict-sni", "--tls=modern", "--no-redirect"] });
    await eventually(async () => expect((await ask("shop.example.com")).problem).toBe(""));
    expect(openssl(port, "other.example.com", authority.root)).toContain("unrecognized name");
    expect(openssl(port, "shop.example.com", authority.root, "-tls1_2")).toContain(
      "protocol version",
    );
    const { status } = await gateway.get("/", {
      headers: { Host: "shop.example.com" },
    });
    expect(status).toBe(403);
  });
});
