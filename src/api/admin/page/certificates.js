// The certificates that clients see, and how long they are valid.

import { html } from "./html.js";
import { Mark } from "./mark.js";
import { count } from "./numbers.js";

/** @typedef {import("./known.js").Certificates} Document */
/** @typedef {Document["certificates"][number]} Certificate */

/** The last third of a short-lived certificate; authorities renew before. In days. */
const SOON = 7;

/** @type {Readonly<Record<string, string>>} */
const SOURCES = { file: "a file", "self-signed": "the gateway itself", none: "none" };

/**
 * @param {object} props
 * @param {Document} props.document
 */
export function Certificates({ document: { certificates, warnings } }) {
  return html`<div class="view">
    <h1>Certificates</h1>
    ${warnings.map((text) => html`<p class="notice">${text}</p>`)}
    ${
      certificates.length === 0
        ? html`<p class="none">No host has a route or a certificate yet.</p>`
        : html`<div class="scroll" role="region" aria-label="Certificates" tabindex="0">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Host</th>
                  <th scope="col">Valid</th>
                  <th scope="col">From</th>
                  <th scope="col">Issuer</th>
                  <th scope="col">Next</th>
                </tr>
              </thead>
              <tbody>
                ${certificates.map((each) => html`<${Line} certificate=${each} />`)}
              </tbody>
            </table>
          </div>`
    }
  </div>`;
}

/**
 * @param {object} props
 * @param {Certificate} props.certificate
 */
function Line({ certificate }) {
  const { name, routed, daysLeft, source, authority, issuer, key, renewal, underway, problem } =
    certificate;
  return html`<tr>
    <th scope="row">${name} ${!routed && html`<small class="quiet">no route</small>`}</th>
    <td>
      <${Mark} sign=${signOf(certificate)} /> ${leftOf(daysLeft)}
      ${problem && html`<p class="why">${problem}</p>`}
    </td>
    <td>${authority || (SOURCES[source] ?? source)}</td>
    <td>${issuer || "–"} ${key && html`<small class="quiet">${key}</small>`}</td>
    <td>${underway ? "asked for now" : renewal === null ? "–" : day(renewal)}</td>
  </tr>`;
}

/**
 * @param {Certificate} certificate
 * @returns {import("./mark.js").Sign}
 */
function signOf({ daysLeft, problem, source }) {
  if (source === "none" || source === "self-signed" || (daysLeft ?? -1) < 0) return "down";
  return problem !== "" || (daysLeft ?? 0) < SOON ? "partly" : "up";
}

/** @param {number | null} days */
function leftOf(days) {
  if (days === null) return "no certificate";
  return days < 0 ? `ended ${count(-days, "day")} ago` : `${count(days, "day")} left`;
}

/** @param {string} time */
function day(time) {
  return new Date(time).toLocaleDateString("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
  });
}
