// What the measurements compute: sums, turns, tables, what other programs are given and print.

import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { haproxyVersions, startHaproxy } from "../lab/haproxy.ts";
import { eventually, request } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { bareConfig, handConfig, handMap } from "./by-hand.ts";
import { measured, said, times } from "./cell.ts";
import { leaveOut } from "./contestants.ts";
import { nginxServices } from "./nginx.ts";
import { findPeers } from "./peers.ts";
import { cpuTime, jointMemory, ownMemory, withDescendants } from "./processes.ts";
import { inTurns } from "./rounds.ts";
import { row, toMarkdown } from "./table.ts";
import { parseWrk } from "./wrk.ts";

test("a cell has the median of its rounds, and how far they lie apart", () => {
  expect(measured([14.5, 17, 15.25], "µs")).toEqual({
    text: "15.3 µs (14.5 to 17.0)",
    unit: "µs",
    median: 15.25,
    rounds: [14.5, 17, 15.25],
  });
  expect(measured([7], "MB").text).toBe("7.00 MB");
});

test("a cell of times has the percentiles of all, and the rounds' medians", () => {
  const cell = times([
    [1, 2, 3],
    [4, 5, 60],
  ]);
  expect(cell.text).toBe("3.00 / 60.0 ms (2.00 to 5.00)");
  expect(cell).toMatchObject({ median: 3, p95: 60, rounds: [2, 5] });
});

test("all take turns, and one that is left out takes no more", async () => {
  const order: string[] = [];
  const dropped: string[] = [];
  const results = await inTurns(
    3,
    ["a", "b", "c"],
    async (name) => {
      order.push(name);
      if (name === "b" && order.length > 3) throw new Error("b is gone");
      return order.length;
    },
    (name) => dropped.push(name),
  );
  expect(order.join("")).toBe("abcabcac");
  expect(dropped).toEqual(["b"]);
  expect([...results]).toEqual([
    ["a", [1, 4, 7]],
    ["c", [3, 6, 8]],
  ]);
});

test("what fails ends all, unless it is another program", async () => {
  const error = new Error("it failed");
  const caught = await inTurns(1, ["a"], () => Promise.reject(error)).catch(String);
  expect(caught).toBe("Error: it failed");
  const lines: string[] = [];
  leaveOut({ column: "caddy", isPeer: true }, error, (line) => lines.push(line));
  expect(lines[0]).toMatch(/^caddy is left out: [^]*it failed/);
  const own = { column: "2.6", isPeer: false } as const;
  expect(() => leaveOut(own, error, () => {})).toThrow("it failed");
});

test("the table has the columns that a row fills", () => {
  const rows = [
    row("one", { "3.4": said("1 ms"), itself: said("2 ms") }),
    { ...row("two", { nginx: said("3 ms") }), target: "4 ms", reached: false },
  ];
  expect(toMarkdown(rows)).toBe(
    [
      "| what | the container itself | HAProxy 3.4 | nginx | target | reached |",
      "| --- | --- | --- | --- | --- | --- |",
      "| one | 2 ms | 1 ms |  |  |  |",
      "| two |  |  | 3 ms | 4 ms | **no** |",
    ].join("\n"),
  );
});

test("a load counts only if all was answered well", () => {
  const good = "  82000 requests in 4.00s, 17.52MB read\nRequests/sec:  20500.25\n";
  expect(parseWrk(good)).toEqual({ requests: 82_000, rate: 20_500.25 });
  expect(() => parseWrk(`${good}  Non-2xx or 3xx responses: 3\n`)).toThrow("Non-2xx");
  expect(() => parseWrk(`  Socket errors: connect 0, read 1\n${good}`)).toThrow("Socket errors");
  expect(() => parseWrk("unable to connect")).toThrow("unable to connect");
});

test("a process has its own memory, and its children belong to it", async () => {
  const child = Bun.spawn(["sh", "-c", "sleep 30 & wait"]);
  try {
    let all: readonly number[] = [];
    while (all.length < 2) all = withDescendants([child.pid]);
    expect(all[0]).toBe(child.pid);
    expect(ownMemory(process.pid)).toBeGreaterThan(1);
    expect(jointMemory(all)).toBeGreaterThan(0);
    expect(cpuTime(child.pid)).toBeGreaterThan(0);
    for (const pid of all.toReversed()) process.kill(pid, "SIGKILL");
  } finally {
    await child.exited;
  }
});

/** A folder with programs that print this and end well. */
function programs(outputs: Readonly<Record<string, string>>): string {
  const dir = labDir("path");
  mkdirSync(dir, { recursive: true });
  for (const [name, output] of Object.entries(outputs)) {
    const file = join(dir, name);
    writeFileSync(file, `#!/bin/sh\necho '${output}'\n`);
    chmodSync(file, 0o755);
  }
  return dir;
}

