// `doctor` finds who is on the addresses to listen on, and tells the gateway's HAProxy from another.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { findings, flagsOf } from "./asking.ts";
import { asUser, closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";

setDefaultTimeout(120_000);

const NOBODY = 65_534;

let engine: Engine;
const haproxies: Haproxy[] = [];

beforeAll(async () => {
  engine = await sharedEngine();
});

afterEach(async () => {
  for (const haproxy of haproxies.splice(0)) await haproxy.stop();
  closeGateways();
});
afterAll(closeGateways);

/** A HAProxy that has nothing to do with the gateway's, on a port of 127.0.0.1. */
async function startAnother(port: number, version = firstVersion()): Promise<Haproxy> {
  const haproxy = await startHaproxy({
    version,
    dir: gatewayDir(),
    config: `defaults
    mode http
    timeout client 5s
frontend f
    bind 127.0.0.1:${port}
    http-request return status 418
`,
  });
  haproxies.push(haproxy);
  return haproxy;
}

/** The flags of a gateway that has never run. */
async function newFlags(port?: number): Promise<string[]> {
  const output = join(gatewayDir(), "haproxy.cfg");
  return flagsOf({ output, port: port ?? (await freePort()) }, engine);
}

test("one is held by another program, a second one is not in its way", async () => {
  const [port, free] = [await freePort(), await freePort()];
  const server = Bun.serve({ hostname: "127.0.0.1", port, fetch: () => new Response("") });
  try {
    const flags = [...(await newFlags(free)), `--listen=127.0.0.1:${port}`];
    const { status, levels, text } = await findings(flags);
    expect([status, levels["Listen"]]).toEqual([1, "failure"]);
    expect(text["Listen"]).toMatch(
      new RegExp(String.raw`^127\.0\.0\.1:${port} is held by \S+ \(process ${process.pid}\)\n`),
    );
    expect(text["Listen"]).toEndWith("end that program, or use another --listen");
    const all = await findings(await newFlags(port).then((words) => on(words, `*:${port}`)));
    expect(all.levels["Listen"]).toBe("failure");
    const [other, ipv6] = [`127.0.0.2:${port}`, `[::1]:${port}`];
    const elsewhere = await findings([...on(flags, other), `--listen=${ipv6}`]);
    expect(elsewhere.levels["Listen"]).toBe("ok");
    expect(elsewhere.text["Listen"]).toBe(`${other} free, ${ipv6} free`);
  } finally {
    await server.stop(true);
  }
});

test("an address that this machine does not have, beside one that it has", async () => {
  // Addresses of documentations, which nobody has. Source: RFC 5737, RFC 3849.
  for (const address of ["192.0.2.77", "[2001:db8::77]"]) {
    const flags = [...(await newFlags()), `--listen=${address}:80`];
    const { status, levels, text } = await findings(flags);
    expect([status, levels["Listen"]]).toEqual([1, "failure"]);
    expect(text["Listen"]).toBe(
      `${address}:80: this machine has no such address\nip address lists what it has; see --listen`,
    );
  }
});

test("held by a program on all addresses, of IPv6 too", async () => {
  const port = await freePort();
  const server = Bun.serve({ hostname: "::", port, fetch: () => new Response("") });
  try {
    for (const address of ["*", "127.0.0.1", "[::1]", "[::]"]) {
      const { levels } = await findings(on(await newFlags(), `${address}:${port}`));
      expect(levels["Listen"]).toBe("failure");
    }
  } finally {
    await server.stop(true);
  }
});

test.each(haproxyVersions())("shared with another HAProxy without a word, %s", async (version) => {
  const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
  await gateway.answers("/", 403);
  const flags = flagsOf(gateway, engine, version);
  expect((await findings(flags)).levels["Listen"]).toBe("ok");

  const another = await startAnother(gateway.port, version);
  // It does take a part of the requests.
  await gateway.answers("/", 418);
  await gateway.answers("/", 403);
  const { status, levels, text } = await findings(flags);
  expect([status, levels["Listen"]]).toEqual([1, "failure"]);
  const holder = /^\S+ is held by haproxy \(process (\d+)\), another HAProxy than the gateway's\n/;
  const [, pid = ""] = holder.exec(text["Listen"] ?? "") ?? [];
  const { worker } = await gateway.haproxy();
  expect(Number(pid)).not.toBe(worker);
  expect(parentOf(Number(pid))).toBe(another.pid);
  expect(text["Listen"]).toContain("two share a port without a word");
  const bad = Object.keys(levels).filter((title) => levels[title] !== "ok");
  expect(bad).toEqual(["Listen"]);
  await another.stop();
  expect((await findings(flags)).levels["Listen"]).toBe("ok");
});

test("held by a HAProxy, before the gateway has run", async () => {
  const port = await freePort();
  await startAnother(port);
  const managed = await findings(await newFlags(port));
  expect([managed.status, managed.levels["Listen"]]).toEqual([1, "failure"]);
  // Where somebody else runs HAProxy it may be that one, as long as nothing else is known.
  const flags = (await newFlags(port)).filter((flag) => flag !== "--manage-haproxy");
  const external = await findings([...flags, "--reload-cmd=/bin/true"]);
  expect([external.status, external.levels["Listen"]]).toEqual([0, "warning"]);
  expect(external.text["Listen"]).toContain("fine where that one reads ");
});

test("it is the very HAProxy that will be reloaded, as its master socket says", async () => {
  const port = await freePort();
  const { masterSocket } = await startAnother(port);
  const flags = (await newFlags(port)).filter((flag) => flag !== "--manage-haproxy");
  const { levels, text } = await findings([...flags, `--master-socket=${masterSocket}`]);
  expect(levels["Listen"]).toBe("ok");
  expect(text["Listen"]).toContain("held by this HAProxy (process ");
});

test("the gateway and its HAProxy have other process numbers, as in a container", async () => {
  const prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const gateway = await startGateway({ dockerHost: engine.dockerHost, prefix });
  await gateway.answers("/", 403);
  const { levels, text } = await findings(flagsOf(gateway, engine));
  const { worker } = await gateway.haproxy();
  expect(levels["Listen"]).toBe("ok");
  const [, pid] = /held by this HAProxy \(process (\d+)\)$/.exec(text["Listen"] ?? "") ?? [];
  expect(pid).not.toBe(String(worker));
  expect(readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("haproxy\n");
  // And the limits are not those of whoever has its number here.
  expect(text["Limits"]).not.toContain("for HAProxy");
});

test("an ordinary user is told no more than the system tells", async () => {
  const port = await freePort();
  await startAnother(port);
  const { levels, text } = await findings(await newFlags(port), asUser(NOBODY));
  expect(levels["Listen"]).toBe("failure");
  expect(text["Listen"]).toStartWith(`127.0.0.1:${port} is held by another user's program\n`);
  const low = await findings(on(await newFlags(), "127.0.0.1:1"), asUser(NOBODY));
  expect(low.levels["Listen"]).toBe("warning");
  expect(low.text["Listen"]).toStartWith("127.0.0.1:1: ports below 1024 are root's\n");
});

/** The flags with other addresses to listen on. */
function on(flags: readonly string[], address: string): string[] {
  return [...flags.filter((flag) => !flag.startsWith("--listen=")), `--listen=${address}`];
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}
