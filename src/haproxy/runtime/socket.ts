// HAProxy's command line over a unix socket: one connection for each batch of commands.

import { errorMessage, GatewayError } from "../../lib/errors.ts";

/** An answer takes longer only where HAProxy hangs, in milliseconds. */
const ANSWER_TIMEOUT = 10_000;

/**
 * Sends one line of commands and gives the answer, once HAProxy has closed the connection.
 * @param line commands separated by `;` (management guide, section 9.3)
 * @throws GatewayError `haproxy` where nobody answers
 */
export async function askHaproxy(
  path: string,
  line: string,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Where the connection itself fails nobody waits for the answer.
  promise.catch(() => undefined);
  const stop = (): void => reject(new Error(`no answer in ${ANSWER_TIMEOUT / 1000} s`));
  const leave = (): void => reject(new Error("no answer in time"));
  // Not a signal with a time-out, which would live until its time, long after the answer.
  const timer = setTimeout(stop, ANSWER_TIMEOUT);
  // One that is aborted already tells nobody any more.
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
      // The master's socket waits for more until it is told to quit; the worker's closes by itself.
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
