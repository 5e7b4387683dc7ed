// Asks the gateway by HTTP.

/** The gateway answers within milliseconds; a machine far away takes longer. In milliseconds. */
const PATIENCE = 10_000;

/**
 * @template T
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 * @throws {Error} whose message says in words why there is no answer
 */
export async function ask(path, signal) {
  const limit = AbortSignal.timeout(PATIENCE);
  const response = await fetch(path, {
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  if (response.ok) return response.json();
  const { error } = await response.json();
  throw new Error([error.message, error.hint].filter(Boolean).join("; "));
}
