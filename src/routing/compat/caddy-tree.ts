// Reads the labels of caddy-docker-proxy as the blocks of a Caddyfile.

import { compare } from "../../lib/text.ts";
import type { Theirs } from "./notes.ts";

/** A directive, with what is in its block. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  readonly theirs: Theirs;
  /** Whether a template in its value is not understood. */
  readonly isTemplate: boolean;
  /** In the order of Caddy: by their numbers, then by name. */
  readonly block: readonly Directive[];
}

/** A directive while it is read. */
interface Open {
  name: string;
  order: number;
  args: readonly string[];
  theirs: Theirs;
  isTemplate: boolean;
  readonly children: Map<string, Open>;
}

/** The base of a block: `caddy`, `caddy_0`. */
const BASE = /^caddy(_\d+)?(?=\.|$)/;
const SEGMENT = /^(?:(\d+)_)?(.+?)(?:_(\d+))?$/s;
/** Blocks in blocks. */
const DEEPEST = 12;

/** Whether a label is one of caddy-docker-proxy's. */
export function isOfCaddy(label: string): boolean {
  return label.startsWith("caddy") && (BASE.test(label) || label === "caddy_ingress_network");
}

/** The blocks of all labels, one for each base. */
export function readCaddyBlocks(labels: Readonly<Record<string, string>>): readonly Directive[] {
  const bases = new Map<string, Open>();
  const ordered = Object.keys(labels).filter((label) => BASE.test(label));
  for (const label of ordered.toSorted(compare)) {
    const value = labels[label] ?? "";
    const [first = "", ...segments] = splitLabel(label).slice(0, DEEPEST);
    // A block that has no label of its own is told of by the first one in it.
    const theirs = { label, value };
    let open = childOf(bases, first, theirs);
    for (const segment of segments) open = childOf(open.children, segment, theirs);
    const { args, isTemplate } = readArguments(value);
    open.theirs = theirs;
    open.args = args;
    open.isTemplate = isTemplate;
  }
  return [...bases.values()].map(close);
}

/** The parts between the dots. A dot after a backslash belongs to its part. */
function splitLabel(label: string): readonly string[] {
  return label.split(/(?<!\\)\./).map((part) => part.replaceAll("\\.", "."));
}

function childOf(children: Map<string, Open>, segment: string, theirs: Theirs): Open {
  const known = children.get(segment);
  if (known !== undefined) return known;
  const [, order, name = segment] = SEGMENT.exec(segment) ?? [];
  const child: Open = {
    name,
    order: order === undefined ? Infinity : Number(order),
    args: [],
    theirs,
    isTemplate: false,
    children: new Map(),
  };
  children.set(segment, child);
  return child;
}

function close({ name, args, theirs, isTemplate, children }: Open): Directive {
  const block = [...children.values()]
    .toSorted((a, b) => (a.order === b.order ? compare(a.name, b.name) : a.order - b.order))
    .map(close);
  return { name, args, theirs, isTemplate, block };
}

/** What stands for the container itself. */
export interface Upstreams {
  readonly scheme: string | undefined;
  readonly port: string | undefined;
}

/** Its inside has no bracket pair, so that reading takes no longer than the text is long. */
const TEMPLATE = /\{\{((?:(?!\{\{|\}\}).)*)\}\}/gs;
const CALL = /^-?\s*upstreams((?:\s+(?:"?(?:http|https|h2c)"?|\d{1,5}))*)\s*-?$/;
/** A word that no Caddyfile has: it takes the place of the template. */
const MARK = "{upstreams";

/** The container itself in an argument; undefined for anything else. */
export function toUpstreams(argument: string): Upstreams | undefined {
  const [, scheme, port] = /^\{upstreams:(\w*):(\d*)\}$/.exec(argument) ?? [];
  if (scheme === undefined) return undefined;
  return { scheme: scheme === "" ? undefined : scheme, port: port === "" ? undefined : port };
}

function readArguments(text: string): Pick<Directive, "args" | "isTemplate"> {
  let isTemplate = false;
  const filled = text.replaceAll(TEMPLATE, (_, inner: string) => {
    const words = CALL.exec(inner.trim())?.[1]?.match(/\w+/g);
    if (words !== undefined || CALL.test(inner.trim())) {
      const scheme = words?.find((word) => !/^\d+$/.test(word)) ?? "";
      const port = words?.find((word) => /^\d+$/.test(word)) ?? "";
      return `${MARK}:${scheme}:${port}}`;
    }
    // This is how a label without a value is written where none may be empty.
    if (/^\s*""\s*$/.test(inner)) return "";
    isTemplate = true;
    return "";
  });
  return { args: toWords(filled), isTemplate: isTemplate || filled.includes("{{") };
}

/** The words of a line. Quotes of both kinds hold one word together. */
function toWords(text: string): readonly string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length;) {
    const first = text[at] ?? "";
    if (/\s/.test(first)) {
      at++;
      continue;
    }
    const end = endOfWord(text, at, first);
    const isQuoted = QUOTES.has(first);
    const word = isQuoted ? text.slice(at + 1, end) : text.slice(at, end);
    words.push(first === '"' ? word.replaceAll('\\"', '"') : word);
    at = isQuoted ? end + 1 : end;
  }
  return words;
}

const QUOTES = new Set(['"', "`"]);

/** Where a word ends that begins at a place. One whose quote is not closed goes on to the end. */
function endOfWord(text: string, start: number, first: string): number {
  const isQuoted = QUOTES.has(first);
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (isQuoted ? character === first : /\s/.test(character)) return at;
    if (first === '"' && character === "\\") at++;
  }
  return text.length;
}
