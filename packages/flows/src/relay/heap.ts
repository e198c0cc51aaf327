/** A binary heap: the least by `before` comes first, equals in the order in which they came. */
export class Heap<T> {
  readonly #items: { readonly value: T; readonly turn: number }[] = [];
  readonly #before: (a: T, b: T) => boolean;
  #turns = 0;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  #less(a: number, b: number): boolean {
    const [left, right] = [this.#items[a], this.#items[b]];
    if (!left || !right) return false;
    if (this.#before(left.value, right.value)) return true;
    return !this.#before(right.value, left.value) && left.turn < right.turn;
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#items[a], this.#items[b]];
    if (!left || !right) return;
    this.#items[a] = right;
    this.#items[b] = left;
  }

  push(value: T): void {
    this.#items.push({ value, turn: this.#turns++ });
    for (let at = this.#items.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#less(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (!first || !last || this.#items.length === 0) return first?.value;
    this.#items[0] = last;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const least = this.#less(right, left) ? right : left;
      if (!this.#less(least, at)) return first.value;
      this.#swap(least, at);
      at = least;
    }
  }
}
