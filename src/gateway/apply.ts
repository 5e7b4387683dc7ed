// Carries out a plan: changes the running HAProxy, or proves new files and makes it read them.

import { newAddresses } from "../config/bind-addresses.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { whyNotFree } from "../lib/listeners.ts";
import type { ConfigFiles } from "../haproxy/files/files.ts";
import { observeAliases, observeDifferences } from "../haproxy/runtime/drift.ts";
import type { Haproxy } from "../haproxy/process/external.ts";
import type { Recognised, Runtime } from "../haproxy/runtime/runtime.ts";
import { RefusedConfig } from "../haproxy/process/check.ts";
import { saveServerStates } from "../haproxy/process/server-states.ts";
import { sectionsOf, statsSocket } from "../config/sections.ts";
import type { Logger } from "../lib/log.ts";
import type { Files } from "../model.ts";
import type { Aliases } from "../config/operations.ts";
import { withUnremovedBackends, type Applied, type Plan } from "../plan/plan.ts";
import { isOwnConfig } from "../template/compile.ts";
import { Persist } from "../haproxy/files/persist.ts";

interface ApplierParts {
  readonly files: ConfigFiles;
  readonly haproxy: Haproxy;
  readonly runtime: Runtime;
  /** The HAProxy program, which checks configurations. */
  readonly program: string;
  readonly log: Logger;
}

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;

export class Applier {
  #applied: Applied = { aliases: {} };
  readonly #persist: Persist;
  /** Why the states of the servers were not kept at the last reload; told once. */
  #unkept: string | undefined;

  constructor(private readonly parts: ApplierParts) {
    this.#persist = new Persist(parts.files, parts.program, parts.log);
  }

  /** What HAProxy runs. */
  get applied(): Applied {
    return { ...this.#applied, drained: this.parts.runtime.drained };
  }

  /** The stats socket that the running configuration names. */
  get statsSocket(): string | undefined {
    const { files } = this.#applied;
    return files === undefined ? undefined : statsSocket(sectionsOf(files));
  }

  /** The name that HAProxy has a backend under. */
  runningName(backend: string): string {
    return this.#applied.aliases[backend] ?? backend;
  }

  /** Finds out what HAProxy runs from what an earlier gateway left. Once, before the first plan. */
  async recover(like: Files["assets"]): Promise<void> {
    const { files, haproxy, log } = this.parts;
    if (await files.isUnconfirmed()) {
      log.warn(
        "an earlier gateway ended before HAProxy confirmed its last change: the files before it " +
          "are put back, and it is made again",
      );
      await files.putBack();
      this.#applied = { aliases: {}, doubt: "HAProxy never confirmed the last change" };
      return;
    }
    const onDisk = await files.read(like);
    if (onDisk === undefined || !isOwnConfig(onDisk.config)) return;
    const [lastRead, lastWritten] = [await haproxy.lastRead(), await files.lastWritten()];
    this.#persist.note(onDisk);
    // Set first, as it tells where HAProxy can be asked.
    this.#applied = { files: onDisk, aliases: {} };
    this.#applied = { files: onDisk, aliases: await this.#aliases(onDisk) };
    const differences = await this.#differences(onDisk);
    if (differences.length > 0) this.#doubt(differences.join(", "));
    // Where HAProxy cannot be asked what it runs, the times have to tell.
    else if (lastRead !== undefined && lastRead < lastWritten && this.statsSocket === undefined) {
      this.#doubt("HAProxy started before its configuration was last written");
    }
  }

  /**
   * Compares what HAProxy says it runs with what it should run, and what is on disk with what was
   * written. Files are written again; any other difference makes the next plan a reload.
   * @param process whether it is the process that was changed
   */
  async verify(process: Recognised): Promise<void> {
    await this.#persist.settle();
    const { files: before, doubt } = this.#applied;
    if (before === undefined || doubt !== undefined) return;
    const isEdited = await this.#persist.isEdited();
    if (isEdited && process !== "same") {
      this.#doubt(`${this.parts.files.output} was changed by somebody else`);
      return;
    }
    // It read its files, which know no other names and may lack the last changes.
    const written = process === "another" ? this.#persist.files : undefined;
    if (written !== undefined) this.#applied = { files: written, aliases: {} };
    const differences = await this.#differences(written ?? before);
    if (differences.length > 0) {
      this.#doubt(differences.join(", "));
      return;
    }
    if (written !== undefined) this.#persist.note(written);
    if (isEdited) this.#persist.restore();
    else this.#persist.retry();
  }

  /**
   * Changes the running HAProxy; its files follow in the background.
   * @throws GatewayError `haproxy` where HAProxy refuses an operation; what it runs is unknown then
   */
  async change(desired: Files, { operations, aliases }: RuntimePlan): Promise<void> {
    const before = this.#applied;
    try {
      await this.parts.runtime.execute(operations);
    } catch (error) {
      this.#doubt(errorMessage(error));
      throw error;
    }
    const canRemove = (await this.parts.runtime.capabilities())?.dynamicBackends ?? false;
    this.#applied = {
      files: canRemove ? desired : withUnremovedBackends(before, desired),
      aliases,
    };
    this.#persist.follow(desired);
  }

