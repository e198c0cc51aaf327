import { readFileSync } from "node:fs";

/** Numbers of a kernel list such as `0-3,8`. */
export function parseCpuList(text: string): number[] {
  const numbers: number[] = [];
  for (const part of text.trim().split(",")) {
    if (part === "") continue;
    const [first, last] = part.split("-").map(Number);
    if (first === undefined || !Number.isInteger(first)) throw new SyntaxError(`no list of processors: ${text}`);
    for (let cpu = first; cpu <= (last ?? first); cpu++) numbers.push(cpu);
  }
  return numbers;
}

let possible: number | undefined;

/** How many values a per-CPU map holds under one key: the possible CPUs, whether they are there or not. Fixed since boot. */
export function possibleCpus(): number {
  possible ??= parseCpuList(readFileSync("/sys/devices/system/cpu/possible", "utf8")).length;
  return possible;
}

export function onlineCpus(): number[] {
  return parseCpuList(readFileSync("/sys/devices/system/cpu/online", "utf8"));
}
