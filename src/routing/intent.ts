// Reads what a container asks for, from its image and its labels.

import type { Container, Settings } from "../model.ts";
import { parseImage } from "./image.ts";
import { readLabels } from "./labels.ts";

/** A value and its source, such as `image acme/shop:1.2` or `label gateway.port`. */
interface Sourced<T> {
  readonly value: T;
  readonly source: string;
}

/** A route that a container asks for. */
export interface RouteIntent {
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
}

export interface Intent {
  /** The name of the service. All containers with the same name are its servers. */
  readonly service: Sourced<string>;
  readonly routes: Sourced<readonly RouteIntent[]>;
  readonly port: Sourced<number> | undefined;
  readonly network: Sourced<string> | undefined;
  /** Whether the prefix is stripped from requests. */
  readonly strip: Sourced<boolean> | undefined;
  readonly settings: Settings;
  /** The registry in the image reference; empty if the reference names none. */
  readonly registry: string;
  /** Things that work, but are probably a mistake. */
  readonly warnings: readonly string[];
}

/** Why a container must not be served. */
export interface Refusal {
  readonly reason: string;
  /** Whether the container's own label says that it is not to be routed. */
  readonly optedOut: boolean;
}

/** Reads a part of the intent from one source. */
type IntentReader = (container: Container) => Partial<Intent> | Refusal;

/** The readers, the weakest first. A further kind of label or a default rule is one more reader. */
const READERS: readonly IntentReader[] = [fromImage, fromLabels];

/**
 * Reads what a container asks for. The strongest reader that names a value wins. A refusal of any
 * reader wins over all values; of several refusals, the strongest one is told.
 */
export function readIntent(container: Container, readers = READERS): Intent | Refusal {
  const parts = readers.map((read) => read(container));
  const refusal = parts.findLast((part) => "reason" in part);
  if (refusal !== undefined) return refusal;
  const intent: Partial<Intent> = Object.assign({}, ...parts);
  const { service, routes, port, network, strip, registry = "" } = intent;
  if (service === undefined || routes === undefined) {
    return { reason: "nothing names its service", optedOut: false };
  }
  const settings = Object.assign(
    {},
    ...parts.map((part) => ("settings" in part ? part.settings : {})),
  );
  const warnings = parts.flatMap((part) => ("warnings" in part ? part.warnings : []));
  return { service, routes, port, network, strip, settings, registry, warnings };
}

/** The service is the repository of the image, and its path is the same. */
function fromImage({ image, imageId }: Container): Partial<Intent> | Refusal {
  const reference = parseImage(image, imageId);
  if ("reason" in reference) return { reason: reference.reason, optedOut: false };
  const { repository, domain } = reference;
  const source = `image ${image}`;
  return {
    service: { value: repository, source },
    routes: { value: [{ host: "", path: `/${repository}` }], source },
    registry: domain,
  };
}

/** The labels `gateway.*`. */
function fromLabels({ name, labels }: Container): Partial<Intent> | Refusal {
  const read = readLabels(labels);
  if ("reason" in read) return { reason: read.reason, optedOut: false };
  if (!read.enable) return { reason: "label gateway.enable is false", optedOut: true };
  return {
    ...(read.port === undefined
      ? {}
      : { port: { value: read.port, source: "label gateway.port" } }),
    ...(read.network === undefined
      ? {}
      : { network: { value: read.network, source: "label gateway.network" } }),
    ...(read.strip === undefined
      ? {}
      : { strip: { value: read.strip, source: "label gateway.strip" } }),
    warnings: read.warnings.map((warning) => `container ${name}: ${warning}`),
  };
}
