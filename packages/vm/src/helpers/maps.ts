import type { Cpu } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import { RingMap } from "../maps/ring.ts";
import { UserRingMap } from "../maps/user-ring.ts";
import type { VmMap } from "../maps/map.ts";
import { clearDynptr, dynptrKind, needDynptr, writeDynptr } from "./dynptr.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { mapOf } from "./machine.ts";

/** Helpers on maps, rings and dynptrs (kernel/bpf/helpers.c, ringbuf.c, net/core/filter.c), by number. */
export function mapHelpers(machine: HelperMachine): HelperRows {
  const { memory } = machine;
  const keyOf = (cpu: Cpu, map: VmMap): Uint8Array => memory.read(cpu.pointer(2), map.spec.keySize);
  const valueAt = (cpu: Cpu, register: number, map: VmMap) => memory.read(cpu.pointer(register), map.spec.valueSize);
  const pop = (keep: boolean) => (cpu: Cpu) => {
    const map = mapOf(machine, cpu, 1);
    return map.pop(memory.check(cpu.pointer(2), map.spec.valueSize, !keep), keep);
  };
  const update = (cpu: Cpu): number => {
    const map = mapOf(machine, cpu, 1);
    return map.update(keyOf(cpu, map).slice(), valueAt(cpu, 3, map).slice(), cpu.u64(4));
  };
  const withKey = (run: (map: VmMap, key: Uint8Array, cpu: Cpu) => number) => (cpu: Cpu) => {
    const map = mapOf(machine, cpu, 1);
    return run(map, keyOf(cpu, map), cpu);
  };
  return [
    [1, withKey((map, key) => map.lookup(key))],
    [2, update],
    [3, withKey((map, key) => map.remove(key))],
    [12, (cpu) => tailCall(cpu, mapOf(machine, cpu, 2))],
    [25, (cpu) => perfOutput(machine, cpu)],
    [87, pushHelper(machine)],
    [88, pop(false)],
    [89, pop(true)],
    [111, (cpu) => perfOutput(machine, cpu)],
    [121, (cpu) => perfOutput(machine, cpu)],
    [164, (cpu) => forEach(machine, cpu, mapOf(machine, cpu, 1))],
    [195, withKey((map, key, cpu) => map.lookupCpu(key, cpu.u32(3)))],
    [209, (cpu) => drainUserRing(machine, cpu)],
    ...ringHelpers(machine),
    ...dynptrHelpers(machine),
  ];
}

function pushHelper(machine: HelperMachine): (cpu: Cpu) => number {
  return (cpu) => {
    const map = mapOf(machine, cpu, 1);
    return map.push(machine.memory.read(cpu.pointer(2), map.spec.valueSize), cpu.u64(3));
  };
}

/** A tail call that cannot be made goes on behind the call, with r0 as the JIT leaves it; programs do not read it. */
function tailCall(cpu: Cpu, map: VmMap): number {
  const program = map.programAt(cpu.u32(3));
  if (program === null) return -errno.ENOENT;
  return cpu.tailCall(program) ? 0 : -errno.ENOENT;
}

/** BPF_F_CURRENT_CPU */
const CURRENT = 0xffff_ffffn;

