import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import { RingMap } from "../maps/ring.ts";
import type { VmMap } from "../maps/map.ts";
import type { HelperMachine } from "./machine.ts";

/** Helpers on maps and rings (kernel/bpf/helpers.c, ringbuf.c), by number. */
export function mapHelpers(machine: HelperMachine): readonly (readonly [number, HelperFunction])[] {
  const { memory } = machine;
  const mapOf = (cpu: Cpu, register: number): VmMap => machine.map(cpu.pointer(register));
  const keyOf = (cpu: Cpu, map: VmMap): Uint8Array => memory.read(cpu.pointer(2), map.spec.keySize);
  const valueAt = (cpu: Cpu, register: number, map: VmMap) => memory.read(cpu.pointer(register), map.spec.valueSize);
  const pop = (keep: boolean) => (cpu: Cpu) => {
    const map = mapOf(cpu, 1);
    return map.pop(memory.check(cpu.pointer(2), map.spec.valueSize, true), keep);
  };
  return [
    [1, (cpu) => lookup(mapOf(cpu, 1), cpu, keyOf)],
    [
      2,
      (cpu) => {
        const map = mapOf(cpu, 1);
        return map.update(keyOf(cpu, map).slice(), valueAt(cpu, 3, map).slice(), cpu.u64(4));
      },
    ],
    [3, (cpu) => remove(mapOf(cpu, 1), cpu, keyOf)],
    [12, (cpu) => tailCall(cpu, mapOf(cpu, 2))],
    [
      87,
      (cpu) => {
        const map = mapOf(cpu, 1);
        return map.push(valueAt(cpu, 2, map), cpu.u64(3));
      },
    ],
    [88, pop(false)],
    [89, pop(true)],
    [164, (cpu) => forEach(machine, cpu, mapOf(cpu, 1))],
    [
      195,
      (cpu) => {
        const map = mapOf(cpu, 1);
        return map.lookupCpu(keyOf(cpu, map), cpu.u32(3));
      },
    ],
    ...ringHelpers(machine),
  ];
}

function lookup(map: VmMap, cpu: Cpu, keyOf: (cpu: Cpu, map: VmMap) => Uint8Array): number {
  return map.lookup(keyOf(cpu, map));
}

function remove(map: VmMap, cpu: Cpu, keyOf: (cpu: Cpu, map: VmMap) => Uint8Array): number {
  return map.remove(keyOf(cpu, map));
}

/** A tail call that cannot be made goes on behind the call, with r0 as the JIT leaves it; programs do not read it. */
function tailCall(cpu: Cpu, map: VmMap): number {
  const program = map.programAt(cpu.u32(3));
  if (program === null) return -errno.ENOENT;
  return cpu.tailCall(program) ? 0 : -errno.ENOENT;
}

/** bpf_for_each_map_elem: calls back with map, key, value, context; gives how many were visited. */
function forEach(machine: HelperMachine, cpu: Cpu, map: VmMap): number {
  const callback = cpu.pointer(2);
  const context = cpu.u32(3);
  if (cpu.u64(4) !== 0n) return -errno.EINVAL;
  const keyAt = machine.scratch.base;
  let visited = 0;
  for (const key of [...map.keys()]) {
    const value = map.lookup(key);
    if (value === 0) continue;
    machine.memory.write(keyAt, key);
    visited++;
    if (cpu.callback(callback, [map.handle, keyAt, value, context]) !== 0) break;
  }
  return visited;
}

function ringHelpers(machine: HelperMachine): readonly (readonly [number, HelperFunction])[] {
  const ringOf = (cpu: Cpu): RingMap => {
    const map = machine.map(cpu.pointer(1));
    if (!(map instanceof RingMap)) throw new Trap("argument", `map ${map.spec.name} is no ring`);
    return map;
  };
  // A record belongs to one of the rings; its address says to which.
  const rings = new Set<RingMap>();
  const finish = (discard: boolean) => (cpu: Cpu) => {
    const address = cpu.pointer(1);
    for (const ring of rings) if (ring.finish(address, discard)) return 0;
    throw new Trap("argument", `0x${address.toString(16)} is no reserved record`);
  };
  return [
    [130, (cpu) => ringOf(cpu).output(machine.memory.read(cpu.pointer(2), cpu.u32(3)), cpu.u64(4))],
    [
      131,
      (cpu) => {
        const ring = ringOf(cpu);
        rings.add(ring);
        return ring.reserve(cpu.u32(2), cpu.u64(3));
      },
    ],
    [132, finish(false)],
    [133, finish(true)],
    [134, (cpu) => ringOf(cpu).query(cpu.u64(2))],
  ];
}
