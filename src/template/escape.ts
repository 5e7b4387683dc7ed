// Escapes values, so that HAProxy reads each as one word, whatever it contains.

import type { Origin } from "./origin.ts";

/** A value that cannot be written into HAProxy's file in any form. */
export class UnsafeValueError extends Error {
  override readonly name = "UnsafeValueError";

  constructor(
    readonly value: string,
    readonly problem: string,
    /** The label that the value comes from; undefined if it comes from none. */
    readonly origin?: Origin,
  ) {
    super(`the value ${JSON.stringify(value)} ${problem}`);
  }
}

/** Matches words that need no quotes. */
const UNQUOTED = /^[A-Za-z0-9_.:/@|,=*+%[\]-]+$/;
/** These end a line of the configuration, even between quotes. */
const LINE_BREAK = /[\0\r\n]/;

/**
 * Writes a value as one word of the configuration, in single quotes if it needs them.
 * Source: HAProxy configuration manual, section 2.2 (Quoting and escaping).
 * @throws UnsafeValueError if it has a NUL or a line break
 */
export function configWord(value: string): string {
  if (LINE_BREAK.test(value)) {
    throw new UnsafeValueError(value, "has a line break, which no HAProxy configuration can hold");
  }
  if (UNQUOTED.test(value)) return value;
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * Returns a value as one word of a map file, which has no quotes and no escapes.
 * @throws UnsafeValueError if it is empty, has a blank, a NUL or a line break, or starts with `#`
 */
export function mapWord(value: string): string {
  if (isMapWord(value)) return value;
  throw new UnsafeValueError(value, "cannot be a word of a map file");
}

/** Whether a value can be a word of a map file. Then it can be a word of the configuration too. */
export function isMapWord(value: string): boolean {
  return value !== "" && !/[\0\s]/.test(value) && !value.startsWith("#");
}

/**
 * Returns a value for a script, which has a syntax of its own.
 * @throws UnsafeValueError if it is more than letters, digits and `_.-`
 */
export function scriptWord(value: string): string {
  if (/^[A-Za-z0-9_.-]*$/.test(value)) return value;
  throw new UnsafeValueError(value, "cannot be written into a script");
}

/**
 * Returns a value as one word of a list of certificates, in which blanks and brackets divide words.
 * @throws UnsafeValueError if it has one of these, or a character that is special between them
 */
export function listWord(value: string): string {
  if (/^[^\0\s"'#[\]\\]+$/.test(value)) return value;
  throw new UnsafeValueError(value, "cannot be a word of a list of certificates");
}
