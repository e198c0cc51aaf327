import { readFileSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { openBtf, printDts, type BtfView } from "@skep/object";
import { specOf, start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const WANTED = ["task_struct", "bpf_iter__task"];
const FUNCTIONS = ["bpf_task_from_pid", "bpf_task_release", "bpf_rcu_read_lock", "bpf_rcu_read_unlock"];

function declarations(btf: BtfView): string {
  const ids = [...WANTED, ...FUNCTIONS].flatMap((name) =>
    btf.named(name).filter((id) => ["struct", "func"].includes(btf.get(id)?.kind ?? "")),
  );
  return printDts(btf, { types: ids, depth: 1 });
}

const HEAD = `
import { addressOf, array, exists, fentry, getCurrentComm, getCurrentPidTgid, getCurrentTask, getCurrentTaskBtf, iterator, kernelPointer,
  lsm, probeReadKernelStr, rawTracepoint, sizeOfField, struct, tpBtf, tracepoint, typeExists, typeSize, u32, u64, u8, global } from "@skep/bpf";
import { bpf_rcu_read_lock, bpf_rcu_read_unlock, bpf_task_from_pid, bpf_task_release, type bpf_iter__task, type task_struct } from "./kernel.d.ts";
export const license = "GPL";
`;

describe.skipIf(!canUseBpf())("kernel structures", () => {
  let files: Record<string, string> = {};
  const open: Running[] = [];
  beforeAll(() => {
    const btf = openBtf(readFileSync("/sys/kernel/btf/vmlinux"));
    files = { "/test/kernel.d.ts": declarations(btf) };
  });
  afterEach(() => open.splice(0).forEach((one) => one.close()));
  const load = (text: string): Running => {
    const running = start(HEAD + text, { files });
    open.push(running);
    return running;
  };
  const word = (running: Running, name: string): bigint => {
    const map = running.collection.maps[".bss"];
    const bytes = map?.get(new Uint8Array(4));
    const at = specVariables(running).find((one) => one.name === name)?.offset;
    if (!bytes || at === undefined) throw new Error(`no ${name}`);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(at, true);
  };
  const specs = new Map<Running, ReturnType<typeof specOf>>();
  const specVariables = (running: Running) => specs.get(running)?.maps[".bss"]?.data?.variables ?? [];
  const loadWords = (text: string): Running => {
    const running = load(text);
    specs.set(running, specOf(HEAD + text, files));
    return running;
  };

  it("are read through addresses and trusted pointers, alike", () => {
    const program = loadWords(`
      export const pid = global("pid", u64);
      export const viaBtf = global("via_btf", u64);
      export const parent = global("parent", u64);
      export const expected = global("expected", u64);
      export const parentBtf = global("parent_btf", u64);
      export const main = rawTracepoint("main", "sys_enter", () => {
        const task = kernelPointer<task_struct>(getCurrentTask());
        if (!task) return 1;
        pid.value = u64(u32(task.tgid));
        parent.value = u64(u32(task.real_parent?.tgid ?? 0));
        const same = getCurrentTaskBtf<task_struct>();
        viaBtf.value = u64(u32(same.tgid));
        const up = same.real_parent;
        if (up) parentBtf.value = u64(u32(up.tgid));
        expected.value = getCurrentPidTgid() >> 32n;
        return 0;
      });`);
    expect(program.collection.programs["main"]?.test({ context: new Uint8Array(16) }).returned).toBe(0);
    expect(word(program, "expected")).toBe(BigInt(process.pid));
    expect(word(program, "pid")).toBe(BigInt(process.pid));
    expect(word(program, "via_btf")).toBe(BigInt(process.pid));
    expect(word(program, "parent")).toBe(BigInt(process.ppid));
    expect(word(program, "parent_btf")).toBe(BigInt(process.ppid));
  });

  it("are walked, and tell what there is", () => {
    const program = loadWords(`
      const Name = struct("Name", { bytes: array(u8, 16) });
      export const depth = global("depth", u64);
      export const facts = global("facts", u64);
      export const size = global("size", u64);
      export const equal = global("equal", u64);
      export const main = rawTracepoint("main", "sys_enter", () => {
        let task: task_struct | null = getCurrentTaskBtf<task_struct>();
        for (let i = 0; i < 32; i++) {
          if (!task || task.pid === 1) break;
          depth.value += 1n;
          task = task.real_parent;
        }
        const here = getCurrentTaskBtf<task_struct>();
        facts.value = (exists(here.pid) ? 1n : 0n) | (typeExists<task_struct>() ? 2n : 0n) | (sizeOfField(here.pid) << 8n);
        size.value = typeSize<task_struct>();
        const a = Name.zero();
        const b = Name.zero();
        probeReadKernelStr(a.bytes, addressOf(here.comm));
        getCurrentComm(b.bytes);
        let same = 1n;
        for (let i = 0; i < 15; i++) if (a.bytes[i] !== b.bytes[i]) same = 0n;
        equal.value = same;
        return 0;
      });`);
    program.collection.programs["main"]?.test({ context: new Uint8Array(16) });
    expect(word(program, "depth")).toBeGreaterThan(0n);
    expect(word(program, "facts")).toBe(0x403n);
    expect(word(program, "size")).toBeGreaterThan(1000n);
    expect(word(program, "equal")).toBe(1n);
  });

  it("are given to typed programs and to kernel functions", () => {
    const program = load(`
      export const switched = tpBtf("switched", "sched_switch", (preempt: boolean, prev: task_struct, next: task_struct) => {
        if (!preempt && prev.pid === next.pid) return 1;
        return 0;
      });
      export const each = iterator("each", "task", (ctx: bpf_iter__task) => {
        const task = ctx.task;
        return task && task.pid === 1 && task.mm ? 1 : 0;
      });
      export const found = tpBtf("found", "sys_enter", (regs: u64, id: u64) => {
        const task = bpf_task_from_pid(1);
        if (!task) return 0;
        const pid = task.pid;
        bpf_task_release(task);
        bpf_rcu_read_lock();
        const me = getCurrentTaskBtf<task_struct>();
        const up = me.real_parent;
        const parent = up ? up.pid : 0;
        bpf_rcu_read_unlock();
        return pid === 1 && parent !== 0 ? 0 : 1;
      });`);
    expect(Object.keys(program.collection.programs).sort()).toEqual(["each", "found", "switched"]);
  });
});
