// What the README shows under "Ask it" is what the program prints.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { startHaproxy } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(60_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
});

afterAll(async () => {
  closeGateways();
  await removeAll(engine);
});

/** The commands of the README's block, each with what it is said to print. */
function examples(): [command: string, output: string][] {
  const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
  const [, block = ""] = /### Ask it\n\n```console\n([^]*?)```/.exec(readme) ?? [];
  return block
    .split(/^\$ docker-api-gateway /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1)];
    });
}

/** The text without what is another one on every machine, its columns as wide as they come. */
function alike(text: string): string {
  return text
    .replaceAll(/\d+\.\d+\.\d+\.\d+:8000/g, "SERVER")
    .replaceAll(/\d+\.\d+\.\d+\.\d+:\d+|\*:\d+/g, "LISTEN")
    .replaceAll(/\d+\.\d+\.\d+\.\d+/g, "ADDRESS")
    .replaceAll(/\([0-9a-f]{12}\)/g, "(ID)")
    .replaceAll(/\/[-.\w/]*\/(?=docker\.sock|haproxy\.)/g, "FOLDER/")
    .replaceAll(/API [\d.]+/g, "API")
    .replaceAll(/HAProxy: \d+.*/g, "HAProxy: VERSION")
    .replaceAll(/process \d+/g, "process PID")
    .replaceAll(/\d+ open files/g, "N open files")
    .replaceAll(/\b\d+ (?:s|min|h)\b/g, "TIME")
    .replaceAll(/(?:1204|\d+) request\b|(?:1204|\d+) requests\b/g, "N requests")
    .replaceAll(/^(.* up +TIME) +\d+ +0$/gm, "$1 N 0")
    .replaceAll(/ +/g, " ");
}

test("the README's answers are the program's", async () => {
  await importImage(engine, "acme/shop:1.2", { expose: [8000] });
  for (const name of ["shop-1", "shop-2"]) await run(engine, "acme/shop:1.2", { name });
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  for (const name of ["shop-1", "shop-2"]) await gateway.served("/acme/shop/", name);
  const another = await startHaproxy({
    version: firstVersion(),
    dir: gatewayDir(),
    config: `defaults
    mode http
    timeout client 5s
frontend f
    bind 127.0.0.1:${gateway.port}
`,
  });
  const shown = examples();
  expect(shown.map(([command]) => command.split(" ")[0])).toEqual([
    "routes",
    "explain",
    "explain",
    "doctor",
  ]);
  for (const [command, output] of shown) {
    const words = command.replaceAll("'", "").split(" ");
    const { stdout } = await runToEnd([...words, `--gateway=${gateway.dir}/haproxy.gateway.sock`]);
    expect(alike(stdout)).toBe(alike(output));
  }
  await another.stop();
});
