// src/acme gets certificates from an authority, and renews them: --acme. It may import only lib and model.ts,
// and knows neither Docker nor HAProxy: names come in, and certificates come out as files of a folder. due.ts
// decides when, authority.ts asks, folder.ts remembers. This file has the loop, which is wholly beside the
// gateway's: an authority may take minutes, and no route waits for it. So it has a clock of its own.

import { pause, Wakeup } from "../lib/async.ts";
import { digestOf } from "../lib/digest.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../lib/log.ts";
import { formatDuration } from "../lib/text.ts";
import type { CertificateState, Service } from "../model.ts";
import type { Answers } from "./answers.ts";
import { Authority, type AuthorityOptions } from "./authority.ts";
import { begin, canGo, fail, limitNow, nextOrder, succeed, type Memory, type Try } from "./due.ts";
import { Failure, toFailure } from "./failure.ts";
import { AcmeFolder, parseBundle, type Certificate } from "./folder.ts";
import { checkLeadsHere, whereItLeads, type Found } from "./self-check.ts";
import { wishesOf, type Unwished, type Wish } from "./wishes.ts";

export interface AcmeOptions extends AuthorityOptions {
  /** The folder of the certificates. */
  readonly folder: string;
  /** Whether the authority is one for everybody. */
  readonly isPublic: boolean;
  /** Whether it is checked first that a name leads here. */
  readonly selfCheck: boolean;
}

interface AcmeParts {
  readonly options: AcmeOptions;
  readonly answers: Answers;
  /** Called with the state of all names, whenever it is another one. */
  readonly publish: (states: readonly CertificateState[]) => void;
  readonly log: Logger;
}

/** What is known of a wish while the gateway runs. */
interface Known {
  readonly wish: Wish;
  readonly since: number;
  certificate: Certificate | undefined;
  /** Why the last try failed; empty: it did not. */
  reason: string;
  /** Whether somebody wants it now, whatever its age. */
  isUrgent: boolean;
}

/** So many certificates are asked for at a time. */
const WIDTH = 4;
/** It is looked at least so often whether something is due, in milliseconds: clocks jump. */
const LOOK_EVERY = 60_000;
/** After a failure to ask for a renewal's time, it is asked again so much later, in milliseconds. */
const ASK_AGAIN = 3_600_000;
/** A reason that stays the same is told so often, in milliseconds. */
const TELL_AGAIN = 6 * 3_600_000;
/** What is under way when the gateway ends may take so long, in milliseconds. */
const LAST_MOMENT = 2_000;
/** A certificate that could not be written is written so much later, in milliseconds. */
const WRITE_AGAIN = 30_000;

/** Gets certificates for the names that are served. */
export class Acme {
  readonly #folder: AcmeFolder;
  readonly #authority: Authority;
  readonly #wakeup = new Wakeup();
  readonly #ending = new AbortController();
  readonly #failures: RepeatedFailure;
  readonly #known = new Map<string, Known>();
  /** What is under way, by file. */
  readonly #active = new Map<string, Promise<void>>();
  /** Certificates that are made, and not on disk yet, and when that is tried again. */
  readonly #unwritten = new Map<string, { readonly bundle: string; at: number }>();
  #unwanted: readonly Unwished[] = [];
  #services: readonly Service[] | undefined;
  #published = "";
  #running: Promise<void> = Promise.resolve();

  /** @throws GatewayError `config` if the folder is of no use */
  constructor(private readonly parts: AcmeParts) {
    const { options, answers, log } = parts;
    this.#folder = new AcmeFolder(options.folder);
    this.#authority = new Authority(options, this.#folder, answers, this.#ending.signal, log);
    this.#failures = new RepeatedFailure(log, TELL_AGAIN);
  }

