// Carries out a plan: changes the running HAProxy, or checks new files and reloads HAProxy.

import { newAddresses } from "../config/bind-addresses.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { mayListenLow, whyNotFree, type Listener } from "../lib/listeners.ts";
import type { ConfigFiles } from "../haproxy/files/files.ts";
import { findAliases, findDrift } from "../haproxy/runtime/drift.ts";
import type { Haproxy } from "../haproxy/process/external.ts";
import type { Recognised, Runtime } from "../haproxy/runtime/runtime.ts";
import type { FormerWorkers } from "../haproxy/process/former.ts";
import { RefusedConfig } from "../haproxy/process/check.ts";
import { saveServerStates } from "../haproxy/process/server-states.ts";
import { disableServers, enableServers } from "../config/fence.ts";
import { changedHands, ownersOf, sameOwnFiles, type Owners } from "../config/owners.ts";
import { distrusted, NOBODY } from "../config/trust.ts";
import { createDefaultsLookup, placeOf, serversIn, serversOf } from "../config/servers.ts";
import type { MustGo } from "./fence.ts";
import { isDeadSocket } from "../haproxy/runtime/socket.ts";
import { respellStatsSocket, sectionsOf, statsSocket } from "../config/sections.ts";
import type { Logger } from "../lib/log.ts";
import type { Files } from "../model.ts";
import {
  broughtUp,
  WAITING_ROOM,
  type Aliases,
  type BackendServer,
  type ServerLine,
} from "../config/operations.ts";
import { mustMakeRoom, withUnremovedBackends, type Applied, type Plan } from "../plan/plan.ts";
import { isOwnConfig } from "../template/compile.ts";
import { Persist } from "../haproxy/files/persist.ts";

interface ApplierParts {
  readonly files: ConfigFiles;
  readonly haproxy: Haproxy;
  readonly runtime: Runtime;
  readonly former: FormerWorkers;
  /** The HAProxy program, which checks configurations. */
  readonly program: string;
  readonly log: Logger;
  /**
   * Makes again what somebody removed of the gateway's own: its folder, its lock.
   * @throws GatewayError `config` if it cannot
   */
  readonly upkeep?: () => Promise<void>;
  /** Called when HAProxy was told to read its files again. */
  readonly reloaded?: () => void;
}

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;

/** What the files of an earlier gateway say. */
interface Found {
  /** Undefined if the file about them is damaged or missing. */
  readonly owners: Owners | undefined;
  /** Whether the configuration has a server at this `address:port`. */
  readonly hasServerAt: (place: string) => boolean;
}

export class Applier {
  #applied: Applied = { aliases: {} };
  /** Whether the files on disk were rolled back because HAProxy had not confirmed them. */
  #wasUnconfirmed = false;
  /** A reload may be wanted while another one is under way. */
  #reloading: Promise<unknown> = Promise.resolve();
  readonly #persist: Persist;
  /** Why the servers' states were not saved at the last reload; the same reason is logged once. */
  #stateProblem: string | undefined;
  /** Whether a stats socket that was gone did not come back. It is not tried at every reload then. */
  #socketStaysAway = false;

  constructor(private readonly parts: ApplierParts) {
    this.#persist = new Persist(parts.files, parts.program, parts.log);
  }

  /** What HAProxy runs. */
  get applied(): Applied {
    return { ...this.#applied, overridden: this.parts.runtime.overridden };
  }

  /** The stats socket that the running configuration names. */
  get statsSocket(): string | undefined {
    const { files } = this.#applied;
    return files === undefined ? undefined : statsSocket(sectionsOf(files));
  }

  /** Whether requests for a backend can wait in the running HAProxy. */
  hasWaitingRoom(backend: string): boolean {
    return this.#serversOf(backend).some(({ name }) => name === WAITING_ROOM);
  }

  /** Whether cookies bind clients to the servers of a backend in the running HAProxy. */
  bindsClients(backend: string): boolean {
    return this.#serversOf(backend, "cookie").some(({ cookieKey }) => cookieKey !== "");
  }

  /**
   * The servers of a backend in the running HAProxy.
   * @param word where this is nowhere in the backend, they are not looked at: a hundred may be asked about at once
   */
  #serversOf(backend: string, word = ""): readonly ServerLine[] {
    const { files } = this.#applied;
    if (files === undefined) return [];
    const sections = sectionsOf(files);
    const section = sections.find(({ kind, name }) => kind === "backend" && name === backend);
    if (section === undefined) return [];
    const defaults = createDefaultsLookup(sections)(section);
    const isThere = [section.text, ...defaults].some((text) => text.includes(word));
    return isThere ? serversOf(section, defaults) : [];
  }

