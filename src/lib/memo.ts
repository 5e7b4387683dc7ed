// The one memory: what was made of an object is given again for the same object.

/** What was made of each object. What nobody holds any more is forgotten. */
export class Memory<K extends object, V> {
  readonly #made = new WeakMap<K, { readonly value: V }>();

  /** What was made of the object, or is now. `make` must give the same for the same object. */
  of(key: K, make: (key: K) => V): V {
    const before = this.#made.get(key);
    if (before !== undefined) return before.value;
    const value = make(key);
    this.#made.set(key, { value });
    return value;
  }
}
