// What a running gateway tells at --admin: whether it is well, and its numbers as Prometheus takes them.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { METRICS } from "../../src/api/metrics/metrics.ts";
import { Authority, place } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

const TOKEN = "s3cret-0123456789abcdef";
const P = "docker_api_gateway_";

let stage: Stage;
let answering: Bun.Server<undefined>;
let certs: string;

beforeAll(async () => {
  stage = new Stage();
  certs = gatewayDir();
  const authority = await Authority.make();
  place(join(certs, "blog.pem"), (await authority.issue(["blog.example.com"])).both);
  answering = Bun.serve({
    hostname: "127.0.0.5",
    port: 8000,
    fetch: ({ url }) => new Response("hello", { status: url.endsWith("/bad") ? 500 : 200 }),
  });
  stage.set("shop-1", { image: "acme/shop:1", ip: "127.0.0.5", port: 8000 });
  stage.set("cron-1", { image: "acme/cron:1", ip: "127.0.0.7", port: 5432 });
  const off = { "gateway.enable": "false" };
  stage.set("off-1", { image: "acme/off:1", ip: "127.0.0.8", port: 8000, labels: off });
});

afterAll(async () => {
  closeGateways();
  await answering.stop(true);
  await stage.stop();
});

interface Watched {
  gateway: Gateway;
  /** Where it is asked. */
  admin: number;
}

async function startWatched(
  options: Parameters<typeof startGateway>[0] = {},
  host = "127.0.0.1",
): Promise<Watched> {
  const admin = await freePort();
  const flags = [`--admin=${host}:${admin}`, BRIEF_HOLD, ...(options.flags ?? [])];
  const gateway = await startGateway({ dockerHost: stage.dockerHost, ...options, flags });
  return { gateway, admin };
}

function ask({ admin }: Pick<Watched, "admin">, path: string, init: RequestInit = {}) {
  return fetch(`http://127.0.0.1:${admin}${path}`, init);
}

