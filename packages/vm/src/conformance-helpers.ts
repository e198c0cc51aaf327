import { Trap } from "./error.ts";
import type { Cpu, HelperFunction } from "./cpu.ts";

/** The functions that the conformance suites call, by number: those that uBPF's test program registers. */
export const ubpfHelpers: ReadonlyMap<number, HelperFunction> = new Map<number, HelperFunction>([
  [0, (cpu) => [1, 2, 3, 4, 5].reduce((sum, register) => (sum << 8n) | (cpu.u64(register) & 0xffn), 0n)],
  [1, memfrob],
  [2, () => 0],
  [3, (cpu) => BigInt(Math.floor(Math.sqrt(Number(cpu.u64(1)))))],
  [4, compareStrings],
  [5, unwind],
]);

function memfrob(cpu: Cpu): number {
  const address = cpu.pointer(1);
  const size = cpu.u32(2);
  cpu.memory.check(address, size, true);
  for (let i = 0; i < size; i++) cpu.memory.bytes[address + i] = (cpu.memory.bytes[address + i] ?? 0) ^ 42;
  return 0;
}

function compareStrings(cpu: Cpu): number {
  for (let i = 0; i < 4096; i++) {
    const a = cpu.memory.read(cpu.pointer(1) + i, 1)[0] ?? 0;
    const b = cpu.memory.read(cpu.pointer(2) + i, 1)[0] ?? 0;
    if (a !== b || a === 0) return a - b;
  }
  throw new Trap("argument", "a string without an end");
}

/** Ends the program where its argument is 0. */
function unwind(cpu: Cpu): bigint {
  const value = cpu.u64(1);
  if (value === 0n) cpu.end();
  return value;
}
