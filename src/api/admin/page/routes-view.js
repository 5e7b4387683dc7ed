// The first view: how everything goes, and all routes.

import { useEffect, useMemo, useState } from "preact/hooks";
import { LastChanges } from "./change-lines.js";
import { Empty } from "./empty.js";
import { Finder } from "./finder.js";
import { html } from "./html.js";
import { Mark } from "./mark.js";
import { count } from "./numbers.js";
import { wrongOf } from "./not-routed.js";
import { RouteTable } from "./route-table.js";
import { HEALTHS, rowsOf } from "./rows.js";
import { FIRST_WISH, found, isInTrouble } from "./search.js";
import { Traffic } from "./traffic.js";
import { COARSE } from "./watch.js";

/** @typedef {import("./known.js").Known} Known */

/** Beside the routes there is room for so many. */
const LAST_CHANGES = 12;

/** What was asked for, also after a look at another view. */
let lastWish = FIRST_WISH;

/**
 * @param {object} props
 * @param {import("./known.js").State} props.state
 * @param {Known} props.known
 */
export function RoutesView({ state, known: { traffic, series, changes } }) {
  const [wish, setWish] = useState(lastWish);
  useEffect(() => {
    lastWish = wish;
  }, [wish]);
  const rows = useMemo(() => rowsOf(state), [state]);
  const numbers = useMemo(
    () => new Map(traffic?.services.map((each) => [each.backend, each])),
    [traffic],
  );
  const shown = useMemo(() => found(rows, numbers, wish), [rows, numbers, wish]);
  const trouble = rows.filter(isInTrouble).length;
  const worst = HEALTHS.find((each) => rows.some(({ health }) => health === each)) ?? "up";
  if (rows.length === 0) return html`<${Empty} state=${state} />`;
  return html`<div class="view">
    <h1 class="verdict"><${Mark} sign=${worst} /> ${verdictOf(rows.length, trouble, worst)}</h1>
    ${traffic && html`<${Traffic} points=${traffic.all} every=${traffic.every} until=${traffic.until} />`}
    <div class="columns">
      <section aria-labelledby="routes-title">
        <div class="section-head">
          <h2 id="routes-title">Routes</h2>
          <${Finder} wish=${wish} onWish=${setWish} trouble=${trouble} />
        </div>
        <p class="unseen" role="status">
          ${wish.words !== "" && `${count(shown.length, "route")} found`}
        </p>
        <${RouteTable}
          rows=${shown}
          numbers=${numbers}
          series=${series}
          every=${COARSE}
          wish=${wish}
          onWish=${setWish}
        />
      </section>
      <aside>
        <${Wrong} state=${state} />
        <section aria-labelledby="changes-title">
          <div class="section-head">
            <h2 id="changes-title">Last changes</h2>
            <a href="#/changes">All</a>
          </div>
          <${LastChanges} changes=${changes} room=${LAST_CHANGES} />
        </section>
      </aside>
    </div>
  </div>`;
}

/**
 * How all of it is, in a sentence.
 * @param {number} routes how many there are
 * @param {number} trouble how many of them are in trouble
 * @param {import("./rows.js").Health} worst
 */
export function verdictOf(routes, trouble, worst) {
  const all = count(routes, "route");
  if (trouble > 0) return `${trouble.toLocaleString("en-US")} of ${all} in trouble`;
  if (worst === "unknown") return `${all}, and nobody knows how they are`;
  return routes === 1 ? "1 route, and it is up" : `${all}, all up`;
}

/**
 * @param {object} props
 * @param {import("./known.js").State} props.state
 */
function Wrong({ state }) {
  const { containers, routes, warnings, count: number } = wrongOf(state);
  if (number === 0) return undefined;
  const lines = [
    ...containers.map(({ container, reason }) => ({ title: container, text: reason })),
    ...routes.map(({ route, reason }) => ({ title: route, text: reason })),
    ...warnings.map((text) => ({ title: "", text })),
  ];
  return html`<section aria-labelledby="wrong-title">
    <div class="section-head">
      <h2 id="wrong-title">To look at</h2>
      <a href="#/not-routed">What to do</a>
    </div>
    <ul class="wrong">
      ${lines.slice(0, 3).map(
        ({ title, text }) =>
          html`<li>
            <${Mark} sign="partly" />
            <div>
              <b>${title}</b>
              <p>${text.split("; ")[0]}</p>
            </div>
          </li>`,
      )}
    </ul>
    ${lines.length > 3 && html`<p class="quiet">and ${lines.length - 3} more</p>`}
  </section>`;
}
