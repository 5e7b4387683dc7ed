// Reads Traefik's rules, such as Host(`a.example.com`) && (PathPrefix(`/x`) || PathPrefix(`/y`)), as
// pairs of host and path.

import { hostIsWithin, isWithin, toHost, toPath } from "./values.ts";
import type { Pair } from "./routes.ts";

interface RulePair extends Pair {
  /** Whether only the path itself is meant, and nothing below it. */
  readonly exact: boolean;
}

/** What a rule says. */
export interface Rule {
  readonly pairs: readonly RulePair[];
  /** What is not understood. The parts of the rule that need it are not in the pairs. */
  readonly lost: readonly string[];
}

/** Why a rule is not understood at all. */
export interface BadRule {
  readonly reason: string;
}

/** The kinds of conditions that become a host or a path, by their names in lower case. */
export type Matchers = Readonly<Record<string, "host" | "prefix" | "path">>;

const HTTP_MATCHERS: Matchers = {
  host: "host",
  hostheader: "host",
  pathprefix: "prefix",
  path: "path",
};
export const TCP_MATCHERS: Matchers = { hostsni: "host" };

/** A longer rule is a mistake, or an attack on whoever reads it. */
const LONGEST_RULE = 8_192;
/** More pairs than a container has any use for. */
const MOST_PAIRS = 64;
/** Brackets in brackets, and `!` before `!`. */
const DEEPEST = 32;

/** Reads a rule of Traefik 2 or 3. In that of version 2, a condition may have several values. */
export function parseRule(text: string, matchers: Matchers = HTTP_MATCHERS): Rule | BadRule {
  if (text.length > LONGEST_RULE) return { reason: `it is longer than ${LONGEST_RULE} characters` };
  try {
    const tokens = tokenize(text);
    const reader = new RuleReader(tokens, matchers);
    return toRule(reader.read());
  } catch (error) {
    if (error instanceof RuleError) return { reason: error.message };
    throw error;
  }
}

class RuleError extends Error {}

type Token =
  | { readonly kind: "name" | "string"; readonly text: string }
  | { readonly kind: "(" | ")" | "," | "!" | "&&" | "||" | "end" };

/** One token at the place where the last one ended. */
const TOKEN =
  /\s*(?:(?<name>[A-Za-z_]\w*)|`(?<raw>[^`]*)`|"(?<quoted>(?:[^"\\\n]|\\[^\n])*)"|(?<mark>&&|\|\||[(),!]))/y;

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw new RuleError(describeRest(text.slice(at).trimStart()));
    const { name, raw, quoted, mark } = groups;
    if (name !== undefined) tokens.push({ kind: "name", text: name });
    else if (raw !== undefined) tokens.push({ kind: "string", text: raw });
    else if (quoted !== undefined) tokens.push({ kind: "string", text: unescape(quoted) });
    else tokens.push({ kind: mark as "(" });
  }
  return [...tokens, { kind: "end" }];
}

function describeRest(rest: string): string {
  if (rest.startsWith("'")) return "a value stands in backquotes or double quotes";
  if (rest.startsWith("`") || rest.startsWith('"')) return "a quote is not closed";
  return `"${rest.slice(0, 20)}" is no part of a rule`;
}

/** What may stand after a backslash in a text of Go, but for numbers. */
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  '"': '"',
};

function unescape(text: string): string {
  return text.replaceAll(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))/g,
    (_, byte, code, mark) => {
      const number: string | undefined = byte ?? code;
      if (number !== undefined) return String.fromCharCode(parseInt(number, 16));
      const meant = ESCAPES[String(mark)];
      if (meant === undefined) throw new RuleError(`"\\${String(mark)}" is no escape`);
      return meant;
    },
  );
}

/** A condition that all requests of some pair fulfil. What is empty or missing is any. */
interface Term {
  readonly host?: string;
  readonly path?: string;
  readonly exact?: boolean;
  /** A condition that is not understood. */
  readonly lost?: string;
}

