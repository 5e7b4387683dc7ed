// Templates before they are compiled: every value escaped, every list checked, lists remembered.

import Handlebars from "handlebars";

/** The helpers that rewritten templates call. */
export const ESCAPE = "haproxy-escape";
export const KNOWN = "must-be-known";
export const REMEMBER = "each-remembered";

/** Helpers that give the same for the same arguments, whatever stands around them. */
const PLAIN_HELPERS = new Set(
  (
    "if unless each lookup eq ne lt gt and or not atLeast add default join replace lower upper " +
    "concat sort label"
  ).split(" "),
);
/** Of these the ones whose block looks at another thing. */
const ENTERING = new Set(["each"]);

/**
 * Makes every `{{value}}` a `{{{haproxy-escape value}}}`; `{{{value}}}` stays as it is. Handlebars is
 * strict with what it writes, but not with what it hands to a helper: so that is checked too.
 * An `{{#each}}` whose block looks at nothing but the item becomes one that remembers.
 */
export class TemplateRewriter extends Handlebars.Visitor {
  #blocks = 0;

  override MustacheStatement(node: hbs.AST.MustacheStatement): void {
    // A visitor sees what `{{{` made too; and what has no `escaped` was made by us.
    if (!node.escaped) return;
    const { path, params, hash, loc } = node;
    const isCall = params.length > 0 || hash !== undefined;
    node.path = pathTo(ESCAPE, loc);
    node.params = [
      isCall && "parts" in path ? call(path, params, hash, loc) : path,
      complaintOf(path),
    ];
    node.escaped = false;
  }

  override BlockStatement(node: hbs.AST.BlockStatement): void {
    const remembers = isEach(node) && node.inverse === undefined && isClosed(node.program);
    super.BlockStatement(node);
    const [items, ...rest] = node.params;
    // A misspelt list would take all routes away without a word.
    if (!isEach(node) || items === undefined || !("parts" in items)) return;
    const checked = call(pathTo(KNOWN, node.loc), [items, complaintOf(items)], undefined, node.loc);
    node.params = [checked, ...rest];
    if (!remembers || rest.length > 0) return;
    node.path = pathTo(REMEMBER, node.loc);
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

/** What to say where the value is missing, as Handlebars itself says it. */
function complaintOf(node: hbs.AST.Expression): hbs.AST.Expression {
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
 * Whether a block hangs on nothing but the item it is made for: no `@index`, no `../` that leads out
 * of it, no part of another file, no helper that does more than compute.
 * @param depth how many things deep the block is inside
 */
function isClosed(node: object, depth = 0): boolean {
  if (Array.isArray(node)) return node.every((each: object) => isClosed(each, depth));
  const fields: Readonly<Record<string, unknown>> = { ...node };
  const type = fields["type"];
  if (type === "PartialStatement" || type === "PartialBlockStatement") return false;
  if (type === "PathExpression")
    return fields["data"] === false && Number(fields["depth"]) <= depth;
  const isCall = type === "BlockStatement" || type === "SubExpression" || hasArguments(fields);
  const name = isCall ? helperName(fields["path"]) : "";
  if (isCall && !PLAIN_HELPERS.has(name)) return false;
  return Object.entries(fields).every(([key, value]) => {
    if (typeof value !== "object" || value === null || key === "loc") return true;
    if (isCall && key === "path") return true;
    if (key === "blockParams") return false;
    return isClosed(value, key === "program" && ENTERING.has(name) ? depth + 1 : depth);
  });
}

/** Whether a `{{...}}` is a helper's call; without arguments it is a field. */
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
