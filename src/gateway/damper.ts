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
  /** How many of them were held back since `toldAt`, and the last one: of thousands none is kept. */
  held: number;
  last: LogLine | undefined;
  toldAt: number;
  lastAt: number;
}

/** Holds back most lines of containers that come and go for ever, such as in a crash loop. */
export class Damper {
  /** By the container's ID, or by the route, in the order of their last lines. */
  readonly #unrests = new Map<string, Unrest>();

  /** The lines to log for a line. */
  damp<Line extends LogLine>(line: Line, now: number): (LogLine | Line)[] {
    const { id = line.fields["route"] } = line.fields;
    if (typeof id !== "string") return [line];
    const unrest = this.#unrests.get(id) ?? begin(now);
    unrest.lines++;
    unrest.lastAt = now;
    this.#unrests.delete(id);
    this.#unrests.set(id, unrest);
    if (unrest.lines < TOLD_LINES) return [line];
    if (unrest.lines === TOLD_LINES) {
      unrest.toldAt = now;
      const time = formatDuration((now - unrest.since) / 1000);
      const what =
        `${subjectOf(line)} comes and goes: ${TOLD_LINES} changes in ${time}; ` +
        `from now on that is told every ${formatDuration(TELL_EVERY / 1000)}`;
      return [line, warning(what, unrest, line)];
    }
    unrest.held++;
    unrest.last = line;
    const held = { ...line, level: "debug" as const };
    if (now - unrest.toldAt < TELL_EVERY) return [held];
    return [held, this.#summary(unrest, line, now, "still comes and goes")];
  }

  /** The lines about containers that have calmed down. */
  settled(now: number): LogLine[] {
    const lines: LogLine[] = [];
    for (const [id, unrest] of this.#unrests) {
      const { held, last, lastAt } = unrest;
      if (now - lastAt < CALM_AFTER) break;
      this.#unrests.delete(id);
      if (held === 0 || last === undefined) continue;
      lines.push(this.#summary(unrest, last, lastAt, "has calmed down"));
    }
    return lines;
  }

  #summary(unrest: Unrest, last: LogLine, now: number, what: string): LogLine {
    const { held, toldAt } = unrest;
    const time = formatDuration((now - toldAt) / 1000);
    unrest.held = 0;
    unrest.toldAt = now;
    const message = `${subjectOf(last)} ${what}: ${held} changes in ${time}, the last: ${last.message}`;
    return warning(message, unrest, last);
  }
}

function begin(now: number): Unrest {
  return { since: now, lines: 0, held: 0, toldAt: now, last: undefined, lastAt: now };
}

/** What a line is about: a container, or all that is served at a route. */
function subjectOf({ fields: { container, route } }: LogLine): string {
  return container === undefined ? `route ${String(route)}` : `container ${String(container)}`;
}

function warning(message: string, { lines }: Unrest, last: LogLine): LogLine {
  const { container, id, route = "" } = last.fields;
  const about = container === undefined || id === undefined ? { route } : { container, id };
  return { level: "warn", message, fields: { event: "restless", ...about, lines } };
}
