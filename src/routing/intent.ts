// What a container asks for, put together from everything that says a part of it.

import type { Container, Settings } from "../model.ts";
import { parseImage } from "./image.ts";
import { readLabels } from "./labels.ts";

/** A value, and what said it: `image acme/shop:1.2`, `label gateway.port`. */
interface Said<T> {
  readonly value: T;
  readonly by: string;
}

/** A route that a container asks for. */
export interface RouteIntent {
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
}

export interface Intent {
  /** The name of the service: containers that say the same are its servers. */
  readonly service: Said<string>;
  readonly routes: Said<readonly RouteIntent[]>;
  readonly port: Said<number> | undefined;
  readonly network: Said<string> | undefined;
  readonly settings: Settings;
  /** The registry that the image was named with; empty where it named none. */
  readonly registry: string;
  /** Things that work but are probably not meant so. */
  readonly warnings: readonly string[];
}

/** Why a container is not to be served. */
export interface Refusal {
  readonly reason: string;
  /** Whether the container itself asked for it. */
  readonly asked: boolean;
}

/** Reads the part of an intent that one kind of words about a container says. */
type IntentSource = (container: Container) => Partial<Intent> | Refusal;

/** What is asked, the weakest first. Another kind of labels, or a default rule, is one more. */
const SOURCES: readonly IntentSource[] = [fromImage, fromLabels];

/** What a container asks for. What a stronger source says, or refuses, counts. */
export function readIntent(container: Container, sources = SOURCES): Intent | Refusal {
  const parts = sources.map((source) => source(container));
  const refusal = parts.findLast((part) => "reason" in part);
  if (refusal !== undefined) return refusal;
  const intent: Partial<Intent> = Object.assign({}, ...parts);
  const { service, routes, port, network, settings = {}, registry = "" } = intent;
  if (service === undefined || routes === undefined) {
    return { reason: "nothing names its service", asked: false };
  }
  const warnings = parts.flatMap((part) => ("warnings" in part ? part.warnings : []));
  return { service, routes, port, network, settings, registry, warnings };
}

/** The service of a container is the repository of its image, and its path is the same. */
function fromImage({ image, imageId }: Container): Partial<Intent> | Refusal {
  const reference = parseImage(image, imageId);
  if ("reason" in reference) return { reason: reference.reason, asked: false };
  const { repository, domain } = reference;
  const by = `image ${image}`;
  return {
    service: { value: repository, by },
    routes: { value: [{ host: "", path: `/${repository}` }], by },
    registry: domain,
  };
}

/** The labels `gateway.*`. */
function fromLabels({ name, labels }: Container): Partial<Intent> | Refusal {
  const read = readLabels(labels);
  if ("reason" in read) return { reason: read.reason, asked: false };
  if (!read.enable) return { reason: "label gateway.enable is false", asked: true };
  return {
    ...(read.port === undefined ? {} : { port: { value: read.port, by: "label gateway.port" } }),
    ...(read.network === undefined
      ? {}
      : { network: { value: read.network, by: "label gateway.network" } }),
    warnings: read.warnings.map((warning) => `container ${name}: ${warning}`),
  };
}
