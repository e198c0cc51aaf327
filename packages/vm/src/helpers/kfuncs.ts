import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import { ArenaMap } from "../maps/other.ts";
import { cpumaskFunctions } from "./cpumask-kfuncs.ts";
import { clearDynptr, dynptrKind, needDynptr, writeDynptr } from "./dynptr.ts";
import { kernelObjectFunctions } from "./kernel-kfuncs.ts";
import type { HelperMachine } from "./machine.ts";
import { moreFunctions } from "./more-kfuncs.ts";
import { objectFunctions } from "./object-kfuncs.ts";
import { mapOf, stringAt } from "./machine.ts";

type Rows = readonly (readonly [string, HelperFunction])[];

/** Kernel functions (kfuncs) that make sense here, by name. */
export function kernelFunctions(machine: HelperMachine): ReadonlyMap<string, HelperFunction> {
  return new Map<string, HelperFunction>([
    ...dynptrs(machine),
    ...numbers(machine),
    ...arenas(machine),
    ...strings(machine),
    ...sections(),
    ...objectFunctions(machine),
    ...kernelObjectFunctions(machine),
    ...cpumaskFunctions(machine),
    ...moreFunctions(machine),
    ["bpf_throw", throwOut],
    ["bpf_cast_to_kern_ctx", (cpu) => cpu.pointer(1)],
    ["bpf_rdonly_cast", (cpu) => cpu.u64(1)],
    ["bpf_xdp_metadata_rx_timestamp", () => -errno.EOPNOTSUPP],
    ["bpf_xdp_metadata_rx_hash", () => -errno.EOPNOTSUPP],
    ["bpf_xdp_metadata_rx_vlan_tag", () => -errno.EOPNOTSUPP],
    ["bpf_get_current_task_btf", () => machine.host.task?.object?.address ?? 0],
    ["bpf_wq_init", (cpu) => machine.timers.init(cpu.pointer(1), mapOf(machine, cpu, 2))],
    [
      "bpf_wq_set_callback_impl",
      (cpu) => machine.timers.setCallback(cpu.pointer(1), { address: cpu.pointer(2), code: machine.engineCode(cpu) }),
    ],
    ["bpf_task_work_schedule_signal_impl", (cpu) => taskWork(machine, cpu)],
    ["bpf_task_work_schedule_resume_impl", (cpu) => taskWork(machine, cpu)],
    ["bpf_wq_start", (cpu) => machine.timers.start(cpu.pointer(1), machine.clock("monotonic"), machine.scratch.base)],
  ]);
}

/** Every task is in user space again as soon as no program runs: whether it is woken up for the work makes no difference here. */
function taskWork(machine: HelperMachine, cpu: Cpu): number {
  return machine.timers.startWork(cpu.pointer(2), {
    map: mapOf(machine, cpu, 3),
    callback: { address: cpu.pointer(4), code: machine.engineCode(cpu) },
    at: machine.clock("monotonic"),
    scratch: machine.scratch.base,
  });
}

/** bpf_throw: the program ends with the cookie, from whatever frame. */
function throwOut(cpu: Cpu): bigint {
  cpu.end();
  return cpu.u64(1);
}

/** What only orders or marks a section: nothing else runs here. */
function sections(): Rows {
  const nothing: HelperFunction = () => 0;
  return [
    "bpf_rcu_read_lock",
    "bpf_rcu_read_unlock",
    "bpf_preempt_disable",
    "bpf_preempt_enable",
    "bpf_local_irq_save",
    "bpf_local_irq_restore",
  ].map((name) => [name, nothing] as const);
}

