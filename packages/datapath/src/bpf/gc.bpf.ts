// Tables that outlive what stands in them: what is over is taken out by the agent's runs, and by whoever finds a table full.
import { array, config, struct, u32, u64, type Of } from "@skep/bpf";

/** Of one table. `alive` and `removed` are those of the last look at it. */
export const Collection = struct("Collection", {
  alive: u64,
  removed: u64,
  /** Looks because the table was full, and what they took out in all. */
  emergencies: u64,
  emergencyRemoved: u64,
  /** Packets for which there was no room. */
  refused: u64,
  /** Second of CLOCK_MONOTONIC before which a full table is not looked through again. */
  next: u32,
  pad: u32,
});
export type Collection = Of<typeof Collection>;

export const COLLECT_CONNECTIONS = 0;
export const COLLECT_MAPPINGS = 1;
export const collections = array("skep_gc", { value: Collection, maxEntries: 2 });

/** Seconds between two looks through a full table: each goes over all of it. */
export const emergencyInterval = config("gc_emergency_interval", u32, 1);

/** Whether a table that is full may be looked through now. */
export function mayCollect(state: Collection, now: u32): boolean {
  state.refused += 1n;
  if (now < state.next) return false;
  state.next = now + emergencyInterval.value;
  return true;
}

/** So little was over that what nobody has answered goes too. */
export function isTight(state: Collection): boolean {
  return state.removed <= state.alive >> 6n;
}

/** After a look because there was no room. */
export function noteEmergency(state: Collection): void {
  state.emergencies += 1n;
  state.emergencyRemoved += state.removed;
}
