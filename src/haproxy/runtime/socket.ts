// HAProxy's command line over a unix socket: one connection for each batch of commands.

import { pause } from "../../lib/async.ts";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";

/** Only a HAProxy that hangs takes longer to answer, in milliseconds. */
const ANSWER_TIMEOUT = 10_000;

/**
 * Sends one line of commands and returns the answer when HAProxy has closed the connection.
 * @param line commands separated by `;` (management guide, section 9.3)
 * @throws GatewayError `haproxy` if nobody answers
 */
export async function askHaproxy(
  path: string,
  line: string,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // If the connection fails, nothing waits for this promise.
  promise.catch(() => undefined);
  const stop = (): void => reject(new Error(`no answer in ${ANSWER_TIMEOUT / 1000} s`));
  const leave = (): void => reject(new Error("no answer in time"));
  // `AbortSignal.timeout` would live on until its time, long after the answer.
  const timer = setTimeout(stop, ANSWER_TIMEOUT);
  // A signal that is already aborted sends no event.
  if (signal?.aborted) leave();
  signal?.addEventListener("abort", leave, { once: true });
  try {
    const socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_, chunk) => void chunks.push(chunk.slice()),
        close: () => resolve(),
        end: () => resolve(),
        error: (_, error) => reject(error),
      },
    });
    try {
      // A worker's socket closes by itself. The master's waits for more until it is told to quit.
      socket.write(`${line}\n`);
      socket.flush();
      await promise;
    } finally {
      socket.end();
    }
  } catch (error) {
    throw new GatewayError("haproxy", `Cannot ask HAProxy at "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** A socket that is bound anew refuses connections for less than this, in milliseconds. */
const REBIND = 200;

/** Whether nobody can ever answer at a unix socket: its path is gone, or nobody listens there. */
export async function isDeadSocket(path: string): Promise<boolean> {
  for (const isLast of [false, true]) {
    try {
      const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
      socket.end();
      return false;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return true;
      if (systemCode(error) !== "ECONNREFUSED") return false;
    }
    if (!isLast) await pause(REBIND);
  }
  return true;
}
