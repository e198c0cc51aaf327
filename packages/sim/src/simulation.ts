/**
 * @module
 * One virtual time and one source of randomness for everything that is simulated together.
 */
import { VirtualClock } from "./clock.ts";
import { Random } from "./random.ts";

export interface SimulationOptions {
  /** Two runs with the same seed are the same, byte for byte. Default 1. */
  readonly seed?: number;
  /** Milliseconds since 1970 at the start. Default 1,700,000,000,000. */
  readonly epoch?: number;
  /**
   * Lets virtual time go on by itself: is handed a step to run as soon as the surroundings like (such as `setImmediate`). Without it time goes on
   * only in `run`.
   */
  readonly pump?: (step: () => void) => void;
}

/** The program waits for something that nothing will bring about. */
export class StandstillError extends Error {
  override readonly name = "StandstillError";
  constructor() {
    super("nothing is left to happen, and what is waited for has not happened");
  }
}

/** Rounds of microtasks that a chain of awaits may take before time goes on. */
const MICROTASKS = 64;

export class Simulation {
  readonly clock: VirtualClock;
  readonly random: Random;
  #pumping = false;

  constructor(options: SimulationOptions = {}) {
    this.clock = new VirtualClock({ epoch: options.epoch ?? 1_700_000_000_000, monotonic: 1_000_000_000_000n });
    this.random = new Random(options.seed ?? 1);
    const { pump } = options;
    if (pump) this.clock.watch(() => this.#pump(pump));
  }

  #pump(pump: (step: () => void) => void): void {
    if (this.#pumping) return;
    this.#pumping = true;
    pump(() => {
      this.#pumping = false;
      this.clock.step();
      if (this.clock.next() !== null) this.#pump(pump);
    });
  }

  /** Lets time go on until the promise is settled; gives what it gives. Throws StandstillError where nothing happens any more. */
  async run<T>(promise: Promise<T>): Promise<T> {
    const settled = { value: false };
    const done = (): void => {
      settled.value = true;
    };
    promise.then(done, done);
    for (;;) {
      for (let i = 0; i < MICROTASKS && !settled.value; i++) await Promise.resolve();
      if (settled.value) return promise;
      if (!this.clock.step()) throw new StandstillError();
    }
  }

  /** Resolves after that much virtual time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(ms, resolve));
  }

  /** Everything that is due within so many milliseconds happens. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.monotonic() + BigInt(Math.round(ms * 1_000_000));
    do for (let i = 0; i < MICROTASKS; i++) await Promise.resolve();
    while (this.clock.step(until));
    this.clock.skipTo(until);
  }
}
