import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readIterator, type LinuxMap, type LinuxProgram } from "@skep/linux";
import { writeObject } from "@skep/object";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import { Lab } from "../../packages/linux/test/lab.ts";
import { Corpus, run, specOf } from "./corpus.ts";
import * as deadlines from "./deadlines.bpf.ts";
import * as keepTask from "./keep-task.bpf.ts";
import * as recent from "./recent.bpf.ts";
import * as sharedList from "./shared-list.bpf.ts";
import * as showTask from "./show-task.bpf.ts";
import * as taskBits from "./task-bits.bpf.ts";

const hasBpftool = spawnSync("bpftool", ["version"]).status === 0;
if (!hasBpftool) console.warn("bpftool is not there: libbpf is not asked");
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe.skipIf(!canUseBpf())("programs with objects of their own", () => {
  let lab: Lab;
  let corpus: Corpus;
  beforeAll(() => {
    lab = new Lab("corpusobj");
    corpus = new Corpus(lab.bpf);
  });
  afterEach(() => {
    corpus.closeAll();
    lab.reset();
  });
  afterAll(() => lab.close());

  it("deadlines: the earliest first, whatever the order of their coming", () => {
    const app = corpus.load("deadlines", deadlines);
    const call = (name: "put" | "take", deadline: bigint, number = 0) => {
      const context = deadlines.Request.encode({ deadline, number, waiting: 0 }) as Uint8Array;
      const answer = app.programs[name].test({ context });
      return { returned: answer.returned, ...deadlines.Request.decode(answer.context ?? context) };
    };
    const order = [50n, 10n, 40n, 20n, 60n, 30n];
    expect(order.map((deadline, at) => call("put", deadline, at).waiting)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(call("take", 5n).returned).toBe(2);
    const taken = Array.from({ length: 6 }, () => call("take", 50n));
    expect(taken.map((one) => (one.returned === 0 ? one.deadline : null))).toEqual([10n, 20n, 30n, 40n, 50n, null]);
    expect(taken.slice(0, 5).map((one) => one.number)).toEqual([1, 3, 5, 2, 0]);
    expect(app.globals.late.value).toBe(4n);
    expect(app.maps.schedules.get(0)?.waiting).toBe(1);
  });

  it("recent: a list that forgets, and what a pointer keeps of it", () => {
    const app = corpus.load("recent", recent);
    const mark = (value: number) => {
      const context = new Uint8Array(192);
      new DataView(context.buffer).setUint32(8, value, true);
      return context;
    };
    const remember = (length: number, value: number) =>
      run(app.programs.remember, new Uint8Array(length), mark(value)).returned;
    const longest = () => run(app.programs.longest, new Uint8Array(64)).returned;
    expect(longest()).toBe(0);
    expect([remember(100, 1), remember(300, 2), remember(200, 3)]).toEqual([0, 0, 0]);
    expect([remember(64, 4), remember(64, 5), remember(64, 6)]).toEqual([1, 2, 3]);
    // Out of the list, and there all the same.
    expect(longest()).toBe(2);
    // User space sees that there is a pointer field, and no pointer.
    expect(app.maps.recent.get(0)).toMatchObject({ count: 3, longest: null });
  });

  it("keep-task: a task, counters per CPU, and work for later", async () => {
    const app = corpus.load("keep-task", keepTask);
    const call = (name: "keep" | "ask" | "release") => {
      const context = new Uint8Array(keepTask.Answer.size);
      const answer = app.programs[name].test({ context });
      expect(answer.returned).toBe(0);
      return keepTask.Answer.decode(answer.context ?? context);
    };
    expect(call("ask")).toEqual({ pid: 0, held: 0, calls: 0n });
    expect(call("keep").held).toBe(1);
    expect(call("keep")).toMatchObject({ held: 2, pid: expect.any(Number) });
    expect(Array.from({ length: 3 }, () => call("ask").calls)).toEqual([1n, 2n, 3n]);
    expect(call("ask").pid).toBe(process.pid);
    call("release");
    for (let round = 0; round < 4000 && app.globals.worked.value === 0n; round++) await pause(5);
    expect([app.globals.worked.value, call("ask").pid]).toEqual([1n, 0]);
  });

  it("show-task: this process by its members", () => {
    const app = corpus.load("show-task", showTask, { config: { only: process.pid } });
    const link = corpus.keep(lab.bpf.attach(app.programs.show as LinuxProgram, { hook: "iterator" }));
    const text = new TextDecoder().decode(readIterator(link as never));
    expect(text).toMatch(/^\(struct task_struct\)\{/);
    expect(text).toContain(`.tgid = (pid_t)${process.pid},`);
  });

  it("task-bits: a bit of a task, by loads and by probing", () => {
    const app = corpus.load("task-bits", taskBits);
    const ask = (pid: number) => {
      const context = taskBits.Question.encode({ pid, trusted: 0, probed: 0, policy: 0 }) as Uint8Array;
      const answer = app.programs.ask.test({ context });
      return { returned: answer.returned, ...taskBits.Question.decode(answer.context ?? context) };
    };
    const start = (...args: string[]) => {
      const child = spawn("chrt", [...args, "sleep", "60"]);
      corpus.keep({ close: () => void child.kill("SIGKILL") });
      return child.pid ?? 0;
    };
    const [batch, other] = [start("--reset-on-fork", "--batch", "0"), start("--other", "0")];
    const settled = () => ask(batch).policy === 3 && readFileSync(`/proc/${other}/comm`, "utf8") === "sleep\n";
    for (let round = 0; round < 1_000_000 && !settled(); round++);
    expect(ask(batch)).toEqual({ returned: 0, pid: batch, trusted: 1, probed: 1, policy: 3 });
    expect(ask(other)).toEqual({ returned: 0, pid: other, trusted: 0, probed: 0, policy: 0 });
  });

  it("shared-list: the same list in the kernel and here", () => {
    const app = corpus.load("shared-list", sharedList);
    const call = (name: "grow" | "clear", pages: number) =>
      app.programs[name].test({ context: sharedList.Size.encode({ pages }) as Uint8Array }).returned;
    const packet = (length: number) => Uint8Array.from({ length }, (_, at) => (length + at) & 255);
    const append = (length: number) => run(app.programs.append, packet(length)).returned;
    expect(append(64)).toBe(1);
    expect(call("grow", 100)).toBe(1);
    expect(call("grow", 2)).toBe(0);
    const lengths = Array.from({ length: 500 }, (_, at) => 64 + at);
    expect(lengths.map(append).every((returned) => returned === 0)).toBe(true);
    expect(run(app.programs.sum, packet(64)).returned).toBe(lengths.reduce((total, each) => total + each, 0));

    const memory = (app.collection.maps["heap"] as LinuxMap).mapArena();
    const seen: number[] = [];
    for (let at = app.globals.head.value; at !== 0n;) {
      const entry = sharedList.Entry.decode(memory.read(Number(at - memory.address), sharedList.Entry.size));
      expect(entry.first[0]).toBe((entry.length + 12) & 255);
      seen.unshift(entry.length);
      at = entry.next;
    }
    expect(seen).toEqual(lengths);
    expect(call("clear", 2)).toBe(0);
    expect([append(64), run(app.programs.sum, packet(64)).returned]).toEqual([1, 0]);
  });

  // Not arenas: libbpf maps them since 1.4, and the tool of many systems is older.
  it.skipIf(!hasBpftool)("libbpf loads them too", () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-objects-"));
    const pins = join(folder, "pins");
    lab.bpf.preparePins(pins);
    try {
      for (const name of ["deadlines", "recent", "keep-task", "show-task", "task-bits"]) {
        const file = join(folder, `${name}.o`);
        writeFileSync(file, writeObject(specOf(name)));
        const loaded = spawnSync("bpftool", ["prog", "loadall", file, join(pins, name)], { encoding: "utf8" });
        expect(loaded.status, `${name}: ${loaded.stderr}`).toBe(0);
      }
    } finally {
      lab.bpf.removePins(pins);
      rmSync(folder, { recursive: true });
    }
  });

  it("has run every program that it loaded", () => {
    expect(corpus.neverRun()).toEqual([]);
  });
});
