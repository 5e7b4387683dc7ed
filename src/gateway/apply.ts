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
import { statsSocket } from "../config/sections.ts";
import type { Logger } from "../lib/log.ts";
import type { Files } from "../model.ts";
import type { Aliases } from "../config/operations.ts";
import { withLeftovers, type Applied, type Plan } from "../plan/plan.ts";
import { isOwnConfig } from "../template/compile.ts";
import { Written } from "../haproxy/files/persist.ts";

interface ApplierParts {
  readonly files: ConfigFiles;
  readonly haproxy: Haproxy;
  readonly runtime: Runtime;
  /** The HAProxy program, which checks configurations. */
  readonly program: string;
  readonly log: Logger;
}

type RuntimePlan = Extract<Plan, { kind: "runtime" }>;
type Known = Extract<Applied, { files: Files }>;

export class Applier {
  #applied: Applied = { unknown: "there is no configuration of the gateway's yet" };
  readonly #written: Written;
  /** Why the states of the servers were not kept at the last reload; told once. */
  #unkept: string | undefined;

  constructor(private readonly parts: ApplierParts) {
    this.#written = new Written(parts.files, parts.program, parts.log);
  }

  /** What HAProxy runs. */
  get applied(): Applied {
    if ("unknown" in this.#applied) return this.#applied;
    return { ...this.#applied, drained: this.parts.runtime.drained };
  }

  /** The stats socket that the running configuration names. */
  get statsSocket(): string | undefined {
    return "files" in this.#applied ? statsSocket(this.#applied.files.config) : undefined;
  }

  /** The name that HAProxy has a backend under. */
  runningName(backend: string): string {
    const aliases = "files" in this.#applied ? this.#applied.aliases : {};
    return aliases[backend] ?? backend;
  }

  /** Finds out what HAProxy runs from what an earlier gateway left. Once, before the first plan. */
  async recover(mapPaths: readonly string[]): Promise<void> {
    const { files, haproxy, log } = this.parts;
    if (await files.isUnconfirmed()) {
      log.warn(
        "an earlier gateway ended before HAProxy confirmed its last change: the files before it " +
          "are put back, and it is made again",
      );
      await files.putBack();
      this.#applied = { unknown: "HAProxy never confirmed the last change" };
      return;
    }
    const onDisk = await files.read(mapPaths);
    if (onDisk === undefined || !isOwnConfig(onDisk.config)) return;
    const [lastRead, lastWritten] = [await haproxy.lastRead(), await files.lastWritten()];
    this.#written.note(onDisk);
    // Set first, as it tells where HAProxy can be asked.
    this.#applied = { files: onDisk, aliases: {} };
    this.#applied = { files: onDisk, aliases: await this.#aliases(onDisk) };
    const differences = await this.#differences(this.#applied);
    if (differences.length > 0) this.#applied = { unknown: differences.join(", ") };
    // Where HAProxy cannot be asked what it runs, the times have to tell.
    else if (lastRead !== undefined && lastRead < lastWritten && this.statsSocket === undefined) {
      this.#applied = { unknown: "HAProxy started before its configuration was last written" };
    }
  }

  /**
   * Compares what HAProxy says it runs with what it should run, and what is on disk with what was
   * written. Files are written again; any other difference makes the next plan a reload.
   * @param process whether it is the process that was changed
   */
  async verify(process: Recognised): Promise<void> {
    await this.#written.settle();
    if (!("files" in this.#applied)) return;
    const isEdited = await this.#written.isEdited();
    if (isEdited && process !== "same") {
      const reason = `${this.parts.files.output} was changed by somebody else`;
      this.#applied = { unknown: reason };
      return;
    }
    // It read its files, which know no other names and may lack the last changes.
    const { files: written } = this.#written;
    if (process === "another" && written !== undefined) {
      this.#applied = { files: written, aliases: {} };
    }
    const differences = await this.#differences(this.#applied);
    if (differences.length > 0) {
      this.#applied = { unknown: differences.join(", ") };
      return;
    }
    if (process === "another" && written !== undefined) this.#written.note(written);
    if (isEdited) {
      this.parts.log.warn(
        `${this.parts.files.output} or a map of it was changed by somebody else, who did not make ` +
          "HAProxy read it: it is written again",
      );
      this.#written.restore();
    } else this.#written.retry();
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
      this.#applied = { unknown: errorMessage(error) };
      throw error;
    }
    const canRemove = (await this.parts.runtime.capabilities())?.backends ?? false;
    this.#applied = { files: canRemove ? desired : withLeftovers(before, desired), aliases };
    this.#written.follow(desired);
  }

  /**
   * Makes HAProxy run the desired files by a reload.
   * @throws GatewayError; HAProxy goes on with what it had, and that is on disk
   */
  async reload(desired: Files): Promise<void> {
    const { files, haproxy, runtime } = this.parts;
    await this.#written.settle();
    await this.#checkAddresses(desired);
    await this.#written.replace(desired);
    try {
      await this.#saveStates(desired);
      // Nothing is to be said to the old worker any more, nor to the new one before it is there.
      runtime.reset();
      await haproxy.reload();
    } catch (error) {
      // It may have taken the new files and failed to say so: only the next reload will tell.
      this.#applied = { unknown: "the last reload failed" };
      await files.putBack();
      throw error;
    }
    await files.confirm();
    this.#applied = { files: desired, aliases: {} };
    this.#written.note(desired);
  }

  /** Waits for the files to be written. */
  async close(): Promise<void> {
    await this.#written.settle();
    this.parts.runtime.reset();
  }

  /** HAProxy pauses what it serves while it tries an address, and its check does not try. */
  async #checkAddresses(desired: Files): Promise<void> {
    const { files, haproxy } = this.parts;
    const running = "files" in this.#applied ? this.#applied.files : await files.read([]);
    const addresses = newAddresses(running?.config ?? "", desired.config);
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

  async #differences(known: Known): Promise<string[]> {
    const { runtime } = this.parts;
    try {
      const capabilities = await runtime.capabilities();
      if (capabilities === undefined) return [];
      return await observeDifferences(runtime, known.files, known.aliases, capabilities);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return [errorMessage(error)];
    }
  }

  /** Without the states a reload still works; servers are then only found down by their checks. */
  async #saveStates(desired: Files): Promise<void> {
    const socket = this.statsSocket ?? statsSocket(desired.config);
    const running = (backend: string): string => this.runningName(backend);
    let problem: string | undefined;
    try {
      problem = await saveServerStates(desired.config, socket, running);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.parts.log.debug(`the states of the servers are not kept: ${errorMessage(error)}`);
      problem = await saveServerStates(desired.config, undefined, running);
    }
    if (problem !== undefined && problem !== this.#unkept) this.parts.log.warn(problem);
    this.#unkept = problem;
  }
}
