// Remembers which label a text comes from, if HAProxy's files may refuse that text.

import type { HelperDelegate } from "handlebars";
import type { Server } from "../model.ts";
import { isMapWord } from "./escape.ts";

/** A label of a container. */
export interface Origin {
  /** The container's ID. */
  readonly id: string;
  readonly label: string;
  readonly text: string;
}

/** A text that knows which labels it was made from. Templates see it as an ordinary text. */
class TracedText extends String {
  constructor(
    text: string,
    readonly origins: readonly Origin[],
  ) {
    super(text);
  }
}

/** The labels that a value was made from and that HAProxy's files may refuse. */
export function originsOf(value: unknown): readonly Origin[] {
  return value instanceof TracedText ? value.origins : [];
}

/** The value as an ordinary one. */
export function withoutOrigins(value: unknown): unknown {
  return value instanceof TracedText ? value.toString() : value;
}

/** Wraps a helper: it gets ordinary values, and its result keeps the origins of its arguments. */
export function keepOrigins(helper: HelperDelegate): HelperDelegate {
  return function wrapped(this: unknown, ...args: unknown[]): unknown {
    const origins = args.flatMap(originsOf);
    const result: unknown = Reflect.apply(helper, this, args.map(withoutOrigins));
    if (origins.length === 0 || typeof result !== "string") return result;
    // A helper such as `default` returns one of its arguments. The others' origins do not count then.
    return args.find((arg) => withoutOrigins(arg) === result) ?? new TracedText(result, origins);
  };
}

/** Wraps a block that tests for an empty text: one with origins is an object, which never is empty. */
export function keepOriginsInBlock(block: HelperDelegate): HelperDelegate {
  return function wrapped(this: unknown, value: unknown, ...rest: unknown[]): unknown {
    return Reflect.apply(block, this, [withoutOrigins(value) === "" ? "" : value, ...rest]);
  };
}

/**
 * Marks each label's value with its origin: the container and the label. An error can then name them.
 * Returns the same server if no value can cause an error.
 */
export function traceLabels(server: Server): Server {
  const { id, labels } = server;
  if (Object.values(labels).every(isMapWord)) return server;
  const entries = Object.entries(labels).map(([label, text]): [string, unknown] => [
    label,
    isMapWord(text) ? text : new TracedText(text, [{ id, label, text }]),
  ]);
  // The type is not exact: some are a TracedText, which templates treat as a text.
  return { ...server, labels: Object.fromEntries(entries) as Record<string, string> };
}
