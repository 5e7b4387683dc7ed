// HTTPS as real clients use it: openssl and curl, by HTTP/1.1 and HTTP/2, with much to say and much at a time.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reply, startApp, type App, type Received } from "../lab/app.ts";
import { Authority, place } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { openssl, requestTls } from "../lab/tls-client.ts";
import { closeGateways, startGateway } from "./gateway.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

const NAME = "shop.example.com";
/** Many times what HAProxy and a client take at once: a window of HTTP/2, a buffer, a record of TLS. */
const [DOWN, UP] = [20_000_000, 5_000_000];
/** More streams than a connection of HTTP/2 may have at a time. */
const STREAMS = 500;

describe.each(haproxyVersions())("clients of HTTPS, HAProxy %s", (version) => {
  let stage: Stage;
  let app: App;
  let authority: Authority;
  let dir = "";
  let port = 0;

  beforeAll(async () => {
    stage = new Stage();
    app = await startApp({ answerer: answer });
    authority = await Authority.make();
    dir = labDir("clients");
    port = await freePort();
    place(join(dir, "certs/shop.pem"), (await authority.issue([NAME])).both);
    writeFileSync(join(dir, "root.pem"), authority.root);
    stage.set("shop", { image: "shop", ip: app.address, port: app.port });
    const gateway = await startGateway({
      version,
      dockerHost: stage.dockerHost,
      flags: [`--certs=${join(dir, "certs")}`, `--listen-https=127.0.0.1:${port}`],
    });
    await gateway.until(async () => {
      const { problem, status } = await requestTls({
        port,
        name: NAME,
        path: "/shop/",
        ca: authority.root,
      });
      expect([problem, status]).toEqual(["", 200]);
    });
  });

  afterAll(async () => {
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  /** Runs curl. @returns its exit status, and what it writes */
  async function curl(...words: string[]): Promise<{ status: number; stdout: string }> {
    const known = ["--cacert", join(dir, "root.pem"), "--resolve", `${NAME}:${port}:127.0.0.1`];
    const all = [join(cached("curl"), "usr/bin/curl"), "-sS", ...known, ...words];
    const child = Bun.spawn(all, { stdin: "ignore", stdout: "pipe", stderr: "inherit", cwd: dir });
    const stdout = await new Response(child.stdout).text();
    return { status: await child.exited, stdout };
  }

  const url = (target: string): string => `https://${NAME}:${port}${target}`;
  const tls = (...flags: string[]): string => openssl(port, NAME, authority.root, ...flags);

  test.each([
    ["h2,http/1.1", "ALPN protocol: h2"],
    ["http/1.1,h2", "ALPN protocol: h2"],
    ["http/1.1", "ALPN protocol: http/1.1"],
    ["http/1.0", "No ALPN negotiated"],
  ])("who can %s is told: %s", (wish, said) => {
    expect(tls("-alpn", wish)).toContain(said);
  });

  test.each([
    ["TLS 1.3", ["-tls1_3"], "New, TLSv1.3, Cipher is TLS_"],
    ["TLS 1.2", ["-tls1_2"], "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES"],
    ["TLS 1.1", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version"],
    ["TLS 1.0", ["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version"],
    [
      "a cipher of blocks",
      ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
      "alert handshake failure",
    ],
    ["a key for good", ["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "alert handshake failure"],
  ])("%s", (_, flags, said) => {
    expect(tls(...flags)).toContain(said);
  });

  describe.each([
    ["--http1.1", "1.1"],
    ["--http2", "2"],
  ])("curl %s", (protocol, spoken) => {
    test("gets much, and sends much, byte by byte", async () => {
      const got = join(dir, "got");
      const { status, stdout } = await curl(
        protocol,
        "-o",
        got,
        "-w",
        "%{http_version} %{http_code}",
        url("/shop/much"),
      );
      expect([status, stdout]).toEqual([0, `${spoken} 200`]);
      expect(Bun.hash(readFileSync(got))).toBe(Bun.hash(lines(DOWN)));
      const sent = join(dir, "sent");
      writeFileSync(sent, lines(UP));
      const upload = await curl(protocol, "-T", sent, url("/shop/upload"));
      expect(upload).toEqual({ status: 0, stdout: `PUT /upload ${UP} ${Bun.hash(lines(UP))}` });
    });

    test("what an application says of its own paths is mended, and it learns who asks", async () => {
      const { stdout } = await curl(protocol, "-i", "-b", "a=b", url("/shop/go?x=y"));
      const head = stdout.toLowerCase().split(/\r?\n/);
      expect(head).toContain("location: /shop/there");
      expect(head).toContain("set-cookie: a=b; path=/shop; secure; httponly");
      expect(head).toContain("link: </shop/style.css>; rel=preload");
      const told = JSON.parse(stdout.slice(stdout.indexOf("{"))) as Record<string, string[]>;
      expect(told).toEqual({
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-proto": ["https"],
        "x-forwarded-prefix": ["/shop"],
        "x-forwarded-host": [`${NAME}:${port}`],
        host: [`${NAME}:${port}`],
        cookie: ["a=b"],
      });
    });
  });

  test(`${STREAMS} requests over few connections, many at a time`, async () => {
    const words = [
      "--http2",
      "-Z",
      "--parallel-max",
      "200",
      "-o",
      "many-#1",
      "-w",
      "%{num_connects} %{http_version} %{http_code}\\n",
    ];
    const { status, stdout } = await curl(...words, url(`/shop/[1-${STREAMS}]`));
    expect(status).toBe(0);
    const told = stdout.trim().split("\n");
    expect(told).toHaveLength(STREAMS);
    expect(told.filter((line) => !line.endsWith(" 2 200"))).toEqual([]);
    expect(told.filter((line) => !line.startsWith("0 ")).length).toBeLessThan(STREAMS / 100);
    // Each has its own answer.
    const files = readdirSync(dir).filter((name) => name.startsWith("many-"));
    expect(files).toHaveLength(STREAMS);
    for (const name of files) {
      expect(readFileSync(join(dir, name), "utf8")).toBe(`/${name.slice("many-".length)}`);
    }
  });
});

/** What an application answers that knows nothing of its prefix. */
function answer(received: Received): string {
  const { method, target, body, values } = received;
  if (target === "/much") return reply(200, [], lines(DOWN).toString("latin1"));
  if (target === "/upload") {
    return reply(
      200,
      [],
      `${method} ${target} ${body.length} ${Bun.hash(Buffer.from(body, "latin1"))}`,
    );
  }
  if (!target.startsWith("/go")) return reply(200, [], target);
  const names = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "x-forwarded-host",
    "host",
    "cookie",
  ];
  const headers = [
    ["Location", "/there"],
    ["Set-Cookie", "a=b; Path=/; Secure; HttpOnly"],
    ["Link", "</style.css>; rel=preload"],
  ] as const;
  return reply(
    302,
    headers,
    JSON.stringify(Object.fromEntries(names.map((name) => [name, values(name)]))),
  );
}

/** So many bytes of numbered lines: none is where another one should be. */
function lines(length: number): Buffer {
  const text = Array.from(
    { length: Math.ceil(length / 10) },
    (_, index) => `${String(index).padStart(9, "0")}\n`,
  );
  return Buffer.from(text.join("").slice(0, length));
}
