/**
 * @module
 * Memory that a large change leaves behind is given back once things are quiet.
 */

/** Between the last change and the look. */
const QUIET_MS = 5000;
/** A process that has grown by less is left alone: looking for what can be given back stops everything else for a moment. */
const GROWN_BYTES = 16 << 20;
/** Between two times. */
const BETWEEN_MS = 60_000;

export class Memory {
  readonly #giveBack: () => void;
  #timer: NodeJS.Timeout | undefined;
  #left = 0;
  #last = -BETWEEN_MS;
  /** When the first change came that nobody has looked at; null: there is none. */
  #since: number | null = null;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  /** Something has been read or written. */
  changed(): void {
    clearTimeout(this.#timer);
    const now = performance.now();
    this.#since ??= now;
    // Changes without an end are not waited for.
    const quiet = Math.min(QUIET_MS, this.#since + BETWEEN_MS - now);
    const wait = Math.max(quiet, this.#last + BETWEEN_MS - now, 0);
    this.#timer = setTimeout(() => this.#look(), wait).unref();
  }

  #look(): void {
    this.#since = null;
    if (process.memoryUsage.rss() - this.#left < GROWN_BYTES) return;
    this.#giveBack();
    this.#left = process.memoryUsage.rss();
    this.#last = performance.now();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
