// Translates the block of one of Caddy's sites: what is served at which path, and how.

import { FCGI_INDEX } from "../../model.ts";
import { parseFolder, parseScript } from "../settings/servers.ts";
import { readHeader } from "./caddy-header.ts";
import { match, namedMatchers, type Matched, type NamedMatchers } from "./caddy-matchers.ts";
import { readProxy } from "./caddy-proxy.ts";
import type { Directive } from "./caddy-tree.ts";
import type { Notes } from "./notes.ts";
import { CLOSED, MOST_DRAFTS, settleAt, withSettings, type Draft } from "./routes.ts";
import { isWithin, joinPaths, toBytes, toHost, toPath, toUser, withoutPrefix } from "./values.ts";
import { toList, type NamedLabel, type Settings } from "./vocabulary.ts";

/** Directives that keep nobody out and change nothing of what the container sends. */
const HARMLESS = new Set(
  [
    "file_server fs handle_errors intercept log log_append log_name log_skip map method metrics",
    "push root skip_log templates tracing try_files vars",
  ].flatMap((line) => line.split(" ")),
);

/** Where a block is. */
interface Scope {
  /** The path prefix that it is for. */
  readonly path: string;
  /** What the container gets instead. */
  readonly target: string;
  /** Whether its own conditions are about paths without the prefix. */
  readonly isStripped: boolean;
  readonly named: NamedMatchers;
}

/** The routes of a site, for each of its hosts. */
export function readSite(
  site: Directive,
  hosts: readonly string[],
  notes: Notes,
): readonly Draft[] {
  const places = readPlaces(site, hosts.length, notes);
  return hosts.flatMap((host) =>
    places.map((place) => ({
      ...place,
      host,
      name: place.path === "/" ? host : `${host}${place.path}`,
    })),
  );
}

/** The routes of a site, still without hosts. */
function readPlaces(site: Directive, hosts: number, notes: Notes): readonly Draft[] {
  const scope = { path: "/", target: "/", isStripped: false, named: new Map() };
  const reader = new SiteReader(notes);
  const places = reader.read(site.block, scope);
  if (places.length * hosts > MOST_DRAFTS) {
    // One that is left out may be one that protects.
    notes.warn(site.theirs, "it has too many routes, so nobody gets in", "host", "path");
    return [{ name: "", host: "", path: "/", target: "/", settings: CLOSED }];
  }
  return reader.isClosed ? withSettings(places, CLOSED) : places;
}

