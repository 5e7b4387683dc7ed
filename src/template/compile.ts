// Templates: Handlebars that writes HAProxy's configuration and its map files.

import Handlebars from "handlebars";
import { WeakCache } from "../lib/weak-cache.ts";
import { configWord, mapWord, UnsafeValueError } from "./escape.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { HELPERS } from "./helpers.ts";
import type { Asset, Files } from "../model.ts";
import { ESCAPE, KNOWN, REMEMBER, TemplateRewriter } from "./rewriter.ts";

/** The first line of every configuration that the gateway writes: how it knows its own again. */
const HEADER = "# Written by docker-api-gateway: what is changed here is overwritten.";

/** Whether a configuration was written by the gateway. */
export function isOwnConfig(config: string): boolean {
  return config.startsWith(HEADER);
}

export interface TemplateSource {
  /** A built-in name or a file's path, for error messages. */
  readonly name: string;
  readonly text: string;
}

/** A template ready to render, any number of times. */
export interface Template {
  /**
   * Renders the configuration and its map files.
   * @param mapPath the path of the map file of a name
   * @throws GatewayError `template` where the template fails
   * @throws UnsafeValueError where a value can be written in no form
   */
  render(data: object, mapPath: (name: string) => string): Files;
}

/**
 * Compiles a template.
 * @param partials the texts that `{{> name}}` stands for
 * @throws GatewayError `template` where it does not parse
 */
export function compileTemplate(
  source: TemplateSource,
  partials: Readonly<Record<string, string>>,
): Template {
  const environment = Handlebars.create();
  const rewriter = new TemplateRewriter();
  /** What closed blocks made of each item: in a configuration, and in a map file. */
  const written = [new Map<number, BlockMemory>(), new Map<number, BlockMemory>()] as const;
  environment.registerHelper({ ...HELPERS, [KNOWN]: known });
  for (const [name, text] of Object.entries(partials)) {
    environment.registerPartial(name, compile({ name, text }));
  }
  const body = compile(source);
  return { render };

  function compile({ name, text }: TemplateSource): Handlebars.TemplateDelegate {
    try {
      const program = Handlebars.parse(text);
      rewriter.accept(program);
      return environment.compile(program, { strict: true, noEscape: true });
    } catch (error) {
      throw templateError("parse", name, error);
    }
  }

  function render(data: object, mapPath: (name: string) => string): Files {
    const assets: Record<string, Asset> = {};
    const asked = new Set<string>();
    let word = configWord;
    environment.registerHelper(
      REMEMBER,
      (block: number, items: unknown, options: Handlebars.HelperOptions) =>
        eachRemembered(items, options, blockMemory(written[word === configWord ? 0 : 1], block)),
    );
    environment.registerHelper(ESCAPE, (value: unknown, complaint: unknown) =>
      word(toText(known(value, complaint))),
    );
    environment.registerHelper("mapPath", (name: unknown) => {
      asked.add(mapName(name));
      return mapPath(mapName(name));
    });
    environment.registerHelper(
      "map",
      function map(this: unknown, name: unknown, options: Handlebars.HelperOptions) {
        word = mapWord;
        assets[mapPath(mapName(name))] = { kind: "map", text: mapLines(options.fn(this)) };
        word = configWord;
        return "";
      },
    );
    try {
      // Handlebars compiles at the first call, so that its complaints come here.
      const config = `${HEADER}\n${body(data)}`;
      const lost = [...asked].find((name) => assets[mapPath(name)] === undefined);
      if (lost !== undefined) throw new Error(`no {{#map "${lost}"}} makes the map "${lost}"`);
      return { config, assets };
    } catch (error) {
      if (error instanceof UnsafeValueError) throw error;
      throw templateError("render", source.name, error);
    }
  }
}

/** The value itself, where there is one. */
function known(value: unknown, complaint: unknown): unknown {
  if (value === undefined) throw new TypeError(String(complaint));
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

type BlockMemory = WeakCache<object, string>;

function blockMemory(blocks: Map<number, BlockMemory>, block: number): BlockMemory {
  const memory = blocks.get(block) ?? new WeakCache();
  blocks.set(block, memory);
  return memory;
}

/** `{{#each}}` over a block that only looks at the item: the same item gives the same text. */
function eachRemembered(
  items: unknown,
  { fn, inverse }: Handlebars.HelperOptions,
  memory: BlockMemory,
): string {
  const list = toList(items);
  if (list.length === 0) return inverse({});
  return list
    .map((item) => (typeof item === "object" && item !== null ? memory.get(item, fn) : fn(item)))
    .join("");
}

/** An object's values will do as well, and of anything else there are none. */
function toList(items: unknown): readonly unknown[] {
  if (Array.isArray(items)) return items;
  return typeof items === "object" ? Object.values(items ?? {}) : [];
}

function mapName(name: unknown): string {
  if (typeof name === "string" && /^[A-Za-z0-9_-]+$/.test(name)) return name;
  throw new TypeError(`the name of a map is of letters, digits, "_" and "-", not ${String(name)}`);
}

/** Blanks around a line, or an empty one. */
const UNTIDY = /^[ \t\r]|[ \t\r]$|^\n/m;

/** The lines of a map file, without the template's indentation and empty lines. */
function mapLines(text: string): string {
  if (!UNTIDY.test(text) && (text === "" || text.endsWith("\n"))) return text;
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
