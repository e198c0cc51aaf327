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

/** The same for several who look, each in its own time. */
export class Readers<K> {
  readonly #readers: Touched<K>[] = [];

  /** Its first look is at all. */
  reader(): Touched<K> {
    const reader = new Touched<K>();
    this.#readers.push(reader);
    return reader;
  }

  add(key: K): void {
    for (const reader of this.#readers) reader.add(key);
  }

  addAll(): void {
    for (const reader of this.#readers) reader.addAll();
  }
}
