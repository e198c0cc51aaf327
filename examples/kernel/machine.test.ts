/** The programs of this folder that use the kernel's objects, or objects of their own, in the user-space machine: no root, no kernel. */
import { describe, expect, it } from "vitest";
import { compile } from "@skep/compiler";
import { RingMap, Vm, someKernelTypes } from "@skep/vm";
import type { EngineName, Host, TaskInfo, VmObject, VmProgram } from "@skep/vm";
import { SimError, openSim, readSysctl, writeSysctl } from "@skep/sim";
import { specOf } from "./corpus.ts";
import { playerOf } from "./machine.ts";
import { scenarios } from "./scenarios.ts";

const TASK_WORK = `
import { array, getCurrentTaskBtf, i32, struct, syscall, TaskWork, taskWorkResume, taskWorkSignal, u32 } from "@skep/bpf";
interface task_struct { readonly "~btf"?: "struct task_struct" }
export const license = "GPL";
const Slot = struct("Slot", { work: TaskWork, runs: u32 });
export const slots = array("slots", { value: Slot, maxEntries: 2 });
const Request = struct("Request", { resume: u32, result: i32 });
export const main = syscall("main", Request, (request) => {
  const slot = slots.get(1);
  if (!slot) return 1;
  const task = getCurrentTaskBtf<task_struct>();
  request.result = request.resume
    ? taskWorkResume(task, slot.work, slots, (_key, value) => { value.runs += 100; })
    : taskWorkSignal(task, slot.work, slots, (key, value) => { value.runs += key; });
  return 0;
});`;

const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];

function machine(engine: EngineName, host: Host = {}, clock = (): bigint => 1000n): Vm {
  return new Vm({ clock, random: () => 7, cpus: 2, engine, host, kernelTypes: someKernelTypes() });
}

