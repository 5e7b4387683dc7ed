// A plot of the last hour. Its colours come from the stylesheet, so that both themes have it.

import { useState } from "preact/hooks";
import { curve, topOf } from "./curve.js";
import { html } from "./html.js";
import { span } from "./numbers.js";

/** @typedef {import("./curve.js").Values} Values */

/** What the small and the large ones are drawn in; they are stretched to their place. */
const [WIDTH, HEIGHT] = [360, 100];
/** How much time is shown: the shortest that has all that is known. In seconds. */
const SPANS = [300, 900, 1_800, 2_700, 3_600];

/**
 * A plot without words, for a line of a table.
 * @param {object} props
 * @param {Values} props.values
 * @param {Values} [props.bad] what of them went wrong
 * @param {number} props.every how long a point is, in seconds
 */
export function Spark({ values, bad, every }) {
  const top = topOf(values);
  const isBad = bad?.some((value) => value !== null && value > 0);
  return html`<svg
    class="spark"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    ${outlines(values, top, every)}
    ${isBad && bad && html`<g class="bad">${outlines(bad, top, every)}</g>`}
  </svg>`;
}

/**
 * A plot with its numbers.
 * @param {object} props
 * @param {string} props.title
 * @param {string} props.unit what a value is of, such as `a second`
 * @param {(value: number | null | undefined) => string} props.format
 * @param {Values} props.values
 * @param {number | null | undefined} props.now the mean of the last minute
 * @param {number} props.every how long a point is, in seconds
 * @param {number} props.until when the newest one ended, in milliseconds since 1970
 * @param {boolean} [props.isBad] whether there should be none of it
 */
export function Plot({ title, unit, format, values, now, every, until, isBad = false }) {
  const [pointed, setPointed] = useState(/** @type {number | undefined} */ (undefined));
  const slots = slotsOf(values, every);
  const top = topOf(values);
  const most = values.reduce((a, b) => Math.max(a ?? 0, b ?? 0), 0);
  const isSeen = values.some((value) => value !== null);
  const first = slots - values.length;
  const shown = pointed === undefined ? undefined : values[pointed - first];
  const at = pointed === undefined ? 0 : until - (slots - 1 - pointed) * every * 1000;
  const words = isSeen
    ? `${title} ${unit}: ${format(now)} in the last minute, at most ${format(most)} in the last ${span(slots * every)}`
    : `${title}: nothing is known yet`;
  /** @param {PointerEvent} event */
  const point = ({ clientX, currentTarget }) => {
    const { left, width } = /** @type {Element} */ (currentTarget).getBoundingClientRect();
    const part = Math.min(1, Math.max(0, (clientX - left) / width));
    setPointed(Math.round(part * (slots - 1)));
  };
  return html`<figure class=${`plot ${isBad ? "bad" : ""}`}>
    <figcaption>
      <span class="plot-title">${title}</span>
      <span class="plot-now">${format(now)}<small>${now === null ? "" : ` ${unit}`}</small></span>
      <span class="plot-at">
        ${
          pointed === undefined
            ? isSeen && `at most ${format(most)}`
            : `${clock(at)} · ${format(shown)}`
        }
      </span>
    </figcaption>
    <div class="plot-area" onPointerMove=${point} onPointerLeave=${() => setPointed(undefined)}>
      <svg
        viewBox="0 0 ${WIDTH} ${HEIGHT}"
        preserveAspectRatio="none"
        role="img"
        aria-label=${words}
      >
        <path class="grid" d="M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}" />
        ${outlines(values, top, every)}
        ${
          pointed !== undefined &&
          html`<path class="cursor" d="M${(pointed / (slots - 1)) * WIDTH} 0V${HEIGHT}" />`
        }
      </svg>
      <span class="plot-top" aria-hidden="true">${format(top)}</span>
    </div>
    <div class="plot-times" aria-hidden="true">
      <span>${span(slots * every)} ago</span><span>now</span>
    </div>
  </figure>`;
}

/**
 * @param {Values} values
 * @param {number} top
 * @param {number} every
 */
function outlines(values, top, every) {
  const slots = slotsOf(values, every);
  const { line, area } = curve(values, { width: WIDTH, height: HEIGHT, slots, top });
  return html`<path class="area" d=${area} /><path class="line" d=${line} />`;
}

/**
 * @param {Values} values
 * @param {number} every
 */
function slotsOf(values, every) {
  return (SPANS.find((each) => each >= values.length * every) ?? values.length * every) / every;
}

/** @param {number} time in milliseconds since 1970 */
function clock(time) {
  return new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}
