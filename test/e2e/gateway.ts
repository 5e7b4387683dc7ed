// Runs a gateway for a test, reads its log, and asks its HAProxy for what is served.

import { chownSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAnswer, type Answer } from "../lab/containers.ts";
import { haproxyProgram, haproxyVersions, type HaproxyVersion } from "../lab/haproxy.ts";
import { eventually, request, type RawRequest, type RawResponse } from "../lab/http.ts";
import { labDir, sweep } from "../lab/leftovers.ts";
import { matches, parseLog, type LogLine } from "./log-lines.ts";
import { freePort } from "../lab/ports.ts";
import { showProcesses, type Processes } from "./processes.ts";
import { binary, cleanEnvironment } from "./program.ts";

export interface GatewayOptions {
  /** Where the Engine is, as DOCKER_HOST has it. */
  dockerHost?: string;
  /** The HAProxy to use; the first one that is tested with by default. */
  version?: HaproxyVersion;
  /** Further flags. */
  flags?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Where its files are; a new folder by default. */
  dir?: string;
  port?: number;
  /** Where its HAProxy is asked. It listens at all addresses then; by default at 127.0.0.1 alone. */
  host?: string;
  /** Whether the gateway runs HAProxy itself; it does by default. */
  managed?: boolean;
  /** The number of the user to run as. */
  uid?: number;
  /** A command to run it with, such as `unshare --net`. */
  prefix?: readonly string[];
  /** As text, with what standard error is to a service of systemd. */
  logFormat?: "text" | "json";
}

/** Requests for a service without containers wait only briefly, where a test is about what follows. */
export const BRIEF_HOLD = "--hold=300ms";

const LOOPBACK = "127.0.0.1";

/** What a test waits for comes within tens of milliseconds; a loaded machine takes longer. */
const WAIT_MS = 80_000;
/** A request takes milliseconds. */
const REQUEST_MS = 2_000;
/** One that was sent to a container just before that went may hang; the next one does not. */
const POLL_MS = 500;

const folders = new Set<string>();

/** Starts a gateway. It may take a moment until it serves: `served` waits. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const { version = firstVersion(), dir = gatewayDir(), flags = [], managed = true } = options;
  const { host = LOOPBACK } = options;
  folders.add(dir);
  const port = options.port ?? (await freePort());
  const output = join(dir, "haproxy.cfg");
  const words = [
    await binary(),
    ...(options.dockerHost === undefined ? [] : [`--docker-host=${options.dockerHost}`]),
    `--haproxy=${haproxyProgram(version)}`,
    `--output-file=${output}`,
    `--listen=${host === LOOPBACK ? host : "*"}:${port}`,
    `--log-format=${options.logFormat ?? "json"}`,
    ...(managed ? ["--manage-haproxy"] : []),
    ...flags,
  ];
  if (options.uid !== undefined) {
    chownSync(dir, options.uid, options.uid);
    words.unshift(...asUser(options.uid));
  }
  words.unshift(...(options.prefix ?? []));
  const child = Bun.spawn(words, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    env: cleanEnvironment(options.env),
    cwd: "/",
  });
  return new Gateway(child, dir, port, host);
}

/** A new folder for a gateway's files, removed by `closeGateways`. */
export function gatewayDir(): string {
  const dir = labDir("g");
  folders.add(dir);
  return dir;
}

/** The HAProxy for tests of what does not depend on its version. */
export function firstVersion(): HaproxyVersion {
  const [first] = haproxyVersions();
  if (first === undefined) throw new Error("HAPROXY_VERSIONS names no version");
  return first;
}

/** The command that runs another one as an ordinary user. */
export function asUser(uid: number): string[] {
  const user = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  // May look into root's folders, where the program and HAProxy may be, and nothing else.
  const more = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  return ["setpriv", ...user, ...more, "--"];
}

/** Ends all gateways with their HAProxys and removes their files. */
export function closeGateways(): void {
  for (const dir of folders) sweep(dir);
  folders.clear();
}

/** A running gateway. */
export class Gateway {
  readonly output: string;
  #log = "";

