// The access log: takes the lines that HAProxy makes from its ring, and writes them where they go. Where
// that is slow or full, HAProxy does not notice: its ring drops lines, and how many is told.

import { inBackground, pause } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../../lib/log.ts";
import { workerHasRequests } from "../../haproxy/process/master.ts";
import { readRing, type RingReader } from "../../haproxy/runtime/ring.ts";
import { askHaproxy } from "../../haproxy/runtime/socket.ts";
import type { AccessLogFormat } from "../../template/access-log.ts";
import type { Paths } from "../paths.ts";
import { Failures, type FailedRequest } from "./failures.ts";
import { LineReader } from "./lines.ts";
import { describeTarget, openTarget, type LogTarget, type Writer } from "./target.ts";

/** The name of the ring in the templates. */
const RING = "access-log";
/** How often it is looked whether another worker runs, in milliseconds. Its ring keeps what it did. */
const LOOK_EVERY = 2_000;
/** After a failure it is tried again after so long, in milliseconds. */
const TRY_AGAIN = 1_000;
/** What is lost is told at most so often, in milliseconds. */
const TELL_EVERY = 60_000;
/** A former worker that cannot be asked is left when it had nothing to say for so long, in milliseconds. */
const SILENCE = 60_000;
/** A configuration without the ring is told after so many looks: the first one may be just being made. */
const MISSING = 15;
/** What is under way when the gateway ends may take so long, in milliseconds. */
const LAST_WRITE = 2_000;

/** What HAProxy's worker says of itself. */
interface Worker {
  readonly pid: number;
  /** In seconds. */
  readonly uptime: number;
  readonly hasRing: boolean;
}

export class AccessLog {
  /** The rings that are read, by the process IDs of their workers. */
  readonly #readers = new Map<number, RingReader>();
  /** The workers that were found so far, the newest one last. */
  #newest: number | undefined;
  #looking: Promise<void> | undefined;
  /** Whether it is to be looked once more. */
  #again = false;
  #timer: ReturnType<typeof setInterval> | undefined;
  #statsSocket: () => string | undefined = () => undefined;
  #writing: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #opened = Date.now();
  readonly #failures: RepeatedFailure;
  readonly #failed: Failures;
  #lost = 0;
  #toldLost = 0;
  #missing = 0;

  private constructor(
    private readonly format: AccessLogFormat,
    private readonly target: LogTarget,
    private readonly writer: Writer,
    private readonly masterSocket: string,
    private readonly log: Logger,
  ) {
    this.#failures = new RepeatedFailure(log);
    this.#failed = new Failures(format);
  }

  /** Opens it; undefined if there is to be none. @throws GatewayError `config` if it cannot be written */
  static open(
    choice: { readonly format: AccessLogFormat; readonly target: LogTarget } | undefined,
    { masterSocket }: Pick<Paths, "masterSocket">,
    log: Logger,
  ): AccessLog | undefined {
    if (choice === undefined) return undefined;
    const { format, target } = choice;
    return new AccessLog(format, target, openTarget(target), masterSocket, log);
  }

  /** The last requests that failed, the newest one last. */
  get failed(): readonly FailedRequest[] {
    return this.#failed.last;
  }

  /** Begins. @param statsSocket the runtime socket of the HAProxy that runs */
  start(statsSocket: () => string | undefined): void {
    this.#statsSocket = statsSocket;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY);
    this.look();
  }

  /** Looks whether another worker runs. */
  look(): void {
    if (this.#timer === undefined) return;
    this.#again = this.#looking !== undefined;
    if (this.#again) return;
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#again) this.look();
    });
    inBackground(this.#looking, (error) => this.log.failure(error));
  }

  async #look(): Promise<void> {
    this.#tellLost();
    const socket = this.#statsSocket();
    if (socket === undefined) return;
    try {
      const worker = await ask(socket);
      const isMissing = worker !== undefined && !worker.hasRing;
      this.#missing = isMissing ? this.#missing + 1 : 0;
      if (this.#missing === MISSING) {
        this.log.warn(
          `the access log stays empty: the configuration has no ring "${RING}"; ` +
            "a template of your own needs what the built-in one has of it",
        );
      }
      if (worker?.hasRing === true) await this.#follow(worker, socket);
      await this.#leaveFormer();
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      // Others tell when HAProxy is away. Its next worker is found by the next look.
      this.log.debug(`HAProxy's access log cannot be read now: ${errorMessage(error)}`);
    }
  }