  /** Waits in the background until servers of the running HAProxy answer, by their names. */
  awaitAnswers(names: ReadonlySet<string>): void {
    const { files } = this.#applied;
    if (files === undefined || names.size === 0) return;
    const servers = serversIn(sectionsOf(files)).filter(({ server }) => names.has(server.name));
    this.parts.runtime.awaitAnswers(
      servers.map(({ backend, server }) => ({ backend: this.runningName(backend), server })),
    );
  }

  /**
   * Has the requests that wait since before the last reload sent to servers that answer, by their names.
   */
  async leadWaiting(names: ReadonlySet<string>): Promise<void> {
    const { former, runtime } = this.parts;
    const { files } = this.#applied;
    if (files === undefined || names.size === 0 || !former.mayWait) return;
    const capabilities = await runtime.capabilities();
    if (capabilities === undefined) return;
    const servers = serversIn(sectionsOf(files)).filter(({ server }) => names.has(server.name));
    await former.lead(servers, capabilities.version);
  }

  /** The servers in maintenance by these names, with the name that their backend has in HAProxy. */
  inMaintenance(backend: string, names: ReadonlySet<string>): readonly BackendServer[] {
    const { files } = this.#applied;
    const sections = files === undefined ? [] : sectionsOf(files);
    const section = sections.find(({ kind, name }) => kind === "backend" && name === backend);
    if (section === undefined) return [];
    return serversOf(section, createDefaultsLookup(sections)(section))
      .filter(({ name, disabled }) => disabled && names.has(name))
      .map((server) => ({ backend: this.runningName(backend), server }));
  }

  /** Notes that servers in maintenance were enabled at once, as `backend/server` in HAProxy. */
  noteStarted(keys: ReadonlySet<string>): void {
    const { files } = this.#applied;
    if (files === undefined) return;
    const sections = sectionsOf(files);
    let { config } = files;
    for (const [running, own] of Map.groupBy(keys, backendOf)) {
      const section = sections.find(
        ({ kind, name }) => kind === "backend" && this.runningName(name) === running,
      );
      if (section === undefined) continue;
      const names = own.map((key) => key.slice(running.length + 1));
      config = config.replace(section.text, () => enableServers(section, new Set(names)));
    }
    this.#keep({ ...files, config });
  }

  /** The name that a backend has in the running HAProxy. */
  runningName(backend: string): string {
    return this.#applied.aliases[backend] ?? backend;
  }

  /** The path of the file that says who is behind the servers. */
  get ownersPath(): string {
    return this.parts.files.ownersPath;
  }

  /** Who is behind the servers that HAProxy has; undefined if that is not known. */
  get owners(): Owners | undefined {
    const { files } = this.#applied;
    return files && ownersOf(files);
  }

  /**
   * Reads the files of an earlier gateway, before Docker and HAProxy are asked.
   * @returns undefined if there are none
   */
  async open(): Promise<Found | undefined> {
    const { files } = this.parts;
    this.#wasUnconfirmed = await files.isUnconfirmed();
    if (this.#wasUnconfirmed) await files.rollBack();
    const onDisk = await files.read({ [files.ownersPath]: { kind: "owners", text: "" } });
    if (onDisk === undefined || !isOwnConfig(onDisk.config)) return undefined;
    // Until HAProxy was compared with them: `recover`.
    this.#applied = { files: onDisk, aliases: {}, doubt: "HAProxy was not asked yet" };
    const servers = serversIn(sectionsOf(onDisk)).map(({ server }) => server);
    const places = new Set(servers.map(placeOf));
    return { owners: this.owners, hasServerAt: (place) => places.has(place) };
  }

  /**
   * Takes servers out of HAProxy at once, and then out of its files: it may be restarted.
   * @param mayWait whether requests wait for a backend that has no other server; its name in HAProxy
   * @returns the backends whose requests wait now
   * @throws GatewayError if there is no way to tell HAProxy
   */
  async takeOut(mustGo: MustGo, mayWait?: (backend: string) => boolean): Promise<string[]> {
    const { haproxy, former, log, runtime } = this.parts;
    let waiting: string[] = [];
    try {
      waiting = await runtime.disable((server) => mustGo(placeOf(server)), mayWait);
      await former.spare((server) => mustGo(placeOf(server)));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const fenced = this.#without(mustGo);
      if (fenced === undefined) return [];
      if ((await haproxy.pids())?.length !== 0) {
        log.error("HAProxy cannot be told to spare ended containers; it is reloaded without them");
        log.failure(error);
        await this.reload(fenced);
        return [];
      }
      // It does not run, and must not come back with them.
    }
    // A change may have come meanwhile: these are the files as they are now.
    const fenced = this.#without(mustGo);
    if (fenced !== undefined) this.#keep(fenced);
    return waiting;
  }

  /** The files that HAProxy runs, with servers disabled; undefined if that changes nothing. */
  #without(mustGo: MustGo): Files | undefined {
    const { files } = this.#applied;
    if (files === undefined) return undefined;
    const config = disableServers(files.config, (server) => mustGo(placeOf(server)));
    return config === files.config ? undefined : { ...files, config };
  }

