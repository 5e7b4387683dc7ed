// The switch of the theme: as the system has it, light or dark. The browser remembers the choice.

import { useState } from "preact/hooks";
import { html } from "./html.js";

/** @typedef {"system" | "light" | "dark"} ThemeName */

/** @type {readonly (readonly [ThemeName, string, unknown])[]} */
const THEMES = [
  [
    "system",
    "As the system has it",
    html`<circle cx="8" cy="8" r="5.5" class="outline" /><path d="M8 2.5a5.5 5.5 0 0 1 0 11z" />`,
  ],
  [
    "light",
    "Light",
    html`<circle cx="8" cy="8" r="3.2" /><path
        class="outline"
        d="M8 1v2m0 10v2M1 8h2m10 0h2M3.1 3.1l1.4 1.4m7 7 1.4 1.4m0-9.8-1.4 1.4m-7 7-1.4 1.4"
      />`,
  ],
  ["dark", "Dark", html`<path d="M13.6 10.2A6.2 6.2 0 0 1 5.8 2.4a6.2 6.2 0 1 0 7.8 7.8z" />`],
];

export function Theme() {
  const [theme, setTheme] = useState(document.documentElement.dataset["theme"] ?? "system");
  /** @param {ThemeName} name */
  const choose = (name) => {
    document.documentElement.dataset["theme"] = name;
    localStorage.setItem("theme", name);
    setTheme(name);
  };
  return html`<fieldset class="choice theme">
    <legend class="unseen">Theme</legend>
    ${THEMES.map(
      ([name, title, shape]) =>
        html`<label title=${title}>
          <input
            type="radio"
            name="theme"
            checked=${theme === name}
            onChange=${() => choose(name)}
          /><span
            ><svg viewBox="0 0 16 16" aria-hidden="true">${shape}</svg
            ><span class="unseen">${title}</span></span
          >
        </label>`,
    )}
  </fieldset>`;
}
