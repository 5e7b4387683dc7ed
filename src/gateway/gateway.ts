// src/gateway runs things: it may import every folder but cli, and is the only one that knows both
// Docker and HAProxy. This file has the loop. An event only wakes it. Each reconcile pass reads what is
// true, decides what HAProxy should run, and brings it there.

import { isDeepStrictEqual } from "node:util";
import { WAITING_ROOM, type BackendServer, type Capabilities } from "../config/operations.ts";
import { portOf } from "../config/bind-addresses.ts";
import { sectionsOf } from "../config/sections.ts";
import { bareAddress, hasWaitingRooms } from "../config/servers.ts";
import { RefusedConfig } from "../haproxy/process/check.ts";
import type { Recognised, Runtime } from "../haproxy/runtime/runtime.ts";
import { readStats } from "../haproxy/runtime/stats.ts";
import { Backoff, inBackground, pause, Wakeup } from "../lib/async.ts";
import { describeError, errorMessage, GatewayError } from "../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../lib/log.ts";
import {
  engineIn,
  isForwarded,
  type Container,
  type Files,
  type Model,
  type Server,
  type Snapshot,
  type Source,
} from "../model.ts";
import { ownersThat, type Owners } from "../config/owners.ts";
import { certificateNews, type CertificateChoice } from "../routing/certificates.ts";
import { causeOf, type ReloadCause } from "../plan/causes.ts";
import { planChange, sameFiles, serverNames, type Applied, type Plan } from "../plan/plan.ts";
import { AddressTaken, type Applier } from "./apply.ts";
import { Fence } from "./fence.ts";
import { nextDue, quietEnd, withChange, withoutChange, type Schedule } from "./clock.ts";
import type { Desired, DesiredState } from "./desired.ts";
import { Holds } from "./hold.ts";
import { Observations } from "./observations.ts";
import { Outages } from "./outages.ts";
import { holdersThatRun, isSeen } from "./owners.ts";
import { Readiness } from "./readiness.ts";
import { newTcpPorts, tcpPortsOf, type TcpPorts } from "./tcp-ports.ts";
import { changesBetween, holdsBetween } from "./report.ts";
import {
  firstState,
  withChanges,
  withoutOldChanges,
  withReload,
  type Change,
  type OddAnswersChange,
  type OutageChange,
  type RefusedRequestChange,
  type State,
  type Way,
} from "./state.ts";
import { Words } from "./words.ts";
import {
  graceOf,
  serversAboutToStart,
  serversInUse,
  serversToDrain,
  serversToStart,
  type ServersOfService,
} from "./termination.ts";

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;
/** `waiting`: a change waits for quiet or for its retry. `again`: another pass is needed at once. */
type Outcome = "done" | "waiting" | "again";

interface WhyReload {
  readonly cause: ReloadCause;
  readonly reasons: readonly string[];
  /** Whether this change begins or prolongs the quiet period; a retry does not. */
  readonly isNew: boolean;
}

interface GatewayParts {
  readonly source: Source;
  readonly applier: Applier;
  readonly runtime: Runtime;
  readonly desired: DesiredState;
  /** Remembers ports of TCP that cannot be had. */
  readonly tcpPorts: TcpPorts;
  /** The quiet period before a reload and the longest that a change waits, in milliseconds. */
  readonly wait: { readonly min: number; readonly max: number };
  /** How long requests wait for a container of their service, in milliseconds; 0: not at all. */
  readonly hold: number;
  /** What the labels of containers begin with. */
  readonly labelPrefix: string;
  readonly log: Logger;
}

/** How often everything is read and compared again, in milliseconds: an event may have been lost. */
const RESYNC_INTERVAL = 60_000;
/** The first and the longest wait before a failed pass is tried again, in milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;

/** How often the files are looked at that labels name, in milliseconds. */
const FILES_INTERVAL = 2_000;

/** The same for certificates, which are read when they have not changed for a while. */
const CERTIFICATES_INTERVAL = 800;

/** How often HAProxy is asked which servers are down, in milliseconds. Its checks take two to four seconds. */
const OUTAGES_INTERVAL = 2_000;
/** The answer for thousands of servers takes tens of milliseconds: so many times as long it is waited then. */
const OUTAGES_SHARE = 100;
/** HAProxy says that a server is down before it has all of it. In milliseconds. */
const OUTAGE_NOTICED = 50;

/** So long HAProxy is asked before a reload what it noticed, in milliseconds. It takes one or two. */
const OBSERVE_LIMIT = 200;

