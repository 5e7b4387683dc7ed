// Takes servers out of a configuration, and puts them back, as text. The template does not matter.

import { parseConfig, splitWords, withoutComment, type Section } from "./sections.ts";
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
    return rewriteServers(section, names, (line) => `${line} disabled`);
  });
  // What stands before the first section belongs to none.
  const start = config.length - sections.reduce((sum, { text }) => sum + text.length, 0);
  return config.slice(0, start) + texts.join("");
}

/** The text of a section with servers that are no longer `disabled`, by name. */
export function enableServers(section: Section, names: ReadonlySet<string>): string {
  return rewriteServers(section, names, (line) => line.replaceAll(/ disabled(?= |$)/g, ""));
}

/** Changes the lines of servers by name. They lose their comments. */
function rewriteServers(
  { text }: Section,
  names: ReadonlySet<string>,
  rewrite: (line: string) => string,
): string {
  if (names.size === 0) return text;
  const lines = text.split("\n").map((line) => {
    if (!names.has(nameOf(line))) return line;
    const [indent = ""] = /^\s*/.exec(line) ?? [];
    return indent + rewrite(withoutComment(line));
  });
  return lines.join("\n");
}

/** The name of the server of a line; empty if the line is none. */
function nameOf(line: string): string {
  const [word, name = ""] = splitWords(line);
  return word === "server" ? name : "";
}
