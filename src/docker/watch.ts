// Keeps the event stream alive: subscribes, notices when the Engine is dead, and connects again.

import { Backoff, pause } from "../lib/async.ts";
import { errorMessage, systemCode } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { DockerClient } from "./client.ts";
import { readEvents, type DockerEvent } from "./events.ts";

interface WatchHandlers {
  /** Events come from now on. Earlier ones may be lost, so everything must be read again. */
  connected(): void;
  event(event: DockerEvent): void;
  /** No events come until `connected` is called again. Called at every attempt that fails, too. */
  disconnected(): void;
}

/** The first and the longest wait before connecting again, in milliseconds. */
const FIRST_RETRY = 100;
const LONGEST_RETRY = 10_000;
/** How often the Engine is pinged, and how long its answer may take, in milliseconds. */
const HEARTBEAT = 10_000;
const HEARTBEAT_TIMEOUT = 5_000;
/** The stream repeats the events of these last seconds before it began: repeating costs nothing. */
const OVERLAP_SECONDS = 2;

/** Watches the Engine until the signal is aborted. Nothing else ends it. */
export async function watchDocker(
  client: DockerClient,
  handlers: WatchHandlers,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  let lastMessage = "";
  while (!signal.aborted) {
    const stream = new AbortController();
    const ended = AbortSignal.any([signal, stream.signal]);
    try {
      const { apiVersion, time } = await client.connect(ended);
      // By the Engine's clock, not by ours: an hour between the two would be an hour of old signals.
      const since = time === undefined ? undefined : time - OVERLAP_SECONDS;
      const events = await client.events(since, ended);
      log.info(`connected to Docker at ${client.transport.name} (API ${apiVersion})`);
      lastMessage = "";
      handlers.connected();
      backoff.reset();
      const heartbeat = pingRepeatedly(client, ended, (reason) => stream.abort(reason));
      try {
        for await (const event of readEvents(events)) handlers.event(event);
        log.warn("Docker closed its event stream; connecting again");
      } finally {
        stream.abort();
        await heartbeat;
      }
    } catch (error) {
      if (signal.aborted) return;
      // Logged once for each new reason, not once for each try.
      const message = errorMessage(error);
      if (message !== lastMessage) report(error);
      lastMessage = message;
    } finally {
      handlers.disconnected();
    }
    await pause(backoff.next(), signal);
  }

  function report(error: unknown): void {
    const note = "what is served stays as it is; trying again";
    if (systemCode(error) === "ECONNRESET")
      log.warn(`lost Docker at ${client.transport.name}; ${note}`);
    else log.failure(error, note);
  }
}

/** Pings the Engine until the signal is aborted; calls `dead` with the error when a ping fails. */
async function pingRepeatedly(
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
