// What the running gateway answers is what docs/api.md says: the same fields, no less and no more.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { FailuresDocument } from "../../src/api/failures.ts";
import { Authority, place } from "../lab/authority.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { binary, cleanEnvironment, runToEnd } from "./program.ts";
import { Stage } from "./stage.ts";
import { runInTerminal } from "./terminal.ts";

setDefaultTimeout(120_000);

/** A part of the description: how it is asked, its fields, and the example of an answer. */
interface Described {
  fields: string[];
  example: unknown;
}

/** Below these are names that nobody knows beforehand: flags and paths of files. */
const OPEN = ["gateway.options", "applied", "desired"];

/** What the description says of a request, such as `GET /v1/state`. */
function described(request: string): Described {
  const text = readFileSync(join(import.meta.dir, "../../docs/api.md"), "utf8");
  const [, section = ""] = text.split(`## ${request}\n`);
  const [own = ""] = section.split("\n## ");
  const rows = [...own.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, names = ""]) => names);
  const [, example = ""] = /```json\n([^]*?)```/.exec(own) ?? [];
  return {
    fields: rows.flatMap((names) => names.split(", ").map((each) => each.replaceAll("`", ""))),
    example: JSON.parse(example),
  };
}

/** The fields of an answer, such as `routes[].route`. */
function fieldsOf(answer: unknown): string[] {
  const all = new Set(leavesOf(answer));
  // A list may be empty at one place and have fields at another.
  const isEmpty = (field: string): boolean =>
    [...all].some((each) => each.startsWith(`${field}[]`));
  return [...all].filter((field) => !isEmpty(field)).toSorted();
}

function leavesOf(value: unknown, path = ""): string[] {
  if (OPEN.includes(path)) return [path];
  if (Array.isArray(value)) {
    const inner = value.flatMap((each) => leavesOf(each, `${path}[]`));
    return inner.length === 0 ? [path] : inner;
  }
  if (typeof value !== "object" || value === null) return [path.replace(/\[\]$/, "")];
  return Object.entries(value).flatMap(([name, each]) =>
    leavesOf(each, path === "" ? name : `${path}.${name}`),
  );
}

let stage: Stage;
let answering: Bun.Server<undefined>;
/** Ends each connection once it has a request. */
let breaking: Server;
let certs: string;
let files: string;

beforeAll(async () => {
  stage = new Stage();
  certs = gatewayDir();
  const authority = await Authority.make();
  place(join(certs, "blog.pem"), (await authority.issue(["blog.example.com"])).both);
  files = gatewayDir();
  place(join(files, "staff.pem"), authority.root);
  answering = Bun.serve({ hostname: "127.0.0.5", port: 8000, fetch: () => new Response("hello") });
  breaking = createServer((socket) => socket.on("data", () => socket.destroy()));
  await new Promise<void>((resolve) => breaking.listen(8000, "127.0.0.8", resolve));
  stage.set("broken-1", { image: "acme/broken:1", ip: "127.0.0.8", port: 8000 });
  const shop = { image: "acme/shop:1.2", port: 8000 };
  const host = { "gateway.host": "shop.example.com", "gateway.timeout": "90s" };
  stage.set("shop-1", { ...shop, ip: "127.0.0.5", labels: host });
  stage.set("shop-2", { ...shop, ip: "127.0.0.6", labels: host, status: "restarting" });
  stage.set("cron-1", { image: "acme/cron:1", ip: "127.0.0.7", port: 5432 });
  const other = { "gateway.path": "/zine", "gateway.route.b.host": "shop.example.com" };
  const staff = { "gateway.mtls": "required", "gateway.mtls.ca": join(files, "staff.pem") };
  stage.set("staff-1", {
    image: "acme/staff:1",
    ip: "127.0.0.5",
    port: 8000,
    labels: { "gateway.host": "staff.example.com", ...staff },
  });
  stage.set("zine-1", { image: "acme/zine:1", ip: "127.0.0.5", port: 8000, labels: other });
});

afterAll(async () => {
  closeGateways();
  await answering.stop(true);
  breaking.close();
  await stage.stop();
});

