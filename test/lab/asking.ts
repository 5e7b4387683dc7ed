// Requests that never stop, and requests that an app keeps waiting.

import { reply, type App } from "./app.ts";
import type { Site } from "./proxy.ts";

/** Asks one after the other; the function that ends it tells which statuses came, ascending. */
export function askAlways(site: Site, target: string): () => Promise<number[]> {
  const statuses = new Set<number>();
  const end = new AbortController();
  const asking = (async () => {
    while (!end.signal.aborted) statuses.add((await site.ask({ target })).status);
  })();
  return async () => {
    end.abort();
    await asking;
    return [...statuses].toSorted((a, b) => a - b);
  };
}

/** An app that keeps its next request. */
export interface Held {
  /** Settles when it has the request. */
  received: Promise<void>;
  /** Answers `held`. */
  answer: () => void;
}

/** Lets an app keep its next request until it is told to answer. */
export function holdNext(app: App): Held {
  const { answerer } = app;
  const { promise, resolve } = Promise.withResolvers<void>();
  const held: Held = { received: promise, answer: () => undefined };
  app.answerer = (_, socket) => {
    app.answerer = answerer;
    held.answer = () => void socket.end(reply(200, [], "held"));
    resolve();
    return undefined;
  };
  return held;
}
