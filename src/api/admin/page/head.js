// The top of the page: where one is, whether the gateway answers, and the switch of the theme.

import { html } from "./html.js";
import { Mark } from "./mark.js";
import { wrongOf } from "./not-routed.js";
import { Theme } from "./theme.js";

/** @typedef {import("./address.js").ViewName} ViewName */

/**
 * @param {object} props
 * @param {ViewName} props.view
 * @param {import("./known.js").Known} props.known
 */
export function Head({ view, known: { state, certificates, failures, lost } }) {
  const wrong = state === undefined ? 0 : wrongOf(state).count;
  return html`<header>
    <a class="brand" href="#/"
      ><img src="page/icon.svg" alt="" width="24" height="24" /> <span>docker-api-gateway</span></a
    >
    <nav aria-label="Views">
      ${link("#/", "Routes", view === "routes" || view === "route")}
      ${link("#/changes", "Changes", view === "changes")}
      ${link("#/not-routed", "Not routed", view === "not-routed", wrong)}
      ${failures?.kept && link("#/failures", "Failed", view === "failures")}
      ${certificates?.https && link("#/certificates", "Certificates", view === "certificates")}
    </nav>
    <p class="link" role="status">${linkOf(state !== undefined, lost)}</p>
    <${Theme} />
  </header>`;
}

/**
 * @param {boolean} isKnown
 * @param {string} lost
 */
function linkOf(isKnown, lost) {
  if (lost !== "") return html`<${Mark} sign="down" /> Lost`;
  if (!isKnown) return html`<${Mark} sign="unknown" /> Connecting`;
  return html`<${Mark} sign="up" /> Live`;
}

/**
 * @param {string} href
 * @param {string} title
 * @param {boolean} isHere
 * @param {number} [number] how many things want somebody's attention there
 */
function link(href, title, isHere, number = 0) {
  return html`<a href=${href} aria-current=${isHere ? "page" : undefined}
    >${title}${
      number > 0 &&
      html` <span class="badge">${number}<span class="unseen"> to look at</span></span>`
    }</a
  >`;
}
