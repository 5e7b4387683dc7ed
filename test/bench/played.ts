// A played Engine with many containers, all of which answer.

import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";
import { PlayedEngine, type PlayedContainer } from "../lab/played-engine.ts";

/** A container with an address of loopback of its own, so that HAProxy sees different servers. */
export function playedContainer(index: number, port: number): PlayedContainer {
  const id = (index + 1).toString(16).padStart(64, "0");
  const ip = `127.1.${Math.floor(index / 250) % 250}.${(index % 250) + 1}`;
  return { id, name: `app-${index}`, image: `bench/app-${index}:1.0`, ip, port };
}

/** Plays an Engine on which so many containers run. @param labelsOf the labels of one, by its number */
export function playEngine(
  containers: number,
  port: number,
  labelsOf: (index: number) => Record<string, string> = () => ({}),
): PlayedEngine {
  const engine = patiently(() => new PlayedEngine(join(labDir("p"), "docker.sock")));
  for (let index = 0; index < containers; index++) {
    engine.add({ ...playedContainer(index, port), labels: labelsOf(index) });
  }
  return engine;
}

/** Without Bun's limit of 10 s, which would end an event stream that is silent for so long. */
function patiently<T>(make: () => T): T {
  const { serve } = Bun;
  Bun.serve = (options: object) => serve({ ...options, idleTimeout: 0 } as never);
  try {
    return make();
  } finally {
    Bun.serve = serve;
  }
}
