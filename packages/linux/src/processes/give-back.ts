/**
 * @module
 * This process's memory that is not in use, back to the kernel: what a large load leaves behind stays the process's otherwise.
 */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MADV, rawSyscall, trimAllocator } from "../sys/index.ts";

interface Region {
  readonly start: bigint;
  readonly length: number;
}

/** Of the program's file, mapped and never written: the kernel maps again what is used again (/proc/[pid]/smaps in proc(5)). */
function cleanRegions(file: string): Region[] {
  const found: Region[] = [];
  let region: Region | null = null;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-.p \S+ \S+ \d+\s+(.*)$/.exec(line);
    if (head) {
      const [start, end] = [BigInt(`0x${head[1] ?? ""}`), BigInt(`0x${head[2] ?? ""}`)];
      region = head[3] === file ? { start, length: Number(end - start) } : null;
    } else if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) region = null;
    // Pages of its own would be lost: those of the file come again.
    else if (region && /^Anonymous:\s+0 kB$/.test(line)) found.push(region);
  }
  return found;
}

let collect: (() => void) | null = null;

/** Collects garbage, and gives back what the allocator holds and the pages of the program that are mapped. Takes some tenths of a second. */
export function giveBackMemory(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
    setFlagsFromString("--no-expose-gc");
  }
  collect();
  trimAllocator();
  // A kernel that refuses it leaves all as it was.
  for (const { start, length } of cleanRegions(process.execPath)) rawSyscall("madvise", start, length, MADV.DONTNEED);
}
