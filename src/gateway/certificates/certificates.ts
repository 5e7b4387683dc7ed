// Reads the certificates of --certs, which somebody else renews, and keeps them where HAProxy reads them.

import { readFileSync, statSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { endsSoon, parseKeyPair, type KeyPair } from "../../lib/certificates.ts";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import { compare, formatDay } from "../../lib/text.ts";
import type { Certificate, TlsFiles } from "../../model.ts";
import { findPairs, readPair, type Found, type PairFiles } from "./pairs.ts";
import { isUsableSelfSigned, makeSelfSigned } from "./self-signed.ts";
import { CertificateStore } from "./store.ts";
import { TicketKeys } from "./ticket-keys.ts";

/** Where certificates come from. */
export interface CertificateFolder {
  readonly path: string;
  /** Whether it may come later: then it is no mistake that it is not there. */
  readonly isOptional: boolean;
}

/** Where the files beside HAProxy's configuration are. */
interface OwnFiles {
  /** The folder of the certificates that HAProxy reads. */
  readonly store: string;
  /** The certificate for unknown names. */
  readonly fallback: string;
  readonly ticketKeys: string;
}

/** What is known of one certificate's files. */
interface Known {
  /** How they were when they were found last. */
  readonly files: PairFiles;
  /** Since when they are so, or are gone, in milliseconds since 1970. */
  readonly since: number;
  readonly isGone: boolean;
  /** How they were when they were read last; undefined if they were not. */
  readonly stamp: string | undefined;
  /** The last good one. */
  readonly pair: KeyPair | undefined;
  /** What is wrong with the files as they were read. */
  readonly problem: string | undefined;
}

/** All that was read. */
interface Read {
  readonly files: TlsFiles;
  /** What is to be in the store, by path. */
  readonly texts: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/**
 * Files that have just changed, or are gone, may be changed once more: they are left alone for so long, in
 * milliseconds.
 */
const CALM = 700;
/** How often certificates that are out of use are looked for, in milliseconds. */
const TIDY_EVERY = 3_600_000;

/** How often it is looked whether somebody has removed what was kept, in milliseconds. */
const LOOK_AGAIN_AFTER = 60_000;

/** In words, why a file cannot be read. Others are told as the system tells them. */
const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "it is gone",
  EACCES: "the gateway may not read it",
};

/** Nothing is served by HTTPS. */
const NOTHING: TlsFiles = { certificates: [], fallback: "", ticketKeys: "" };

export class Certificates {
  readonly #store: CertificateStore;
  readonly #keys = new TicketKeys();
  /** By the path of the first file. */
  readonly #known = new Map<string, Known>();
  /** What each folder had when it was looked at last. */
  readonly #found = new Map<string, Found>();
  #lonely: Found["lonely"] = [];
  #files: TlsFiles = NOTHING;
  #warnings: readonly string[] = [];
  #selfSigned = "";
  #read: Read = { files: NOTHING, texts: new Map(), warnings: [] };
  #kept: Read | undefined;
  #keptAt = 0;
  /** When one of the certificates begins or ends to be valid, in milliseconds since 1970. */
  #validUntil = Infinity;
  #tidyAt = 0;
  #isRead = false;
  /** Whether there is something to read. */
  #isDue = true;

  /**
   * @param isUsed whether anything is served by HTTPS
   * @throws GatewayError `usage` if a folder is not there
   */
  constructor(
    readonly isUsed: boolean,
    private readonly folders: readonly CertificateFolder[],
    private readonly own: OwnFiles,
  ) {
    this.#store = new CertificateStore(own.store);
    for (const { path, isOptional } of folders) {
      const found = statSync(path, { throwIfNoEntry: false });
      if (isOptional || found?.isDirectory() === true) continue;
      const isFile = found !== undefined;
      const problem = isFile ? "it is no folder" : "there is no such folder";
      throw new GatewayError("usage", `Cannot use --certs "${path}": ${problem}`, {
        hint: isFile ? "name the folder that it is in" : "make it first, or name another one",
      });
    }
  }

  /** What was read last. It is the same object as long as nothing has changed. */
  get files(): TlsFiles {
    return this.#files;
  }

  /** The certificates with their keys, by the paths at which HAProxy is to read them. They are secret. */
  get texts(): ReadonlyMap<string, string> {
    return this.#read.texts;
  }

  /** What is wrong with files, for the operator. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Whether there is something to read. @param now in milliseconds since 1970 */
  hasChanged(now: number): boolean {
    if (!this.isUsed) return false;
    this.#isDue ||= now >= this.#validUntil || this.#keys.isDue(now) || this.#areNew();
    return this.#isDue;
  }

  #areNew(): boolean {
    const { pairs, lonely } = this.#find();
    const isNew = ({ paths: [path = ""], stamp }: PairFiles): boolean =>
      this.#known.get(path)?.stamp !== stamp;
    return (
      pairs.some(isNew) ||
      pairs.length !== this.#known.size ||
      !isDeepStrictEqual(lonely, this.#lonely)
    );
  }

  /**
   * Reads what has changed, and writes it where HAProxy reads it. What cannot be written changes nothing, and
   * is tried again. Files that change right now are left for the next time: they may not be whole.
   * @param now in milliseconds since 1970
   */
  async refresh(now: number): Promise<void> {
    if (!this.isUsed) return;
    if (this.#isDue) this.#read = await this.#readAll(now);
    if (this.#read === this.#kept && now - this.#keptAt < LOOK_AGAIN_AFTER) return;
    const { files, texts, warnings } = this.#read;
    try {
      await this.#store.write(texts);
      if (now >= this.#tidyAt) {
        this.#tidyAt = now + TIDY_EVERY;
        await this.#store.tidy(new Set(texts.keys()), now);
      }
    } catch (error) {
      this.#warnings = [...warnings, this.#problemOf(error)];
      return;
    }
    [this.#kept, this.#keptAt] = [this.#read, now];
    this.#warnings = warnings;
    this.#set(files);
  }

  /** Reads what has changed, and writes nothing. @param now in milliseconds since 1970 */
  async look(now: number): Promise<void> {
    if (!this.isUsed) return;
    this.#read = await this.#readAll(now);
    this.#warnings = this.#read.warnings;
    this.#set(this.#read.files);
  }

  async #readAll(now: number): Promise<Read> {
    const { pairs, lonely } = this.#find();
    this.#lonely = lonely;
    this.#note(pairs, now);
    for (const [path, known] of this.#known) this.#readOne(path, known, now);
    if (!this.#isRead) this.#adopt(now);
    if (!isUsableSelfSigned(this.#selfSigned, now)) this.#selfSigned = await makeSelfSigned(now);
    this.#isRead = true;
    this.#isDue = false;

    const warnings = lonely.map(({ path, problem }) => `${path} is not used: ${problem}`);
    const certificates: Certificate[] = [];
    const texts = new Map<string, string>();
    let fallback = this.#selfSigned;
    this.#validUntil = Infinity;
    const byPath = [...this.#known].toSorted(([a], [b]) => compare(a, b));
    for (const [, { files, pair, problem }] of byPath) {
      const { paths, isDefault, mayLackKey } = files;
      const source = paths.join(" and ");
      if (problem !== undefined && !(mayLackKey && pair === undefined)) {
        const [unused, former] =
          paths.length > 1
            ? ["are not used", "those before them are"]
            : ["is not used", "the one before it is"];
        warnings.push(
          `${source} ${pair === undefined ? unused : `cannot be used, and ${former} used on`}: ${problem}`,
        );
      }
      if (pair === undefined) continue;
      const { names, kind, notBefore, notAfter, issuer, pem } = pair;
      const expired = now < notBefore || now >= notAfter;
      for (const time of [notBefore, notAfter]) {
        if (time > now) this.#validUntil = Math.min(this.#validUntil, time);
      }
      if (problem === undefined) warnings.push(...warningsOf(source, pair, now));
      const path = this.#store.pathOf(paths[0] ?? "", pem);
      texts.set(path, pem);
      if (isDefault) fallback = pem;
      certificates.push({
        path,
        names,
        kind,
        notBefore,
        notAfter,
        expired,
        issuer,
        source,
        isDefault,
      });
    }
    const files = { certificates, fallback, ticketKeys: this.#keys.at(now) };
    return { files, texts, warnings };
  }

  #problemOf(error: unknown): string {
    const { store } = this.own;
    return `certificates cannot be kept in ${store}, so those before them are used on: ${errorMessage(error)}`;
  }

  #set(files: TlsFiles): void {
    const { certificates, fallback, ticketKeys } = this.#files;
    const same =
      files.fallback === fallback &&
      files.ticketKeys === ticketKeys &&
      isDeepStrictEqual(files.certificates, certificates);
    if (!same) this.#files = files;
  }

  /** Takes over what an earlier gateway made. */
  #adopt(now: number): void {
    const fallback = readIfPossible(this.own.fallback);
    if (fallback !== undefined && isUsableSelfSigned(fallback, now)) this.#selfSigned = fallback;
    const keys = readIfPossible(this.own.ticketKeys);
    if (keys === undefined) return;
    const { mtimeMs } = statSync(this.own.ticketKeys, { throwIfNoEntry: false }) ?? { mtimeMs: 0 };
    this.#keys.adopt(keys, mtimeMs);
  }

  #find(): Found {
    const found = this.folders.map(({ path, isOptional }): Found => {
      try {
        const all = findPairs(path);
        this.#found.set(path, all);
        return all;
      } catch (error) {
        if (isOptional && systemCode(error) === "ENOENT") return { pairs: [], lonely: [] };
        // The folder may be a mount that is away for a while: what was read is used on.
        const { pairs = [] } = this.#found.get(path) ?? {};
        const problem = PROBLEMS[systemCode(error)] ?? errorMessage(error);
        return { pairs, lonely: [{ path, problem }] };
      }
    });
    return {
      pairs: found.flatMap(({ pairs }) => pairs),
      lonely: found.flatMap(({ lonely }) => lonely),
    };
  }

  /** Notes which files are there, since when, and which are gone. */
  #note(pairs: readonly PairFiles[], now: number): void {
    const found = new Map(pairs.map((files) => [files.paths[0] ?? "", files]));
    for (const [path, known] of this.#known) {
      if (found.has(path)) continue;
      if (!known.isGone) this.#known.set(path, { ...known, since: now, isGone: true });
      else if (now - known.since >= CALM) this.#known.delete(path);
    }
    for (const [path, files] of found) {
      const known = this.#known.get(path);
      const isSame = known?.files.stamp === files.stamp && !known.isGone;
      const since = isSame ? known.since : now;
      const { stamp, pair, problem } = known ?? {};
      this.#known.set(path, { files, since, isGone: false, stamp, pair, problem });
    }
  }

  #readOne(path: string, known: Known, now: number): void {
    const { files, since, isGone } = known;
    const { stamp } = files;
    if (isGone || known.stamp === stamp) return;
    // At the start there is nothing to wait with.
    if (this.#isRead && now - since < CALM) return;
    const read = tryToRead(files);
    const isValid = !("problem" in read) && now < read.notAfter;
    if (isValid) {
      this.#known.set(path, { ...known, stamp, pair: read, problem: undefined });
      return;
    }
    const former = known.pair ?? this.#former(path);
    const isFormerValid = former !== undefined && now < former.notAfter;
    if (!("problem" in read) && !isFormerValid) {
      this.#known.set(path, { ...known, stamp, pair: read, problem: undefined });
      return;
    }
    const problem = "problem" in read ? read.problem : `it expired on ${formatDay(read.notAfter)}`;
    this.#known.set(path, { ...known, stamp, pair: former, problem });
  }

  /** The last good one that an earlier gateway kept. */
  #former(path: string): KeyPair | undefined {
    for (const kept of this.#store.former(path)) {
      const pair = parseKeyPair(readIfPossible(kept) ?? "");
      if (!("problem" in pair)) return pair;
    }
    return undefined;
  }
}

function tryToRead(files: PairFiles): KeyPair | { readonly problem: string } {
  try {
    return parseKeyPair(readPair(files));
  } catch (error) {
    return { problem: PROBLEMS[systemCode(error)] ?? errorMessage(error) };
  }
}

function warningsOf(source: string, pair: KeyPair, now: number): string[] {
  const { names, notBefore, notAfter, chainIsWhole } = pair;
  const about = `${source} (${names.join(", ")})`;
  if (now >= notAfter) return [`${about} expired on ${formatDay(notAfter)}: clients refuse it`];
  if (now < notBefore) {
    return [
      `${about} is not valid before ${formatDay(notBefore)}: is the clock of this machine right?`,
    ];
  }
  const warnings = [];
  if (endsSoon(pair, now)) warnings.push(`${about} expires on ${formatDay(notAfter)}: renew it`);
  if (!chainIsWhole) {
    warnings.push(
      `${source} has no certificate of its issuer, ${pair.issuer}: many clients refuse it without; ` +
        "put that one behind it, into the same file",
    );
  }
  return warnings;
}

/** Undefined where it cannot be read, too: what it had is made anew then. */
function readIfPossible(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) !== "") return undefined;
    throw error;
  }
}
