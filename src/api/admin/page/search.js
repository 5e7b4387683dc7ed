// Which routes are shown, and in which order. Pure.

import { HEALTHS } from "./rows.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./known.js").Traffic["services"][number]} Numbers */

/** @typedef {"all" | "trouble" | "busy"} Filter */
/** @typedef {"route" | "health" | "requests" | "errors" | "times"} Column */

/**
 * @typedef {object} Wish
 * @property {string} words
 * @property {Filter} filter
 * @property {Column} column
 * @property {boolean} isReversed
 */

/** @type {Wish} */
export const FIRST_WISH = { words: "", filter: "all", column: "route", isReversed: false };

/** @param {Row} row */
export function isInTrouble({ health }) {
  return health !== "up" && health !== "unknown";
}

/**
 * @param {readonly Row[]} rows
 * @param {ReadonlyMap<string, Numbers>} numbers by backend
 * @param {Wish} wish
 * @returns {readonly Row[]}
 */
export function found(rows, numbers, { words, filter, column, isReversed }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rows.filter((row) => {
    if (!wanted.every((word) => row.text.includes(word))) return false;
    if (filter === "trouble") return isInTrouble(row);
    return filter === "all" || (numbers.get(row.service.backend)?.requests ?? 0) > 0;
  });
  const sorted = shown.toSorted((a, b) => order(a, b) || compare(a.route, b.route));
  return isReversed ? sorted.toReversed() : sorted;

  /** @param {Row} a @param {Row} b */
  function order(a, b) {
    if (column === "route") return 0;
    if (column === "health") return HEALTHS.indexOf(a.health) - HEALTHS.indexOf(b.health);
    /** @param {Row} row */
    const value = ({ service }) => numbers.get(service.backend)?.[column] ?? -1;
    return value(b) - value(a);
  }
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
