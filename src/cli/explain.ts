// `docker-api-gateway explain`: why a container is or is not routed, and where a URL goes.

import type { Command } from "./command.ts";
import type { DockerClient } from "../docker/client.ts";
import { toContainer } from "../docker/container.ts";
import { Store } from "../docker/store.ts";
import { GatewayError } from "../lib/errors.ts";
import {
  containersOf,
  explainContainer,
  explainLive,
  explainUrl,
  type Line,
} from "./explanation.ts";
import { readStats, type ServerStats } from "../haproxy/runtime/stats.ts";
import { currentReach } from "../gateway/host.ts";
import type { Container, Snapshot } from "../model.ts";
import { parseOptions } from "./options.ts";
import { route } from "../routing/routing.ts";
import { dockerClient, preparePaths } from "./setup.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { findRunning } from "./running.ts";

/** Fewer digits of an ID may be a name's or an image's beginning. */
const SHORTEST_ID = 4;
/** Source: the Engine's `RestrictedNameChars`. Anything else would be another question to it. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** HAProxy answers within milliseconds; it may hang. */
const HAPROXY_PATIENCE = 2_000;

export const explainCommand: Command = {
  name: "explain",
  description: "Tell why a container is or is not routed, or where a URL goes",
  flags: GATEWAY_FLAGS,
  argument: {
    name: "what",
    description: "a container, an image, or a URL",
    required: true,
    names: "served",
  },
  examples: [
    ["docker-api-gateway explain web-1", "a container, running or not, by name or ID"],
    ["docker-api-gateway explain acme/shop", "all containers of an image"],
    ["docker-api-gateway explain '/acme/shop/cart?id=1'", "a URL, with or without its host"],
  ],
  async run({ values, argument: what = "" }, io) {
    const options = parseOptions(values);
    const { routing } = options;
    const { output } = preparePaths(options.haproxy, io.env);
    const client = dockerClient(options.dockerHost, io.env);
    const { signal } = new AbortController();
    try {
      await client.connect(signal);
      const store = new Store(client, () => undefined);
      store.markAll();
      const { failures } = await store.refresh(signal);
      const log = io.logger({ ...options.log, level: "warn" });
      for (const [id, error] of failures) {
        log.failure(error, `container ${id.slice(0, 12)} is left out`);
      }
      const snapshot = store.snapshot();
      const reach = currentReach(snapshot, client.transport.remoteHost);
      const model = route(snapshot, reach, routing);
      if (isUrl(what)) {
        io.write(toText(explainUrl(what, model, (await readServers(output)) ?? [])));
        return 0;
      }
      const containers = await findContainers(what, snapshot, (name) =>
        client.inspect(name, signal),
      );
      const servers = await readServers(output);
      const explanations = containers.map((container) => [
        ...explainContainer(container, snapshot, reach, routing, model),
        ...(servers === undefined ? [] : explainLive(container, servers, model)),
      ]);
      io.write(explanations.map(toText).join("\n"));
      return 0;
    } finally {
      client.transport.close();
    }
  },
};

function isUrl(what: string): boolean {
  return what.startsWith("/") || /^https?:\/\//i.test(what);
}

/**
 * The container of that name or ID, running or not, else those of an image.
 * @throws GatewayError `usage` where there is none
 */
async function findContainers(
  word: string,
  snapshot: Snapshot,
  inspect: (name: string) => ReturnType<DockerClient["inspect"]>,
): Promise<readonly Container[]> {
  const named = snapshot.containers.filter(
    ({ id, name }) => name === word || (word.length >= SHORTEST_ID && id.startsWith(word)),
  );
  if (named.length > 0) return named;
  // One that has stopped is in no list, but the Engine knows it.
  const info = CONTAINER_NAME.test(word) ? await inspect(word) : undefined;
  const stopped = info === undefined ? [] : [toContainer(info, 0)];
  if (stopped[0]?.name === word) return stopped;
  const ofImage = containersOf(word, snapshot);
  if (ofImage.length > 0) return ofImage;
  if (stopped.length > 0) return stopped;
  throw new GatewayError(
    "usage",
    `Cannot explain "${word}": there is no such container, and none runs of such an image`,
    { hint: "a URL begins with / or http://; docker ps -a lists all containers" },
  );
}

/** HAProxy's servers; undefined where it cannot be asked, which only costs their lines. */
async function readServers(output: string): Promise<ServerStats[] | undefined> {
  try {
    const { ask } = await findRunning(output, AbortSignal.timeout(HAPROXY_PATIENCE));
    return await readStats(ask);
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

function toText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ about }) => about.length));
  return lines.map(({ about, text }) => `${about.padEnd(width)}  ${text}\n`).join("");
}
