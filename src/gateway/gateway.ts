// The loop: whatever happens only wakes it; each pass reads what is true and brings HAProxy there.

import { isDeepStrictEqual } from "node:util";
import { RefusedConfig } from "../haproxy/process/check.ts";
import type { Recognised, Runtime } from "../haproxy/runtime/runtime.ts";
import { Backoff, Wakeup } from "../lib/async.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../lib/log.ts";
import type { Files, Model, Source } from "../model.ts";
import { planChange, sameFiles, type Plan } from "../plan/plan.ts";
import type { Applier } from "./apply.ts";
import { nextDue, quietEnd, withChange, withoutChange, type Schedule } from "./clock.ts";
import type { Desired, DesiredState } from "./desired.ts";
import { Readiness } from "./readiness.ts";
import { changesBetween } from "./report.ts";
import { firstState, withChanges, type Change, type State } from "./state.ts";
import { graceOf, serversToDrain } from "./termination.ts";

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;
/** `again`: another pass is needed at once. */
type Outcome = "done" | "waiting" | "again";

interface GatewayParts {
  readonly source: Source;
  readonly applier: Applier;
  readonly runtime: Runtime;
  readonly desired: DesiredState;
  /** The quiet period before a reload and the longest that a change waits, in milliseconds. */
  readonly wait: { readonly min: number; readonly max: number };
  readonly log: Logger;
}

/** Everything is read and compared again this often, in ms, should something have been lost. */
const RESYNC = 60_000;
/** The first wait before what failed is tried again, and the longest, in milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

const NOTHING: Model = { services: [], rejections: [], warnings: [] };

/** Told of each new state, and of the one before. */
export type StateListener = (state: State, before: State) => void;

export class Gateway {
  readonly #wakeup = new Wakeup();
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  readonly #failure: RepeatedFailure;
  readonly #readiness: Readiness;
  readonly #listeners: StateListener[] = [];
  /** Who waits for everything to be read again. */
  readonly #resyncs: (() => void)[] = [];
  #schedule: Schedule;
  #state: State;
  /** Whether it was found out what an earlier gateway left. */
  #recovered = false;
  /** Whether the next pass compares HAProxy with what it should run. */
  #verify = false;
  #desired: Desired | undefined;

