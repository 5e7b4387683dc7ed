// The stack of docs/swarm.md, deployed as its users do.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startSwarm, type Swarm } from "../lab/swarm.ts";
import { closeGateways, startGateway } from "../e2e/gateway.ts";
import { cleanEnvironment } from "../e2e/program.ts";
import { Traffic } from "../e2e/traffic.ts";
import { removeServices, running, updated } from "./services.ts";

setDefaultTimeout(120_000);

let swarm: Swarm;

beforeAll(async () => {
  swarm = await startSwarm();
  for (const node of swarm.nodes) {
    await importImage(node, "acme/shop:1.0", { expose: [8000] });
    await importImage(node, "acme/shop:2.0", { expose: [8000] });
  }
});
afterAll(() => swarm.stop());

/** Runs the docker program on the manager. */
async function docker(words: readonly string[], input = ""): Promise<void> {
  const child = Bun.spawn(["docker", `--host=${swarm.manager.dockerHost}`, ...words], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnvironment(),
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`docker ${words.join(" ")}: ${errors}`);
}

/** The stack file of the document. */
async function stack(): Promise<string> {
  const text = await Bun.file(join(import.meta.dir, "../../docs/swarm.md")).text();
  const found = /^```yaml\n([\s\S]*?)\n```$/m.exec(text)?.[1];
  if (found === undefined) throw new Error("docs/swarm.md has no stack");
  return found;
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("it is served where its label says, and updated without a loss", async () => {
    const { dockerHost, inside: prefix, address: host } = swarm.manager;
    const gateway = await startGateway({ version, dockerHost, prefix, host });
    try {
      // The images are on all nodes, and there is no registry.
      await docker(["stack", "deploy", "--resolve-image=never", "-c", "-", "shop"], await stack());
      await running(swarm, "shop_web", 3);
      await gateway.served("/store/");
      await gateway.until(() => {
        const count = gateway.count(/^routed \/store/);
        if (count !== 3) throw new Error(`${count} tasks are routed`);
      });
      const { port } = gateway;
      const clients = new Traffic({ host, port, target: "/store/", perSecond: 100 });
      const image = ["--no-resolve-image", "--image", "acme/shop:2.0"];
      await docker(["service", "update", "--detach", ...image, "shop_web"]);
      await updated(swarm.manager.docker.getService("shop_web"));
      const { failures } = await clients.stop();
      expect(failures).toEqual([]);
    } finally {
      closeGateways();
      await removeServices(swarm);
    }
  });
});
