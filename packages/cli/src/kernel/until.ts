/** Resolves after so many seconds (null: never), or when the user ends the command with Ctrl-C. */
export function secondsOrInterrupt(seconds: number | null): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      process.off("SIGINT", end);
      process.off("SIGTERM", end);
      clearTimeout(timer);
      resolve();
    };
    // An interval keeps the process alive where nothing else does.
    const timer = seconds === null ? setInterval(() => {}, 1 << 30) : setTimeout(end, seconds * 1000);
    process.once("SIGINT", end);
    process.once("SIGTERM", end);
  });
}

/** Ends a loop of events: after `limit` of them, or with Ctrl-C. */
export class Limit {
  readonly done: Promise<void>;
  #left: number;
  #end: () => void = () => {};

  /** `limit` null: only Ctrl-C. */
  constructor(limit: number | null) {
    this.#left = limit ?? Infinity;
    this.done = new Promise((resolve) => {
      const keepAlive = setInterval(() => {}, 1 << 30);
      this.#end = () => {
        clearInterval(keepAlive);
        process.off("SIGINT", this.#end);
        process.off("SIGTERM", this.#end);
        resolve();
      };
      process.once("SIGINT", this.#end);
      process.once("SIGTERM", this.#end);
      if (this.#left <= 0) this.#end();
    });
  }

  /** False once there were enough. */
  take(): boolean {
    if (this.#left <= 0) return false;
    if (--this.#left <= 0) this.#end();
    return true;
  }
}
