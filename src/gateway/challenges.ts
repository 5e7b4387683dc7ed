// What authorities ask for before they make certificates. It is in the desired files: an entry of a map,
// which HAProxy gets and loses without a reload.

import type { Answers } from "../acme/answers.ts";
import { Failure } from "../acme/failure.ts";
import { pause } from "../lib/async.ts";
import type { Files } from "../model.ts";

/** An entry of the map. */
interface Entry {
  readonly key: string;
  readonly value: string;
}

/** Source: RFC 8555, section 8.3. */
const FOLDER = "/.well-known/acme-challenge/";

/** It takes a pass, or a reload that waits for its turn. In milliseconds. */
const LIMIT = 30_000;
/** How often it is looked whether HAProxy has an answer by now, in milliseconds. */
const LOOK_EVERY = 200;

export class Challenges implements Answers {
  #entries: readonly Entry[] = [];
  #refresh: () => Promise<void> = () => Promise.resolve();
  #running: () => Files | undefined = () => undefined;

  /** The entries. It is the same list as long as they are the same. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /**
   * Begins to give answers to HAProxy.
   * @param refresh has a pass begin soon, and resolves after it
   * @param running the files that HAProxy runs
   */
  open(refresh: () => Promise<void>, running: () => Files | undefined): void {
    this.#refresh = refresh;
    this.#running = running;
  }

  async put(token: string, text: string): Promise<void> {
    const entry = { key: FOLDER + token, value: text };
    this.#entries = [...this.#entries, entry];
    const until = Date.now() + LIMIT;
    while (!this.#has(entry)) {
      if (Date.now() > until) {
        this.take(token);
        throw new Failure(
          "here",
          "HAProxy does not have the answer for the authority",
          "see the lines above; a template of your own needs {{> frontend}} or {{> challenges}}",
        );
      }
      // Without Docker there is no pass, and a pass may be waiting for others.
      await Promise.race([this.#refresh(), pause(LIMIT)]);
      if (!this.#has(entry)) await pause(LOOK_EVERY);
    }
  }

  take(token: string): void {
    this.#entries = this.#entries.filter(({ key }) => key !== FOLDER + token);
    void this.#refresh();
  }

  #has({ key, value }: Entry): boolean {
    const line = `${key} ${value}`;
    return Object.values(this.#running()?.assets ?? {}).some(
      ({ kind, text }) => kind === "map" && text.includes(line),
    );
  }
}
