// Starts private Docker Engines for the tests, which leave the host and its own Docker as they are.

import Dockerode from "dockerode";
import { prepareDocker } from "./docker.ts";
import { labDir, sweep } from "./leftovers.ts";
import { preparePodman } from "./podman.ts";

export type Flavour = "docker" | "docker-28" | "podman";

const FLAVOURS: readonly Flavour[] = ["docker", "docker-28", "podman"];
const PING_MS = 1_000;

/** A private engine; its containers are reached at their addresses from this host. */
export interface Engine {
  flavour: Flavour;
  /** The path of its unix socket. */
  socket: string;
  /** The same as a value of DOCKER_HOST. */
  dockerHost: string;
  /** A client that is independent of the code under test. */
  docker: Dockerode;
  /** Its folder, where its logs are. */
  dir: string;
  /** Ends the daemon as a shutdown of the service does, or by a signal; containers end with it. */
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  startDaemon(): Promise<void>;
  restartDaemon(): Promise<void>;
  /** Ends everything and removes all traces. */
  stop(): Promise<void>;
}

/** As much of an engine as making images and containers takes, so that any engine will do. */
export type EngineAccess = Pick<Engine, "socket" | "docker"> &
  Partial<Pick<Engine, "flavour" | "dir">>;

/** What a kind of engine does in its own way. */
export interface Backend {
  socket: string;
  startDaemon(ready: () => Promise<boolean>): Promise<void>;
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** The kind of engine to test with: `TEST_ENGINE`, or Docker as installed. */
export function testFlavour(): Flavour {
  const name = process.env["TEST_ENGINE"] ?? "docker";
  const flavour = FLAVOURS.find((known) => known === name);
  if (flavour === undefined) {
    throw new Error(`TEST_ENGINE is "${name}": known are ${FLAVOURS.join(", ")}`);
  }
  return flavour;
}

/** Starts an engine of its own. */
export async function startEngine(options: { flavour?: Flavour } = {}): Promise<Engine> {
  const { flavour = testFlavour() } = options;
  if (process.getuid?.() !== 0) {
    throw new Error("Cannot start a Docker Engine: not root; run the tests as root or with sudo");
  }
  const dir = labDir("e");
  try {
    const backend = await (flavour === "podman" ? preparePodman(dir) : prepareDocker(dir, flavour));
    const { socket } = backend;
    const startDaemon = (): Promise<void> => backend.startDaemon(() => answers(socket));
    await startDaemon();
    return {
      flavour,
      socket,
      dockerHost: `unix://${socket}`,
      docker: new Dockerode({ socketPath: socket }),
      dir,
      startDaemon,
      stopDaemon: (signal) => backend.stopDaemon(signal),
      restartDaemon: async () => {
        await backend.stopDaemon();
        await startDaemon();
      },
      stop: () => backend.stop(),
    };
  } catch (error) {
    sweep(dir);
    throw error;
  }
}

let shared: Promise<Engine> | undefined;

/** The engine that the tests of this process share; started when first asked for. */
export function sharedEngine(): Promise<Engine> {
  shared ??= startEngine();
  return shared;
}

/** Ends the shared engine, if there is one. */
export async function stopSharedEngine(): Promise<void> {
  const engine = shared;
  shared = undefined;
  await (await engine)?.stop();
}

/** Whether an engine answers there. */
export async function answers(socket: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PING_MS);
    return (await fetch("http://engine/_ping", { unix: socket, signal })).ok;
  } catch {
    return false;
  }
}
