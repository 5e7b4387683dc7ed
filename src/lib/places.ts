// Where requests go: a host pattern and a path prefix, as text. Or where connections go: a port, and
// perhaps the name that a client asks for by TLS.

export interface Place {
  /** A name, or a wildcard such as `*.example.com`; empty: any host. */
  readonly host: string;
  /** A prefix of whole segments. */
  readonly path: string;
  /**
   * The port of the gateway itself from which bytes are forwarded as they are; undefined: it is HTTP. Then
   * `host` is the name of TLS. Empty: the whole port; `*`: what no other name at that port has.
   */
  readonly tcp?: number;
}

/** The name for all names that nobody else has. */
export const ANY_NAME = "*";

/** As a person reads it: `/foo/bar`, `http://shop.example.com/`, `tcp port 5432`. */
export function nameOf({ host, path, tcp }: Place): string {
  if (tcp !== undefined) {
    const name = host === ANY_NAME ? " for any other name" : ` for ${host}`;
    return `tcp port ${tcp}${host === "" ? "" : name}`;
  }
  return host === "" ? path : `http://${host}${path}`;
}

/** The same, such as `https://shop.example.com/` where clients reach it so. */
export function reachedName(place: Place, isSecured: boolean): string {
  return isSecured ? nameOf(place).replace(/^http:/, "https:") : nameOf(place);
}

/**
 * The key of a map. It ends in a slash, so that only whole segments match. One of TCP begins with a colon,
 * as no host does: `:5432/` for the whole port, `:5432=db.example.com` for a name.
 */
export function keyOf({ host, path, tcp }: Place): string {
  if (tcp === undefined) return `${host}${path === "/" ? "" : path}/`;
  if (host === "" || host === ANY_NAME) return wholePort(tcp);
  return isWildcard(host) ? `${wholePort(tcp)}${wildcardKey(host)}` : `:${tcp}=${host}`;
}

/** The key for all of a port that no longer key is for. */
function wholePort(tcp: number): string {
  return `:${tcp}/`;
}

/**
 * A wildcard as HAProxy's map has it: its labels from the last to the first, with a dot after each. So
 * a longer wildcard is a longer prefix.
 */
export function wildcardKey(host: string): string {
  const labels = host.split(".").slice(1);
  return labels
    .toReversed()
    .map((label) => `${label}.`)
    .join("");
}

/** The place that a key of a map stands for. */
export function placeOf(key: string): Place {
  const [, port, name, labels = ""] = /^:(\d+)(?:=(.*)|\/(.*))$/.exec(key) ?? [];
  if (port !== undefined) {
    const wildcard =
      labels === "" ? "" : ["*", ...labels.split(".").toReversed().slice(1)].join(".");
    return { host: name ?? wildcard, path: "/", tcp: Number(port) };
  }
  const slash = key.indexOf("/");
  return { host: key.slice(0, slash), path: key.slice(slash).replace(/\/$/, "") || "/" };
}

/** Whether the key of a map may stand for a place. Other maps have other keys, such as `fd00::/8`. */
export function isPlaceKey(key: string): boolean {
  return /^:\d+[=/]|^[^/:]*\//.test(key);
}

/** Whether a pattern such as `*.example.com` stands for hosts below a name. */
export function isWildcard(host: string): boolean {
  return host.startsWith("*.");
}

/** Whether a host, or each host of a wildcard, is one that a pattern stands for. */
export function covers(pattern: string, host: string): boolean {
  // `*.example.com` stands for `a.example.com` and `*.a.example.com`, not for `example.com`.
  return pattern === host || (isWildcard(pattern) && host.endsWith(pattern.slice(1)));
}

/** Whether a path is a prefix or below it. */
export function isWithin(path: string, prefix: string): boolean {
  return prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);
}
