// `docker-api-gateway explain`: why a container is or is not routed, and where a URL goes.

import { toContainer } from "../../docker/container.ts";
import type { DockerClient } from "../../docker/client.ts";
import { readOnce } from "../../docker/source.ts";
import { currentReach } from "../../gateway/host.ts";
import { LabelFiles, requireFolders } from "../../gateway/label-files.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Container, Snapshot } from "../../model.ts";
import { parseImage } from "../../routing/image.ts";
import { withFiles } from "../../routing/settings/files.ts";
import type { Command } from "../command.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";
import { parseOptions } from "../options.ts";
import { routeBeside } from "../beside.ts";
import { dockerClient, preparePaths } from "../setup.ts";
import { describeAsLabels } from "./as-labels.ts";
import { explainContainer, explainServers } from "./container.ts";
import { toText } from "./line.ts";
import { explainTcp, isTcpUrl } from "./tcp.ts";
import { readSeen, readServers } from "./seen.ts";
import { explainUrl } from "./url.ts";

/** A shorter word is not taken for an ID: it may as well be the beginning of a name or an image. */
const SHORTEST_ID = 4;
/** Source: the Engine's `RestrictedNameChars`. Other text in the URL would ask something else. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export const explainCommand: Command = {
  name: "explain",
  description: "Tell why a container is or is not routed, or where a URL goes",
  flags: {
    "as-labels": {
      type: "boolean",
      description: "print how a container is served as labels of the gateway, for a compose file",
    },
    ...GATEWAY_FLAGS,
  },
  argument: {
    name: "what",
    description: "a container, an image, or a URL",
    required: true,
    names: "served",
  },
  examples: [
    ["docker-api-gateway explain web-1", "a container, running or not, by name or ID"],
    ["docker-api-gateway explain acme/shop", "all containers of an image"],
    ["docker-api-gateway explain web-1 --as-labels", "Traefik's labels, say, as the gateway's own"],
    ["docker-api-gateway explain '/acme/shop/cart?id=1'", "a URL, with or without its host"],
    ["docker-api-gateway explain tcp://db.example.com:5432", "a port, and a name asked for by TLS"],
  ],
  async run({ values, argument: what = "" }, io) {
    const { "as-labels": asLabels, ...raw } = values;
    const options = parseOptions(raw);
    const { routing } = options;
    requireFolders(options.labelFiles);
    const { output } = preparePaths(options.haproxy, io.env);
    const client = dockerClient(options.dockerHost, io.env);
    try {
      const snapshot = await readOnce(client, io.logger({ ...options.log, level: "warn" }));
      const reach = currentReach(snapshot, client.transport.remoteHost);
      const model = withFiles(
        await routeBeside(snapshot, reach, options, output),
        new LabelFiles(options.labelFiles).read,
        routing.labelPrefix,
      );
      if (asLabels === true) {
        const containers = await findContainers(what, snapshot, client);
        io.write(containers.map((each) => describeAsLabels(each, routing)).join("\n"));
        return 0;
      }
      if (isTcpUrl(what)) {
        io.write(toText(explainTcp(what, model, await readSeen(output), routing.labelPrefix)));
        return 0;
      }
      if (isUrl(what)) {
        io.write(toText(explainUrl(what, model, await readSeen(output), routing.labelPrefix)));
        return 0;
      }
      const containers = await findContainers(what, snapshot, client);
      const known = await readServers(output);
      const explanations = containers.map((container) => [
        ...explainContainer(container, snapshot, reach, routing, model),
        ...(known === undefined
          ? []
          : explainServers(container, known, model, routing.labelPrefix)),
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
 * Finds the container with that name or ID, running or not. If there is none, finds the containers
 * of the image with that name.
 * @throws GatewayError `usage` if there are none
 */
async function findContainers(
  word: string,
  snapshot: Snapshot,
  client: DockerClient,
): Promise<readonly Container[]> {
  const named = snapshot.containers.filter(
    ({ id, name }) => name === word || (word.length >= SHORTEST_ID && id.startsWith(word)),
  );
  if (named.length > 0) return named;
  // A stopped container is not in the snapshot, but the Engine knows it.
  const { signal } = new AbortController();
  const info = CONTAINER_NAME.test(word) ? await client.inspect(word, signal) : undefined;
  const stopped = info === undefined ? [] : [toContainer(info, 0)];
  if (stopped[0]?.name === word) return stopped;
  const ofImage = containersOf(word, snapshot);
  if (ofImage.length > 0) return ofImage;
  if (stopped.length > 0) return stopped;
  throw new GatewayError(
    "usage",
    `Cannot explain "${word}": there is no such container, and none runs of such an image`,
    { hint: "a URL begins with /, http:// or tcp://; docker ps -a lists all containers" },
  );
}

/** The containers of an image. The image is a full reference or only a repository. */
function containersOf(image: string, snapshot: Snapshot): readonly Container[] {
  const wanted = parseImage(image);
  return snapshot.containers.filter((container) => {
    const own = parseImage(container.image, container.imageId);
    if (container.image === image) return true;
    if ("reason" in own || "reason" in wanted || own.repository !== wanted.repository) return false;
    return wanted.tag === "" || wanted.tag === own.tag;
  });
}
