/**
 * @module
 * Numbers for keys: each new key gets the next one, so that a released number rests as long as possible.
 */
import { ChangeLog } from "../number-changes.ts";
import { NumberSet } from "./number-set.ts";

export interface NumbersSnapshot {
  readonly next: number;
  readonly ids: readonly (readonly [key: string, id: number])[];
}

export class Numbers {
  /** Of the snapshot's `ids`. */
  readonly changes = new ChangeLog();
  readonly #last: number;
  readonly #ids = new Map<string, number>();
  readonly #used = new NumberSet();
  /** Of an earlier life: kept for who had them until `forget`. */
  readonly #remembered = new Map<string, number>();
  #next = 1;

  /** Numbers from 1 to `last`. */
  constructor(last: number) {
    this.#last = last;
  }

  get(key: string): number | null {
    return this.#ids.get(key) ?? null;
  }

  /** Null where all are in use. */
  acquire(key: string): number | null {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#remembered.get(key) ?? this.#free();
    if (id === null) return null;
    if (!this.#remembered.delete(key)) this.changes.note(key, id);
    this.#ids.set(key, id);
    this.#used.add(id);
    return id;
  }

  #free(): number | null {
    if (this.#used.size >= this.#last) return null;
    while (this.#used.has(this.#next)) this.#step();
    const id = this.#next;
    this.#step();
    return id;
  }

  #step(): void {
    this.#next = this.#next === this.#last ? 1 : this.#next + 1;
  }

  release(key: string): void {
    const id = this.#ids.get(key);
    if (id === undefined) return;
    this.#ids.delete(key);
    this.#used.delete(id);
    this.changes.note(key, null);
  }

  get position(): number {
    return this.#next;
  }

  snapshot(): NumbersSnapshot {
    return { next: this.#next, ids: [...this.#ids, ...this.#remembered] };
  }

  restore({ next, ids }: NumbersSnapshot): void {
    this.#next = next >= 1 && next <= this.#last ? next : 1;
    for (const [key, id] of ids) {
      if (this.#used.has(id) || this.#ids.has(key) || id < 1 || id > this.#last) continue;
      this.#remembered.set(key, id);
      this.#used.add(id);
    }
  }

  /** Numbers that nobody has claimed since they were restored are free. */
  forget(): void {
    for (const [key, id] of this.#remembered) {
      this.#used.delete(id);
      this.changes.note(key, null);
    }
    this.#remembered.clear();
  }
}
