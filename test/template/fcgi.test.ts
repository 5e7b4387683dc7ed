// Proves gateway.scheme=fcgi with a real PHP: what an application is told, and what it never is.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { join } from "node:path";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually, type RawRequest, type RawResponse } from "../lab/http.ts";
import { freePort } from "../lab/ports.ts";
import { startPhp, TELL, type Php, type Told } from "../lab/php.ts";
import { Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const SCRIPTS = {
  "index.php": TELL,
  "app.php": TELL,
  "sub/page.php": TELL,
  "status.php": "<?php http_response_code(404); header('X-A: b'); echo 'none';",
  "large.php": "<?php echo str_repeat('x', 3000000);",
  "text.php": "<?php header('Content-Type: text/plain'); echo str_repeat('x', 5000);",
  "static.txt": "as it is",
};

/** Sends a body in pieces, and returns what the application said of its length. */
function byHttp2(
  session: ClientHttp2Session,
  method: string,
  pieces: readonly string[],
): Promise<{ status: number; length: number | undefined }> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": method,
      ":path": "/shop/x",
      ":authority": "a.org",
    });
    let [status, text] = [0, ""];
    stream.on("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (data: Buffer) => (text += data.toString()));
    stream.on("error", reject);
    stream.on("end", () => {
      resolve({ status, length: status === 200 ? (JSON.parse(text) as Told).length : undefined });
    });
    for (const piece of pieces) stream.write(piece);
    stream.end();
  });
}