test("what is installed takes part, with its version; what is not is named", () => {
  const none = findPeers(programs({}));
  expect(none.contestants).toEqual([]);
  expect(none.missing).toEqual(["traefik", "caddy", "docker-gen", "nginx"]);

  const { contestants, versions, missing } = findPeers(
    programs({
      traefik: "Version:      3.7.13",
      caddy: "v2.10.0 h1:abc",
      "docker-gen": "0.16.1",
      nginx: "nginx version: nginx/1.22.1",
    }),
  );
  expect(contestants.map(({ column, isPeer }) => [column, isPeer])).toEqual([
    ["traefik", true],
    ["caddy", true],
    ["docker-gen", true],
  ]);
  expect(versions).toEqual(["Traefik 3.7.13", "Caddy 2.10.0", "docker-gen 0.16.1", "nginx 1.22.1"]);
  expect(missing).toEqual([]);
});

test("each of them is told by a container where it is served, in its own way", () => {
  const all = { traefik: "3.7", caddy: "2.10", "docker-gen": "0.16", nginx: "1.22" };
  const { contestants } = findPeers(programs(all));
  expect(contestants.map((each) => each.needs("acme/shop", 8080))).toEqual([
    {
      labels: {
        "traefik.http.routers.acme-shop.rule": "PathPrefix(`/acme/shop`)",
        "traefik.http.routers.acme-shop.middlewares": "acme-shop",
        "traefik.http.middlewares.acme-shop.stripprefix.prefixes": "/acme/shop",
        "traefik.http.services.acme-shop.loadbalancer.server.port": "8000",
      },
    },
    {
      labels: {
        caddy: "http://:8080",
        "caddy.handle_path": "/acme/shop/*",
        "caddy.handle_path.0_reverse_proxy": "{{upstreams 8000}}",
      },
    },
    { env: { BENCH_PATH: "acme/shop" }, expose: [8000] },
  ]);
});

test("a program starts with its files, its output is kept, and it is ended", async () => {
  const dir = programs({ nginx: "1.22" });
  const script = '#!/bin/sh\necho "$0 $@ at $DOCKER_HOST"\nexec sleep 30\n';
  writeFileSync(join(dir, "traefik"), script);
  chmodSync(join(dir, "traefik"), 0o755);
  // Its version is asked for too: a program that does not end at that would not be one.
  writeFileSync(
    join(dir, "traefik"),
    script.replace("exec", '[ "$1" != version ] || exit 0\nexec'),
  );
  const [traefik] = findPeers(`${dir}:/bin:/usr/bin`).contestants;
  const running = await traefik?.start({ dockerHost: "unix:///lab.sock" });
  await eventually(() => expect(running?.log).toContain("at unix:///lab.sock"), { everyMs: 5 });
  expect(running?.log).toContain(`--entrypoints.web.address=127.0.0.1:${running?.port}`);
  expect(running?.reloads).toBeUndefined();
  await running?.stop();
  expect(() => process.kill(running?.pids[0] ?? 0, 0)).toThrow();
});

test("nginx has a location and a server for each service", () => {
  const text = nginxServices(8080, [
    { name: "acme/shop", address: "127.0.0.1:8000" },
    { name: "acme/api", address: "127.0.0.2:8000" },
  ]);
  expect(text).toContain("upstream u1 { server 127.0.0.2:8000; keepalive 32; }");
  expect(text).toContain("location /acme/api/ {\n        proxy_pass http://u1/;");
  expect(text).toContain("proxy_set_header X-Forwarded-Prefix /acme/api;");
});

test.each(haproxyVersions())(
  "what is written by hand serves as the gateway does, on HAProxy %s",
  async (version) => {
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ url, headers }) =>
        Response.json([new URL(url).pathname, headers.get("x-forwarded-prefix")]),
    });
    const service = { name: "acme/shop", address: `127.0.0.1:${server.port}` };
    const [handPort, barePort] = [await freePort(), await freePort()];
    const dir = labDir("hand");
    const map = join(dir, "routes.map");
    const hand = await startHaproxy({
      version,
      dir,
      config: handConfig(handPort, map, [service]),
      maps: { "routes.map": handMap([service]) },
    });
    const bare = await startHaproxy({ version, config: bareConfig(barePort, service) });
    try {
      const byHand = await request({ port: handPort, target: "/acme/shop/a?b" });
      expect(byHand.body).toBe('["/a","/acme/shop"]');
      const unknown = await request({ port: handPort, target: "/acme/shopping" });
      expect(unknown.status).toBe(403);
      const passedOn = await request({ port: barePort, target: "/acme/shop/a" });
      expect(passedOn.body).toBe('["/acme/shop/a",null]');
    } finally {
      await Promise.all([hand.stop(), bare.stop()]);
    }
  },
);
