// Whether something accepts connections at a port: at once, not, and where nobody answers at all.

import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { answers } from "../../../src/haproxy/runtime/readiness.ts";
import { eventually } from "../../lab/http.ts";
import { freePort } from "../../lab/ports.ts";

const HOST = "127.0.0.1";
/** The kernel takes fewer connections than these for a listener that is stopped; the next ones get no answer. */
const MOST_TAKEN = 5_000;
/** In /proc/net/tcp: the connection was asked for, and there is no answer (`TCP_SYN_SENT`). */
const UNANSWERED = "02";

const listeners: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const listener of listeners.splice(0)) {
    listener.kill("SIGKILL");
    await listener.exited;
  }
});

async function listen(port: number): Promise<Bun.Subprocess> {
  const options = JSON.stringify({ host: HOST, port });
  const program = `require("node:net").createServer((socket) => socket.end()).listen(${options})`;
  const listener = Bun.spawn([process.execPath, "-e", program]);
  listeners.push(listener);
  await eventually(async () => expect(await answers(HOST, port)).toBe(true));
  return listener;
}

/** How many connections to a port of this host have no answer yet. */
function countUnanswered(port: number): number {
  const place = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .filter((line) => line.includes(` ${place} ${UNANSWERED} `)).length;
}

test("it does where somebody listens, and does not where nobody does", async () => {
  const port = await freePort();
  expect(await answers(HOST, port)).toBe(false);
  await listen(port);
  expect(await answers(HOST, port)).toBe(true);
});

test("an address of version 6", async () => {
  const server = Bun.listen({ hostname: "::1", port: 0, socket: { data: () => undefined } });
  expect(await answers("::1", server.port)).toBe(true);
  server.stop(true);
  expect(await answers("::1", server.port)).toBe(false);
});

test("where nobody answers at all, few connections are left, and one of them is answered later", async () => {
  const port = await freePort();
  const listener = await listen(port);
  listener.kill("SIGSTOP");
  let taken = 0;
  while (taken < MOST_TAKEN && (await answers(HOST, port))) taken++;
  expect(taken).toBeLessThan(MOST_TAKEN);
  for (let index = 0; index < 20; index++) expect(await answers(HOST, port)).toBe(false);
  expect(countUnanswered(port)).toBeWithin(1, 9);
  listener.kill("SIGCONT");
  await eventually(async () => expect(await answers(HOST, port)).toBe(true));
  await eventually(() => expect(countUnanswered(port)).toBe(0));
});