function dynptrs(machine: HelperMachine): Rows {
  const { memory } = machine;
  const fromPacket = (cpu: Cpu): number => {
    const at = cpu.pointer(3);
    clearDynptr(memory, at);
    if (cpu.u64(2) !== 0n) return -errno.EINVAL;
    writeDynptr(memory, at, { kind: dynptrKind.packet, address: 0, size: machine.state.length });
    return 0;
  };
  const slice = (write: boolean) => (cpu: Cpu) => {
    const from = needDynptr(machine, cpu.pointer(1));
    const [offset, size] = [cpu.u32(2), cpu.u32(4)];
    if (from.kind === dynptrKind.none || (write && from.readOnly)) return 0;
    return size > from.size || offset > from.size - size ? 0 : from.address + offset;
  };
  return [
    ["bpf_dynptr_from_skb", fromPacket],
    ["bpf_dynptr_from_xdp", fromPacket],
    ["bpf_dynptr_slice", slice(false)],
    ["bpf_dynptr_slice_rdwr", slice(true)],
    ["bpf_dynptr_adjust", (cpu) => adjust(machine, cpu)],
    ["bpf_dynptr_is_null", (cpu) => (needDynptr(machine, cpu.pointer(1)).kind === dynptrKind.none ? 1 : 0)],
    [
      "bpf_dynptr_is_rdonly",
      (cpu) => {
        const { kind, readOnly } = needDynptr(machine, cpu.pointer(1));
        return kind !== dynptrKind.none && readOnly ? 1 : 0;
      },
    ],
    [
      "bpf_dynptr_size",
      (cpu) => {
        const { kind, size } = needDynptr(machine, cpu.pointer(1));
        return kind === dynptrKind.none ? -errno.EINVAL : size;
      },
    ],
    [
      "bpf_dynptr_clone",
      (cpu) => {
        const [from, to] = [cpu.pointer(1), cpu.pointer(2)];
        const { kind } = needDynptr(machine, from);
        if (kind === dynptrKind.none) {
          clearDynptr(memory, to);
          return -errno.EINVAL;
        }
        memory.check(to, 16, true);
        memory.bytes.copyWithin(to, from, from + 16);
        return 0;
      },
    ],
    ["bpf_dynptr_copy", (cpu) => copy(machine, cpu)],
  ];
}

/** bpf_dynptr_adjust: a part of it, from `start` up to `end`. */
function adjust(machine: HelperMachine, cpu: Cpu): number {
  const at = cpu.pointer(1);
  const [start, end] = [cpu.u32(2), cpu.u32(3)];
  const { kind, size, offset, readOnly, address } = needDynptr(machine, at);
  if (kind === dynptrKind.none || start > end) return -errno.EINVAL;
  if (start > size || end > size) return -errno.ERANGE;
  const base = kind === dynptrKind.packet ? 0 : address - offset;
  writeDynptr(machine.memory, at, { kind, readOnly, address: base, size: end - start, offset: offset + start });
  return 0;
}

/** bpf_dynptr_copy(to, to_off, from, from_off, size) */
function copy(machine: HelperMachine, cpu: Cpu): number {
  const to = needDynptr(machine, cpu.pointer(1));
  const from = needDynptr(machine, cpu.pointer(3));
  const [toOffset, fromOffset, size] = [cpu.u32(2), cpu.u32(4), cpu.u32(5)];
  if (to.kind === dynptrKind.none || from.kind === dynptrKind.none || to.readOnly) return -errno.EINVAL;
  if (size > to.size || toOffset > to.size - size) return -errno.E2BIG;
  if (size > from.size || fromOffset > from.size - size) return -errno.E2BIG;
  const start = from.address + fromOffset;
  machine.memory.bytes.copyWithin(to.address + toOffset, start, start + size);
  return 0;
}

/** Open-coded iterator over numbers: `struct bpf_iter_num` holds the current number and the end. */
function numbers(machine: HelperMachine): Rows {
  const { memory } = machine;
  return [
    [
      "bpf_iter_num_new",
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 8, true);
        const [start, end] = [cpu.s32(2), cpu.s32(3)];
        const wrong = start > end ? -errno.EINVAL : end - start > 8 * 1024 * 1024 ? -errno.E2BIG : 0;
        memory.view.setInt32(at, wrong === 0 ? start - 1 : 0, true);
        memory.view.setInt32(at + 4, wrong === 0 ? end : 0, true);
        return wrong;
      },
    ],
    [
      "bpf_iter_num_next",
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 8, true);
        const next = memory.view.getInt32(at, true) + 1;
        if (next >= memory.view.getInt32(at + 4, true)) {
          memory.bytes.fill(0, at, at + 8);
          return 0;
        }
        memory.view.setInt32(at, next, true);
        return at;
      },
    ],
    [
      "bpf_iter_num_destroy",
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 8, true);
        memory.bytes.fill(0, at, at + 8);
        return 0;
      },
    ],
  ];
}

