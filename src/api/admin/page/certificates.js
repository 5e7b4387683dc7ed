// The certificates that clients see, and how long they are valid.

import { html } from "./html.js";
import { Mark } from "./mark.js";
import { count } from "./numbers.js";

/** @typedef {import("./known.js").Certificates} Document */
/** @typedef {Document["certificates"][number]} Certificate */

/** The last third of a short-lived certificate; authorities renew before. In days. */
const SOON = 7;

const COLUMNS = ["Host", "Valid", "From", "Issuer", "Renewal"];

/** @type {Readonly<Record<string, string>>} */
const SOURCES = { file: "a file", "self-signed": "the gateway itself", none: "" };

/**
 * @param {object} props
 * @param {Document} props.document
 */
export function Certificates({ document: { certificates, warnings } }) {
  return html`<div class="view">
    <h1>Certificates</h1>
    ${warnings.map(
      (text) => html`<p class="notice mild"><${Mark} sign="partly" /><span>${text}</span></p>`,
    )}
    ${
      certificates.length === 0
        ? html`<p class="none">No host has a route or a certificate yet.</p>`
        : html`<div class="table" role="table" aria-label="Certificates">
            <div role="rowgroup">
              <div class="table-head" role="row">
                ${COLUMNS.map((title) => html`<span role="columnheader">${title}</span>`)}
              </div>
            </div>
            <div role="rowgroup">
              ${certificates.map((each) => html`<${Line} certificate=${each} />`)}
            </div>
          </div>`
    }
  </div>`;
}

/**
 * @param {object} props
 * @param {Certificate} props.certificate
 */
function Line({ certificate }) {
  const { name, routed, source, authority, issuer, key, renewal, underway, problem } = certificate;
  return html`<div class="table-line" role="row">
    <b role="rowheader">${name} ${!routed && html`<small class="quiet">no route</small>`}</b>
    <span role="cell">
      <${Mark} sign=${signOf(certificate)} /> ${leftOf(certificate)}
      ${problem && html`<small class="why">${problem}</small>`}
    </span>
    ${cell("From", authority || (SOURCES[source] ?? source))}
    ${cell("Issuer", issuer && html`${issuer} <small class="quiet">${key}</small>`)}
    ${cell("Renewal", underway ? "asked for now" : renewal && day(renewal))}
  </div>`;
}

/**
 * @param {string} title of its column, for where there is no room for a head
 * @param {unknown} content empty or null: there is none
 */
function cell(title, content) {
  return content
    ? html`<span role="cell"><small class="label">${title} </small>${content}</span>`
    : html`<span role="cell" class="is-empty">–</span>`;
}

/**
 * @param {Certificate} certificate
 * @returns {import("./mark.js").Sign}
 */
function signOf({ daysLeft, problem, source }) {
  if (source === "none" || source === "self-signed" || (daysLeft ?? -1) < 0) return "down";
  return problem !== "" || (daysLeft ?? 0) < SOON ? "partly" : "up";
}

/** @param {Certificate} certificate */
function leftOf({ daysLeft: days, source }) {
  if (source === "self-signed") return "self-signed";
  if (days === null) return "none";
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
