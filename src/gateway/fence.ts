// While Docker cannot be asked, the kernel tells which containers have ended. Another container may
// soon have the address of such a one, so its servers are taken out at once: better no answer than
// somebody else's. Of those whose processes run elsewhere, HAProxy's checks tell.

import type { Owner, Owners } from "../config/owners.ts";
import { inBackground } from "../lib/async.ts";
import { GatewayError } from "../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../lib/log.ts";
import { ProcessWatch, type ProcessIdentity } from "../lib/processes.ts";
import type { Container, Snapshot } from "../model.ts";
import { createLifeCheck } from "./owners.ts";

/** How often the kernel is asked, in milliseconds. No address changes hands faster. */
const WATCH_EVERY = 20;
/** If HAProxy cannot be told, it is tried again after so long, in milliseconds. */
const RETRY_AFTER = 1_000;
/** HAProxy is asked so often for servers that do not answer, in milliseconds: its checks are no faster. */
const ASK_EVERY = 1_000;
/** Ends within this time of the first are told in one line of the log, in milliseconds. */
const TELL_AFTER = 500;
/** So many containers are named in a line of the log. */
const NAMED = 5;

/** Decides whether the server at an `address:port` must get no more requests. */
export type MustGo = (place: string) => boolean;

interface FenceParts {
  /** Takes servers out of HAProxy. @throws if HAProxy cannot be told */
  readonly takeOut: (mustGo: MustGo) => Promise<void>;
  /** The places, as `address:port`, of HAProxy's servers that do not answer its checks. */
  readonly silent: () => Promise<readonly string[]>;
  /** Called first for each container that has ended, with its ID. */
  readonly ended: (id: string) => void;
  readonly log: Logger;
}

/** A container at a place. */
interface Tenant {
  readonly place: string;
  readonly owner: Owner;
}

export class Fence {
  readonly #failure: RepeatedFailure;
  #owners: Owners | undefined;
  #watch: ProcessWatch | undefined;
  #timer: Timer | undefined;
  /** Who must be looked for when a process ends, by `keyOf` the process. */
  #tenants: ReadonlyMap<string, readonly Tenant[]> = new Map();
  /** The containers whose processes cannot be seen from here. */
  #unseen: readonly Tenant[] = [];
  /** When HAProxy is asked whether these answer, in milliseconds since 1970. */
  #askAt = 0;
  /** The servers that must be out. */
  #mustGo: MustGo = () => false;
  readonly #gonePlaces = new Set<string>();
  /** The containers that have ended, each with its start: it may start again. */
  readonly #ended = new Set<string>();
  /** The names of those that the log does not have yet, and when it gets them. */
  readonly #untold = new Set<string>();
  #tellAt = Infinity;
  /** Whether the log says that containers have ended. */
  #wasTold = false;
  /** Whether HAProxy must still be told. */
  #isDue = false;
  #isTelling = false;

  constructor(private readonly parts: FenceParts) {
    this.#failure = new RepeatedFailure(parts.log);
  }

