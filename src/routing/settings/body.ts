// Reads how large the body of a request may be.

/** HAProxy counts in 64 bits, and nobody means more than this. */
const MOST = 2 ** 50;
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** A size such as `2000000`, `500k`, `10m` or `1GB`, in bytes. */
export function parseSize(text: string): string | undefined {
  const [, count = "", unit = ""] = /^(\d{1,15})([kmg]?)b?$/i.exec(text) ?? [];
  const bytes = Number(count) * (UNITS[unit.toLowerCase()] ?? 0);
  return count === "" || bytes > MOST ? undefined : String(bytes);
}

/** That something is let through. */
export function parseAllow(text: string): string | undefined {
  return text.toLowerCase() === "allow" ? "allow" : undefined;
}
