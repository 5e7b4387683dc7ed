// Numbers and times as a person reads them.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A rate, such as `0.4`, `12` or `1,250`; a dash if it is not known.
 * @param {number | null | undefined} value
 */
export function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (value < 0.05) return "< 0.1";
  return value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString("en-US");
}

/**
 * A time of milliseconds, such as `4 ms` or `1.2 s`.
 * @param {number | null | undefined} value
 */
export function duration(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return "< 1 ms";
  return value < 999.5 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/**
 * How long something is, such as `5 s`, `3 min`, `2 h` or `12 days`.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < MINUTE) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h`;
  return `${Math.floor(seconds / DAY)} days`;
}

/**
 * How long ago something was.
 * @param {string} time in RFC 3339
 * @param {number} now in milliseconds since 1970
 */
export function ago(time, now) {
  const seconds = (now - Date.parse(time)) / 1000;
  return seconds < 1 ? "now" : `${span(seconds)} ago`;
}

/**
 * A count with its noun, such as `1 route` or `1,000 routes`.
 * @param {number} number
 * @param {string} noun
 */
export function count(number, noun) {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}