/** A pass waits so long for the answers of containers that have just started, in milliseconds. */
const START_FIRST = 10;
/** And begins so long after that: the first requests to them need the processor more. In milliseconds. */
const REQUESTS_FIRST = 10;

/** If nobody knows who is behind any server. */
const NOBODY: Owners = { scope: "", byPlace: new Map() };

/** A container's ID in the name of a server: whole, or the digits that docker shows. */
const CONTAINER_ID = /(?<![0-9a-f])[0-9a-f]{12}(?:[0-9a-f]{52})?(?![0-9a-f])/g;

/** What is served before the first pass. */
export const EMPTY_MODEL: Model = { services: [], rejections: [], refusals: [], warnings: [] };

/** Called with each new state and the one before it. */
export type StateListener = (state: State, before: State) => void;

export class Gateway {
  readonly #wakeup = new Wakeup();
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  readonly #failure: RepeatedFailure;
  readonly #words: Words;
  readonly #readiness: Readiness;
  readonly #fence: Fence;
  readonly #holds: Holds;
  /** The servers that answer now, and for which requests waited, by name. Former workers are to know. */
  readonly #awaited = new Set<string>();
  readonly #observations: Observations;
  readonly #outages: Outages;
  readonly #listeners: StateListener[] = [];
  /** The servers of containers that are about to start, by the container's ID. */
  readonly #comingUp = new Map<string, readonly BackendServer[]>();
  /** One for each container that has started since the last pass. */
  readonly #starts: Promise<void>[] = [];
  /** The containers whose start a pass waits for, by their IDs. */
  readonly #servedFirst = new Set<string>();
  /** When containers that have started got ready in HAProxy, by their IDs, in milliseconds since 1970. */
  readonly #readyAt = new Map<string, number>();
  /** Called after the next pass: each resolves a promise that `resync` or `refresh` returned. */
  readonly #afterPass: (() => void)[] = [];
  /** Those of several Engines that have not told everything since they were away. */
  readonly #untold = new Set<string>();
  /** The last owners that the fence was given a part of, and that part. */
  #fenced: { readonly owners: Owners; readonly untold: string; readonly part: Owners } | undefined;
  #schedule: Schedule;
  #state: State;
  /** Whether the files that an earlier gateway left have been looked at. */
  #recovered = false;
  /** Whether it is known if the processes of containers can be seen. */
  #hasLooked = false;
  /** Whether the next pass compares HAProxy with what it should run. */
  #mustVerify = false;
  /** Whether HAProxy is another process than at the last comparison. */
  #isAnotherProcess = false;
  #desired: Desired | undefined;
  #snapshot: Snapshot = { containers: [], drivers: {}, gateways: [] };