  /** Notes what is served now. */
  want(services: readonly Service[]): void {
    if (services === this.#services) return;
    this.#services = services;
    const { dns, isPublic } = this.parts.options;
    const { wanted, unwanted } = wishesOf(services, { dns: dns !== undefined, isPublic });
    this.#unwanted = unwanted;
    const before = new Map(this.#known);
    this.#known.clear();
    const now = Date.now();
    for (const wish of wanted) {
      const known = before.get(wish.file);
      const isSame = known?.wish.names.join() === wish.names.join();
      this.#known.set(
        wish.file,
        isSame && known !== undefined
          ? known
          : {
              wish,
              since: now,
              certificate: this.#folder.certificate(wish.file),
              // A gateway before this one may have tried: the next try waits for that reason.
              reason: known === undefined ? this.#folder.memory(wish.file).reason : "",
              isUrgent: false,
            },
      );
    }
    this.#publish();
    this.#wakeup.set();
  }

  /**
   * Has the certificate of a name made anew, whatever its age. It is under way then.
   * @returns all of its names; undefined if none is wanted for that name
   * @throws GatewayError `gateway` if the authority has had too many tries of it
   */
  renew(name: string): readonly string[] | undefined {
    const known = [...this.#known.values()].find(({ wish }) => wish.names.includes(name));
    if (known === undefined) return undefined;
    const { file, names } = known.wish;
    if (known.isUrgent) return names;
    const now = Date.now();
    const others = this.#triesOfOthers(known.wish);
    const limit = limitNow({ memory: this.#folder.memory(file), others }, now);
    if (limit !== undefined) {
      const again = formatDuration(Math.max(1, (limit.until - now) / 1_000));
      throw new GatewayError("gateway", `Cannot renew "${name}" now: ${limit.reason}`, {
        hint: `${this.#authority.host} can be asked again in ${again}`,
      });
    }
    known.isUrgent = true;
    this.#publish();
    this.#wakeup.set();
    return names;
  }

  /**
   * Finds out who answers at each address of a name.
   * @param limit how long an answer may take, in milliseconds
   * @throws Failure `here` if it has no address, or names are proved otherwise
   */
  async whereItLeads(name: string, limit: number): Promise<readonly Found[]> {
    const { answers, options } = this.parts;
    if (options.dns !== undefined) {
      throw new Failure("here", "--acme-dns proves names, wherever they lead");
    }
    return whereItLeads(name, answers, this.#ending.signal, limit);
  }

  start(): void {
    this.#running = this.#run(this.#ending.signal);
  }

  /** Ends. What is under way is left to the next gateway. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await Promise.race([Promise.all(this.#active.values()), pause(LAST_MOMENT)]);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = this.#startDue(Date.now());
      this.#publish();
      await this.#wakeup.wait(Math.min(Math.max(next - Date.now(), 0), LOOK_EVERY), signal);
    }
  }

  /** Starts what is due. @returns when it is to be looked again, in milliseconds since 1970 */
  #startDue(now: number): number {
    let next = Infinity;
    const tasks = this.#services === undefined ? [] : this.#tasks(now);
    for (const { file, at, run } of tasks.toSorted((a, b) => a.at - b.at)) {
      if (this.#active.has(file)) continue;
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      // What ends wakes this up.
      if (this.#active.size >= WIDTH) break;
      const task = run()
        .catch(async (error: unknown) => {
          this.#tell(error, "trying again");
          await pause(WRITE_AGAIN, this.#ending.signal);
        })
        .finally(() => {
          this.#active.delete(file);
          this.#wakeup.set();
        });
      this.#active.set(file, task);
    }
    return next;
  }

  #tasks(now: number): { file: string; at: number; run: () => Promise<void> }[] {
    const tasks = [...this.#known.values()].map((known) => {
      const { file } = known.wish;
      const unwritten = this.#unwritten.get(file);
      if (unwritten !== undefined) {
        return { file, at: unwritten.at, run: () => this.#write(known, unwritten.bundle) };
      }
      const at = known.isUrgent ? now : this.#next(known).at;
      const { askAt } = this.#folder.memory(file);
      if (known.certificate !== undefined && askAt < at) {
        return { file, at: Math.max(askAt, known.since), run: () => this.#askRenewal(known) };
      }
      return { file, at, run: () => this.#get(known) };
    });
    return [...tasks, ...this.#leftOver(now)];
  }

  /** What nobody wants any more, or wants again. */
  #leftOver(now: number): { file: string; at: number; run: () => Promise<void> }[] {
    const files = new Set([...this.#folder.files(), ...Object.keys(this.#folder.memories)]);
    return [...files].flatMap((file) => {
      const memory = this.#folder.memory(file);
      const isWanted = this.#known.has(file);
      if (isWanted !== (memory.unwantedSince !== undefined)) {
        if (!canGo(memory, now)) return [];
        const run = async (): Promise<void> => {
          await this.#folder.remove(file);
          this.parts.log.info(
            `${this.#folder.pathOf(file)} is removed: no route has had its names for 30 d`,
          );
        };
        return [{ file, at: now, run }];
      }
      // Somebody else's file is nobody's business here.
      if (!isWanted && memory.issued.length === 0 && memory.tries.length === 0) return [];
      const unwantedSince = isWanted ? undefined : now;
      const run = (): Promise<void> => this.#folder.remember(file, { ...memory, unwantedSince });
      return [{ file, at: now, run }];
    });
  }

  #next({ wish, since, certificate }: Known): ReturnType<typeof nextOrder> {
    const { file, names } = wish;
    return nextOrder({
      names,
      directory: this.parts.options.directory,
      wantedSince: since,
      certificate,
      memory: this.#folder.memory(file),
      others: this.#triesOfOthers(wish),
      chance: chanceOf(file),
    });
  }

  /** The failed tries of other certificates with one of these names. */
  #triesOfOthers({ file, names }: Wish): Try[] {
    return Object.entries(this.#folder.memories).flatMap(([other, memory]) =>
      other !== file && memory.names.some((name) => names.includes(name)) ? memory.tries : [],
    );
  }

  /** Has a certificate made. */
  async #get(known: Known): Promise<void> {
    const { wish, certificate } = known;
    const { file, names } = wish;
    const { signal } = this.#ending;
    let isBegun = false;
    known.reason = "";
    try {
      await this.#checkLeadHere(names);
      // Noted before it is done: a gateway that dies of it must not do it again and again.
      await this.#remember(wish, (memory) => begin(memory, names, Date.now()));
      isBegun = true;
      const { directory } = this.parts.options;
      const replaces =
        certificate === undefined || this.#folder.memory(file).directory !== directory
          ? undefined
          : await this.#renewalId(certificate);
      const bundle = await this.#authority.order(wish, replaces);
      await this.#write(known, bundle);
    } catch (error) {
      if (signal.aborted) return;
      await this.#fail(known, error, isBegun);
    } finally {
      known.isUrgent = false;
    }
  }

  async #checkLeadHere(names: readonly string[]): Promise<void> {
    const { options, answers } = this.parts;
    if (!options.selfCheck || options.dns !== undefined) return;
    for (const name of names) await checkLeadsHere(name, answers, this.#ending.signal);
  }

  /** Writes a certificate that was made. A disk that is full is tried again: it would be lost. */
  async #write(known: Known, bundle: string): Promise<void> {
    const { file, names } = known.wish;
    const { log, options } = this.parts;
    try {
      await this.#folder.write(file, bundle);
      await this.#folder.remember(
        file,
        succeed(this.#folder.memory(file), options.directory, Date.now()),
      );
    } catch (error) {
      this.#unwritten.set(file, { bundle, at: Date.now() + WRITE_AGAIN });
      known.reason = errorMessage(error);
      const note = `the certificate for ${listed(names)} is kept in memory; trying again`;
      this.#failures.tell(error, note);
      return;
    }
    this.#unwritten.delete(file);
    this.#folder.closeOrder(file);
    // Its service may have other hosts by now.
    const now = this.#known.get(file);
    known.certificate = parseBundle(bundle);
    known.reason = "";
    if (now !== undefined) now.certificate = known.certificate;
    // Once it is served, the gateway tells of it.
    log.debug(`${this.#authority.host} made ${this.#folder.pathOf(file)} for ${listed(names)}`);
  }

  async #fail(known: Known, error: unknown, isBegun: boolean): Promise<void> {
    const { wish } = known;
    const failure = toFailure(error, this.#authority.host);
    const { outcome, notBefore } = failure;
    known.reason = failure.message;
    const now = Date.now();
    try {
      await this.#remember(wish, (memory) => ({
        ...fail(memory, outcome, now, isBegun, notBefore),
        reason: failure.message,
      }));
    } catch (problem) {
      this.#tell(problem, "it is tried again later");
    }
    const { at } = this.#next(known);
    const kept = known.certificate === undefined ? "" : "; the one of before is used on";
    const inWords = `tried again in ${formatDuration(Math.max(1, (at - now) / 1_000))}${kept}`;
    const told = new GatewayError(
      "config",
      `Cannot get a certificate for ${listed(wish.names)}: ${failure.message}`,
      { lines: failure.lines, hint: failure.hint, cause: error },
    );
    this.#failures.tell(told, inWords, "warn");
  }

  /** Asks the authority when it wants a certificate renewed. */
  async #askRenewal({ wish, certificate }: Known): Promise<void> {
    const now = Date.now();
    let news: Partial<Memory> = { askAt: now + ASK_AGAIN };
    try {
      const { askRenewal } = await import("./renewal-info.ts");
      const id = certificate === undefined ? undefined : await this.#renewalId(certificate);
      if (id !== undefined) news = await askRenewal(this.#authority, id, now);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      this.parts.log.debug(
        `cannot ask ${this.#authority.host} when ${listed(wish.names)} is to be renewed: ${errorMessage(error)}`,
      );
    }
    await this.#remember(wish, (memory) => ({ ...memory, ...news }));
  }

  async #renewalId({ text }: Certificate): Promise<string | undefined> {
    const { renewalId } = await import("./renewal-info.ts");
    return renewalId(text);
  }

  #remember({ file }: Wish, change: (memory: Memory) => Memory): Promise<void> {
    return this.#folder.remember(file, change(this.#folder.memory(file)));
  }

