// What who is new here does next: nothing is served yet.

import { html } from "./html.js";
import { count } from "./numbers.js";

/**
 * @param {object} props
 * @param {import("./known.js").State} props.state
 */
export function Empty({ state: { notRouted, gateway, engine } }) {
  const { listen } = gateway.options;
  const [at = "*:80"] = Array.isArray(listen) ? listen : [];
  const port = /:(\d+)$/.exec(at)?.[1] ?? "80";
  const url = `http://${location.hostname || "localhost"}${port === "80" ? "" : `:${port}`}/nginx/`;
  return html`<div class="view narrow empty">
    <h1>Nothing is served yet</h1>
    ${
      engine.connected
        ? html`<p>
              The gateway watches Docker, and HAProxy is ready. Start a container: its route is here
              as soon as it answers, without a reload of this page.
            </p>
            <ol class="steps">
              <li>
                <p>Run something that speaks HTTP. It takes no published port and no label.</p>
                <pre>docker run -d --name hello nginx</pre>
              </li>
              <li>
                <p>Ask for it by the name of its image.</p>
                <pre>curl ${url}</pre>
              </li>
              <li>
                <p>Serve it at a host of its own, once it has one.</p>
                <pre>docker run -d --label ${gateway.labelPrefix}host=hello.example.com nginx</pre>
              </li>
            </ol>`
        : html`<p>
            Docker does not answer at <b>${engine.name}</b>. Once it does, whatever runs there is
            served, and is here.
          </p>`
    }
    ${
      notRouted.length > 0 &&
      html`<p class="hint">
        ${count(notRouted.length, "container")} ${notRouted.length === 1 ? "is" : "are"} there and
        not routed:${" "}
        <a href="#/not-routed">see why</a>.
      </p>`
    }
  </div>`;
}
