// Requests that failed: which, who had them, and in words why.

import { html } from "./html.js";
import { Mark } from "./mark.js";
import { ago, duration } from "./numbers.js";

/** @typedef {import("./known.js").Failures["failures"][number]} Failure */

/**
 * @param {object} props
 * @param {readonly Failure[]} props.failures the newest first
 * @param {boolean} [props.isWhole] whether those of all services are shown, with their names
 */
export function FailureLines({ failures, isWhole = false }) {
  const now = Date.now();
  if (failures.length === 0)
    return html`<p class="none">None, as far as the gateway remembers.</p>`;
  return html`<ol class="changes">
    ${failures.map(
      ({ time, method, path, status, ms, cause, service, container }) =>
        html`<li>
          <${Mark} sign="down" />
          <div class="change-what">
            <b>${status < 0 ? "no answer" : status}</b>
            <span class="change-words">${method} ${path}</span>
            <p class="why">
              ${cause}${[isWhole && service, container].filter(Boolean).map((each) => ` · ${each}`)}
            </p>
          </div>
          <div class="change-how">after ${duration(ms)}</div>
          <time datetime=${time} title=${new Date(time).toLocaleString()}>${ago(time, now)}</time>
        </li>`,
    )}
  </ol>`;
}
