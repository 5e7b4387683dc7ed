// `docker-api-gateway explain`: why a container is or is not routed, and where a URL goes.

import type { Command } from "../command.ts";
import { toContainer } from "../docker/container.ts";
import { Store } from "../docker/store.ts";
import { GatewayError } from "../errors.ts";
import { containersOf, explainContainer, explainUrl, type Line } from "../explain.ts";
import { currentReach } from "../machine.ts";
import type { Container, Snapshot } from "../model.ts";
import { listenPort, parseOptions } from "../options.ts";
import { route } from "../routing.ts";
import { dockerClient } from "../setup.ts";
import { GATEWAY_FLAGS } from "./flags.ts";

export const explainCommand: Command = {
  name: "explain",
  description: "Tell why a container is or is not routed, or where a URL goes",
  flags: GATEWAY_FLAGS,
  argument: {
    name: "what",
    description: "a container, an image, or a URL",
    required: true,
  },
  examples: [
    ["docker-api-gateway explain web-1", "a container, running or not, by name or ID"],
    ["docker-api-gateway explain acme/shop", "all containers of an image"],
    ["docker-api-gateway explain '/acme/shop/cart?id=1'", "a URL, with or without its host"],
  ],
  async run({ values, argument: what = "" }, io) {
    const options = parseOptions(values);
    const client = dockerClient(options, io.env);
    const { signal } = new AbortController();
    try {
      await client.connect(signal);
      const store = new Store(client, () => undefined);
      store.markAll();
      await store.refresh(signal);
      const snapshot = store.snapshot();
      const reach = currentReach(snapshot, client.transport.remoteHost);
      const routing = { ...options, ownPorts: options.listen.map(listenPort) };
      const model = route(snapshot, reach, routing);
      const isUrl = what.startsWith("/") || /^https?:\/\//i.test(what);
      const explanations = isUrl
        ? [explainUrl(what, model)]
        : (await findContainers(what, snapshot)).map((container) =>
            explainContainer(container, snapshot, reach, routing, model),
          );
      io.write(explanations.map(toText).join("\n"));
      return 0;
    } finally {
      client.transport.close();
    }

    async function findContainers(word: string, snapshot: Snapshot): Promise<readonly Container[]> {
      const named = snapshot.containers.filter(
        ({ id, name }) => name === word || (word.length >= 4 && id.startsWith(word)),
      );
      if (named.length > 0) return named;
      const ofImage = containersOf(word, snapshot);
      if (ofImage.length > 0) return ofImage;
      // One that has stopped is in no list, but the Engine knows it.
      const stopped = await client.inspect(encodeURIComponent(word), signal);
      if (stopped !== undefined) return [toContainer(stopped, 0)];
      throw new GatewayError(
        "usage",
        `Cannot explain "${word}": there is no such container, and none runs of such an image`,
        { hint: "a URL begins with / or http://; docker ps -a lists all containers" },
      );
    }
  },
};

function toText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ about }) => about.length));
  return lines.map(({ about, text }) => `${about.padEnd(width)}  ${text}\n`).join("");
}
