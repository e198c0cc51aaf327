// Variables of the kernel by name, addresses of its symbols, and work that a task does itself.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { kernelTypes } from "@skep/linux";
import { readBtfSection, writeObject } from "@skep/object";
import { verify } from "@skep/verifier";
import { bpf, compileText, formatAll, specOf } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const privileged = canUseBpf();
const has = (file: string, text: string): boolean => {
  if (!privileged) return false;
  const found = readFileSync(file).includes(text);
  if (!found) console.warn(`skipped: ${file} has no ${text}`);
  return found;
};

const DECLARED = `
import { getSmpProcessorId, i32, kfuncExists, ksymAddress, perCpuPtr, struct, syscall, thisCpuPtr, u32, u64, type PerCpuObject } from "@skep/bpf";
interface rq { readonly "~btf"?: "struct rq"; cpu: i32 }
declare const runqueues: PerCpuObject<rq>;
declare const cpu_number: PerCpuObject<i32>;
declare const process_counts: PerCpuObject<u64>;
declare const no_such_variable: PerCpuObject<boolean>;
export const license = "GPL";
`;
const VARIABLES = `${DECLARED}
const Answer = struct("Answer", { here: u32, other: i32, beyond: u32, number: i32, count: u64 });
export const main = syscall("main", Answer, (answer) => {
  const mine = thisCpuPtr(runqueues);
  answer.here = u32(mine.cpu === i32(getSmpProcessorId()) && thisCpuPtr(cpu_number) === mine.cpu);
  const other = perCpuPtr(runqueues, 0);
  answer.other = other ? other.cpu : -1;
  answer.beyond = u32(perCpuPtr(runqueues, 100_000) === null) + u32(perCpuPtr(cpu_number, 100_000) === null);
  answer.number = perCpuPtr(cpu_number, 0) ?? -1;
  for (let cpu = 0; cpu < 16; cpu++) answer.count += perCpuPtr(process_counts, cpu) ?? 0n;
  return 0;
});`;

describe("variables of the kernel", () => {
  it("are external variables of their types, the optional ones weak", () => {
    const spec = specOf(`${VARIABLES}
export const maybe = syscall("maybe", Answer, () => (kfuncExists(no_such_variable) && thisCpuPtr(no_such_variable) ? 1 : 0));`);
    const types = readBtfSection(writeObject(spec))?.types ?? [];
    const named = (name: string): unknown => {
      const variable = types.find((type) => type?.kind === "var" && type.name === name);
      if (variable?.kind !== "var") return null;
      const type = types[variable.typeId - 1];
      return [variable.linkage, type?.kind, type && "name" in type ? type.name : ""];
    };
    expect(named("runqueues")).toEqual(["extern", "struct", "rq"]);
    expect(named("cpu_number")).toEqual(["extern", "int", "i32"]);
    expect(named("process_counts")).toEqual(["extern", "int", "u64"]);
    const weak = Object.values(spec.programs).flatMap(({ references }) =>
      references.flatMap((one) => (one.kind === "ksym" ? [[one.name, one.weak] as const] : [])),
    );
    expect(Object.fromEntries(weak)).toEqual({
      runqueues: false,
      cpu_number: false,
      process_counts: false,
      no_such_variable: true,
    });
  });

  it("want a type that the kernel has, and say what is missing otherwise", () => {
    const result = compileText(`${DECLARED}
interface Mine { cpu: i32 }
declare const mine: PerCpuObject<Mine>;
declare const jiffies: u64;
const A = struct("A", { n: u64 });
export const main = syscall("main", A, (answer) => {
  answer.n = u64(thisCpuPtr(mine).cpu) + jiffies;
  return 0;
});`);
    expect(result.diagnostics.map(({ code }) => code)).toEqual(["SKEP1414", "SKEP1003"]);
    expect(formatAll(result)).toContain("declare const jiffies: PerCpuObject<T>");
  });

  it.skipIf(!has("/proc/kallsyms", " runqueues"))("are read on this CPU and on others", () => {
    const collection = bpf.load(specOf(VARIABLES));
    try {
      const context = collection.programs.main?.test({ context: new Uint8Array(24) }).context ?? new Uint8Array(24);
      const view = new DataView(context.buffer, context.byteOffset);
      expect([0, 4, 8, 12].map((at) => view.getInt32(at, true))).toEqual([1, 0, 2, 0]);
      expect(view.getBigUint64(16, true)).toBeGreaterThan(0n);
    } finally {
      collection.close();
    }
  });

  it.skipIf(!has("/proc/kallsyms", " tcp_v4_rcv"))(
    "that are not there are behind a check; symbols have addresses",
    () => {
      const collection = bpf.load(
        specOf(`${DECLARED}
const Answer = struct("Answer", { receive: u64, none: u64, missing: u32 });
export const main = syscall("main", Answer, (answer) => {
  answer.receive = ksymAddress("tcp_v4_rcv");
  answer.none = ksymAddress("skep_has_no_such_symbol");
  if (kfuncExists(no_such_variable)) answer.missing = thisCpuPtr(no_such_variable) ? 1 : 2;
  else answer.missing = 3;
  return 0;
});`),
      );
      try {
        const context = collection.programs.main?.test({ context: new Uint8Array(24) }).context ?? new Uint8Array(24);
        const view = new DataView(context.buffer, context.byteOffset);
        const line = readFileSync("/proc/kallsyms", "utf8")
          .split("\n")
          .find((one) => one.endsWith(" tcp_v4_rcv"));
        expect(view.getBigUint64(0, true)).toBe(BigInt(`0x${line?.split(" ")[0]}`));
        expect([view.getBigUint64(8, true), view.getUint32(16, true)]).toEqual([0n, 3]);
      } finally {
        collection.close();
      }
    },
  );
});

