// The answers of a real manager: a service with ports in host mode on three nodes, and one by the routing mesh.

import { ListReader, type Listed } from "../../../src/docker/listed.ts";
import type {
  NodeAnswer,
  ServiceAnswer,
  SwarmInfo,
  TaskAnswer,
} from "../../../src/docker/swarm/answers.ts";

/** A list as the client gives it. */
export function asListed<T>(answers: readonly T[]): Listed<T>[] {
  return new ListReader<T>().read(new TextEncoder().encode(JSON.stringify(answers)));
}

export interface Answers {
  readonly swarm: SwarmInfo;
  readonly services: readonly ServiceAnswer[];
  readonly nodes: readonly NodeAnswer[];
  readonly tasks: readonly TaskAnswer[];
}

/** @param engine whose answers: such as `docker-20.10` */
export async function recorded(engine: string): Promise<Answers> {
  return (await Bun.file(`${import.meta.dir}/${engine}.json`).json()) as Answers;
}
