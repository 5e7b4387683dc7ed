// Sends requests without a pause, and lets an app keep a request waiting.

import { reply, type App } from "./app.ts";
import type { Site } from "./proxy.ts";

/**
 * Sends one request after the other. The returned function ends that, and returns each status that
 * came, in ascending order.
 */
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

/** A request that an app keeps waiting. */
export interface Held {
  /** Settles when the app has the request. */
  received: Promise<void>;
  /** Answers the request with the text `held`. */
  answer: () => void;
}

/** Makes an app keep its next request until `answer` is called. */
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