const WORK = `
import { array, getCurrentPidTgid, getCurrentTaskBtf, i32, struct, syscall, TaskWork, taskWorkResume, taskWorkSignal, u32 } from "@skep/bpf";
interface task_struct { readonly "~btf"?: "struct task_struct"; pid: i32 }
export const license = "GPL";
const Slot = struct("Slot", { work: TaskWork, thread: u32, key: u32, runs: u32 });
export const slots = array("slots", { value: Slot, maxEntries: 2 });
const Request = struct("Request", { resume: u32, result: i32 });
export const main = syscall("main", Request, (request) => {
  const slot = slots.get(1);
  if (!slot) return 1;
  const task = getCurrentTaskBtf<task_struct>();
  request.result = request.resume
    ? taskWorkResume(task, slot.work, slots, (_key, value) => { value.runs += 100; })
    : taskWorkSignal(task, slot.work, slots, (key, value) => {
        value.runs += 1;
        value.key = key;
        value.thread = u32(getCurrentPidTgid());
      });
  return 0;
});`;

describe.skipIf(!has("/sys/kernel/btf/vmlinux", "bpf_task_work_schedule_signal_impl"))("work of a task", () => {
  it("is done before the task is back in user space", () => {
    const collection = bpf.load(specOf(WORK));
    try {
      const ask = (resume: number): number => {
        const context = new Uint8Array(Uint32Array.from([resume, 0xff]).buffer);
        const answer = collection.programs.main?.test({ context }).context ?? context;
        return new DataView(answer.buffer, answer.byteOffset).getInt32(4, true);
      };
      const slot = (): number[] => {
        const value = collection.maps.slots?.get(new Uint8Array(Uint32Array.of(1).buffer)) as Uint8Array;
        const view = new DataView(value.buffer, value.byteOffset);
        return [8, 12, 16].map((at) => view.getUint32(at, true));
      };
      expect(ask(0)).toBe(0);
      expect(slot()).toEqual([process.pid, 1, 1]);
      expect(ask(1)).toBe(0);
      expect(slot()).toEqual([process.pid, 1, 101]);
    } finally {
      collection.close();
    }
  });

  it("is of the map whose value it is in, to the verifier of user space too", () => {
    const others = `${WORK.replace("slot.work, slots", "slot.work, others")}
export const others = array("others", { value: Slot, maxEntries: 2 });`;
    const judged = [WORK, others].map((text) => verify(specOf(text), "main", { kernelTypes: kernelTypes() }).refusal);
    expect(judged.map((refusal) => refusal?.reason ?? null)).toEqual([null, "the work is not of this map's value"]);
    expect(() => bpf.load(specOf(others))).toThrow(/bpf_task_work pointer in R2 .*doesn't match map pointer in R3/);
  });
});
