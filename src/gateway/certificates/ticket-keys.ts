// The keys of session tickets. A client that comes again with a ticket saves itself a full handshake, also
// after a reload. Whoever had a key could read what was said under it, so keys are turned.

import { randomBytes } from "node:crypto";

/**
 * A ticket is valid for an hour (`tune.ssl.lifetime`). So a ticket's key is still there when it ends, and no
 * key is of use after two such times, in milliseconds.
 */
const TURN_AFTER = 3_600_000;
/** HAProxy knows three: the former one, the one in use, and the next one. */
const COUNT = 3;
/** For AES-256. Source: configuration manual, `tls-ticket-keys`. */
const BYTES = 80;

/** The lines of HAProxy's file. Keys move up at each turn, and a new one comes behind them. */
export class TicketKeys {
  #text = "";
  #turnedAt = 0;

  /** Takes over the keys of an earlier gateway. @param at when they were written, in ms since 1970 */
  adopt(text: string, at: number): void {
    const keys = linesOf(text);
    const areKeys = keys.every((key) => Buffer.from(key, "base64").length === BYTES);
    if (keys.length !== COUNT || !areKeys) return;
    this.#text = toText(keys);
    this.#turnedAt = at;
  }

  /** Whether it is time for another key. */
  isDue(now: number): boolean {
    // A clock that has gone far back must not keep a key for ever.
    return Math.abs(now - this.#turnedAt) >= TURN_AFTER;
  }

  /** The text of HAProxy's file. @param now in milliseconds since 1970 */
  at(now: number): string {
    if (!this.isDue(now)) return this.#text;
    // After a long time no key of before is of use.
    const isLong = now - this.#turnedAt >= COUNT * TURN_AFTER;
    const kept = isLong ? [] : linesOf(this.#text).slice(1);
    const fresh = Array.from({ length: COUNT - kept.length }, () =>
      randomBytes(BYTES).toString("base64"),
    );
    this.#text = toText([...kept, ...fresh]);
    this.#turnedAt = now;
    return this.#text;
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function toText(keys: readonly string[]): string {
  return keys.map((key) => `${key}\n`).join("");
}
