// The page: what stands around the views, and which one is shown.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useAddress } from "./address.js";
import { Certificates } from "./certificates.js";
import { ChangeLines } from "./change-lines.js";
import { FailureLines } from "./failure-lines.js";
import { Head } from "./head.js";
import { html } from "./html.js";
import { useKnown } from "./known.js";
import { count } from "./numbers.js";
import { NotRouted } from "./not-routed.js";
import { Notices } from "./notices.js";
import { RouteView } from "./route-view.js";
import { RoutesView } from "./routes-view.js";
import { watch } from "./watch.js";

/** @type {Readonly<Record<import("./address.js").ViewName, string>>} */
const TITLES = {
  routes: "Routes",
  route: "Route",
  changes: "Changes",
  "not-routed": "Not routed",
  failures: "Failed requests",
  certificates: "Certificates",
};

function App() {
  const address = useAddress();
  const known = useKnown();
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const { view, route } = address;
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${route || TITLES[view]} · docker-api-gateway`;
    // Who uses a keyboard or a screen reader goes on in the new view.
    if (!isFirst.current) {
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [view, route]);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Head} view=${view} known=${known} />
    <${Notices} known=${known} />
    <main id="main" tabindex="-1" ref=${main}>${viewOf(address, known)}</main>
    <${Foot} state=${known.state} />`;

  /** @param {Event} event */
  function skip(event) {
    event.preventDefault();
    main.current?.focus();
  }
}

/**
 * @param {import("./address.js").Address} address
 * @param {import("./known.js").Known} known
 */
function viewOf({ view, route }, known) {
  const { state, changes, certificates, failures } = known;
  if (state === undefined) {
    return html`<p class="none" aria-busy="true">Asking the gateway …</p>`;
  }
  switch (view) {
    case "route":
      return html`<${RouteView} key=${route} route=${route} state=${state} known=${known} />`;
    case "changes":
      return html`<div class="view">
        <h1>Changes</h1>
        <${ChangeLines} changes=${changes.slice(0, SHOWN)} />
      </div>`;
    case "not-routed":
      return html`<${NotRouted} state=${state} />`;
    case "failures":
      return html`<div class="view">
        <h1>Failed requests</h1>
        ${failures && html`<${FailureLines} failures=${failures.failures} isWhole />`}
      </div>`;
    case "certificates":
      return certificates && html`<${Certificates} document=${certificates} />`;
    case "routes":
      return html`<${RoutesView} state=${state} known=${known} />`;
  }
}

/** So many changes can be drawn without a pause; the rest is in the log. */
const SHOWN = 200;

/**
 * @param {object} props
 * @param {import("./known.js").State} [props.state]
 */
function Foot({ state }) {
  if (state === undefined) return undefined;
  const { gateway, engine, haproxy, counters } = state;
  const started = new Date(gateway.started).toLocaleString("en-GB", {
    dateStyle: "medium",
    timeStyle: "short",
  });
  return html`<footer>
    <span>docker-api-gateway ${gateway.version}</span>
    <span>HAProxy ${haproxy.version ?? "–"}</span>
    <span class="engine">${engine.name}</span>
    <span>running since ${started}</span>
    <span>
      ${count(counters.runtimeChanges, "change")} without a reload,
      ${" "}${count(counters.reloads, "reload")}
    </span>
  </footer>`;
}

const root = document.getElementById("app");
if (root !== null) render(html`<${App} />`, root);
watch();
