// Proves what the access log says of requests to a real HAProxy, what it never says, and that it goes on
// whatever becomes of its file, of HAProxy and of the gateway.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseAccessLog } from "../../src/cli/access-log-options.ts";
import { AccessLog } from "../../src/gateway/access-log/access-log.ts";
import { formerWorkers } from "../../src/haproxy/process/master.ts";
import { reply } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { Labelled } from "../lab/labelled.ts";
import { labDir } from "../lab/leftovers.ts";
import { listLogger, START_MS } from "../lab/proxy.ts";

type Line = Readonly<Record<string, string | number>>;

const LABELS = {
  shop: {},
  api: { host: "api.example.com, *.example.com", path: "/v1" },
  closed: { auth: "none" },
};

/** An access log with what it wrote. */
class Log {
  readonly told: string[] = [];
  readonly #log: AccessLog | undefined;

  constructor(site: Labelled, to: string) {
    const { dir, setup } = site.site;
    const paths = { masterSocket: join(dir, "master.sock") };
    this.#log = AccessLog.open(parseAccessLog(to, undefined), paths, listLogger(this.told));
    this.#log?.start(() => setup.paths.haproxy.statsSocket);
  }

  close(): Promise<void> | undefined {
    return this.#log?.close();
  }
}

function linesOf(file: string): Line[] {
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [""];
  expect(lines.pop()).toBe("");
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Waits until a line has these fields. */
function found(file: string, wanted: Line): Promise<Line> {
  return eventually(() => {
    const lines = linesOf(file);
    const line = lines.find((each) =>
      Object.entries(wanted).every(([name, value]) => each[name] === value),
    );
    if (line === undefined) throw new Error(JSON.stringify(lines.slice(-3)));
    return line;
  });
}

/** One frame of HTTP/2 with headers as they are given, and what comes before it. */
function http2Request(headers: readonly (readonly [string, string])[]): Buffer {
  const literals = headers.map(([name, value]) => {
    const [n, v] = [Buffer.from(name, "latin1"), Buffer.from(value, "latin1")];
    return Buffer.concat([Buffer.of(0, n.length), n, Buffer.of(v.length), v]);
  });
  const block = Buffer.concat(literals);
  const head = Buffer.of(0, 0, block.length, 1, 5, 0, 0, 0, 1);
  const settings = Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
  return Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings, head, block]);
}

async function listener(
  path: string,
  got: string[],
): Promise<{ server: Server; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (chunk) => got.push(chunk.toString()));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { server, sockets };
}

