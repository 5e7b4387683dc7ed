// Writes labels of ours as YAML, ready to be copied into a compose file.

import { compare } from "../../lib/text.ts";
import type { Labels } from "./vocabulary.ts";

/** What a compose file has for a dollar: one alone begins the name of a variable. */
const DOLLAR = "$$";

/**
 * The part `labels:` of a service. Every value is in quotes, so that none is taken for a number, a
 * switch or a comment.
 */
export function asComposeLabels(labels: Labels, prefix = "gateway."): string {
  const names = Object.keys(labels).toSorted(byPlace);
  if (names.length === 0) return "labels: {}\n";
  const lines = names.map((name) => `  ${quote(prefix + name)}: ${quote(labels[name] ?? "")}\n`);
  return `labels:\n${lines.join("")}`;
}

/** The labels of the container first, then those of each further route together. */
function byPlace(a: string, b: string): number {
  return Number(isOfRoute(a)) - Number(isOfRoute(b)) || compare(a, b);
}

function isOfRoute(name: string): boolean {
  return name.startsWith("route.");
}

/** A text in double quotes. The escapes of JSON are those of YAML; what JSON leaves is added. */
function quote(text: string): string {
  return JSON.stringify(text)
    .replaceAll(
      /[\u007f-\u009f\u2028\u2029\ufeff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    )
    .replaceAll("$", () => DOLLAR);
}
