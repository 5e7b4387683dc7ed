// Where a value comes from: a text that HAProxy's files may refuse knows whose label it is.

import type { HelperDelegate } from "handlebars";
import type { Server } from "../model.ts";
import { isMapWord } from "./escape.ts";

/** A label, and the container that has it. */
export interface Origin {
  /** The container's ID. */
  readonly id: string;
  readonly label: string;
  readonly text: string;
}

/** A text that knows which labels it was made of. Templates see no difference to another text. */
class TracedText extends String {
  constructor(
    text: string,
    readonly origins: readonly Origin[],
  ) {
    super(text);
  }
}

/** The labels that a value was made of, of those that files may refuse. */
export function originsOf(value: unknown): readonly Origin[] {
  return value instanceof TracedText ? value.origins : [];
}

/** The value itself, without its origins. */
export function plain(value: unknown): unknown {
  return value instanceof TracedText ? value.toString() : value;
}

/** A helper that sees plain values, and whose result knows what it was made of. */
export function traced(helper: HelperDelegate): HelperDelegate {
  return function trace(this: unknown, ...args: unknown[]): unknown {
    const origins = args.flatMap(originsOf);
    const result: unknown = Reflect.apply(helper, this, args.map(plain));
    if (origins.length === 0 || typeof result !== "string") return result;
    // One that only chooses, such as `default`, gives one of its arguments.
    return args.find((arg) => plain(arg) === result) ?? new TracedText(result, origins);
  };
}

/** A block that asks whether its first argument is empty, which an object never is. */
export function tracedBlock(block: HelperDelegate): HelperDelegate {
  return function trace(this: unknown, value: unknown, ...rest: unknown[]): unknown {
    return Reflect.apply(block, this, [plain(value) === "" ? "" : value, ...rest]);
  };
}

/** A server whose labels are traced; one that has none to trace is itself. */
export function traceLabels(server: Server): Server {
  const { id, labels } = server;
  if (Object.values(labels).every(isMapWord)) return server;
  const entries = Object.entries(labels).map(([label, text]): [string, unknown] => [
    label,
    isMapWord(text) ? text : new TracedText(text, [{ id, label, text }]),
  ]);
  // For a template, which takes one text for the other.
  return { ...server, labels: Object.fromEntries(entries) as Record<string, string> };
}
