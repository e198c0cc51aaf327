import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import type { Memory } from "../memory.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { mapOf } from "./machine.ts";

/** BPF_MAX_LOOPS */
const MAX_LOOPS = 8 * 1024 * 1024;

/** Time, chance, loops, memory, checksums, timers: what every program type has, by number. */
export function coreHelpers(machine: HelperMachine): HelperRows {
  const probe: HelperFunction = (cpu) => probeRead(machine, cpu);
  const probeText: HelperFunction = (cpu) => probeString(machine, cpu);
  return [
    ...([4, 112, 113, 148] as const).map((id) => [id, probe] as const),
    ...([45, 114, 115] as const).map((id) => [id, probeText] as const),
    [5, () => machine.clock("monotonic")],
    [7, () => machine.random() >>> 0],
    [8, () => machine.cpu],
    [28, (cpu) => checksumDifference(machine, cpu)],
    [42, () => 0],
    [93, () => 0],
    [94, () => 0],
    // HZ is 250 in common configurations.
    [118, () => machine.clock("monotonic") / 4_000_000n],
    [125, () => machine.clock("boottime")],
    [153, (cpu) => (cpu.u32(2) < machine.cpus ? machine.heap.ofCpu(cpu.pointer(1), cpu.u32(2)) : 0)],
    [154, (cpu) => machine.heap.ofCpu(cpu.pointer(1), machine.cpu)],
    [160, () => machine.clock("coarse")],
    [181, loop],
    [194, (cpu) => exchangePointer(machine, cpu)],
    [208, () => machine.clock("tai")],
    ...timerHelpers(machine),
  ];
}

const ABSOLUTE = 1n;
const PIN = 2n;

function timerHelpers(machine: HelperMachine): HelperRows {
  const { timers } = machine;
  return [
    [169, (cpu) => timers.init(cpu.pointer(1), mapOf(machine, cpu, 2))],
    [170, (cpu) => timers.setCallback(cpu.pointer(1), { address: cpu.pointer(2), code: machine.engineCode(cpu) })],
    [
      171,
      (cpu) => {
        const flags = cpu.u64(3);
        if ((flags & ~(ABSOLUTE | PIN)) !== 0n) return -errno.EINVAL;
        const from = (flags & ABSOLUTE) === 0n ? machine.clock("monotonic") : 0n;
        return timers.start(cpu.pointer(1), from + cpu.u64(2), machine.scratch.base);
      },
    ],
    [172, (cpu) => timers.cancel(cpu.pointer(1))],
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
  if (size === 0) return 0;
  const to = memory.check(cpu.pointer(1), size, true);
  const from = cpu.u64(3);
  if (from <= 0xffff_ffffn && memory.allows(Number(from), size, false)) {
    memory.bytes.copyWithin(to, Number(from), Number(from) + size);
    return 0;
  }
  memory.bytes.fill(0, to, to + size);
  return -errno.EFAULT;
}

/** bpf_probe_read_str: the length with its zero. */
function probeString(machine: HelperMachine, cpu: Cpu): number {
  const { memory } = machine;
  const size = cpu.u32(2);
  if (size === 0) return 0;
  const to = memory.check(cpu.pointer(1), size, true);
  const from = Number(BigInt.asUintN(53, cpu.u64(3)));
  for (let i = 0; i < size; i++) {
    if (!memory.allows(from + i, 1, false)) {
      memory.bytes.fill(0, to, to + size);
      return -errno.EFAULT;
    }
    const byte = i === size - 1 ? 0 : (memory.bytes[from + i] ?? 0);
    memory.bytes[to + i] = byte;
    if (byte === 0) return i + 1;
  }
  throw new Trap("argument", "a string without an end");
}

/** bpf_kptr_xchg: the pointer that stood there. */
function exchangePointer(machine: HelperMachine, cpu: Cpu): bigint {
  const at = machine.memory.check(cpu.pointer(1), 8, true);
  const old = machine.memory.view.getBigUint64(at, true);
  machine.memory.view.setBigUint64(at, cpu.u64(2), true);
  return old;
}

/** One's complement sum of 16-bit words in memory's order, 32 bits. */
export function partialSum(bytes: Uint8Array, seed: number, { from = 0, to = bytes.length } = {}): number {
  let sum = seed >>> 0;
  for (let i = from; i < to; i += 2) {
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
  if (fromSize === 0) return foldSum(sumAt(machine.memory, cpu.pointer(3), { size: toSize, seed }));
  if (toSize === 0) {
    return foldSum(~sumAt(machine.memory, cpu.pointer(1), { size: fromSize, seed: ~seed >>> 0 }) >>> 0);
  }
  const removed = sumAt(machine.memory, cpu.pointer(1), { size: fromSize, seed: 0 });
  return foldSum(sumAt(machine.memory, cpu.pointer(3), { size: toSize, seed }) + (~removed >>> 0));
}

function sumAt(memory: Memory, address: number, { size, seed }: { size: number; seed: number }): number {
  if (size === 0) return seed;
  const from = memory.check(address, size, false);
  return partialSum(memory.bytes, seed, { from, to: from + size });
}
