// Which services of a swarm are asked for their tasks next.
//
// The rule: a swarm of one portion is asked for as a whole, every second, and at the quick pace while anything
// is under way. A larger one is asked for those services quickly where something is under way, and for all
// others in turns, one portion a second: so a question costs what has changed, whatever the size of the swarm.
// What came by itself shows in the numbers of tasks that run, which are asked for in between: a number that is not
// that of the tasks as they were last told has the service asked about at once.

import { CALM, isQuick, QUICK, type Pace } from "./pace.ts";

/** A question is for so many tasks, as far as is known. */
export const PORTION = 1_000;
/** And for so many services: their IDs have to fit into the line of a request, 8 kB for some proxies. */
export const MOST_SERVICES = 100;

/** Where a node is lost, a hundred services and more are due at once: so many questions are asked at the same time. */
const AT_ONCE = 2;

/** A service in turn. All times are in milliseconds since 1970. */
interface Turn extends Pace {
  isUnderway: boolean;
  changedAt: number;
  eventAt: number;
  askedAt: number;
  /** The question whose answer was taken over last. */
  question: number;
  /** How many tasks it has, and how many of them run. */
  size: number;
  running: number;
  /** How many more run by the manager's count than by what it tells, such as those of a job's earlier runs. */
  untold: number;
  /** The count that differs from that, and the last question before it; undefined: none does. */
  disputed: { readonly count: number; readonly question: number } | undefined;
}

/** What an answer tells of a service. */
export interface Told {
  readonly size: number;
  readonly running: number;
  readonly hasChanged: boolean;
  readonly isUnderway: boolean;
}

export class Rota {
  readonly #turns = new Map<string, Turn>();
  /** How many tasks they have together. */
  #tasks = 0;
  /** When there was an event about anything. */
  #eventAt = 0;
  /** When those were last asked for where nothing is under way. */
  #calmAt = 0;
  #questions = 0;

  /** Takes a service in, if it is new. @param size how many tasks it may have */
  add(id: string, size: number): void {
    if (this.#turns.has(id)) return;
    const none = { changedAt: 0, eventAt: 0, askedAt: 0, question: 0, running: 0, untold: 0 };
    this.#turns.set(id, { ...none, size, isUnderway: false, disputed: undefined });
    this.#tasks += size;
  }

  /** Takes a service out. */
  drop(id: string): void {
    this.#tasks -= this.#turns.get(id)?.size ?? 0;
    this.#turns.delete(id);
  }

  /** How many tasks all services have together, as far as is known. */
  get tasks(): number {
    return this.#tasks;
  }

  /** Whether all tasks are asked for each time. */
  get isWhole(): boolean {
    return this.#tasks <= PORTION;
  }

  /** Notes that something may be about to happen. @param ids to these services */
  note(ids: Iterable<string>, now: number): void {
    this.#eventAt = now;
    for (const id of ids) {
      const turn = this.#turns.get(id);
      if (turn !== undefined) turn.eventAt = now;
    }
  }

  /** Numbers a question, as it is asked. */
  question(): number {
    return ++this.#questions;
  }

  /** Whether an answer comes too late: one to a later question was taken over for this service. */
  isLate(id: string, question: number): boolean {
    return (this.#turns.get(id)?.question ?? 0) > question;
  }

  /** Notes what was told of a service. @param question whose answer it is */
  told(
    id: string,
    { size, running, hasChanged, isUnderway }: Told,
    question: number,
    now: number,
  ): void {
    const turn = this.#turns.get(id);
    if (turn === undefined) return;
    this.#tasks += size - turn.size;
    if (running !== turn.running) turn.disputed = undefined;
    Object.assign(turn, { size, running, isUnderway, question, askedAt: now });
    if (hasChanged) turn.changedAt = now;
  }

  /**
   * Compares the numbers of tasks that run with what was told of them. Where they differ in another way than before,
   * something has happened of which nobody tells.
   * @param running as the manager counts them, by the IDs of services
   * @returns the services that are to be asked about now, in portions
   */
  counted(running: ReadonlyMap<string, number>, now: number): string[][] {
    const due: [string, Turn][] = [];
    for (const [id, count] of running) {
      const turn = this.#turns.get(id);
      if (turn === undefined) continue;
      const { disputed, question } = turn;
      const untold = count - turn.running;
      if (untold === turn.untold) turn.disputed = undefined;
      else if (count !== disputed?.count) {
        turn.disputed = { count, question: this.#questions };
        turn.eventAt = now;
        due.push([id, turn]);
      } else if (question > disputed.question) {
        // It was asked about, and differs all the same.
        turn.untold = untold;
        turn.disputed = undefined;
      }
    }
    return portionsOf(due, AT_ONCE);
  }

  /**
   * The IDs of the services that are due, where not all are asked for each time: those of each question that is to be
   * asked now.
   */
  next(now: number): string[][] {
    const quick: [string, Turn][] = [];
    const calm: [string, Turn][] = [];
    for (const entry of this.#turns) (isQuick(entry[1], now) ? quick : calm).push(entry);
    const due = portionsOf(
      quick.toSorted(([, a], [, b]) => a.askedAt - b.askedAt),
      AT_ONCE,
    );
    if (now - this.#calmAt < CALM) return due;
    this.#calmAt = now;
    // Where something goes on slowly, or a task waits for a place, it may be the next to change.
    const isWaiting = ({ isUnderway, askedAt }: Turn): number =>
      isUnderway && now - askedAt >= CALM ? 1 : 0;
    const inTurn = calm.toSorted(
      ([, a], [, b]) => isWaiting(b) - isWaiting(a) || a.askedAt - b.askedAt,
    );
    return [...due, ...portionsOf(inTurn, 1)];
  }

  /** Every service, in portions. */
  portions(): string[][] {
    return portionsOf([...this.#turns], Infinity);
  }

  /** How long until the next question is due, in milliseconds. */
  pause(now: number): number {
    const quick = [...this.#turns.values()].some((turn) => isQuick(turn, now));
    if (this.isWhole) {
      return quick || isQuick({ isUnderway: false, changedAt: 0, eventAt: this.#eventAt }, now)
        ? QUICK
        : CALM;
    }
    if (quick) return QUICK;
    return Math.max(0, this.#calmAt + CALM - now);
  }
}

/** The first portions of these services. @param most how many; one has at least one service */
function portionsOf(turns: readonly (readonly [string, Turn])[], most: number): string[][] {
  const portions: string[][] = [];
  let tasks = 0;
  for (const [id, { size }] of turns) {
    const last = portions.at(-1);
    tasks += Math.max(size, 1);
    if (last !== undefined && last.length < MOST_SERVICES && tasks <= PORTION) last.push(id);
    else if (portions.length === most) break;
    else {
      portions.push([id]);
      tasks = Math.max(size, 1);
    }
  }
  return portions;
}
