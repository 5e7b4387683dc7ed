// The doctor's checks of what an authority needs to make certificates: that it can be asked, a clock that is
// right, names that lead here, and a DNS that lets it.

import { lookup, Resolver } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import type { AcmeOptions } from "../../acme/acme.ts";
import { findCaa, whyForbidden, type ResolveCaa } from "../../acme/caa.ts";
import { asRecord, connectionReason } from "../../acme/failure.ts";
import type { CheckDocument } from "../../api/self-check.ts";
import { pause, withTimeout } from "../../lib/async.ts";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import { isWildcard } from "../../lib/places.ts";
import { formatDuration } from "../../lib/text.ts";
import { failure, ok, warning, type Finding } from "./check.ts";

/** Nobody waits longer for one check. In milliseconds. */
const LIMIT = 4_000;
/** A clock that is off by more is told. An authority takes some minutes; certificates begin to count now. In ms. */
const CLOCK_MAY_BE_OFF = 60_000;
/** More names are not looked at. */
const MOST_NAMES = 20;
/** Authorities ask for HTTP-01 at this port. Source: RFC 8555, section 8.3. */
const PORT = 80;

/** What an authority says of itself. */
interface Directory {
  /** The time of its answer, in milliseconds since 1970; undefined: it does not say. */
  readonly date: number | undefined;
  /** By how much this machine's clock may be misread, in milliseconds. */
  readonly doubt: number;
  readonly identities: readonly string[];
  readonly needsKey: boolean;
}

type Asked = Pick<AcmeOptions, "directory" | "ca" | "binding" | "dns">;

/** Reads an authority's directory. @throws an error of the connection */
async function readDirectory({ directory, ca }: Asked): Promise<Directory> {
  const started = Date.now();
  const { headers, body } = await withTimeout(
    LIMIT,
    new AbortController().signal,
    async (signal) => {
      const response = await fetch(directory, {
        signal,
        redirect: "error",
        ...(ca === undefined ? {} : { tls: { ca } }),
      });
      if (!response.ok)
        throw new GatewayError("gateway", `it answers with status ${response.status}`);
      return { headers: response.headers, body: asRecord(await response.json()) };
    },
  );
  const meta = asRecord(body["meta"]);
  const said = Date.parse(headers.get("date") ?? "");
  const names: unknown = meta["caaIdentities"];
  return {
    date: Number.isNaN(said) ? undefined : said,
    // The header has whole seconds.
    doubt: Date.now() - started + 1_000,
    identities: Array.isArray(names) ? names.map((name) => String(name).toLowerCase()) : [],
    needsKey: meta["externalAccountRequired"] === true,
  };
}

/** Checks that the authority answers, and that this machine's clock is that of others. */
export async function checkAuthority(options: Asked, listen: readonly string[]): Promise<Finding> {
  const { host } = new URL(options.directory);
  let found: Directory;
  try {
    found = await readDirectory(options);
  } catch (error) {
    const reason = error instanceof GatewayError ? error.message : connectionReason(error);
    return failure(
      `${host} cannot be asked: ${reason}`,
      "look at this machine's way out, at --acme-directory and, for a private one, at --acme-ca",
    );
  }
  if (found.needsKey && options.binding === undefined) {
    return failure(
      `${host} makes an account only for a key that it knows`,
      "give it with --acme-eab KID:HMAC",
    );
  }
  const off = found.date === undefined ? 0 : Date.now() - found.date;
  if (Math.abs(off) > CLOCK_MAY_BE_OFF + found.doubt) {
    const by = formatDuration(Math.abs(off) / 1_000);
    return failure(
      `this machine's clock is ${by} ${off > 0 ? "ahead of" : "behind"} that of ${host}`,
      "timedatectl set-ntp true: by a wrong clock, certificates are not valid",
    );
  }
  const hasPort = listen.some((address) => address.endsWith(`:${PORT}`));
  if (options.dns === undefined && !hasPort) {
    return warning(
      `${host} asks at port ${PORT}, and HAProxy listens at ${listen.join(", ")}`,
      `fine where port ${PORT} is forwarded there; else use --listen '*:${PORT}' or --acme-dns`,
    );
  }
  return ok(`${host} answers, and this machine's clock is right`);
}

/** Finds out where the addresses of a name lead. */
export type CheckAddresses = (name: string) => Promise<CheckDocument>;

/**
 * Checks that names lead here, and that the DNS lets the authority make certificates for them.
 * @param names those that it is asked for, the doubtful ones first
 * @param check asks the running gateway; undefined: none runs, so it is only looked whether the addresses are
 *   this machine's
 */
