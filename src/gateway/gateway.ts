// The loop: whatever happens only wakes it; each pass reads what is true and brings HAProxy there.

import { isDeepStrictEqual } from "node:util";
import type { Applier } from "./apply.ts";
import { Backoff, QuietTime, Wakeup } from "../lib/async.ts";
import type { Desired } from "./desired.ts";
import type { DockerClient } from "../docker/client.ts";
import type { DockerEvent } from "../docker/events.ts";
import { Store } from "../docker/store.ts";
import { watchDocker } from "../docker/watch.ts";
import type { Drafts } from "./drafts.ts";
import { graceOf, serversToDrain } from "./termination.ts";
import { GatewayError } from "../lib/errors.ts";
import { RefusedConfig } from "../haproxy/process/check.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import type { Logger } from "../lib/log.ts";
import type { Files, Model } from "../model.ts";
import { Newcomers } from "./readiness.ts";
import { planChange, sameFiles, type Plan } from "../plan/plan.ts";
import { Reader } from "../docker/reader.ts";
import { Complaints, reportChanges, summarise } from "./report.ts";
import { formatDuration } from "../lib/text.ts";

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;

interface GatewayParts {
  readonly client: DockerClient;
  readonly applier: Applier;
  readonly runtime: Runtime;
  readonly drafts: Drafts;
  /** The quiet time before a reload and its longest stretch, in milliseconds. */
  readonly wait: { readonly min: number; readonly max: number };
  readonly log: Logger;
}

