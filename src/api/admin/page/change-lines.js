// Changes: what happened, to what, why, and how HAProxy got it.

import { addressOf } from "./address.js";
import { html } from "./html.js";
import { Mark } from "./mark.js";
import { ago, duration } from "./numbers.js";

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

/**
 * @param {object} props
 * @param {readonly Change[]} props.changes the newest first
 * @param {boolean} [props.isShort] whether there is little room
 */
export function ChangeLines({ changes, isShort = false }) {
  const now = Date.now();
  if (changes.length === 0) return html`<p class="none">Nothing has changed yet.</p>`;
  return html`<ol class=${`changes ${isShort ? "short" : ""}`}>
    ${changes.map(
      (change) =>
        html`<li key=${change.id}>
          <${Mark} sign=${signOf(change)} />
          <div class="change-what">${whatOf(change)} ${isShort ? "" : whyOf(change)}</div>
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
  if (Array.isArray(names)) return html`<b>${event}</b> ${names.join(", ")}`;
  if (!isOfRoute) return html`<span class="change-words">${message}</span>`;
  return html`<b>${event}</b> <a href=${addressOf(route)}>${route}</a> ${
      container && html`<span class="change-container">${container}</span>`
    }`;
}

/** @param {Change} change */
function whyOf({ event, route, reason, reasons = [], level }) {
  const isTold = reason !== undefined && reason !== "" && route !== undefined && level !== "error";
  const why = event === "reload" ? reasons : [isTold ? reason : ""].filter(Boolean);
  return why.map((text) => html`<p class="why">${text}</p>`);
}

/** @param {Change} change */
function howOf({ how, ms }) {
  const parts = [ms === undefined ? "" : duration(ms), WAYS[how ?? ""] ?? ""];
  return parts.filter(Boolean).join(", ");
}
