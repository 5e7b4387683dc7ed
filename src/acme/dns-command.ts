// Proves names by DNS-01: a command of the user's puts a record into the DNS, and takes it away again.

import { GatewayError } from "../lib/errors.ts";
import { runProgram } from "../lib/process.ts";
import { Failure } from "./failure.ts";

/** A provider's servers may take minutes to have a record, and the command waits for that. In milliseconds. */
const LIMIT = 300_000;
/** More lines of a command are not told. */
const MOST_LINES = 20;

/** A record of the DNS. */
export interface DnsRecord {
  /** Such as `_acme-challenge.example.com`. */
  readonly name: string;
  /** What its TXT record has. */
  readonly value: string;
}

/**
 * Runs the command: `COMMAND set|unset NAME VALUE`.
 * @throws Failure `here` with the command's own lines
 */
export async function runDnsCommand(
  command: readonly string[],
  action: "set" | "unset",
  { name, value }: DnsRecord,
): Promise<void> {
  const [program = ""] = command;
  const failed = `--acme-dns "${program}" ${action} ${name}`;
  try {
    const { exitCode, timedOut, lines } = await runProgram(
      [...command, action, name, value],
      LIMIT,
    );
    if (exitCode === 0 && !timedOut) return;
    const state = timedOut
      ? `took longer than ${LIMIT / 60_000} minutes`
      : `ended with status ${exitCode}`;
    throw new Failure("here", `${failed} ${state}`, "run it by hand", 0, lines.slice(-MOST_LINES));
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new Failure("here", `${failed}: ${error.message}`, error.hint);
  }
}

/** Where the record of a name is. Source: RFC 8555, section 8.4. @param name without a wildcard's star */
export function recordName(name: string): string {
  return `_acme-challenge.${name}`;
}
