// Our labels that a translation may give, without the prefix `gateway.`. Whatever a label is called, and
// how its value is written, is said here and nowhere else in this folder.

/**
 * The labels of a route. They are the container's own, or `route.NAME.` stands before them. A further
 * route says everything that it needs: nothing here relies on what it takes from the container's own.
 */
const ROUTE_LABELS = [
  "host",
  "path",
  "port",
  "scheme",
  "https.verify",
  "fcgi.root",
  "fcgi.index",
  "strip",
  "rewrite",
  "balance",
  "sticky",
  "sticky.secure",
  "sticky.samesite",
  "check",
  "check.interval",
  "check.status",
  "check.host",
  "timeout",
  "timeout.connect",
  "auth",
  "auth.forward",
  "allow",
  "deny",
  "rate",
  "rate.burst",
  "body",
  "cors",
  "cors.methods",
  "cors.headers",
  "cors.credentials",
  "cors.maxage",
  "compress",
  "redirect",
  "redirect.code",
  "hsts",
  "tcp",
  "tcp.sni",
] as const;

/** The labels of a container. They have no `route.NAME.` before them. */
const CONTAINER_LABELS = ["enable", "network", "service", "weight"] as const;

/** The labels of a route whose names end in a name of the user's. */
const HEADER_LABELS = ["headers.request.", "headers.response."] as const;

type HeaderLabel = `${(typeof HEADER_LABELS)[number]}${string}`;
type RouteLabel = (typeof ROUTE_LABELS)[number] | HeaderLabel;
type ContainerLabel = (typeof CONTAINER_LABELS)[number];

/** What a route has besides its host and its path. */
export type Settings = {
  [Name in Exclude<RouteLabel, "host" | "path" | HeaderLabel>]?: string;
} & { [Name in HeaderLabel]: string };
export type ContainerSettings = { [Name in ContainerLabel]?: string };

/** Our labels by name, without the prefix. */
export type Labels = Readonly<Record<string, string>>;

/** The labels of ours that a warning may name, though no translation gives them. */
export type NamedLabel =
  | RouteLabel
  | ContainerLabel
  | "headers.request"
  | "headers.response"
  | "auth.file"
  | "https.sni"
  | "maxconn"
  | "errors";

/** What keeps somebody out. Where such a setting is not understood, its route lets nobody in. */
export const PROTECTING = ["auth", "allow", "deny", "mtls"] as const;

/** All networks: the value of `deny` that lets nobody in. */
export const EVERYBODY = "0.0.0.0/0,::/0";

/** The values of a label that has several. */
export function toList(values: Iterable<string>): string {
  return [...values].join(",");
}

/** The longest name of a service. */
const LONGEST_NAME = 63;

/**
 * The name of a service, from what the other proxy tells its services apart by. What a name may not
 * have is replaced, and then a number made of the whole text is added, so that two texts that differ
 * only there have two names: one name would be one service.
 */
export function toServiceName(...parts: readonly string[]): string {
  const text = parts.join("").toLowerCase().replace(/\/$/, "");
  const clean = text.replaceAll(/[^a-z0-9.-]+/g, "-").replaceAll(/^[.-]+|[.-]+$/g, "");
  if (clean === text && text !== "" && text.length <= LONGEST_NAME) return text;
  const number = checksum(text);
  const start = clean.slice(0, LONGEST_NAME - number.length - 1).replace(/[.-]+$/, "");
  return start === "" ? number : `${start}-${number}`;
}

/** This is FNV-1a with 32 bits, in hexadecimal. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** Whether a translation may give this label. */
export function isInVocabulary(label: string): boolean {
  const own = /^route\.[a-z0-9][a-z0-9_-]*\.(.+)$/.exec(label)?.[1];
  const name = own ?? label;
  return (
    ROUTE_LABELS.some((each) => each === name) ||
    HEADER_LABELS.some((each) => name.startsWith(each) && name.length > each.length) ||
    (own === undefined && CONTAINER_LABELS.some((each) => each === name))
  );
}
