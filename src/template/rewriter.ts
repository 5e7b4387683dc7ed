// Rewrites templates before they are compiled: values are escaped, lists checked, their texts reused.

import Handlebars from "handlebars";

/** The helper that escapes a value. */
export const ESCAPE_HELPER = "haproxy-escape";
/** The helper that fails if its argument is undefined. */
export const DEFINED_HELPER = "must-be-known";
/** The `{{#each}}` that reuses the text of an item that it has seen before. */
export const EACH_REMEMBERED_HELPER = "each-remembered";
/** The helper that makes what a partial sees of what is around it and the values that it is given. */
export const WITH_VALUES_HELPER = "with-values";

/** Helpers whose result depends only on their arguments and their blocks. */
const PURE_HELPERS = new Set(
  (
    "if unless each lookup eq ne lt gt and or not atLeast add default join replace lower upper " +
    "concat sort label"
  ).split(" "),
);

/**
 * Turns every `{{value}}` into `{{{haproxy-escape value}}}`; `{{{value}}}` stays as it is. Handlebars
 * complains of an undefined value that it writes, but not of one that it passes to a helper. So the
 * helpers get a message to complain with. An `{{#each}}` whose block depends only on the item becomes
 * one that reuses texts. And `{{> partial name=value}}` gets what is around it by a helper: Handlebars
 * would read all fields, also those that cost much and that no partial uses.
 */
export class TemplateRewriter extends Handlebars.Visitor {
  /** How many blocks have been numbered. */
  #blocks = 0;
  /** How many of the blocks around give names by `as |name|`. They look like fields of an item. */
  #namingBlocks = 0;

  /** @param partialOf returns the partial of a name as it was parsed; undefined if it is not known */
  constructor(private readonly partialOf: PartialLookup = () => undefined) {
    super();
  }

  override MustacheStatement(node: hbs.AST.MustacheStatement): void {
    // `{{{value}}}` is not `escaped`, nor is a statement that has been rewritten already.
    if (!node.escaped) return;
    const { path, params, hash, loc } = node;
    const isCall = params.length > 0 || hash !== undefined;
    node.path = pathTo(ESCAPE_HELPER, loc);
    node.params = [
      isCall && "parts" in path ? call(path, params, hash, loc) : path,
      undefinedMessage(path),
    ];
    node.escaped = false;
  }

