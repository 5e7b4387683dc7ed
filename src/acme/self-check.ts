// Finds out whether a name leads to this gateway, before an authority is asked: its failures count.

import { lookup } from "node:dns/promises";
import { randomBytes } from "node:crypto";
import { withTimeout } from "../lib/async.ts";
import { errorMessage, systemCode } from "../lib/errors.ts";
import type { Answers } from "./answers.ts";
import { connectionReason, Failure } from "./failure.ts";
import { readText } from "./transport.ts";

/** Authorities give up after ten seconds, too. In milliseconds. */
const LIMIT = 10_000;
/** Ours has 40 bytes. */
const LARGEST = 1_000;
/** No name has more addresses, and each takes a request. */
const MOST_ADDRESSES = 8;

const TO_DO = "all of its addresses must lead to this gateway, at port 80";
const BEHIND_NAT =
  "if they do, and only not from here, give --no-acme-self-check; else look at its DNS records, firewall and ports";

/** How an address answered. */
export interface Found {
  readonly address: string;
  /** Undefined: it leads here. */
  readonly problem: string | undefined;
  /** Whether nothing of it can be said from here, as this machine has no way there at all. */
  readonly isUnknown: boolean;
}

/**
 * Checks that each address of a name leads here.
 * @throws Failure `here` that says what answered instead
 */
export async function checkLeadsHere(
  name: string,
  answers: Answers,
  ending: AbortSignal,
): Promise<void> {
  const found = await whereItLeads(name, answers, ending, LIMIT);
  const known = found.filter(({ isUnknown }) => !isUnknown);
  const wrong = (known.length === 0 ? found : known).find(({ problem }) => problem !== undefined);
  if (wrong === undefined) return;
  throw new Failure(
    "here",
    `it does not lead here: at ${wrong.address}, ${wrong.problem}`,
    `${TO_DO}; ${BEHIND_NAT}`,
  );
}

/**
 * Finds out who answers at each address of a name.
 * @param limit how long an answer may take, in milliseconds
 * @throws Failure `here` if it has no address
 */
export async function whereItLeads(
  name: string,
  answers: Answers,
  ending: AbortSignal,
  limit: number,
): Promise<readonly Found[]> {
  const addresses = await addressesOf(name);
  const [token, text] = [randomBytes(15), randomBytes(15)].map((each) =>
    each.toString("base64url"),
  );
  const path = `self-check-${token}`;
  await answers.put(path, text ?? "");
  try {
    return await Promise.all(
      addresses.map((address) => ask({ name, address, path }, text ?? "", ending, limit)),
    );
  } finally {
    answers.take(path);
  }
}

/** @throws Failure `here` if there are none */
async function addressesOf(name: string): Promise<readonly string[]> {
  try {
    const all = await lookup(name, { all: true });
    return [...new Set(all.map(({ address }) => address))].slice(0, MOST_ADDRESSES);
  } catch (error) {
    const code = systemCode(error).replace("DNS_", "");
    const reason = ["ENOTFOUND", "ENODATA", "EAI_NONAME"].includes(code)
      ? "its name does not resolve"
      : `its name cannot be resolved now (${code || errorMessage(error)})`;
    throw new Failure("here", reason, `add a DNS record for ${name} with the address of this host`);
  }
}

async function ask(
  {
    name,
    address,
    path,
  }: { readonly name: string; readonly address: string; readonly path: string },
  expected: string,
  ending: AbortSignal,
  limit: number,
): Promise<Found> {
  const authority = address.includes(":") ? `[${address}]` : address;
  const url = `http://${authority}/.well-known/acme-challenge/${path}`;
  try {
    return await withTimeout(limit, ending, async (signal) => {
      const response = await fetch(url, {
        headers: { Host: name },
        redirect: "manual",
        keepalive: false,
        signal,
      });
      const { status, headers } = response;
      const isOurs = status === 200 && (await readText(response, LARGEST)) === expected;
      const by = headers.get("server");
      const location = headers.get("location");
      const problem =
        `another server answers: status ${status}` +
        (location === null ? "" : `, leading to ${location.slice(0, 100)}`) +
        (by === null ? "" : `, by ${by.slice(0, 60)}`);
      return { address, problem: isOurs ? undefined : problem, isUnknown: false };
    });
  } catch (error) {
    if (error instanceof RangeError) {
      return { address, problem: "another server answers, and at length", isUnknown: false };
    }
    const isUnknown = ["ENETUNREACH", "EHOSTUNREACH"].includes(systemCode(error));
    return { address, problem: connectionReason(error), isUnknown };
  }
}
