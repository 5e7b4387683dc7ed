// Remembering what was made, and telling whether it can be used again.

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
