// `npm run demo`: the real binary drives a real HAProxy in front of sample containers.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whyNotFree } from "../../src/lib/listeners.ts";
import { eventually } from "../lab/http.ts";
import { freePort } from "../lab/ports.ts";
import { SERVICES, startSamples } from "./samples.ts";

/** Where it listens, if nobody else does. */
const USUAL_PORT = 8080;
const ROOT = join(import.meta.dir, "../..");
/** A first start of everything on a slow machine, in milliseconds. */
const PATIENCE = 30_000;

const once = process.argv.includes("--once");
const say = (line: string): void => console.log(`demo: ${line}`);
const port = await choosePort();

process.exit(await demo());

async function demo(): Promise<number> {
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => resolve());
  });
  const built = spawnSync(process.execPath, [".ci/build.ts"], { cwd: ROOT, stdio: "inherit" });
  if (built.status !== 0) return 1;

  const dir = mkdtempSync(join(tmpdir(), "dag-demo-"));
  const samples = await startSamples(dir, say);
  const command = [
    join(ROOT, "dist/docker-api-gateway"),
    "--manage-haproxy",
    `--output-file=${join(dir, "haproxy.cfg")}`,
    `--listen=*:${port}`,
  ];
  say(`DOCKER_HOST=${samples.dockerHost} ${command.join(" ")}`);
  const gateway = Bun.spawn(command, {
    env: { ...process.env, DOCKER_HOST: samples.dockerHost },
    stdio: ["ignore", "inherit", "inherit"],
    // Ctrl-C is for the demo, which ends the gateway first and then the containers.
    detached: true,
  });
  try {
    const failed = await showAnswers();
    if (once) return failed;
    if (samples.hint !== "") say(samples.hint);
    say("Ctrl-C takes everything down again");
    await Promise.race([interrupted, gateway.exited]);
    return gateway.exitCode ?? 0;
  } finally {
    gateway.kill("SIGTERM");
    await gateway.exited;
    await samples.stop();
    rmSync(dir, { recursive: true, force: true });
    say("everything is taken down");
  }
}

/** The usual port, or another one where somebody has that. */
async function choosePort(): Promise<number> {
  const notFree = await whyNotFree(`*:${USUAL_PORT}`, () => false);
  if (notFree === undefined) return USUAL_PORT;
  const other = await freePort();
  console.log(`demo: port ${USUAL_PORT}: ${notFree.problem}: it is port ${other} this time`);
  return other;
}

/** Asks every service through the gateway and prints what it answers; 1 where one is wrong. */
async function showAnswers(): Promise<number> {
  let failed = 0;
  for (const { image, containers } of SERVICES) {
    const url = `http://localhost:${port}/${image}/hi?from=demo`;
    const answered = new Set<string>();
    const problem = await eventually(
      async () => {
        const body = await get(url, 200);
        if (!body.includes("target: /hi?from=demo\n"))
          throw new Error(`the path is wrong: ${body}`);
        answered.add(/^container: (.*)$/m.exec(body)?.[1] ?? "");
        if (answered.size < containers)
          throw new Error(`only ${answered.size} of ${containers} answer`);
      },
      { timeoutMs: PATIENCE, everyMs: 50 },
    ).catch((error: unknown) => describe(error));
    if (problem !== undefined) failed = 1;
    const outcome = problem ?? [...answered].toSorted().join(" and ");
    say(`${url}  ->  ${outcome}`);
  }
  const unknown = `http://localhost:${port}/unknown`;
  const refused = await get(unknown, 403).then(() => "403, no route", describe);
  if (refused !== "403, no route") failed = 1;
  say(`${unknown}  ->  ${refused}`);
  return failed;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function get(url: string, status: number): Promise<string> {
  const response = await fetch(url, { keepalive: false, signal: AbortSignal.timeout(5_000) });
  const body = await response.text();
  if (response.status !== status) throw new Error(`status ${response.status} instead of ${status}`);
  return body;
}
