// The sign of how something is: a shape for each, so that colour is never alone.

import { html } from "./html.js";

/** @typedef {import("./rows.js").Health | "none"} Sign */

/** @type {Readonly<Record<Sign, unknown>>} */
const SHAPES = {
  up: html`<circle cx="6" cy="6" r="4.5" />`,
  partly: html`<circle cx="6" cy="6" r="4" class="outline" /><path d="M6 2a4 4 0 0 1 0 8z" />`,
  waiting: html`<path d="M2 1h8L7 6l3 5H2l3-5z" />`,
  down: html`<path d="M6 .8 11.6 11H.4z" />`,
  unknown: html`<circle cx="6" cy="6" r="4" class="outline" />`,
  none: html`<path d="M2 6h8" class="outline" />`,
};

/**
 * @param {object} props
 * @param {Sign} props.sign
 */
export function Mark({ sign }) {
  return html`<svg class=${`mark ${sign}`} viewBox="0 0 12 12" aria-hidden="true">
    ${SHAPES[sign]}
  </svg>`;
}

/**
 * The sign of a server's state.
 * @param {string} state
 * @returns {Sign}
 */
export function signOf(state) {
  if (state === "up") return "up";
  if (state === "down") return "down";
  if (state === "draining" || state === "waiting") return "waiting";
  return state === "unknown" ? "unknown" : "none";
}