describe.each(haproxyVersions())("the access log, HAProxy %s", (version) => {
  const dir = labDir("access");
  const file = join(dir, "access.log");
  let site: Labelled;
  let log: Log;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS, { "access-log": `json:${file}` });
    log = new Log(site, `json:${file}`);
    await eventually(async () => {
      await site.ask("/shop/first");
      expect(linesOf(file).length).toBeGreaterThan(0);
    });
  }, START_MS);

  afterAll(async () => {
    await log.close();
    await site.stop();
  });

  test("names route, service and container, with times and sizes", async () => {
    await site.ask("/shop/a%20b?password=geheim", {
      Authorization: "Basic geheim",
      Cookie: "session=geheim",
      Referer: "http://h/?geheim",
    });
    const line = await found(file, { path: "/shop/a%20b" });
    const { time, id, bytes, received, path, ...rest } = line;
    expect(path).toBe("/shop/a%20b");
    expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(5);
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    expect(Number(bytes)).toBeGreaterThan(10);
    expect(Number(received)).toBeGreaterThan(10);
    expect(rest).toEqual({
      client: "127.0.0.1",
      method: "GET",
      host: "h",
      protocol: "HTTP/1.1",
      route: "/shop",
      service: "shop",
      container: "shop",
      status: 200,
      request_ms: expect.any(Number) as number,
      queue_ms: 0,
      connect_ms: expect.any(Number) as number,
      answer_ms: expect.any(Number) as number,
      total_ms: expect.any(Number) as number,
      retries: "0",
      cause: "--",
    });
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  test("names the route by its host", async () => {
    await site.ask("/v1/x", { Host: "api.example.com" });
    expect(await found(file, { path: "/v1/x" })).toMatchObject({
      host: "api.example.com",
      route: "api.example.com/v1",
      service: "api",
    });
    await site.ask("/v1/y", { Host: "deep.down.example.com" });
    expect(await found(file, { path: "/v1/y" })).toMatchObject({ route: "*.example.com/v1" });
  });

  test("says in words why a request ended otherwise", async () => {
    await site.ask("/nothing/here");
    const { service, ...nowhere } = await found(file, { path: "/nothing/here" });
    expect(service).toBeUndefined();
    expect(nowhere).toMatchObject({
      status: 403,
      route: "-",
      container: "-",
      cause: expect.stringMatching(/^the gateway/) as string,
    });
    await site.ask("/closed/here");
    expect(await found(file, { path: "/closed/here" })).toMatchObject({
      status: 503,
      route: "/closed",
    });

    site.app("shop").answerer = (_, socket) => void socket.destroy();
    await site.ask("/shop/crash", {}, { method: "POST" });
    expect(await found(file, { path: "/shop/crash" })).toMatchObject({
      status: 502,
      container: "shop",
      cause: "the container closed the connection before its answer",
    });

    site.app("shop").answerer = () => undefined;
    const connection = await site.site.connect();
    connection.send("GET /shop/gone HTTP/1.1\r\nHost: h\r\n\r\n");
    await eventually(() => expect(site.received()).toContain("shop /gone"));
    connection.close();
    const gone = await found(file, { path: "/shop/gone" });
    expect(gone["cause"]).toBe("the client went away before the answer");
    site.app("shop").answerer = () => reply(200);
  });

  test("has a line of JSON for each request, whatever a client sends", async () => {
    const before = linesOf(file).length;
    const raw = [
      'GET /shop/"a\\b"\\/x HTTP/1.1\r\nHost: h\r\n\r\n',
      'GET /shop/1 HTTP/1.1\r\nHost: a"b\\c\td\r\n\r\n',
      'G"T /shop/2 HTTP/1.1\r\nHost: h\r\n\r\n',
      "GET /shop/3\n{} HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /shop/\x01\x7f\xff HTTP/1.1\r\nHost: h\r\n\r\n",
      `GET /shop/${"\\".repeat(6000)} HTTP/1.1\r\nHost: h\r\n\r\n`,
      `GET /shop/4 HTTP/1.1\r\nHost: ${'"'.repeat(5000)}\r\n\r\n`,
      "GET http://user:geheim@h/shop/5 HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /shop/6;geheim=1?geheim HTTP/1.1\r\nHost: h\r\n\r\n",
      http2Request([
        [":method", 'G"\\T'],
        [":scheme", "http"],
        [":path", '/shop/7"\\\t\x01\x7f'],
        [":authority", 'h"\\'],
      ]),
      http2Request([
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/shop/8\n{}"],
        [":authority", "h"],
      ]),
    ];
    for (const bytes of raw) {
      const connection = createConnection({ host: "127.0.0.1", port: site.site.port });
      connection.on("error", () => undefined);
      connection.end(bytes);
      await new Promise((resolve) => connection.once("close", resolve).resume());
    }
    await site.ask("/shop/last");
    await found(file, { path: "/shop/last" });
    const lines = linesOf(file).slice(before);
    expect(lines.length).toBeLessThanOrEqual(raw.length + 1);
    expect(lines.map(({ path }) => path)).toContain('/shop/"a\\b"\\/x');
    for (const line of lines) {
      expect(Object.keys(line)).toContain("cause");
      expect(String(line["path"])).not.toMatch(/\p{Cc}/u);
    }
    expect(readFileSync(file, "utf8").replaceAll("/shop/6;geheim=1", "")).not.toContain("geheim");
  });

  test("goes on in a new file when somebody moves it away", async () => {
    renameSync(file, `${file}.1`);
    await site.ask("/shop/moved");
    await found(file, { path: "/shop/moved" });
    expect(readFileSync(`${file}.1`, "utf8")).not.toContain("/shop/moved");
  });

  test("loses no line over reloads, and lets the former worker end", async () => {
    const finish: (() => void)[] = [];
    site.app("shop").answerer = ({ target }, socket) => {
      if (target !== "/slow") return reply(200);
      finish.push(() => socket.write(reply(200)));
      return undefined;
    };
    const slow = site.ask("/shop/slow");
    await eventually(() => expect(finish.length).toBe(1));
    await site.running.reloadByHand();
    const master = join(site.site.dir, "master.sock");
    expect((await formerWorkers(master)).length).toBe(1);
    for (let index = 0; index < 20; index++) await site.ask(`/shop/after-${index}`);
    await found(file, { path: "/shop/after-19" });
    for (let index = 0; index < 20; index++) await found(file, { path: `/shop/after-${index}` });
    for (const each of finish) each();
    await slow;
    expect(await found(file, { path: "/shop/slow" })).toMatchObject({ status: 200 });
    expect(linesOf(file).filter(({ path }) => path === "/shop/after-3").length).toBe(1);
    site.app("shop").answerer = () => reply(200);
    await eventually(async () => expect(await formerWorkers(master)).toEqual([]));
  }, 30_000);

  test("goes on with the next gateway, and has no line twice", async () => {
    await site.ask("/shop/before");
    await found(file, { path: "/shop/before" });
    await log.close();
    await site.ask("/shop/meanwhile");
    log = new Log(site, `json:${file}`);
    await eventually(async () => {
      await site.ask("/shop/again");
      expect(linesOf(file).some(({ path }) => path === "/shop/again")).toBe(true);
    });
    expect(linesOf(file).filter(({ path }) => path === "/shop/before").length).toBe(1);
  });

  test("goes on when HAProxy was started anew", async () => {
    await site.running.restart();
    await site.ask("/shop/anew");
    await found(file, { path: "/shop/anew" });
  }, 30_000);

  test("has what a container is called that came later, without a reload", async () => {
    expect(await site.serve({ shop: { host: "late.test", path: "/" } })).toBe("commands");
    await site.ask("/late", { Host: "late.test" });
    expect(await found(file, { path: "/late" })).toMatchObject({
      route: "late.test/",
      service: "shop",
    });
    expect(await site.serve({ shop: {} })).toBe("commands");
  });

  test("goes to a socket, also when its listener comes late or ends", async () => {
    const path = join(dir, "log.sock");
    const got: string[] = [];
    const other = new Log(site, `json:unix:${path}`);
    try {
      await eventually(async () => {
        await site.ask("/shop/to-socket");
        expect(other.told.join()).toContain(`Cannot write the access log to ${path}`);
      });
      const first = await listener(path, got);
      await eventually(() => expect(got.join("")).toContain('"/shop/to-socket"'));
      for (const socket of first.sockets) socket.destroy();
      await new Promise((resolve) => first.server.close(resolve));
      const second = await listener(path, got);
      await eventually(async () => {
        await site.ask("/shop/once-more");
        expect(got.join("")).toContain('"/shop/once-more"');
      });
      for (const line of got.join("").trimEnd().split("\n")) JSON.parse(line);
      for (const socket of second.sockets) socket.destroy();
      second.server.close();
    } finally {
      await other.close();
    }
  });

  test("a full disk costs lines, which is told, and no request", async () => {
    const full = new Log(site, "json:/dev/full");
    try {
      await eventually(async () => {
        expect((await site.ask("/shop/full")).status).toBe(200);
        expect(full.told.join("\n")).toMatch(
          /Cannot write the access log to \/dev\/full: .*ENOSPC/,
        );
      });
      await eventually(() =>
        expect(full.told.join("\n")).toMatch(/\d+ lines of the access log are lost/),
      );
    } finally {
      await full.close();
    }
  });
});

