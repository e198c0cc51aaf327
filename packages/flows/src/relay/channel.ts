/**
 * Values of several producers for one consumer. A producer whose value is not taken yet waits: nobody reads faster than the consumer.
 */
export class Channel<T> {
  readonly #waiting: { readonly value: T; readonly taken: () => void }[] = [];
  #wake: (() => void) | null = null;

  /** Resolves when the value is taken. */
  send(value: T): Promise<void> {
    return new Promise((taken) => {
      this.#waiting.push({ value, taken });
      this.#wake?.();
      this.#wake = null;
    });
  }

  /** The next value at once; undefined where none waits. */
  take(): { readonly value: T } | undefined {
    const next = this.#waiting.shift();
    next?.taken();
    return next && { value: next.value };
  }

  /** Resolves when a value waits, at the signal, or after `milliseconds`. */
  ready(signal: AbortSignal, milliseconds: number | null): Promise<void> {
    if (this.#waiting.length > 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        if (this.#wake === end) this.#wake = null;
        resolve();
      };
      const timer = milliseconds === null ? undefined : setTimeout(end, milliseconds);
      signal.addEventListener("abort", end, { once: true });
      this.#wake = end;
    });
  }
}
