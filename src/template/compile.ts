// src/template turns services into the text of HAProxy's files, by Handlebars. It may import only lib
// and model.ts, and it only computes: no input or output, no clock, no environment. This file compiles
// a template and renders it.

import Handlebars from "handlebars";
import { WeakCache } from "../lib/weak-cache.ts";
import { configWord, listWord, mapWord, scriptWord, UnsafeValueError } from "./escape.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { HELPERS } from "./helpers.ts";
import { inOnePiece } from "../lib/text.ts";
import type { Asset, Files } from "../model.ts";
import { keepOrigins, keepOriginsInBlock, originsOf, withoutOrigins } from "./origin.ts";
import {
  DEFINED_HELPER,
  EACH_REMEMBERED_HELPER,
  ESCAPE_HELPER,
  TemplateRewriter,
  WITH_VALUES_HELPER,
  withValues,
} from "./rewriter.ts";

/** The first line of every configuration that the gateway writes. It marks a file as its own. */
const HEADER = "# Written by docker-api-gateway: what is changed here is overwritten.";

/** Handlebars' own blocks that test whether a text is empty. */
const CONDITION_BLOCKS = new Set(["if", "unless", "with"]);

/** A partial that a template defines itself: `{{#*inline "name"}}`. */
const INLINE_PARTIAL = /\{\{~?#\*/;

/** Whether a configuration was written by the gateway. */
export function isOwnConfig(config: string): boolean {
  return config.startsWith(HEADER);
}

export interface TemplateSource {
  /** The name of a built-in template or the path of a file, for error messages. */
  readonly name: string;
  readonly text: string;
  /** Whether it is the user's own. */
  readonly isOwn?: boolean;
}

/** A template that is ready to render any number of times. */
export interface Template {
  readonly name: string;
  /** Whether it is the user's own, which may not heed everything that labels say. */
  readonly isOwn: boolean;
  /**
   * Renders the configuration and the files that it names.
   * @param pathOf returns the path of a file that the configuration names, such as `routes.map`
   * @throws GatewayError `template` if the template fails
   * @throws UnsafeValueError if no form of a value is safe to write
   */
  render(data: object, pathOf: (file: string) => string): Files;
}

/**
 * Compiles a template.
 * @param partials the texts for `{{> name}}`, by name
 * @throws GatewayError `template` if it cannot be parsed
 */
export function compileTemplate(
  source: TemplateSource,
  partials: Readonly<Record<string, string>>,
): Template {
  const environment = Handlebars.create();
  const texts = [source.text, ...Object.values(partials)];
  // One that a template defines itself may have the name of another one.
  const areKnown = !texts.some((text) => INLINE_PARTIAL.test(text));
  const rewriter = new TemplateRewriter((name) => {
    const text = areKnown ? partials[name] : undefined;
    return text === undefined ? undefined : Handlebars.parse(text);
  });
  /** The texts of items by the number of their block, for each way to write values. */
  const memories = new Map<EscapeWord, Map<number, BlockMemory>>();
  for (const [name, helper] of Object.entries(HELPERS)) {
    environment.registerHelper(name, keepOrigins(helper));
  }
  for (const [name, block] of Object.entries(Handlebars.helpers)) {
    if (CONDITION_BLOCKS.has(name)) environment.registerHelper(name, keepOriginsInBlock(block));
  }
  environment.registerHelper(
    WITH_VALUES_HELPER,
    (around: unknown, { hash }: Handlebars.HelperOptions) => withValues(around, hash),
  );
  // {{#each}} gets the result. It would take a text with origins for an object to iterate over.
  environment.registerHelper(DEFINED_HELPER, (value: unknown, message: unknown) =>
    withoutOrigins(requireDefined(value, message)),
  );
  for (const [name, text] of Object.entries(partials)) {
    environment.registerPartial(name, compile({ name, text }));
  }
  const body = compile(source);
  return { name: source.name, isOwn: source.isOwn === true, render };

  function compile({ name, text }: TemplateSource): Handlebars.TemplateDelegate {
    try {
      const program = Handlebars.parse(text);
      rewriter.accept(program);
      return environment.compile(program, { strict: true, noEscape: true });
    } catch (error) {
      throw templateError("parse", name, error);
    }
  }

  function render(data: object, pathOf: (file: string) => string): Files {
    const assets: Record<string, Asset> = {};
    const used = new Map<string, string>();
    let escapeWord: EscapeWord = configWord;
    environment.registerHelper(
      EACH_REMEMBERED_HELPER,
      (block: number, items: unknown, options: Handlebars.HelperOptions) =>
        eachRemembered(items, options, blockMemory(memories, escapeWord, block)),
    );
    environment.registerHelper(ESCAPE_HELPER, (value: unknown, message: unknown) =>
      escapeValue(requireDefined(value, message), escapeWord),
    );
    for (const { kind, ending, escape, textOf } of NAMED_FILES) {
      environment.registerHelper(`${kind}Path`, (name: unknown) => {
        const path = pathOf(`${fileName(kind, name)}.${ending}`);
        used.set(path, `no {{#${kind} "${String(name)}"}} makes the ${kind} "${String(name)}"`);
        return path;
      });
      environment.registerHelper(
        kind,
        function block(this: unknown, name: unknown, options: Handlebars.HelperOptions) {
          escapeWord = escape;
          const text = textOf(options.fn(this));
          escapeWord = configWord;
          assets[pathOf(`${fileName(kind, name)}.${ending}`)] = { kind, text };
          return "";
        },
      );
    }
    try {
      // Handlebars compiles a template at its first call, so its errors come here too.
      const config = `${HEADER}\n${body(data)}`;
      const [missing] = [...used].filter(([path]) => assets[path] === undefined);
      if (missing !== undefined) throw new Error(missing[1]);
      return { config, assets };
    } catch (error) {
      if (error instanceof UnsafeValueError) throw error;
      throw templateError("render", source.name, error);
    }
  }
}

/** The files that a template makes beside the configuration, each by a block of its own. */
const NAMED_FILES = [
  { kind: "map", ending: "map", escape: mapWord, textOf: mapLines },
  { kind: "script", ending: "lua", escape: scriptWord, textOf: String },
  // As it is: HAProxy sends it, and does not read it.
  { kind: "file", ending: "txt", escape: String, textOf: String },
  { kind: "crtlist", ending: "crt-list", escape: listWord, textOf: mapLines },
  { kind: "certificate", ending: "pem", escape: String, textOf: String },
  { kind: "ticketkeys", ending: "keys", escape: String, textOf: String },
  { kind: "ca", ending: "pem", escape: String, textOf: String },
  { kind: "crl", ending: "pem", escape: String, textOf: String },
] as const;

/** Escapes a value. @throws UnsafeValueError with the label that the unsafe text is from, if any */
function escapeValue(value: unknown, escapeWord: EscapeWord): string {
  try {
    return escapeWord(toText(withoutOrigins(value)));
  } catch (error) {
    if (!(error instanceof UnsafeValueError)) throw error;
    const origin = originsOf(value).find(({ text }) => isRefused(text, escapeWord));
    throw new UnsafeValueError(error.value, error.problem, origin);
  }
}

function isRefused(text: string, escapeWord: EscapeWord): boolean {
  try {
    escapeWord(text);
    return false;
  } catch {
    return true;
  }
}

/** Returns the value. @throws TypeError with the message if it is undefined */
function requireDefined(value: unknown, message: unknown): unknown {
  if (value === undefined) throw new TypeError(String(message));
  return value;
}

function toText(value: unknown): string {
  if (value === null) return "";
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  const kind = Array.isArray(value) ? "a list, use {{#each}} or {{join}}" : "an object";
  throw new TypeError(`a {{value}} is ${kind}`);
}

type EscapeWord = (text: string) => string;
/** The texts that one block gave for its items. */
type BlockMemory = WeakCache<object, string>;

function blockMemory(
  memories: Map<EscapeWord, Map<number, BlockMemory>>,
  escapeWord: EscapeWord,
  block: number,
): BlockMemory {
  const blocks = memories.get(escapeWord) ?? new Map<number, BlockMemory>();
  memories.set(escapeWord, blocks);
  const memory = blocks.get(block) ?? new WeakCache();
  blocks.set(block, memory);
  return memory;
}

/** `{{#each}}` with a block that depends only on the item, so that the text of an item is reused. */
function eachRemembered(
  items: unknown,
  { fn, inverse }: Handlebars.HelperOptions,
  memory: BlockMemory,
): string {
  const list = toList(items);
  if (list.length === 0) return inverse({});
  const texts = areObjects(list)
    ? memory.getAll(list, (item) => inOnePiece(fn(item)))
    : list.map((item) => fn(item));
  return texts.join("");
}

function areObjects(list: readonly unknown[]): list is readonly object[] {
  return list.every((item) => typeof item === "object" && item !== null);
}

/** What `{{#each}}` iterates over: a list, or the values of an object. Anything else is empty. */
function toList(items: unknown): readonly unknown[] {
  if (Array.isArray(items)) return items;
  return typeof items === "object" ? Object.values(items ?? {}) : [];
}

function fileName(kind: string, name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9_-]+$/.test(name)) return name;
  throw new TypeError(
    `the name of a ${kind} is of letters, digits, "_" and "-", not ${String(name)}`,
  );
}

/** Finds a line that is empty or has blanks around it. */
const UNTIDY_LINE = /^[ \t\r]|[ \t\r]$|^\n/m;

/**
 * Makes the text of a map file: without the template's indentation and empty lines.
 * @param block the text of the block, or its value if the block is a single `{{value}}`
 */
function mapLines(block: unknown): string {
  const text = String(block);
  if (!UNTIDY_LINE.test(text) && (text === "" || text.endsWith("\n"))) return text;
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .map((line) => `${line}\n`)
    .join("");
}

function templateError(action: string, name: string, error: unknown): GatewayError {
  const [first = "", ...rest] = errorMessage(error).split("\n");
  const undefinedName = /^"(.*)" not defined in .* - (\d+):(\d+)$/.exec(first);
  const state =
    undefinedName === null
      ? first
          .replace(/^undefined is not .*/, "a name before a dot is not defined")
          .replace(/:$/, "")
      : `"${undefinedName[1]}" is not defined (line ${undefinedName[2]}, column ${Number(undefinedName[3]) + 1})`;
  return new GatewayError("template", `Cannot ${action} template "${name}": ${state}`, {
    lines: rest,
    hint: "docker-api-gateway template prints a built-in one to compare with",
    cause: error,
  });
}