/** Reads the tokens as a list of terms, one of which must hold. */
class RuleReader {
  readonly #tokens: readonly Token[];
  readonly #matchers: Matchers;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], matchers: Matchers) {
    this.#tokens = tokens;
    this.#matchers = matchers;
  }

  read(): readonly Term[] {
    const terms = this.#either();
    if (this.#next.kind !== "end") throw new RuleError(`${wordOf(this.#next)} is not expected`);
    return terms;
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: "end" };
  }

  #take(kind: Token["kind"]): Token {
    const token = this.#next;
    if (token.kind !== kind)
      throw new RuleError(`${wordOf(token)} stands where ${kind} is expected`);
    this.#at++;
    return token;
  }

  #skip(kind: Token["kind"]): boolean {
    if (this.#next.kind !== kind) return false;
    this.#at++;
    return true;
  }

  #either(): readonly Term[] {
    let terms = this.#all();
    while (this.#skip("||")) terms = bounded([...terms, ...this.#all()]);
    return terms;
  }

  #all(): readonly Term[] {
    let terms = this.#one();
    while (this.#skip("&&")) {
      const others = this.#one();
      terms = bounded(terms.flatMap((a) => others.flatMap((b) => both(a, b))));
    }
    return terms;
  }

  #one(): readonly Term[] {
    if (++this.#depth > DEEPEST) throw new RuleError("its brackets are too deep");
    try {
      if (this.#skip("!")) {
        this.#one();
        return [{ lost: "!" }];
      }
      if (this.#skip("(")) {
        const terms = this.#either();
        this.#take(")");
        return terms;
      }
      return this.#condition();
    } finally {
      this.#depth--;
    }
  }

  #condition(): readonly Term[] {
    const token = this.#take("name");
    const name = "text" in token ? token.text : "";
    this.#take("(");
    const values: string[] = [];
    do {
      const value = this.#take("string");
      if ("text" in value) values.push(value.text);
    } while (this.#skip(","));
    this.#take(")");
    if (values.includes("")) throw new RuleError(`${name} has an empty value`);
    const known = Object.hasOwn(this.#matchers, name.toLowerCase());
    const kind = known ? this.#matchers[name.toLowerCase()] : undefined;
    return bounded(values.map((value) => toTerm(name, kind, value)));
  }
}

function wordOf(token: Token): string {
  if (token.kind === "end") return "the end";
  return token.kind === "string" ? "a value" : "text" in token ? token.text : token.kind;
}

function tooMany(): RuleError {
  return new RuleError(`it has more than ${MOST_PAIRS} pairs of host and path`);
}

function bounded(terms: readonly Term[]): readonly Term[] {
  const distinct = new Map(terms.map((term) => [JSON.stringify(term), term]));
  if (distinct.size > MOST_PAIRS) throw tooMany();
  return [...distinct.values()];
}

function toTerm(name: string, kind: Matchers[string] | undefined, value: string): Term {
  if (kind === undefined) return { lost: name };
  if (kind === "host") {
    if (value === "*") return {};
    const host = toHost(value);
    return host === undefined ? { lost: `the host ${value}` } : { host };
  }
  const path = toPath(value);
  if (path === undefined) return { lost: `the path ${value}` };
  if (kind === "prefix") return { path };
  // There is no route for "/" alone: its prefix is everything.
  return path === "/" ? { lost: `${name} of / alone` } : { path, exact: true };
}

/** What holds where both hold; empty if they exclude each other. */
function both(a: Term, b: Term): readonly Term[] {
  const host = narrower(a.host, b.host, hostIsWithin);
  const [longer, shorter] = (a.path ?? "").length >= (b.path ?? "").length ? [a, b] : [b, a];
  const fits =
    shorter.path === undefined ||
    shorter.path === longer.path ||
    (shorter.exact !== true && isWithin(longer.path ?? "/", shorter.path));
  if (host === undefined || !fits) return [];
  const lost = a.lost ?? b.lost;
  const exact = longer.exact === true || (shorter.exact === true && shorter.path === longer.path);
  return [
    {
      ...(host === "" ? {} : { host }),
      ...(longer.path === undefined ? {} : { path: longer.path }),
      ...(exact ? { exact } : {}),
      ...(lost === undefined ? {} : { lost }),
    },
  ];
}

/** The narrower of two; undefined if neither is within the other. */
function narrower(
  a: string | undefined,
  b: string | undefined,
  within: (inner: string, outer: string) => boolean,
): string | undefined {
  if (a === undefined || b === undefined) return a ?? b ?? "";
  if (a === b || within(a, b)) return a;
  return within(b, a) ? b : undefined;
}

function toRule(terms: readonly Term[]): Rule {
  const lost = new Set(terms.flatMap((term) => (term.lost === undefined ? [] : [term.lost])));
  const pairs = terms
    .filter((term) => term.lost === undefined)
    .map(({ host = "", path = "/", exact = false }) => ({ host, path, exact }));
  return { pairs, lost: [...lost] };
}
