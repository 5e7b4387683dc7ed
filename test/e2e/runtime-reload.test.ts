// A reload that has to be: what HAProxy knew of its servers is kept, and nobody's connection is broken.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Clients } from "./clients.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { runToEnd } from "./program.ts";
import { ask, stateOf } from "./running-haproxy.ts";
import { idOf, Stage } from "./stage.ts";

setDefaultTimeout(120_000);

const RELOADS = 5;

describe.each(haproxyVersions())("the template changes, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let apps: App[] = [];
  let template: string;

  beforeEach(async () => {
    stage = new Stage();
    template = join(gatewayDir(), "mine.hbs");
    await write(0);
    gateway = await startGateway({
      version,
      dockerHost: stage.dockerHost,
      flags: ["--template-file", template],
    });
    await gateway.answers("/", 403);
    apps = [await startApp({ name: "one" }), await startApp({ name: "two" })];
    for (const { name, address, port } of apps) {
      stage.start(name, { image: "foo", ip: address, port });
      await gateway.until(async () => expect(await stateOf(gateway, name)).toBe("UP"));
    }
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    for (const app of apps) await app.stop();
  });

  test(`${RELOADS} times, and no request fails`, async () => {
    const clients = new Clients(gateway.port, "/foo", 4);
    for (let count = 1; count <= RELOADS; count++) await reload(count);
    const { answered, failures } = await clients.stop();
    expect(answered.GET).toBeGreaterThan(RELOADS);
    // Kept connections neither: the last answer on one says that it is the last.
    expect(failures).toEqual([]);
  });

  test("one that was dead gets no request, and one that lives goes on", async () => {
    const dead = { image: "foo", ip: "127.0.0.1", port: await freePort() };
    stage.start("dead", dead);
    await gateway.until(async () => expect(await stateOf(gateway, "dead")).toBe("DOWN"));
    // From its first moment on a worker has requests to give.
    const clients = new Clients(gateway.port, "/foo", 8);
    for (let count = 1; count <= RELOADS; count++) {
      await reload(count);
      expect(await stateOf(gateway, "dead")).toBe("DOWN");
      expect(await stateOf(gateway, "one")).toBe("UP");
      expect(await chosen("one")).toBeGreaterThan(0);
      expect(await chosen("dead")).toBe(0);
    }
    await clients.stop();
  });

  test("one that was paused or is on its way out gets no request either", async () => {
    stage.change("one", { status: "paused" });
    stage.tell("one", "pause");
    await gateway.until(async () => expect(await stateOf(gateway, "one")).toBe("DRAIN"));
    await reload(1);
    expect(await stateOf(gateway, "one")).toBe("MAINT");
    stage.change("one", { status: "running" });
    stage.tell("one", "unpause");
    await gateway.until(async () => expect(await stateOf(gateway, "one")).toBe("UP"));
    stage.kill("two");
    await reload(2);
    await gateway.until(async () => expect(await stateOf(gateway, "two")).toBe("MAINT"));
    expect((await gateway.get("/foo")).body).toBe("one");
  });

  /** Writes the template so that HAProxy sends this number to its clients. */
  async function write(count: number): Promise<void> {
    const builtIn = (await runToEnd(["template", "path"])).stdout;
    const place = "{{> entrance}}\n";
    if (!builtIn.includes(place)) throw new Error("the template has no frontend any more");
    const line = `    http-after-response set-header X-Reloads ${count}\n`;
    writeFileSync(template, builtIn.replace(place, place + line));
  }

  async function reload(count: number): Promise<void> {
    const from = gateway.lines().length;
    await write(count);
    gateway.signal("SIGHUP");
    await gateway.logged(/^reload: frontend "_http" changed \(/, from);
    expect((await gateway.get("/foo")).header("X-Reloads")).toBe(String(count));
  }

  /** How often the newest worker gave a request to a container. */
  async function chosen(name: string): Promise<number> {
    const [head = "", ...lines] = (await ask(gateway, "show stat -1 4 -1")).split("\n");
    const column = head.replace("# ", "").split(",").indexOf("lbtot");
    const line = lines.find((text) => text.includes(idOf(name).slice(0, 12)));
    return Number(line?.split(",")[column]);
  }
});
