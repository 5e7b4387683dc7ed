// The outlines of a plot, as paths of SVG. Pure.

/** @typedef {readonly (number | null)[]} Values */

/**
 * Where each value is, from the right: the newest one is at the right edge.
 * @param {Values} values the oldest first
 * @param {object} size
 * @param {number} size.width
 * @param {number} size.height
 * @param {number} size.slots how many values the width has room for
 * @param {number} size.top the value at the upper edge
 */
export function curve(values, { width, height, slots, top }) {
  const step = width / Math.max(1, slots - 1);
  const first = width - (values.length - 1) * step;
  let [line, area] = ["", ""];
  /** @type {{ x: number, y: number }[]} */
  let run = [];
  const close = () => {
    const [start] = run;
    const last = run.at(-1);
    if (start !== undefined && last !== undefined) {
      // One value alone would be a line of no length.
      if (run.length === 1) run.push({ x: last.x + 0.5, y: last.y });
      const outline = run.map(({ x, y }) => `${round(x)} ${round(y)}`).join("L");
      line += `M${outline}`;
      area += `M${round(start.x)} ${height}L${outline}L${round(run.at(-1)?.x ?? 0)} ${height}Z`;
    }
    run = [];
  };
  for (const [index, value] of values.entries()) {
    if (value === null) close();
    else run.push({ x: first + index * step, y: height - (Math.min(value, top) / top) * height });
  }
  close();
  return { line, area };
}

/**
 * A round value that is not below the largest one.
 * @param {Values} values
 */
export function topOf(values) {
  const largest = values.reduce((most, value) => Math.max(most ?? 0, value ?? 0), 0) ?? 0;
  if (largest === 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(largest));
  const fits = [1, 2, 5, 10].find((each) => each * unit >= largest) ?? 10;
  return fits * unit;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}
