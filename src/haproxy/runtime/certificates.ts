// Changes the certificates of a running HAProxy, by steps that are the same in all versions.
// Source: management guide, section 9.3, `new ssl cert` and what follows; the rest was found by trying.

import { readFile } from "node:fs/promises";
import { certificateOf, shownLines } from "../../config/crt-list.ts";
import type { Operation } from "../../config/operations.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { LONGEST, word } from "./commands.ts";

/** The operations that are about certificates. */
export type CertificateOperation = Extract<
  Operation,
  { do: "add certificate" | "remove certificate" | "set certificate" | "turn ticket keys" }
>;

type Ask = (line: string) => Promise<string>;

/** Whether an operation is about certificates. */
export function isAboutCertificates(operation: Operation): operation is CertificateOperation {
  return "list" in operation || "file" in operation;
}

/**
 * Carries out an operation.
 * @throws GatewayError `haproxy` with HAProxy's own words if it refuses
 */
export async function changeCertificates(ask: Ask, operation: CertificateOperation): Promise<void> {
  switch (operation.do) {
    case "add certificate":
      return addCertificate(ask, operation.list, operation.line);
    case "remove certificate":
      return removeCertificate(ask, operation.list, operation.line);
    case "set certificate":
      return setCertificate(ask, operation.file, operation.text);
    case "turn ticket keys":
      return expect(ask, `set ssl tls-key ${word(operation.file)} ${operation.key}`, /updated/);
  }
}

async function addCertificate(ask: Ask, list: string, line: string): Promise<void> {
  const file = certificateOf(line);
  const answer = await ask(`new ssl cert ${word(file)}`);
  // What is in a file of this name never changes, so it may be there already.
  if (!/already exists/.test(answer)) {
    if (!/New empty certificate/.test(answer)) throw refusal("new ssl cert", file, answer);
    try {
      await setCertificate(ask, file, await readCertificate(file));
    } catch (error) {
      await ask(`abort ssl cert ${word(file)};del ssl cert ${word(file)}`);
      throw error;
    }
  }
  await expect(ask, `add ssl crt-list ${word(list)} <<\n${line}\n`, /Success!/);
}

async function removeCertificate(ask: Ask, list: string, line: string): Promise<void> {
  const file = certificateOf(line);
  const shown = shownLines(await ask(`show ssl crt-list -n ${word(list)}`));
  const number = shown.find((each) => each.line === line)?.number;
  if (number !== undefined) {
    const entry = `${word(file)}:${number}`;
    await expect(ask, `del ssl crt-list ${word(list)} ${entry}`, /deleted in crtlist/);
  }
  const answer = await ask(`del ssl cert ${word(file)}`);
  // Another line may have it still.
  if (!/deleted!|in use|doesn't exist/.test(answer)) throw refusal("del ssl cert", file, answer);
}

async function setCertificate(ask: Ask, file: string, text: string): Promise<void> {
  if (Buffer.byteLength(text) > LONGEST) {
    throw new GatewayError("haproxy", `A certificate of more than ${LONGEST} bytes takes a reload`);
  }
  const first = await tryToSet(ask, file, text);
  if (SET.test(first)) return;
  // A gateway that was killed may have left another one half done. HAProxy 2.6 tells only at the end.
  const [, other] = /ongoing transaction is about '([^']+)'/.exec(first) ?? [];
  if (other === undefined) throw refusal("set ssl cert", file, first);
  await ask(`abort ssl cert ${word(other)}`);
  const second = await tryToSet(ask, file, text);
  if (!SET.test(second)) throw refusal("set ssl cert", file, second);
}

const SET = /Success!/;

/** @returns HAProxy's last words, which match `SET` if all went well */
async function tryToSet(ask: Ask, file: string, text: string): Promise<string> {
  const answer = await ask(`set ssl cert ${word(file)} <<\n${text.trimEnd()}\n`);
  return /Transaction (created|updated)/.test(answer)
    ? ask(`commit ssl cert ${word(file)}`)
    : answer;
}

async function readCertificate(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new GatewayError("config", `Cannot read "${file}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function expect(ask: Ask, command: string, success: RegExp): Promise<void> {
  const answer = await ask(command);
  if (success.test(answer)) return;
  const [what = ""] = command.split("\n");
  throw refusal(what.replace(/ <<$/, ""), "", answer);
}

function refusal(command: string, file: string, answer: string): GatewayError {
  const said = answer.trim().replaceAll(/\s*\n\s*/g, " ");
  return new GatewayError(
    "haproxy",
    `HAProxy refused to be changed: ${said} (in "${`${command} ${file}`.trim()}")`,
  );
}
