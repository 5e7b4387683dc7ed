// A route's own view: its containers, its labels, what went on and what happened.

import { useEffect, useMemo, useState } from "preact/hooks";
import { ask } from "./asking.js";
import { ChangeLines } from "./change-lines.js";
import { FailureLines } from "./failure-lines.js";
import { Explanation } from "./explanation.js";
import { html } from "./html.js";
import { Mark, signOf } from "./mark.js";
import { span } from "./numbers.js";
import { rowsOf } from "./rows.js";
import { Traffic } from "./traffic.js";
import { FINE, want } from "./watch.js";

/** @typedef {import("./rows.js").Row} Row */
/** @typedef {import("./known.js").Change} Change */

/**
 * @param {object} props
 * @param {string} props.route
 * @param {import("./known.js").State} props.state
 * @param {import("./known.js").Known} props.known
 */
export function RouteView({ route, state, known: { changes, series, traffic, failures } }) {
  const row = useMemo(() => rowsOf(state).find((each) => each.route === route), [state, route]);
  const backend = row?.service.backend;
  useEffect(() => want(backend === undefined ? [] : [backend], FINE), [backend]);
  const points = series.get(backend ?? "");
  return html`<div class="view">
    <p class="back"><a href="#/">← All routes</a></p>
    <h1 class="route-title">${route}</h1>
    ${
      row === undefined
        ? html`<p class="none">There is no such route now. What happened to it is below.</p>`
        : html`<p class="verdict-line">
            <${Mark} sign=${row.health} /> ${row.words}
            <span class="quiet">service ${row.service.name}</span>
          </p>`
    }
    ${
      row &&
      points &&
      traffic &&
      html`<${Traffic} points=${points} every=${FINE} until=${traffic.until} />`
    }
    ${row && html`<${Facts} row=${row} />`}
    ${
      row &&
      failures?.kept &&
      html`<section aria-labelledby="failed">
        <h2 id="failed">Requests that failed</h2>
        <${FailureLines}
          failures=${failures.failures.filter(({ service }) => service === row.service.name)}
        />
      </section>`
    }
    <section aria-labelledby="history">
      <h2 id="history">What happened</h2>
      <${ChangeLines} changes=${changesOf(changes, route, row).slice(0, 50)} />
    </section>
  </div>`;
}

/**
 * The changes of a route and of its containers.
 * @param {readonly Change[]} changes
 * @param {string} route
 * @param {Row | undefined} row
 */
function changesOf(changes, route, row) {
  const ids = new Set(row?.members.map(({ id }) => id));
  return changes.filter((change) => change.route === route || ids.has(change.containerId ?? ""));
}

/**
 * @param {object} props
 * @param {Row} props.row
 */
function Facts({ row: { route, members, service, place } }) {
  const said = [...place.rules, ...service.settings];
  const others = service.routes.filter((each) => each.route !== route).map((each) => each.route);
  const [first] = members;
  return html`<div class="columns even">
    <section aria-labelledby="containers">
      <h2 id="containers">Containers</h2>
      ${
        members.length === 0
          ? html`<p class="none">There is none now.</p>`
          : html`<ul class="cards">
              ${members.map((member) => html`<${Container} key=${member.id} member=${member} />`)}
            </ul>`
      }
    </section>
    <section aria-labelledby="labels">
      <h2 id="labels">What labels say</h2>
      ${
        said.length === 0
          ? html`<p class="none">Nothing: everything is as it is by default.</p>`
          : html`<ul class="said">
              ${said.map((text) => html`<li>${text}</li>`)}
            </ul>`
      }
      <dl class="facts">
        <dt>prefix</dt>
        <dd>${prefixOf(place)}</dd>
        ${
          others.length > 0 &&
          html`<dt>also at</dt>
            <dd>${others.join(", ")}</dd>`
        }
      </dl>
      ${
        first !== undefined &&
        first.image !== "" &&
        html`<${Labels} key=${first.id} id=${first.id} name=${first.container} />`
      }
      ${isUrl(route) && html`<${Explanation} kind="url" word=${route} title="Explain this route" />`}
    </section>
  </div>`;
}

/** @param {Row["place"]} place */
function prefixOf({ path, strip, rewrite, tcp }) {
  if (tcp !== null) return "none: bytes are forwarded as they are";
  if (path === "/" || !strip) return "stays";
  return rewrite === "" ? `${path} is taken off` : `${path} becomes ${rewrite}`;
}

/** What stands for many hosts is not a URL. @param {string} route */
function isUrl(route) {
  return /^(\/|https?:)/.test(route) && !route.includes("*");
}

/**
 * @param {object} props
 * @param {import("./rows.js").Member} props.member
 */
function Container({ member }) {
  const { id, container, image, address, state, why, since, backup } = member;
  return html`<li class="card">
    <${Mark} sign=${signOf(state)} />
    <div>
      <b>${container}</b> <span class="quiet">${image}</span>
      <p>
        ${state}${since === undefined ? "" : ` for ${span(since)}`}${backup ? ", stands in for others" : ""}
        ${address && html` <span class="quiet address">${address}</span>`}
      </p>
      ${why && html`<p class="why">${why}</p>`}
      ${
        image !== "" &&
        html`<${Explanation} kind="container" word=${id} title=${`Explain ${container}`} />`
      }
    </div>
  </li>`;
}

/**
 * How a container is served, as labels.
 * @param {object} props
 * @param {string} props.id
 * @param {string} props.name
 */
function Labels({ id, name }) {
  const [text, setText] = useState("");
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (!isOpen) return undefined;
    const end = new AbortController();
    /** @type {Promise<{ text: string }>} */
    const answer = ask(
      `v1/explain?${new URLSearchParams({ container: id, as: "labels" })}`,
      end.signal,
    );
    void answer
      .catch((error) => ({ text: String(error.message) }))
      .then((told) => end.signal.aborted || setText(told.text));
    return () => end.abort();
  }, [isOpen, id]);
  return html`<details
    onToggle=${(/** @type {Event} */ event) =>
      setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}
  >
    <summary>${name} as labels of a compose file</summary>
    <pre>${text}</pre>
  </details>`;
}
