// A list or a text that is put together from parts, of which few change from one time to the next.

import { listDifference } from "./difference.ts";

/** What can be cut and put together: a text, or a list. */
interface Whole<W> {
  readonly length: number;
  slice(from: number, to?: number): W;
}

/** Puts parts together; only those that are new are made, the others are taken from last time. */
export class Assembly<P, W extends Whole<W>> {
  #parts: readonly P[] = [];
  /** Where each part ends in the whole. */
  #ends: readonly number[] = [];
  #whole: W;

  /** @param join makes one of many */
  constructor(private readonly join: (pieces: readonly W[]) => W) {
    this.#whole = join([]);
  }

  /**
   * The whole of these parts. Where they are the same as last time it is the same too.
   * @param make what a part contributes: it must give the same for the same part
   */
  update(parts: readonly P[], make: (part: P) => W): W {
    const { start, before, after } = listDifference(this.#parts, parts);
    if (start === before && start === after) return this.#whole;
    const [from, to] = [this.#endOf(start - 1), this.#endOf(before - 1)];
    const pieces = parts.slice(start, after).map(make);
    const ends: number[] = [];
    let end = from;
    for (const { length } of pieces) ends.push((end += length));
    const moved = end - to;
    const rest = this.#ends.slice(before);
    this.#ends = [
      ...this.#ends.slice(0, start),
      ...ends,
      ...(moved === 0 ? rest : rest.map((old) => old + moved)),
    ];
    this.#whole = this.join([this.#whole.slice(0, from), ...pieces, this.#whole.slice(to)]);
    this.#parts = parts;
    return this.#whole;
  }

  #endOf(part: number): number {
    return this.#ends[part] ?? 0;
  }
}

/** So many lists can be handed over as arguments; `flat` takes more, and takes its time. */
const ARGUMENTS = 1_000;

/** Joins lists. */
export function joinLists<T>(lists: readonly (readonly T[])[]): readonly T[] {
  return lists.length > ARGUMENTS ? lists.flat() : new Array<T>().concat(...lists);
}
