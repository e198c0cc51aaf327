/**
 * @module
 * What has changed since it was last looked at, so that a change costs by what it changes.
 */

/** Keys to look at; at first, and where that is easier said, all of them. */
export class Touched<K> {
  #all = true;
  readonly #keys = new Set<K>();

  add(...keys: readonly K[]): void {
    if (!this.#all) for (const key of keys) this.#keys.add(key);
  }

  addAll(): void {
    this.#all = true;
    this.#keys.clear();
  }

  /** Since this was asked last; null: all. */
  take(): readonly K[] | null {
    const keys = this.#all ? null : [...this.#keys];
    this.#all = false;
    this.#keys.clear();
    return keys;
  }
}