/** A request with a body in chunks. */
const chunked = (body: string): Partial<RawRequest> => ({
  method: "POST",
  headers: { "Transfer-Encoding": "chunked" },
  body: `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
});

describe.each(haproxyVersions())("FastCGI, HAProxy %s", (version) => {
  let php: Php;
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    php = await startPhp({ scripts: SCRIPTS, processes: 2 });
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  afterAll(async () => {
    await running.stop();
    await php.stop();
  });

  const container = (name: string, labels: Record<string, string> = {}): Service => ({
    image: name,
    name,
    address: "127.0.0.1",
    port: php.port,
    labels: Object.fromEntries(
      Object.entries({ scheme: "fcgi", "fcgi.root": php.root, ...labels }).map(([key, text]) => [
        `gateway.${key}`,
        text,
      ]),
    ),
  });
  const isUp = (name: string): Promise<void> =>
    eventually(async () => {
      const backend = running.applier.runningName(name);
      const states = Object.entries(await running.servers());
      expect(states.find(([key]) => key.startsWith(`${backend}/`))?.[1].status).toBe("UP");
    });
  /** Serves one container with these labels. */
  const serve = async (labels: Record<string, string> = {}): Promise<void> => {
    await running.serve([container("shop", labels)]);
    await isUp("shop");
  };
  const ask = (target: string, more: Partial<RawRequest> = {}): Promise<RawResponse> =>
    site.ask({ target, ...more, headers: { Host: "a.org:81", ...more.headers } });
  const told = async (target: string, more: Partial<RawRequest> = {}): Promise<Told> => {
    const { status, body } = await ask(target, more);
    expect({ target, status, body }).toEqual({ target, status: 200, body });
    return JSON.parse(body) as Told;
  };
  /** What names the script, as the application is told. */
  const names = async (target: string) => {
    const { file, server } = await told(target);
    const { SCRIPT_NAME, PATH_INFO = "", REQUEST_URI, DOCUMENT_URI, PHP_SELF } = server;
    expect(DOCUMENT_URI).toBe(SCRIPT_NAME);
    expect(PHP_SELF).toBe(`${SCRIPT_NAME}${PATH_INFO}`);
    return [file.slice(php.root.length), SCRIPT_NAME, PATH_INFO, REQUEST_URI];
  };

  test("a path names a script, or is the index's", async () => {
    await serve();
    const cases: [string, string[]][] = [
      ["/shop/", ["/index.php", "/shop/index.php", "", "/shop/"]],
      ["/shop/?a=/b.php/c", ["/index.php", "/shop/index.php", "", "/shop/?a=/b.php/c"]],
      ["/shop/x/y", ["/index.php", "/shop/index.php", "/x/y", "/shop/x/y"]],
      ["/shop/x/?q", ["/index.php", "/shop/index.php", "/x/", "/shop/x/?q"]],
      ["/shop/x.phpx", ["/index.php", "/shop/index.php", "/x.phpx", "/shop/x.phpx"]],
      ["/shop/static.txt", ["/index.php", "/shop/index.php", "/static.txt", "/shop/static.txt"]],
      ["/shop/ping", ["/index.php", "/shop/index.php", "/ping", "/shop/ping"]],
      ["/shop/app.php", ["/app.php", "/shop/app.php", "", "/shop/app.php"]],
      [
        "/shop/sub/page.php/a/b.php/c?d=1",
        ["/sub/page.php", "/shop/sub/page.php", "/a/b.php/c", "/shop/sub/page.php/a/b.php/c?d=1"],
      ],
      ["/shop/app.php/app.php", ["/app.php", "/shop/app.php", "/app.php", "/shop/app.php/app.php"]],
      [
        "/shop/caf%C3%A9%20%22%2Bx+y",
        ["/index.php", "/shop/index.php", '/café "+x+y', "/shop/caf%C3%A9%20%22%2Bx+y"],
      ],
      ["/shop/%61pp.php", ["/app.php", "/shop/app.php", "", "/shop/%61pp.php"]],
    ];
    for (const [target, expected] of cases) expect(await names(target)).toEqual(expected);
    expect((await ask("/shop/none.php")).status).toBe(404);
    expect((await ask("/shop/none.php/x")).status).toBe(404);
    // PHP looks for a file that is there, and does not run this one.
    expect((await ask("/shop/static.txt/x.php")).status).toBe(403);
  });

  test("what it is told besides", async () => {
    await serve();
    const { server } = await told("/shop/x?a=b%20c", {
      headers: { Authorization: "Bearer token", "X-One": "1", Cookie: "a=b" },
    });
    expect(server).toMatchObject({
      QUERY_STRING: "a=b%20c",
      REQUEST_METHOD: "GET",
      SERVER_PROTOCOL: "HTTP/1.1",
      GATEWAY_INTERFACE: "CGI/1.1",
      SERVER_NAME: "a.org",
      SERVER_PORT: String(site.port),
      REMOTE_ADDR: "127.0.0.1",
      REQUEST_SCHEME: "http",
      REDIRECT_STATUS: "200",
      DOCUMENT_ROOT: php.root,
      SCRIPT_FILENAME: join(php.root, "index.php"),
      HTTP_HOST: "a.org:81",
      HTTP_AUTHORIZATION: "Bearer token",
      HTTP_X_ONE: "1",
      HTTP_COOKIE: "a=b",
      HTTP_X_FORWARDED_FOR: "127.0.0.1",
      HTTP_X_FORWARDED_PROTO: "http",
    });
    for (const name of ["HTTPS", "HTTP_X_FORWARDED_PREFIX", "HTTP_CONNECTION"]) {
      expect(server).not.toHaveProperty(name);
    }
  });

  test("no header of a client is a parameter that it must not be", async () => {
    await serve();
    const headers = {
      Proxy: "http://evil.example.com",
      X_Forwarded_For: "6.6.6.6",
      "X.Forwarded.For": "6.6.6.6",
      "X-Forwarded~Prefix": "/evil",
      "X-Forwarded-Prefix": "/evil",
      "X+Real+IP": "6.6.6.6",
      "X-Under_Score": "6.6.6.6",
      "Content*Type": "6.6.6.6",
      SCRIPT_FILENAME: "/etc/passwd",
      "Script-Filename": "/etc/passwd",
      "Remote-Addr": "6.6.6.6",
      Https: "on",
    };
    const { server } = await told("/shop/x", { headers });
    expect(server).toMatchObject({
      SCRIPT_FILENAME: join(php.root, "index.php"),
      SCRIPT_NAME: "/shop/index.php",
      REMOTE_ADDR: "127.0.0.1",
      HTTP_X_FORWARDED_FOR: "127.0.0.1",
      HTTP_X_REAL_IP: "127.0.0.1",
      HTTP_SCRIPT_FILENAME: "/etc/passwd",
      HTTP_HTTPS: "on",
    });
    expect(server).not.toHaveProperty("HTTPS");
    expect(server).not.toHaveProperty("HTTP_PROXY");
    expect(JSON.stringify({ ...server, HTTP_REMOTE_ADDR: "" })).not.toContain("6.6.6.6");
    expect(JSON.stringify(server)).not.toContain("evil");
    expect((await ask("/shop/x", { headers: { ":fcgi-script_name": "/x" } })).status).toBe(400);
    expect((await ask("/shop/x", { headers: { ":fcgi-script_filename": "/x" } })).status).toBe(400);
  });

  test("a header of a label reaches it under a name that no other one has there", async () => {
    await serve({ "headers.request.X-Team": "web", "headers.request.X_Team": "other" });
    const { server } = await told("/shop/x", { headers: { "X-Team": "evil", X_Team: "evil" } });
    expect(server).toMatchObject({ HTTP_X_TEAM: "web" });
  });

  test("what leads out of the folder, or is no text, is refused", async () => {
    for (const labels of [{}, { host: "a.org" }, { strip: "false" }] as Record<string, string>[]) {
      await serve(labels);
      const prefix = labels["host"] === undefined ? "/shop" : "";
      for (const path of [
        "/a/../app.php",
        "/%2e%2e/app.php",
        "/a/..%2fapp.php",
        "/a%2f..%2f..%2f..%2fetc/x.php",
        "/x%00.php",
        "/x%0a.php",
        "/x%0D%0Ay",
        "/x%7f",
        "/x%1b",
        "/%zz",
        "/x%",
      ]) {
        expect([path, (await ask(prefix + path)).status]).toEqual([path, 400]);
      }
    }
  });

  test("a host of its own, a prefix that stays, and another in its place", async () => {
    await serve({ host: "a.org" });
    expect(await names("/x?q")).toEqual(["/index.php", "/index.php", "/x", "/x?q"]);
    expect(await names("/app.php/x")).toEqual(["/app.php", "/app.php", "/x", "/app.php/x"]);
    await serve({ path: "/a%20b" });
    expect(await names("/a%20b/x")).toEqual(["/index.php", "/a b/index.php", "/x", "/a%20b/x"]);
    await serve({ strip: "false" });
    expect(await names("/shop/x?q")).toEqual(["/index.php", "/index.php", "/shop/x", "/shop/x?q"]);
    await serve({ rewrite: "/sub" });
    expect(await names("/shop/page.php/x")).toEqual([
      "/sub/page.php",
      "/sub/page.php",
      "/x",
      "/sub/page.php/x",
    ]);
  });

  test("another index", async () => {
    await serve({ "fcgi.index": "sub/page.php" });
    expect(await names("/shop/x")).toEqual([
      "/sub/page.php",
      "/shop/sub/page.php",
      "/x",
      "/shop/x",
    ]);
    expect(await names("/shop/index.php")).toEqual([
      "/index.php",
      "/shop/index.php",
      "",
      "/shop/index.php",
    ]);
  });

  test("where it leads, and its cookies, have the prefix once", async () => {
    await serve();
    for (const to of ["/login", "/shop/login", "http://a.org:81/login"]) {
      const answer = await ask(`/shop/x?to=${encodeURIComponent(to)}`);
      expect(answer.status).toBe(302);
      expect(answer.header("Location")?.replace("http://a.org:81", "")).toBe("/shop/login");
      expect(answer.header("Set-Cookie")).toBe("seen=1; path=/shop");
    }
  });

  test("bodies of requests, with and without a length", async () => {
    await serve();
    const large = "x".repeat(500_000);
    const posted = await told("/shop/x", { method: "POST", body: "a=b" });
    expect([posted.body, posted.server["REQUEST_METHOD"]]).toEqual(["a=b", "POST"]);
    expect((await told("/shop/x", { method: "PUT", body: large })).length).toBe(large.length);
    const small = await told("/shop/x", chunked("y".repeat(9_000)));
    expect([small.length, small.server["CONTENT_LENGTH"]]).toEqual([9_000, "9000"]);
    expect((await ask("/shop/x", chunked("y".repeat(60_000)))).status).toBe(411);
  });

  test("requests by HTTP/2, whose bodies need not name a length", async () => {
    await serve();
    const session = connectHttp2(`http://127.0.0.1:${site.port}`);
    expect(await byHttp2(session, "GET", [])).toMatchObject({ status: 200, length: 0 });
    expect(await byHttp2(session, "POST", ["a=", "b"])).toMatchObject({ status: 200, length: 3 });
    const large = Array.from({ length: 50 }, () => "x".repeat(2_000));
    expect((await byHttp2(session, "POST", large)).status).toBe(411);
    session.close();
  });

  test("answers: statuses, headers, large ones, HEAD, and compressed ones", async () => {
    await serve({ compress: "true" });
    const none = await ask("/shop/status.php");
    expect([none.status, none.body, none.header("X-A"), none.header("Status")]).toEqual([
      404,
      "none",
      "b",
      undefined,
    ]);
    expect((await ask("/shop/large.php")).body.length).toBe(3_000_000);
    expect((await ask("/shop/large.php", { method: "HEAD" })).status).toBe(200);
    const headers = { "Accept-Encoding": "gzip" };
    expect((await ask("/shop/text.php", { headers })).header("Content-Encoding")).toBe("gzip");
  });

  test("what is too much for HAProxy to pass on is refused as that", async () => {
    await serve();
    const path = "x".repeat(4_000);
    expect((await told(`/shop/${path}`)).server["PATH_INFO"]).toBe(`/${path}`);
    expect((await told("/shop/x", { headers: { "X-A": "y".repeat(28_000) } })).length).toBe(0);
    for (const length of [7_000, 12_000, 20_000, 30_000]) {
      expect((await ask(`/shop/${"x".repeat(length)}`)).status).toBe(413);
      expect((await ask(`/shop/?${"x".repeat(length)}`)).status).toBe(413);
    }
  });

  test("no process is kept for a client that does nothing", async () => {
    await serve();
    // There are two processes.
    for (let index = 0; index < 6; index++) await told("/shop/x");
    for (const method of ["POST", "GET", "DELETE"]) {
      const since = Date.now();
      const all = await Promise.all(
        Array.from({ length: 6 }, () => told("/shop/x?ms=50", { method, body: "" })),
      );
      expect(new Set(all.map(({ pid }) => pid)).size).toBe(2);
      expect(Date.now() - since).toBeLessThan(2_000);
    }
  });

  test("a process that dies costs a GET one more try, and nothing else is sent twice", async () => {
    await serve();
    expect((await told("/shop/x?die=get")).server["QUERY_STRING"]).toBe("die=get");
    expect((await ask("/shop/x?die=post", { method: "POST", body: "x" })).status).toBe(502);
    expect((await told("/shop/x")).length).toBe(0);
  });

  test("a request that waited for its container is told the same", async () => {
    await running.serve([]);
    const port = await freePort();
    const waiting: Service = { ...container("late"), hold: "waiting" };
    await running.serve([{ ...waiting, port }]);
    const posted = { method: "POST", body: "a=b" };
    const [early, posting] = [ask("/late/x?q"), ask("/late/x", posted)];
    expect((await ask("/late/a/../x.php")).status).toBe(400);
    // For half a second a script of Lua waits, and then HAProxy itself.
    await Bun.sleep(900);
    expect(await running.serve([waiting])).toBe("commands");
    expect((JSON.parse((await posting).body) as Told).body).toBe("a=b");
    const { status, body } = await early;
    expect(status).toBe(200);
    expect((JSON.parse(body) as Told).server).toMatchObject({
      SCRIPT_NAME: "/late/index.php",
      PATH_INFO: "/x",
      REQUEST_URI: "/late/x?q",
    });
  });

  test("a check by FastCGI", async () => {
    for (const check of ["/", "/health?a=b", "/app.php", "/ping"]) {
      await serve({ check, "check.status": "200", "fcgi.index": "app.php" });
      expect((await told("/shop/x")).length).toBe(0);
    }
    // PHP itself answers this one.
    await serve({ check: "/ping", "check.status": "200", "fcgi.index": "status.php" });
    await running.serve([container("shop", { check: "/x", "fcgi.index": "status.php" })]);
    await eventually(async () => expect((await ask("/shop/app.php")).status).toBe(503));
    await running.serve([container("shop", { check: "/status.php" })]);
    await eventually(async () => expect((await ask("/shop/x")).status).toBe(503));
  });

  test("further ones need no reload, and the last one is gone", async () => {
    await running.serve([]);
    expect(await running.serve([container("a")])).toBe("reload");
    expect(await running.serve(["a", "b", "c"].map((name) => container(name)))).toBe("commands");
    for (const name of ["a", "b", "c"]) {
      await isUp(name);
      expect((await told(`/${name}/x`)).server["SCRIPT_NAME"]).toBe(`/${name}/index.php`);
    }
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
    expect(await running.serve([container("c")])).toBe("commands");
    expect((await ask("/a/x")).status).toBe(403);
    expect((await told("/c/x")).length).toBe(0);
    expect(await running.serve([])).toBe("commands");
    expect((await ask("/c/x")).status).toBe(403);
    expect(await running.serve([container("d")])).toBe("commands");
    await isUp("d");
    expect((await told("/d/x")).length).toBe(0);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("without the label it is http again", async () => {
    await serve();
    await running.serve([{ ...container("shop"), labels: {} }]);
    const failure = await ask("/shop/x").catch((error: unknown) => ({ status: String(error) }));
    expect(failure.status).not.toBe(200);
  });
});

