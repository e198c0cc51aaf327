import { rawSyscall } from "./library.ts";
import { Scratch } from "./memory.ts";
import { checked } from "./file.ts";

export const CLOCK = { REALTIME: 0, MONOTONIC: 1, BOOTTIME: 7, TAI: 11 } as const;

const time = new Scratch(16);

/** Nanoseconds of a clock (clock_gettime(2)). */
export function clockTime(clock: number): bigint {
  checked("clock_gettime", rawSyscall("clock_gettime", clock, time.address));
  return time.view.getBigInt64(0, true) * 1_000_000_000n + time.view.getBigInt64(8, true);
}