export async function checkNames(
  names: readonly string[],
  options: Asked,
  check: CheckAddresses | undefined,
): Promise<Finding> {
  const looked = names.slice(0, MOST_NAMES);
  if (looked.length === 0) return ok("there is no name yet that the authority is asked for");
  const identities = await readDirectory(options).then(
    (found) => found.identities,
    // Another check tells it.
    () => [],
  );
  const method = options.dns === undefined ? "http-01" : "dns-01";
  const resolve = createResolver();
  const problems = await Promise.all(
    looked.map(async (name) => [
      ...(method === "dns-01" || isWildcard(name) ? [] : await withinLimit(addresses(name, check))),
      ...(await withinLimit(caa({ name, identities, method }, resolve))),
    ]),
  );
  const lines = problems.flat();
  const more = names.length - looked.length;
  const rest = more > 0 ? `; ${more} more were not looked at` : "";
  const count = looked.length === 1 ? looked[0] : `${looked.length} names`;
  if (lines.length === 0) {
    const here =
      method === "dns-01" ? "" : check === undefined ? " leads to this machine" : " leads here";
    const lead = looked.length === 1 ? here : here.replace("leads", "lead");
    // An authority that names no identity can be asked, but not be found in a record.
    const caaTold =
      identities.length > 0
        ? "no CAA record forbids the authority"
        : "no CAA record forbids all authorities";
    return ok(`${count}${lead}${here === "" ? ": " : ", and "}${caaTold}${rest}`);
  }
  return {
    level: "warning",
    lines: [
      `not all is ready for the authority${rest}`,
      ...lines,
      "it asks each name by its DNS records: mend these, or label acme=off leaves a container out",
    ],
  };
}

async function withinLimit(task: Promise<readonly string[]>): Promise<readonly string[]> {
  const end = new AbortController();
  try {
    return await Promise.race([task, pause(LIMIT, end.signal).then(() => [])]);
  } finally {
    end.abort();
  }
}

async function addresses(
  name: string,
  check: CheckAddresses | undefined,
): Promise<readonly string[]> {
  return check === undefined ? ownAddresses(name) : leads(name, check);
}

/** What is wrong with the addresses of a name, by the word of the gateway. IPv4 and IPv6 are told apart. */
async function leads(name: string, check: CheckAddresses): Promise<readonly string[]> {
  let found: CheckDocument["addresses"];
  try {
    found = (await check(name)).addresses;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return [`${name}: ${error.message.replace(/^.* leads: /, "")}`];
  }
  const known = found.filter(({ unreachable }) => !unreachable);
  // Where this machine has a way to none of them, the gateway asks for no certificate either.
  const wrong = (known.length === 0 ? found : known).filter(({ problem }) => problem !== "");
  const right = new Set(found.filter(({ problem }) => problem === "").map(({ type }) => type));
  return wrong.map(({ address, type, problem }) => {
    const other = type === "A" ? "AAAA" : "A";
    const but = right.has(other) ? `, but its ${other} record does` : "";
    return `${name}: its ${type} record does not lead here: at ${address}, ${problem}${but}`;
  });
}

/** Which addresses of a name are none of this machine's. */
async function ownAddresses(name: string): Promise<readonly string[]> {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((each) =>
      (each ?? []).map(({ address }) => address),
    ),
  );
  try {
    const found = await lookup(name, { all: true });
    return [...new Set(found.map(({ address }) => address))]
      .filter((address) => !own.has(address))
      .map((address) => {
        const type = address.includes(":") ? "AAAA" : "A";
        return `${name}: its ${type} record is ${address}, which is not this machine's: fine behind a NAT that leads here`;
      });
  } catch (error) {
    const code = systemCode(error).replace("DNS_", "");
    return [`${name}: it does not resolve (${code || errorMessage(error)})`];
  }
}

async function caa(
  question: Parameters<typeof whyForbidden>[1],
  resolve: ResolveCaa,
): Promise<readonly string[]> {
  try {
    const found = await findCaa(question.name, resolve);
    const why = found === undefined ? undefined : whyForbidden(found, question);
    return why === undefined ? [] : [`${question.name}: ${why}`];
  } catch (error) {
    if (systemCode(error) === "") throw error;
    return [`${question.name}: its CAA records cannot be read (${systemCode(error)})`];
  }
}

function createResolver(): ResolveCaa {
  // One name has several above it, so each must be quick.
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  return async (name) => (await resolver.resolveCaa(name)).map((record) => ({ ...record }));
}
