import type { VmMap } from "../maps/map.ts";
import type { RunState } from "../run-state.ts";
import type { Memory } from "../memory.ts";
import type { Region } from "../memory.ts";

/** What helpers need of the machine. */
export interface HelperMachine {
  readonly memory: Memory;
  readonly cpu: number;
  readonly state: RunState;
  /** Keys for callbacks stand here. */
  readonly scratch: Region;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  clock(): bigint;
  /** 32 random bits. */
  random(): number;
  /** The map of a handle; a `Trap` where it is none. */
  map(handle: number): VmMap;
}
