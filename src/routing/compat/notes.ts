// The warnings about one container's labels of another proxy. Whoever tells them adds its name.

import type { NamedLabel } from "./vocabulary.ts";

/** A label or a variable as another proxy's user wrote it. */
export interface Theirs {
  readonly label: string;
  readonly value: string;
}

/** Who gets as many has understood it. */
const MOST_WARNINGS = 50;
/** Longer values are cut. A rule of some length should still be seen whole. */
const LONGEST_SHOWN = 200;

/** Collects warnings: at most one for each label, the first one. */
export class Notes {
  readonly #texts = new Map<string, string>();

  /**
   * Says what of a label is not understood.
   * @param ours our labels for it, if there are any
   */
  warn({ label, value }: Theirs, what: string, ...ours: readonly NamedLabel[]): void {
    this.#add(label, `${printable(label)}=${quoted(value)}`, what, ours);
  }

  /** The same for a value that is a secret, and so is not shown. */
  warnSecret({ label }: Theirs, what: string, ...ours: readonly NamedLabel[]): void {
    this.#add(label, `${printable(label)} (its value is not shown)`, what, ours);
  }

  /** Says something of several labels together. */
  warnOfAll(what: string): void {
    this.#texts.set(what, what);
  }

  get texts(): readonly string[] {
    const texts = [...this.#texts.values()];
    const more = texts.length - MOST_WARNINGS;
    if (more <= 0) return texts;
    return [...texts.slice(0, MOST_WARNINGS), `${more} further labels are not understood`];
  }

  #add(key: string, shown: string, what: string, ours: readonly NamedLabel[]): void {
    if (this.#texts.has(key)) return;
    const names = ours.map((name) => `gateway.${name}`).join(" and ");
    const instead = names === "" ? "there is no label of ours for it" : `use ${names}`;
    this.#texts.set(key, `${shown}: ${printable(what)}; ${instead}`);
  }
}

/** A text for one line of a log, in quotes. */
export function quoted(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
  return printable(JSON.stringify(cut));
}

/** A text without what would end a line or change a terminal. */
export function printable(text: string): string {
  const cut = text.length > LONGEST_SHOWN * 2 ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
  return cut.replaceAll(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Control characters, the line ends of Unicode, and halves of characters. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029]|\p{Cs}/gu;
