// Takes servers out of a configuration, as text. The template does not matter.

import { parseConfig, splitWords, withoutComment } from "./sections.ts";
import { createDefaultsLookup, isServerLine, serversOf } from "./servers.ts";
import type { ServerLine } from "./operations.ts";

/**
 * Marks servers as `disabled`: HAProxy sends them nothing, and their routes stay. A line that is
 * changed loses its comment. All other lines stay as they are.
 * @param mustGo whether a server is to be taken out
 */
export function disableServers(config: string, mustGo: (server: ServerLine) => boolean): string {
  const sections = parseConfig(config);
  const defaultLines = createDefaultsLookup(sections);
  const texts = sections.map((section) => {
    if (!section.lines.some(isServerLine)) return section.text;
    const gone = serversOf(section, defaultLines(section)).filter(
      (server) => !server.disabled && mustGo(server),
    );
    const names = new Set(gone.map(({ name }) => name));
    if (names.size === 0) return section.text;
    const lines = section.text.split("\n");
    return lines.map((line) => (names.has(nameOf(line)) ? disabled(line) : line)).join("\n");
  });
  // What stands before the first section belongs to none.
  const start = config.length - sections.reduce((sum, { text }) => sum + text.length, 0);
  return config.slice(0, start) + texts.join("");
}

/** The name of the server of a line; empty if the line is none. */
function nameOf(line: string): string {
  const [word, name = ""] = splitWords(line);
  return word === "server" ? name : "";
}

function disabled(line: string): string {
  const [indent = ""] = /^\s*/.exec(line) ?? [];
  return `${indent}${withoutComment(line)} disabled`;
}
