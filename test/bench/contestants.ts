// Who takes part: this program, on the oldest and the newest HAProxy, while it runs and by reload.

import { create, removeAll, type Container, type RunOptions } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { Gateway, WAYS, type Way } from "./gateway.ts";
import { VERSIONS } from "./machine.ts";
import type { Column } from "./table.ts";

/** A program that serves containers. All serve an image `a/b` at `/a/b/`, without that prefix. */
export interface Contestant {
  readonly column: Column;
  /** Whether it is somebody else's program. */
  readonly isPeer: boolean;
  /** What it is, with its version. */
  readonly version: string;
  /**
   * What a container needs so that it is served.
   * @param port where the contestant listens
   */
  needs(image: string, port: number): Pick<RunOptions, "labels" | "env" | "expose">;
  /** Starts it; it may take a moment until it serves. */
  start(engine: Pick<Engine, "dockerHost">): Promise<Running>;
}

/** A contestant that runs. */
export interface Running {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  /** Its processes; those that descend from them belong to it too. */
  readonly pids: readonly number[];
  /** The end of its log, for a failure. */
  readonly log: string;
  /** How often it has reloaded its proxy; undefined where that is not known. */
  readonly reloads: number | undefined;
  stop(): Promise<void>;
}

/** This program on each version, in these ways. */
export function ownContestants(ways: readonly Way[] = WAYS): readonly Contestant[] {
  return VERSIONS.flatMap((version) => ways.map((way) => ownContestant(version, way)));
}

function ownContestant(version: HaproxyVersion, way: Way): Contestant {
  return {
    column: columnOf(version, way),
    isPeer: false,
    version: "",
    needs: () => ({}),
    async start({ dockerHost }) {
      const gateway = await Gateway.start({ dockerHost, version, way });
      return {
        port: gateway.port,
        pids: [gateway.pid],
        get log() {
          return gateway.log;
        },
        get reloads() {
          return gateway.reloads.length;
        },
        stop: () => gateway.stop(),
      };
    },
  };
}

/** The column of this program on a version. */
export function columnOf(version: HaproxyVersion, way: Way): Column {
  return (way === "runtime" ? version : `${version} reload`) as Column;
}

/** Makes a container that this contestant serves. */
export function createFor(
  engine: Engine,
  contestant: Contestant,
  { port }: Running,
  image: string,
  options: RunOptions,
): Promise<Container> {
  const needed = contestant.needs(image, port);
  return create(engine, image, {
    ...options,
    ...needed,
    env: { ...options.env, ...needed.env },
  });
}

/** Runs a contestant for a task, and adds its log to what fails. Afterwards there is no container. */
export async function running<T>(
  engine: Engine,
  contestant: Contestant,
  task: (running: Running) => Promise<T>,
): Promise<T> {
  const started = await contestant.start(engine);
  try {
    return await task(started);
  } catch (error) {
    throw new Error(`${contestant.column}, with its log:\n${started.log}`, { cause: error });
  } finally {
    await started.stop();
    await removeAll(engine);
  }
}

/**
 * Leaves a program out that failed, and tells so.
 * @throws the error if it is this program
 */
export function leaveOut(
  { column, isPeer }: Pick<Contestant, "column" | "isPeer">,
  error: unknown,
  say: (line: string) => void,
): void {
  if (!isPeer) throw error;
  say(`${column} is left out: ${Bun.inspect(error)}`);
}
