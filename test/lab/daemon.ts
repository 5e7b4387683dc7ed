// Runs a daemon for the tests. Its output goes to a file.

import { closeSync, openSync, readFileSync } from "node:fs";

/** If the daemon does not start, the error shows this many lines of its output. */
const LOG_LINES = 15;
/** A daemon that takes longer to end is killed. */
const STOP_MS = 30_000;

/** A daemon that can be started again after it was stopped. */
export class Daemon {
  #child: Bun.Subprocess | undefined;

  constructor(
    private readonly command: string[],
    private readonly logFile: string,
    private readonly env: Record<string, string | undefined>,
  ) {}

  /** The number of its process. @throws if it does not run */
  get pid(): number {
    if (this.#child === undefined) throw new Error(`${this.command[0] ?? ""} does not run`);
    return this.#child.pid;
  }

  /** Starts it and waits until it is ready. */
  async start(ready: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const log = openSync(this.logFile, "a");
    // It has its own session: Ctrl-C in the terminal is for the tests, which then end it.
    const child = Bun.spawn(this.command, {
      detached: true,
      stdin: "ignore",
      stdout: log,
      stderr: log,
      env: this.env,
    });
    closeSync(log);
    this.#child = child;
    const end = performance.now() + timeoutMs;
    while (!(await ready())) {
      if (child.exitCode !== null || child.signalCode !== null) throw this.#failure("it ended");
      if (performance.now() > end) throw this.#failure(`not ready after ${timeoutMs} ms`);
      await Bun.sleep(10);
    }
  }

  /** Ends it and waits until it is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill(signal);
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await child.exited;
    clearTimeout(killer);
  }

  #failure(state: string): Error {
    const lines = readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-LOG_LINES);
    return new Error(
      `Cannot start ${this.command[0] ?? ""}: ${state}\n${lines.join("\n")}\n` +
        "hint: it needs a host, a virtual machine or a privileged container, with root's full rights",
    );
  }
}
