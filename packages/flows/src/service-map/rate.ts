/** Seconds over which a rate is the mean. */
const WINDOW = 10;

/** Events a second over the last ten seconds, by the times of the events. */
export class Rate {
  readonly #counts = new Uint32Array(WINDOW);
  #second = 0;

  /** `second`: since 1970. What is older than the window does not count. */
  add(second: number): void {
    this.#advance(second);
    if (second <= this.#second - WINDOW) return;
    const at = second % WINDOW;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  get(second: number): number {
    this.#advance(second);
    return this.#counts.reduce((sum, each) => sum + each, 0) / WINDOW;
  }

  #advance(second: number): void {
    if (second <= this.#second) return;
    if (second - this.#second >= WINDOW) this.#counts.fill(0);
    else for (let each = this.#second + 1; each <= second; each++) this.#counts[each % WINDOW] = 0;
    this.#second = second;
  }
}