  override BlockStatement(node: hbs.AST.BlockStatement): void {
    const isReusable =
      this.#namingBlocks === 0 &&
      isEach(node) &&
      node.inverse === undefined &&
      dependsOnlyOnItem(node.program, this.partialOf);
    const isNaming = [node.program, node.inverse].some((block) => block?.blockParams?.length);
    if (isNaming) this.#namingBlocks++;
    super.BlockStatement(node);
    if (isNaming) this.#namingBlocks--;
    const [items, ...rest] = node.params;
    // Otherwise a misspelt name would be an empty list, and all routes would go without a word.
    if (!isEach(node) || items === undefined || !("parts" in items)) return;
    const checked = call(
      pathTo(DEFINED_HELPER, node.loc),
      [items, undefinedMessage(items)],
      undefined,
      node.loc,
    );
    node.params = [checked, ...rest];
    if (!isReusable || rest.length > 0) return;
    node.path = pathTo(EACH_REMEMBERED_HELPER, node.loc);
    node.params = [numberLiteral(this.#blocks++, node.loc), checked];
  }

  override PartialStatement(node: hbs.AST.PartialStatement): void {
    super.PartialStatement(node);
    const { params, hash, loc } = node;
    // The grammar knows no hash here where there is none; its type says otherwise.
    if ((hash as hbs.AST.Hash | undefined) === undefined) return;
    const [around = { ...pathTo("this", loc), parts: [] }] = params;
    node.params = [call(pathTo(WITH_VALUES_HELPER, loc), [around], hash, loc)];
    node.hash = undefined as never;
  }
}

/** Returns a partial as it was parsed, by its name; undefined if it is not known. */
export type PartialLookup = (name: string) => hbs.AST.Program | undefined;

/** What a partial sees: the fields of what is around it, which are not read here, and its values. */
export function withValues(around: unknown, values: Readonly<Record<string, unknown>>): object {
  const fields: object = typeof around === "object" && around !== null ? around : {};
  return Object.defineProperties(
    {},
    { ...Object.getOwnPropertyDescriptors(fields), ...Object.getOwnPropertyDescriptors(values) },
  );
}

type Location = hbs.AST.SourceLocation;

function pathTo(name: string, loc: Location): hbs.AST.PathExpression {
  return { type: "PathExpression", data: false, depth: 0, parts: [name], original: name, loc };
}

function call(
  path: hbs.AST.PathExpression,
  params: hbs.AST.Expression[],
  hash: hbs.AST.Hash | undefined,
  loc: Location,
): hbs.AST.Expression {
  const expression = { type: "SubExpression", path, params, hash, loc };
  return expression;
}

/** The message for an undefined value, in the words of Handlebars itself. */
function undefinedMessage(node: hbs.AST.Expression): hbs.AST.Expression {
  const { start } = node.loc;
  const name = "original" in node ? String(node.original) : "";
  const value = `"${name}" not defined in the template - ${start.line}:${start.column}`;
  const literal = { type: "StringLiteral", value, original: value, loc: node.loc };
  return literal;
}

function numberLiteral(value: number, loc: Location): hbs.AST.Expression {
  const literal = { type: "NumberLiteral", value, original: value, loc };
  return literal;
}

function isEach({ path }: hbs.AST.BlockStatement): boolean {
  return path.original === "each";
}

/**
 * Whether the text of a block depends only on the item: there is no `@index`, no `../` that leads out
 * of the block, no partial with values or one that does not depend on the item only, and no helper that
 * is not pure.
 * @param depth how many `{{#each}}` inside the block the node is in: so many `../` stay in the block
 */
function dependsOnlyOnItem(node: object, partialOf: PartialLookup, depth = 0): boolean {
  if (Array.isArray(node)) {
    return node.every((each: object) => dependsOnlyOnItem(each, partialOf, depth));
  }
  const fields: Readonly<Record<string, unknown>> = { ...node };
  const type = fields["type"];
  if (type === "PartialStatement") {
    const name = nameIn(fields["name"]);
    const partial = hasArguments(fields) ? undefined : partialOf(name);
    // One that is part of itself is looked at no further.
    const others: PartialLookup = (each) => (each === name ? undefined : partialOf(each));
    return partial !== undefined && dependsOnlyOnItem(partial.body, others);
  }
  if (type === "PartialBlockStatement") return false;
  if (type === "PathExpression")
    return fields["data"] === false && Number(fields["depth"]) <= depth;
  const isCall =
    type === "BlockStatement" ||
    type === "SubExpression" ||
    (type === "MustacheStatement" && hasArguments(fields));
  const name = isCall ? nameIn(fields["path"]) : "";
  if (isCall && !PURE_HELPERS.has(name)) return false;
  return Object.entries(fields).every(([key, value]) => {
    if (typeof value !== "object" || value === null || key === "loc") return true;
    if (isCall && key === "path") return true;
    // Names that a block gives by `as |item|` are not followed here.
    if (key === "blockParams") return false;
    const inner = key === "program" && name === "each" ? depth + 1 : depth;
    return dependsOnlyOnItem(value, partialOf, inner);
  });
}

/** Whether a `{{...}}` calls a helper, or gives a partial something. Without arguments it is a field. */
function hasArguments({ params, hash }: Readonly<Record<string, unknown>>): boolean {
  return hash !== undefined || (Array.isArray(params) && params.length > 0);
}

/** The name of a helper or a partial; empty if it is found out only while the template is rendered. */
function nameIn(path: unknown): string {
  const { original } = { original: "", ...(typeof path === "object" ? path : {}) };
  return original;
}
