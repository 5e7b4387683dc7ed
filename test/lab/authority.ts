// An authority that issues certificates for tests, in an instant and for any time.

import type { X509Certificate as Signed } from "@peculiar/x509";
import { X509Certificate } from "node:crypto";
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

// Its decorators need the first one before it.
await import("reflect-metadata");
const {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} = await import("@peculiar/x509");

const DAY = 24 * 3_600_000;

const ALGORITHMS = {
  ec: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

export interface Wish {
  readonly kind?: keyof typeof ALGORITHMS;
  /** From when until when it is valid, in days from now. */
  readonly days?: readonly [from: number, until: number];
}

/** A certificate with its chain, and its key, in PEM. */
export interface Issued {
  readonly key: string;
  readonly chain: string;
  readonly both: string;
}

/** Issues certificates by a root that clients trust, and one between. */
export class Authority {
  #serial = 1;

  private constructor(
    /** The certificate of the root, in PEM. */
    readonly root: string,
    private readonly between: Signed,
    private readonly keys: CryptoKeyPair,
    private readonly rootKeys: CryptoKeyPair,
  ) {}

  /** The certificate of the one between, which issues all others, in PEM. */
  get issuer(): string {
    return `${this.between.toString("pem")}\n`;
  }

  /** @param until when it ends, in days from now */
  static async make(name = "Test CA", until = 400): Promise<Authority> {
    const [rootKeys, keys] = [await generate("ec"), await generate("ec")];
    const common = {
      notBefore: new Date(Date.now() - 400 * DAY),
      notAfter: new Date(Date.now() + until * DAY),
      signingAlgorithm: ALGORITHMS.ec,
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    };
    const root = await X509CertificateGenerator.createSelfSigned({
      ...common,
      name: `O=Tests, CN=${name}`,
      keys: rootKeys,
    });
    const between = await X509CertificateGenerator.create({
      ...common,
      serialNumber: "02",
      subject: `O=Tests, CN=${name} R1`,
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
    });
    return new Authority(`${root.toString("pem")}\n`, between, keys, rootKeys);
  }

  /** Issues a certificate for these names. */
  async issue(
    names: readonly string[],
    { kind = "ec", days = [-1, 90] }: Wish = {},
  ): Promise<Issued> {
    const keys = await generate(kind);
    const own = await X509CertificateGenerator.create({
      serialNumber: (0x1000 + this.#serial++).toString(16),
      subject: `CN=${names[0] ?? ""}`,
      issuer: this.between.subject,
      notBefore: new Date(Date.now() + days[0] * DAY),
      notAfter: new Date(Date.now() + days[1] * DAY),
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ALGORITHMS.ec,
      extensions: [
        new SubjectAlternativeNameExtension(
          names.map((value) => ({ type: "dns" as const, value })),
        ),
      ],
    });
    const bytes = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
    const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
    const key = ["-----BEGIN PRIVATE KEY-----", ...lines, "-----END PRIVATE KEY-----", ""].join(
      "\n",
    );
    const chain = `${own.toString("pem")}\n${this.issuer}`;
    return { key, chain, both: key + chain };
  }

  /** The lists of what the root and the one between have revoked, in PEM: these certificates. */
  async revoked(...issued: readonly Issued[]): Promise<string> {
    return this.revokedUntil(30, ...issued);
  }

  /** The same, and these lists count for so many days from now. */
  async revokedUntil(days: number, ...issued: readonly Issued[]): Promise<string> {
    const common = {
      thisUpdate: new Date(Date.now() - DAY),
      nextUpdate: new Date(Date.now() + days * DAY),
      signingAlgorithm: ALGORITHMS.ec,
    };
    const entries = issued.map(({ chain }) => ({
      serialNumber: new X509Certificate(chain).serialNumber,
      revocationDate: new Date(Date.now() - DAY),
    }));
    const lists = await Promise.all([
      X509CrlGenerator.create({
        ...common,
        issuer: this.between.issuer,
        signingKey: this.rootKeys.privateKey,
      }),
      X509CrlGenerator.create({
        ...common,
        issuer: this.between.subject,
        signingKey: this.keys.privateKey,
        entries,
      }),
    ]);
    // As everybody else calls it (RFC 7468, section 6).
    return lists
      .map((list) => `${list.toString("pem").replaceAll(" CRL-", " X509 CRL-")}\n`)
      .join("");
  }
}

async function generate(kind: keyof typeof ALGORITHMS): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHMS[kind], true, ["sign", "verify"]);
}

/** Puts a file in place at once, as a careful program does. */
export function place(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}~`, text);
  renameSync(`${path}~`, path);
}
