// Which servers HAProxy shows not to speak HTTP, which have only failed, and what is too large.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { basename } from "node:path";
import { namedFiles } from "../../lab/named-files.ts";
import {
  readBadAnswers,
  readCircles,
  readLargeRequest,
  type Oddity,
} from "../../../src/haproxy/runtime/oddities.ts";
import {
  countErrors,
  readStats,
  type ErrorCounts,
  type ServerStats,
} from "../../../src/haproxy/runtime/stats.ts";
import { cli, haproxyVersions, startHaproxy, type Haproxy } from "../../lab/haproxy.ts";
import { startApp } from "../../lab/app.ts";
import { eventually } from "../../lab/http.ts";
import { containerName, serviceOf, Site, START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** The first bytes of an HTTP/2 server, such as gRPC's: its settings. */
const HTTP2 = Buffer.from("00000604000000000000050000400000000408000000000000ff0001", "hex");

/** What a server does with each connection: at its start, and with what it was sent. */
interface Behaviour {
  readonly greeting?: string;
  readonly answer?: (socket: Socket, request: number) => void;
}

const ends = (bytes: string | Uint8Array) => (socket: Socket) => void socket.end(bytes);

/** What each server does, the requests that it gets, and what is found. */
const CASES: Record<
  string,
  [Behaviour, found: "foreign" | "none" | "large" | undefined, methods?: string[]]
> = {
  "closes at once": [{ answer: (socket) => void socket.end() }, "none"],
  "resets the connection": [{ answer: (socket) => void socket.resetAndDestroy() }, "none"],
  "answers as Redis does": [{ answer: ends("-ERR unknown command\r\n") }, "foreign"],
  "answers as gRPC does": [{ answer: ends(HTTP2) }, "foreign"],
  "greets as MySQL does": [{ greeting: "J\0\0\0\n8.0.33\0\b\0" }, "foreign"],
  "sends only a body": [{ answer: ends("<html>HTTP/1.1</html>") }, "foreign"],

  "answers properly": [{ answer: ends(OK) }, undefined],
  "answers with errors": [
    { answer: ends("HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n") },
    undefined,
  ],
  "answered once and closes since": [
    { answer: (socket, request) => void socket.end(request === 1 ? OK : "") },
    undefined,
  ],
  "answered once, and something else since": [
    { answer: (socket, request) => void socket.end(request === 1 ? OK : "-ERR\r\n") },
    undefined,
  ],
  "dies in the middle of its body": [
    { answer: ends("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok") },
    undefined,
  ],
  "sends a header that is too large": [
    { answer: ends(`HTTP/1.1 200 OK\r\nA: ${"a".repeat(40_000)}\r\n\r\n`) },
    "large",
  ],
  "sends too many headers": [
    { answer: ends(`HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(300)}\r\n`) },
    "large",
  ],
  "sends many headers, and a bad one": [
    { answer: ends(`HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(200)}A\u0001: b\r\n\r\n`) },
    undefined,
  ],
  "sends a bad header": [{ answer: ends("HTTP/1.1 200 OK\r\nA\u0001: b\r\n\r\n") }, undefined],
  "is too slow": [{ answer: () => undefined }, undefined],
  "closes, and was only sent a form": [
    { answer: (socket) => void socket.end() },
    undefined,
    ["POST"],
  ],
  "was never asked": [{ answer: (socket) => void socket.end() }, undefined, []],
};

describe("by what HAProxy counts, a server that only closes connections", () => {
  const closing: ServerStats = {
    backend: "b",
    name: "s",
    address: "172.17.0.2:8000",
    state: "up",
    since: 60,
    requests: 145,
    check: "L4OK",
    checkedStatus: 0,
    errors: 2,
    answers: 0,
    failures: 2,
    refused: 0,
    abandoned: 2,
    current: 0,
    lastUsed: 5,
  };
  const find = (change: Partial<ServerStats>): Promise<Oddity[]> =>
    readBadAnswers(() => Promise.resolve(""), [{ ...closing, ...change }]);

  test("is found", async () => {
    expect(await find({})).toEqual([{ server: "s", answers: "none", count: 2 }]);
    expect(await find({ abandoned: 1 })).toHaveLength(1);
  });

  test.each<[string, Partial<ServerStats>]>([
    ["has answered", { answers: 1 }],
    ["is down", { state: "down" }],
    ["is drained", { state: "draining" }],
    ["has not failed", { failures: 0 }],
    ["may have ended with its last request", { lastUsed: 60 }],
    ["was started anew since its last request", { since: 3 }],
    ["has got no request since it was added", { lastUsed: undefined }],
    ["has a request now", { current: 1 }],
    ["refused a connection", { refused: 1 }],
    ["has left no GET without an answer", { abandoned: 0 }],
  ])("is not one that %s", async (_, change) => {
    expect(await find(change)).toEqual([]);
  });
});

describe.each(haproxyVersions())("answers that are no HTTP, HAProxy %s", (version) => {
  const servers: Server[] = [];
  let site: Site;
  let haproxy: Haproxy | undefined;
  let found: Record<string, string>;
  let errors: [before: ErrorCounts, after: ErrorCounts];

  beforeAll(async () => {
    site = await Site.make(version);
    const services = await Promise.all(
      Object.entries(CASES).map(async ([name, [behaviour]], index) => {
        const port = await serve(behaviour);
        return { image: `case-${index}`, name, address: "127.0.0.1", port };
      }),
    );
    const { files } = site.render(services);
    haproxy = await startHaproxy({
      version,
      // One that is slow is to be given up soon.
      config: files.config.replace("timeout server 1h", "timeout server 300ms"),
      maps: Object.fromEntries(
        Object.entries(namedFiles(files)).map(([path, text]) => [basename(path), text]),
      ),
      dir: site.dir,
    });
    await settled(ask);
    const before = await countErrors(ask);
    for (const [index, [, , methods = ["GET", "GET", "POST"]]] of Object.values(CASES).entries()) {
      for (const method of methods) {
        // HAProxy may not come to an end of it.
        await site.ask({ target: `/case-${index}`, method }).catch(() => undefined);
      }
    }
    errors = [before, await countErrors(ask)];
    const all = await readBadAnswers(ask, await readStats(ask));
    found = Object.fromEntries(all.map(({ server, answers }) => [containerName(server), answers]));
    for (const { count } of all) expect(count).toBeGreaterThan(0);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    for (const server of servers) server.close();
  });

  test.each(Object.entries(CASES))("one that %s", (name, [, expected]) => {
    expect(found[name]).toBe(expected);
  });

  test("each is an error for its client, which is counted", () => {
    expect(errors[0].answers).toBe(0);
    expect(errors[1].answers).toBeGreaterThan(20);
  });

  test("a request that is too large is found, and who sent it", async () => {
    const before = (await countErrors(ask)).requests;
    for (const headers of [
      { "X-Large": "x".repeat(40_000) },
      Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`X-${index}`, "x"])),
    ]) {
      const last = await readLargeRequest(ask);
      expect((await site.ask({ headers })).status).toBeOneOf([400, 431]);
      const request = await readLargeRequest(ask);
      expect(request?.client).toBe("127.0.0.1");
      expect(request?.event).not.toBe(last?.event);
    }
    expect((await countErrors(ask)).requests).toBe(before + 2);
    // One that is no HTTP is another matter.
    expect((await site.ask({ target: "/x y" })).status).toBe(400);
    expect(await readLargeRequest(ask)).toBeUndefined();
  });

  test("one that died with what it was asked, and has not answered since", async () => {
    const dying = await startApp({ answerer: () => undefined });
    const place = await Site.make(version);
    const proxy = await place.start([serviceOf(dying, { image: "dying" })]);
    const askPlace = (line: string): Promise<string> =>
      cli(place.setup.paths.haproxy.statsSocket, line);
    await settled(askPlace);
    const forms = ["POST", "POST"].map((method) => place.ask({ target: "/dying", method }));
    const pages = ["GET", "GET"].map((method) => place.ask({ target: "/dying", method }));
    await eventually(() => expect(dying.received).toHaveLength(4));
    await dying.stop();
    const again = await startApp({ port: dying.port, answerer: () => undefined });
    expect((await Promise.all(forms)).map(({ status }) => status)).toEqual([502, 502]);
    await eventually(() => expect(again.received).toHaveLength(2));
    const stats = await readStats(askPlace);
    expect(stats.some(({ failures }) => failures > 0)).toBe(true);
    expect(await readBadAnswers(askPlace, stats)).toEqual([]);
    await again.stop();
    await Promise.allSettled(pages);
    await proxy.stop();
  });

  test("a template without a table for circles has none", async () => {
    expect(await readCircles(() => ask("show table no-such"))).toEqual([]);
  });

  /** Starts a server and returns its port. */
  async function serve({ greeting, answer }: Behaviour): Promise<number> {
    let requests = 0;
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      if (greeting !== undefined) socket.write(greeting);
      socket.on("data", () => answer?.(socket, ++requests));
    });
    servers.push(server);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  function ask(line: string): Promise<string> {
    return cli(site.setup.paths.haproxy.statsSocket, line);
  }
});

/** Waits until all servers have been up for a while. HAProxy counts whole seconds. */
async function settled(ask: (line: string) => Promise<string>): Promise<void> {
  await eventually(async () => {
    for (const { name, since } of await readStats(ask)) {
      if (name !== "_wait") expect(since).toBeGreaterThan(1);
    }
  });
}
