// A line of an explanation, and what several explanations say of servers.

import { describeCheck, type Asked } from "../../gateway/checks.ts";
import { describeOddAnswers } from "../../gateway/report.ts";
import type { Oddity } from "../../haproxy/runtime/oddities.ts";
import type { ServerStats } from "../../haproxy/runtime/stats.ts";
import { formatDuration } from "../../lib/text.ts";
import type { Service } from "../../model.ts";
import { labelsOf } from "../../routing/intent.ts";

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

/** How HAProxy has a server. @param asked what it is asked by checks */
export function describeStats(stats: ServerStats, asked: Asked): string {
  const { state, since, requests } = stats;
  const text = `${state} for ${formatDuration(since)}`;
  if (state !== "down") return `${text}, ${requests} request${requests === 1 ? "" : "s"}`;
  return `${text}: ${describeCheck(stats, asked)}`;
}

/** What the servers of a service are asked by checks; undefined: it is not known which service they are. */
export function askedOf(
  service: Pick<Service, "name" | "settings"> | undefined,
  labelPrefix: string,
): Asked {
  const prefix = service === undefined ? labelPrefix : labelsOf(service.name, labelPrefix);
  return { settings: service?.settings ?? {}, prefix };
}