  /** Whether it watches. */
  get isUp(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Watches the containers from now on. Those that have ended already are taken out at once.
   * @param owners who is behind the servers of HAProxy
   * @param isStranger whether a server that `owners` does not name must be out, too
   */
  begin(owners: Owners, isStranger?: MustGo): void {
    if (this.isUp && owners === this.#owners) return;
    this.#owners = owners;
    const { scope, byPlace } = owners;
    const lifeOf = createLifeCheck(scope);
    const tenants = [...byPlace].flatMap(([place, all]) => all.map((owner) => ({ place, owner })));
    const byLife = Map.groupBy(tenants, ({ owner }) => lifeOf(owner));
    const alive = byLife.get("alive") ?? [];
    this.#unseen = byLife.get("unknown") ?? [];
    const held = alive.flatMap((tenant) =>
      (tenant.owner.processes ?? []).map((process) => ({ process, tenant })),
    );
    const byProcess = Map.groupBy(held, ({ process }) => keyOf(process));
    this.#tenants = new Map(
      [...byProcess].map(([key, all]) => [key, all.map(({ tenant }) => tenant)]),
    );
    this.#watch?.close();
    this.#watch = new ProcessWatch(
      [...byProcess.values()].flatMap(([first]) => first?.process ?? []),
    );
    this.#mustGo = (place) =>
      this.#gonePlaces.has(place) || (isStranger?.(place) === true && !byPlace.has(place));
    // Of an Engine that tells again, others may have these places by now.
    const isOver = (place: string): boolean => isStranger === undefined && !byPlace.has(place);
    for (const place of [...this.#gonePlaces].filter(isOver)) this.#gonePlaces.delete(place);
    this.#isDue ||= isStranger !== undefined;
    this.#note(byLife.get("gone") ?? []);
    this.#look();
  }

  /** Docker has told everything: it tells of ends, too, from now on. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#watch?.close();
    this.#watch = undefined;
    if (this.#wasTold) {
      this.parts.log.info(
        "Docker tells of all containers again: requests go to where they run now",
      );
    }
    this.#wasTold = false;
    // Docker's own account of them is better, and comes now.
    this.#untold.clear();
    this.#tellAt = Infinity;
    this.#gonePlaces.clear();
    this.#isDue = false;
    this.#failure.forget();
  }

  /** HAProxy has read its files again, and must be told once more. */
  repeat(): void {
    this.#isDue ||= this.isUp && this.#gonePlaces.size > 0;
  }

  /**
   * What Docker says, without what the kernel knows better: a container whose process has ended will
   * start again, or Docker will notice its end.
   */
  corrected(snapshot: Snapshot): Snapshot {
    if (this.#ended.size === 0) return snapshot;
    const current = new Set(snapshot.containers.map(lifeKey));
    for (const key of this.#ended) if (!current.has(key)) this.#ended.delete(key);
    const containers = snapshot.containers.map((container): Container =>
      this.#ended.has(lifeKey(container)) ? { ...container, state: "restarting" } : container,
    );
    return { ...snapshot, containers };
  }

  /** Asks HAProxy for those that nobody else tells of. What is silent now may be another's when it answers. */
  async #ask(): Promise<void> {
    this.#askAt = Infinity;
    try {
      const silent = new Set(await this.parts.silent());
      const inUse = this.#unseen.filter(({ place }) => !this.#gonePlaces.has(place));
      const gone = inUse.filter(({ place }) => silent.has(place));
      if (gone.length === 0 || !this.isUp) return;
      for (const { place } of gone) this.#gonePlaces.add(place);
      this.#isDue = true;
      // Where two ports are tried, one of them may have been silent all the time.
      const answering = inUse.filter(({ place }) => !silent.has(place));
      const others = new Set(answering.map(({ owner }) => owner.id));
      const names = gone
        .filter(({ owner }) => !others.has(owner.id))
        .map(({ owner }) => owner.name);
      if (names.length === 0) return;
      this.#wasTold = true;
      this.parts.log.warn(
        `no answer while Docker cannot be asked: ${someOf([...new Set(names)])}; no requests go there ` +
          "until Docker tells who has these addresses",
      );
    } catch (error) {
      // HAProxy does not run, or is just starting: it sends no requests.
      if (!(error instanceof GatewayError)) throw error;
    } finally {
      this.#askAt = Date.now() + ASK_EVERY;
    }
  }

  #note(tenants: readonly Tenant[]): void {
    const news = tenants.filter(({ place }) => !this.#gonePlaces.has(place));
    for (const { owner } of tenants) this.#ended.add(lifeKey(owner));
    for (const { place } of news) this.#gonePlaces.add(place);
    if (news.length === 0) return;
    this.#isDue = true;
    for (const id of new Set(news.map(({ owner }) => owner.id))) this.parts.ended(id);
    for (const { owner } of news) this.#untold.add(owner.name);
    this.#tellAt = Math.min(this.#tellAt, Date.now() + TELL_AFTER);
  }

  /** Tells the log which containers have ended. */
  #report(): void {
    this.#tellAt = Infinity;
    if (this.#untold.size === 0) return;
    const names = [...this.#untold];
    this.#untold.clear();
    this.#wasTold = true;
    this.parts.log.warn(
      `ended while Docker cannot be asked: ${someOf(names)}; no requests go there until Docker tells who ` +
        "has these addresses",
    );
    if (names.length > NAMED) this.parts.log.debug(`all that have ended: ${names.join(", ")}`);
  }

  /** Beside the passes of the loop: one that waits for Docker must not hold this up. */
  #look(): void {
    clearTimeout(this.#timer);
    const ended = this.#watch?.ended() ?? [];
    this.#note(ended.flatMap((process) => this.#tenants.get(keyOf(process)) ?? []));
    if (this.#isDue && !this.#isTelling) {
      inBackground(this.#tell(), (error) => this.parts.log.failure(error));
    }
    if (this.#unseen.length > 0 && Date.now() >= this.#askAt) {
      inBackground(this.#ask(), (error) => this.parts.log.failure(error));
    }
    if (Date.now() >= this.#tellAt) this.#report();
    this.#timer = setTimeout(() => this.#look(), WATCH_EVERY);
  }

  async #tell(): Promise<void> {
    this.#isTelling = true;
    // What is noted from now on needs another call.
    this.#isDue = false;
    try {
      await this.parts.takeOut((place) => this.#mustGo(place));
      this.#failure.forget();
    } catch (error) {
      this.#failure.tell(error, "requests may reach another container than theirs; trying again");
      setTimeout(() => this.#tryAgain(), RETRY_AFTER);
    } finally {
      this.#isTelling = false;
    }
  }

  #tryAgain(): void {
    this.#isDue ||= this.isUp;
  }
}

/** The first of these names, and how many more there are. */
function someOf(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function keyOf({ pid, started }: ProcessIdentity): string {
  return `${pid}/${started}`;
}

/** One life of a container: from a start to the next end. */
function lifeKey({ id, startedAt }: Pick<Container, "id" | "startedAt">): string {
  return `${id} ${startedAt}`;
}
