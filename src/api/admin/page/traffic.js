// Three plots of the last hour: requests, errors and response times.

import { html } from "./html.js";
import { duration, rate } from "./numbers.js";
import { Plot } from "./plot.js";

/** @typedef {import("./known.js").Points} Points */

/** What is shown as now is the mean of the last minute. In seconds. */
const LATELY = 60;

/**
 * @param {object} props
 * @param {Points} props.points
 * @param {number} props.every how long a point is, in seconds
 * @param {string | null} props.until when the newest one ended
 */
export function Traffic({ points: { requests, errors, times }, every, until }) {
  const end = until === null ? Date.now() : Date.parse(until);
  const common = { every, until: end };
  /** @param {readonly (number | null)[]} values */
  const now = (values) => mean(values.slice(-Math.max(1, LATELY / every)));
  return html`<div class="plots">
    <${Plot}
      ...${common}
      title="Requests"
      unit="a second"
      format=${rate}
      values=${requests}
      now=${now(requests)}
    />
    <${Plot}
      ...${common}
      title="Errors"
      unit="a second"
      format=${rate}
      values=${errors}
      now=${now(errors)}
      isBad
    />
    <${Plot}
      ...${common}
      title="Response time"
      unit="on average"
      format=${duration}
      values=${times}
      now=${now(times)}
    />
  </div>`;
}

/** @param {readonly (number | null)[]} values */
function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, each) => sum + each, 0) / known.length;
}
