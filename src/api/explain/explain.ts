// Explains why a container is or is not routed, and where a URL goes: for the command, and for who asks
// the running gateway.

import type { DockerClient } from "../../docker/client.ts";
import { toContainer } from "../../docker/container.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Container, Model, Reach, Snapshot } from "../../model.ts";
import { parseImage } from "../../routing/image.ts";
import type { RoutingOptions } from "../../routing/routing.ts";
import type { Https } from "../certificates.ts";
import { describeAsLabels } from "./as-labels.ts";
import { explainContainer, explainServers } from "./container.ts";
import { toText, type Line } from "./line.ts";
import { readSeen, readServers, type FindRunning } from "./seen.ts";
import { explainTcp, isTcpUrl } from "./tcp.ts";
import { explainUrl } from "./url.ts";

/** A shorter word is not taken for an ID: it may as well be the beginning of a name or an image. */
const SHORTEST_ID = 4;
/** Source: the Engine's `RestrictedNameChars`. Other text in the URL would ask something else. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** What is known where something is explained. */
export interface World {
  readonly snapshot: Snapshot;
  readonly reach: Reach;
  readonly routing: RoutingOptions;
  readonly model: Model;
  /** Whether a page at `/` lists the routes. */
  readonly index: boolean;
  /** The Engine, which knows stopped containers, too. */
  readonly engine: Pick<DockerClient, "inspect">;
  readonly running: FindRunning;
  readonly https: Https;
}

/** `any`: what the word looks like. */
export const KINDS = ["container", "image", "url", "any"] as const;
export type Kind = (typeof KINDS)[number];

/** What is told of one thing. */
export interface Explanation {
  /** The name of the container, or the URL. */
  readonly subject: string;
  readonly lines: readonly Line[];
}

/**
 * Explains a container, all containers of an image, or a URL.
 * @throws GatewayError `usage` if there is no such container
 */
export async function explain(
  word: string,
  kind: Kind,
  world: World,
): Promise<readonly Explanation[]> {
  const { snapshot, reach, routing, model, running } = world;
  const { labelPrefix } = routing;
  if (kind === "url" || (kind === "any" && isUrl(word))) {
    const seen = await readSeen(running);
    const lines = isTcpUrl(word)
      ? explainTcp(word, model, seen, labelPrefix)
      : explainUrl(word, model, seen, labelPrefix, world.index, world.https);
    return [{ subject: word, lines }];
  }
  const containers = await findContainers(word, kind, world);
  const known = await readServers(running);
  return containers.map((container) => ({
    subject: container.name,
    lines: [
      ...explainContainer(container, snapshot, reach, routing, model, world.https),
      ...(known === undefined ? [] : explainServers(container, known, model, labelPrefix)),
    ],
  }));
}

/** The explanations as a person reads them. */
export function asText(explanations: readonly Explanation[]): string {
  return explanations.map(({ lines }) => toText(lines)).join("\n");
}

/**
 * How containers are served, as labels of the gateway for a compose file.
 * @throws GatewayError `usage` if there is no such container
 */
export async function explainAsLabels(word: string, kind: Kind, world: World): Promise<string> {
  const containers = await findContainers(word, kind, world);
  return containers.map((each) => describeAsLabels(each, world.routing)).join("\n");
}

/** Whether a word is a URL, also one of TCP, or the path of one. */
export function isUrl(word: string): boolean {
  return word.startsWith("/") || /^https?:\/\//i.test(word) || isTcpUrl(word);
}

/**
 * Finds the container with that name or ID, running or not. If there is none, finds the containers
 * of the image with that name.
 * @throws GatewayError `usage` if there are none
 */
async function findContainers(
  word: string,
  kind: Kind,
  { snapshot, engine }: World,
): Promise<readonly Container[]> {
  const ofImage = kind === "container" ? [] : containersOf(word, snapshot);
  const found =
    kind === "image" ? ofImage : await findContainer(word, snapshot, engine, () => ofImage);
  if (found.length > 0) return found;
  const what = {
    container: "there is no such container",
    image: "no container runs of such an image",
    any: "there is no such container, and none runs of such an image",
    url: "it is no URL",
  }[kind];
  throw new GatewayError("usage", `Cannot explain "${word}": ${what}`, {
    hint: "a URL begins with /, http://, https:// or tcp://; docker ps -a lists all containers",
  });
}

/** @param ofImage what is meant if no container has that very name, rather than the start of an ID */
async function findContainer(
  word: string,
  { containers }: Snapshot,
  engine: World["engine"],
  ofImage: () => readonly Container[],
): Promise<readonly Container[]> {
  const named = containers.filter(
    ({ id, name, task }) =>
      name === word ||
      task?.service === word ||
      (word.length >= SHORTEST_ID && id.startsWith(word)),
  );
  if (named.length > 0) return named;
  // A stopped container is not in the snapshot, but the Engine knows it.
  const { signal } = new AbortController();
  const info = CONTAINER_NAME.test(word) ? await engine.inspect(word, signal) : undefined;
  // A task has a longer name there.
  const known = containers.find(({ id, task }) => task !== undefined && id === info?.Id);
  if (known !== undefined) return [known];
  const stopped = info === undefined ? [] : [toContainer(info, 0)];
  if (stopped[0]?.name === word) return stopped;
  const images = ofImage();
  return images.length > 0 ? images : stopped;
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
