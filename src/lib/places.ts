// Where requests go: a host pattern and a path prefix, as text.

export interface Place {
  /** A name, or a wildcard such as `*.example.com`; empty: any host. */
  readonly host: string;
  /** A prefix of whole segments. */
  readonly path: string;
}

/** As a person reads it: `/foo/bar`, `http://shop.example.com/`, `http://*.example.com/api`. */
export function nameOf({ host, path }: Place): string {
  return host === "" ? path : `http://${host}${path}`;
}

/** The key of a map. It ends in a slash, so that only whole segments match. */
export function keyOf({ host, path }: Place): string {
  return `${host}${path === "/" ? "" : path}/`;
}

/** The place that a key of a map stands for. */
export function placeOf(key: string): Place {
  const slash = key.indexOf("/");
  return { host: key.slice(0, slash), path: key.slice(slash).replace(/\/$/, "") || "/" };
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
