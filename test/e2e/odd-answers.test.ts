// Containers whose answers are odd: the log names each once, and `explain` says what to do.

import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { explained, flagsOf, pairs } from "./asking.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

const HELP = "label gateway.port names another port, gateway.enable=false leaves the container out";
const FOREIGN = `does not speak HTTP/1.1: what it answers is something else (${HELP})`;
const CLOSES = `does not speak HTTP/1.1: it closes connections without an answer (${HELP})`;
const TOO_LARGE =
  "answered with headers that are larger than 32 kB, or more than 250: its client got 502";
const CIRCLE =
  "redirects to the very URL that was asked for: if it has a base URL of its own, " +
  "label gateway.strip=false leaves the prefix on";

/** Answers each connection on port 8000 with what a script says to its first lines. */
function answering(script: string): string[] {
  return ["nc", "-ll", "-p", "8000", "-e", "sh", "-c", script];
}

const HEAD = `while IFS= read -r line && [ -n "\${line%?}" ]; do :; done`;
const REDIRECT = String.raw`HTTP/1.1 302 Found\r\nLocation: /odd/wiki/\r\nContent-Length: 0\r\n\r\n`;

/** Headers of 45,000 bytes. */
const LARGE = String.raw`printf 'HTTP/1.1 200 OK\r\nX-Large: %045000d\r\n\r\n' 0`;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  const expose = [8000];
  await importImage(engine, "odd/shop", { expose });
  await importImage(engine, "odd/db", {
    expose,
    cmd: answering(String.raw`printf 'J\0\0\n8.0\r\n'`),
  });
  await importImage(engine, "odd/cache", { expose, cmd: answering("read -r line") });
  await importImage(engine, "odd/blog", { expose, cmd: answering(`${HEAD}; ${LARGE}`) });
  await importImage(engine, "odd/wiki", {
    expose,
    cmd: answering(`${HEAD}; printf '${REDIRECT}'`),
  });
});

afterAll(closeGateways);

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let gateway: Gateway;
  let flags: string[];

  beforeEach(async () => {
    closeGateways();
    await removeAll(engine);
    gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    flags = flagsOf(gateway, engine, version);
    await gateway.answers("/", 403);
  });

  test("are told once, with what to do", async () => {
    const shop = await run(engine, "odd/shop");
    await gateway.served("/odd/shop/");
    expect((await gateway.get("/odd/shop/status?code=502")).status).toBe(502);

    await isOdd("db", 502, FOREIGN);
    await isOdd("cache", undefined, CLOSES);
    const wiki = await isOdd("wiki", 302, CIRCLE);
    expect((await gateway.get("/odd/wiki/")).header("Location")).toBe("/odd/wiki/");

    await isOdd("blog", 502, TOO_LARGE);
    const asked = await gateway.get("/odd/shop/", { headers: { "X-Large": "x".repeat(40_000) } });
    expect(asked.status).toBeOneOf([400, 431]);
    gateway.signal("SIGHUP");
    await gateway.logged(/^refused a request of 127.0.0.1: its headers are larger than 32 kB/);

    for (const text of [FOREIGN, CLOSES, CIRCLE, TOO_LARGE]) expect(gateway.count(text)).toBe(1);
    expect(gateway.lines().filter(({ event }) => event === "odd answers")).toHaveLength(4);
    expect(pairs(await explained(shop.name, flags))["answers"]).toBeUndefined();

    // The remedy: the prefix stays, and it leads in a circle no more than the application wants.
    await wiki.remove();
    const wanted = await run(engine, "odd/wiki", { labels: { "gateway.strip": "false" } });
    await gateway.answers("/odd/wiki/x", 302);
    expect(pairs(await explained(wanted.name, flags))["answers"]).toBeUndefined();
    expect(gateway.lines().filter(({ event }) => event === "reload").length).toBeLessThan(2);
  });

  test("are told before a reload, of which HAProxy remembers nothing", async () => {
    closeGateways();
    gateway = await startGateway({
      version,
      dockerHost: engine.dockerHost,
      flags: ["--always-reload"],
    });
    await run(engine, "odd/wiki");
    await gateway.answers("/odd/wiki/", 302);
    await run(engine, "odd/shop");
    await gateway.logged(/^routed \/odd\/shop /);
    const messages = gateway.lines().map(({ message }) => message);
    const told = messages.findIndex((message) => message.includes(CIRCLE));
    expect(told).toBeGreaterThan(-1);
    expect(told).toBeLessThan(messages.findLastIndex((message) => message.startsWith("reload:")));
  });

  /**
   * Starts a container, asks it, and waits until what is odd about it is told.
   * @param status undefined: the connection is closed
   */
  async function isOdd(name: string, status: number | undefined, text: string): Promise<Container> {
    const container = await run(engine, `odd/${name}`);
    const server = `${await container.ip()}:8000`;
    await gateway.until(async () => {
      const response = await gateway.get(`/odd/${name}/`).catch(() => undefined);
      expect(response?.status).toBe(status);
      // Everything is read again, as it is every minute.
      gateway.signal("SIGHUP");
      expect(gateway.count(text)).toBe(1);
    });
    const line = await gateway.logged(text);
    const subject = `container ${container.name} at ${server} (/odd/${name})`;
    expect(line).toMatchObject({
      level: "warn",
      message: `${subject} ${text}`,
      event: "odd answers",
      container: container.name,
      id: container.id,
      route: `/odd/${name}`,
      server,
    });
    // What else is explained is shown where this is missing.
    expect(pairs(await explained(container.name, flags))).toMatchObject({ answers: `it ${text}` });
    expect(pairs(await explained(`/odd/${name}/x`, flags))).toMatchObject({
      answers: `container ${container.name} ${text}`,
    });
    return container;
  }
});
