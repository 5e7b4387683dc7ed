// HAProxy's configuration as text: its sections, its words, and the few things read from it.

/** A section with its lines, without comments, blanks as one space. */
export interface Section {
  /** `global`, `frontend`, `backend` ... */
  readonly kind: string;
  /** Empty for a section without a name. */
  readonly name: string;
  /** The line that opens it, such as `backend foo:bar from gateway-backend`. */
  readonly head: string;
  readonly lines: readonly string[];
}

/** The words that open a section: configuration manual, chapters 3, 4 and 12. */
const SECTION_WORDS = new Set(
  (
    "global defaults frontend backend listen peers resolvers userlist mailers cache http-errors " +
    "ring log-forward log-profile program fcgi-app crt-store traces acme healthcheck namespace_list"
  ).split(" "),
);

/** Splits a configuration into its sections, in their order. */
export function parseConfig(text: string): Section[] {
  const sections: { kind: string; name: string; head: string; lines: string[] }[] = [];
  for (const raw of text.split("\n")) {
    const words = scanWords(raw);
    const [kind = "", name = ""] = words.map(({ value }) => value);
    if (words.length === 0) continue;
    // As it stands there: two lines that only quote differently are worth a reload, not a thought.
    const line = words.map(({ source }) => source).join(" ");
    if (SECTION_WORDS.has(kind)) sections.push({ kind, name, head: line, lines: [] });
    else {
      // A line before any section (`.if`, a presetenv) still is part of what HAProxy reads.
      if (sections.length === 0) sections.push({ kind: "", name: "", head: "", lines: [] });
      sections.at(-1)?.lines.push(line);
    }
  }
  return sections;
}

/** The path of the configuration's first `stats socket` on a unix socket; undefined without one. */
export function statsSocket(text: string): string | undefined {
  for (const words of globalLines(text)) {
    const [first, second, address = ""] = words;
    if (first !== "stats" || second !== "socket") continue;
    const path = address.replace(/^unix@/, "");
    if (path.startsWith("/")) return path;
  }
  return undefined;
}

/** The path of the file that server states are loaded from; undefined without one. */
export function serverStateFile(text: string): string | undefined {
  const lines = globalLines(text);
  const path = lines.find(([first]) => first === "server-state-file")?.[1];
  const base = lines.find(([first]) => first === "server-state-base")?.[1];
  if (path === undefined || path.startsWith("/")) return path;
  return base === undefined ? undefined : `${base}/${path}`;
}

/** The `server` lines of a configuration as words, each with its backend's name. */
export function serverLines(text: string): { backend: string; words: readonly string[] }[] {
  return parseConfig(text)
    .filter(({ kind }) => kind === "backend" || kind === "listen")
    .flatMap(({ name, lines }) => lines.map((line) => ({ backend: name, words: splitWords(line) })))
    .filter(({ words }) => words[0] === "server");
}

function globalLines(text: string): string[][] {
  return parseConfig(text)
    .filter(({ kind }) => kind === "global")
    .flatMap(({ lines }) => lines.map(splitWords));
}

/** The words of a line, without quotes, escapes and comment. */
export function splitWords(line: string): string[] {
  return scanWords(line).map(({ value }) => value);
}

/**
 * The words of a line as HAProxy reads them (`value`) and as they stand there (`source`).
 * Source: configuration manual, section 2.2 (Quoting and escaping).
 */
function scanWords(line: string): { readonly value: string; readonly source: string }[] {
  const words: { value: string; source: string }[] = [];
  let word: { value: string; source: string } | undefined;
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    let char = line.charAt(index);
    if (quote === "" && char === "#") break;
    if (quote === "" && /\s/.test(char)) {
      word = undefined;
      continue;
    }
    if (word === undefined) words.push((word = { value: "", source: "" }));
    if (char === "\\" && quote !== "'") char += line.charAt(++index);
    word.source += char;
    if (char === quote) quote = "";
    else if (quote === "" && (char === '"' || char === "'")) quote = char;
    else word.value += char.length === 2 ? char.charAt(1) : char;
  }
  return words;
}
