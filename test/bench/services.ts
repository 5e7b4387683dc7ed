// Containers for the measurements: quick to start, or able to take a load.

import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { create, type Container, type RunOptions } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { haproxyProgram } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { request } from "../lab/http.ts";

const PORT = 8000;
/** What is asked for comes within milliseconds; a loaded machine takes longer. */
const PATIENCE = 30_000;
/** What the sturdy ones and the tiny server answer: 100 bytes. */
export const ANSWER = "x".repeat(100);
let count = 0;

/** Makes an image of the lab under many names, each a service of its own. */
export async function importServices(engine: Engine, names: readonly string[]): Promise<void> {
  const [first = "", ...others] = names;
  await importImage(engine, first, { expose: [PORT] });
  for (const name of others) await engine.docker.getImage(first).tag({ repo: name });
}

/** An image whose server takes thousands of requests a second: a HAProxy that answers itself. */
export async function importSturdy(engine: Engine, name: string): Promise<void> {
  await importImage(engine, name, { expose: [PORT] });
}

let folder: string | undefined;

/**
 * Makes a container of such an image.
 * @param grace how many seconds it goes on after it is told to end
 */
export function createSturdy(engine: Engine, image: string, grace: number): Promise<Container> {
  return create(engine, image, sturdy(grace));
}

/**
 * What makes a container of such an image sturdy.
 * @param grace how many seconds it goes on after it is told to end
 */
export function sturdy(grace: number): RunOptions {
  const config = sturdyConfig();
  const server = `${haproxyProgram("2.6")} -db -f ${config}/haproxy.cfg`;
  // The host's own program and libraries: an image with them would be made of the same files.
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folders = ["/usr", "/lib", "/lib64", cache, config].filter((path) => existsSync(path));
  return {
    name: `sturdy-${++count}`,
    cmd: [
      "/bin/sh",
      "-c",
      // As process 1 HAProxy itself would not heed the signal.
      `trap 'sleep ${grace}; kill -TERM $!' TERM; ${server} & wait; wait`,
    ],
    create: { HostConfig: { Binds: folders.map((path) => `${path}:${path}:ro`) } },
  };
}

/** Whether the container itself answers. */
export async function answersDirectly(container: Container): Promise<boolean> {
  try {
    const host = await container.ip();
    return (await request({ host, port: PORT, timeoutMs: 500 })).status === 200;
  } catch {
    return false;
  }
}

/** So many requests may be under way: where nobody answers for long, they are not to pile up. */
const MOST_ASKED = 30;

/** Who is asked, and for what answer. */
interface Wanted {
  readonly host: string;
  readonly port: number;
  readonly target: string;
  /** How many requests there are at a time, each on a connection of its own; by default one. */
  readonly atOnce?: number;
  /** Whether the answer with this body is the one that is waited for. */
  readonly isIt?: (body: string) => boolean;
}

/**
 * Asks an address every millisecond until it answers 200; gives the time until that answer. No request waits for
 * another one: otherwise the next one would come as much later as an answer takes.
 */
export async function firstAnswer(
  { host, port, target, atOnce = 1, isIt = () => true }: Wanted,
  since: number,
): Promise<number> {
  const answered = Promise.withResolvers<number>();
  const asked = new Set<Promise<void>>();
  const ask = async (): Promise<void> => {
    const { status, body } = await request({ host, port, target, timeoutMs: 1_000 });
    if (status === 200 && isIt(body)) answered.resolve(performance.now() - since);
  };
  const end = since + PATIENCE;
  let took: number | undefined;
  while (took === undefined && performance.now() < end) {
    for (let index = 0; index < atOnce && asked.size < MOST_ASKED; index++) {
      // Most of them are refused, which is what is waited out.
      const one: Promise<void> = ask()
        .catch(() => undefined)
        .finally(() => asked.delete(one));
      asked.add(one);
    }
    took = await Promise.race([answered.promise, Bun.sleep(1).then(() => undefined)]);
  }
  await Promise.all(asked);
  if (took === undefined) throw new Error(`${host}:${port}${target} does not answer`);
  return took;
}

function sturdyConfig(): string {
  if (folder !== undefined) return folder;
  folder = labDir("s");
  writeFileSync(
    join(folder, "haproxy.cfg"),
    `global
    nbthread 1
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
frontend app
    bind :${PORT}
    http-request return status 200 content-type text/plain string ${ANSWER}
`,
  );
  return folder;
}
