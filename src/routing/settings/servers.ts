// Reads the values of the labels about servers. Two values that mean the same give the same text.

const BALANCES = new Set(["roundrobin", "leastconn", "source", "random"]);

/** How requests are shared out: a word, or `hash:` and the name of a header or `cookie:` and one of a cookie. */
export function parseBalance(text: string): string | undefined {
  const word = text.toLowerCase();
  if (BALANCES.has(word)) return word;
  const cookie = /^hash:cookie:([A-Za-z0-9_.-]{1,60})$/i.exec(text)?.[1];
  if (cookie !== undefined) return `hash:cookie:${cookie}`;
  return /^hash:[a-z0-9_-]{1,60}$/.test(word) ? word : undefined;
}
