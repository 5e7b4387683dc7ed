// Rewrites templates before they are compiled: values are escaped, lists checked, their texts reused.

import Handlebars from "handlebars";

/** The helper that escapes a value. */
export const ESCAPE_HELPER = "haproxy-escape";
/** The helper that fails if its argument is undefined. */
export const DEFINED_HELPER = "must-be-known";
/** The `{{#each}}` that reuses the text of an item that it has seen before. */
export const EACH_REMEMBERED_HELPER = "each-remembered";

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
 * one that reuses texts.
 */
export class TemplateRewriter extends Handlebars.Visitor {
  /** How many blocks have been numbered. */
  #blocks = 0;
  /** How many of the blocks around give names by `as |name|`. They look like fields of an item. */
  #namingBlocks = 0;

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
      dependsOnlyOnItem(node.program);
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
 * of the block, no partial, and no helper that is not pure.
 * @param depth how many `{{#each}}` inside the block the node is in: so many `../` stay in the block
 */
function dependsOnlyOnItem(node: object, depth = 0): boolean {
  if (Array.isArray(node)) return node.every((each: object) => dependsOnlyOnItem(each, depth));
  const fields: Readonly<Record<string, unknown>> = { ...node };
  const type = fields["type"];
  if (type === "PartialStatement" || type === "PartialBlockStatement") return false;
  if (type === "PathExpression")
    return fields["data"] === false && Number(fields["depth"]) <= depth;
  const isCall = type === "BlockStatement" || type === "SubExpression" || hasArguments(fields);
  const name = isCall ? helperName(fields["path"]) : "";
  if (isCall && !PURE_HELPERS.has(name)) return false;
  return Object.entries(fields).every(([key, value]) => {
    if (typeof value !== "object" || value === null || key === "loc") return true;
    if (isCall && key === "path") return true;
    // Names that a block gives by `as |item|` are not followed here.
    if (key === "blockParams") return false;
    return dependsOnlyOnItem(value, key === "program" && name === "each" ? depth + 1 : depth);
  });
}

/** Whether a `{{...}}` calls a helper. Without arguments it is a field. */
function hasArguments({ type, params, hash }: Readonly<Record<string, unknown>>): boolean {
  return (
    type === "MustacheStatement" &&
    (hash !== undefined || (Array.isArray(params) && params.length > 0))
  );
}

function helperName(path: unknown): string {
  const { original } = { original: "", ...(typeof path === "object" ? path : {}) };
  return original;
}
