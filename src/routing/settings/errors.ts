// Reads the labels about pages that are answered for a status: `errors.404`, `errors.5xx`.

/** A path from the root, on one line. What is really there is looked at when it is read. */
const FILE = /^\/[^\p{Cc}\u2028\u2029]{1,199}$/u;
const STATUS = /^errors\.([45]\d\d|[45]xx)$/;
/** Those who are asked for a password would lose the question. */
const QUESTIONS = new Set(["401", "407"]);

/** The path of a file on this machine. */
export function parseFile(text: string): string | undefined {
  return FILE.test(text) ? text : undefined;
}

/** Whether a label is about a page for a status. */
export function isErrorLabel(key: string): boolean {
  const [, status = ""] = STATUS.exec(key) ?? [];
  return status !== "" && !QUESTIONS.has(status);
}