function programOf({ programs }: VmObject, name: string): VmProgram {
  const found = programs[name];
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

function drained({ maps }: VmObject, name: string): Uint8Array[] {
  const map = maps[name];
  const records: Uint8Array[] = [];
  if (!(map instanceof RingMap)) throw new Error(`no ring ${name}`);
  map.drain((record) => records.push(record.slice()));
  return records;
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
const at32 = (bytes: Uint8Array, offset: number): number => new DataView(bytes.buffer).getInt32(offset, true);

/** Two processes, the second with a thread, in a cgroup below the root. */
function world(engine: EngineName) {
  const host: { -readonly [K in keyof Host]: Host[K] } = {};
  const vm = machine(engine, host);
  const cgroup = (id: bigint, ancestors: readonly bigint[]) => {
    const node = vm.makeObject("kernfs_node", { id });
    const object = vm.makeObject("cgroup", { kn: node, level: ancestors.length - 1 });
    vm.setMembers(object, { self: { cgroup: object } });
    return { id, ancestors, object };
  };
  const root = cgroup(1n, [1n]);
  const below = cgroup(7n, [1n, 7n]);
  const cgroups = [root, below];
  const task = (pid: number, tgid: number, comm: string, parent: TaskInfo | null): TaskInfo => {
    const real_parent = parent?.object ?? null;
    const object = vm.makeObject("task_struct", { pid, tgid, comm, real_parent });
    return { pid, tgid, uid: 0, gid: 0, command: comm, cgroup: below, object };
  };
  const first = task(1, 1, "init", null);
  const second = task(40, 40, "server", first);
  const tasks = [first, second, task(41, 40, "worker", first)];
  Object.assign(host, { task: second, tasks: () => tasks, cgroups: () => cgroups, schedule: () => () => undefined });
  return { vm, host, root, below, tasks, first, second };
}

describe.each(engines)("in the machine, %s", (engine) => {
  it.each(scenarios.map((each) => [each.module, each.name, each] as const))("%s: %s", (module, _name, scenario) => {
    const { vm, second } = world(engine);
    const player = playerOf(vm, vm.load(specOf(module)), second.tgid);
    expect(scenario.play(player)).toEqual(scenario.expected);
  });

  it("recent: nothing is left of what a map's value held", () => {
    const { vm } = world(engine);
    const object = vm.load(specOf("recent"));
    const remember = programOf(object, "remember");
    for (const length of [100, 300, 200, 64]) vm.run(remember, { packet: new Uint8Array(length) });
    // Three in the list, one of them the longest too.
    expect(vm.ownObjects).toBe(3);
    for (const map of Object.values(object.maps)) vm.closeMap(map);
    expect(vm.ownObjects).toBe(0);
  });

  it("keep-task: the task is let go of by the work, and by the map's end", () => {
    const due: (() => void)[] = [];
    const { vm, host, second } = world(engine);
    host.schedule = (_at, run) => {
      due.push(run);
      return () => void due.splice(due.indexOf(run), 1);
    };
    const object = vm.load(specOf("keep-task"));
    const call = (name: string) => vm.run(programOf(object, name), { context: new Uint8Array(16) }).returned;
    expect([call("keep"), second.object?.references, call("keep"), second.object?.references]).toEqual([0, 1, 0, 1]);
    expect(call("release")).toBe(0);
    for (const run of due.splice(0)) run();
    expect([second.object?.references, vm.ownObjects]).toEqual([0, 1]);
    call("keep");
    const { kept } = object.maps;
    if (kept) vm.closeMap(kept);
    expect([second.object?.references, vm.ownObjects]).toEqual([0, 0]);
  });

  it("work of a task is done once the machine goes on, and asked for once at a time", () => {
    const due: (() => void)[] = [];
    const { vm, host } = world(engine);
    host.schedule = (_at, run) => {
      due.push(run);
      return () => void due.splice(due.indexOf(run), 1);
    };
    const { spec } = compile("/work.bpf.ts", { readFile: (path) => (path === "/work.bpf.ts" ? TASK_WORK : undefined) });
    if (!spec) throw new Error("it does not compile");
    const object = vm.load(spec);
    const ask = (resume: number): number => {
      const context = Uint8Array.of(resume, 0, 0, 0, 0, 0, 0, 0);
      return at32(vm.run(programOf(object, "main"), { context }).context ?? context, 4);
    };
    const { slots } = object.maps;
    const runs = (): number => at32(slots?.get(Uint8Array.of(1, 0, 0, 0)) ?? new Uint8Array(12), 8);
    expect([ask(0), ask(0), ask(1), runs()]).toEqual([0, -16, -16, 0]);
    for (const run of due.splice(0)) run();
    expect([runs(), ask(1), runs()]).toEqual([1, 0, 1]);
    for (const run of due.splice(0)) run();
    expect(runs()).toBe(101);
    // With its map it is gone.
    expect([ask(0), due.length]).toEqual([0, 1]);
    if (slots) vm.closeMap(slots);
    expect(due).toEqual([]);
  });

  it("trace-exec: reads the task, its parent and the program's name", () => {
    const { vm, second } = world(engine);
    const object = vm.load(specOf("trace-exec"));
    const filename = vm.createObject("text", new TextEncoder().encode("/bin/true\0"));
    const program = vm.makeObject("linux_binprm", { filename, argc: 1 });
    vm.run(programOf(object, "exec"), { arguments: [second.object ?? null, 3, program] });
    const [started] = drained(object, "starts");
    if (started === undefined) throw new Error("no record");
    expect([at32(started, 0), at32(started, 4), at32(started, 8)]).toEqual([40, 1, 0]);
    expect([text(started.subarray(12, 28)), text(started.subarray(28))]).toEqual(["server", "/bin/true"]);
    // A task without a parent, and a name that is nowhere: zeros.
    vm.setMembers(program, { filename: 0x1234 });
    vm.run(programOf(object, "exec"), { arguments: [vm.makeObject("task_struct", { tgid: 9 }), 3, program] });
    const [other] = drained(object, "starts");
    expect([other && at32(other, 0), other && at32(other, 4), other && text(other.subarray(28))]).toEqual([9, 0, ""]);
  });

  it("trace-latency: a task's storage, which ends with the task", () => {
    let now = 1000n;
    const host: { -readonly [K in keyof Host]: Host[K] } = {};
    const vm = machine(engine, host, () => now);
    const task = vm.makeObject("task_struct", { pid: 5, tgid: 5 });
    host.task = { pid: 5, tgid: 5, uid: 0, gid: 0, command: "x", object: task };
    const object = vm.load(specOf("trace-latency"), { config: { process: 5 } });
    const begun = object.maps["begun"] as unknown as { readonly size: number };
    for (const took of [100n, 5000n, 120n]) {
      vm.run(programOf(object, "enter"), { arguments: [0n, 39n] });
      now += took;
      vm.run(programOf(object, "exit"), { arguments: [0n, 0n] });
    }
    const histogram = [...(object.maps["histogram"]?.entries() ?? [])].map(([, value]) => value[0]);
    expect([histogram[6], histogram[12], begun.size]).toEqual([2, 1, 1]);
    task.close();
    expect(begun.size).toBe(0);
  });

  it("trace-kill and trace-syscalls: a tracepoint's record, a raw one's arguments", () => {
    const { vm, host } = world(engine);
    host.place = { cookie: 77n };
    const kill = vm.load(specOf("trace-kill"));
    const record = new Uint8Array(64);
    new DataView(record.buffer).setInt32(16, 41, true);
    new DataView(record.buffer).setInt32(24, 15, true);
    vm.run(programOf(kill, "kill"), { context: record });
    const [signal] = drained(kill, "signals");
    if (signal === undefined) throw new Error("no record");
    expect([at32(signal, 0), at32(signal, 4), at32(signal, 8), at32(signal, 32)]).toEqual([40, 41, 15, 77]);
    expect(text(signal.subarray(12, 28))).toBe("server");
    const calls = vm.load(specOf("trace-syscalls"), { config: { process: 40 } });
    for (const call of [39n, 39n, 1n]) vm.run(programOf(calls, "enter"), { arguments: [0n, call] });
    const counted = [...(calls.maps["calls"]?.entries() ?? [])].map(([key, value]) => [key[0], value[0]]);
    expect(counted.sort()).toEqual([
      [1, 1],
      [39, 2],
    ]);
  });

  it("guard-exec: sends a signal to who is on the list", () => {
    const { vm, host, tasks } = world(engine);
    const sent: [number, number][] = [];
    host.signal = (task, number) => {
      sent.push([task.pid, number]);
      return 0;
    };
    const object = vm.load(specOf("guard-exec"));
    object.maps["forbidden"]?.set(
      Uint8Array.of(...new TextEncoder().encode("server"), ...new Uint8Array(10)),
      new Uint8Array(8),
    );
    for (const task of tasks) vm.run(programOf(object, "guard"), { arguments: [task.object ?? null] });
    expect(sent).toEqual([[40, 9]]);
  });

  it("lists: tasks, cgroups, sockets and a map's elements as files", () => {
    const { vm, host, tasks, root, below } = world(engine);
    const list = vm.load(specOf("list-tasks"));
    const rows = tasks.map(({ object }) => ({ task: object ?? null }));
    expect(vm.iterate(programOf(list, "processes"), "task", rows)).toBe("1 0 init\n40 1 server\n");
    const cgroups = vm.load(specOf("list-cgroups"));
    const groups = [root, below].map(({ object }) => ({ cgroup: object }));
    expect(vm.iterate(programOf(cgroups, "cgroups"), "cgroup", groups)).toBe("1 0\n7 1\n");
    const doomed: number[] = [];
    host.destroySocket = (socket) => {
      doomed.push(socket.address);
      return 0;
    };
    const sockets = vm.load(specOf("list-sockets"), { config: { doomed: 80 } });
    const tcp = [80, 443].map((skc_num) => vm.makeObject("sock", { __sk_common: { skc_num, skc_state: 10 } }));
    const each = tcp.map((sk_common) => ({ sk_common }));
    expect(vm.iterate(programOf(sockets, "sockets"), "tcp", each)).toBe("80 10\n443 10\n");
    vm.iterate(programOf(sockets, "destroy"), "tcp", each);
    expect(doomed).toEqual([tcp[0]?.address]);
    const elements = vm.load(specOf("list-elements"));
    const uses = elements.maps["uses"];
    const value = (packets: bigint, bytes: bigint) => new Uint8Array(BigUint64Array.of(packets, bytes).buffer);
    const keys = [1, 2].map((id) => new Uint8Array(Uint32Array.of(id).buffer));
    keys.forEach((key, i) => uses?.set(key, value(i === 0 ? 3n : 0n, 300n)));
    const found = keys.map((key) => ({ key: vm.createObject("key", key), value: uses?.lookup(key) ?? 0 }));
    expect(vm.iterate(programOf(elements, "elements"), "bpf_map_elem", found)).toBe("1: 3 packets, 300 bytes\n");
  });

  it("walk-tasks and task-bits: what the machine has, gone through by the kernel's iterators", () => {
    const { vm, first, below, host } = world(engine);
    const object = vm.load(specOf("walk-tasks"));
    const ask = (name: string, question: { pid?: number; cgroup?: bigint }) => {
      const context = new Uint8Array(40);
      const view = new DataView(context.buffer);
      view.setUint32(0, question.pid ?? 0, true);
      view.setBigUint64(8, question.cgroup ?? 0n, true);
      const { returned, context: answer } = vm.run(programOf(object, name), { context });
      const after = new DataView(answer.buffer);
      return [returned, ...[16, 20, 24, 28, 32, 36].map((offset) => after.getUint32(offset, true))];
    };
    // Two processes; the one that asks has two threads; 0 + 1 + ... + 49; bits 0, 1, 3 and 64.
    expect(ask("ask", {})).toEqual([0, 2, 2, 0, 0, 1225, 68]);
    expect(ask("below", { cgroup: 1n })).toEqual([0, 0, 0, 0, 2, 0, 0]);
    expect(ask("below", { cgroup: 7n })[4]).toBe(1);
    expect(ask("below", { cgroup: 99n })[0]).toBe(1);
    const area = (vm_start: bigint, vm_end: bigint) => ({
      end: vm_end,
      object: vm.makeObject("vm_area_struct", { vm_start, vm_end }),
    });
    const mapped = { ...first, areas: [area(0x1000n, 0x2000n), area(0x3000n, 0x9000n)] };
    host.tasks = () => [mapped];
    expect(ask("areas", { pid: 1 })[3]).toBe(2);
    expect([first.object?.references, below.object.references]).toEqual([0, 0]);
    const bits = vm.load(specOf("task-bits"));
    const question = () => new Uint8Array(Uint32Array.of(1, 0, 0, 0).buffer);
    const answers = () => [
      ...new Uint32Array(vm.run(programOf(bits, "ask"), { context: question() }).context.buffer, 0, 4),
    ];
    expect(answers()).toEqual([1, 0, 0, 0]);
    if (first.object) vm.setMembers(first.object, { sched_reset_on_fork: 1, policy: 3 });
    expect(answers()).toEqual([1, 1, 1, 3]);
  });

  it("security: a security module's arguments", () => {
    const { vm } = world(engine);
    const object = vm.load(specOf("security"), { config: { open: 0 } });
    const call = (before: number, f_pos: number) =>
      vm.run(programOf(object, "file_open"), { arguments: [vm.makeObject("file", { f_pos }), before] }).returned | 0;
    expect([call(0, 0), call(0, 8), call(-13, 0)]).toEqual([-1, 0, -13]);
  });
});

describe("at the hooks of a simulated machine's cgroups", () => {
  function attached(name: string, config: Record<string, number> = {}) {
    const sim = openSim();
    const { path } = sim.processes.createCgroup("app");
    const loaded = sim.bpf.load(specOf(name), { config });
    for (const program of Object.values(loaded.programs)) sim.bpf.attach(program, { hook: "cgroup", path });
    const cgroup = sim.processes.cgroup(path);
    if (!cgroup) throw new Error("no cgroup");
    return { sim, cgroup, loaded };
  }
  const code = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      return error instanceof SimError ? error.code : error;
    }
  };

  it("cgroup-options: a limit for one option, none of another, and an answer for a third", () => {
    const { sim, cgroup } = attached("cgroup-options", { largest: 8192 });
    const [SOL_SOCKET, SO_RCVBUF, SO_PRIORITY, SO_MARK] = [1, 8, 12, 36];
    const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
    const value = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    for (const socket of [
      sim.net.host.stack.udp.socket({ family: 4, cgroup }),
      sim.net.host.stack.tcp.socket({ family: 4, cgroup }),
    ]) {
      const set = (option: number, to: number) => code(() => socket.setOption({ level: SOL_SOCKET, option }, word(to)));
      const get = (option: number) => code(() => value(socket.option({ level: SOL_SOCKET, option })));
      set(SO_RCVBUF, 1 << 20);
      // The kernel doubles what is asked for.
      expect(get(SO_RCVBUF)).toBe(16_384);
      expect([set(SO_MARK, 1), set(SO_PRIORITY, 3), get(SO_PRIORITY)]).toEqual(["EPERM", undefined, 3]);
      expect(code(() => socket.option({ level: SOL_SOCKET, option: 999 }))).toBe("EINVAL");
    }
    // Of another cgroup: nobody is asked.
    const other = sim.net.host.stack.udp.socket({ family: 4 });
    other.setOption({ level: SOL_SOCKET, option: SO_MARK }, word(7));
    expect(value(other.option({ level: SOL_SOCKET, option: SO_MARK }))).toBe(7);
  });

  it("cgroup-sysctl: may be read, not written", () => {
    const { sim, cgroup, loaded } = attached("cgroup-sysctl");
    const { host } = sim.net;
    host.setSysctl("net/core/somaxconn", "4096");
    const write = (name: string, to: string) => code(() => writeSysctl(host, name, { value: to, cgroup }));
    expect(readSysctl(host, "net/core/somaxconn", cgroup)).toBe("4096");
    expect(write("net/core/somaxconn", "1")).toBe("EPERM");
    expect([write("net/core/rmem_max", "1"), host.sysctl("net/core/rmem_max")]).toEqual([undefined, "1"]);
    writeSysctl(host, "net/core/somaxconn", { value: "8", cgroup: null });
    expect([host.sysctl("net/core/somaxconn"), code(() => readSysctl(host, "net/core/nothing", cgroup))]).toEqual([
      ...["8", "ENOENT"],
    ]);
    const counts = [...(loaded.maps["counts"]?.entries() ?? [])].map(([, value]) => value[0]);
    expect(counts).toEqual([1, 1]);
  });
});

it("names a kernel function that it does not have when the program is loaded", () => {
  expect(() => machine("checked").load(specOf("congestion"))).toThrow(
    /calls tcp_slow_start, which this machine does not have/,
  );
});