  /**
   * Notes files that change nothing for HAProxy, and writes them if the containers behind its servers
   * are others, have other names, or are told of otherwise. A comment alone is no reason: it may be the time.
   */
  keep(desired: Files): void {
    const { files } = this.#applied;
    const { latest } = this.#persist;
    if (files === undefined || latest === undefined) return;
    if (sameOwnFiles(latest, desired)) return;
    const kept = { ...files, assets: desired.assets };
    sectionsOf(kept, sectionsOf(files));
    this.#applied = { ...this.#applied, files: kept };
    this.#persist.follow(desired);
  }

  #keep(files: Files): void {
    const { files: before } = this.#applied;
    if (before !== undefined) sectionsOf(files, sectionsOf(before));
    this.#applied = { ...this.#applied, files };
    this.#persist.follow(files);
  }

  /**
   * Finds out what HAProxy runs, from the files of an earlier gateway. Once, before the first plan.
   * @param like the files that the configuration may name, by path
   */
  async recover(like: Files["assets"]): Promise<void> {
    const { files, haproxy, log } = this.parts;
    await this.#persist.settle();
    if (this.#wasUnconfirmed || (await files.isUnconfirmed())) {
      log.warn(
        "an earlier gateway ended before HAProxy confirmed its last change: the files before it " +
          "are put back, and it is made again",
      );
      await files.rollBack();
      this.#applied = { aliases: {}, doubt: "HAProxy never confirmed the last change" };
      return;
    }
    const onDisk = await files.read(like);
    if (onDisk === undefined || !isOwnConfig(onDisk.config)) return;
    const [lastRead, lastWritten] = [await haproxy.lastRead(), await files.lastWritten()];
    this.#persist.note(onDisk);
    // Set before HAProxy is asked: the files name the stats socket.
    this.#applied = { files: onDisk, aliases: {} };
    this.#applied = { files: onDisk, aliases: await this.#aliases(onDisk) };
    const differences = await this.#differences(onDisk);
    this.#noteAliases();
    if (differences.length > 0) this.#doubt(differences.join(", "));
    // If HAProxy cannot be asked, only times can show that it did not read the last files.
    else if (lastRead !== undefined && lastRead < lastWritten && this.statsSocket === undefined) {
      this.#doubt("HAProxy started before its configuration was last written");
    }
    const why = await this.#whyReload();
    if (why !== undefined) this.#doubt(why);
  }

  /**
   * Looks for drift: compares what HAProxy says it runs with what it should run, and the files with
   * what was written. Edited files are written again. Any other difference causes a reload.
   * @param process whether HAProxy is still the process that the gateway changed
   */
  async verify(process: Recognised): Promise<void> {
    await this.parts.upkeep?.();
    // Somebody else may have reloaded HAProxy.
    if (process === "another") this.parts.former.note();
    // What the same process runs does not depend on the files. The next change need not wait for them.
    if (process === "same") this.#persist.mend();
    else await this.#persist.settle();
    const { files: before, doubt } = this.#applied;
    if (before === undefined || doubt !== undefined) return;
    const why = await this.#whyReload();
    if (why !== undefined) {
      this.#doubt(why);
      return;
    }
    if (process !== "same" && (await this.#persist.isEdited())) {
      this.#doubt(`${this.parts.files.output} was changed by somebody else`);
      return;
    }
    // A new process runs what the files say: they have no aliases and may lack the last changes.
    const written = process === "another" ? this.#persist.files : undefined;
    if (written !== undefined) this.#applied = { files: written, aliases: {} };
    const differences = await this.#differences(written ?? before);
    if (differences.length > 0) {
      this.#doubt(differences.join(", "));
      return;
    }
    if (written !== undefined) this.#persist.note(written);
    else if (process !== "same") this.#persist.retry();
  }

  /**
   * Changes the running HAProxy. The files are written later, in the background.
   * @throws GatewayError `haproxy` if HAProxy refuses an operation; what it runs is in doubt then
   */
  async change(desired: Files, { operations, aliases }: RuntimePlan): Promise<void> {
    const { runtime } = this.parts;
    const before = this.#applied;
    const planned = runtime.overrides;
    const newcomers = broughtUp(operations);
    if (newcomers.length > 0) await this.parts.former.spare(mustMakeRoom(newcomers, desired));
    try {
      await runtime.execute(operations, planned);
    } catch (error) {
      this.#doubt(errorMessage(error));
      throw error;
    }
    await this.parts.former.setEntries(distrusted(before.files, desired), NOBODY);
    const removesBackends = (await runtime.capabilities())?.dynamicBackends ?? false;
    this.#applied = {
      files: withUnremovedBackends(before, desired, removesBackends),
      aliases,
    };
    this.#noteAliases();
    this.#persist.follow(desired);
  }

  /** Notes what the worker that runs calls its backends, for the time when it is a former one. */
  #noteAliases(): void {
    const { former, runtime } = this.parts;
    former.noteAliases(runtime.pid, this.#applied.aliases);
  }

  /**
   * Makes HAProxy run the desired files by a reload.
   * @throws GatewayError if that fails; HAProxy goes on as before, and the files are rolled back
   */
  reload(desired: Files): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload(desired));
    this.#reloading = reloaded.catch(() => undefined);
    return reloaded;
  }

  async #reload(desired: Files): Promise<void> {
    await this.parts.upkeep?.();
    await this.#persist.settle();
    await this.#checkAddresses(desired);
    await this.#load(desired);
    await this.#bringSocketBack(desired);
  }

  /** Writes the files and makes HAProxy read them. @throws GatewayError if that fails; rolled back */
  #load(desired: Files): Promise<void> {
    return this.#persist.alone(() => this.#loadNow(desired));
  }

  async #loadNow(desired: Files): Promise<void> {
    const { files, former, haproxy, runtime } = this.parts;
    await this.#persist.replace(desired);
    try {
      await this.#disableFormer(desired);
      await former.spare(mustMakeRoom(serversIn(sectionsOf(desired)), desired));
      await this.#saveStates(desired);
      // The old worker must get no more commands, and the new one none before it runs.
      runtime.reset();
      await haproxy.reload().finally(() => {
        former.note();
        this.parts.reloaded?.();
      });
    } catch (error) {
      // HAProxy may have taken the new files without saying so. Only another reload makes it sure.
      this.#doubt("the last reload failed");
      await files.rollBack();
      throw error;
    }
    // Clients may go on to be connected to the old worker, and some have not shown a certificate yet.
    await former.setEntries(distrusted(this.#applied.files, desired), NOBODY);
    await files.confirm();
    this.#applied = { files: desired, aliases: {} };
    this.#persist.note(desired);
  }

  /**
   * Disables the servers whose address another container has in the new files. The old worker goes on
   * with the clients that are connected to it, and one of those may send another request.
   */
  async #disableFormer(desired: Files): Promise<void> {
    const { runtime, log } = this.parts;
    const { files } = this.#applied;
    const changed = files === undefined ? new Set() : changedHands(files, desired);
    if (changed.size === 0) return;
    try {
      await runtime.disable(({ address }) => changed.has(address));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      log.debug(`the old worker keeps its servers: ${errorMessage(error)}`);
    }
  }

  /** HAProxy takes its stats socket over a reload as it is, also one whose path is gone. */
  async #bringSocketBack(desired: Files): Promise<void> {
    const isGone = await this.#isStatsSocketGone();
    if (isGone && !this.#socketStaysAway) {
      await this.#load({ ...desired, config: respellStatsSocket(desired.config) });
      await this.#load(desired);
      this.#socketStaysAway = await this.#isStatsSocketGone();
    } else this.#socketStaysAway = isGone;
  }

  /** Why HAProxy must be reloaded, whatever it runs; undefined if it need not be. */
  async #whyReload(): Promise<string | undefined> {
    const why = await this.parts.haproxy.whyReload();
    if (why !== undefined || this.#socketStaysAway) return why;
    return (await this.#isStatsSocketGone()) ? `${this.statsSocket} was removed` : undefined;
  }

  async #isStatsSocketGone(): Promise<boolean> {
    const { haproxy, runtime } = this.parts;
    const path = this.statsSocket;
    if (path === undefined || !(await isDeadSocket(path))) return false;
    const pids = await haproxy.pids();
    return pids === undefined ? runtime.isKnown : pids.length > 0;
  }

  /** Waits until the files are written. HAProxy gets no more commands. */
  async close(): Promise<void> {
    await this.#persist.settle();
    this.parts.runtime.reset();
  }

  /**
   * Makes sure that new addresses are free. `haproxy -c` does not try them, and while HAProxy tries
   * them at a reload, it pauses what it serves.
   * @throws AddressTaken if one is not free
   */
  async #checkAddresses(desired: Files): Promise<void> {
    const { files, haproxy } = this.parts;
    const running = this.#applied.files ?? (await files.read());
    const addresses = newAddresses(running ? sectionsOf(running) : [], sectionsOf(desired));
    if (addresses.length === 0) return;
    const pids = await haproxy.pids();
    const isOurs = ({ pid, ownPid = 0, program, user }: Listener): boolean => {
      if (pids === undefined) return program === "haproxy";
      // HAProxy may have more rights than the gateway, which then cannot see what it has open.
      if (pid === undefined) return pids.length > 0 && user === process.getuid?.();
      return pids.includes(pid) || pids.includes(ownPid);
    };
    // While HAProxy fails at a port that it may not have, it pauses what it serves, too.
    const hasOurRights =
      pids !== undefined && pids.length > 0 && pids.every((pid) => mayListenLow(pid) === false);
    for (const address of addresses) {
      const conflict = await whyNotFree(address, isOurs, hasOurRights);
      if (conflict === undefined) continue;
      const { problem, hint } = conflict;
      throw new AddressTaken(address, problem, hint);
    }
  }

  /** Lists the backends that HAProxy runs under another name. Empty if it cannot be asked. */
  async #aliases(onDisk: Files): Promise<Aliases> {
    const { runtime } = this.parts;
    try {
      const canBeAsked = (await runtime.capabilities()) !== undefined;
      return canBeAsked ? await findAliases(runtime, onDisk) : {};
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return {};
    }
  }

  /** Notes why it is in doubt what HAProxy runs. It can still be asked, and told to drain. */
  #doubt(why: string): void {
    this.#applied = { ...this.#applied, doubt: why };
  }

  /** Lists how HAProxy differs from the files. Empty if it cannot be asked; an error is a difference. */
  async #differences(files: Files): Promise<string[]> {
    const { runtime } = this.parts;
    try {
      const capabilities = await runtime.capabilities();
      if (capabilities === undefined) return [];
      return await findDrift(runtime, files, this.#applied.aliases, capabilities);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return [errorMessage(error)];
    }
  }

  /** Saves the servers' states for the new worker. Without them, its checks must find out again. */
  async #saveStates(desired: Files): Promise<void> {
    const socket = this.statsSocket ?? statsSocket(sectionsOf(desired));
    const running = (backend: string): string => this.runningName(backend);
    let problem: string | undefined;
    try {
      problem = await saveServerStates(sectionsOf(desired), socket, running);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.parts.log.debug(`the states of the servers are not kept: ${errorMessage(error)}`);
      problem = await saveServerStates(sectionsOf(desired), undefined, running);
    }
    if (problem !== undefined && problem !== this.#stateProblem) this.parts.log.warn(problem);
    this.#stateProblem = problem;
  }
}

/** An address to listen on that somebody else has, or that this machine has not. */
export class AddressTaken extends RefusedConfig {
  constructor(
    readonly address: string,
    readonly problem: string,
    hint: string,
  ) {
    super("config", `Cannot listen on ${address}: ${problem}`, { hint });
  }
}

/** The backend of a server, given as `backend/server`. */
function backendOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
