// What `explain` tells, once somebody wants to know.

import { useEffect, useState } from "preact/hooks";
import { ask } from "./asking.js";
import { html } from "./html.js";

/** @typedef {{ about: string, text: string }} Line */
/** @typedef {{ explanations: { subject: string, lines: Line[] }[] }} Answer */

/**
 * @param {object} props
 * @param {"container" | "url"} props.kind
 * @param {string} props.word
 * @param {string} props.title
 */
export function Explanation({ kind, word, title }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details
    onToggle=${(/** @type {Event} */ event) =>
      setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}
  >
    <summary>${title}</summary>
    ${isOpen && html`<${Told} kind=${kind} word=${word} />`}
  </details>`;
}

/**
 * @param {object} props
 * @param {string} props.kind
 * @param {string} props.word
 */
function Told({ kind, word }) {
  const [lines, setLines] = useState(/** @type {readonly Line[]} */ ([]));
  useEffect(() => {
    const end = new AbortController();
    /** @type {Promise<Answer>} */
    const answer = ask(`v1/explain?${new URLSearchParams([[kind, word]])}`, end.signal);
    void answer
      .then(({ explanations }) => explanations.flatMap((each) => each.lines))
      .catch((error) => [{ about: "problem", text: String(error.message) }])
      .then((told) => end.signal.aborted || setLines(told));
    return () => end.abort();
  }, [kind, word]);
  return html`<dl class="facts" aria-busy=${lines.length === 0}>
    ${lines.map(
      ({ about, text }) =>
        html`<dt>${about}</dt>
          <dd>${text}</dd>`,
    )}
  </dl>`;
}
