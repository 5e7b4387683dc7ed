// The pages that a `defaults` section answers for a status, each with a file beside the configuration.

import { digestOf } from "../lib/digest.ts";
import { compare } from "../lib/text.ts";
import type { LabelFile, Service } from "../model.ts";

/** A page for a status. */
export interface Page {
  readonly status: string;
  /** Whether the gateway itself answers so where a container does not. HAProxy has no page of others. */
  readonly isOwn: boolean;
  readonly contentType: string;
  /** The name of the file beside the configuration. */
  readonly file: string;
}

/** A file beside the configuration. */
export interface PageFile {
  readonly name: string;
  readonly text: string;
}

const LABEL = "errors.";
const OWN = new Set(["500", "502", "503", "504"]);
/** What `4xx` and `5xx` stand for: the registered ones (RFC 9110, section 16.2.1) that are no questions. */
const REGISTERED = (
  "400 402 403 404 405 406 408 409 410 411 412 413 414 415 416 417 418 421 422 423 424 425 426 428 429 " +
  "431 451 500 501 502 503 504 505 506 507 508 510 511"
).split(" ");

/** By the ending of the file. */
const TYPES: Readonly<Record<string, string>> = {
  htm: "text/html",
  html: "text/html",
  json: "application/json",
  svg: "image/svg+xml",
  xml: "application/xml",
};

/** The pages of a service whose files could be read. One for a status comes before one for all of a kind. */
export function pagesOf({ settings, files = {} }: Pick<Service, "settings" | "files">): Page[] {
  const named = Object.entries(settings)
    .filter(([key, path]) => key.startsWith(LABEL) && textOf(files[path]) !== "")
    .toSorted(([a], [b]) => Number(b.endsWith("xx")) - Number(a.endsWith("xx")));
  const pages = new Map<string, string>();
  for (const [key, path] of named) {
    const status = key.slice(LABEL.length);
    const [first = ""] = status;
    const isKind = status.endsWith("xx");
    const all = isKind ? REGISTERED.filter((each) => each.startsWith(first)) : [status];
    for (const each of all) pages.set(each, path);
  }
  return [...pages]
    .map(([status, path]) => {
      const contentType = typeOf(path);
      return { status, isOwn: OWN.has(status), contentType, file: nameOf(path) };
    })
    .toSorted((a, b) => compare(a.status, b.status));
}

/** The files of these services. */
export function pageFilesOf(services: readonly Service[]): PageFile[] {
  const files = services.flatMap((service) => Object.entries(service.files ?? {}));
  const read = files.filter(([, file]) => textOf(file) !== "");
  return [...new Map(read.map(([path, file]) => [nameOf(path), textOf(file)]))]
    .map(([name, text]) => ({ name, text }))
    .toSorted((a, b) => compare(a.name, b.name));
}

/** The text of a file; empty if it is of no use. */
export function textOf(file: LabelFile | undefined): string {
  return file !== undefined && "text" in file ? file.text : "";
}

/** The name of the file beside the configuration that has what is in a file of this machine. */
export function nameOf(path: string): string {
  return `label-${digestOf(path)}`;
}

function typeOf(path: string): string {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  return `${TYPES[ending] ?? "text/plain"}; charset=utf-8`;
}
