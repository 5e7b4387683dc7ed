// A cache of values that are made from objects.

/** One value for each object. When nothing else holds the object, its value is dropped too. */
export class WeakCache<K extends object, V> {
  readonly #values = new WeakMap<K, { readonly value: V }>();

  /** The cached value of the object, or a new one. `make` must give equal values for one object. */
  get(key: K, make: (key: K) => V): V {
    const cached = this.#values.get(key);
    if (cached !== undefined) return cached.value;
    const value = make(key);
    this.#values.set(key, { value });
    return value;
  }
}