/** Asks a gateway at its socket. */
function ask(gateway: Gateway, target: string, init: RequestInit = {}): Promise<Response> {
  const options: object = { unix: join(gateway.dir, "haproxy.gateway.sock") };
  return fetch(`http://gateway${target}`, { ...init, ...options });
}

async function startServing(
  version = haproxyVersions()[0],
  flags: readonly string[] = [],
): Promise<Gateway> {
  const gateway = await startGateway({
    dockerHost: stage.dockerHost,
    ...(version && { version }),
    flags,
  });
  await gateway.logged(/^routed \/zine/);
  await gateway.until(async () => expect((await gateway.get("/zine/")).status).toBe(200));
  return gateway;
}

function serveWeakly(): Bun.Server<undefined> {
  return Bun.serve({ hostname: "127.0.0.9", port: 8000, fetch: () => new Response("weak") });
}

/** A container that answers, stops, and answers again. */
async function goesDownAndUp(gateway: Gateway): Promise<void> {
  const first = serveWeakly();
  stage.start("weak-1", { image: "acme/weak:1", ip: "127.0.0.9", port: 8000 });
  await gateway.until(async () => expect((await gateway.get("/acme/weak/")).status).toBe(200));
  await first.stop(true);
  await gateway.logged(/^down \/acme\/weak -> .*does not answer, there is no other, so /);
  const second = serveWeakly();
  await gateway.logged(/^up \/acme\/weak -> .*, after \d+ s\)$/);
  stage.end("weak-1");
  await second.stop(true);
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let gateway: Gateway;
  beforeAll(async () => {
    const https = `--listen-https=127.0.0.1:${await freePort()}`;
    const admin = `--admin=127.0.0.1:${await freePort()}`;
    const log = `--access-log=json:${join(gatewayDir(), "access.log")}`;
    gateway = await startServing(version, [
      `--certs=${certs}`,
      `--label-files=${files}`,
      https,
      admin,
      log,
    ]);
    await gateway.logged(/^routed \/acme\/broken/);
    await goesDownAndUp(gateway);
    await gateway.until(async () => {
      await gateway.get("/acme/broken/x?secret", { method: "POST" });
      const { failures } = (await (await ask(gateway, "/v1/failures")).json()) as FailuresDocument;
      expect(failures[0]).toMatchObject({
        method: "POST",
        path: "/acme/broken/x",
        service: "acme/broken",
        container: "broken-1",
        status: 502,
        cause: "the container closed the connection before its answer",
      });
    });
  });
  afterAll(() => gateway.stop());

  test.each<[string, string, string[]]>([
    ["GET /v1/state", "/v1/state", []],
    ["GET /v1/explain", "/v1/explain?container=shop-1", []],
    ["GET /v1/changes", "/v1/changes", []],
    ["GET /v1/traffic", "/v1/traffic?backend=acme:zine", []],
    ["GET /v1/failures", "/v1/failures", []],
    ["GET /v1/config", "/v1/config", []],
    ["GET /v1/certificates", "/v1/certificates", []],
    ["POST /v1/resync", "/v1/resync", []],
  ])("%s has the fields of its description", async (request, target) => {
    const [method = ""] = request.split(" ");
    const response = await ask(gateway, target, { method });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      "application/json;charset=utf-8",
    ]);
    const { fields, example } = described(request);
    expect(fieldsOf(await response.json())).toEqual(fields.toSorted());
    expect(fieldsOf(example)).toEqual(fields.toSorted());
  });

  test("routes count what HAProxy counts", async () => {
    const before = rowOf(await stateOf(gateway), "/zine").requests;
    for (let count = 0; count < 3; count++) await gateway.get("/zine/");
    const row = rowOf(await stateOf(gateway), "/zine");
    expect(row.requests - before).toBe(3);
    expect(row.servers[0]).toMatchObject({ container: "zine-1", state: "up" });
    // Within that time half of them had the headers of their answers, and nearly all.
    expect(row.p50Time).toBeGreaterThanOrEqual(0);
    expect(row.p95Time).toBeGreaterThanOrEqual(row.p50Time ?? Infinity);
  });

  test("a change is told with how HAProxy got it, also to who listens", async () => {
    const events = await ask(gateway, "/v1/changes", { headers: { accept: "text/event-stream" } });
    expect(events.headers.get("content-type")).toBe("text/event-stream");
    stage.start("late-1", { image: "acme/late:1", ip: "127.0.0.5", port: 8000 });
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of events.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("routed /acme/late")) break;
    }
    const [, id = "", data = ""] =
      /id: (\S+)\nevent: change\ndata: (.*routed \/acme\/late.*)\n/.exec(text) ?? [];
    const change = JSON.parse(data) as Record<string, unknown>;
    expect(change).toMatchObject({
      id,
      level: "info",
      event: "routed",
      route: "/acme/late",
      container: "late-1",
      how: "runtime",
    });
    // Who comes back gets what came in between.
    stage.end("late-1");
    await gateway.logged(/^removed \/acme\/late/);
    const later = await ask(gateway, "/v1/changes", {
      headers: { accept: "text/event-stream", "last-event-id": id },
    });
    text = "";
    for await (const chunk of later.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("removed /acme/late")) break;
    }
    expect(text).not.toContain(`id: ${id}\n`);
  });
});

