import type { Cpu } from "../cpu.ts";
import { errno } from "../error.ts";
import type { CgroupInfo } from "../host.ts";
import type { VmMap } from "../maps/map.ts";
import { wordBytes } from "../maps/map.ts";
import { StackTraceMap } from "../maps/other.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { mapOf, socketOf } from "./machine.ts";

/** Who runs: tasks, cgroups, and what the hook says of itself (kernel/bpf/helpers.c, cgroup.c), by number. */
export function taskHelpers(machine: HelperMachine): HelperRows {
  const task = () => machine.host.task;
  const own = () => task()?.cgroup ?? null;
  const packet = () => machine.host.cgroupOf?.("packet") ?? null;
  return [
    [14, () => pair(task()?.tgid ?? 0, task()?.pid ?? 0)],
    [15, () => pair(task()?.gid ?? 0, task()?.uid ?? 0)],
    [16, (cpu) => command(machine, cpu)],
    [17, () => packet()?.classId ?? own()?.classId ?? 0],
    [27, (cpu) => stackId(machine, cpu)],
    [33, (cpu) => underCgroup(machine, mapOf(machine, cpu, 2), { index: cpu.u32(3), cgroup: packet() })],
    [35, () => task()?.object?.address ?? 0],
    [37, (cpu) => underCgroup(machine, mapOf(machine, cpu, 1), { index: cpu.u32(2), cgroup: own() })],
    [79, () => packet()?.id ?? 0n],
    [80, () => own()?.id ?? 1n],
    [83, (cpu) => ancestor(packet(), cpu.s32(2))],
    [109, (cpu) => signal(machine, cpu, false)],
    [117, (cpu) => signal(machine, cpu, true)],
    [123, (cpu) => ancestor(own(), cpu.s32(1))],
    [128, (cpu) => cgroupOfSocket(machine, cpu)?.id ?? 0n],
    [129, (cpu) => ancestor(cgroupOfSocket(machine, cpu), cpu.s32(2))],
    [151, () => packet()?.classId ?? 0],
    [158, () => task()?.object?.address ?? 0],
    [173, () => machine.host.place?.functionAddress ?? 0n],
    [174, () => machine.host.place?.cookie ?? 0n],
    [183, (cpu) => argument(machine, cpu, { index: cpu.u32(2), result: 3 })],
    [184, (cpu) => argument(machine, cpu, { index: machine.state.argumentCount, result: 2 })],
    [185, () => machine.state.argumentCount],
    [67, (cpu) => stackTrace(machine, cpu)],
    [186, () => machine.state.setReturn ?? machine.host.place?.returned ?? 0],
    [
      187,
      (cpu) => {
        machine.state.setReturn = cpu.s32(1);
        return 0;
      },
    ],
  ];
}

/** bpf_send_signal, bpf_send_signal_thread: to the task that runs. */
function signal(machine: HelperMachine, cpu: Cpu, thread: boolean): number {
  const number = cpu.u32(1);
  if (number > 64) return -errno.EINVAL;
  const { host } = machine;
  // As for a thread of the kernel.
  return host.task === undefined || host.signal === undefined ? -errno.EPERM : host.signal(host.task, number, thread);
}

/** bpf_get_func_arg, bpf_get_func_ret: words of the context. `result`: the register that says where to. */
function argument(machine: HelperMachine, cpu: Cpu, what: { index: number; result: number }): number {
  const { memory, state } = machine;
  const isResult = what.result === 2;
  if (!isResult && what.index >= state.argumentCount) return -errno.EINVAL;
  const from = state.context.base + what.index * 8;
  // A program at a function's start has no result.
  if (from + 8 > state.context.end) return -errno.EOPNOTSUPP;
  const to = memory.check(cpu.pointer(what.result), 8, true);
  memory.bytes.copyWithin(to, from, from + 8);
  return 0;
}

/** bpf_get_stack: addresses of eight bytes, innermost first; how many bytes were written. */
function stackTrace(machine: HelperMachine, cpu: Cpu): number {
  const flags = cpu.u64(4);
  const size = cpu.u32(3);
  if ((flags & ~(0xffn | USER | (1n << 11n))) !== 0n || size % 8 !== 0) return -errno.EINVAL;
  const to = machine.memory.check(cpu.pointer(2), size, true);
  const trace = machine.host.stack?.((flags & USER) === 0n ? "kernel" : "user") ?? [];
  const skip = Number(flags & 0xffn);
  const frames = trace.slice(skip, skip + size / 8);
  machine.memory.bytes.fill(0, to, to + size);
  if (frames.length === 0) return -errno.EFAULT;
  machine.memory.write(to, new Uint8Array(BigUint64Array.from(frames).buffer));
  return frames.length * 8;
}

function pair(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** bpf_get_current_comm: zeros fill the buffer. */
function command(machine: HelperMachine, cpu: Cpu): number {
  const size = cpu.u32(2);
  const at = machine.memory.check(cpu.pointer(1), size, true);
  const text = new TextEncoder().encode(machine.host.task?.command ?? "swapper/0").subarray(0, Math.max(0, size - 1));
  machine.memory.bytes.fill(0, at, at + size);
  machine.memory.bytes.set(text, at);
  return 0;
}

/** The id of the cgroup at a depth from the root; 0 where it is not so deep. */
function ancestor(cgroup: CgroupInfo | null, level: number): bigint {
  return cgroup?.ancestors[level] ?? 0n;
}

function cgroupOfSocket(machine: HelperMachine, cpu: Cpu): CgroupInfo | null {
  const socket = socketOf(machine, cpu, 1);
  return socket === null ? null : (machine.host.cgroupOf?.(socket) ?? null);
}

/** 1 where the cgroup is the one in the array, or below it. */
function underCgroup(machine: HelperMachine, map: VmMap, what: { index: number; cgroup: CgroupInfo | null }): number {
  if (what.index >= map.spec.maxEntries) return -errno.E2BIG;
  const address = map.lookup(wordBytes(what.index));
  if (address === 0) return -errno.EAGAIN;
  const wanted = BigInt(machine.memory.view.getUint32(address, true));
  return what.cgroup?.ancestors.includes(wanted) === true || what.cgroup?.id === wanted ? 1 : 0;
}

/** BPF_F_USER_STACK, BPF_F_FAST_STACK_CMP, BPF_F_REUSE_STACKID */
const [USER, COMPARE, REUSE] = [1n << 8n, 1n << 9n, 1n << 10n];

/** bpf_get_stackid */
function stackId(machine: HelperMachine, cpu: Cpu): number {
  const map = mapOf(machine, cpu, 2);
  const flags = cpu.u64(3);
  if ((flags & ~(0xffn | USER | COMPARE | REUSE)) !== 0n) return -errno.EINVAL;
  const trace = machine.host.stack?.((flags & USER) === 0n ? "kernel" : "user") ?? [];
  const frames = trace.slice(Number(flags & 0xffn), Number(flags & 0xffn) + map.spec.valueSize / 8);
  if (frames.length === 0 || !(map instanceof StackTraceMap)) return -errno.EFAULT;
  const bytes = new Uint8Array(BigUint64Array.from(frames).buffer);
  return map.put(bytes, { compare: (flags & COMPARE) === 0n, reuse: (flags & REUSE) !== 0n });
}
