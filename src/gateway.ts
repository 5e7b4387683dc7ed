// The loop: whatever happens only wakes it; each pass reads what is true and brings HAProxy there.

import type { Applier } from "./apply.ts";
import { Backoff, QuietTime, Wakeup } from "./async.ts";
import { makeDesired, type Desired, type Settings } from "./desired.ts";
import type { DockerClient } from "./docker/client.ts";
import { Store } from "./docker/store.ts";
import { watchDocker } from "./docker/watch.ts";
import { errorMessage } from "./errors.ts";
import type { Logger } from "./log.ts";
import { currentReach } from "./machine.ts";
import type { Files, Model, Snapshot } from "./model.ts";
import { planChange, sameFiles } from "./plan.ts";
import { Complaints, reportChanges } from "./report.ts";
import type { TemplateSlot } from "./templates.ts";

interface GatewayParts {
  readonly client: DockerClient;
  readonly applier: Applier;
  readonly template: TemplateSlot;
  readonly settings: Settings;
  /** The quiet time before a reload and its longest stretch, in milliseconds. */
  readonly wait: { readonly min: number; readonly max: number };
  readonly log: Logger;
}

/** Everything is read again this often, in milliseconds, should an event have been lost. */
const RESYNC = 60_000;
/** The first wait before a failed change is tried again, and the longest, in milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

export class Gateway {
  readonly #store: Store;
  readonly #wakeup = new Wakeup();
  readonly #quiet: QuietTime;
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  readonly #complaints = new Complaints();
  /** When a container's change was noticed, until it is live, by its ID. */
  readonly #noticed = new Map<string, number>();
  #connected = false;
  #recovered = false;
  #served: Model | undefined;
  #wanted: Desired | undefined;
  #time = new Date();
  /** A change that failed is tried again from then on, in milliseconds since 1970. */
  #retryAt: number | undefined;
  /** Containers that could not be read are read again from then on. */
  #rereadAt: number | undefined;
  #lastUnreadable = "";

  constructor(private readonly parts: GatewayParts) {
    this.#store = new Store(parts.client, () => this.#wakeup.set());
    this.#quiet = new QuietTime(parts.wait.min, parts.wait.max, () => Date.now());
  }

  /** Runs until the signal is aborted; a pass under way is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = watchDocker(
      this.parts.client,
      {
        connected: () => {
          this.#connected = true;
          this.#store.markAll();
        },
        event: (event) => this.#store.note(event),
        disconnected: () => {
          this.#connected = false;
        },
      },
      this.parts.log,
      signal,
    );
    const resync = setInterval(() => this.#store.markAll(), RESYNC);
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
      }
    } finally {
      clearInterval(resync);
      this.#store.close();
      await watching;
    }
  }

  /** One pass over everything. @throws GatewayError where it fails */
  async once(signal: AbortSignal): Promise<void> {
    await this.parts.client.connect(signal);
    this.#store.markAll();
    await this.#pass(signal);
    this.#store.close();
  }

  /** Reads everything again, the template too. */
  resync(): void {
    this.#store.markAll();
  }

  /** How long to sleep if nothing happens, in milliseconds. */
  #untilDue(): number {
    if (!this.#connected) return RESYNC;
    const dueAt = Math.min(this.#retryAt ?? Infinity, this.#rereadAt ?? Infinity);
    const quiet = this.#quiet.waiting ? this.#quiet.remaining() : RESYNC;
    return Math.max(0, Math.min(dueAt - Date.now(), quiet, RESYNC));
  }

  async #pass(signal: AbortSignal): Promise<void> {
    await this.#read(signal);
    const desired = this.#makeDesired(this.#store.snapshot());
    if (!this.#recovered) {
      await this.parts.applier.recover(Object.keys(desired.files.maps));
      this.#recovered = true;
    }
    for (const { level, message, fields } of this.#complaints.fresh(desired.model)) {
      this.parts.log[level](message, fields);
    }

    const isNew = this.#wanted === undefined || !sameFiles(this.#wanted.files, desired.files);
    this.#wanted = desired;
    const plan = planChange(this.parts.applier.applied, desired.files);
    if (plan.kind === "none") {
      this.#done(desired.model);
      return;
    }
    if (isNew) this.#quiet.changed();
    else if (this.#retryAt !== undefined && Date.now() < this.#retryAt) return;
    if (this.#quiet.remaining() > 0) return;
    await this.#reload(desired, plan.reasons);
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { marks, failures } = await this.#store.refresh(signal);
    for (const [id, since] of marks) {
      if (!this.#noticed.has(id)) this.#noticed.set(id, since);
    }
    this.#rereadAt = failures.size > 0 ? Date.now() + FIRST_RETRY : undefined;
    const unreadable = [...failures].map(([id, error]) => `${id}: ${errorMessage(error)}`).join();
    for (const [id, error] of unreadable === this.#lastUnreadable ? [] : failures) {
      this.parts.log.warn(
        `container ${id.slice(0, 12)} cannot be read and stays as it was: ${errorMessage(error)}`,
      );
    }
    this.#lastUnreadable = unreadable;
  }

  /** The newest template that works; a broken one is complained of and the one before it used. */
  #makeDesired(snapshot: Snapshot): Desired {
    const { template, log } = this.parts;
    try {
      template.refresh();
    } catch (error) {
      log.failure(error, "the template before it is used on");
    }
    const reach = currentReach(snapshot, this.parts.client.transport.remoteHost);
    let failure: unknown;
    for (const candidate of template.candidates()) {
      const make = (time: Date): Desired =>
        makeDesired(snapshot, reach, this.parts.settings, candidate, time.toISOString());
      try {
        // With the time of the last change first: the time alone is no change.
        const same = make(this.#time);
        template.rendered(candidate);
        if (this.#isKnown(same.files)) return same;
        this.#time = new Date();
        return make(this.#time);
      } catch (error) {
        if (failure === undefined && template.candidates().length > 1) {
          log.failure(error, "the template before it is used on");
        }
        failure = error;
      }
    }
    throw failure;
  }

  #isKnown(files: Files): boolean {
    if (this.#wanted !== undefined && sameFiles(this.#wanted.files, files)) return true;
    return planChange(this.parts.applier.applied, files).kind === "none";
  }

  async #reload(desired: Desired, reasons: readonly string[]): Promise<void> {
    const started = Date.now();
    try {
      await this.parts.applier.reload(desired.files);
    } finally {
      this.#quiet.reloaded();
    }
    const ms = Date.now() - started;
    this.parts.log.info(`reload: ${summarise(reasons)} (${ms} ms)`, {
      event: "reload",
      reasons,
      ms,
    });
    this.#done(desired.model);
  }

  #done(model: Model): void {
    const now = Date.now();
    const waited = (id: string): number | undefined => {
      const since = this.#noticed.get(id);
      return since === undefined ? undefined : now - since;
    };
    for (const { level, message, fields } of reportChanges(this.#served, model, waited)) {
      this.parts.log[level](message, fields);
    }
    this.#served = model;
    this.#noticed.clear();
    this.#retryAt = undefined;
    this.#backoff.reset();
    this.#quiet.forget();
  }
}

/** All reasons where they are few; the first ones and how many more otherwise. */
function summarise(reasons: readonly string[]): string {
  const shown = 5;
  if (reasons.length <= shown) return reasons.join(", ");
  return `${reasons.slice(0, shown).join(", ")} and ${reasons.length - shown} more`;
}
