import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import type { CgroupInfo, TaskInfo } from "../host.ts";
import type { KernelObject } from "../object.ts";
import type { HelperMachine } from "./machine.ts";
import { objectOf } from "./machine.ts";

type Rows = readonly (readonly [string, HelperFunction])[];

/** Tasks and cgroups of the machine around: found, held, let go of, gone through (kernel/bpf/helpers.c, task_iter.c, cgroup_iter.c). */
export function kernelObjectFunctions(machine: HelperMachine): Rows {
  const destroy: HelperFunction = (cpu) => machine.host.destroySocket?.(need(machine, cpu, 1)) ?? -errno.EOPNOTSUPP;
  return [...tasks(machine), ...cgroups(machine), ...walks(machine), ["bpf_sock_destroy", destroy]];
}

function need(machine: HelperMachine, cpu: Cpu, register: number): KernelObject {
  const found = objectOf(machine, cpu, register);
  if (found === null) throw new Trap("argument", `r${register} is null`);
  return found;
}

/** The address with one reference more; 0 for none. */
function held(object: KernelObject | null | undefined): number {
  object?.acquire();
  return object?.address ?? 0;
}

function letGo(machine: HelperMachine): HelperFunction {
  return (cpu) => {
    need(machine, cpu, 1).release();
    return 0;
  };
}

function tasksOf(machine: HelperMachine): readonly TaskInfo[] {
  const { host } = machine;
  return host.tasks?.() ?? (host.task === undefined ? [] : [host.task]);
}

function cgroupsOf(machine: HelperMachine): readonly CgroupInfo[] {
  return machine.host.cgroups?.() ?? [];
}

function taskOf(machine: HelperMachine, cpu: Cpu, register: number): TaskInfo | null {
  const object = need(machine, cpu, register);
  return tasksOf(machine).find((each) => each.object === object) ?? null;
}

function cgroupOf(machine: HelperMachine, cpu: Cpu, register: number): CgroupInfo | null {
  const object = need(machine, cpu, register);
  return cgroupsOf(machine).find((each) => each.object === object) ?? null;
}

function tasks(machine: HelperMachine): Rows {
  const byPid: HelperFunction = (cpu) => held(tasksOf(machine).find(({ pid }) => pid === cpu.s32(1))?.object);
  return [
    ["bpf_task_acquire", (cpu) => held(need(machine, cpu, 1))],
    ["bpf_task_release", letGo(machine)],
    ["bpf_task_from_pid", byPid],
    ["bpf_task_from_vpid", byPid],
    [
      "bpf_task_under_cgroup",
      (cpu) => {
        const [task, above] = [taskOf(machine, cpu, 1), cgroupOf(machine, cpu, 2)];
        return above !== null && isBelow(task?.cgroup, above) ? 1 : 0;
      },
    ],
    // There is no cgroup hierarchy of the first version.
    ["bpf_task_get_cgroup1", () => 0],
  ];
}

function isBelow(cgroup: CgroupInfo | undefined, above: CgroupInfo): boolean {
  return cgroup !== undefined && (cgroup.id === above.id || cgroup.ancestors.includes(above.id));
}

function cgroups(machine: HelperMachine): Rows {
  const byId = (id: bigint): number => held(cgroupsOf(machine).find((each) => each.id === id)?.object);
  return [
    ["bpf_cgroup_acquire", (cpu) => held(need(machine, cpu, 1))],
    ["bpf_cgroup_release", letGo(machine)],
    ["bpf_cgroup_from_id", (cpu) => byId(cpu.u64(1))],
    [
      "bpf_cgroup_ancestor",
      (cpu) => {
        const id = cgroupOf(machine, cpu, 1)?.ancestors[cpu.s32(2)];
        return id === undefined ? 0 : byId(id);
      },
    ],
  ];
}

// ---- iterators ----

/** BPF_TASK_ITER_* */
const [ALL_PROCESSES, ALL_THREADS, OWN_THREADS] = [0, 1, 2];
/** BPF_CGROUP_ITER_* */
const [SELF, BEFORE, AFTER, UP] = [1, 2, 3, 4];
/** CSS_TASK_ITER_PROCS, with or without CSS_TASK_ITER_THREADED */
const [PROCESSES, PROCESSES_AND_THREADS] = [1, 3];

