// The gateway's log in JSON, line by line.

/** A line of the log in JSON. */
export interface LogLine {
  time: string;
  level: string;
  message: string;
  event?: string;
  container?: string;
  id?: string;
  route?: string;
  server?: string;
  reason?: string;
  reasons?: string[];
  details?: string[];
}

/** A test for lines whose message matches. */
export function matches(pattern: RegExp | string): (line: LogLine) => boolean {
  return ({ message }) =>
    typeof pattern === "string" ? message.includes(pattern) : pattern.test(message);
}

/** The lines of a log in JSON; those in between that are none have only a message. */
export function parseLog(text: string): LogLine[] {
  return text.split("\n").filter(Boolean).map(parseLine);
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { time: "", level: "", message: line };
  }
}
