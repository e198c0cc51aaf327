/** The same programs, asked the same, in the kernel and in the user-space machine. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelTypes, openLinux } from "@skep/linux";
import { RingMap, Vm } from "@skep/vm";
import type { Host } from "@skep/vm";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import { specOf } from "./corpus.ts";
import { kernelPlayer } from "./machine.ts";
import { scenarios } from "./scenarios.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0.*$/s, "");

describe.skipIf(!canUseBpf())("in the kernel", () => {
  const linux = openLinux();

  it.each(scenarios.map((each) => [each.module, each.name, each] as const))("%s: %s", (module, _name, scenario) => {
    const player = kernelPlayer(linux, module);
    try {
      expect(scenario.play(player)).toEqual(scenario.expected);
    } finally {
      player.close();
    }
  });

  /** A module's ring in the kernel while `act` happens, and the record that `isWanted`. */
  function recorded(
    what: { readonly module: string; readonly program: string; readonly ring: string; readonly cookie?: bigint },
    act: () => void,
    isWanted: (record: Uint8Array) => boolean,
  ): Uint8Array {
    const loaded = linux.bpf.load(specOf(what.module));
    try {
      const program = loaded.programs[what.program];
      const ring = loaded.maps[what.ring];
      if (!program || !ring) throw new Error("no program or ring");
      const hook =
        what.cookie === undefined
          ? ({ hook: "tracing" } as const)
          : ({ hook: "tracepoint", category: "syscalls", name: "sys_enter_kill", cookie: what.cookie } as const);
      const link = linux.bpf.attach(program, hook);
      const records: Uint8Array[] = [];
      const reader = ring.readRing((record) => records.push(record.slice()));
      try {
        act();
        reader.drain();
      } finally {
        reader.close();
        link.close();
      }
      const found = records.find(isWanted);
      if (found === undefined) throw new Error("no record");
      return found;
    } finally {
      loaded.close();
    }
  }

  const drained = (map: unknown): Uint8Array[] => {
    const records: Uint8Array[] = [];
    if (!(map instanceof RingMap)) throw new Error("no ring");
    map.drain((record) => records.push(record.slice()));
    return records;
  };

  it("trace-exec: the record of a real process, byte for byte, from objects laid out by this kernel's types", () => {
    let pid = 0;
    const theirs = recorded(
      { module: "trace-exec", program: "exec", ring: "starts" },
      () => void (pid = spawnSync("/bin/true").pid),
      (record) => new DataView(record.buffer).getUint32(0, true) === pid,
    );
    const host: { -readonly [K in keyof Host]: Host[K] } = {};
    const vm = new Vm({ clock: () => 0n, random: () => 0, host, kernelTypes: kernelTypes() });
    const parent = vm.makeObject("task_struct", { pid: process.pid, tgid: process.pid });
    const task = vm.makeObject("task_struct", { pid, tgid: pid, comm: "true", real_parent: parent });
    host.task = { pid, tgid: pid, uid: 0, gid: 0, command: "true", object: task };
    const object = vm.load(specOf("trace-exec"));
    const filename = vm.createObject("text", new TextEncoder().encode("/bin/true\0"));
    const exec = object.programs["exec"];
    if (!exec) throw new Error("no program");
    vm.run(exec, { arguments: [task, pid, vm.makeObject("linux_binprm", { filename })] });
    expect(drained(object.maps["starts"]).map(String)).toEqual([String(theirs)]);
  });

  it("trace-kill: the record of a real signal, byte for byte", () => {
    const theirs = recorded(
      { module: "trace-kill", program: "kill", ring: "signals", cookie: 77n },
      () => void process.kill(process.pid, 0),
      (record) => new DataView(record.buffer).getUint32(0, true) === process.pid,
    );
    // The thread's name, which is not the process's in every runtime.
    const command = text(theirs.subarray(12, 28));
    const [pid, tgid] = [process.pid, process.pid];
    const task = { pid, tgid, uid: 0, gid: 0, command };
    const vm = new Vm({ clock: () => 0n, random: () => 0, host: { task, place: { cookie: 77n } } });
    const object = vm.load(specOf("trace-kill"));
    const context = new Uint8Array(64);
    new DataView(context.buffer).setInt32(16, process.pid, true);
    const kill = object.programs["kill"];
    if (!kill) throw new Error("no program");
    vm.run(kill, { context });
    expect(drained(object.maps["signals"]).map(String)).toEqual([String(theirs)]);
  });

  it("list-elements: the same file", async () => {
    const { readIterator } = await import("@skep/linux");
    const spec = specOf("list-elements");
    const loaded = linux.bpf.load(spec);
    const vm = new Vm({ clock: () => 0n, random: () => 0, kernelTypes: kernelTypes() });
    const object = vm.load(spec);
    try {
      const theirs = loaded.maps["uses"];
      const ours = object.maps["uses"];
      const program = loaded.programs["elements"];
      const mine = object.programs["elements"];
      if (!theirs || !ours || !program || !mine) throw new Error("no map or program");
      const keys = [1, 2, 3].map((id) => new Uint8Array(Uint32Array.of(id).buffer));
      for (const [i, key] of keys.entries()) {
        const value = new Uint8Array(BigUint64Array.of(BigInt(i), BigInt(i * 100)).buffer);
        theirs.set(key, value);
        ours.set(key, value);
      }
      const link = linux.bpf.attach(program, { hook: "iterator", map: theirs });
      const file = new TextDecoder().decode(readIterator(link as never));
      link.close();
      const rows = keys.map((key) => ({ key: vm.createObject("key", key), value: ours.lookup(key) }));
      const sorted = (lines: string) => lines.split("\n").sort();
      expect(sorted(vm.iterate(mine, "bpf_map_elem", rows))).toEqual(sorted(file));
    } finally {
      loaded.close();
    }
  });

  it("list-tasks: this process's line", async () => {
    const { readIterator } = await import("@skep/linux");
    const spec = specOf("list-tasks");
    const loaded = linux.bpf.load(spec, { programs: ["processes"], config: { only: process.pid } });
    try {
      const program = loaded.programs["processes"];
      if (!program) throw new Error("no program");
      const link = linux.bpf.attach(program, { hook: "iterator" });
      const file = new TextDecoder().decode(readIterator(link as never));
      link.close();
      const vm = new Vm({ clock: () => 0n, random: () => 0, kernelTypes: kernelTypes() });
      const object = vm.load(spec, { programs: ["processes"], config: { only: process.pid } });
      const real_parent = vm.makeObject("task_struct", { tgid: process.ppid });
      const comm = readFileSync("/proc/self/comm", "utf8").trim();
      const task = vm.makeObject("task_struct", { pid: process.pid, tgid: process.pid, comm, real_parent });
      const mine = object.programs["processes"];
      if (!mine) throw new Error("no program");
      expect(vm.iterate(mine, "task", [{ task: real_parent }, { task }])).toBe(file);
    } finally {
      loaded.close();
    }
  });
});
