// What is wrong with all of it: the gateway is lost, Docker or HAProxy does not answer, a pass failed.

import { html } from "./html.js";
import { Mark } from "./mark.js";

/**
 * @param {object} props
 * @param {import("./known.js").Known} props.known
 */
export function Notices({ known }) {
  return html`<div class="notices" role="status">
    ${noticesOf(known).map(
      ({ title, lines }) =>
        html`<div class="notice">
          <${Mark} sign="down" />
          <div><b>${title}</b> ${lines.map((line) => html`<p>${line}</p>`)}</div>
        </div>`,
    )}
  </div>`;
}

/**
 * @param {import("./known.js").Known} known
 * @returns {readonly { title: string, lines: readonly string[] }[]}
 */
function noticesOf({ state, lost }) {
  if (lost !== "") {
    const shown = state === undefined ? "" : " What is below was true until then.";
    const lines = [`${sentence(lost)}${shown} Trying again.`];
    return [{ title: "The gateway is lost", lines }];
  }
  if (state === undefined) return [];
  const { engine, engines, haproxy, problem } = state;
  const away = engines
    .filter(({ connected }) => !connected)
    .map(({ name, url }) => `${name} (${url})`);
  const where = away.length === 0 ? engine.name : away.join(", ");
  const served = "What is served goes on being served.";
  return [
    ...(engine.connected
      ? []
      : [{ title: "Docker does not answer", lines: [`At ${where}. ${served}`] }]),
    ...(haproxy.problem === ""
      ? []
      : [{ title: "HAProxy cannot be asked", lines: [sentence(haproxy.problem)] }]),
    ...(problem.length === 0
      ? []
      : [{ title: "The last change could not be made", lines: [...problem, served] }]),
  ];
}

/** @param {string} text */
function sentence(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
