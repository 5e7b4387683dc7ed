// A cache of values that are made from objects.

import { align, listDifference } from "./lists.ts";

/**
 * One value for each object. When nothing else holds the object, its value is dropped too. Only the
 * objects of the last list given to `getAll` are kept.
 */
export class WeakCache<K extends object, V> {
  readonly #values = new WeakMap<K, V>();
  #lastKeys: readonly K[] = [];
  #lastValues: readonly V[] = [];

  /** The cached value of the object, or a new one. `make` must give equal values for one object. */
  get(key: K, make: (key: K) => V): V {
    const cached = this.#values.get(key);
    // It may be the value.
    if (cached !== undefined || this.#values.has(key)) return cached as V;
    const value = make(key);
    this.#values.set(key, value);
    return value;
  }

  /**
   * The values of all objects of a list. The list mostly equals the one before. What both begin and
   * end with costs no look-up. The list must not be changed afterwards.
   */
  getAll(keys: readonly K[], make: (key: K) => V): readonly V[] {
    const { start, before, after } = listDifference(this.#lastKeys, keys);
    const between = keys.slice(start, after).map((key) => this.get(key, make));
    if (before > start || between.length > 0) {
      const last = this.#lastValues;
      this.#lastValues = [...last.slice(0, start), ...between, ...last.slice(before)];
    }
    this.#lastKeys = keys;
    return this.#lastValues;
  }
}

/**
 * One value for each object of the last list, and no others: for thousands of objects it takes half the
 * memory of a `WeakCache`. Equal lists, one after the other, cost no look-up.
 */
export class ListCache<K extends object, V> {
  #lastKeys: readonly K[] = [];
  #lastValues: readonly V[] = [];

  /**
   * The values of all objects of a list. None is in it twice, and it must not be changed afterwards.
   * @param make must give equal values for one object
   */
  getAll(keys: readonly K[], make: (key: K) => V): readonly V[] {
    const last = this.#lastValues;
    const { places, isSame } = align(this.#lastKeys, keys);
    if (!isSame) {
      this.#lastValues = keys.map((key, index) => {
        const place = places[index] ?? -1;
        return place < 0 ? make(key) : (last[place] as V);
      });
    }
    this.#lastKeys = keys;
    return this.#lastValues;
  }
}
