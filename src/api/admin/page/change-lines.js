// Changes: what happened, to what, why, and how HAProxy got it.

import { addressOf } from "./address.js";
import { html } from "./html.js";
import { Mark } from "./mark.js";
import { ago, count, duration, span } from "./numbers.js";

/** @typedef {import("./known.js").Change} Change */
/** @typedef {import("./mark.js").Sign} Sign */

/** @type {Readonly<Record<string, Sign>>} */
const SIGNS = {
  routed: "up",
  "no requests for": "partly",
  removed: "none",
  "waiting for a container": "waiting",
  "no container": "down",
  "no route": "none",
  down: "down",
  up: "up",
  "no answer": "down",
  certificate: "up",
  "renewed certificate": "up",
  reload: "none",
};

/** @type {Readonly<Record<string, string>>} */
const WAYS = {
  reload: "by a reload",
  runtime: "without a reload",
  none: "HAProxy had it already",
};

/** So many changes of one kind are one line where there is little room. */
const MANY = 4;

/**
 * The last changes, where there is little room.
 * @param {object} props
 * @param {readonly Change[]} props.changes the newest first
 * @param {number} props.room how many lines there may be
 */
export function LastChanges({ changes, room }) {
  const now = Date.now();
  if (changes.length === 0) return html`<p class="none">Nothing has changed yet.</p>`;
  return html`<ol class="changes short">
    ${groupsOf(changes, room).map(([change, ...more]) => {
      if (change === undefined) return undefined;
      const how = [howOf(change), ago(change.time, now)].filter(Boolean).join(" · ");
      return html`<li key=${change.id}>
        <${Mark} sign=${signOf(change)} />
        <div class="change-what">
          ${
            more.length === 0
              ? whatOf(change)
              : html`<b>${change.event}</b> ${count(more.length + 1, "container")}`
          }
        </div>
        <time class="change-how" datetime=${change.time}>${how}</time>
      </li>`;
    })}
  </ol>`;
}

/**
 * The changes by lines. Many that came together with the same event are one.
 * @param {readonly Change[]} changes the newest first
 * @param {number} room how many lines there may be
 * @returns {readonly (readonly Change[])[]}
 */
export function groupsOf(changes, room) {
  /** @type {(readonly Change[])[]} */
  const groups = [];
  let first = 0;
  while (first < changes.length && groups.length < room) {
    let end = first + 1;
    while (end < changes.length && isAlike(changes[first], changes[end])) end += 1;
    if (end - first < MANY) end = first + 1;
    groups.push(changes.slice(first, end));
    first = end;
  }
  return groups;
}

/**
 * @param {Change | undefined} one
 * @param {Change | undefined} other
 */
function isAlike(one, other) {
  if (one?.container === undefined || other?.container === undefined) return false;
  return one.event === other.event && one.level === other.level && one.time === other.time;
}

/**
 * @param {object} props
 * @param {readonly Change[]} props.changes the newest first
 */
export function ChangeLines({ changes }) {
  const now = Date.now();
  if (changes.length === 0) return html`<p class="none">Nothing has changed yet.</p>`;
  return html`<ol class="changes">
    ${changes.map(
      (change) =>
        html`<li key=${change.id}>
          <${Mark} sign=${signOf(change)} />
          <div class="change-what">${whatOf(change)} ${whyOf(change)}</div>
          <div class="change-how">${howOf(change)}</div>
          <time datetime=${change.time} title=${new Date(change.time).toLocaleString()}
            >${ago(change.time, now)}</time
          >
        </li>`,
    )}
  </ol>`;
}

/**
 * @param {Change} change
 * @returns {Sign}
 */
function signOf({ event = "", level }) {
  if (level === "error") return "down";
  return SIGNS[event] ?? (level === "warn" ? "partly" : "none");
}

/** @param {Change} change */
function whatOf({ event, route, container, message, level, names }) {
  const isOfRoute = route !== undefined && event !== undefined && level !== "error";
  if (event === "reload") return html`<b>HAProxy was reloaded</b>`;
  if (Array.isArray(names)) return html`<b>${event} for</b> ${names.join(", ")}`;
  if (!isOfRoute) return html`<span class="change-words">${message}</span>`;
  return html`<b>${event}</b> <a href=${addressOf(route)}>${route}</a> ${
      container && html`<span class="change-container">${container}</span>`
    }`;
}

/** @param {Change} change */
function whyOf({ event, route, reason, left, seconds, reasons = [], level }) {
  const isTold = route !== undefined && level !== "error";
  const after = seconds === undefined ? "" : `after ${span(seconds)}`;
  const why = event === "reload" ? reasons : isTold ? [reason, after, left].filter(Boolean) : [];
  return why.map((text) => html`<p class="why">${text}</p>`);
}

/** @param {Change} change */
function howOf({ how, ms }) {
  const parts = [ms === undefined ? "" : duration(ms), WAYS[how ?? ""] ?? ""];
  return parts.filter(Boolean).join(", ");
}