  /**
   * Makes HAProxy run the desired files by a reload.
   * @throws GatewayError; HAProxy goes on with what it had, and that is on disk
   */
  async reload(desired: Files): Promise<void> {
    const { files, haproxy, runtime } = this.parts;
    await this.#persist.settle();
    await this.#checkAddresses(desired);
    await this.#persist.replace(desired);
    try {
      await this.#saveStates(desired);
      // Nothing is to be said to the old worker any more, nor to the new one before it is there.
      runtime.reset();
      await haproxy.reload();
    } catch (error) {
      // It may have taken the new files and failed to say so: only the next reload will tell.
      this.#doubt("the last reload failed");
      await files.putBack();
      throw error;
    }
    await files.confirm();
    this.#applied = { files: desired, aliases: {} };
    this.#persist.note(desired);
  }

  /** Waits for the files to be written. */
  async close(): Promise<void> {
    await this.#persist.settle();
    this.parts.runtime.reset();
  }

  /** HAProxy pauses what it serves while it tries an address, and its check does not try. */
  async #checkAddresses(desired: Files): Promise<void> {
    const { files, haproxy } = this.parts;
    const running = this.#applied.files ?? (await files.read());
    const addresses = newAddresses(running ? sectionsOf(running) : [], sectionsOf(desired));
    if (addresses.length === 0) return;
    const pids = await haproxy.pids();
    for (const address of addresses) {
      const notFree = await whyNotFree(address, ({ pid = 0, ownPid = 0, program }) =>
        pids === undefined ? program === "haproxy" : pids.includes(pid) || pids.includes(ownPid),
      );
      if (notFree === undefined) continue;
      const { problem, hint } = notFree;
      throw new RefusedConfig("config", `Cannot listen on ${address}: ${problem}`, { hint });
    }
  }

  async #aliases(onDisk: Files): Promise<Aliases> {
    const { runtime } = this.parts;
    try {
      const isAsked = (await runtime.capabilities()) !== undefined;
      return isAsked ? await observeAliases(runtime, onDisk) : {};
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return {};
    }
  }

  /** It is no longer sure what HAProxy runs. It can still be asked, and told to drain. */
  #doubt(why: string): void {
    this.#applied = { ...this.#applied, doubt: why };
  }

  async #differences(files: Files): Promise<string[]> {
    const { runtime } = this.parts;
    try {
      const capabilities = await runtime.capabilities();
      if (capabilities === undefined) return [];
      return await observeDifferences(runtime, files, this.#applied.aliases, capabilities);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return [errorMessage(error)];
    }
  }

  /** Without the states a reload still works; servers are then only found down by their checks. */
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
    if (problem !== undefined && problem !== this.#unkept) this.parts.log.warn(problem);
    this.#unkept = problem;
  }
}
