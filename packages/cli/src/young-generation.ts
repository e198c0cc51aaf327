/**
 * @module
 * Memory of a process that runs for months: V8 lets the young generation grow with the load of the start, and gives nothing of it back.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is young stays at V8's first size, and what is old is collected before it has grown far. Asked for before anything large is made. */
export function keepYoungSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--optimize-for-size");
}

/** Gives the kernel back what the start has left behind: parsed documents, encoded rows. Costs tens of milliseconds. */
export function release(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as (options?: { type: "major" }) => void;
  setFlagsFromString("--no-expose-gc");
  collect();
}
