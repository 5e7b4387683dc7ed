// Whether the DNS lets an authority make certificates for a name: CAA records, RFC 8659 and RFC 8657.

import { systemCode } from "../lib/errors.ts";

/** A record as `node:dns` gives it: its flags, and its value under the name of its tag. */
type CaaRecord = Readonly<Record<string, string | number | undefined>>;

/** Reads the records of one name. It fails with a code of the system if there are none. */
export type ResolveCaa = (name: string) => Promise<readonly CaaRecord[]>;

/** Who wants to make a certificate, and for what. */
export interface CaaQuestion {
  /** A host, or a wildcard such as `*.example.com`. */
  readonly name: string;
  /** What the authority calls itself in such records (RFC 8555, section 7.1.1); empty: that is not known. */
  readonly identities: readonly string[];
  /** How the name is proved. */
  readonly method: "http-01" | "dns-01";
}

/** The records that count for a name, and the name that has them. */
export interface CaaSet {
  readonly at: string;
  readonly records: readonly CaaRecord[];
}

/** There are no such records, or there is no such name. */
const NONE = ["ENODATA", "ENOTFOUND"];

/**
 * Finds the records that count for a name: its own, else those of the name above it, and so on. Source: RFC 8659,
 * section 3.
 * @returns undefined if there are none
 * @throws an error of the resolver if the DNS cannot be asked
 */
export async function findCaa(name: string, resolve: ResolveCaa): Promise<CaaSet | undefined> {
  const labels = name.replace(/^\*\./, "").split(".");
  while (labels.length > 0) {
    const at = labels.join(".");
    const records = await resolve(at).catch((error: unknown) => {
      if (NONE.includes(systemCode(error).replace("DNS_", ""))) return [];
      throw error;
    });
    if (records.length > 0) return { at, records };
    labels.shift();
  }
  return undefined;
}

/** Authorities know these tags. Source: RFC 8659, section 4; CA/Browser Forum, Baseline Requirements 4.2.2. */
const KNOWN_TAGS = ["issue", "issuewild", "iodef", "contactemail", "contactphone", "critical"];
/** The flag of a record that an authority must understand. Source: RFC 8659, section 4.1. */
const CRITICAL = 128;

/** Why records forbid a certificate; undefined: they do not, or nobody can tell. */
export function whyForbidden({ at, records }: CaaSet, question: CaaQuestion): string | undefined {
  const { name, identities, method } = question;
  const strange = records
    .filter(({ critical }) => (Number(critical ?? 0) & CRITICAL) !== 0)
    .flatMap((record) => Object.keys(record))
    .find((tag) => !KNOWN_TAGS.includes(tag));
  if (strange !== undefined) return `the CAA record ${strange} of ${at} is critical, and not known`;
  const wild = valuesOf(records, "issuewild");
  const isWild = name.startsWith("*.") && wild.length > 0;
  const values = isWild ? wild : valuesOf(records, "issue");
  if (values.length === 0) return undefined;
  const listed = values.map(({ text }) => `"${text}"`).join(" and ");
  const said = `the CAA record of ${at} lets only ${listed} make it`;
  const issuers = values.filter(({ issuer }) => issuer !== "");
  if (issuers.length === 0) return `the CAA record of ${at} lets nobody make it`;
  if (identities.length === 0) return undefined;
  const own = issuers.filter(({ issuer }) => identities.includes(issuer));
  if (own.length === 0) return said;
  return own.some(({ methods }) => methods === undefined || methods.includes(method))
    ? undefined
    : `${said}, and not by ${method.toUpperCase()}`;
}

/** A value such as `letsencrypt.org; validationmethods=dns-01`. */
interface Issuer {
  readonly text: string;
  /** Empty: nobody. */
  readonly issuer: string;
  /** Undefined: any. Source: RFC 8657, section 4. */
  readonly methods: readonly string[] | undefined;
}

function valuesOf(records: readonly CaaRecord[], tag: "issue" | "issuewild"): Issuer[] {
  return records.flatMap((record) => {
    const text = record[tag];
    if (typeof text !== "string") return [];
    const [issuer = "", ...parameters] = text.split(";").map((part) => part.trim());
    const methods = parameters.map((each) => /^validationmethods\s*=\s*(.*)$/i.exec(each)?.[1]);
    return [
      {
        text,
        issuer: issuer.toLowerCase(),
        methods: methods.find((each) => each !== undefined)?.split(/\s*,\s*/),
      },
    ];
  });
}
