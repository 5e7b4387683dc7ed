// The folder of --acme-dir: the certificates, and what must survive a restart. A certificate is `NAME.pem`
// with its key and its chain, which HAProxy reads. All else is in `state/`. Nobody else may read anything.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../lib/digest.ts";
import { replaceFile } from "../lib/disk.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { lockOutput, type Lock } from "../lib/lock.ts";
import { NOTHING, type Lifetime, type Memory } from "./due.ts";

/** Only the gateway's own user reads them. */
const [FILE_MODE, FOLDER_MODE] = [0o600, 0o700];
/** The form of the file with the memories. */
const VERSION = 1;

/** A certificate on disk. */
export interface Certificate extends Lifetime {
  /** The common name of who signed it. */
  readonly issuer: string;
  /** The certificate alone, in PEM. */
  readonly text: string;
}

/** An account at an authority. */
export interface Account {
  /** Empty: it is not made yet, or that is not known. */
  readonly url: string;
  /** In PEM. */
  readonly key: string;
}

/** An order that is under way. The next gateway goes on with it. */
export interface OpenOrder {
  readonly directory: string;
  readonly account: string;
  readonly url: string;
  readonly names: readonly string[];
  /** The key of the certificate to be, in PEM. */
  readonly key: string;
}

/**
 * Keeps other gateways from the folder: they would ask for the same certificates, and forget each other's
 * tries.
 * @throws GatewayError `config` if another gateway has it, or it cannot be made
 */
export async function lockFolder(path: string, warn: (message: string) => void): Promise<Lock> {
  const state = join(path, "state");
  makeFolder(state);
  return lockOutput(state, warn, "--acme-dir");
}

/** @throws GatewayError `config` */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    throw new GatewayError("config", `Cannot make folder "${path}": ${errorMessage(error)}`, {
      hint: "name another --acme-dir",
      cause: error,
    });
  }
}

export class AcmeFolder {
  readonly #state: string;
  #memories: Readonly<Record<string, Memory>> = {};
  #writing: Promise<void> = Promise.resolve();