/** The value of a series; undefined: there is none. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${P}${series} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ") + 1));
}

/** What Prometheus' own tool says of metrics. */
async function lint(text: string): Promise<string> {
  const tool = Bun.spawn([join(cached("prometheus"), "usr/bin/promtool"), "check", "metrics"], {
    stdin: new Blob([text]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await Promise.all(
    [tool.stdout, tool.stderr].map((each) => new Response(each).text()),
  );
  return `${await tool.exited} ${said.join("")}`;
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let watched: Watched;
  beforeAll(async () => {
    const https = [`--certs=${certs}`, `--listen-https=127.0.0.1:${await freePort()}`];
    watched = await startWatched({ version, flags: https });
    await watched.gateway.logged(/^routed \/acme\/shop/);
    await watched.gateway.until(async () => {
      expect((await watched.gateway.get("/acme/shop/")).status).toBe(200);
    });
  });
  afterAll(() => watched.gateway.stop());

  const statusOf = async (path: string, init: RequestInit = {}): Promise<number> =>
    (await ask(watched, path, init)).status;
  const scrape = async (): Promise<string> => (await ask(watched, "/metrics")).text();

  test("it is well and ready", async () => {
    for (const path of ["/healthz", "/readyz"]) {
      const answer = await ask(watched, path);
      expect([answer.status, await answer.text()]).toEqual([200, "ok\n"]);
    }
  });

  test("its metrics are as Prometheus wants them, and all that are described", async () => {
    const answer = await ask(watched, "/metrics");
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await answer.text();
    expect(await lint(text)).toBe("0 ");
    const page = readFileSync(join(import.meta.dir, "../../docs/monitoring.md"), "utf8");
    const rows = [...page.matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) \| (.*) \|$/gm)];
    const described = rows.map(([, name, type, labels = "", help]) => {
      return { name, type, labels: [...labels.matchAll(/\w+/g)].map(String), help };
    });
    expect(described.filter(({ name }) => name?.startsWith(P))).toEqual(
      METRICS.map(({ name, type, labels, help }) => ({ name, type, labels: [...labels], help })),
    );
    const there = [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name);
    expect(there.toSorted()).toEqual(METRICS.map(({ name }) => name).toSorted());
    for (const { name, labels } of METRICS) {
      const all = text.split("\n").filter((line) => line.startsWith(name) && !line.startsWith("#"));
      const own = all.filter((line) => /^(_bucket|_sum|_count|)[{ ]/.test(line.slice(name.length)));
      const found = new Set(
        own.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label = ""]) => label)),
      );
      // One Engine has no name.
      const always = labels.filter((label) => label !== "engine");
      expect([...found].toSorted()).toEqual(always.toSorted());
    }
  });

  test("requests are counted by service and container, and answers of HAProxy itself", async () => {
    const before = await scrape();
    for (const path of ["/", "/", "/bad"]) await watched.gateway.get(`/acme/shop${path}`);
    await watched.gateway.get("/nowhere");
    const after = await scrape();
    const more = (series: string): number =>
      (valueOf(after, series) ?? Number.NaN) - (valueOf(before, series) ?? Number.NaN);
    const both = 'service="acme/shop",container="shop-1"';
    expect([
      more('service_responses_total{service="acme/shop",code="2xx"}'),
      more('service_responses_total{service="acme/shop",code="5xx"}'),
      more(`container_responses_total{${both},code="2xx"}`),
      more(`container_responses_total{${both},code="5xx"}`),
      more('responses_total{code="2xx"}'),
      more('responses_total{code="4xx"}'),
      more('service_sessions_total{service="acme/shop"}'),
    ]).toEqual([2, 1, 2, 1, 2, 1, 3]);
    expect(more(`container_sent_bytes_total{${both}}`)).toBeGreaterThan(15);
    expect(valueOf(after, `container_up{${both}}`)).toBe(1);
  });

  test("what is not routed, certificates, and how it goes", async () => {
    const text = await scrape();
    expect(valueOf(text, 'rejected_containers{reason="port"}')).toBe(1);
    expect(valueOf(text, 'rejected_containers{reason="left_out"}')).toBe(1);
    expect(valueOf(text, 'rejected_containers{reason="address"}')).toBe(0);
    expect(valueOf(text, "docker_connected")).toBe(1);
    expect(valueOf(text, "haproxy_up")).toBe(1);
    expect(valueOf(text, "in_step")).toBe(1);
    expect(valueOf(text, 'reloads_total{cause="first",result="done"}')).toBe(1);
    const [, left] =
      /certificate_remaining_seconds\{name="blog.example.com",source="file",.*\} (\d+)/.exec(
        text,
      ) ?? [];
    expect(Number(left)).toBeGreaterThan(3600);
    expect(text).toContain(`haproxy_version="${version}.`);
  });

  test("a service that comes while HAProxy runs has its own name, and its time is counted", async () => {
    const ofRuntime = 'apply_duration_seconds_count{how="runtime"}';
    const before = await scrape();
    stage.start("late-1", { image: "acme/late:1", ip: "127.0.0.5", port: 8000 });
    await watched.gateway.logged(/^routed \/acme\/late/);
    await watched.gateway.until(async () => {
      expect((await watched.gateway.get("/acme/late/")).status).toBe(200);
    });
    const text = await scrape();
    const counted = 'container_responses_total{service="acme/late",container="late-1",code="2xx"}';
    expect(valueOf(text, counted)).toBeGreaterThan(0);
    expect(text).toContain('route_info{service="acme/late",route="/acme/late"} 1\n');
    expect(text).not.toMatch(/="_|_spare_|_wait"/);
    expect(valueOf(text, ofRuntime)).toBe((valueOf(before, ofRuntime) ?? 0) + 1);
    expect(valueOf(text, "runtime_changes_total")).toBeGreaterThan(0);
    // Its requests wait, then they do not, and then there is no such service.
    stage.end("late-1");
    await watched.gateway.logged(/^removed \/acme\/late/);
    await watched.gateway.until(async () => expect(await scrape()).not.toContain("acme/late"));
  });

  test("requests that wait for a container are counted", async () => {
    const own = await startWatched({ version, flags: ["--hold=10s"] });
    stage.set("only-1", { image: "acme/only:1", ip: "127.0.0.5", port: 8000 });
    await own.gateway.logged(/^routed \/acme\/shop/);
    stage.start("only-1", { image: "acme/only:1", ip: "127.0.0.5", port: 8000 });
    await own.gateway.until(async () => {
      expect((await own.gateway.get("/acme/only/")).status).toBe(200);
    });
    stage.change("only-1", { status: "restarting" });
    stage.tell("only-1", "die", { exitCode: "1" });
    await own.gateway.logged(/waiting for a container/);
    const waiting = [1, 2, 3].map(() => own.gateway.get("/acme/only/", { timeoutMs: 30_000 }));
    await own.gateway.until(async () => {
      const text = await (await ask(own, "/metrics")).text();
      expect(valueOf(text, "waiting_requests")).toBe(3);
      expect(valueOf(text, 'held_services{state="waiting"}')).toBe(1);
    });
    stage.start("only-1", { image: "acme/only:1", ip: "127.0.0.5", port: 8000 });
    await Promise.all(waiting);
    await own.gateway.until(async () => {
      const text = await (await ask(own, "/metrics")).text();
      expect(valueOf(text, "waiting_requests")).toBe(0);
      expect(valueOf(text, 'held_services{state="waiting"}')).toBe(0);
    });
    stage.end("only-1");
    await own.gateway.stop();
  });

  test("nothing can be changed, and HAProxy's files are not told", async () => {
    expect(await statusOf("/v1/state")).toBe(200);
    expect(await statusOf("/v1/explain?container=shop-1")).toBe(200);
    expect(await statusOf("/v1/traffic")).toBe(200);
    expect(await statusOf("/v1/failures")).toBe(200);
    for (const path of ["/", "/page/app.js", "/v1/state", "/metrics", "/healthz", "/nowhere"]) {
      const { headers } = await ask(watched, path);
      expect([
        path,
        headers.get("x-content-type-options"),
        headers.get("cross-origin-resource-policy"),
      ]).toEqual([path, "nosniff", "same-origin"]);
    }
    expect(await statusOf("/v1/config")).toBe(404);
    expect(await statusOf("/v1/resync")).toBe(404);
    expect(await statusOf("/v1/resync", { method: "POST" })).toBe(405);
    expect(await statusOf("/v1/certificates/blog.example.com/renew", { method: "POST" })).toBe(405);
    expect(await statusOf("/metrics", { method: "HEAD" })).toBe(200);
    expect(await statusOf("/metrics", { headers: { host: "evil.example.com" } })).toBe(403);
    expect(await statusOf("/healthz", { headers: { "sec-fetch-site": "cross-site" } })).toBe(403);
  });
});

