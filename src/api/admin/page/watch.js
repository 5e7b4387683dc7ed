// Keeps what the page knows up to date: by the gateway's events, and by questions while somebody looks.

import { ask } from "./asking.js";
import { learn, nowKnown } from "./known.js";

/** So many changes are kept. */
const KEPT = 1_000;
/** Several changes often come together. In milliseconds. */
const GATHER = 200;
/** What HAProxy finds out by itself is told by no event. In milliseconds. */
const LOOK_AGAIN = 5_000;
/** The gateway is asked for so small a part of the time. */
const SHARE = 30;
/** It has a new point of traffic every 10 s. In milliseconds. */
const TRAFFIC_AGAIN = 10_000;
/** A certificate lives for months; one that changes is told by an event. In milliseconds. */
const CERTIFICATES_AGAIN = 60_000;
/** A gateway that is lost is looked for so often. In milliseconds. */
const TRY_AGAIN = 2_000;
/** A point of a small plot. In seconds. */
export const COARSE = 30;
/** A point of a large one. In seconds. */
export const FINE = 10;

/** @type {EventSource | undefined} */
let stream;
/** What ends with the stream. */
let end = new AbortController();
/** @type {{ readonly backends: readonly string[], readonly every: number }} */
let wanted = { backends: [], every: COARSE };

/** Begins to watch, and pauses while nobody looks: browsers keep few connections to one address. */
export function watch() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else open();
  });
  if (!document.hidden) open();
}

/**
 * Says of which services plots are shown.
 * @param {readonly string[]} backends
 * @param {number} every how long a point is, in seconds
 */
export function want(backends, every) {
  if (wanted.every === every && wanted.backends.join("\n") === backends.join("\n")) return;
  if (wanted.every !== every) learn({ series: new Map() });
  wanted = { backends, every };
  again.traffic.soon(GATHER);
}

function open() {
  close();
  end = new AbortController();
  const { signal } = end;
  stream = new EventSource("v1/changes");
  stream.addEventListener("open", () => {
    void readChanges(signal);
    for (const each of Object.values(again)) each.soon(0);
  });
  stream.addEventListener("change", ({ data }) => noteChange(JSON.parse(data)));
  stream.addEventListener("error", () => lose("it does not answer"));
}

function close() {
  stream?.close();
  end.abort();
  for (const each of Object.values(again)) each.stop();
}

/** @param {string} why */
function lose(why) {
  close();
  learn({ lost: why });
  end = new AbortController();
  const timer = setTimeout(() => !document.hidden && open(), TRY_AGAIN);
  end.signal.addEventListener("abort", () => clearTimeout(timer));
}

/** @param {import("./known.js").Change} change */
function noteChange(change) {
  const { changes } = nowKnown();
  if (changes.some(({ id }) => id === change.id)) return;
  learn({ changes: [change, ...changes].slice(0, KEPT) });
  again.state.soon(GATHER);
  if (change.event?.includes("certificate")) again.certificates.soon(GATHER);
}

/** @param {AbortSignal} signal */
async function readChanges(signal) {
  await reading(signal, async () => {
    /** @type {import("../../changes.ts").ChangesDocument} */
    const { changes } = await ask("v1/changes", signal);
    learn({ changes: changes.toReversed() });
  });
}

const again = {
  state: repeated(LOOK_AGAIN, async (signal) => {
    /** @type {import("./known.js").State} */
    const state = await ask("v1/state", signal);
    const before = nowKnown().state?.gateway.version;
    // Another gateway may have another page.
    if (before !== undefined && before !== state.gateway.version) location.reload();
    learn({ state, lost: "" });
  }),
  traffic: repeated(TRAFFIC_AGAIN, async (signal) => {
    const { backends, every } = wanted;
    const query = new URLSearchParams([
      ["every", String(every)],
      ...backends.map((backend) => ["backend", backend]),
    ]);
    /** @type {import("./known.js").Traffic} */
    const traffic = await ask(`v1/traffic?${query}`, signal);
    const news = traffic.asked.map(
      ({ backend, ...points }) => /** @type {const} */ ([backend, points]),
    );
    learn({ traffic, series: new Map([...nowKnown().series, ...news]) });
  }),
  failures: repeated(TRAFFIC_AGAIN, async (signal) => {
    learn({ failures: await ask("v1/failures", signal) });
  }),
  certificates: repeated(CERTIFICATES_AGAIN, async (signal) => {
    learn({ certificates: await ask("v1/certificates", signal) });
  }),
};

/**
 * Something that is asked for again and again, until the stream ends.
 * @param {number} every in milliseconds
 * @param {(signal: AbortSignal) => Promise<void>} read
 */
function repeated(every, read) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let due = Infinity;
  let took = 0;
  /** @param {number} ms */
  const soon = (ms) => {
    const at = performance.now() + Math.max(ms, ms === 0 ? 0 : took);
    if (at >= due) return;
    due = at;
    clearTimeout(timer);
    timer = setTimeout(() => void run(), at - performance.now());
  };
  const run = async () => {
    due = Infinity;
    const { signal } = end;
    const began = performance.now();
    await reading(signal, () => read(signal));
    if (signal.aborted) return;
    took = performance.now() - began;
    soon(Math.max(every, took * SHARE));
  };
  return {
    soon,
    stop() {
      clearTimeout(timer);
      due = Infinity;
    },
  };
}

/**
 * @param {AbortSignal} signal
 * @param {() => Promise<void>} read
 */
async function reading(signal, read) {
  try {
    await read();
  } catch (error) {
    if (signal.aborted) return;
    // What `ask` makes of an answer is an Error; the browser has its own kinds for none in time, or none at all.
    const isAnswer = error instanceof Error && error.name === "Error";
    lose(isAnswer ? error.message : "it does not answer");
  }
}
