// `npm run cast`: types a session with a real Engine, a real HAProxy and the program, and draws what the terminal
// shows into docs/images/session.svg. It takes root, as a network namespace of its own does.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { closeGateways, startGateway } from "../e2e/gateway.ts";
import { binary, cleanEnvironment } from "../e2e/program.ts";
import { removeAll } from "../lab/containers.ts";
import { sharedEngine, stopSharedEngine } from "../lab/engine.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { cleanOwn } from "../lab/leftovers.ts";
import { drawTerminal, type Typed } from "./terminal.ts";

const FILE = join(import.meta.dir, "../../docs/images/session.svg");
const TITLE =
  "A session: two containers are started and served, one is stopped, and the log tells of it";

/** Each line, and a word that it prints once what came before it has happened. */
const SESSION = [
  ["docker run -d --name shop-1 acme/shop:1.2 | cut -c1-12", ""],
  ["curl -s http://localhost/acme/shop/cart | grep target", "target: /cart"],
  ["docker run -d --name shop-2 acme/shop:1.2 | cut -c1-12", ""],
  ["docker-api-gateway routes", "shop-2"],
  ["docker stop shop-1", ""],
  ["docker-api-gateway logs -n 4", "removed /acme/shop"],
  ["docker-api-gateway explain /acme/shop/cart", "to       shop-2"],
] as const;

process.once("exit", cleanOwn);
const engine = await sharedEngine();
await importImage(engine, "acme/shop:1.2", { expose: [8000] });
const gateway = await startGateway({ dockerHost: engine.dockerHost, port: 80 });
await gateway.answers("/", 403);
const env = cleanEnvironment({ DOCKER_HOST: engine.dockerHost });
const path = `${dirname(await binary())}:${env["PATH"]}`;

try {
  const session: Typed[] = [];
  for (const [command, word] of SESSION) {
    session.push({ command, output: await eventually(() => type(command, word)) });
  }
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, drawTerminal(session, TITLE));
  console.log(`cast: ${FILE}`);
} finally {
  closeGateways();
  await removeAll(engine);
  await stopSharedEngine();
}

/** Types a line into a shell. @throws Error if it fails, or does not print a word yet */
async function type(command: string, word: string): Promise<string> {
  const child = Bun.spawn(["sh", "-c", command], {
    env: { ...env, PATH: path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (child.exitCode !== 0 || !output.includes(word)) {
    throw new Error(`${command}: ${output}${errors}`);
  }
  return output;
}
