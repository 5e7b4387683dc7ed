// The gateway's log: one line for each thing that happened, as text or as JSON.

import { describeError } from "./errors.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The facts of a line for machines. In the text format the message has them already. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A line that is not written yet. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn";
  readonly message: string;
  readonly fields: LogFields;
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /**
   * Logs a failure with all its lines: the message, the output of the failed program, the hint.
   * @param level an error by default; a warning if things go on without what failed
   */
  failure(error: unknown, note?: string, level?: "warn" | "error"): void;
}

/** Makes a logger whose lines say what they are about. @param subject such as `Engine blue` */
export function about(log: Logger, subject: string): Logger {
  const titled = (message: string): string => `${subject}: ${message}`;
  return {
    debug: (message, fields) => log.debug(titled(message), fields),
    info: (message, fields) => log.info(titled(message), fields),
    warn: (message, fields) => log.warn(titled(message), fields),
    error: (message, fields) => log.error(titled(message), fields),
    failure: (error, note, level) =>
      log.failure(error, note === undefined ? subject : titled(note), level),
  };
}

/** A failure that stays the same is logged again after this time by default, in milliseconds. */
const LOG_AGAIN_AFTER = 60_000;

/** Logs a failure once, and again from time to time while it lasts, with a count. */
export class RepeatedFailure {
  /** When each failure was logged, in milliseconds since 1970, and how often it came since then. */
  readonly #logged = new Map<string, { readonly at: number; count: number }>();

  /** @param again after how long a failure that stays the same is logged again, in milliseconds */
  constructor(
    private readonly log: Pick<Logger, "failure">,
    private readonly again = LOG_AGAIN_AFTER,
  ) {}

  /** @returns whether it was logged */
  tell(error: unknown, note: string, level: "warn" | "error" = "error"): boolean {
    const text = [...describeError(error), level].join("\n");
    const now = Date.now();
    const before = this.#logged.get(text);
    if (before !== undefined && now - before.at < this.again) {
      before.count++;
      return false;
    }
    const more =
      before === undefined || before.count === 0 ? "" : `; ${before.count + 1} times since`;
    // Failures whose text differs each time must not add up.
    for (const [each, { at }] of this.#logged) {
      if (now - at >= 2 * this.again) this.#logged.delete(each);
    }
    this.#logged.set(text, { at: now, count: 0 });
    this.log.failure(error, note + more, level);
    return true;
  }

  /**
   * Call it when things work again. The next failure is then logged at once.
   * @returns whether there was a failure
   */
  forget(): boolean {
    const wasLogged = this.#logged.size > 0;
    this.#logged.clear();
    return wasLogged;
  }
}

interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether systemd's journal reads the lines. It adds the time and understands priorities. */
  readonly journal: boolean;
  readonly write: (line: string) => void;
  readonly now: () => Date;
}

/** Syslog's priorities, which systemd reads at the start of a line. Source: sd-daemon(3). */
const PRIORITY: Readonly<Record<LogLevel, string>> = {
  debug: "<7>",
  info: "<6>",
  warn: "<4>",
  error: "<3>",
};

/** Makes a logger that writes the lines of the given level and above. */
export function createLogger(options: LoggerOptions): Logger {
  const lowest = LOG_LEVELS.indexOf(options.level);

  function write(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < lowest) return;
    const time = options.now().toISOString();
    if (options.format === "json") {
      options.write(JSON.stringify({ time, level, message, ...fields }));
      return;
    }
    const label = level === "info" ? "" : `${level}: `;
    const start = options.journal ? PRIORITY[level] : `${time} `;
    // A message may contain line breaks, for example from a label. They must not start a new line.
    options.write(start + label + message.replaceAll(/[\r\n]+/g, " "));
  }

  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
    failure(error, note, level = "error") {
      const [first = "", ...rest] = describeError(error);
      const message = note === undefined ? first : `${first} (${note})`;
      if (options.format === "json") {
        write(level, message, { details: rest.map((line) => line.trim()) });
        return;
      }
      write(level, message);
      for (const line of rest) write(level, line);
    },
  };
}
