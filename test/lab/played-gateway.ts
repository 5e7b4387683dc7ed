// The gateway itself between a source and a HAProxy that are only played: no container, no program.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorDir } from "../../src/gateway/error-dir.ts";
import { LabelFiles } from "../../src/gateway/label-files.ts";
import { Applier } from "../../src/gateway/apply.ts";
import { DesiredState, type DesiredSettings } from "../../src/gateway/desired.ts";
import { createOwnersFile } from "../../src/gateway/owners.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { TcpPorts } from "../../src/gateway/tcp-ports.ts";
import { openTemplate } from "../../src/gateway/template-file.ts";
import { FormerWorkers } from "../../src/haproxy/process/former.ts";
import { ConfigFiles } from "../../src/haproxy/files/files.ts";
import { Runtime } from "../../src/haproxy/runtime/runtime.ts";
import type { Container } from "../../src/model.ts";
import { isOwnConfig } from "../../src/template/compile.ts";
import { holdOptions, keepAliveOptions, proxyOptions } from "../../src/template/context.ts";
import { elapse, until } from "./fake-clock.ts";
import { labDir } from "./leftovers.ts";
import { at, container, NO_CERTIFICATES, ROUTING } from "./make.ts";
import { PlayedHaproxy } from "./played-haproxy.ts";
import { PlayedSource } from "./played-source.ts";
import { listLogger } from "./proxy.ts";

/** The quiet period before a reload, in milliseconds. */
export const WAIT = { min: 200, max: 2_000 };

/** A template whose HAProxy can be asked and changed while it runs. */
export const WITH_SOCKET = `global
    stats socket {{haproxy.statsSocket}} level admin
defaults d
    mode http
frontend f from d
    use_backend %[path,map_beg({{mapPath "routes"}})]
{{#each backends}}
backend {{name}} from d
{{#each servers}}
    server {{name}} {{address}}:{{port}}{{#if disabled}} disabled{{/if}}
{{/each}}
{{/each}}
{{#map "routes"}}
{{#each routes}}
{{key}} {{backend}}
{{/each}}
{{/map}}
`;
/** One whose HAProxy cannot: every change takes a reload. */
export const WITHOUT_SOCKET = WITH_SOCKET.replace(/^ *stats socket.*\n/m, "");

/** A container that this machine reaches, on loopback: nobody answers there. */
export function onLoopback(name: string, rest: Partial<Container> = {}): Container {
  return container(name, { attachments: [at("bridge", "127.0.0.2")], ...rest });
}

export class PlayedGateway {
  readonly log: string[] = [];
  readonly source = new PlayedSource();
  readonly haproxy: PlayedHaproxy;
  readonly files: ConfigFiles;
  readonly runtime: Runtime;
  readonly applier: Applier;
  readonly gateway: Gateway;
  readonly templateFile: string;
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(
    template: string,
    readonly dir = labDir("played"),
    /** How long requests wait for a container of their service, in milliseconds. */
    hold = 0,
  ) {
    const log = listLogger(this.log);
    this.haproxy = new PlayedHaproxy(dir);
    this.templateFile = join(dir, "own.hbs");
    writeFileSync(this.templateFile, template);
    this.files = new ConfigFiles(join(dir, "haproxy.cfg"), isOwnConfig, log);
    this.haproxy.output = this.files.output;
    const { statsSocket, program, version } = this.haproxy;
    const tcpPorts = new TcpPorts();
    const settings: DesiredSettings = {
      routing: ROUTING,
      template: {
        listen: [],
        domain: "",
        ports: [8000, 80],
        mendLinks: true,
        index: false,
        acme: false,
        accessLog: false,
        tls: false,
        ...proxyOptions([], false),
        ...holdOptions(hold, false),
        ...keepAliveOptions(false),
      },
      haproxy: {
        version,
        lua: true,
        quic: false,
        user: "",
        group: "",
        chroot: "",
        statsSocket,
        stateFile: "",
        log: [],
      },
      pathOf: this.files.pathOf,
      challenges: { entries: [] },
      labelFiles: new LabelFiles([]),
      certificates: NO_CERTIFICATES,
      errorDir: new ErrorDir(undefined),
      tcpPorts,
    };
    const { files, haproxy } = this;
    this.runtime = new Runtime(
      () => this.applier.statsSocket,
      () => 0,
      true,
      log,
      hold,
    );
    const former = new FormerWorkers(haproxy.masterSocket, log);
    this.applier = new Applier({ files, haproxy, runtime: this.runtime, former, program, log });
    this.gateway = new Gateway({
      labelPrefix: "gateway.",
      source: this.source,
      applier: this.applier,
      runtime: this.runtime,
      desired: new DesiredState(
        openTemplate("path", this.templateFile),
        settings,
        undefined,
        createOwnersFile(files.ownersPath),
        log,
      ),
      tcpPorts,
      wait: WAIT,
      hold,
      log,
    });
  }

  /** Starts it with these containers, and waits until they are served. */
  async start(...containers: readonly Container[]): Promise<void> {
    this.source.change(...containers);
    this.#running = this.gateway.run(this.#end.signal);
    await this.rest();
  }

  /** Waits until it has nothing to do but to wait. */
  rest(): Promise<void> {
    return until(this.source.isIdle);
  }

  /** Lets so much time pass, in milliseconds. */
  elapse(ms: number): Promise<void> {
    return elapse(ms, this.source.isIdle);
  }

  /** Ends it, also in the middle of a pass. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.source.letOne();
    await this.#running;
    await this.haproxy.close();
  }

  /** The one pass of `--once`. */
  once(): Promise<void> {
    return this.gateway.once(this.#end.signal);
  }

  /** The services that are served, by what the configuration on disk says. */
  get served(): string[] {
    const config = readFileSync(this.files.output, "utf8");
    return [...config.matchAll(/^backend (\S+)/gm)].map(([, name = ""]) => name);
  }
}
