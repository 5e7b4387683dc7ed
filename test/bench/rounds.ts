// Runs in turns: a, b, c, a, b, c. What else the machine does meanwhile is spread over all of them.

/**
 * Measures each entrant once a round, one at a time.
 * @param dropped called if somebody else's program fails: it takes no part in later rounds, and the others
 * go on. Where it throws, all end
 * @returns the results of each entrant that failed in no round, one a round
 */
export async function inTurns<E, R>(
  rounds: number,
  entrants: readonly E[],
  measure: (entrant: E) => Promise<R>,
  dropped: (entrant: E, error: unknown) => void = (_, error) => {
    throw error;
  },
): Promise<ReadonlyMap<E, readonly R[]>> {
  const results = new Map<E, R[]>(entrants.map((entrant) => [entrant, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [entrant, own] of results) {
      try {
        own.push(await measure(entrant));
      } catch (error) {
        dropped(entrant, error);
        results.delete(entrant);
      }
    }
  }
  return results;
}
