/**
 * @module
 * Steps that are taken back when a later one fails.
 */
export class Undo {
  readonly #steps: (() => void)[] = [];
  readonly #ends: (() => void)[] = [];
  #isDone = false;

  /** Takes the step back that has just been taken. Nothing is remembered once all is done. */
  push(back: () => void): void {
    if (!this.#isDone) this.#steps.push(back);
  }

  /** Runs in the end, whether steps were taken back or not. */
  onEnd(run: () => void): void {
    this.#ends.push(run);
  }

  /** The steps stay. */
  done(): void {
    this.#isDone = true;
    this.#steps.length = 0;
    for (const run of this.#ends.splice(0)) run();
  }

  /** The last step first. Gives the error back, or with it what could not be taken back. */
  back(error: unknown): unknown {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    this.done();
    if (failures.length === 0) return error;
    return new AggregateError(
      [error, ...failures],
      `${textOf(error)}; not taken back: ${failures.map(textOf).join("; ")}`,
    );
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