async function stateOf(gateway: Gateway): Promise<State> {
  return (await ask(gateway, "/v1/state")).json() as Promise<State>;
}

/** Any but root's. */
const DOCKERS_GROUP = 54_321;

interface State {
  routes: {
    route: string;
    requests: number;
    p50Time: number | null;
    p95Time: number | null;
    servers: { container: string; state: string }[];
  }[];
}

function rowOf(state: State, route: string): State["routes"][number] {
  const row = state.routes.find((each) => each.route === route);
  if (row === undefined) throw new Error(`no route ${route}`);
  return row;
}

test("what is asked wrongly is told", async () => {
  const gateway = await startServing();
  const error = async (target: string, init: RequestInit = {}): Promise<unknown> => {
    const response = await ask(gateway, target, init);
    const { error: told } = (await response.json()) as { error: { code: string; message: string } };
    return [response.status, response.headers.get("allow"), told.code, told.message];
  };
  expect(await error("/v1/nope")).toEqual([
    404,
    null,
    "not-found",
    expect.stringContaining("there are GET /v1/state, GET /v1/explain"),
  ]);
  expect(await error("/v1/state", { method: "POST" })).toEqual([
    405,
    "GET, HEAD",
    "method-not-allowed",
    "/v1/state takes GET, not POST",
  ]);
  expect(await error("/v1/explain")).toEqual([
    400,
    null,
    "usage",
    "Cannot explain: it is not said what",
  ]);
  expect(await error("/v1/explain?container=none")).toEqual([
    400,
    null,
    "usage",
    'Cannot explain "none": there is no such container',
  ]);
  expect(await error("/v1/explain?container=shop-1&url=/")).toContain("usage");
  // No request ends it.
  expect((await ask(gateway, "/v1/state", { method: "HEAD" })).status).toBe(200);
  await gateway.stop();
});

test("the socket is for the gateway's user and its group, comes back, and goes at the end", async () => {
  const engine = stage.dockerHost.replace("unix://", "");
  // As Docker's own socket is.
  chownSync(engine, 0, DOCKERS_GROUP);
  chmodSync(engine, 0o660);
  const gateway = await startServing();
  const socket = join(gateway.dir, "haproxy.gateway.sock");
  expect([statSync(socket).mode & 0o777, statSync(socket).gid]).toEqual([0o660, DOCKERS_GROUP]);
  rmSync(socket);
  await gateway.until(async () => {
    expect((await ask(gateway, "/v1/state")).status).toBe(200);
  });
  expect(gateway.count(/gateway\.sock was removed by somebody else/)).toBe(1);
  // One that was killed leaves it behind, which keeps no other one from starting.
  await gateway.kill9();
  expect(existsSync(socket)).toBe(true);
  const next = await startGateway({
    dockerHost: stage.dockerHost,
    dir: gateway.dir,
    port: gateway.port,
  });
  await next.until(async () => {
    expect((await ask(next, "/v1/state")).status).toBe(200);
  });
  await next.stop();
  expect(existsSync(socket)).toBe(false);
});

