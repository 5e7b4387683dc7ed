// A line of an explanation, and what several explanations say of servers.

import { describeOddAnswers } from "../../gateway/report.ts";
import type { Oddity } from "../../haproxy/runtime/oddities.ts";
import type { ServerStats } from "../../haproxy/runtime/stats.ts";
import { formatDuration } from "../../lib/text.ts";

/** One line of an explanation. */
export interface Line {
  readonly about: string;
  readonly text: string;
}

/** The lines with their texts in one column. */
export function toText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ about }) => about.length));
  return lines.map(({ about, text }) => `${about.padEnd(width)}  ${text}\n`).join("");
}

/** Tells what is odd about the answers of a server. @param subject stands for it */
export function explainAnswers(
  name: string,
  subject: string,
  oddities: readonly Oddity[],
  labelPrefix: string,
): Line[] {
  return oddities
    .filter(({ server }) => server === name)
    .map(({ answers }) => {
      return { about: "answers", text: describeOddAnswers(subject, answers, labelPrefix) };
    });
}

/** How HAProxy has a server. */
export function describeStats({ state, since, requests, check }: ServerStats): string {
  const text = `${state} for ${formatDuration(since)}`;
  if (state !== "down") return `${text}, ${requests} request${requests === 1 ? "" : "s"}`;
  if (check.startsWith("L4")) return `${text}: its port does not answer`;
  if (check.startsWith("L")) return `${text}: its port answers, but not as it should (${check})`;
  return `${text}: it was not checked yet`;
}
