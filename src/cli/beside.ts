// What a command that runs beside the gateway finds out for itself: what is served, and which ports of TCP
// somebody else has.

import { findTaken } from "../gateway/tcp-ports.ts";
import type { Model, Reach, Snapshot } from "../model.ts";
import { createRouter } from "../routing/routing.ts";
import type { Options } from "./options.ts";

/**
 * Decides what is served, as the gateway does.
 * @param output the configuration of the gateway: HAProxy has its ports already
 */
export async function routeBeside(
  snapshot: Snapshot,
  reach: Reach,
  { routing, listen }: Pick<Options, "routing" | "listen">,
  output: string,
): Promise<Model> {
  const router = createRouter();
  const model = router(snapshot, reach, routing);
  const taken = await findTaken(model.services, listen, await readConfig(output));
  return Object.keys(taken).length === 0 ? model : router(snapshot, reach, { ...routing, taken });
}

/** The text of the configuration; empty if there is none. */
async function readConfig(output: string): Promise<string> {
  const file = Bun.file(output);
  return (await file.exists()) ? file.text() : "";
}
