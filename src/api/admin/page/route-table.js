// The table of routes.

import { useEffect, useState } from "preact/hooks";
import { addressOf } from "./address.js";
import { html } from "./html.js";
import { List } from "./list.js";
import { Mark } from "./mark.js";
import { duration, rate } from "./numbers.js";
import { Spark } from "./plot.js";
import { want } from "./watch.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./search.js").Wish} Wish */
/** @typedef {import("./search.js").Column} Column */
/** @typedef {import("./search.js").Numbers} Numbers */

/** As in routes.css. In pixels. */
const [LINE, TALL_LINE] = [60, 104];
const NARROW = "(max-width: 760px)";

/** @type {readonly (readonly [Column, string])[]} */
const COLUMNS = [
  ["health", "State"],
  ["route", "Route"],
  ["requests", "Requests/s"],
  ["errors", "Errors/s"],
  ["times", "Time"],
];

/**
 * @param {object} props
 * @param {readonly Row[]} props.rows
 * @param {ReadonlyMap<string, Numbers>} props.numbers by backend
 * @param {ReadonlyMap<string, import("./known.js").Points>} props.series by backend
 * @param {number} props.every how long their points are, in seconds
 * @param {Wish} props.wish
 * @param {(wish: Wish) => void} props.onWish
 */
export function RouteTable({ rows, numbers, series, every, wish, onWish }) {
  const height = useNarrow() ? TALL_LINE : LINE;
  if (rows.length === 0) return html`<p class="none">No route is like that.</p>`;
  return html`<div class="routes" role="table" aria-label="Routes" aria-rowcount=${rows.length + 1}>
    <div role="rowgroup">
      <div class="route-head" role="row" aria-rowindex="1">
        ${COLUMNS.map(([column, title]) => headOf(column, title))}
      </div>
    </div>
    <${List}
      items=${rows}
      height=${height}
      onSeen=${(/** @type {readonly Row[]} */ seen) =>
        want([...new Set(seen.map(({ service }) => service.backend))], every)}
      line=${(/** @type {Row} */ row, /** @type {number} */ index) =>
        html`<${Line}
          key=${row.route}
          row=${row}
          index=${index}
          numbers=${numbers.get(row.service.backend)}
          points=${series.get(row.service.backend)}
          every=${every}
        />`}
    />
  </div>`;

  /**
   * @param {Column} column
   * @param {string} title
   */
  function headOf(column, title) {
    const isSorted = wish.column === column;
    const isDown = isSorted === (wish.isReversed === (column === "route"));
    const sort = isSorted ? (isDown ? "descending" : "ascending") : undefined;
    return html`<span class=${`cell-${column}`} role="columnheader" aria-sort=${sort}>
      <button
        type="button"
        onClick=${() => onWish({ ...wish, column, isReversed: isSorted && !wish.isReversed })}
      >
        ${title}<span aria-hidden="true">${isSorted ? (isDown ? " ↓" : " ↑") : ""}</span>
      </button>
    </span>`;
  }
}

/**
 * @param {object} props
 * @param {Row} props.row
 * @param {number} props.index
 * @param {Numbers} [props.numbers]
 * @param {import("./known.js").Points} [props.points]
 * @param {number} props.every
 */
function Line({ row, index, numbers, points, every }) {
  const { route, service, members, health, words } = row;
  const names = members.map(({ container }) => container);
  const isBad = (numbers?.errors ?? 0) > 0;
  return html`<div class="route-line" role="row" aria-rowindex=${index + 2}>
    <span class="cell-health" role="cell"><${Mark} sign=${health} /> ${words}</span>
    <span class="cell-route" role="cell">
      <a href=${addressOf(route)} title=${route}>${route}</a>
      <span class="quiet" title=${names.join(", ")}>
        ${service.name}${names.length > 0 ? ` · ${namesOf(names)}` : ""}
      </span>
    </span>
    <span class="cell-requests number" role="cell">
      ${points && html`<${Spark} values=${points.requests} bad=${points.errors} every=${every} />`}
      <span>${rate(numbers?.requests)}<small class="label">req/s</small></span>
    </span>
    <span class=${`cell-errors number ${isBad ? "is-bad" : ""}`} role="cell">
      ${rate(numbers?.errors)}<small class="label">errors/s</small>
    </span>
    <span class="cell-times number" role="cell">${duration(numbers?.times)}</span>
  </div>`;
}

/** @param {readonly string[]} names */
function namesOf(names) {
  return names.length <= 3
    ? names.join(", ")
    : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

/** Whether there is little room. */
function useNarrow() {
  const [isNarrow, setNarrow] = useState(matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const changed = () => setNarrow(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return isNarrow;
}
