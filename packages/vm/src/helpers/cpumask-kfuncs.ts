import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap } from "../error.ts";
import type { ObjectType } from "../kernel/heap.ts";
import type { HelperMachine } from "./machine.ts";

type Rows = readonly (readonly [string, HelperFunction])[];

/** `struct bpf_cpumask` with NR_CPUS 256, and the counter of its references behind it. */
const MASK_BYTES = 32;
const maskType: ObjectType = {
  size: MASK_BYTES + 8,
  fields: [{ kind: "bpf_refcount", offset: MASK_BYTES, size: 4 }],
  perCpu: false,
};

/** Sets of CPUs (kernel/bpf/cpumask.c). CPUs beyond those of the machine are never in one. */
export function cpumaskFunctions(machine: HelperMachine): Rows {
  const masks = new Masks(machine);
  return [...lifetime(machine), ...single(machine, masks), ...several(masks), ...searches(machine, masks)];
}

class Masks {
  private readonly machine: HelperMachine;
  constructor(machine: HelperMachine) {
    this.machine = machine;
  }

  get all(): bigint {
    return (1n << BigInt(this.machine.cpus)) - 1n;
  }

  get(cpu: Cpu, register: number): bigint {
    const { memory, cpus } = this.machine;
    const at = cpu.pointer(register);
    let mask = 0n;
    for (let word = 0; word * 64 < cpus; word++) {
      memory.check(at + word * 8, 8, false);
      mask |= memory.view.getBigUint64(at + word * 8, true) << BigInt(word * 64);
    }
    return mask & this.all;
  }

  set(cpu: Cpu, register: number, mask: bigint): void {
    const { memory, cpus } = this.machine;
    const at = cpu.pointer(register);
    for (let word = 0; word * 64 < cpus; word++) {
      memory.check(at + word * 8, 8, true);
      memory.view.setBigUint64(at + word * 8, BigInt.asUintN(64, mask >> BigInt(word * 64)), true);
    }
  }
}

function lifetime(machine: HelperMachine): Rows {
  const { heap } = machine;
  const need = (cpu: Cpu): number => {
    const at = cpu.pointer(1);
    if (!heap.has(at)) throw new Trap("argument", `0x${at.toString(16)} is no set of CPUs of the program's`);
    return at;
  };
  return [
    ["bpf_cpumask_create", () => heap.make(maskType)],
    [
      "bpf_cpumask_acquire",
      (cpu) => {
        const at = need(cpu);
        heap.acquire(at);
        return at;
      },
    ],
    [
      "bpf_cpumask_release",
      (cpu) => {
        heap.drop(need(cpu));
        return 0;
      },
    ],
  ];
}

/** Of one CPU, whose number comes before the mask. */
function single(machine: HelperMachine, masks: Masks): Rows {
  const change = (write: (mask: bigint, bit: bigint) => bigint): HelperFunction => {
    return (cpu) => {
      if (cpu.u32(1) >= machine.cpus) return 0;
      const mask = masks.get(cpu, 2);
      const bit = 1n << BigInt(cpu.u32(1));
      masks.set(cpu, 2, write(mask, bit));
      return (mask & bit) === 0n ? 0 : 1;
    };
  };
  const put = change((mask, bit) => mask | bit);
  const clear = change((mask, bit) => mask & ~bit);
  return [
    ["bpf_cpumask_set_cpu", put],
    ["bpf_cpumask_clear_cpu", clear],
    [
      "bpf_cpumask_test_cpu",
      (cpu) => (cpu.u32(1) < machine.cpus && ((masks.get(cpu, 2) >> BigInt(cpu.u32(1))) & 1n) === 1n ? 1 : 0),
    ],
    ["bpf_cpumask_test_and_set_cpu", put],
    ["bpf_cpumask_test_and_clear_cpu", clear],
  ];
}

function several(masks: Masks): Rows {
  const fill =
    (mask: () => bigint): HelperFunction =>
    (cpu) => {
      masks.set(cpu, 1, mask());
      return 0;
    };
  const combine =
    (how: (a: bigint, b: bigint) => bigint): HelperFunction =>
    (cpu) => {
      const result = how(masks.get(cpu, 2), masks.get(cpu, 3));
      masks.set(cpu, 1, result);
      return result === 0n ? 0 : 1;
    };
  const compare =
    (how: (a: bigint, b: bigint) => boolean): HelperFunction =>
    (cpu) =>
      how(masks.get(cpu, 1), masks.get(cpu, 2)) ? 1 : 0;
  return [
    ["bpf_cpumask_setall", fill(() => masks.all)],
    ["bpf_cpumask_clear", fill(() => 0n)],
    ["bpf_cpumask_and", combine((a, b) => a & b)],
    ["bpf_cpumask_or", combine((a, b) => a | b)],
    ["bpf_cpumask_xor", combine((a, b) => a ^ b)],
    ["bpf_cpumask_equal", compare((a, b) => a === b)],
    ["bpf_cpumask_intersects", compare((a, b) => (a & b) !== 0n)],
    ["bpf_cpumask_subset", compare((a, b) => (a & ~b) === 0n)],
    ["bpf_cpumask_empty", (cpu) => (masks.get(cpu, 1) === 0n ? 1 : 0)],
    ["bpf_cpumask_full", (cpu) => (masks.get(cpu, 1) === masks.all ? 1 : 0)],
    [
      "bpf_cpumask_copy",
      (cpu) => {
        masks.set(cpu, 1, masks.get(cpu, 2));
        return 0;
      },
    ],
    ["bpf_cpumask_weight", (cpu) => masks.get(cpu, 1).toString(2).replaceAll("0", "").length],
  ];
}

/** The number of the first CPU that is found; that of the CPUs where there is none. */
function searches(machine: HelperMachine, masks: Masks): Rows {
  const first = (mask: bigint): number => {
    for (let i = 0; i < machine.cpus; i++) if (((mask >> BigInt(i)) & 1n) === 1n) return i;
    return machine.cpus;
  };
  const own: HelperFunction = (cpu) => first(masks.get(cpu, 1));
  const both: HelperFunction = (cpu) => first(masks.get(cpu, 1) & masks.get(cpu, 2));
  return [
    ["bpf_cpumask_first", own],
    ["bpf_cpumask_first_zero", (cpu) => first(masks.all & ~masks.get(cpu, 1))],
    ["bpf_cpumask_first_and", both],
    ["bpf_cpumask_any_distribute", own],
    ["bpf_cpumask_any_and_distribute", both],
  ];
}