test("from other machines it takes a token, but for its health", async () => {
  const file = join(gatewayDir(), "token");
  writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  const watched = await startWatched({ flags: [`--admin-token-file=${file}`] }, "*");
  await watched.gateway.logged(/^routed \/acme\/shop/);
  const refused = await ask(watched, "/metrics");
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
    401,
    'Basic realm="docker-api-gateway", charset="UTF-8"',
  ]);
  expect((await ask(watched, "/")).status).toBe(401);
  expect((await ask(watched, "/v1/state")).status).toBe(401);
  expect((await ask(watched, "/healthz")).status).toBe(200);
  const authorization = `Bearer ${TOKEN}`;
  expect((await ask(watched, "/metrics", { headers: { authorization } })).status).toBe(200);
  const basic = `Basic ${btoa(`anybody:${TOKEN}`)}`;
  expect((await ask(watched, "/", { headers: { authorization: basic } })).status).toBe(200);
  await watched.gateway.stop();
});

test("a unix socket is for its user and group, and comes back when it is removed", async () => {
  const dir = gatewayDir();
  const path = join(dir, "admin.sock");
  const gateway = await startGateway({
    dockerHost: stage.dockerHost,
    dir,
    flags: [`--admin=unix:${path}`],
  });
  const options: object = { unix: path };
  await gateway.until(async () => {
    expect((await fetch("http://gateway/readyz", options)).status).toBe(200);
  });
  expect(statSync(path).mode & 0o777).toBe(0o660);
  rmSync(path);
  await gateway.until(async () => {
    expect((await fetch("http://gateway/readyz", options)).status).toBe(200);
  });
  await gateway.stop();
  expect(existsSync(path)).toBe(false);
});

test("what cannot be is said when it starts", async () => {
  const dir = gatewayDir();
  const file = join(dir, "token");
  const run = async (flags: string[]): Promise<[number, string]> => {
    const { status, stderr } = await runToEnd(
      ["--manage-haproxy", `--output-file=${join(dir, "haproxy.cfg")}`, ...flags],
      { DOCKER_HOST: stage.dockerHost },
    );
    return [status, stderr];
  };
  const { port } = answering;
  expect(await run([`--admin=127.0.0.5:${port}`])).toEqual([
    12,
    expect.stringContaining(
      `Cannot listen on "127.0.0.5:8000" for --admin: bun (process ${process.pid}) has it`,
    ),
  ]);
  expect(await run(["--admin=unix:/nowhere/at/all.sock"])).toEqual([
    12,
    expect.stringContaining('Cannot listen on "unix:/nowhere/at/all.sock" for --admin: '),
  ]);
  const admin = ["--admin=0.0.0.0:8404", `--admin-token-file=${file}`];
  expect(await run(admin)).toEqual([2, expect.stringContaining("no such file")]);
  for (const [mode, text, problem] of [
    [0o644, TOKEN, "others may read or change it (mode 0644)"],
    [0o660, TOKEN, "others may read or change it (mode 0660)"],
    [0o640, "short", "it does not have one word of 16 or more letters"],
    [0o600, "two words that are long", "it does not have one word of 16 or more letters"],
  ] as const) {
    writeFileSync(file, text);
    chmodSync(file, mode);
    expect(await run(admin)).toEqual([2, expect.stringContaining(problem)]);
  }
});