describe.each(haproxyVersions())("the access log in the common form, HAProxy %s", (version) => {
  const file = join(labDir("access"), "access.log");
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS, {
      "access-log": `common:${file}`,
      "access-log-sample": "0.01%",
    });
  }, START_MS);

  afterAll(() => site.stop());

  test("has only a share of what is no error, and all errors", async () => {
    const log = new Log(site, `common:${file}`);
    try {
      for (let index = 0; index < 30; index++) {
        await site.ask("/shop/fine?x=geheim");
        await site.ask("/nowhere");
      }
      site.app("shop").answerer = () => reply(500);
      await site.ask('/shop/"bad"?x=geheim');
      await site.ask("/closed/bad");
      await eventually(() => expect(readFileSync(file, "utf8")).toContain("/closed/bad"));
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      // Of the others there is hardly one.
      expect(lines.length).toBeLessThan(6);
      const errors = lines.filter((line) => line.includes("bad"));
      expect(errors[0]).toMatch(
        /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/shop\/\\"bad\\" HTTP\/1\.1" 500 \d+ "\/shop" "shop" "shop" \d+ "--"$/,
      );
      expect(errors[1]).toMatch(/ 503 \d+ "\/closed" "closed" "-" \d+ "the gateway [a-z ]+"$/);
      expect(lines.join()).not.toContain("geheim");
    } finally {
      await log.close();
    }
  });
});

test("a file that cannot be written is told at once", () => {
  const paths = { masterSocket: "" };
  const open = (to: string) => () =>
    AccessLog.open(parseAccessLog(to, undefined), paths, listLogger([]));
  expect(open("json:/nowhere/x.log")).toThrow(
    'Cannot write the access log "/nowhere/x.log": there is no such folder',
  );
  expect(open("json:/proc")).toThrow('Cannot write the access log "/proc": it is a folder');
});
