// Values written so that HAProxy reads them as one word, whatever they hold.

import type { Origin } from "./origin.ts";

/** A value that HAProxy's files cannot hold in any form. */
export class UnsafeValueError extends Error {
  override readonly name = "UnsafeValueError";

  constructor(
    readonly value: string,
    readonly problem: string,
    /** The label that is to blame; undefined where none is. */
    readonly origin?: Origin,
  ) {
    super(`the value ${JSON.stringify(value)} ${problem}`);
  }
}

/** Whole words of these need no quotes. */
const PLAIN = /^[A-Za-z0-9_.:/@|,=*+%[\]-]+$/;
/** A line of the configuration ends here, whatever quotes are open. */
const LINE_BREAK = /[\0\r\n]/;

/**
 * A value as one word of the configuration, in single quotes where it needs them.
 * Source: HAProxy configuration manual, section 2.2 (Quoting and escaping).
 * @throws UnsafeValueError for a NUL or a line break
 */
export function configWord(value: string): string {
  if (LINE_BREAK.test(value)) {
    throw new UnsafeValueError(value, "has a line break, which no HAProxy configuration can hold");
  }
  if (PLAIN.test(value)) return value;
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * A value as one word of a map file, which knows no quotes and no escapes.
 * @throws UnsafeValueError for a blank or a line break, and for a `#` at its start
 */
export function mapWord(value: string): string {
  if (isMapWord(value)) return value;
  throw new UnsafeValueError(value, "cannot be a word of a map file");
}

/** Whether a value can be a word of a map file. One that can, can be a word of the configuration. */
export function isMapWord(value: string): boolean {
  return value !== "" && !/[\0\s]/.test(value) && !value.startsWith("#");
}
