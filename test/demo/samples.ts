// The sample services of the demo, on an Engine that is there, on a private one, or on a played one.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import Dockerode from "dockerode";
import { run, type Container } from "../lab/containers.ts";
import { startEngine, type EngineAccess } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { PlayedEngine } from "../lab/played-engine.ts";

/** Sample services that run somewhere. */
export interface Samples {
  readonly dockerHost: string;
  /** How to look at them and to start more; empty where that is not possible. */
  readonly hint: string;
  stop(): Promise<void>;
}

/** The images and how many containers of each. */
export const SERVICES = [
  { image: "demo/shop", containers: 2 },
  { image: "demo/shop/admin", containers: 1 },
  { image: "hello", containers: 1 },
] as const;

const DEFAULT_SOCKET = "/var/run/docker.sock";

/** Starts the samples on the best Engine that can be had, and says which that is. */
export async function startSamples(dir: string, say: (line: string) => void): Promise<Samples> {
  const socket = await ownEngine();
  if (socket !== undefined) {
    say(`using the Docker Engine at ${socket}`);
    const docker = new Dockerode({ socketPath: socket });
    return onEngine({ socket, docker }, async () => undefined);
  }
  try {
    say("no Docker Engine answers here: starting a private one");
    if (process.getuid?.() !== 0) throw new Error("that takes root");
    installEngine();
    const engine = await startEngine();
    return await onEngine(engine, () => engine.stop());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    say(`no Engine can run here (${reason}): playing one, with sample servers on loopback`);
    return played(join(dir, "docker.sock"));
  }
}

/** The socket of an Engine that runs already and may be used. */
async function ownEngine(): Promise<string | undefined> {
  const host = process.env["DOCKER_HOST"] ?? `unix://${DEFAULT_SOCKET}`;
  const socket = /^unix:\/\/(.+)$/.exec(host)?.[1];
  if (socket === undefined || !existsSync(socket)) return undefined;
  try {
    await new Dockerode({ socketPath: socket }).ping();
    return socket;
  } catch {
    // Not ours to use, or nobody listens: the demo brings its own.
    return undefined;
  }
}

function installEngine(): void {
  const setup = join(import.meta.dir, "../lab/setup");
  const { status } = spawnSync("bash", [setup, "engine"], { stdio: "inherit" });
  if (status !== 0) throw new Error("Docker could not be installed");
}

async function onEngine(engine: EngineAccess, stopEngine: () => Promise<void>): Promise<Samples> {
  const containers: Container[] = [];
  const images: string[] = [];
  const stop = async (): Promise<void> => {
    // What somebody else took down meanwhile must not keep the rest up.
    await Promise.allSettled(containers.map((container) => container.remove()));
    await Promise.allSettled(images.map((image) => engine.docker.getImage(image).remove()));
    await stopEngine();
  };
  try {
    for (const { image, containers: count } of SERVICES) {
      await importImage(engine, image, { expose: [8000] });
      images.push(image);
      for (let number = 1; number <= count; number++) {
        const name = `${image.replaceAll("/", "-")}-${number}-${process.pid}`;
        containers.push(await run(engine, image, { name }));
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    dockerHost: `unix://${engine.socket}`,
    hint: `try: docker -H unix://${engine.socket} run -d hello`,
    stop,
  };
}

async function played(socket: string): Promise<Samples> {
  const engine = new PlayedEngine(socket);
  const servers: Server[] = [];
  let number = 0;
  for (const { image, containers } of SERVICES) {
    for (let replica = 1; replica <= containers; replica++) {
      const name = `${image.replaceAll("/", "-")}-${replica}`;
      const { server, port } = await sampleServer(name);
      servers.push(server);
      number++;
      engine.add({ id: String(number).repeat(64), name, image, ip: "127.0.0.1", port });
    }
  }
  return {
    dockerHost: engine.dockerHost,
    hint: "",
    stop: async () => {
      await engine.stop();
      for (const server of servers) server.close();
    },
  };
}

/** A server that answers as the lab's does in a container: who it is and what it was asked. */
async function sampleServer(name: string): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    response.end(
      `container: ${name}\nname: ${name}\nmethod: ${request.method}\ntarget: ${request.url}\n`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the server has no port");
  return { server, port: address.port };
}
