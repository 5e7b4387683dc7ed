// Explains why a container is or is not routed, and where a URL goes: for the command, and for who asks
// the running gateway.

import type { Engines } from "../../docker/engines.ts";
import { GatewayError } from "../../lib/errors.ts";
import {
  atEngine,
  ownName,
  type Container,
  type Model,
  type Reach,
  type Snapshot,
} from "../../model.ts";
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

/** What is known where something is explained. */
export interface World {
  readonly snapshot: Snapshot;
  readonly reach: Reach;
  readonly routing: RoutingOptions;
  readonly model: Model;
  /** Whether a page at `/` lists the routes. */
  readonly index: boolean;
  /** The Engines, which know stopped containers, too. */
  readonly engines: Pick<Engines, "find">;
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
  { snapshot, engines }: World,
): Promise<readonly Container[]> {
  const ofImage = kind === "container" ? [] : containersOf(word, snapshot);
  const found =
    kind === "image" ? ofImage : await findContainer(word, snapshot, engines, () => ofImage);
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
  engines: World["engines"],
  ofImage: () => readonly Container[],
): Promise<readonly Container[]> {
  const named = containers.filter(
    ({ id, name, task, engine }) =>
      name === word ||
      ownName({ name }) === word ||
      task?.service === word ||
      (task !== undefined && atEngine(task.service, engine) === word) ||
      (word.length >= SHORTEST_ID && id.startsWith(word)),
  );
  if (named.length > 0) return named;
  // A stopped container is not in the snapshot, but the Engine knows it.
  const { signal } = new AbortController();
  const stopped = await engines.find(word, signal);
  // A task has a longer name there.
  const ids = new Set(stopped.map(({ id }) => id));
  const known = containers.filter(({ id, task }) => task !== undefined && ids.has(id));
  if (known.length > 0) return known;
  if (stopped.some(({ name }) => [name, ownName({ name })].includes(word))) return stopped;
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
