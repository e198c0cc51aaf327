import { readFileSync } from "node:fs";
import { Descriptor } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";
import { needCapabilities } from "./capabilities.ts";

export interface Counting {
  /** Counting ends when the last one who asked for it closes. */
  close(): void;
}

/** Counts runs and their time of every program (BPF_ENABLE_STATS) until closed. The numbers are in the programs' `refresh()`. */
export function enableStatistics(): Counting {
  needCapabilities("counting the runs of programs", "CAP_SYS_ADMIN");
  const BPF_STATS_RUN_TIME = 0;
  return new Descriptor(new Attributes().u32(0, BPF_STATS_RUN_TIME).run("enable_stats"), "statistics");
}

/** Bytes of kernel memory that a map or program takes, from its fdinfo; null where the kernel does not tell. */
export function memoryOf(fd: number): number | null {
  return fdInfo(fd)["memlock"] ?? null;
}

/** The numbers of /proc/self/fdinfo. */
export function fdInfo(fd: number): Readonly<Record<string, number>> {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  const pairs = text.split("\n").flatMap((line) => {
    const [name, value] = line.split(":", 2);
    const number = Number(value);
    return name && value !== undefined && !Number.isNaN(number) ? [[name, number] as const] : [];
  });
  return Object.fromEntries(pairs);
}
