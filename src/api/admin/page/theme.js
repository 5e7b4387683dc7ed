// The switch of the theme: as the system has it, light or dark. The browser remembers the choice.

import { useState } from "preact/hooks";
import { html } from "./html.js";

/** @typedef {"system" | "light" | "dark"} ThemeName */

/** @type {readonly (readonly [ThemeName, string])[]} */
const THEMES = [
  ["system", "System"],
  ["light", "Light"],
  ["dark", "Dark"],
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
      ([name, title]) =>
        html`<label>
          <input
            type="radio"
            name="theme"
            checked=${theme === name}
            onChange=${() => choose(name)}
          /><span>${title}</span>
        </label>`,
    )}
  </fieldset>`;
}