class SiteReader {
  readonly #notes: Notes;
  /** Whether the condition of something that protects is not understood. */
  isClosed = false;

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  /** The routes of a block, still without hosts. */
  read(block: readonly Directive[], outer: Scope): readonly Draft[] {
    const own = { ...outer, named: namedMatchers(block, outer.named) };
    const scope = block.reduce((before, each) => this.#rewritten(before, each), own);
    const byPath = new Map<string, Draft>();
    for (const directive of block) {
      for (const draft of this.#places(directive, scope)) {
        // Of two for one path, the first counts, as in Caddy.
        if (!byPath.has(draft.path)) byPath.set(draft.path, draft);
      }
      if (byPath.size > MOST_DRAFTS) break;
    }
    let drafts: readonly Draft[] = [...byPath.values()];
    for (const directive of block) {
      if (drafts.length > MOST_DRAFTS) break;
      drafts = this.#settled(drafts, directive, scope);
    }
    return drafts;
  }

  /** The routes that a directive makes. */
  #places(directive: Directive, scope: Scope): readonly Draft[] {
    const { name, block, theirs } = directive;
    if (name === "reverse_proxy" || name === "php_fastcgi") return this.#proxied(directive, scope);
    if (name === "redir") {
      const matched = match(directive, scope.named);
      const settings = this.#redirect(directive, matched.args);
      const paths = settings === undefined ? [] : this.#pathsOf(directive, matched, scope);
      return paths.map((path) => this.#draft(path, scope, settings ?? {}));
    }
    if (name !== "handle" && name !== "handle_path" && name !== "route") return [];
    const matched = match(directive, scope.named);
    if (name === "handle_path" && matched.paths?.length === 0) {
      this.isClosed ||= protects(block);
      this.#notes.warn(theirs, "it has no path prefix, so it is left out", "path", "strip");
      return [];
    }
    return this.#pathsOf(directive, matched, scope).flatMap((path) => {
      const isStripped = name === "handle_path";
      const target = isStripped ? "/" : this.#targetOf(path, scope);
      return this.read(block, {
        ...scope,
        path,
        target,
        isStripped: isStripped || scope.isStripped,
      });
    });
  }

  #proxied(directive: Directive, scope: Scope): readonly Draft[] {
    const matched = match(directive, scope.named);
    const isPhp = directive.name === "php_fastcgi";
    const block = isPhp
      ? directive.block.filter(({ name }) => name !== "root" && name !== "index")
      : directive.block;
    const settings = readProxy({ ...directive, block }, matched.args, this.#notes);
    if (settings === undefined) {
      // Another server is asked, and by its answer the container.
      this.isClosed ||= block.some(({ name }) => name === "handle_response");
      return [];
    }
    const fastCgi = isPhp ? this.#fastCgi(directive) : {};
    return this.#pathsOf(directive, matched, scope).map((path) =>
      this.#draft(path, scope, { ...settings, ...fastCgi }),
    );
  }

  #fastCgi({ block, theirs }: Directive): Settings {
    const index = block.find(({ name }) => name === "index");
    const script = parseScript(index?.args[0] ?? FCGI_INDEX);
    // Without an index, all paths are as they are in Caddy.
    if (script === undefined || script === "off") {
      this.#notes.warn(index?.theirs ?? theirs, "it is no name of a script", "fcgi.index");
    }
    const root = parseFolder(block.find(({ name }) => name === "root")?.args[0] ?? "");
    if (root === undefined) {
      this.#notes.warn(theirs, "its block does not say the root", "fcgi.root");
    }
    return {
      scheme: "fcgi",
      ...(root !== undefined && { "fcgi.root": root }),
      ...(index !== undefined && script !== undefined && script !== "off"
        ? { "fcgi.index": script }
        : {}),
    };
  }

  #draft(path: string, scope: Scope, settings: Settings): Draft {
    return { name: "", host: "", path, target: this.#targetOf(path, scope), settings };
  }

  #targetOf(path: string, scope: Scope): string {
    return joinPaths(scope.target, withoutPrefix(path, scope.path));
  }

  /** The paths of a directive as the client sends them; none if they are not understood. */
  #pathsOf(directive: Directive, matched: Matched, scope: Scope): readonly string[] {
    if (matched.paths === undefined) {
      // Who is sent elsewhere may be who must not get in.
      this.isClosed ||= directive.name === "redir" || protects(directive.block);
      const effect = this.isClosed ? ", and as it protects, nobody gets in" : "";
      this.#notes.warn(
        directive.theirs,
        `its condition is not known, so it is left out${effect}`,
        "path",
      );
      return [];
    }
    if (matched.isExact) {
      this.#notes.warn(directive.theirs, "all below its path is served too", "path");
    }
    return pathsIn(matched.paths, scope);
  }

  /** Applies what changes the path before the container gets it. */
  #rewritten(scope: Scope, directive: Directive): Scope {
    const { name, args, theirs } = directive;
    if (name === "uri") {
      const [action, text = "", ...more] = args[0] === "*" ? args.slice(1) : args;
      const prefix = toPath(text);
      const isKnown = action === "strip_prefix" && prefix !== undefined && more.length === 0;
      if (isKnown && isWithin(scope.target, prefix)) {
        return { ...scope, target: withoutPrefix(scope.target, prefix) };
      }
      this.#notes.warn(theirs, "only strip_prefix of the path of its block is known", "rewrite");
      return scope;
    }
    if (name !== "rewrite") return scope;
    const [to = "", ...more] = args[0] === "*" ? args.slice(1) : args;
    const target = toPath(/^(\/.*?)\{(?:uri|path)\}$/.exec(to)?.[1] ?? "");
    if (target !== undefined && more.length === 0) {
      return { ...scope, target: joinPaths(target, scope.target) };
    }
    this.#notes.warn(theirs, "only a prefix before {uri} or {path} is known", "rewrite");
    return scope;
  }

  /** Applies a directive that makes no routes, but changes those of its block. */
  #settled(drafts: readonly Draft[], directive: Directive, scope: Scope): readonly Draft[] {
    const { name, theirs, isTemplate } = directive;
    if (MAKES_ROUTES.has(name) || name.startsWith("@")) return drafts;
    if (HARMLESS.has(name)) {
      this.#notes.warn(theirs, "it is not known");
      return drafts;
    }
    const matched = match(directive, scope.named);
    const at = (settings: Settings): readonly Draft[] => {
      const paths = matched.paths === undefined ? [scope.path] : pathsIn(matched.paths, scope);
      return paths.reduce((changed, path) => settleAt(changed, path, settings), drafts);
    };
    const settings = isTemplate ? undefined : this.#settingsOf(directive, matched.args);
    const isKnown = matched.paths !== undefined && settings !== undefined;
    if (isKnown) return at(settings);
    if (OPEN.has(name)) {
      this.#notes.warn(theirs, "its condition or its template is not known", ...(OURS[name] ?? []));
      return drafts;
    }
    this.#notes.warnSecret(
      theirs,
      "it is not known and may protect, so nobody gets in",
      ...PROTECT,
    );
    return at(CLOSED);
  }

  /** The settings of a directive; undefined if it is not understood and may protect. */
  #settingsOf(directive: Directive, args: readonly string[]): Settings | undefined {
    const { name, block, theirs } = directive;
    switch (name) {
      case "basic_auth":
      case "basicauth":
        return this.#users(directive, args);
      case "encode": {
        const words = args.length > 0 ? args : block.map((each) => each.name);
        if (words.length === 0 || words.some((word) => word === "gzip" || word === "zstd")) {
          return { compress: "true" };
        }
        this.#notes.warn(theirs, "only gzip is known", "compress");
        return {};
      }
      case "header":
        return this.#headers("response", directive, args);
      case "request_header":
        return this.#headers("request", directive, args);
      case "request_body": {
        const size = block.find((each) => each.name === "max_size");
        const body = toBytes(size?.args[0] ?? "");
        if (body !== undefined) return { body };
        this.#notes.warn(size?.theirs ?? theirs, "it is no size", "body");
        return {};
      }
      case "tls": {
        const guard = block.find((each) => each.name === "client_auth");
        if (guard !== undefined) return undefined;
        this.#notes.warn(theirs, "certificates are said for the whole gateway");
        return {};
      }
      default:
        return undefined;
    }
  }

  #users({ block }: Directive, args: readonly string[]): Settings | undefined {
    const [algorithm = "bcrypt", realm] = args;
    if (algorithm !== "bcrypt") return undefined;
    const valid = block.flatMap((each) => {
      const user = toUser(each.name, each.args[0] ?? "");
      if (user !== undefined) return [user];
      const what = "the user cannot get in: only bcrypt with a cost of up to 12 is known";
      this.#notes.warnSecret(each.theirs, what, "auth");
      return [];
    });
    const [first] = block;
    if (realm !== undefined && first !== undefined) {
      this.#notes.warnSecret(first.theirs, "the realm is not known", "auth");
    }
    if (valid.length === 0) return undefined;
    // Caddy leaves the header to the container.
    return { auth: toList(valid), "auth.forward": "true" };
  }

  #headers(side: "request" | "response", directive: Directive, args: readonly string[]): Settings {
    let settings: Settings =
      args.length === 0 ? {} : readHeader(side, args, directive, this.#notes);
    for (const each of directive.block) {
      if (each.name === "defer") continue;
      settings = { ...settings, ...readHeader(side, [each.name, ...each.args], each, this.#notes) };
    }
    return settings;
  }

  #redirect({ theirs, isTemplate }: Directive, args: readonly string[]): Settings | undefined {
    const [to = "", word = "temporary", ...more] = args;
    const code = word === "permanent" ? "301" : word === "temporary" ? "302" : word;
    const [, scheme, host = ""] = /^(https?):\/\/([^/{}]+|\{host\})\{uri\}$/.exec(to) ?? [];
    const target = host === "{host}" && scheme === "https" ? "https" : toHost(host);
    const isKnown = ["301", "302", "307", "308"].includes(code) && more.length === 0;
    if (target !== undefined && !target.includes("*") && isKnown && !isTemplate) {
      return { redirect: target, "redirect.code": code };
    }
    this.#notes.warn(
      theirs,
      "only another host with {uri} is known, so it is left out",
      "redirect",
    );
    return undefined;
  }
}

