// Remembering results by the objects they came from: of thousands, few change at a time.

/**
 * Remembers what was made of each object for as long as the context stays the same.
 * @returns a function to be called with the present context, which gives the function to use in it
 */
export function memoByObject<T extends object, R extends object>(): (
  context: string,
  make: (item: T) => R,
) => (item: T) => R {
  let lastContext: string | undefined;
  let results = new WeakMap<T, R>();
  return (context, make) => {
    if (context !== lastContext) results = new WeakMap();
    lastContext = context;
    return (item) => {
      const known = results.get(item);
      if (known !== undefined) return known;
      const made = make(item);
      results.set(item, made);
      return made;
    };
  };
}

/** Remembers what was made of each text, for the last few texts. */
export function memoByText<R>(few: number, make: (text: string) => R): (text: string) => R {
  const known: { readonly text: string; readonly result: R }[] = [];
  return (text) => {
    const before = known.find((each) => each.text === text);
    if (before !== undefined) return before.result;
    const result = make(text);
    known.unshift({ text, result });
    known.splice(few);
    return result;
  };
}

/** Whether two lists hold the same objects in the same order. */
export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
