// What several Engines told of the containers that are served, in a file beside the configuration. One that
// does not answer when a gateway starts must not lose what it has served: the others would take its place.

import type { Remembered } from "../docker/joined.ts";
import { inOnePiece } from "../lib/text.ts";
import { ListCache } from "../lib/weak-cache.ts";
import type { Container, Files, Model, Snapshot } from "../model.ts";

/** The number changes with the form of what follows. */
const HEADER =
  "# docker-api-gateway: what the Engines told of the containers that are served (1)\n";
/** The last line. Without it the file is only a part. */
const END = "end\n";

/** What is sure to be there of each container. */
const FIELDS: readonly (keyof Container)[] = [
  "id",
  "name",
  "image",
  "labels",
  "environment",
  "state",
  "networkMode",
  "attachments",
  "exposed",
  "engine",
];

/** Makes the function that writes the file, for the services of each pass. */
export function createMemoryFile(
  path: string,
): (model: Model, snapshot: Snapshot) => Files["assets"] {
  const lines = new ListCache<Container, string>();
  return ({ services }, { containers, drivers, gateways }) => {
    const ids = new Set(
      services.flatMap(({ servers, waiting }) => [...servers, ...waiting].map(({ id }) => id)),
    );
    const served = containers.filter(
      ({ id, state, task }) =>
        state !== "starting" && (ids.has(id) || ids.has(task?.serviceId ?? "")),
    );
    const sorted = served.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const text = lines.getAll(sorted, lineOf).join("");
    const networks = `${JSON.stringify({ drivers, gateways })}\n`;
    return { [path]: { kind: "containers", text: HEADER + networks + text + END } };
  };
}

function lineOf(container: Container): string {
  return inOnePiece(`${JSON.stringify(container)}\n`);
}

/** Reads the file; undefined if it is not whole, or another version of the program wrote it otherwise. */
export function parseMemory(text: string): Remembered | undefined {
  if (!text.startsWith(HEADER) || !text.endsWith(`\n${END}`)) return undefined;
  const [first = "", ...rest] = text.slice(HEADER.length, -END.length).trimEnd().split("\n");
  try {
    const networks = JSON.parse(first) as Remembered["networks"];
    const containers = rest.map((line) => JSON.parse(line) as Container);
    const areWhole = containers.every((each) => FIELDS.every((field) => field in each));
    return areWhole ? { containers, networks } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