  #tell(error: unknown, note: string): void {
    this.#failures.tell(error, note);
  }

  /** Publishes the state of each name, if it is another one than before. */
  #publish(): void {
    const now = Date.now();
    const states = [
      ...[...this.#known.values()].flatMap((known) => this.#statesOf(known, now)),
      ...this.#unwanted.map(({ name, reason }): CertificateState => {
        return {
          name,
          state: "failed",
          reason,
          nextTry: undefined,
          underway: false,
          notAfter: undefined,
          issuer: "",
        };
      }),
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const text = JSON.stringify(states);
    if (text === this.#published) return;
    this.#published = text;
    this.parts.publish(states);
  }

  #statesOf(known: Known, now: number): CertificateState[] {
    const { wish, certificate, reason } = known;
    const underway = this.#active.has(wish.file) || known.isUrgent;
    const nextTry = underway ? undefined : Math.round(this.#next(known).at);
    const isValid = (name: string): boolean =>
      certificate !== undefined && certificate.notAfter > now && certificate.names.includes(name);
    return wish.names.map((name) => ({
      name,
      state: isValid(name) ? "served" : reason === "" ? "waiting" : "failed",
      reason,
      nextTry,
      underway,
      notAfter: certificate?.notAfter,
      issuer: certificate?.issuer ?? "",
    }));
  }
}

/** From 0 to 1, always the same for one file. */
function chanceOf(file: string): number {
  return Buffer.from(digestOf(file), "base64url").readUInt16BE() / 65_536;
}

/** Names for a line of a log. */
function listed(names: readonly string[]): string {
  const [first = "", ...others] = names;
  return others.length < 3 ? names.join(", ") : `${first} and ${others.length} other names`;
}
