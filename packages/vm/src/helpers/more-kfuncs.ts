import type { Cpu, HelperFunction } from "../cpu.ts";
import { errno } from "../error.ts";
import { HashMap } from "../maps/hash.ts";
import { dynptrKind, needDynptr } from "./dynptr.ts";
import type { HelperMachine } from "./machine.ts";
import { mapOf } from "./machine.ts";

type Rows = readonly (readonly [string, HelperFunction])[];

/** Locks that may fail, bits, and what has no other place. */
export function moreFunctions(machine: HelperMachine): Rows {
  return [...fallibleLocks(machine), ...bits(machine), ...filled(machine)];
}

/** bpf_res_spin_lock: the holder itself is told that it would wait for ever (kernel/bpf/rqspinlock.c). */
function fallibleLocks(machine: HelperMachine): Rows {
  const { memory } = machine;
  const lock: HelperFunction = (cpu) => {
    const at = memory.check(cpu.pointer(1), 4, true);
    if (memory.view.getUint32(at, true) !== 0) return -errno.EDEADLK;
    memory.view.setUint32(at, 1, true);
    return 0;
  };
  const unlock: HelperFunction = (cpu) => {
    memory.view.setUint32(memory.check(cpu.pointer(1), 4, true), 0, true);
    return 0;
  };
  return [
    ["bpf_res_spin_lock", lock],
    ["bpf_res_spin_lock_irqsave", lock],
    ["bpf_res_spin_unlock", unlock],
    ["bpf_res_spin_unlock_irqrestore", unlock],
  ];
}

/** BITS_ITER_NR_WORDS_MAX (kernel/bpf/helpers.c) */
const MOST_WORDS = 511;

/** `struct bpf_iter_bits`, sixteen bytes: a token of the bits that are set, and at 12 the bit that is shown. */
function bits(machine: HelperMachine): Rows {
  const { memory } = machine;
  const make = (cpu: Cpu): number => {
    const at = memory.check(cpu.pointer(1), 16, true);
    memory.bytes.fill(0, at, at + 16);
    const words = cpu.u32(3);
    const from = cpu.u64(2);
    if (from === 0n || words === 0) return -errno.EINVAL;
    if (words > MOST_WORDS) return -errno.E2BIG;
    if (from > 0xffff_ffffn || !memory.allows(Number(from), words * 8, false)) return -errno.EFAULT;
    const bytes = memory.read(Number(from), words * 8);
    const set = Array.from({ length: words * 64 }, (_, i) => i).filter(
      (i) => ((bytes[i >> 3] ?? 0) & (1 << (i & 7))) !== 0,
    );
    memory.view.setUint32(at, machine.state.iterate(set), true);
    return 0;
  };
  return [
    ["bpf_iter_bits_new", make],
    [
      "bpf_iter_bits_next",
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 16, true);
        const bit = machine.state.nextOf(memory.view.getUint32(at, true), -1);
        if (bit < 0) return 0;
        memory.view.setInt32(at + 12, bit, true);
        return at + 12;
      },
    ],
    [
      "bpf_iter_bits_destroy",
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 16, true);
        memory.bytes.fill(0, at, at + 16);
        return 0;
      },
    ],
  ];
}

function filled(machine: HelperMachine): Rows {
  const { memory } = machine;
  /** (dynptr, offset, size, from): a fault leaves zeros. */
  const read: HelperFunction = (cpu) => {
    const into = needDynptr(machine, cpu.pointer(1));
    const [offset, size, from] = [cpu.u32(2), cpu.u32(3), cpu.u64(4)];
    if (into.kind === dynptrKind.none || into.readOnly) return -errno.EINVAL;
    if (size > into.size || offset > into.size - size) return -errno.E2BIG;
    const to = into.address + offset;
    const isThere = from <= 0xffff_ffffn && memory.allows(Number(from), size, false);
    if (isThere) memory.bytes.copyWithin(to, Number(from), Number(from) + size);
    else memory.bytes.fill(0, to, to + size);
    return isThere ? 0 : -errno.EFAULT;
  };
  return [
    ["bpf_probe_read_kernel_dynptr", read],
    ["bpf_probe_read_user_dynptr", read],
    ["bpf_copy_from_user_dynptr", read],
    [
      "bpf_dynptr_memset",
      (cpu) => {
        const into = needDynptr(machine, cpu.pointer(1));
        const [offset, size] = [cpu.u32(2), cpu.u32(3)];
        if (into.kind === dynptrKind.none || into.readOnly) return -errno.EINVAL;
        if (size > into.size || offset > into.size - size) return -errno.E2BIG;
        memory.bytes.fill(cpu.u32(4) & 0xff, into.address + offset, into.address + offset + size);
        return 0;
      },
    ],
    [
      "bpf_map_sum_elem_count",
      (cpu) => {
        const map = mapOf(machine, cpu, 1);
        return map instanceof HashMap ? map.size : 0;
      },
    ],
  ];
}
