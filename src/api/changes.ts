// The answer to `GET /v1/changes`: the last changes, or a stream of those that come.

import type { Entry, History } from "../gateway/history.ts";

/** A change as it is told. What is not known is left out. */
export interface ChangeDocument {
  /** Later changes have other ones; `Last-Event-ID` takes it. */
  readonly id: string;
  readonly time: string;
  readonly level: Entry["level"];
  /** The words of the log. */
  readonly message: string;
  /** How HAProxy got it. */
  readonly how?: "none" | "runtime" | "reload";
  /** Why it was reloaded. */
  readonly reasons?: readonly string[];
  /** What the log has of it in JSON. */
  readonly event?: string;
  readonly route?: string;
  readonly server?: string;
  readonly container?: string;
  readonly containerId?: string;
  readonly reason?: string;
  readonly ms?: number;
  readonly left?: string;
  readonly since?: string;
  readonly seconds?: number;
  readonly [more: string]: unknown;
}

export interface ChangesDocument {
  /** The oldest first. */
  readonly changes: readonly ChangeDocument[];
}

/** All changes that are kept. */
export function changesDocument(history: History): ChangesDocument {
  return { changes: history.after(0).map((entry) => changeDocument(entry, history.life)) };
}

function changeDocument(
  { number, at, level, message, fields, way }: Entry,
  life: string,
): ChangeDocument {
  const { id: containerId, ...rest } = fields;
  return {
    id: `${life}-${number}`,
    time: new Date(at).toISOString(),
    level,
    message,
    ...rest,
    ...(typeof containerId === "string" ? { containerId } : {}),
    ...(way === undefined ? {} : { how: way.how }),
    ...(way?.how === "reload" ? { reasons: way.reasons } : {}),
  };
}

/** A stream that has no news says so, as its reader may be gone. In milliseconds. */
const SIGN_OF_LIFE = 15_000;
/** So many changes are told at once. */
const AT_ONCE = 100;

/**
 * The changes as server-sent events. The stream keeps only the number of the last one that it gave, and reads on
 * when its reader has taken that: who is slow, or reads no more, costs nobody anything. Source: HTML Living
 * Standard, section 9.2.
 * @param lastId the ID of the last change that the reader knows; empty: it wants those to come
 */
export function changeEvents(history: History, lastId: string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let number = lastId === "" ? history.last : numberOf(lastId, history);
  let isOpen = true;
  let hasBegun = false;
  return new ReadableStream(
    {
      async pull(controller) {
        // The head of the answer goes out with its first bytes.
        if (!hasBegun) {
          hasBegun = true;
          controller.enqueue(encoder.encode(":\n\n"));
          return;
        }
        if (history.last === number) await newsOrTime(history.news);
        if (!isOpen) return;
        const entries = history.after(number).slice(0, AT_ONCE);
        number = entries.at(-1)?.number ?? number;
        const events = entries.map((entry) => eventOf(changeDocument(entry, history.life)));
        controller.enqueue(encoder.encode(events.join("") || ":\n\n"));
      },
      cancel() {
        isOpen = false;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Where a reader goes on. An ID of an earlier gateway is none of this one, so all is new. */
function numberOf(id: string, history: History): number {
  const [life = "", number = ""] = id.split("-");
  const isOurs = life === history.life && /^\d+$/.test(number);
  return isOurs ? Math.min(Number(number), history.last) : 0;
}

async function newsOrTime(news: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, SIGN_OF_LIFE);
  await Promise.race([news, promise]);
  clearTimeout(timer);
}

function eventOf(change: ChangeDocument): string {
  return `id: ${change.id}\nevent: change\ndata: ${JSON.stringify(change)}\n\n`;
}