function arenas(machine: HelperMachine): Rows {
  const arena = (cpu: Cpu): ArenaMap => {
    const map = mapOf(machine, cpu, 1);
    if (!(map instanceof ArenaMap)) throw new Trap("argument", `map ${map.spec.name} is no arena`);
    return map;
  };
  return [
    [
      "bpf_arena_alloc_pages",
      (cpu) => {
        const hasFlags = cpu.u32(5) !== 0 || cpu.high(5) !== 0;
        return hasFlags ? 0 : arena(cpu).allocate(cpu.pointer(2), cpu.u32(3));
      },
    ],
    [
      "bpf_arena_free_pages",
      (cpu) => {
        arena(cpu).free(cpu.pointer(2), cpu.u32(3));
        return 0;
      },
    ],
    ["bpf_arena_reserve_pages", (cpu) => arena(cpu).reserve(cpu.pointer(2), cpu.u32(3))],
  ];
}

/** XATTR_SIZE_MAX: longer strings are -E2BIG. */
const MAX_STRING = 65_536;

/** Of kernel/bpf/helpers.c. */
function strings(machine: HelperMachine): Rows {
  const text = (cpu: Cpu, register: number): string =>
    String.fromCharCode(...stringAt(machine.memory, cpu.pointer(register), MAX_STRING));
  const place = (index: number): number => (index < 0 ? -errno.ENOENT : index);
  /** Its end is a zero, too. */
  const whole = (cpu: Cpu, register: number): string => `${text(cpu, register)}\0`;
  const letter = (cpu: Cpu, register: number): string => String.fromCharCode(cpu.u32(register) & 0xff);
  const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
  const spanned = (cpu: Cpu, isIn: boolean): number => {
    const [found, set] = [text(cpu, 1), text(cpu, 2)];
    const end = [...found].findIndex((each) => set.includes(each) !== isIn);
    return end < 0 ? found.length : end;
  };
  return [
    ["bpf_strlen", (cpu) => text(cpu, 1).length],
    ["bpf_strnlen", (cpu) => stringAt(machine.memory, cpu.pointer(1), cpu.u32(2)).length],
    ["bpf_strcmp", (cpu) => compared(text(cpu, 1), text(cpu, 2))],
    ["bpf_strcasecmp", (cpu) => compared(lower(text(cpu, 1)), lower(text(cpu, 2)))],
    ["bpf_strchr", (cpu) => place(whole(cpu, 1).indexOf(letter(cpu, 2)))],
    ["bpf_strnchr", (cpu) => place(whole(cpu, 1).slice(0, cpu.u32(2)).indexOf(letter(cpu, 3)))],
    [
      "bpf_strchrnul",
      (cpu) => {
        const found = whole(cpu, 1);
        const at = found.indexOf(letter(cpu, 2));
        return at < 0 ? found.length - 1 : at;
      },
    ],
    ["bpf_strrchr", (cpu) => place(whole(cpu, 1).lastIndexOf(letter(cpu, 2)))],
    ["bpf_strspn", (cpu) => spanned(cpu, true)],
    ["bpf_strcspn", (cpu) => spanned(cpu, false)],
    ["bpf_strstr", (cpu) => place(text(cpu, 1).indexOf(text(cpu, 2)))],
    ["bpf_strnstr", (cpu) => place(text(cpu, 1).slice(0, cpu.u32(3)).indexOf(text(cpu, 2)))],
  ];
}

/** ASCII letters (tolower of the kernel also takes those of Latin-1). */
const lower = (text: string): string => text.replace(/[A-Z\u00c0-\u00d6\u00d8-\u00de]/g, (each) => each.toLowerCase());
