// Serves the page at --admin. Its files are in page/, as the browser gets them; they tell nothing of the gateway.

import { createHash } from "node:crypto";
import { INDEX, LIBRARIES, PAGE_FILES } from "./page-files.ts";

/** Where the files are, as index.html says. */
const FOLDER = "/page/";

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** Nothing but its own files, and nobody shows it inside of a page. Source: W3C Content Security Policy Level 3. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

interface PageFile {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A library that is imported by its name, in a file of ours or of another library. */
const IMPORTED = /\bfrom\s*"(htm|preact|preact\/hooks)"/g;
/** What leads to a file that is not here. */
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;

/** The files by their paths, as they are served. */
const FILES: ReadonlyMap<string, PageFile> = new Map([
  ["/", fileOf("index.html", INDEX)],
  ...Object.entries(PAGE_FILES).map(([name, text]) => served(name, text)),
  ...Object.entries(LIBRARIES).map(([name, text]) => served(libraryFile(name), text)),
]);

function served(name: string, text: string): [string, PageFile] {
  // Browsers know packages by no name, and a page without inline scripts cannot tell them where one is.
  const own = text
    .replace(IMPORTED, (_, library: string) => `from "./${libraryFile(library)}"`)
    .replace(SOURCE_MAP, "");
  return [FOLDER + name, fileOf(name, name.endsWith(".js") ? own : text)];
}

function libraryFile(name: string): string {
  return `library-${name.replace("/", "-")}.js`;
}

function fileOf(name: string, text: string): PageFile {
  const hash = createHash("sha256").update(text).digest("base64url").slice(0, 22);
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "text/plain";
  return {
    text,
    headers: {
      "content-type": type,
      // The browser asks each time whether its copy is still right: another version may run.
      "cache-control": "no-cache",
      etag: `"${hash}"`,
      "content-security-policy": POLICY,
      "referrer-policy": "no-referrer",
    },
  };
}

/** Answers with a file of the page; undefined: there is none at that path. */
export function pageAnswer(path: string, request: Request): Response | undefined {
  const file = FILES.get(path);
  if (file === undefined) return undefined;
  const { text, headers } = file;
  return isSame(request.headers.get("if-none-match") ?? "", headers["etag"] ?? "")
    ? new Response(null, { status: 304, headers })
    : new Response(text, { headers });
}

/** Source: RFC 9110, section 13.1.2. */
function isSame(asked: string, etag: string): boolean {
  return asked.split(",").some((each) => each.trim().replace(/^W\//, "") === etag);
}