test.each(haproxyVersions())("FastCGI behind a trusted proxy, HAProxy %s", async (version) => {
  const php = await startPhp();
  const site = await Site.make(version, { flags: { "trusted-proxies": "127.0.0.0/8" } });
  const labels = { "gateway.scheme": "fcgi", "gateway.fcgi.root": php.root };
  const haproxy = await site.start([
    { image: "shop", address: "127.0.0.1", port: php.port, labels },
  ]);
  const told = async (headers: Record<string, string>): Promise<Told["server"]> => {
    const { body } = await site.ask({ target: "/shop/x", headers: { Host: "a.org", ...headers } });
    return (JSON.parse(body) as Told).server;
  };
  await eventually(async () => expect((await site.ask({ target: "/shop/x" })).status).toBe(200));
  const from = { "X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https" };
  expect(
    await told({ ...from, "X-Forwarded-Port": "443", "X-Forwarded-Prefix": "/evil" }),
  ).toMatchObject({
    REMOTE_ADDR: "10.9.8.7",
    HTTPS: "on",
    REQUEST_SCHEME: "https",
    SERVER_PORT: "443",
    SCRIPT_NAME: "/shop/index.php",
  });
  expect(await told({ "X-Forwarded-Port": "x" })).toMatchObject({
    REMOTE_ADDR: "127.0.0.1",
    HTTPS: "off",
    REQUEST_SCHEME: "http",
    SERVER_PORT: String(site.port),
  });
  await haproxy.stop();
  await php.stop();
});
