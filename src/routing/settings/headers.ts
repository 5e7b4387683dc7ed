// Reads the labels about headers: their names and what they are set to.

/** Messages would end elsewhere than they do, or connections mean something else (RFC 9110, section 7.6.1). */
const OF_CONNECTIONS = [
  "connection",
  "content-length",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
/** By the host the way back is found: with another one, the container would lead elsewhere. */
const REFUSED: Readonly<Record<string, ReadonlySet<string>>> = {
  request: new Set([...OF_CONNECTIONS, "host"]),
  response: new Set(OF_CONNECTIONS),
};
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** So many headers are set in one direction. Each is looked up for each request of such a route. */
const MOST = 32;
/** Printable ASCII. */
const VALUE = /^[\x20-\x7e]{0,2000}$/;

/** The text of a header; empty: there is to be none. */
export function parseHeaderValue(text: string): string | undefined {
  return VALUE.test(text) ? text : undefined;
}

/** The label of a header in the form that all labels of that header have; undefined if it is of none. */
export function headerKey(label: string): string | undefined {
  const [, way, name] = /^headers\.(request|response)\.(.+)$/.exec(label) ?? [];
  return way === undefined || name === undefined
    ? undefined
    : `headers.${way}.${name.toLowerCase()}`;
}

/**
 * What is wrong with the name in the label of a header, as the end of "is one that ..."; undefined: nothing.
 * @param others the labels before this one
 */
export function whyNoHeader(key: string, others: readonly string[]): string | undefined {
  const [, way = "", name = ""] = /^headers\.(\w+)\.(.+)$/.exec(key) ?? [];
  if (!NAME.test(name)) return "has no name of letters, digits, hyphens and underscores";
  if (REFUSED[way]?.has(name) === true) return "is the gateway's own";
  const known = others.filter((each) => each.startsWith(`headers.${way}.`) && each !== key);
  return known.length >= MOST ? `comes after ${MOST} others` : undefined;
}