type Members = readonly (KernelObject | undefined)[];

/** The rows of an iterator whose members are listed when it is made. `members`: or a negative errno. */
function iterator(machine: HelperMachine, name: string, members: (cpu: Cpu) => Members | number): Rows {
  const { memory } = machine;
  return [
    [
      `bpf_iter_${name}_new`,
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 8, true);
        const found = members(cpu);
        const isWrong = typeof found === "number";
        const addresses = isWrong ? [] : found.flatMap((each) => (each === undefined ? [] : [each.address]));
        memory.view.setBigUint64(at, BigInt(machine.state.iterate(addresses)), true);
        return isWrong ? found : 0;
      },
    ],
    [
      `bpf_iter_${name}_next`,
      (cpu) => machine.state.nextOf(memory.view.getUint32(memory.check(cpu.pointer(1), 8, true), true)),
    ],
    [
      `bpf_iter_${name}_destroy`,
      (cpu) => {
        const at = memory.check(cpu.pointer(1), 8, true);
        memory.view.setBigUint64(at, 0n, true);
        return 0;
      },
    ],
  ];
}

function walks(machine: HelperMachine): Rows {
  return [
    ...iterator(machine, "task", (cpu) => taskWalk(machine, cpu)),
    ...iterator(machine, "css", (cpu) => cgroupWalk(machine, cpu)),
    // From the first area on that ends behind an address.
    ...iterator(machine, "task_vma", (cpu) => {
      const [task, from] = [taskOf(machine, cpu, 2), cpu.u64(3)];
      return (task?.areas ?? []).flatMap(({ end, object }) => (end > from ? [object] : []));
    }),
    ...iterator(machine, "css_task", (cpu) => {
      const flags = cpu.u32(3);
      if (flags !== 0 && flags !== PROCESSES && flags !== PROCESSES_AND_THREADS) return -errno.EINVAL;
      const cgroup = cgroupOf(machine, cpu, 2);
      const own = tasksOf(machine).filter((each) => each.cgroup !== undefined && each.cgroup.id === cgroup?.id);
      return own.filter(({ pid, tgid }) => flags === 0 || pid === tgid).map(({ object }) => object);
    }),
  ];
}

function taskWalk(machine: HelperMachine, cpu: Cpu): Members | number {
  const all = tasksOf(machine);
  const flags = cpu.u32(3);
  const leaders = all.filter(({ pid, tgid }) => pid === tgid);
  const threads = (of: readonly TaskInfo[]) => of.flatMap(({ tgid }) => all.filter((each) => each.tgid === tgid));
  switch (flags) {
    case ALL_PROCESSES:
      return leaders.map(({ object }) => object);
    case ALL_THREADS:
      return threads(leaders).map(({ object }) => object);
    case OWN_THREADS: {
      // As the kernel: without a task it is an error.
      if (cpu.pointer(2) === 0) return -errno.EINVAL;
      const task = taskOf(machine, cpu, 2);
      return threads(task === null ? [] : [task]).map(({ object }) => object);
    }
    default:
      return -errno.EINVAL;
  }
}

function cgroupWalk(machine: HelperMachine, cpu: Cpu): Members | number {
  const flags = cpu.u32(3);
  const all = cgroupsOf(machine);
  // A cgroup's own state (`self`) is its first member.
  const start = cgroupOf(machine, cpu, 2);
  if (flags < SELF || flags > UP) return -errno.EINVAL;
  if (start === null) return [];
  const below = (of: CgroupInfo): CgroupInfo[] => {
    const inner = all.filter((each) => each.ancestors.at(-2) === of.id).flatMap(below);
    return flags === AFTER ? [...inner, of] : [of, ...inner];
  };
  const found = {
    [SELF]: () => [start],
    [BEFORE]: () => below(start),
    [AFTER]: () => below(start),
    [UP]: () => [...start.ancestors].reverse().flatMap((id) => all.filter((each) => each.id === id)),
  }[flags]?.();
  return (found ?? []).map(({ object }) => object);
}
