// Makes what HAProxy writes into lines of the access log. HAProxy has made each line already, so that only
// a line that ends otherwise than usual is looked at: all others are passed on as they are.

import type { AccessLogFormat } from "../../template/access-log.ts";
import { causeOf } from "./causes.ts";

/** What became of a chunk. */
export interface Lines {
  /** Whole lines. */
  readonly text: readonly Uint8Array[];
  /** How many. */
  readonly count: number;
  /** How many lines HAProxy says it could not keep. */
  readonly lost: number;
}

/** How a line of a request begins and ends, up to the two letters and after them. */
const FORMS: Readonly<Record<AccessLogFormat, { readonly start: RegExp; readonly end: string }>> = {
  json: { start: /^\{"time":/, end: '"}' },
  common: { start: /^\S+ - - \[/, end: '"' },
};
const NEWLINE = 0x0a;
const DASH = 0x2d;

export class LineReader {
  /** A line that has no end yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** How far the two letters are before the end of a line. */
  readonly #distance: number;

  /** @param odd is told each line of a request that did not end as usual */
  constructor(
    private readonly format: AccessLogFormat,
    private readonly odd: (line: string) => void = () => undefined,
  ) {
    this.#distance = FORMS[format].end.length + 2;
  }

  /** @param chunk what HAProxy wrote; it must not change any more */
  read(chunk: Buffer): Lines {
    const last = chunk.lastIndexOf(NEWLINE);
    if (last === -1) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      return { text: [], count: 0, lost: 0 };
    }
    const text: Uint8Array[] = [];
    let [count, lost] = [0, 0];
    let whole = chunk;
    if (this.#rest.length > 0) whole = Buffer.concat([this.#rest, chunk]);
    const end = last + 1 + whole.length - chunk.length;
    this.#rest = whole.subarray(end);
    // From here on nothing is passed on yet.
    let start = 0;
    let line = 0;
    while (line < end) {
      const next = whole.indexOf(NEWLINE, line) + 1;
      const state = next - 1 - this.#distance;
      if (state < line || whole[state] !== DASH || whole[state + 1] !== DASH) {
        if (line > start) text.push(whole.subarray(start, line));
        const odd = this.#readOdd(whole.toString("utf8", line, next - 1));
        if (typeof odd === "string") text.push(Buffer.from(`${odd}\n`));
        else [lost, count] = [lost + odd, count - 1];
        start = next;
      }
      count++;
      line = next;
    }
    if (end > start) text.push(whole.subarray(start, end));
    return { text, count, lost };
  }

  /** The line with words for its two letters, or how many were lost. */
  #readOdd(line: string): string | number {
    const { start, end } = FORMS[this.format];
    if (start.test(line) && line.endsWith(end)) {
      const place = line.length - this.#distance;
      const told = line.slice(0, place) + causeOf(line.slice(place, place + 2)) + end;
      this.odd(told);
      return told;
    }
    // Not a request: HAProxy tells what it had no room for, and ends its answers with an empty line.
    return Number(/^(\d+) events? dropped$/.exec(line)?.[1] ?? 0);
  }
}
