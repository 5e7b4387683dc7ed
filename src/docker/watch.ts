// Keeps the event stream alive: subscribes, notices a dead Engine, comes back, for ever.

import { Backoff, pause } from "../lib/async.ts";
import { errorMessage, systemCode } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { DockerClient } from "./client.ts";
import { readEvents, type DockerEvent } from "./events.ts";

interface WatchHandlers {
  /** The Engine listens from now on: everything must be read again. */
  connected(): void;
  event(event: DockerEvent): void;
  /** Nothing is told any more until it is connected again. */
  disconnected(): void;
}

/** The first wait before coming back, and the longest, in milliseconds. */
const FIRST_RETRY = 100;
const LONGEST_RETRY = 10_000;
/** How often a silent Engine is asked for a sign of life, and how long it may take. */
const HEARTBEAT = 10_000;
const HEARTBEAT_TIMEOUT = 5_000;
/** What happened in the last seconds before the subscription is told again: it costs nothing. */
const OVERLAP_SECONDS = 2;

/** Watches the Engine until the signal is aborted. Nothing else ends it. */
export async function watchDocker(
  client: DockerClient,
  handlers: WatchHandlers,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  let lastComplaint = "";
  while (!signal.aborted) {
    const stream = new AbortController();
    const either = AbortSignal.any([signal, stream.signal]);
    try {
      const { apiVersion } = await client.connect(either);
      const since = Math.floor(Date.now() / 1000) - OVERLAP_SECONDS;
      const events = await client.events(since, either);
      log.info(`connected to Docker at ${client.transport.name} (API ${apiVersion})`);
      lastComplaint = "";
      handlers.connected();
      backoff.reset();
      const heartbeat = beat(client, either, (reason) => stream.abort(reason));
      try {
        for await (const event of readEvents(events)) handlers.event(event);
        log.warn("Docker closed its event stream; connecting again");
      } finally {
        handlers.disconnected();
        stream.abort();
        await heartbeat;
      }
    } catch (error) {
      if (signal.aborted) return;
      // Said once for each new reason, not once for each try.
      const complaint = errorMessage(error);
      if (complaint !== lastComplaint) complain(error);
      lastComplaint = complaint;
    }
    await pause(backoff.next(), signal);
  }

  function complain(error: unknown): void {
    const note = "what is served stays as it is; trying again";
    if (systemCode(error) === "ECONNRESET")
      log.warn(`lost Docker at ${client.transport.name}; ${note}`);
    else log.failure(error, note);
  }
}

/** Asks for a sign of life again and again; calls `dead` with the reason when none comes. */
async function beat(
  client: DockerClient,
  signal: AbortSignal,
  dead: (reason: unknown) => void,
): Promise<void> {
  await pause(HEARTBEAT, signal);
  while (!signal.aborted) {
    try {
      await client.ping(signal, HEARTBEAT_TIMEOUT);
    } catch (error) {
      dead(error);
      return;
    }
    await pause(HEARTBEAT, signal);
  }
}
