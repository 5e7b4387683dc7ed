// Starts private engines for the tests. They do not change the host or its own Docker.

import Dockerode from "dockerode";
import { prepareDocker } from "./docker.ts";
import { labDir, sweep } from "./leftovers.ts";
import { preparePodman } from "./podman.ts";

export type Flavour = "docker" | "docker-28" | "podman";

const FLAVOURS: readonly Flavour[] = ["docker", "docker-28", "podman"];
/** How long an engine may take to answer a ping, in milliseconds. */
const PING_MS = 1_000;

/** A private engine. This host reaches its containers at their addresses. */
export interface Engine {
  flavour: Flavour;
  /** The path of its unix socket. */
  socket: string;
  /** The socket as a value of DOCKER_HOST. */
  dockerHost: string;
  /** A client that does not use the code under test. */
  docker: Dockerode;
  /** The folder of its files and logs. */
  dir: string;
  /** Ends the daemon and its containers, as a stop of the service does, or by this signal. */
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  startDaemon(): Promise<void>;
  restartDaemon(): Promise<void>;
  /** Ends everything and removes all traces. */
  stop(): Promise<void>;
}

/** The parts of an engine that are needed to make images and containers. Any engine has them. */
export type EngineAccess = Pick<Engine, "socket" | "docker"> &
  Partial<Pick<Engine, "flavour" | "dir">>;

/** The things that each flavour of engine does in its own way. */
export interface Backend {
  socket: string;
  startDaemon(ready: () => Promise<boolean>): Promise<void>;
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** The flavour of engine to test with: `TEST_ENGINE`, or the installed Docker. */
export function testFlavour(): Flavour {
  const name = process.env["TEST_ENGINE"] ?? "docker";
  const flavour = FLAVOURS.find((known) => known === name);
  if (flavour === undefined) {
    throw new Error(`TEST_ENGINE is "${name}": known are ${FLAVOURS.join(", ")}`);
  }
  return flavour;
}

/** Starts a private engine. */
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

/** The engine that the tests of this process share. The first call starts it. */
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

/** Whether an engine answers at a socket. */
export async function answers(socket: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PING_MS);
    return (await fetch("http://engine/_ping", { unix: socket, signal })).ok;
  } catch {
    return false;
  }
}