  /** Reads the ring of a worker. What one has that is younger than the gateway nobody has read before. */
  async #follow({ pid, uptime }: Worker, socket: string): Promise<void> {
    if (this.#readers.has(pid)) return;
    const lines = new LineReader(this.format, (line) => this.#failed.note(line));
    let hasEnded = false;
    const reader = await readRing({
      socket,
      ring: RING,
      pid,
      onlyNew: pid === this.#newest || uptime * 1000 > Date.now() - this.#opened,
      take: async (chunk) => {
        const { text, count, lost } = lines.read(chunk);
        this.#lost += lost;
        if (count > 0) await this.#write(text, count);
      },
      closed: () => {
        hasEnded = true;
        this.#readers.delete(pid);
        this.look();
      },
    });
    if (hasEnded) return;
    this.#newest = pid;
    this.#readers.set(pid, reader);
  }

  /** A worker whose ring is read does not end. So it is left when its last request is done. */
  async #leaveFormer(): Promise<void> {
    for (const [pid, reader] of this.#readers) {
      if (pid !== this.#newest && (await this.#isDone(pid, reader))) reader.close();
    }
  }

  async #isDone(pid: number, { lastAt }: RingReader): Promise<boolean> {
    const silence = Date.now() - lastAt;
    try {
      // Its last lines are perhaps still to come.
      return silence > LOOK_EVERY && !(await workerHasRequests(this.masterSocket, pid));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return silence > SILENCE;
    }
  }

  /** Writes lines, when those before them are written. */
  #write(lines: readonly Uint8Array[], count: number): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNow(lines, count));
    return this.#writing;
  }

  async #writeNow(lines: readonly Uint8Array[], count: number): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      try {
        await this.writer.ready();
        break;
      } catch (error) {
        // Nothing of them is written, so they can wait. Meanwhile HAProxy's ring has room for others.
        this.#tell(error, "trying again");
        await pause(TRY_AGAIN, signal);
        if (signal.aborted) return;
      }
    }
    try {
      await this.writer.write(lines);
      if (this.#failures.forget())
        this.log.info(`the access log is written again, to ${describeTarget(this.target)}`);
    } catch (error) {
      this.#lost += count;
      this.#tell(error, "lines of it are lost");
      await pause(TRY_AGAIN, signal);
    }
  }

  #tell(error: unknown, note: string): void {
    const message = `Cannot write the access log to ${describeTarget(this.target)}: ${errorMessage(error)}`;
    this.#failures.tell(new GatewayError("config", message, { cause: error }), note);
  }

  #tellLost(): void {
    const now = Date.now();
    if (this.#lost === 0 || now - this.#toldLost < TELL_EVERY) return;
    this.log.warn(
      `${this.#lost} lines of the access log are lost: ${describeTarget(this.target)} takes them too slowly, or not at all`,
    );
    this.#toldLost = now;
    this.#lost = 0;
  }

  /** Writes what it has, and ends. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) clearInterval(this.#timer);
    this.#timer = undefined;
    for (const reader of this.#readers.values()) reader.close();
    await Promise.race([this.#writing, pause(LAST_WRITE)]);
    this.#closing.abort();
    this.#toldLost = 0;
    this.#tellLost();
    this.writer.close();
  }
}

/** What the worker says that has the runtime socket. @throws GatewayError `haproxy` if there is none */
async function ask(socket: string): Promise<Worker | undefined> {
  const answer = await askHaproxy(socket, "show info;show events");
  const pid = Number(/^Pid: (\d+)$/m.exec(answer)?.[1]);
  const uptime = Number(/^Uptime_sec: (\d+)$/m.exec(answer)?.[1]);
  if (!(pid > 0)) return undefined;
  return { pid, uptime, hasRing: new RegExp(`^ *${RING} +: `, "m").test(answer) };
}