/** Everything is read and compared again this often, in ms, should something have been lost. */
const RESYNC = 60_000;
/** The first wait before a failed change is tried again, and the longest, in milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

const NOTHING: Model = { routes: [], backends: [], rejections: [], warnings: [] };

export class Gateway {
  readonly #store: Store;
  readonly #reader: Reader;
  readonly #wakeup = new Wakeup();
  readonly #quiet: QuietTime;
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  readonly #complaints = new Complaints();
  readonly #newcomers: Newcomers;
  #connected = false;
  #recovered = false;
  #verify = false;
  #served: Model | undefined;
  #wanted: Desired | undefined;
  /** A change that failed is tried again from then on, in milliseconds since 1970. */
  #retryAt: number | undefined;
  /** When what is served last changed, in milliseconds since 1970. */
  #lastChange = Date.now();
  readonly #resynced: (() => void)[] = [];

  constructor(private readonly parts: GatewayParts) {
    this.#store = new Store(parts.client, () => this.#wakeup.set());
    this.#reader = new Reader(this.#store, parts.log);
    this.#quiet = new QuietTime(parts.wait.min, parts.wait.max, () => Date.now());
    this.#newcomers = new Newcomers(
      () => this.#served ?? NOTHING,
      (backend) => parts.applier.runningName(backend),
      (line) => parts.runtime.ask(line),
      parts.log,
    );
  }

  /** Runs until the signal is aborted; a pass under way is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const handlers = {
      connected: () => {
        this.#connected = true;
        this.#store.markAll();
      },
      event: (event: DockerEvent) => {
        const ending = this.#store.note(event);
        if (ending !== undefined) this.#drain(ending);
      },
      disconnected: () => {
        this.#connected = false;
      },
    };
    const watching = watchDocker(this.parts.client, handlers, this.parts.log, signal);
    const resync = setInterval(() => void this.resync(), RESYNC);
    try {
      while (!signal.aborted) {
        await this.#wakeup.wait(this.#untilDue(), signal);
        if (signal.aborted || !this.#connected) continue;
        try {
          await this.#pass(signal);
        } catch (error) {
          if (signal.aborted) break;
          this.parts.log.failure(error, "what is served stays as it is; trying again");
          this.#retryAt = Date.now() + this.#backoff.next();
        }
        for (const resolve of this.#resynced.splice(0)) resolve();
      }
    } finally {
      clearInterval(resync);
      this.#newcomers.close();
      this.#store.close();
      await watching;
      await this.parts.applier.close();
    }
  }

  /** One pass over everything. @throws GatewayError where it fails */
  async once(signal: AbortSignal): Promise<void> {
    await this.parts.client.connect(signal);
    this.#store.markAll();
    await this.#pass(signal);
    while (this.#untilDue() === 0) await this.#pass(signal);
    this.#newcomers.close();
    this.#store.close();
    await this.parts.applier.close();
  }

  /**
   * Reads everything again, the template too, and compares HAProxy with what it should run.
   * @returns when the next pass is done
   */
  resync(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resynced.push(resolve);
    this.#verify = true;
    this.#store.markAll();
    return promise;
  }

  /** How it is, in one line. */
  status(): string {
    if (this.#served === undefined) return "waiting for Docker";
    const { length } = this.#served.routes;
    const routes = length === 1 ? "1 route" : `${length} routes`;
    const seconds = (Date.now() - this.#lastChange) / 1000;
    const docker = this.#connected ? "" : ", waiting for Docker";
    return `${routes}, last change ${formatDuration(seconds)} ago${docker}`;
  }

  /** How long the connections of a server may last when it goes, in milliseconds. */
  grace(server: string): number {
    return graceOf(this.#served ?? NOTHING, server);
  }

  /** How long to sleep if nothing happens, in milliseconds. */
  #untilDue(): number {
    if (!this.#connected) return RESYNC;
    const dueAt = Math.min(this.#retryAt ?? Infinity, this.#reader.rereadAt);
    const quiet = this.#quiet.waiting ? this.#quiet.remaining() : RESYNC;
    return Math.max(0, Math.min(dueAt - Date.now(), quiet, RESYNC));
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { applier, runtime, drafts, log } = this.parts;
    const recognising = runtime.recognise().then((process) => {
      // Kept, should the Engine not be there to be read.
      if (process === "another") this.#verify = true;
      return process;
    });
    const [process] = await Promise.all([recognising, this.#reader.read(signal)]);
    // Taken before: who asks for it meanwhile wants another one.
    const verify = this.#verify;
    this.#verify = false;
    if (verify && this.#recovered) await applier.verify(process);
    const capabilities = await runtime.capabilities();
    const isKnown = (files: Files): boolean =>
      (this.#wanted !== undefined && sameFiles(this.#wanted.files, files)) ||
      planChange(applier.applied, files, capabilities).kind === "none";
    const desired = drafts.make(this.#store.snapshot(), isKnown);
    if (!this.#recovered) await applier.recover(Object.keys(desired.files.maps));
    this.#recovered = true;
    for (const { level, message, fields } of this.#complaints.fresh(desired.model)) {
      log[level](message, fields);
    }

    const isNew =
      this.#wanted === undefined || !isDeepStrictEqual(this.#wanted.files, desired.files);
    this.#wanted = desired;
    const plan = planChange(applier.applied, desired.files, await runtime.capabilities());
    if (plan.kind === "none") {
      this.#done(desired.model);
      return;
    }
    const isRetry = !isNew && this.#retryAt !== undefined;
    if (isRetry && Date.now() < (this.#retryAt ?? 0)) return;
    if (plan.kind === "runtime") {
      const refusal = await this.#change(desired, plan);
      if (refusal !== undefined) await this.#reload(desired, [refusal], true);
    } else await this.#reload(desired, plan.reasons, isNew);
  }

  /** A container that ends or has ended gets no new request, unless it is the last of its service. */
  #drain(id: string): void {
    const { applier, runtime } = this.parts;
    if (!runtime.mayChange) return;
    const isEnding = (other: string): boolean => this.#store.isEnding(other);
    for (const { backend, server } of serversToDrain(this.#served ?? NOTHING, id, isEnding)) {
      runtime.drain(applier.runningName(backend), server);
    }
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
    this.#done(desired.model);
    return undefined;
  }

  async #reload(desired: Desired, reasons: readonly string[], isNew: boolean): Promise<void> {
    if (isNew) this.#quiet.changed();
    if (this.#quiet.remaining() > 0) return;
    const started = Date.now();
    try {
      await this.parts.applier.reload(desired.files);
    } catch (error) {
      if (!(error instanceof RefusedConfig) || !this.parts.drafts.refused()) throw error;
      // One bad template must not keep the containers' changes from being served.
      this.parts.log.failure(error, "the template before it is used on");
      this.#wakeup.set();
      return;
    } finally {
      this.#quiet.reloaded();
    }
    const ms = Date.now() - started;
    const message = `reload: ${summarise(reasons)} (${ms} ms)`;
    this.parts.log.info(message, { event: "reload", reasons, ms });
    this.#done(desired.model);
  }

  #done(model: Model): void {
    this.parts.drafts.accepted();
    const lines = reportChanges(this.#served, model, (id) => this.#reader.waited(id));
    for (const { level, message, fields } of lines) this.parts.log[level](message, fields);
    if (lines.length > 0 || this.#served === undefined) this.#lastChange = Date.now();
    this.#served = model;
    const routed = lines.filter(({ fields }) => fields["event"] === "routed");
    this.#newcomers.note(routed.map(({ fields }) => String(fields["id"])));
    this.#reader.done();
    this.#retryAt = undefined;
    this.#backoff.reset();
    this.#quiet.forget();
  }
}