  constructor(private readonly parts: GatewayParts) {
    const { source, applier, runtime, wait, hold, labelPrefix, log } = parts;
    const now = Date.now();
    this.#state = firstState(source.name, now, source.engines);
    for (const { name } of source.engines ?? []) this.#untold.add(name);
    this.#schedule = {
      awake: false,
      connected: false,
      resyncAt: now + RESYNC_INTERVAL,
      outagesAt: now + OUTAGES_INTERVAL,
      quiet: { limits: wait, lastReload: -Infinity },
    };
    this.#failure = new RepeatedFailure(log);
    this.#words = new Words((backend) => applier.runningName(backend));
    this.#holds = new Holds(hold, (id) => source.remains(id));
    runtime.onAnswer((servers) => {
      this.#outages.note(servers);
      const awaited = this.#holds.note(servers);
      for (const server of awaited) this.#awaited.add(server);
      if (awaited.size > 0) this.#wake();
    });
    runtime.onStart((servers) => applier.noteStarted(new Set(servers)));
    this.#readiness = new Readiness(
      (backend) => applier.runningName(backend),
      (line) => runtime.ask(line),
      labelPrefix,
    );
    this.#outages = new Outages(
      (backend) => applier.runningName(backend),
      (line) => runtime.ask(line),
      labelPrefix,
    );
    this.#observations = new Observations((line) => runtime.ask(line));
    this.#fence = new Fence({
      takeOut: async (mustGo) => {
        const waiting = await applier.takeOut(mustGo, (backend) => this.#holds.mayBegin(backend));
        this.#holds.begin(waiting, Date.now());
        this.#wake();
      },
      silent: async () => {
        const servers = await readStats((line) => runtime.ask(line));
        return servers.filter(({ state }) => state === "down").map(({ address }) => address);
      },
      ended: (id) => this.#lose(id),
      log,
    });
  }

  get state(): State {
    return this.#state;
  }

  /** The containers that the last pass decided about. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** What HAProxy runs, and what it should run; undefined before the first pass. */
  get files(): { readonly applied: Files | undefined; readonly desired: Files | undefined } {
    return { applied: this.parts.applier.applied.files, desired: this.#desired?.files };
  }

  /** A message of HAProxy's, by the containers and routes that it is about. */
  inWords(message: string): string {
    return this.#words.of(message, this.#known);
  }

  /** Whether a message of HAProxy's says that a container is up or down, which is told as a change, and soon. */
  noticed(message: string): boolean {
    const isOutage = this.#words.isOutage(message, this.#known);
    if (isOutage) {
      this.#reschedule({ outagesAt: Date.now() + OUTAGE_NOTICED });
      this.#wakeup.set();
    }
    return isOutage;
  }

  /** Whether all containers are known. */
  get isComplete(): boolean {
    return this.parts.source.isComplete;
  }

  /** Calls back with each new state. */
  onState(listener: StateListener): void {
    this.#listeners.push(listener);
  }

  /** Runs until the signal is aborted. A pass that is under way then is finished first. */
  async run(signal: AbortSignal): Promise<void> {
    // Containers may have ended while no gateway ran, and Docker may not be there yet.
    const found = await this.parts.applier.open();
    if (found?.owners !== undefined) {
      this.#fence.begin(found.owners, (place) => !found.hasServerAt(place));
    }
    const watching = this.parts.source.watch(
      {
        connected: (engine) => this.#setConnected(true, engine),
        changed: () => this.#wake(),
        started: (container) => this.#start(container),
        ending: (id) => this.#drain(id),
        ended: (id) => this.#lose(id),
        disconnected: (engine) => this.#setConnected(false, engine),
      },
      signal,
    );
    while (!signal.aborted) await this.#step(signal);
    this.#fence.end();
    await watching;
    await this.parts.applier.close();
  }

  /** Reads everything once and brings HAProxy there. @throws GatewayError if that fails */
  async once(signal: AbortSignal): Promise<void> {
    await this.parts.source.connect(signal);
    while ((await this.#reconcile(signal)) === "again");
    await this.parts.applier.close();
  }

  /**
   * Reads everything again, the template too, and compares HAProxy with what it should run.
   * Resolves after a pass that began after this call.
   */
  resync(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#afterPass.push(resolve);
    this.#markAll();
    return promise;
  }

  /** Has a pass begin soon, with what is known. Resolves after it. */
  refresh(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#afterPass.push(resolve);
    this.#wake();
    return promise;
  }

  /** Notes how the certificates of --acme are. */
  noteCertificates(certificates: State["certificates"]): void {
    this.#publish({ certificates });
  }

  /** How long a server's connections may last after it is removed, in milliseconds. */
  grace(server: string): number {
    return graceOf(this.#applied, server);
  }

  /** Does what is due now, or waits until something is due. */
  async #step(signal: AbortSignal): Promise<void> {
    await this.#startFirst();
    const now = Date.now();
    const { rereadAt } = this.parts.source;
    const [lateAt, holdAt] = [this.#readiness.dueAt, this.#holds.dueAt];
    const due = nextDue({ ...this.#schedule, rereadAt, lateAt, holdAt }, now);
    if (due.at > now) await this.#wakeup.wait(due.at - now, signal);
    else if (due.task === "late") this.#warnOfUnanswering();
    else if (due.task === "hold") this.#endHolds(now);
    else if (due.task === "files") this.#lookAtFiles(now);
    else if (due.task === "outages") this.#lookForOutages();
    else if (due.task === "resync") {
      this.#reschedule({ resyncAt: now + RESYNC_INTERVAL });
      this.#markAll();
    } else await this.#tryReconcile(signal);
  }

  async #tryReconcile(signal: AbortSignal): Promise<void> {
    this.#reschedule({ awake: false, notBefore: undefined });
    this.#publish({ passes: this.#state.passes + 1 });
    const afterPass = this.#afterPass.splice(0);
    try {
      if ((await this.#reconcile(signal)) === "again") {
        this.#afterPass.unshift(...afterPass.splice(0));
        this.#wake();
      } else if (this.#schedule.retryAt === undefined) this.#failure.forget();
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    // HAProxy may have other servers now than those that are watched.
    if (this.#fence.isUp && !signal.aborted) {
      this.#raiseFence();
      this.#fence.repeat();
    }
    this.#leadWaiting();
    for (const resolve of afterPass) resolve();
  }

  /** Has the requests that wait in HAProxy's former workers sent to the servers that answer now. */
  #leadWaiting(): void {
    if (this.#awaited.size === 0) return;
    const leading = this.parts.applier.leadWaiting(new Set(this.#awaited));
    this.#awaited.clear();
    inBackground(leading, (error) => this.parts.log.failure(error));
  }

  /** Notes that a pass failed. What is served stays, and a retry is due after the back-off. */
  #fail(error: unknown): void {
    this.#failure.tell(error, "what is served stays as it is; trying again");
    this.#publish({ problem: describeError(error) });
    const now = Date.now();
    const { retryAt = 0 } = this.#schedule;
    // An event may start a pass before the retry is due. Such a pass does not put the retry off.
    if (retryAt <= now) this.#reschedule({ retryAt: now + this.#backoff.next() });
    this.#count("failures");
  }

  async #reconcile(signal: AbortSignal): Promise<Outcome> {
    const { applier, runtime, source } = this.parts;
    await source.refresh(signal);
    if (await this.#startFirst()) return "again";
    // Only now: a container that has just started has HAProxy and the processor for itself.
    const process = await this.#recognise();
    // Cleared before the comparison: a request that comes during it needs another one.
    const mustVerify = this.#mustVerify;
    this.#mustVerify = false;
    if (mustVerify && this.#recovered) await this.#verify(process);
    const capabilities = await runtime.capabilities();
    await this.parts.desired.readCertificates(Date.now());
    // From here to the plan nothing is waited for: it would undo what HAProxy is told of a container that ends meanwhile.
    const isUnchanged = (files: Files): boolean =>
      (this.#desired !== undefined && sameFiles(this.#desired.files, files)) ||
      planChange(applier.applied, files, capabilities).kind === "none";
    const all = this.#fence.corrected(source.snapshot());
    this.#snapshot = all;
    const snapshot = capabilities === undefined ? withoutStarting(all) : all;
    const now = Date.now();
    const hold = (services: Model["services"]): Model["services"] =>
      this.#holds.apply(services, now, this.#canWait);
    const desired = this.parts.desired.make(snapshot, isUnchanged, hold);
    const running = this.#recovered ? capabilities : await this.#recover(desired);
    this.#watchFiles(now);
    const isNew = !isDeepStrictEqual(this.#desired?.files, desired.files);
    this.#desired = desired;
    this.#publish({ desired: desired.model });

    const { applied } = applier;
    this.#publish({ haproxy: { version: running?.version, doubt: applied.doubt } });
    const plan = planChange(applied, desired.files, running);
    if (plan.kind === "none") {
      applier.keep(desired.files);
      return this.#done(desired, { how: "none", reasons: [] });
    }
    if (this.#takesUnknown(applied, desired)) return "waiting";
    const { retryAt = 0 } = this.#schedule;
    if (!isNew && Date.now() < retryAt) return "waiting";
    this.#reschedule({ retryAt: undefined });
    if (plan.kind === "reload") {
      const { reasons } = plan;
      return this.#reload(desired, { cause: causeOf(applied, reasons), reasons, isNew });
    }
    const refusal = await this.#change(desired, plan);
    if (refusal === undefined) return "done";
    return this.#reload(desired, { cause: "refused", reasons: [refusal], isNew: true });
  }

  /** Looks at what an earlier gateway left. Returns what HAProxy can do: where it can be asked may be known only now. */
  async #recover({ files }: Desired): Promise<Capabilities | undefined> {
    await this.parts.applier.recover(files.assets);
    this.#recovered = true;
    this.#isAnotherProcess = false;
    return this.parts.runtime.capabilities();
  }

  /**
   * Whether a change would take away a server of a container that nobody knows of yet: it may run
   * still. Where nothing is served, it is whether there is nothing to serve yet.
   */
  #takesUnknown({ files, doubt }: Applied, desired: Desired): boolean {
    const { source } = this.parts;
    if (source.isComplete) return false;
    if (doubt !== undefined) return true;
    if (files === undefined) return desired.model.services.length === 0;
    const kept = new Set(serverNames(desired.files));
    const lost = serverNames(files).filter((name) => !kept.has(name));
    const ids = lost.map((name) => [...name.matchAll(CONTAINER_ID)].at(-1)?.[0]);
    const found = ids.filter((id) => id !== undefined);
    return !source.learn(found) || found.length < lost.length;
  }

  /** Finds out whether HAProxy is still the process that the gateway changed. */
  async #recognise(): Promise<Recognised> {
    const process = await this.parts.runtime.recognise();
    // Set here and not in the pass, which fails before its comparison if the Engine cannot be read.
    if (process === "another") {
      this.#mustVerify = true;
      this.#isAnotherProcess = true;
    }
    // Once recognised, it is the same from then on. It stays another one until it was compared.
    return this.#isAnotherProcess ? "another" : process;
  }

  /** Compares HAProxy with what it should run. If that fails, the next pass does it. */
  async #verify(process: Recognised): Promise<void> {
    try {
      await this.parts.applier.verify(process);
      this.#isAnotherProcess = false;
    } catch (error) {
      this.#mustVerify = true;
      throw error;
    }
  }

  /** Changes the running HAProxy. Returns the reason if HAProxy refuses. */
  async #change(desired: Desired, plan: RuntimePlan): Promise<string | undefined> {
    const started = Date.now();
    try {
      await this.parts.applier.change(desired.files, plan);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return this.#words.of(error.message, desired.model);
    }
    const ms = Date.now() - started;
    const done = plan.operations.map((operation) => operation.do).join(", ");
    this.parts.log.debug(`changed without a reload: ${done} (${ms} ms)`);
    this.#count("runtimeChanges");
    this.#done(desired, { how: "runtime", reasons: [] });
    return undefined;
  }

  async #reload(desired: Desired, { cause, reasons, isNew }: WhyReload): Promise<Outcome> {
    const started = Date.now();
    const quiet = isNew ? withChange(this.#schedule.quiet, started) : this.#schedule.quiet;
    this.#reschedule({ quiet });
    if (quiet.waiting !== undefined && quietEnd(quiet) > started) return "waiting";
    let { lastReload } = quiet;
    // The new worker knows nothing of what this one noticed. One that hangs must not hold it up.
    await Promise.race([this.#observe(), pause(OBSERVE_LIMIT)]);
    const { files: running } = this.parts.applier.applied;
    try {
      await this.parts.applier.reload(desired.files);
      this.#observations.restart();
      lastReload = Date.now();
    } catch (error) {
      this.#publish({ reloads: withReload(this.#state.reloads, cause, "failed") });
      if (this.#blamePorts(error, desired.model, running)) return "again";
      if (!(error instanceof RefusedConfig) || !this.parts.desired.refused()) {
        lastReload = Date.now();
        throw error;
      }
      // A bad template must not hold up the changes of containers: an older one is used at once.
      this.parts.log.failure(error, "the template before it is used on");
      return "again";
    } finally {
      this.#reschedule({ quiet: { ...withoutChange(this.#schedule.quiet), lastReload } });
    }
    const now = Date.now();
    this.parts.applier.awaitAnswers(this.#holds.awaited);
    this.#count("reloads");
    this.#publish({ reloads: withReload(this.#state.reloads, cause, "done") });
    const reload: Change = { event: "reload", reasons, ms: now - started, at: now };
    return this.#done(desired, { how: "reload", reasons }, [reload]);
  }

  /**
   * Notes which ports of TCP a reload failed with. The next pass does without them, so that they hold up
   * nothing else.
   * @param running the files that HAProxy had before
   * @returns whether there are any
   */
  #blamePorts(error: unknown, { services }: Model, running: Files | undefined): boolean {
    const { tcpPorts, log } = this.parts;
    if (error instanceof AddressTaken) {
      const isTcp = tcpPortsOf(services).includes(portOf(error.address));
      if (isTcp) tcpPorts.note(error.address, error.problem);
      return isTcp;
    }
    if (!(error instanceof GatewayError)) return false;
    const ports = newTcpPorts(services, running === undefined ? [] : sectionsOf(running));
    const lines = error.lines.join("\n");
    const named = ports.filter((port) => new RegExp(`_tcp_${port}\\b`).test(lines));
    // Where HAProxy says nothing, it may be any of them. What it refuses before a reload, it names.
    const blamed = named.length > 0 || error instanceof RefusedConfig ? named : ports;
    if (blamed.length === 0) return false;
    tcpPorts.blame(blamed, error, Date.now());
    log.failure(error, "tried again without the new ports of TCP");
    return true;
  }

  /**
   * Notes that HAProxy runs what it should.
   * @param way how it got there
   * @param reloads the reload that was needed, if any
   */
  #done({ model, tls }: Desired, way: Way, reloads: readonly Change[] = []): Outcome {
    const { source, desired } = this.parts;
    desired.accepted();
    const at = Date.now();
    const { applied, lastChange } = this.#state;
    const shown = sameShown(this.#state.shown, tls);
    const routes = changesBetween(applied, model, (id) => {
      const waited = source.waited(id);
      return waited && Math.max(0, waited - (at - (this.#readyAt.get(id) ?? at)));
    });
    this.#readyAt.clear();
    source.settled();
    this.#readiness.note(routes.filter(({ event }) => event === "routed").map(({ id }) => id));
    this.#reschedule({ retryAt: undefined, quiet: withoutChange(this.#schedule.quiet) });
    this.#backoff.reset();
    const news = [
      ...routes,
      ...holdsBetween(applied, model),
      ...certificateNews(this.#state.shown, shown),
    ].map((change) => ({ ...change, way, at }));
    this.#publish({
      ...withChanges(this.#state, [...reloads, ...news]),
      applied: model,
      shown,
      problem: undefined,
      lastChange: news.length > 0 || applied === undefined ? at : lastChange,
    });
    if (this.parts.runtime.mayChange) this.#prepareStarts(model);
    this.#lookForProcesses(model);
    // Docker has told everything, and tells of ends from now on.
    for (const { name, connected: isTold } of this.#state.engines) {
      if (isTold) this.#untold.delete(name);
    }
    if (this.#schedule.connected && this.#untold.size === 0) this.#fence.end();
    return "done";
  }

  /** Tells once if the ends of containers cannot be noticed while Docker is away. */
  #lookForProcesses({ services }: Model): void {
    if (this.#hasLooked) return;
    const running = services.flatMap(holdersThatRun);
    this.#hasLooked = running.length > 0;
    // One may have ended just now.
    if (running.length === 0 || running.some(isSeen)) return;
    this.parts.log.info(
      "the processes of containers cannot be seen from here: while Docker is away, only HAProxy's checks " +
        "notice that one ends, and its address may become another's before (doctor tells more)",
    );
  }

  /** Looks for containers that never answered. */
  #warnOfUnanswering(): void {
    this.#tellBeside(
      async () => {
        const silent = await this.#readiness.look(this.#applied);
        this.#outages.expect(silent.map(({ id }) => id));
        return silent;
      },
      () => this.#wakeup.set(),
    );
  }

  /** Looks which servers are down, and again after a while. */
  #lookForOutages(): void {
    const started = Date.now();
    this.#reschedule({ outagesAt: undefined });
    this.#tellBeside(
      () => this.#outages.look(this.#applied),
      () => {
        const now = Date.now();
        const wait = Math.max(OUTAGES_INTERVAL, OUTAGES_SHARE * (now - started));
        const { outagesAt = Infinity } = this.#schedule;
        this.#reschedule({ outagesAt: Math.min(outagesAt, now + wait) });
        this.#wakeup.set();
      },
    );
  }

  /**
   * Tells what HAProxy's checks found. It is beside the passes: HAProxy may answer late, and the changes of containers
   * must not wait.
   * @param look finds it
   * @param done what is to be done then, also if it failed: the loop may be waiting for something later
   */
  #tellBeside(look: () => Promise<readonly OutageChange[]>, done: () => void): void {
    const telling = async (): Promise<void> => {
      try {
        this.#tell(await look());
      } catch (error) {
        // HAProxy does not run, or is just starting.
        if (!(error instanceof GatewayError)) throw error;
        this.parts.log.debug(`cannot tell which containers answer: ${errorMessage(error)}`);
      } finally {
        done();
      }
    };
    inBackground(telling(), (error) => this.parts.log.failure(error));
  }

  /** Publishes what was noticed of containers. */
  #tell(news: readonly (OutageChange | OddAnswersChange | RefusedRequestChange)[]): void {
    if (news.length === 0) return;
    const at = Date.now();
    this.#publish(
      withChanges(
        this.#state,
        news.map((change) => ({ ...change, at })),
      ),
    );
  }

  /** Reads what HAProxy noticed of the containers' answers. A failure is logged. */
  async #observe(): Promise<void> {
    try {
      this.#tell(await this.#observations.look(this.#applied));
    } catch (error) {
      // HAProxy does not run, or is just starting.
      if (!(error instanceof GatewayError)) this.parts.log.failure(error);
      else this.parts.log.debug(`cannot tell how containers answer: ${errorMessage(error)}`);
    }
  }

  /** Looks up the servers of containers that are about to start: then it is to be done at once. */
  #prepareStarts({ services }: Model): void {
    this.#comingUp.clear();
    for (const service of services) {
      const { backend } = service;
      const starting = serversAboutToStart(service);
      if (starting.length === 0) continue;
      const found = this.parts.applier.inMaintenance(backend, new Set(starting.map(nameOf)));
      for (const each of found) {
        const id = starting.find(({ name }) => name === each.server.name)?.id ?? "";
        this.#comingUp.set(id, [...(this.#comingUp.get(id) ?? []), each]);
      }
    }
  }

  /** Lets the servers of a container that has just started get requests as soon as they answer. */
  #start({ id, attachments }: Container): void {
    const servers = this.#comingUp.get(id) ?? [];
    this.#comingUp.delete(id);
    // Its addresses may be others by now: the next pass moves its servers.
    const addresses = attachments.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]);
    const own = servers.filter(({ server }) => addresses.includes(bareAddress(server)));
    const isKnown = servers.length > 0 && own.length === servers.length;
    if (!isKnown || this.parts.applier.applied.doubt !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#starts.push(promise);
    this.#servedFirst.add(id);
    this.parts.runtime.start(servers, () => {
      const now = Date.now();
      this.#readyAt.set(id, now);
      // From the first one on: where many start, passes must go on.
      const { notBefore = now + REQUESTS_FIRST } = this.#schedule;
      if (this.#servedFirst.delete(id)) this.#reschedule({ notBefore });
      resolve();
    });
  }

  /**
   * A pass is work for some milliseconds: HAProxy is told first of what has just started.
   * @returns whether a pass has to wait for its first requests, too
   */
  async #startFirst(): Promise<boolean> {
    const starts = this.#starts.splice(0);
    if (starts.length === 0) return false;
    await Promise.race([Promise.all(starts), pause(START_FIRST)]);
    return this.#schedule.notBefore !== undefined;
  }

  /** Drains the servers of a container that ends, unless it is the last one of its service. */
  #drain(id: string): void {
    const { applier, runtime, source } = this.parts;
    if (!runtime.mayChange) return;
    this.#comingUp.delete(id);
    // It may be one that has just started, which only a pass takes out again.
    this.#servedFirst.delete(id);
    this.#reschedule({ notBefore: undefined });
    for (const { service, servers } of serversToStart(this.#applied, id)) {
      runtime.cancelStart(applier.runningName(service.backend), servers);
    }
    // A container that was just started takes over once it answers.
    const canServe = ({ id: other, name }: Server): boolean =>
      !source.isEnding(other) && this.#holds.mayAnswer(name);
    for (const leaving of serversToDrain(this.#applied, id, canServe)) {
      this.#drainAll(leaving);
    }
  }

  /**
   * Takes the servers of a container out of use that does not answer any more. Requests wait from now
   * on if it is the last one of its service.
   */
  #lose(id: string): void {
    const { applier, runtime } = this.parts;
    const held = this.#holds.lose(id, Date.now());
    for (const leaving of serversInUse(this.#applied, id)) {
      const { name, backend } = leaving.service;
      if (!held.has(name) || !applier.hasWaitingRoom(backend)) continue;
      // Before the servers, so that no request finds neither.
      runtime.openWaitingRoom(applier.runningName(backend));
      this.#drainAll(leaving);
    }
    this.#drain(id);
    this.#wakeup.set();
  }

  #drainAll({ service, servers }: ServersOfService): void {
    const { applier, runtime } = this.parts;
    const backend = applier.runningName(service.backend);
    const isBound = applier.bindsClients(service.backend);
    for (const server of servers) runtime.drain(backend, server, isBound);
  }

  /** Ends the holds whose time is over, also while Docker cannot be read. */
  #endHolds(now: number): void {
    const { applier, runtime } = this.parts;
    for (const backend of this.#holds.expire(now)) {
      if (!applier.hasWaitingRoom(backend)) continue;
      runtime.drain(applier.runningName(backend), WAITING_ROOM);
    }
    this.#wake();
  }

  /** Looks at the files that labels name. What has changed is for the next pass. */
  #lookAtFiles(now: number): void {
    if (this.parts.desired.filesChanged(now)) this.#wake();
    // Beside the passes.
    inBackground(this.#lookAtPorts(now), (error) => this.parts.log.failure(error));
    this.#watchFiles(now);
  }

  async #lookAtPorts(now: number): Promise<void> {
    if (await this.parts.tcpPorts.look(now)) this.#wake();
  }

  #watchFiles(now: number): void {
    const { desired, tcpPorts } = this.parts;
    const mayChange = desired.hasFiles || Object.keys(tcpPorts.taken).length > 0;
    const interval = desired.hasCertificates ? CERTIFICATES_INTERVAL : FILES_INTERVAL;
    this.#reschedule({ filesAt: mayChange ? now + interval : undefined });
  }

  /**
   * Whether the template has what it takes for requests to wait, as far as it has shown. A port from which
   * bytes are forwarded is kept open for a while, though nobody waits there: to close it takes a reload.
   */
  get #canWait(): boolean {
    const { model, files } = this.#desired ?? {};
    return (
      files === undefined || model?.services.every(isForwarded) === true || hasWaitingRooms(files)
    );
  }

  /** What is served, or is to be. */
  get #known(): Model {
    const { applied, desired } = this.#state;
    return applied ?? desired ?? EMPTY_MODEL;
  }

  /** What is served. */
  get #applied(): Model {
    return this.#state.applied ?? EMPTY_MODEL;
  }

  #markAll(): void {
    this.#mustVerify = true;
    this.parts.source.markAll();
    this.#wake();
    // Beside the passes.
    void this.#observe();
  }

  /** Watches the containers behind the servers that HAProxy has. */
  #raiseFence(): void {
    const { applied, owners } = this.parts.applier;
    if (owners !== undefined) this.#fence.begin(this.#ofUntold(owners));
    else if (applied.files !== undefined) {
      // Since Docker cannot tell who has their addresses, all go.
      this.parts.log.error(
        `${this.parts.applier.ownersPath} is damaged or missing: nobody knows which containers are ` +
          "behind the servers, so none gets requests until Docker tells (their routes answer 503)",
      );
      this.#fence.begin(NOBODY, () => true);
    }
  }

  /**
   * Who is behind the servers, apart from containers of Engines that tell of their ends themselves. It is the
   * same object as long as nothing has changed.
   */
  #ofUntold(owners: Owners): Owners {
    const { engines } = this.#state;
    if (this.#untold.size === engines.length) return owners;
    const untold = [...this.#untold].toSorted().join();
    if (this.#fenced?.owners === owners && this.#fenced.untold === untold) return this.#fenced.part;
    const part = ownersThat(owners, ({ name }) => {
      const engine = engineIn(name);
      return engine === undefined || this.#untold.has(engine);
    });
    this.#fenced = { owners, untold, part };
    return part;
  }

  /** @param name that of one of several Engines */
  #setConnected(connected: boolean, name?: string): void {
    const engines = this.#state.engines.map((each) =>
      each.name === name ? { ...each, connected } : each,
    );
    const isAny = name === undefined ? connected : engines.some((each) => each.connected);
    const areAll = name === undefined ? connected : engines.every((each) => each.connected);
    const isNews = name !== undefined && !connected && !this.#untold.has(name);
    if (isNews) this.#untold.add(name);
    if (!connected && (isNews || !this.#fence.isUp)) this.#raiseFence();
    this.#reschedule({ connected: isAny });
    this.#publish({ engine: { name: this.parts.source.name, connected: areAll }, engines });
    this.#wakeup.set();
  }

  #wake(): void {
    this.#reschedule({ awake: true });
    this.#wakeup.set();
  }

  #reschedule(news: Partial<Schedule>): void {
    this.#schedule = { ...this.#schedule, ...news };
  }

  #count(counter: keyof State["counters"]): void {
    const { counters } = this.#state;
    this.#publish({ counters: { ...counters, [counter]: counters[counter] + 1 } });
  }

  #publish(news: Partial<State>): void {
    const before = this.#state;
    this.#state = { ...before, ...news };
    for (const listener of this.#listeners) listener(this.#state, before);
    this.#state = withoutOldChanges(this.#state);
  }
}

/** The certificates that are shown, without any key. It is the same object as long as they are the same. */
function sameShown(
  before: CertificateChoice,
  { entries, byName, byDefault }: CertificateChoice,
): CertificateChoice {
  return before.entries === entries && before.byDefault === byDefault
    ? before
    : { entries, byName, byDefault };
}

function nameOf({ name }: Server): string {
  return name;
}

/**
 * The containers without those that are about to start: where each change takes a reload, they would take
 * one more.
 */
function withoutStarting(snapshot: Snapshot): Snapshot {
  const containers = snapshot.containers.filter(({ state }) => state !== "starting");
  return { ...snapshot, containers };
}
