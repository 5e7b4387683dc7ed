// Keeps a container that comes and goes for ever, such as in a crash loop, from filling the log.

import type { LogLine } from "../lib/log.ts";
import { formatDuration } from "../lib/text.ts";

/** A container without a change for so long has calmed down, in milliseconds. */
const CALM_AFTER = 5 * 60_000;
/**
 * So many lines of a container are told before it is called restless: as many as a deployment and a
 * few restarts make.
 */
const TOLD_LINES = 12;
/** How often is told how restless a container is, in milliseconds. */
const TELL_EVERY = 10 * 60_000;

/** What happened to a container without a calm in between. All times are in ms since 1970. */
interface Unrest {
  readonly since: number;
  /** How many lines there were. */
  lines: number;
  /** How many of them were held back since `toldAt`. */
  held: number;
  toldAt: number;
  last: LogLine;
  lastAt: number;
}

/** Holds back most lines of containers that come and go for ever, such as in a crash loop. */
export class Damper {
  /** By the container's ID. */
  readonly #unrests = new Map<string, Unrest>();

  /** The lines to log for a line. */
  damp(line: LogLine, now: number): LogLine[] {
    const { id, container } = line.fields;
    if (typeof id !== "string") return [line];
    const unrest = this.#unrests.get(id) ?? this.#begin(id, line, now);
    unrest.lines++;
    unrest.last = line;
    unrest.lastAt = now;
    if (unrest.lines < TOLD_LINES) return [line];
    if (unrest.lines === TOLD_LINES) {
      unrest.toldAt = now;
      const time = formatDuration((now - unrest.since) / 1000);
      const what =
        `container ${String(container)} comes and goes: ${TOLD_LINES} changes in ${time}; ` +
        `from now on that is told every ${formatDuration(TELL_EVERY / 1000)}`;
      return [line, warning(what, unrest)];
    }
    unrest.held++;
    const held: LogLine = { ...line, level: "debug" };
    if (now - unrest.toldAt < TELL_EVERY) return [held];
    return [held, this.#summary(unrest, now, "still comes and goes")];
  }

  /** The lines about containers that have calmed down. */
  settled(now: number): LogLine[] {
    const calm = [...this.#unrests].filter(([, { lastAt }]) => now - lastAt >= CALM_AFTER);
    for (const [id] of calm) this.#unrests.delete(id);
    return calm
      .filter(([, { held }]) => held > 0)
      .map(([, unrest]) => this.#summary(unrest, unrest.lastAt, "has calmed down"));
  }

  #begin(id: string, line: LogLine, now: number): Unrest {
    const unrest = { since: now, lines: 0, held: 0, toldAt: now, last: line, lastAt: now };
    this.#unrests.set(id, unrest);
    return unrest;
  }

  #summary(unrest: Unrest, now: number, what: string): LogLine {
    const { held, toldAt, last } = unrest;
    const time = formatDuration((now - toldAt) / 1000);
    unrest.held = 0;
    unrest.toldAt = now;
    const message =
      `container ${String(last.fields["container"])} ${what}: ${held} changes in ${time}, ` +
      `the last: ${last.message}`;
    return warning(message, unrest);
  }
}

function warning(message: string, { last, lines }: Unrest): LogLine {
  const { container = "", id = "" } = last.fields;
  return { level: "warn", message, fields: { event: "restless", container, id, lines } };
}