test("who reads no events holds up nobody", async () => {
  const gateway = await startServing();
  const path = join(gateway.dir, "haproxy.gateway.sock");
  const stuck = await Promise.all(
    Array.from({ length: 5 }, () =>
      Bun.connect({
        unix: path,
        socket: {
          open: (socket) => {
            socket.write("GET /v1/changes HTTP/1.1\r\nHost: gateway\r\n");
            socket.write("Accept: text/event-stream\r\nLast-Event-ID: 0\r\n\r\n");
            socket.pause();
          },
          data: () => undefined,
        },
      }),
    ),
  );
  for (let count = 0; count < 40; count++) {
    stage.start(`busy-${count}`, { image: `acme/busy-${count}:1`, ip: "127.0.0.5", port: 8000 });
  }
  await gateway.until(async () => expect((await gateway.get("/acme/busy-39/")).status).toBe(200));
  for (let count = 0; count < 40; count++) stage.end(`busy-${count}`);
  await gateway.logged(/^removed \/acme\/busy-39/);
  for (const socket of stuck) socket.end();
  expect((await ask(gateway, "/v1/state")).status).toBe(200);
  await gateway.stop();
});

describe("commands find the gateway that runs", () => {
  test("without a flag, and what they print is what the flags say", async () => {
    const gateway = await startServing();
    const flags = [
      `--docker-host=${stage.dockerHost}`,
      `--output-file=${gateway.output}`,
      `--listen=127.0.0.1:${gateway.port}`,
      "--manage-haproxy",
    ];
    const socket = join(gateway.dir, "haproxy.gateway.sock");
    for (const words of [
      ["explain", "shop-1"],
      ["explain", "acme/shop"],
      ["explain", "shop-1", "--as-labels"],
      ["explain", "/zine/x?y"],
      ["routes"],
    ]) {
      await gateway.until(async () => {
        const asked = await runToEnd([...words, `--gateway=${socket}`]);
        const plain = { ...asked, stdout: asked.stdout.replaceAll(/\d+ s/g, "TIME") };
        const worked = await runToEnd([...words, ...flags]);
        expect(plain).toEqual({ ...worked, stdout: worked.stdout.replaceAll(/\d+ s/g, "TIME") });
        expect(asked.status).toBe(0);
      });
    }
    const found = await runToEnd(["routes"]);
    expect([found.status, found.stderr]).toEqual([0, ""]);
    expect(found.stdout).toContain("http://shop.example.com/");
    const doctor = await runToEnd(["doctor"]);
    expect(doctor.stdout).toMatch(/^ok +Gateway: process \d+ runs/);
    expect(doctor.stdout).toContain(`${gateway.output}\n`);
    expect(doctor.stdout).toMatch(
      /warning +Served: .*\n +http:\/\/shop\.example\.com\/ belongs to/,
    );
    expect(await runToEnd(["render", "--diff"])).toEqual({ status: 0, stdout: "", stderr: "" });
    const rendered = await runToEnd(["render"]);
    expect(rendered.stdout).toStartWith(`# ${gateway.output}\n# Written by docker-api-gateway`);
    await gateway.stop();
  });

  test("top is a live table that letters sort, until q", async () => {
    const gateway = await startServing();
    const terminal = await runInTerminal(["top"], { columns: 100, rows: 12 });
    const text = (): string => terminal.screen.text();
    await gateway.until(() => expect(text()).toMatch(/\nREQ\/S .*ROUTE\n/));
    expect(text()).toContain("sorted by REQ/S;");
    await gateway.until(async () => {
      for (let count = 0; count < 20; count++) await gateway.get("/zine/");
      expect(text()).toMatch(/^ *[1-9]\d*(\.\d)? .* 1\/1 +\/zine/m);
    });
    terminal.type("n");
    await gateway.until(() => expect(text()).toContain("sorted by ROUTE;"));
    terminal.type("n");
    await gateway.until(() => expect(text()).toContain("sorted by ROUTE, reversed;"));
    expect(text()).toMatch(/http:\/\/shop[^]*\/zine/);
    terminal.resize(30, 8);
    await gateway.until(() => expect(text()).toMatch(/\nREQ\/S /));
    for (const line of text().split("\n")) expect(line.length).toBeLessThanOrEqual(30);
    expect(terminal.screen.scrolled).toBe(0);
    terminal.type("q");
    expect(await terminal.exited).toBe(0);
    expect(text()).toBe("");

    const once = await runToEnd(["top"]);
    expect([once.status, once.stderr]).toEqual([0, ""]);
    expect(once.stdout).toMatch(/^REQ\/S .*\n.* 1\/1 +/);
    const rows = JSON.parse((await runToEnd(["top", "--json"])).stdout) as { route: string }[];
    expect(rows.map(({ route }) => route)).toContain("/zine");
    await gateway.stop();
  });

  test("logs follows the changes, also over a restart of the gateway", async () => {
    const gateway = await startServing();
    const words = [await binary(), "logs", "-f", "-n", "1"];
    const following = Bun.spawn(words, { stdout: "pipe", stderr: "pipe", env: cleanEnvironment() });
    let text = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of following.stdout) text += decoder.decode(chunk, { stream: true });
    })();
    await gateway.until(() => expect(text).not.toBe(""));
    stage.start("tale-1", { image: "acme/tale:1", ip: "127.0.0.5", port: 8000 });
    await gateway.until(() => expect(text).toMatch(/Z routed \/acme\/tale -> 127\.0\.0\.5:8000 /));
    await gateway.stop();
    stage.end("tale-1");
    const next = await startGateway({
      dockerHost: stage.dockerHost,
      dir: gateway.dir,
      port: gateway.port,
    });
    await next.logged(/^(removed|no container|no route).*\/acme\/tale|^routed \/zine/);
    const before = text.length;
    stage.start("tale-2", { image: "acme/tale:2", ip: "127.0.0.5", port: 8000 });
    await next.until(() => expect(text.slice(before)).toMatch(/\/acme\/tale .*tale-2/));
    following.kill("SIGTERM");
    expect(await following.exited).toBe(0);
    await reading;
    stage.end("tale-2");
    await next.stop();
  });

  test("of two they ask which", async () => {
    const [one, other] = [await startServing(), await startServing()];
    const sockets = [one, other].map(({ dir }) => join(dir, "haproxy.gateway.sock")).toSorted();
    const { status, stdout, stderr } = await runToEnd(["routes"]);
    expect([status, stdout]).toEqual([2, ""]);
    for (const socket of sockets) expect(stderr).toContain(`--gateway ${socket}: process `);
    const named = await runToEnd(["routes", "--gateway", sockets[0] ?? ""]);
    expect([named.status, named.stderr]).toEqual([0, ""]);
    const both = await runToEnd(["routes", "--gateway", sockets[0] ?? "", "--domain=a.org"]);
    expect(both.stderr).toContain("Cannot use --gateway with --domain");
    await Promise.all([one.stop(), other.stop()]);
  });

  test("where none runs they say so", async () => {
    // Anybody could make a socket of that name.
    const strange = join(gatewayDir(), "strange.gateway.sock");
    const stranger = Bun.serve({ unix: strange, fetch: () => Response.json({}) });
    chownSync(strange, 65_534, 65_534);
    const { stderr } = await runToEnd(["routes"]);
    expect(stderr).toStartWith("hint: no gateway runs here that could be asked");
    await stranger.stop(true);
    const logs = await runToEnd(["logs"]);
    expect([logs.status, logs.stdout]).toEqual([15, ""]);
    expect(logs.stderr).toStartWith("Cannot ask the gateway: none runs here");
    const none = await runToEnd(["top", "--gateway=/run/none.gateway.sock"]);
    expect(none.status).toBe(15);
    expect(none.stderr).toContain("nobody answers there");
  });

  test("a user who may not is told", async () => {
    const gateway = await startServing();
    const socket = join(gateway.dir, "haproxy.gateway.sock");
    const prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    // May look into root's folders, where the program is, and nothing else.
    const more = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"];
    const words = ["logs", `--gateway=${socket}`];
    const { status, stderr } = await runToEnd(words, {}, "/", [...prefix, ...more]);
    expect([status, stderr]).toEqual([
      15,
      `Cannot ask the gateway at "${socket}": this user may not\n  hint: run it as root\n`,
    ]);
    await gateway.stop();
  });
});
