// A long list of which only the lines are drawn that are seen.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";

/** So many lines more are drawn above and below, so that none is missing while it is scrolled. */
const SPARE = 6;

/**
 * @template T
 * @param {object} props
 * @param {readonly T[]} props.items
 * @param {number} props.height of a line, in pixels
 * @param {(item: T, index: number) => unknown} props.line
 * @param {(items: readonly T[]) => void} props.onSeen is told which lines are drawn
 */
export function List({ items, height, line, onSeen }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [{ first, end }, setRange] = useState({ first: 0, end: 30 });
  useLayoutEffect(() => {
    const look = () => {
      if (box.current === null) return;
      const above = -box.current.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(above / height) - SPARE);
      const to = Math.ceil((above + innerHeight) / height) + SPARE;
      setRange((before) =>
        before.first === from && before.end === to ? before : { first: from, end: to },
      );
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [height, items.length]);
  const start = Math.min(first, items.length);
  const seen = items.slice(start, end);
  useLayoutEffect(() => onSeen(seen));
  return html`<div
    class="list"
    role="rowgroup"
    ref=${box}
    style=${{ height: `${items.length * height}px` }}
  >
    <div role="presentation" style=${{ transform: `translateY(${start * height}px)` }}>
      ${seen.map((item, index) => line(item, start + index))}
    </div>
  </div>`;
}
