// Reads the labels about pages that are answered for a status: `errors.404`, `errors.5xx`.

const STATUS = /^errors\.([45]\d\d|[45]xx)$/;
/** Those who are asked for a password would lose the question. */
const QUESTIONS = new Set(["401", "407"]);

/** Whether a label is about a page for a status. */
export function isErrorLabel(key: string): boolean {
  const [, status = ""] = STATUS.exec(key) ?? [];
  return status !== "" && !QUESTIONS.has(status);
}

/** Why a label that looks like one of these is none; undefined if it does not. */
export function whyNoErrorLabel(key: string): string | undefined {
  const [, status] = /^errors\.(.+)$/.exec(key) ?? [];
  if (status === undefined) return undefined;
  return QUESTIONS.has(status)
    ? "in its place a page would take away the question for a password"
    : "pages are for 400 to 599, such as errors.404, errors.4xx or errors.5xx";
}
