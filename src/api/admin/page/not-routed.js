// What is not routed, why, and what to do.

import { Explanation } from "./explanation.js";
import { html } from "./html.js";
import { Mark } from "./mark.js";

/** @typedef {import("./known.js").State} State */

/**
 * Says what is not as somebody wants it.
 * @param {State} state
 */
export function wrongOf({ notRouted, refusals, warnings }) {
  const containers = notRouted.filter(({ expected }) => !expected);
  const isOut = new Set(containers.map(({ id }) => id));
  // Of a container that is not routed at all the reason is told there.
  const routes = refusals.filter((each) => !each.containers.every((id) => isOut.has(id)));
  const count = containers.length + routes.length + warnings.length;
  return { containers, routes, warnings, count };
}

/**
 * @param {object} props
 * @param {State} props.state
 */
export function NotRouted({ state }) {
  const { containers, routes, warnings, count } = wrongOf(state);
  const right = state.notRouted.filter(({ expected }) => expected);
  return html`<div class="view narrow">
    <h1>Not routed</h1>
    ${count === 0 && html`<p class="none">Whatever asks to be served is served.</p>`}
    ${
      containers.length > 0 &&
      html`<section aria-labelledby="wrong">
        <h2 id="wrong">Containers without a route</h2>
        <${Containers} containers=${containers} sign="down" />
      </section>`
    }
    ${
      routes.length > 0 &&
      html`<section aria-labelledby="refused">
        <h2 id="refused">Routes that containers ask for and do not have</h2>
        <ul class="cards">
          ${routes.map(
            ({ route, reason }) =>
              html`<li class="card">
                <${Mark} sign="partly" />
                <div>
                  <b>${route}</b>
                  <p>${reason}</p>
                </div>
              </li>`,
          )}
        </ul>
      </section>`
    }
    ${
      warnings.length > 0 &&
      html`<section aria-labelledby="warnings">
        <h2 id="warnings">What works, but is probably a mistake</h2>
        <ul class="cards">
          ${warnings.map(
            (text) =>
              html`<li class="card">
                <${Mark} sign="partly" />
                <p>${text}</p>
              </li>`,
          )}
        </ul>
      </section>`
    }
    ${
      right.length > 0 &&
      html`<section aria-labelledby="right">
        <h2 id="right">Left out as they should be</h2>
        <${Containers} containers=${right} sign="none" />
      </section>`
    }
  </div>`;
}

/**
 * @param {object} props
 * @param {State["notRouted"]} props.containers
 * @param {import("./mark.js").Sign} props.sign
 */
function Containers({ containers, sign }) {
  return html`<ul class="cards">
    ${containers.map(({ id, container, image, reason }) => {
      const [why, ...rest] = reason.split("; ");
      return html`<li class="card" key=${id}>
        <${Mark} sign=${sign} />
        <div>
          <b>${container}</b> <span class="quiet">${image}</span>
          <p>${why}</p>
          ${rest.length > 0 && html`<p class="to-do"><b>What to do:</b> ${rest.join("; ")}</p>`}
          <${Explanation} kind="container" word=${id} title=${`Explain ${container}`} />
        </div>
      </li>`;
    })}
  </ul>`;
}
