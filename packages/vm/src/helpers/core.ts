import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import type { HelperMachine } from "./machine.ts";

/** BPF_MAX_LOOPS */
const MAX_LOOPS = 8 * 1024 * 1024;

/** Time, chance, loops, memory, checksums: what every program type has, by number. */
export function coreHelpers(machine: HelperMachine): readonly (readonly [number, HelperFunction])[] {
  const clock: HelperFunction = () => machine.clock();
  const probe: HelperFunction = (cpu) => probeRead(machine, cpu);
  return [
    [4, probe],
    [5, clock],
    [6, (cpu) => print(machine, cpu)],
    [7, () => machine.random() >>> 0],
    [8, () => machine.cpu],
    [28, (cpu) => checksumDifference(machine, cpu)],
    [42, () => 0],
    [93, () => 0],
    [94, () => 0],
    [113, probe],
    [125, clock],
    [160, clock],
    [181, loop],
    [182, (cpu) => compare(machine, cpu)],
    [208, clock],
  ];
}

/** bpf_loop (kernel/bpf/bpf_iter.c): how many rounds were begun. */
function loop(cpu: Cpu): number {
  const rounds = cpu.u32(1);
  const callback = cpu.pointer(2);
  const context = cpu.u32(3);
  if (cpu.u64(4) !== 0n) return -errno.EINVAL;
  if (rounds > MAX_LOOPS) return -errno.E2BIG;
  for (let i = 0; i < rounds; i++) {
    if (cpu.callback(callback, [i, context]) !== 0) return i + 1;
  }
  return rounds;
}

/** A fault zeroes what it was to fill. */
function probeRead(machine: HelperMachine, cpu: Cpu): number {
  const { memory } = machine;
  const size = cpu.u32(2);
  const to = memory.check(cpu.pointer(1), size, true);
  try {
    memory.bytes.copyWithin(to, memory.check(cpu.pointer(3), size, false), cpu.pointer(3) + size);
    return 0;
  } catch (error) {
    if (!(error instanceof Trap)) throw error;
    memory.bytes.fill(0, to, to + size);
    return -errno.EFAULT;
  }
}

/** bpf_strncmp: the first string has at most r2 bytes, the second ends with zero. */
function compare(machine: HelperMachine, cpu: Cpu): number {
  const limit = cpu.u32(2);
  for (let i = 0; i < limit; i++) {
    const a = machine.memory.read(cpu.pointer(1) + i, 1)[0] ?? 0;
    const b = machine.memory.read(cpu.pointer(3) + i, 1)[0] ?? 0;
    if (a !== b) return a < b ? -1 : 1;
    if (a === 0) return 0;
  }
  return 0;
}

/** One's complement sum of 16-bit words in memory's order, 32 bits. */
export function partialSum(bytes: Uint8Array, seed: number): number {
  let sum = seed >>> 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
    if (sum > 0xffff_ffff) sum -= 0xffff_ffff;
  }
  return sum;
}

export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return folded;
}

/** bpf_csum_diff, net/core/filter.c since 6.13: folded to 16 bits. */
function checksumDifference(machine: HelperMachine, cpu: Cpu): number {
  const fromSize = cpu.u32(2);
  const toSize = cpu.u32(4);
  const seed = cpu.u32(5);
  if (((fromSize | toSize) & 3) !== 0) return -errno.EINVAL;
  const sumOf = (register: number, size: number, start: number) =>
    size === 0 ? start : partialSum(machine.memory.read(cpu.pointer(register), size), start);
  if (fromSize === 0) return foldSum(sumOf(3, toSize, seed));
  if (toSize === 0) return foldSum(~sumOf(1, fromSize, ~seed >>> 0) >>> 0);
  return foldSum(sumOf(3, toSize, seed) + (~sumOf(1, fromSize, 0) >>> 0));
}

/** bpf_trace_printk: the text without what the kernel writes before it. */
function print(machine: HelperMachine, cpu: Cpu): number {
  const format = new TextDecoder().decode(machine.memory.read(cpu.pointer(1), cpu.u32(2))).replace(/\0.*$/s, "");
  let register = 3;
  const text = format.replace(/%(?:%|(l{0,2})([duxsp]))/g, (whole, long: string, kind: string) => {
    if (whole === "%%") return "%";
    const at = register++;
    if (at > 5) throw new Trap("argument", "a format with more than three values");
    if (kind === "s") return stringAt(machine, cpu.pointer(at));
    const value = long === "" && kind !== "p" ? BigInt(cpu.u32(at)) : cpu.u64(at);
    if (kind === "d") return String(BigInt.asIntN(long === "" ? 32 : 64, value));
    return value.toString(kind === "u" ? 10 : 16);
  });
  machine.state.prints.push(text);
  return text.length;
}

function stringAt(machine: HelperMachine, address: number): string {
  const bytes: number[] = [];
  for (let at = address; bytes.length < 512; at++) {
    const byte = machine.memory.read(at, 1)[0] ?? 0;
    if (byte === 0) break;
    bytes.push(byte);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
