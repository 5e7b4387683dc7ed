// A map whose keys have several values each. Most have one, and that takes no set.

export class MultiMap<K, V extends string | object> {
  readonly #values = new Map<K, V | Set<V>>();

  has(key: K): boolean {
    return this.#values.has(key);
  }

  /** The values of a key, in the order in which they were added. */
  get(key: K): Iterable<V> {
    const known = this.#values.get(key);
    if (known instanceof Set) return known;
    return known === undefined ? [] : [known];
  }

  add(key: K, value: V): void {
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, value);
    else if (known instanceof Set) known.add(value);
    else if (known !== value) this.#values.set(key, new Set([known, value]));
  }

  delete(key: K, value: V): void {
    const known = this.#values.get(key);
    if (known instanceof Set) {
      known.delete(value);
      if (known.size === 0) this.#values.delete(key);
    } else if (known === value) this.#values.delete(key);
  }

  clear(): void {
    this.#values.clear();
  }
}