/** bpf_perf_event_output; of packets also so many of their bytes as the upper half of the flags says. */
function perfOutput(machine: HelperMachine, cpu: Cpu): number {
  const map = mapOf(machine, cpu, 2);
  const flags = cpu.u64(3);
  const packetBytes = Number((flags >> 32n) & 0xf_ffffn);
  if ((flags & ~0xf_ffff_ffff_ffffn) !== 0n) return -errno.EINVAL;
  const { state, memory, host } = machine;
  if (packetBytes > 0 && (state.shape === null || packetBytes > state.length)) return -errno.EFAULT;
  const index = (flags & CURRENT) === CURRENT ? machine.cpu : Number(flags & CURRENT);
  if (index >= map.spec.maxEntries) return -errno.E2BIG;
  if (host.perfOutput === undefined) return -errno.ENOENT;
  const own = memory.read(cpu.pointer(4), cpu.u32(5));
  const data = new Uint8Array(own.length + packetBytes);
  data.set(own);
  data.set(memory.bytes.subarray(state.data, state.data + packetBytes), own.length);
  return host.perfOutput(map, index, data);
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

/** BPF_MAX_USER_RINGBUF_SAMPLES */
const MAX_SAMPLES = 128 * 1024;

/** bpf_user_ringbuf_drain: calls back with a dynptr per sample. */
function drainUserRing(machine: HelperMachine, cpu: Cpu): number {
  const map = mapOf(machine, cpu, 1);
  const callback = cpu.pointer(2);
  const context = cpu.u32(3);
  if ((cpu.u64(4) & ~3n) !== 0n) return -errno.EINVAL;
  if (!(map instanceof UserRingMap)) throw new Trap("argument", `map ${map.spec.name} is no user ring`);
  const pointer = machine.scratch.base + 1024;
  let count = 0;
  while (count < MAX_SAMPLES) {
    const sample = map.consume();
    if (sample === null) break;
    count++;
    writeDynptr(machine.memory, pointer, { kind: dynptrKind.memory, readOnly: true, ...sample });
    if (cpu.callback(callback, [pointer, context]) !== 0) break;
  }
  return count;
}

function ringHelpers(machine: HelperMachine): HelperRows {
  const { memory } = machine;
  // A record belongs to one of the rings; its address says to which.
  const rings = new Set<RingMap>();
  const ringOf = (cpu: Cpu): RingMap => {
    const map = mapOf(machine, cpu, 1);
    if (!(map instanceof RingMap)) throw new Trap("argument", `map ${map.spec.name} is no ring`);
    return map;
  };
  const reserve = (cpu: Cpu, flags: bigint): number => {
    const ring = ringOf(cpu);
    rings.add(ring);
    return ring.reserve(cpu.u32(2), flags);
  };
  const finishAt = (address: number, discard: boolean): number => {
    for (const ring of rings) if (ring.finish(address, discard)) return 0;
    throw new Trap("argument", `0x${address.toString(16)} is no reserved record`);
  };
  const finish = (discard: boolean) => (cpu: Cpu) => finishAt(cpu.pointer(1), discard);
  const finishPointer = (discard: boolean) => (cpu: Cpu) => {
    const at = cpu.pointer(1);
    const { kind, address, offset } = needDynptr(machine, at);
    if (kind === dynptrKind.ring) finishAt(address - offset, discard);
    clearDynptr(memory, at);
    return 0;
  };
  return [
    [130, (cpu) => ringOf(cpu).output(memory.read(cpu.pointer(2), cpu.u32(3)), cpu.u64(4))],
    [131, (cpu) => reserve(cpu, cpu.u64(3))],
    [132, finish(false)],
    [133, finish(true)],
    [134, (cpu) => ringOf(cpu).query(cpu.u64(2))],
    [
      198,
      (cpu) => {
        const at = cpu.pointer(4);
        const size = cpu.u32(2);
        clearDynptr(memory, at);
        if (cpu.u64(3) !== 0n) return -errno.EINVAL;
        if (size > 0xff_ffff) return -errno.E2BIG;
        const address = reserve(cpu, 0n);
        if (address === 0) return -errno.EINVAL;
        writeDynptr(memory, at, { kind: dynptrKind.ring, address, size });
        return 0;
      },
    ],
    [199, finishPointer(false)],
    [200, finishPointer(true)],
  ];
}

function dynptrHelpers(machine: HelperMachine): HelperRows {
  const { memory } = machine;
  return [
    [
      197,
      (cpu) => {
        const at = cpu.pointer(4);
        clearDynptr(memory, at);
        if (cpu.u64(3) !== 0n) return -errno.EINVAL;
        const [address, size] = [cpu.pointer(1), cpu.u32(2)];
        if (size > 0xff_ffff) return -errno.E2BIG;
        writeDynptr(memory, at, { kind: dynptrKind.memory, address, size });
        return 0;
      },
    ],
    [
      201,
      (cpu) => {
        const [to, size, offset] = [cpu.pointer(1), cpu.u32(2), cpu.u32(4)];
        const from = needDynptr(machine, cpu.pointer(3));
        if (from.kind === dynptrKind.none || cpu.u64(5) !== 0n) return -errno.EINVAL;
        if (size > from.size || offset > from.size - size) return -errno.E2BIG;
        memory.check(to, size, true);
        memory.bytes.copyWithin(to, from.address + offset, from.address + offset + size);
        return 0;
      },
    ],
    [
      202,
      (cpu) => {
        const into = needDynptr(machine, cpu.pointer(1));
        const [offset, from, size] = [cpu.u32(2), cpu.pointer(3), cpu.u32(4)];
        if (into.kind === dynptrKind.none || into.readOnly) return -errno.EINVAL;
        if (cpu.u64(5) !== 0n && into.kind !== dynptrKind.packet) return -errno.EINVAL;
        if (size > into.size || offset > into.size - size) return -errno.E2BIG;
        memory.check(from, size, false);
        memory.bytes.copyWithin(into.address + offset, from, from + size);
        return 0;
      },
    ],
    [
      203,
      (cpu) => {
        const from = needDynptr(machine, cpu.pointer(1));
        const [offset, size] = [cpu.u32(2), cpu.u32(3)];
        if (from.readOnly || (from.kind !== dynptrKind.memory && from.kind !== dynptrKind.ring)) return 0;
        return size > from.size || offset > from.size - size ? 0 : from.address + offset;
      },
    ],
  ];
}
