/**
 * @module
 * How full the tables of flows are, and taking out of them what is over.
 */
import type { Machine, RawMap } from "@skep/machine";
import { Collection } from "./bpf/gc.bpf.ts";
import type { TableUse } from "./datapath.ts";
import { encodeU32 } from "./encode.ts";
import { open } from "./tables/table.ts";

/** By their places in `skep_gc`. */
export const COLLECTED = ["skep_ct", "skep_nat"] as const;

/** A packet that a test run takes: the program does not look at it. */
export const ANY_FRAME = new Uint8Array(64);

/** As the last look found them. */
export function tableUses(state: RawMap, capacityOf: (name: string) => number): TableUse[] {
  return COLLECTED.map((name, place) => {
    const value = state.get(encodeU32(place));
    if (!value) throw new Error("skep_gc holds no state of its tables");
    const { alive, removed, emergencies, emergencyRemoved, refused } = Collection.decode(value);
    return {
      ...{ name, capacity: capacityOf(name), alive: Number(alive), removed: Number(removed) },
      ...{ emergencies: Number(emergencies), emergencyRemoved: Number(emergencyRemoved), refused: Number(refused) },
    };
  });
}

/**
 * Empties a pinned table of flows: what is open is judged anew, as if it had just begun. How many entries went; null where no datapath is
 * pinned there.
 */
export function flushTable(machine: Pick<Machine, "bpf">, pins: string, name: "skep_ct" | "skep_nat"): number | null {
  const map = open(machine.bpf, pins, name);
  if (!map) return null;
  try {
    const keys = [...map.entries()].map(([key]) => key);
    map.deleteAll(keys);
    return keys.length;
  } finally {
    map.close();
  }
}
