// A HAProxy that is changed as the gateway does it: by plans, commands, files and reloads.

import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { namedFiles } from "./named-files.ts";
import { Applier } from "../../src/gateway/apply.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { FormerWorkers } from "../../src/haproxy/process/former.ts";
import { ExternalHaproxy } from "../../src/haproxy/process/external.ts";
import { Runtime } from "../../src/haproxy/runtime/runtime.ts";
import type { Files } from "../../src/model.ts";
import { planChange } from "../../src/plan/plan.ts";
import { cli, haproxyProgram, startHaproxy, type Haproxy } from "./haproxy.ts";
import { eventually } from "./http.ts";
import { listLogger, type Service, type Site } from "./proxy.ts";

/** What HAProxy says about a server. */
export interface ServerState {
  address: string;
  /** `UP`, `DOWN`, `DRAIN` or `MAINT`, perhaps with how far its checks are, such as `UP 1/2`. */
  status: string;
  /** How many requests were sent to it, with or without success. */
  chosen: number;
}

export interface RunningOptions {
  /** How long the connections of a server may last after it was removed, in milliseconds. */
  grace?: number;
  /** Whether HAProxy may be changed while it runs. True by default. */
  mayChange?: boolean;
  /** The socket through which HAProxy is changed. By default the one of its configuration. */
  socket?: string | undefined;
}

/** A running HAProxy with the parts of the gateway that change it. */
export class Running {
  /** The lines of the log, without the time. */
  readonly log: string[] = [];
  /** The reasons of each reload. */
  readonly reloads: (readonly string[])[] = [];
  runtime: Runtime;
  applier: Applier;

  private constructor(
    readonly site: Site,
    private haproxy: Haproxy,
    private readonly options: RunningOptions,
  ) {
    [this.runtime, this.applier] = this.#parts();
  }

  /** Starts HAProxy with these files. Takes it over as a gateway does when it starts. */
  static async start(site: Site, files: Files, options: RunningOptions = {}): Promise<Running> {
    const haproxy = await startHaproxy({
      version: site.version,
      config: files.config,
      maps: Object.fromEntries(
        Object.entries(namedFiles(files)).map(([path, text]) => [basename(path), text]),
      ),
      dir: site.dir,
    });
    const running = new Running(site, haproxy, options);
    await running.takeOver(files);
    return running;
  }

  /** Takes HAProxy over again, as a new gateway does that would make these files. */
  async takeOver({ assets }: Files): Promise<void> {
    [this.runtime, this.applier] = this.#parts();
    await this.applier.recover(assets);
  }

  /** Waits until these files are on disk: they are written after HAProxy was changed. */
  async written({ config, assets }: Files): Promise<void> {
    await eventually(() => {
      const { output } = this.site.setup.paths;
      expect(readFileSync(output, "utf8")).toBe(config);
      // This file is removed last: until then a new gateway takes the change for unconfirmed.
      expect(existsSync(join(dirname(output), `.${basename(output)}.unconfirmed`))).toBe(false);
      for (const [path, { text }] of Object.entries(assets)) {
        expect(readFileSync(path, "utf8")).toBe(text);
      }
    });
  }

  /** Ends HAProxy and starts it again with the files on disk, perhaps in another version. */
  async restart(version = this.site.version): Promise<void> {
    await this.haproxy.stop();
    const config = readFileSync(this.site.setup.paths.output, "utf8");
    this.haproxy = await startHaproxy({ version, config, dir: this.site.dir });
  }

  /** Reloads HAProxy. The gateway does not know of it. */
  async reloadByHand(): Promise<void> {
    if (!(await this.haproxy.reload())) throw new Error("HAProxy refused to reload");
  }

  /** Lets the gateway compare HAProxy with what it should be. */
  async verify(): Promise<void> {
    await this.applier.verify(await this.runtime.recognise());
  }

  /** Brings HAProxy to these files. Returns how. */
  async go(desired: Files): Promise<"nothing" | "commands" | "reload"> {
    const { applier, runtime } = this;
    const plan = planChange(applier.applied, desired, await runtime.capabilities());
    if (plan.kind === "none") return "nothing";
    if (plan.kind === "runtime") {
      const refusal = await applier.change(desired, plan).catch((error: unknown) => {
        if (error instanceof GatewayError) return error.message;
        throw error;
      });
      if (refusal === undefined) return "commands";
      this.reloads.push([refusal]);
    } else this.reloads.push(plan.reasons);
    await applier.reload(desired);
    return "reload";
  }

  /** Brings HAProxy to the files for these containers. Returns how. */
  serve(services: readonly Service[]): Promise<"nothing" | "commands" | "reload"> {
    return this.go(this.site.render(services).files);
  }

  /** Sends a command to HAProxy. The gateway does not know of it. */
  ask(command: string): Promise<string> {
    return cli(this.site.setup.paths.haproxy.statsSocket, command);
  }

  /** The servers that HAProxy has, by `backend/server`. */
  async servers(): Promise<Record<string, ServerState>> {
    const [head = "", ...lines] = (await this.ask("show stat -1 4 -1")).split("\n");
    const names = head.replace("# ", "").split(",");
    const rows = lines.filter(Boolean).map((line) => {
      const values = line.split(",");
      return (name: string): string => values[names.indexOf(name)] ?? "";
    });
    // The server at which requests wait is no container, and neither is the one of FastCGI.
    const containers = rows.filter(
      (value) => !["_wait", "_fcgi", "_reserve"].includes(value("svname")),
    );
    return Object.fromEntries(
      containers.map((value) => [
        `${value("pxname")}/${value("svname")}`,
        { address: value("addr"), status: value("status"), chosen: Number(value("lbtot")) },
      ]),
    );
  }

  /** The status of a server. Undefined if HAProxy has no such server. */
  async status(key: string): Promise<string | undefined> {
    return (await this.servers())[key]?.status;
  }

  /** The entries of a map in HAProxy, in its order. */
  async entries(path: string): Promise<string[]> {
    const lines = (await this.ask(`show map ${path}`)).split("\n").filter(Boolean);
    return lines.map((line) => line.slice(line.indexOf(" ") + 1));
  }

  /** The backends of services that HAProxy has. */
  async backends(): Promise<string[]> {
    const lines = (await this.ask("show backend")).split("\n");
    return lines.filter((line) => line !== "" && !/^[#_]/.test(line));
  }

  /** Ends HAProxy when all files are written. */
  async stop(): Promise<void> {
    await this.applier.close();
    await this.haproxy.stop();
  }

  #parts(): [Runtime, Applier] {
    const { grace = 10_000, mayChange = true, socket } = this.options;
    const log = listLogger(this.log);
    const runtime: Runtime = new Runtime(
      () => socket ?? applier.statsSocket,
      () => grace,
      mayChange,
      log,
    );
    const applier: Applier = new Applier({
      files: this.site.setup.files,
      haproxy: new ExternalHaproxy({
        command: undefined,
        defaultCommand: ["false"],
        masterSocket: this.haproxy.masterSocket,
      }),
      runtime,
      former: new FormerWorkers(this.haproxy.masterSocket, log),
      program: haproxyProgram(this.site.version),
      log,
    });
    return [runtime, applier];
  }
}