  constructor(private readonly parts: GatewayParts) {
    const { source, applier, runtime, wait, log } = parts;
    const now = Date.now();
    this.#state = firstState(source.name, now);
    this.#schedule = {
      awake: false,
      connected: false,
      resyncAt: now + RESYNC,
      quiet: { limits: wait, lastReload: -Infinity },
    };
    this.#failure = new RepeatedFailure(log);
    this.#readiness = new Readiness(
      (backend) => applier.runningName(backend),
      (line) => runtime.ask(line),
      log,
    );
  }

  /** What is known now. */
  get state(): State {
    return this.#state;
  }

  /** Calls back with each new state. */
  onState(listener: StateListener): void {
    this.#listeners.push(listener);
  }

  /** Runs until the signal is aborted; a pass under way is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = this.parts.source.watch(
      {
        connected: () => this.#connected(true),
        changed: () => this.#wake(),
        ending: (id) => this.#drain(id),
        disconnected: () => this.#connected(false),
      },
      signal,
    );
    while (!signal.aborted) await this.#step(signal);
    await watching;
    await this.parts.applier.close();
  }

  /** One pass over everything. @throws GatewayError where it fails */
  async once(signal: AbortSignal): Promise<void> {
    await this.parts.source.connect(signal);
    while ((await this.#pass(signal)) === "again");
    await this.parts.applier.close();
  }

  /**
   * Reads everything again, the template too, and compares HAProxy with what it should run.
   * @returns when a pass is done that began after this call
   */
  resync(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resyncs.push(resolve);
    this.#markAll();
    return promise;
  }

  /** How long the connections of a server may last when it goes, in milliseconds. */
  grace(server: string): number {
    return graceOf(this.#state.applied ?? NOTHING, server);
  }

  /** Waits for what comes next, or does it. */
  async #step(signal: AbortSignal): Promise<void> {
    const now = Date.now();
    const { rereadAt } = this.parts.source;
    const due = nextDue({ ...this.#schedule, rereadAt, lateAt: this.#readiness.dueAt }, now);
    if (due.at > now) await this.#wakeup.wait(due.at - now, signal);
    else if (due.task === "late") await this.#lookForLate();
    else if (due.task === "resync") {
      this.#schedule = { ...this.#schedule, resyncAt: now + RESYNC };
      this.#markAll();
    } else await this.#tryPass(signal);
  }

  async #tryPass(signal: AbortSignal): Promise<void> {
    this.#schedule = { ...this.#schedule, awake: false };
    const resyncs = this.#resyncs.splice(0);
    try {
      if ((await this.#pass(signal)) === "again") this.#wake();
      else if (this.#schedule.retryAt === undefined) this.#failure.forget();
    } catch (error) {
      if (signal.aborted) return;
      this.#failure.tell(error, "what is served stays as it is; trying again");
      const now = Date.now();
      const { retryAt = 0 } = this.#schedule;
      // What happens meanwhile is looked at at once, and does not put the retry off.
      if (retryAt <= now) {
        this.#schedule = { ...this.#schedule, retryAt: now + this.#backoff.next() };
      }
      const { counters } = this.#state;
      this.#publish({ counters: { ...counters, failures: counters.failures + 1 } });
    }
    for (const resolve of resyncs) resolve();
  }

  async #pass(signal: AbortSignal): Promise<Outcome> {
    const { applier, runtime, source } = this.parts;
    const [process] = await Promise.all([this.#recognise(), source.refresh(signal)]);
    // Taken before: a comparison that is asked for meanwhile needs the next pass.
    const verify = this.#verify;
    this.#verify = false;
    if (verify && this.#recovered) await applier.verify(process);
    const capabilities = await runtime.capabilities();
    const isKnown = (files: Files): boolean =>
      (this.#desired !== undefined && sameFiles(this.#desired.files, files)) ||
      planChange(applier.applied, files, capabilities).kind === "none";
    const desired = this.parts.desired.make(source.snapshot(), isKnown);
    if (!this.#recovered) await applier.recover(desired.files.assets);
    this.#recovered = true;
    const isNew = !isDeepStrictEqual(this.#desired?.files, desired.files);
    this.#desired = desired;
    this.#publish({ desired: desired.model });

    const running = await runtime.capabilities();
    const { applied } = applier;
    this.#publish({ haproxy: { version: running?.version, doubt: applied.doubt } });
    const plan = planChange(applied, desired.files, running);
    if (plan.kind === "none") return this.#done(desired.model);
    const { retryAt = 0 } = this.#schedule;
    if (!isNew && Date.now() < retryAt) return "waiting";
    this.#schedule = { ...this.#schedule, retryAt: undefined };
    if (plan.kind === "reload") return this.#reload(desired, plan.reasons, isNew);
    const refusal = await this.#change(desired, plan);
    return refusal === undefined ? "done" : this.#reload(desired, [refusal], true);
  }

  async #recognise(): Promise<Recognised> {
    const process = await this.parts.runtime.recognise();
    // Kept, should the Engine not be there to be read.
    if (process === "another") this.#verify = true;
    return process;
  }

  /** Changes HAProxy while it runs; gives HAProxy's words where it refuses. */
  async #change(desired: Desired, plan: RuntimePlan): Promise<string | undefined> {
    const started = Date.now();
    try {
      await this.parts.applier.change(desired.files, plan);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return error.message;
    }
    const ms = Date.now() - started;
    const done = plan.operations.map((operation) => operation.do).join(", ");
    this.parts.log.debug(`changed without a reload: ${done} (${ms} ms)`);
    const { counters } = this.#state;
    this.#publish({ counters: { ...counters, runtimeChanges: counters.runtimeChanges + 1 } });
    this.#done(desired.model);
    return undefined;
  }

  async #reload(desired: Desired, reasons: readonly string[], isNew: boolean): Promise<Outcome> {
    const started = Date.now();
    const quiet = isNew ? withChange(this.#schedule.quiet, started) : this.#schedule.quiet;
    this.#schedule = { ...this.#schedule, quiet };
    if (quiet.waiting !== undefined && quietEnd(quiet) > started) return "waiting";
    let { lastReload } = quiet;
    try {
      await this.parts.applier.reload(desired.files);
      lastReload = Date.now();
    } catch (error) {
      if (!(error instanceof RefusedConfig) || !this.parts.desired.refused()) {
        lastReload = Date.now();
        throw error;
      }
      // One bad template must not keep the containers' changes from being served, nor delay them.
      this.parts.log.failure(error, "the template before it is used on");
      return "again";
    } finally {
      const after = { ...withoutChange(this.#schedule.quiet), lastReload };
      this.#schedule = { ...this.#schedule, quiet: after };
    }
    const now = Date.now();
    const { counters } = this.#state;
    this.#publish({ counters: { ...counters, reloads: counters.reloads + 1 } });
    return this.#done(desired.model, [{ event: "reload", reasons, ms: now - started, at: now }]);
  }

  /** HAProxy runs what it should. */
  #done(model: Model, more: readonly Change[] = []): Outcome {
    const { source, desired } = this.parts;
    desired.accepted();
    const at = Date.now();
    const { applied, lastChange } = this.#state;
    const routes = changesBetween(applied, model, (id) => source.waited(id));
    source.settled();
    this.#readiness.note(routes.filter(({ event }) => event === "routed").map(({ id }) => id));
    this.#schedule = {
      ...this.#schedule,
      retryAt: undefined,
      quiet: withoutChange(this.#schedule.quiet),
    };
    this.#backoff.reset();
    const changes = [...more, ...routes.map((change) => ({ ...change, at }))];
    this.#publish({
      ...withChanges(this.#state, changes),
      applied: model,
      lastChange: routes.length > 0 || applied === undefined ? at : lastChange,
    });
    return "done";
  }

  async #lookForLate(): Promise<void> {
    try {
      await this.#readiness.look(this.#state.applied ?? NOTHING);
    } catch (error) {
      // HAProxy is not there, or is just starting.
      if (error instanceof GatewayError) {
        this.parts.log.debug(`cannot tell which containers answer: ${errorMessage(error)}`);
      } else this.parts.log.failure(error);
    }
  }

  /** A container that ends or has ended gets no new request, unless it is the last of its service. */
  #drain(id: string): void {
    const { applier, runtime, source } = this.parts;
    if (!runtime.mayChange) return;
    const isEnding = (other: string): boolean => source.isEnding(other);
    const servers = serversToDrain(this.#state.applied ?? NOTHING, id, isEnding);
    for (const { backend, server } of servers) runtime.drain(applier.runningName(backend), server);
  }

  #markAll(): void {
    this.#verify = true;
    this.parts.source.markAll();
    this.#wake();
  }

  #connected(connected: boolean): void {
    this.#schedule = { ...this.#schedule, connected };
    this.#publish({ engine: { name: this.parts.source.name, connected } });
    this.#wakeup.set();
  }

  #wake(): void {
    this.#schedule = { ...this.#schedule, awake: true };
    this.#wakeup.set();
  }

  #publish(news: Partial<State>): void {
    const before = this.#state;
    this.#state = { ...before, ...news };
    for (const listener of this.#listeners) listener(this.#state, before);
  }
}