  constructor(
    private readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">,
    readonly dir: string,
    readonly port: number,
    readonly host: string,
  ) {
    this.output = join(dir, "haproxy.cfg");
    void this.#read(child.stderr);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Its exit status, once it has ended; 128 and the signal's number where one ended it. */
  get exited(): Promise<number> {
    return this.child.exited;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Tells it to end and waits until it has. */
  async stop(name: NodeJS.Signals = "SIGTERM"): Promise<number> {
    this.child.kill(name);
    return this.child.exited;
  }

  /** Kills it; its HAProxy goes on. */
  async kill9(): Promise<void> {
    await this.stop("SIGKILL");
  }

  /** The text of the log. */
  log(): string {
    return this.#log;
  }

  /** The lines of the log in JSON; those in between that are none have only a message. */
  lines(): LogLine[] {
    return parseLog(this.#log);
  }

  /** Waits for a line whose message matches, after the first `from` lines. */
  logged(pattern: RegExp | string, from = 0): Promise<LogLine> {
    return this.until(() => {
      const line = this.lines().slice(from).find(matches(pattern));
      if (line === undefined) throw new Error(`the log has no ${String(pattern)}`);
      return line;
    });
  }

  /** How many lines have a message that matches. */
  count(pattern: RegExp | string): number {
    return this.lines().filter(matches(pattern)).length;
  }

  /** Sends one request to its HAProxy. */
  get(target: string, options: Omit<RawRequest, "port" | "target"> = {}): Promise<RawResponse> {
    return request({ host: this.host, port: this.port, target, timeoutMs: REQUEST_MS, ...options });
  }

  /** Waits until a request is answered by a container, of that name if given. */
  served(target: string, name?: string): Promise<Answer> {
    return this.until(async () => {
      const response = await this.get(target, { timeoutMs: POLL_MS });
      if (response.status !== 200) throw new Error(`${target} is answered ${response.status}`);
      const answer = parseAnswer(response.body);
      if (name === undefined || answer.name === name) return answer;
      throw new Error(`${target} is answered by ${answer.name}, not by ${name}`);
    });
  }

  /** The same, and until it is told: it may be served before the pass that takes it in has ended. */
  async routed(target: string, name: string): Promise<void> {
    await this.served(target, name);
    await this.until(() => {
      const isTold = this.lines().some(
        (line) => line.event === "routed" && line.container === name,
      );
      if (!isTold) throw new Error(`the log does not tell that ${name} is routed`);
    });
  }

  /** Waits until a request is answered with this status by HAProxy itself. */
  answers(target: string, status: number): Promise<RawResponse> {
    return this.until(async () => {
      const response = await this.get(target, { timeoutMs: POLL_MS });
      if (response.status === status) return response;
      throw new Error(`${target} is answered ${response.status}, not ${status}`);
    });
  }

  /** Waits until it has removed all routes: an address that is used anew may not be an old one's. */
  idle(): Promise<void> {
    return this.until(() => {
      const { size } = this.#routed();
      if (size > 0) throw new Error(`${size} containers are still routed`);
    });
  }

  /** The IDs of the containers that are routed, by the log. */
  #routed(): ReadonlySet<string> {
    const routed = new Set<string>();
    for (const [id, event] of this.#lastEvents()) if (event !== "removed") routed.add(id);
    return routed;
  }

  /** What was last told of each container, by its ID. */
  #lastEvents(): ReadonlyMap<string, string> {
    const last = new Map<string, string>();
    for (const { event, id = "" } of this.lines()) {
      if (event === "routed" || event === "no requests for" || event === "removed") {
        last.set(id, event);
      }
    }
    return last;
  }

  /** Waits until what HAProxy runs is on disk, and known to be what it runs. */
  confirmed(): Promise<void> {
    return this.until(() => {
      const note = join(this.dir, ".haproxy.cfg.unconfirmed");
      // The files follow a change that HAProxy took while it ran.
      const config = this.config();
      const missing = [...this.#routed()].filter((id) => !config.includes(id.slice(0, 12)));
      if (missing.length > 0) throw new Error(`the files do not have ${missing.join()} yet`);
      const served = [...this.#lastEvents()].filter(([, event]) => event === "routed");
      const early = served.filter(([id]) =>
        new RegExp(`server ${id.slice(0, 12)}.* disabled`).test(config),
      );
      if (early.length > 0) throw new Error("a container is about to start, by the files");
      if (/server _wait .* backup$/m.test(config)) throw new Error("requests wait, by the files");
      if (existsSync(note)) throw new Error(`there still is ${note}`);
    });
  }

  /** The configuration that is on disk. */
  config(): string {
    return readFileSync(this.output, "utf8");
  }

  /** The process IDs of its HAProxy: the master's and the newest worker's. */
  haproxy(): Promise<Processes> {
    return this.until(() => showProcesses(join(this.dir, "haproxy.master.sock")));
  }

  /** As `eventually`, with the log in the failure. */
  async until<T>(check: () => T | Promise<T>, timeoutMs = WAIT_MS): Promise<T> {
    try {
      return await eventually(check, { timeoutMs });
    } catch (error) {
      if (error instanceof Error) error.message += `\nThe gateway's log:\n${this.#log}`;
      throw error;
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#log += decoder.decode(chunk, { stream: true });
  }
}
