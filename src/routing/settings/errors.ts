// Reads the labels about pages that are answered for a status: `errors.404`, `errors.5xx`.

const STATUS = /^errors\.([45]\d\d|[45]xx)$/;
/** Those who are asked for a password would lose the question. */
const QUESTIONS = new Set(["401", "407"]);

/** Whether a label is about a page for a status. */
export function isErrorLabel(key: string): boolean {
  const [, status = ""] = STATUS.exec(key) ?? [];
  return status !== "" && !QUESTIONS.has(status);
}
