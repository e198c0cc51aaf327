/** The newest rows, up to a bound: what falls out is counted. */
export class Held<T> {
  readonly capacity: number;
  #rows: (T | undefined)[] = [];
  /** Where the oldest stands, once the bound is reached. */
  #start = 0;
  #dropped = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`room for ${capacity} rows`);
    this.capacity = capacity;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Rows that fell out. */
  get dropped(): number {
    return this.#dropped;
  }

  push(row: T): void {
    if (this.#rows.length < this.capacity) {
      this.#rows.push(row);
      return;
    }
    this.#rows[this.#start] = row;
    this.#start = (this.#start + 1) % this.capacity;
    this.#dropped += 1;
  }

  /** From the oldest; undefined outside. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#rows.length) return undefined;
    return this.#rows[(this.#start + index) % this.#rows.length];
  }

  /** From the newest. */
  fromNewest(index: number): T | undefined {
    return this.at(this.#rows.length - 1 - index);
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#rows.length; i++) {
      const row = this.at(i);
      if (row !== undefined) yield row;
    }
  }

  clear(): void {
    this.#rows = [];
    this.#start = 0;
    this.#dropped = 0;
  }
}
