// Keeps the last changes as the log tells them, for those who ask later or want to hear of new ones.

import type { LogFields } from "../lib/log.ts";
import { OUTAGE_EVENTS, type Way } from "./state.ts";

/** How many changes are kept. */
const KEPT = 1_000;
/**
 * Of these so many at most are about servers that are down or up again: a network that comes and goes, with
 * hundreds of servers in it, leaves room for what else happened.
 */
const KEPT_OF_OUTAGES = 300;

/** A change as it was told. */
export interface Told {
  readonly level: "info" | "warn" | "error";
  /** The words of the log. */
  readonly message: string;
  /** The facts in it: `event`, `route`, `container` and so on. */
  readonly fields: LogFields;
  /** How HAProxy got it; undefined if there was nothing to get. */
  readonly way?: Way;
}

/** A change that is kept. */
export interface Entry extends Told {
  /** Its number; the first one is 1. */
  readonly number: number;
  /** In milliseconds since 1970. */
  readonly at: number;
}

/** The last changes. Who reads slowly misses the oldest, and holds up nobody. */
export class History {
  #entries: Entry[] = [];
  /** How many of them are about servers that are down or up again. */
  #outages = 0;
  #last = 0;
  #news = Promise.withResolvers<void>();

  /** @param life tells the numbers of this gateway from those of one before it */
  constructor(readonly life = Date.now().toString(36)) {}

  /** @param at in milliseconds since 1970 */
  add(told: Told, at: number): void {
    this.#entries.push({ ...told, number: ++this.#last, at });
    if (isOutage(told)) this.#outages++;
    if (this.#outages > KEPT_OF_OUTAGES) this.#drop(this.#entries.findIndex(isOutage));
    if (this.#entries.length > KEPT) this.#drop(0);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  /** The changes after the one with this number, the oldest first; all for 0. */
  after(number: number): readonly Entry[] {
    return this.#entries.slice(this.#entries.findLastIndex((each) => each.number <= number) + 1);
  }

  #drop(index: number): void {
    for (const gone of this.#entries.splice(index, 1)) if (isOutage(gone)) this.#outages--;
  }

  /** The number of the newest change; 0 if there was none yet. */
  get last(): number {
    return this.#last;
  }

  /** Resolves when there is another change. */
  get news(): Promise<void> {
    return this.#news.promise;
  }
}

function isOutage({ fields: { event } }: Told): boolean {
  return OUTAGE_EVENTS.some((each) => each === event);
}
