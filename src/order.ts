// The order of things: the same on every machine.

/** Orders by code unit, whatever the machine's locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
