// What the page knows of the gateway, in one place. Who uses it is drawn again when it changes.

import { useEffect, useState } from "preact/hooks";

/** @typedef {import("../../state.ts").StateDocument} State */
/** @typedef {import("../../changes.ts").ChangeDocument} Change */
/** @typedef {import("../../certificates.ts").CertificatesDocument} Certificates */
/** @typedef {import("../../traffic/document.ts").TrafficDocument} Traffic */
/** @typedef {import("../../failures.ts").FailuresDocument} Failures */
/** @typedef {import("../../traffic/ring.ts").Points} Points */

/**
 * @typedef {object} Known
 * @property {State} [state]
 * @property {Traffic} [traffic]
 * @property {ReadonlyMap<string, Points>} series what was asked for of services, by their backends
 * @property {readonly Change[]} changes the newest first
 * @property {Certificates} [certificates]
 * @property {Failures} [failures]
 * @property {string} lost why the gateway cannot be asked; empty: it can
 */

/** @type {Known} */
let known = { series: new Map(), changes: [], lost: "" };

/** @type {Set<() => void>} */
const listeners = new Set();

export function nowKnown() {
  return known;
}

/** @param {Partial<Known>} news */
export function learn(news) {
  known = { ...known, ...news };
  for (const listener of listeners) listener();
}

export function useKnown() {
  const [, draw] = useState({});
  useEffect(() => {
    const listener = () => draw({});
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return known;
}
