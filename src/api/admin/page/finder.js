// The search among the routes, and the filter.

import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";

/** @typedef {import("./search.js").Wish} Wish */
/** @typedef {import("./search.js").Filter} Filter */

/** @type {readonly (readonly [Filter, string])[]} */
const FILTERS = [
  ["all", "All"],
  ["trouble", "In trouble"],
  ["busy", "Busy"],
];

/**
 * @param {object} props
 * @param {Wish} props.wish
 * @param {(wish: Wish) => void} props.onWish
 * @param {number} props.trouble how many routes are in trouble
 */
export function Finder({ wish, onWish, trouble }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    /** @param {KeyboardEvent} event */
    const pressed = (event) => {
      const isTyped = event.target instanceof HTMLInputElement && event.target.type === "search";
      if (event.key !== "/" || isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return html`<div class="finder">
    <label class="search">
      <span class="unseen">Search routes, services, containers and images</span>
      <input
        type="search"
        placeholder="Search  ( / )"
        ref=${input}
        value=${wish.words}
        onInput=${(/** @type {Event} */ event) =>
          onWish({ ...wish, words: /** @type {HTMLInputElement} */ (event.currentTarget).value })}
      />
    </label>
    <fieldset class="choice">
      <legend class="unseen">Which routes</legend>
      ${FILTERS.map(
        ([filter, title]) =>
          html`<label>
            <input
              type="radio"
              name="filter"
              checked=${wish.filter === filter}
              onChange=${() => onWish({ ...wish, filter })}
            /><span>${title}${filter === "trouble" && trouble > 0 ? ` ${trouble}` : ""}</span>
          </label>`,
      )}
    </fieldset>
  </div>`;
}
