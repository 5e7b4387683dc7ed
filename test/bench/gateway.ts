// Builds the gateway, keeps a copy for the whole run, and runs it with a HAProxy of its own.

import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { cli, haproxyProgram, type HaproxyVersion } from "../lab/haproxy.ts";
import { eventually, request, type RawResponse } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";

/** The new way changes the running HAProxy; the old way reloads it for every change. */
export type Way = "runtime" | "reload";
export const WAYS: readonly Way[] = ["runtime", "reload"];

/** A line of the gateway's log. */
interface LogLine {
  readonly message: string;
  readonly event?: string;
  readonly id?: string;
}

interface Options {
  readonly dockerHost: string;
  readonly version: HaproxyVersion;
  readonly way: Way;
  /** `info` by default. */
  readonly logLevel?: "info" | "debug";
  /** Further flags. */
  readonly flags?: readonly string[];
}

const ROOT = join(import.meta.dir, "../..");
/** A configuration of thousands of servers on a loaded machine takes seconds. */
const PATIENCE = 60_000;
/** So many of its last lines are shown where something fails. */
const LINES_KEPT = 50;

let binary: string | undefined;

/** Makes the program from the sources; another build meanwhile does not change it. */
export function buildGateway(): void {
  const built = Bun.spawnSync([process.execPath, ".ci/build.ts"], { cwd: ROOT });
  if (built.exitCode !== 0)
    throw new Error(`Cannot build the gateway:\n${built.stderr.toString()}`);
  const copy = join(labDir("bin"), "docker-api-gateway");
  copyFileSync(join(ROOT, "dist/docker-api-gateway"), copy);
  binary = copy;
}

/** The version that was built, with its commit. */
export function gatewayVersion(): string {
  return Bun.spawnSync([program(), "--version"]).stdout.toString().trim();
}

function program(): string {
  if (binary === undefined) buildGateway();
  return binary ?? "";
}

/** A running gateway. */
export class Gateway {
  readonly output: string;
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #waiting = new Map<string, () => void>();
  readonly #reading: Promise<void>;
  readonly #last: string[] = [];
  /** What the log says of each reload. */
  readonly reloads: string[] = [];

  private constructor(
    dir: string,
    readonly port: number,
    command: readonly string[],
  ) {
    this.output = join(dir, "haproxy.cfg");
    this.#child = Bun.spawn([...command, "--output-file", this.output], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: { PATH: process.env["PATH"] ?? "", HOME: dir },
      cwd: "/",
    });
    this.#reading = this.#read();
  }

  /** Starts one; it may take a moment until it serves. */
  static async start(options: Options): Promise<Gateway> {
    const { dockerHost, version, way, logLevel = "info", flags = [] } = options;
    const port = await freePort();
    const command = [program(), "--manage-haproxy", "--docker-host", dockerHost];
    command.push("--haproxy", haproxyProgram(version), "--listen", `127.0.0.1:${port}`);
    command.push("--log-format", "json", "--log-level", logLevel);
    // The old way at its best: no reload waits for more changes to come.
    if (way === "reload") command.push("--always-reload", "--wait", "0ms:0ms");
    return new Gateway(labDir("g"), port, [...command, ...flags]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The log's last lines, for a failure. */
  get log(): string {
    return this.#last.join("\n");
  }

  /** Waits until the log says this of a container; call it before what leads to it. */
  async says(event: "routed" | "removed", id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(`${event} ${id}`, resolve);
    const timer = setTimeout(resolve, PATIENCE);
    await promise;
    clearTimeout(timer);
    if (this.#waiting.delete(`${event} ${id}`)) {
      throw new Error(`Cannot find "${event}" of ${id} in the gateway's log:\n${this.log}`);
    }
  }

  /** Sends one request to its HAProxy. */
  get(target: string, timeoutMs = 2_000): Promise<RawResponse> {
    return request({ port: this.port, target, timeoutMs });
  }

  /** Waits until a request is answered so. */
  async answers(target: string, status = 200, everyMs = 25): Promise<void> {
    await eventually(
      async () => {
        const { status: got } = await this.get(target, 500);
        if (got !== status) throw new Error(`${target} is answered ${got}\n${this.log}`);
      },
      { timeoutMs: PATIENCE, everyMs },
    );
  }

  /**
   * Which version of the configuration is on disk; another one after every change of it.
   * @param file a file beside it instead, such as `https.crt-list`
   */
  written(file = "cfg"): number {
    return statSync(this.output.replace(/cfg$/, file)).ino;
  }

  /** Waits until another version than that is written, and checked. */
  async settled(before: number, file = "cfg"): Promise<void> {
    const name = (suffix: string): string => this.output.replace(/[^/]*$/, `.$&.${suffix}`);
    await eventually(
      () => {
        const isBusy = ["new", "check", "unconfirmed"].some((each) => existsSync(name(each)));
        if (isBusy || this.written(file) === before) {
          throw new Error(`the files are not written\n${this.log}`);
        }
      },
      { timeoutMs: PATIENCE, everyMs: 5 },
    );
  }

  /** The process ID of its HAProxy's newest worker. */
  async worker(): Promise<number> {
    const socket = this.output.replace(/\.cfg$/, ".master.sock");
    const text = await cli(socket, "show proc");
    return Number(/^(\d+)\s+worker\b/m.exec(text)?.[1]);
  }

  /** The configuration that is on disk. */
  config(): string {
    return readFileSync(this.output, "utf8");
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    // Insists: connections that are still open are not waited for.
    await Bun.sleep(20);
    this.#child.kill("SIGTERM");
    await this.#child.exited;
    await this.#reading;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stderr) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#note(line);
    }
  }

  #note(text: string): void {
    this.#last.push(text);
    if (this.#last.length > LINES_KEPT) this.#last.shift();
    const { event, id, message } = parse(text);
    if (event === "reload") this.reloads.push(message);
    const key = `${event} ${id}`;
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
  }
}

function parse(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { message: text };
  }
}