  /** @throws GatewayError `config` if the folder cannot be made or is open to others */
  constructor(readonly path: string) {
    this.#state = join(path, "state");
    makeFolder(this.#state);
    const { mode, uid } = statSync(path);
    if ((mode & 0o022) !== 0) {
      throw new GatewayError("config", `Cannot use --acme-dir "${path}": others may write there`, {
        hint: `chmod 700 ${path}`,
      });
    }
    const own = process.getuid?.();
    if (own !== 0 && uid !== own) {
      throw new GatewayError("config", `Cannot use --acme-dir "${path}": it is another user's`, {
        hint: "name another --acme-dir",
      });
    }
    this.#memories = this.#readMemories();
  }

  /** The path of a certificate. */
  pathOf(file: string): string {
    return join(this.path, `${file}.pem`);
  }

  /** The names of the files of all certificates, without `.pem`. */
  files(): string[] {
    return readdirSync(this.path)
      .filter((name) => name.endsWith(".pem"))
      .map((name) => name.slice(0, -".pem".length));
  }

  /** Reads a certificate. Undefined if there is none, or it is of no use. */
  certificate(file: string): Certificate | undefined {
    const path = this.pathOf(file);
    return existsSync(path) ? parseBundle(readFileSync(path, "utf8")) : undefined;
  }

  /** Writes a certificate. @throws GatewayError `config` */
  write(file: string, bundle: string): Promise<void> {
    return replaceFile(this.pathOf(file), bundle, FILE_MODE);
  }

  /** What is known of a certificate. */
  memory(file: string): Memory {
    return this.#memories[file] ?? NOTHING;
  }

  /** What is known of all of them, by file. */
  get memories(): Readonly<Record<string, Memory>> {
    return this.#memories;
  }

  /** Remembers, also if it cannot be written. @throws GatewayError `config` then */
  async remember(file: string, memory: Memory): Promise<void> {
    this.#memories = { ...this.#memories, [file]: memory };
    await this.#writeMemories();
  }

  /** Removes a certificate and all that is known of it. @throws GatewayError `config` */
  async remove(file: string): Promise<void> {
    rmSync(this.pathOf(file), { force: true });
    this.closeOrder(file);
    const { [file]: _, ...others } = this.#memories;
    this.#memories = others;
    await this.#writeMemories();
  }

  account(directory: string, email: string): Account | undefined {
    return readJson<Account>(this.#accountPath(directory, email), ["url", "key"]);
  }

  keepAccount(directory: string, email: string, account: Account): Promise<void> {
    const text = JSON.stringify({ directory, email, ...account });
    return replaceFile(this.#accountPath(directory, email), text, FILE_MODE);
  }

  dropAccount(directory: string, email: string): void {
    rmSync(this.#accountPath(directory, email), { force: true });
  }

  openOrder(file: string): OpenOrder | undefined {
    const keys = ["directory", "account", "url", "names", "key"] as const;
    return readJson<OpenOrder>(this.#orderPath(file), keys);
  }

  keepOrder(file: string, order: OpenOrder): Promise<void> {
    return replaceFile(this.#orderPath(file), JSON.stringify(order), FILE_MODE);
  }

  closeOrder(file: string): void {
    rmSync(this.#orderPath(file), { force: true });
  }

  #accountPath(directory: string, email: string): string {
    return join(this.#state, `account-${digestOf(`${directory} ${email}`)}.json`);
  }

  #orderPath(file: string): string {
    return join(this.#state, `order-${file}.json`);
  }

  get #memoryPath(): string {
    return join(this.#state, "memory.json");
  }

  /** One after the other: what is remembered meanwhile is written with the next. */
  #writeMemories(): Promise<void> {
    const done = this.#writing.then(() => {
      const text = JSON.stringify({ version: VERSION, certificates: this.#memories }, undefined, 1);
      return replaceFile(this.#memoryPath, text, FILE_MODE);
    });
    this.#writing = done.catch(() => undefined);
    return done;
  }

  #readMemories(): Readonly<Record<string, Memory>> {
    const read = readJson<{ version: number; certificates: Record<string, Memory> }>(
      this.#memoryPath,
      ["version", "certificates"],
    );
    if (read?.version !== VERSION) return {};
    return Object.fromEntries(
      Object.entries(read.certificates).map(([file, memory]) => [file, { ...NOTHING, ...memory }]),
    );
  }
}

/** The object in a file; undefined if there is none, or one that lacks something. */
function readJson<T extends object>(path: string, keys: readonly (keyof T)[]): T | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const isWhole =
      typeof value === "object" && value !== null && keys.every((key) => key in value);
    return isWhole ? (value as T) : undefined;
  } catch (error) {
    // Somebody else wrote it: what is written here is whole.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/;
const KEY = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[^-]*-----END \1PRIVATE KEY-----/;

/** Reads a certificate with its key and chain, in PEM. Undefined if it is of no use. */
export function parseBundle(text: string): Certificate | undefined {
  const [leaf] = CERTIFICATE.exec(text) ?? [];
  const [key] = KEY.exec(text) ?? [];
  if (leaf === undefined || key === undefined) return undefined;
  try {
    const certificate = new X509Certificate(leaf);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return undefined;
    const names = (certificate.subjectAltName ?? "").split(", ");
    return {
      notBefore: Date.parse(certificate.validFrom),
      notAfter: Date.parse(certificate.validTo),
      names: names.flatMap((name) => (name.startsWith("DNS:") ? [name.slice(4)] : [])),
      issuer:
        /^CN=(.*)$/m.exec(certificate.issuer)?.[1] ?? certificate.issuer.replaceAll("\n", ", "),
      text: leaf,
    };
  } catch {
    return undefined;
  }
}
