// The files that settings name: what is in them, and what is said if one is of no use.

import { isDeepStrictEqual } from "node:util";
import { WeakCache } from "../../lib/weak-cache.ts";
import { LARGEST_PAGE } from "../../lib/pages.ts";
import type { LabelFile, Model, Service } from "../../model.ts";
import { labelsOf, titleOf } from "../intent.ts";
import { isErrorLabel } from "./errors.ts";

/**
 * Reads a file of this machine. It gives the same object as long as the file is the same.
 * @param most how large it may be, in bytes
 */
export type ReadLabelFile = (path: string, most: number) => LabelFile;

/** A service with its files. */
interface Filled {
  readonly service: Service;
  readonly warnings: readonly string[];
}

/** What was made of a service, with the files from which it was made. */
interface Made extends Filled {
  readonly files: readonly LabelFile[];
}

/** The file is not looked at while it is the same object, so this is the same one, too. */
const EMPTY: LabelFile = { problem: "it is empty" };

const made = new WeakCache<Service, { last: Made | undefined }>();

/**
 * Adds to services what is in the files that their labels name. One without files is the same object, and
 * one whose files are the same is the same object as before.
 */
export function withFiles(model: Model, read: ReadLabelFile, labelPrefix: string): Model {
  const filled = model.services.map((service) => fill(service, read, labelPrefix));
  const warnings = filled.flatMap((each) => each.warnings);
  return {
    ...model,
    services: filled.map(({ service }) => service),
    warnings: warnings.length === 0 ? model.warnings : [...model.warnings, ...warnings],
  };
}

function fill(service: Service, read: ReadLabelFile, labelPrefix: string): Filled {
  const wanted = filesOf(service);
  if (wanted.length === 0) return { service, warnings: [] };
  const files = wanted.map(({ path, most }) => {
    const file = read(path, most);
    return "text" in file && file.text === "" ? EMPTY : file;
  });
  const memory = made.get(service, () => ({ last: undefined }));
  const { last } = memory;
  if (last !== undefined && isDeepStrictEqual(last.files, files)) return last;
  const found = wanted.map((each, index) => ({ ...each, file: files[index] ?? EMPTY }));
  const next: Made = {
    files,
    service: { ...service, files: Object.fromEntries(found.map(({ path, file }) => [path, file])) },
    warnings: found.flatMap(({ key, path, file }) => {
      if ("text" in file) return [];
      const label = `label ${labelsOf(service.name, labelPrefix)}${key}=${JSON.stringify(path)}`;
      return `service ${titleOf(service.name)}: ${label} counts for nothing: ${file.problem}`;
    }),
  };
  memory.last = next;
  return next;
}

/** What is said of the files of a service that are of no use. */
export function describeFiles({ settings, files = {} }: Service): string[] {
  return filesOf({ settings }).flatMap(({ key, path }) => {
    const file = files[path];
    return file !== undefined && "problem" in file
      ? [`${key}=${path} counts for nothing: ${file.problem}`]
      : [];
  });
}

/** The files that settings name. */
function filesOf({ settings }: Pick<Service, "settings">) {
  return Object.entries(settings)
    .filter(([key]) => isErrorLabel(key))
    .map(([key, path]) => ({ key, path, most: LARGEST_PAGE }));
}
