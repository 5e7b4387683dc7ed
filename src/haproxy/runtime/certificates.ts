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
  {
    do:
      | "add certificate"
      | "remove certificate"
      | "withdraw certificate"
      | "set certificate"
      | "turn ticket keys"
      | "add authorities"
      | "set authorities"
      | "remove authorities";
  }
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
    case "withdraw certificate":
      return removeCertificate(ask, operation.list, operation.line);
    case "set certificate":
      return setFile(ask, "cert", operation.file, operation.text);
    case "add authorities":
      return addAuthorities(ask, operation.kind, operation.file, operation.text);
    case "set authorities":
      return setFile(ask, `${operation.kind}-file`, operation.file, operation.text);
    case "remove authorities":
      return removeAuthorities(ask, operation.kind, operation.file);
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
      await setFile(ask, "cert", file, await readCertificate(file));
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

async function addAuthorities(ask: Ask, kind: string, file: string, text: string): Promise<void> {
  const answer = await ask(`new ssl ${kind}-file ${word(file)}`);
  // It may be there still: one that went is only removed once no line names it.
  if (!/New (CA|CRL) file created|already exists/.test(answer)) {
    throw refusal(`new ssl ${kind}-file`, file, answer);
  }
  await setFile(ask, `${kind}-file`, file, text);
}

async function removeAuthorities(ask: Ask, kind: string, file: string): Promise<void> {
  const answer = await ask(`del ssl ${kind}-file ${word(file)}`);
  if (!/deleted!|in use|doesn't exist/.test(answer)) {
    throw refusal(`del ssl ${kind}-file`, file, answer);
  }
}

/** Changes what HAProxy has of a file. @param what `cert`, `ca-file` or `crl-file` */
async function setFile(ask: Ask, what: string, file: string, text: string): Promise<void> {
  if (Buffer.byteLength(text) > LONGEST) {
    throw new GatewayError("haproxy", `A certificate of more than ${LONGEST} bytes takes a reload`);
  }
  const first = await tryToSet(ask, what, file, text);
  if (SET.test(first)) return;
  // A gateway that was killed may have left another one half done. HAProxy 2.6 tells only at the end.
  const [, other] = /ongoing transaction is about '([^']+)'/.exec(first) ?? [];
  if (other === undefined) throw refusal(`set ssl ${what}`, file, first);
  await ask(`abort ssl ${what} ${word(other)}`);
  const second = await tryToSet(ask, what, file, text);
  if (!SET.test(second)) throw refusal(`set ssl ${what}`, file, second);
}

const SET = /Success!/;

/** @returns HAProxy's last words, which match `SET` if all went well */
async function tryToSet(ask: Ask, what: string, file: string, text: string): Promise<string> {
  const answer = await ask(`set ssl ${what} ${word(file)} <<\n${text.trimEnd()}\n`);
  return /transaction (created|updated)/i.test(answer)
    ? ask(`commit ssl ${what} ${word(file)}`)
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