const MAKES_ROUTES = new Set(
  "reverse_proxy php_fastcgi redir handle handle_path route uri rewrite".split(" "),
);
/** Directives without which more people get in than with them: none of these. */
const OPEN = new Set(["encode", "header", "request_header", "request_body"]);
const OURS: Readonly<Record<string, readonly NamedLabel[]>> = {
  encode: ["compress"],
  header: ["headers.response"],
  request_header: ["headers.request"],
  request_body: ["body"],
};
const PROTECT = ["auth", "allow"] as const;

/** Whether anything in a block keeps somebody out, as far as its names tell. */
function protects(block: readonly Directive[]): boolean {
  return block.some((each) => {
    if (each.name.startsWith("@") || HARMLESS.has(each.name) || OPEN.has(each.name)) return false;
    if (each.name === "reverse_proxy" || each.name === "php_fastcgi") return false;
    return !MAKES_ROUTES.has(each.name) || protects(each.block);
  });
}

/** Paths in a block as the client sends them. */
function pathsIn(paths: readonly string[], { path, isStripped }: Scope): readonly string[] {
  if (paths.length === 0) return [path];
  if (isStripped) return paths.map((each) => joinPaths(path, each));
  // A wider condition is for the whole block, and one for other paths is for nothing of it.
  const own = paths.flatMap((each) => {
    if (isWithin(each, path)) return [each];
    return isWithin(path, each) ? [path] : [];
  });
  return [...new Set(own)];
}
