/** A small generator of numbers for tests, the same on every run. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** What an operation gives, or the code that it fails with. */
export function outcome(run: () => unknown): string {
  try {
    const result = run();
    return result instanceof Uint8Array ? [...result].join(" ") : String(result);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
