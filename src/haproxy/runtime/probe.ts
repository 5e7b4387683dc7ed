// Whether a container's port answers: asked directly, sooner than HAProxy's checks could tell.

import { connect } from "node:net";
import { pause } from "../../lib/async.ts";

/** A container on this host answers within a millisecond or is not there yet. */
const CONNECT_TIMEOUT = 100;
/**
 * The first wait before asking again and the longest, in milliseconds. Most answer within 20: the
 * waits grow slowly, so that it is noticed within a few that they do.
 */
const FIRST_RETRY = 2;
const LONGEST_RETRY = 20;
const GROWTH = 1.25;

/** Whether somebody accepts connections there now. */
export function answers(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.setTimeout(CONNECT_TIMEOUT, () => resolve(false));
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

/** Waits until somebody accepts connections there, at most `ms` milliseconds. True where so. */
export async function awaitAnswer(host: string, port: number, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  let wait = FIRST_RETRY;
  while (!(await answers(host, port))) {
    if (Date.now() >= deadline) return false;
    await pause(wait);
    wait = Math.min(wait * GROWTH, LONGEST_RETRY);
  }
  return true;
}
