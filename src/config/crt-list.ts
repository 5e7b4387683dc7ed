// A list of certificates as text: which certificate is shown for which names.

import type { Files } from "../model.ts";

/** The lines of a list, without comments and with single blanks. Source: configuration manual, `crt-list`. */
export function listLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim().replaceAll(/\s+/g, " ").replaceAll("[ ", "[").replaceAll(" ]", "]"))
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** The file of a line's certificate. */
export function certificateOf(line: string): string {
  return line.split(" ", 1)[0] ?? "";
}

/** Whether clients are asked for a certificate by a line. */
export function asksClients(line: string): boolean {
  return /^\S+ \[verify /.test(line);
}

/** A line of a running list, with its number there. */
interface ShownLine {
  readonly line: string;
  readonly number: string;
}

/** The lines of a running list, from HAProxy's answer to `show ssl crt-list -n`. */
export function shownLines(answer: string): ShownLine[] {
  // All versions write a NUL behind the value of "alpn".
  return listLines(answer.replaceAll("\0", "")).map((shown) => {
    const [, file = "", number = "", rest = ""] = /^(\S+):(\d+)(.*)$/.exec(shown) ?? [];
    return { line: `${file}${rest}`, number };
  });
}

/** The text of each list of certificates, by its path. */
export function crtListsOf({ assets }: Files): Readonly<Record<string, string>> {
  const lists = Object.entries(assets).filter(([, { kind }]) => kind === "crtlist");
  return Object.fromEntries(lists.map(([path, { text }]) => [path, text]));
}
