import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  LinuxBpf,
  openProcesses,
  readIterator,
  NotSupportedError,
  type LinuxProgram,
  type LinuxMap,
} from "@skep/linux";
import type { AttachTarget, Program, RawMap } from "@skep/machine";
import { specOf as specOfText } from "../../packages/compiler/test/harness.ts";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import {
  inNamespace,
  isReadable,
  rawSyscall,
  receive,
  setSocketOption,
  socketName,
} from "../../packages/linux/src/sys/index.ts";
import { Lab, readSockaddr, sendText } from "../../packages/linux/test/lab.ts";
import { Corpus, run, specOf, sum } from "./corpus.ts";
import { ethernet, ipv4, number, packet, tcp, udp } from "./packets.ts";
import * as bank from "./bank.bpf.ts";
import * as commands from "./commands.bpf.ts";
import * as congestion from "./congestion.bpf.ts";
import * as guard from "./guard-exec.bpf.ts";
import * as limits from "./limits.bpf.ts";
import * as cgroups from "./list-cgroups.bpf.ts";
import * as elements from "./list-elements.bpf.ts";
import * as sockets from "./list-sockets.bpf.ts";
import * as tasks from "./list-tasks.bpf.ts";
import * as portable from "./portable.bpf.ts";
import * as profile from "./profile.bpf.ts";
import * as tenants from "./tenants.bpf.ts";
import * as timers from "./timers.bpf.ts";
import * as exec from "./trace-exec.bpf.ts";
import * as kill from "./trace-kill.bpf.ts";
import * as latency from "./trace-latency.bpf.ts";
import * as library from "./trace-library.bpf.ts";
import * as syscalls from "./trace-syscalls.bpf.ts";
import * as walk from "./walk-tasks.bpf.ts";
import * as work from "./work-queue.bpf.ts";

const enabled = canUseBpf();
const libc = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"].find((path) =>
  existsSync(path),
);

/** A text that ends at its first zero. */
function text(bytes: readonly number[]): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.slice(0, end < 0 ? bytes.length : end));
}

/** Drops the first packet that comes from a port of TCP. */
const lose = (port: number): string => `import { be16, global, struct, tc, TC, u32 } from "@skep/bpf";
const Ports = struct("Ports", { source: be16, destination: be16 });
export const lost = global("lost", u32);
export const lose = tc("lose", (ctx) => {
  if (ctx.header(Ports, 34)?.source !== ${port} || lost.value > 0) return TC.OK;
  lost.value = 1;
  return TC.SHOT;
});`;

describe.skipIf(!enabled)("programs that trace, iterate and are called", () => {
  let lab: Lab;
  let corpus: Corpus;

  beforeAll(() => {
    lab = new Lab("corpustrace");
    corpus = new Corpus(lab.bpf);
  });
  afterEach(() => {
    corpus.closeAll();
    lab.reset();
  });
  afterAll(() => {
    if (enabled) lab.close();
  });

  const attach = (program: Program, target: AttachTarget) =>
    corpus.keep(lab.bpf.attach(program as LinuxProgram, target));

  /** Records of a ring that a reader takes as bytes. */
  function drain(map: RawMap): Uint8Array[] {
    const records: Uint8Array[] = [];
    const reader = corpus.keep(map.readRing((record) => records.push(record.slice())));
    reader.drain();
    return records;
  }

  it("trace-syscalls: counts them", () => {
    const app = corpus.load("trace-syscalls", syscalls, { config: { process: process.pid } });
    attach(app.programs.enter, { hook: "raw_tracepoint", name: "sys_enter" });
    for (let round = 0; round < 7; round++) process.getuid?.();
    const GETUID = process.arch === "x64" ? 102 : 174;
    expect(app.maps.calls.get(GETUID)).toBeGreaterThanOrEqual(7n);
  });

  it("trace-exec: who started what", () => {
    const app = corpus.load("trace-exec", exec);
    attach(app.programs.exec, { hook: "tracing" });
    const { pid } = spawnSync("/bin/true");
    const started = drain(app.collection.maps["starts"]!).map((bytes) => exec.Started.decode(bytes as never));
    const own = started.find((event) => event.pid === pid);
    expect(own).toMatchObject({ parent: process.pid, uid: 0 });
    expect([text(own!.name), text(own!.file)]).toEqual(["true", "/bin/true"]);
  });

  it("trace-latency: a histogram, by the task's storage", () => {
    const app = corpus.load("trace-latency", latency, { config: { process: process.pid } });
    attach(app.programs.enter, { hook: "tracing" });
    attach(app.programs.exit, { hook: "tracing" });
    for (let round = 0; round < 5; round++) rawSyscall("getpid");
    const counts = [...app.maps.histogram].map(([, count]) => count);
    expect(sum(counts)).toBeGreaterThanOrEqual(5n);
    // Nothing is faster than 16 ns.
    expect(sum(counts.slice(0, 4))).toBe(0n);
  });

  it("trace-kill: who, whom, which, with a cookie", () => {
    const app = corpus.load("trace-kill", kill);
    attach(app.programs.kill, { hook: "tracepoint", category: "syscalls", name: "sys_enter_kill", cookie: 77n });
    process.kill(process.pid, 0);
    const [record] = drain(app.collection.maps["signals"]!).filter(
      (bytes) => new DataView(bytes.buffer).getUint32(0, true) === process.pid,
    );
    const view = new DataView(record!.buffer);
    expect([view.getInt32(4, true), view.getInt32(8, true), view.getBigUint64(32, true)]).toEqual([
      process.pid,
      0,
      77n,
    ]);
    expect(text([...record!.subarray(12, 28)]).length).toBeGreaterThan(0);
  });

  if (!libc) console.warn("skipped: no C library was found in the usual places");
  it.skipIf(!libc)("trace-library: a call's argument, result and time", () => {
    const app = corpus.load("trace-library", library);
    const place = { path: libc!, function: "getenv", process: process.pid } as const;
    attach(app.programs.enter, { hook: "uprobe", ...place });
    attach(app.programs.leave, { hook: "uprobe", ...place, return: true });
    attach(app.programs.patient, { hook: "uprobe", ...place });
    const many = { path: libc!, places: ["getenv"], process: process.pid } as const;
    attach(app.programs.each, { hook: "uprobe_multi", ...many });
    attach(app.programs.session, { hook: "uprobe_multi", ...many });
    expect(process.env["SKEP_CORPUS_NAME"]).toBeUndefined();
    const calls = drain(app.collection.maps["calls"]!).map((bytes) => [
      text([...bytes.subarray(0, 32)]),
      new DataView(bytes.buffer).getBigUint64(32, true),
      new DataView(bytes.buffer).getBigUint64(40, true),
    ]);
    const own = calls.find(([name]) => name === "SKEP_CORPUS_NAME");
    expect(own?.[1]).toBe(0n);
    expect(own?.[2]).toBeGreaterThan(0n);
    expect(text(app.globals.copied.value.bytes)).toBe("SKEP_CORPUS_NAME".slice(0, 16));
    const entered = app.globals.many.value;
    expect(entered).toBeGreaterThan(0n);
    expect(app.globals.passes.value).toBe(entered * 2n);
  });

  it("profile: stacks of what runs", () => {
    const app = corpus.load("profile", profile, { config: { process: process.pid } });
    attach(app.programs.sample, { hook: "perf_event", event: { event: "cpu_clock", sample: { frequency: 999 } } });
    for (let round = 0; round < 400 && [...app.maps.places].length === 0; round++) {
      for (let at = 0; at < 200_000; at++) Math.sqrt(at);
    }
    const places = [...app.maps.places];
    expect(places.length).toBeGreaterThan(0);
    expect(places.some(([place]) => place.user >= 0n)).toBe(true);
  });

  it("guard-exec: ends a program before it runs", () => {
    const app = corpus.load("guard-exec", guard);
    const name = [...new TextEncoder().encode("id"), ...new Uint8Array(14)];
    app.maps.forbidden.set({ text: name }, 0n);
    attach(app.programs.guard, { hook: "tracing" });
    const ended = spawnSync("/usr/bin/id");
    expect([ended.signal, ended.stdout.length]).toEqual(["SIGKILL", 0]);
    expect(spawnSync("/bin/true").status).toBe(0);
    expect(app.maps.forbidden.get({ text: name })).toBe(1n);
  });

  /** Loads each program of a module; those that the kernel refuses say so by type. */
  function loadEach(name: string): Record<string, string> {
    const spec = specOf(name);
    const outcome: Record<string, string> = {};
    for (const program of Object.keys(spec.programs)) {
      try {
        corpus.keep(lab.bpf.load(spec, { programs: [program] }));
        outcome[program] = "loaded";
      } catch (error) {
        if (!(error instanceof NotSupportedError)) throw error;
        console.warn(`not loaded here: ${name}: ${program}: ${error.message}`);
        outcome[program] = "refused";
      }
    }
    return outcome;
  }

  it("kernel-functions: loads what the kernel takes, and attaches what it has", () => {
    const outcome = loadEach("kernel-functions");
    for (const program of ["before", "after", "several", "several_back", "both"])
      expect(outcome[program]).toBe("loaded");
    const app = lab.bpf.load(specOf("kernel-functions"), { programs: ["before"] });
    corpus.keep(app);
    try {
      attach(app.programs["before"]!, { hook: "kprobe", function: "tcp_v4_connect" });
    } catch (error) {
      if (!(error instanceof NotSupportedError)) throw error;
      console.warn(`not attached here: ${error.message}`);
    }
  });

  it("security: loads, or is refused by type", () => {
    expect(Object.keys(loadEach("security")).sort()).toEqual(["file_open", "socket_create"]);
  });

  it("replace: a replacement of a function of another program", () => {
    const spec = specOf("replace");
    expect(spec.programs["verdict"]).toMatchObject({ type: "ext", attachTo: "ping", section: "freplace/ping" });
    const target = corpus.keep(lab.bpf.load(specOf("xdp-ping")));
    try {
      corpus.keep(lab.bpf.load(spec, { targets: { verdict: target.programs["ping"]! } }));
    } catch (error) {
      expect(error).toMatchObject({ name: "NotSupportedError" });
      console.warn(`not loaded here: replace: ${(error as Error).message}`);
    }
  });

  function lines(program: Program, target: object = {}): string[] {
    const link = attach(program, { hook: "iterator", ...target });
    return new TextDecoder()
      .decode(readIterator(link as never))
      .split("\n")
      .slice(0, -1);
  }

  it("list-tasks: processes and files", () => {
    const app = corpus.load("list-tasks", tasks);
    const all = lines(app.programs.processes).map((line) => line.split(" "));
    const name = readFileSync("/proc/self/comm", "utf8").trim().split(" ")[0];
    expect(all.find(([pid]) => Number(pid) === process.pid)?.slice(1, 3)).toEqual([String(process.ppid), name]);
    const files = lines(app.programs.files, { task: { pid: process.pid } });
    expect(files).toContain(`${process.pid} 0`);
  });

  it("list-elements: a map as text", () => {
    const app = corpus.load("list-elements", elements);
    app.maps.uses.set({ id: 1 }, { packets: 3n, bytes: 300n });
    app.maps.uses.set({ id: 2 }, { packets: 0n, bytes: 0n });
    expect(lines(app.programs.elements, { map: app.maps.uses.raw })).toEqual(["1: 3 packets, 300 bytes"]);
  });

  it("list-sockets: lists, and destroys", () => {
    const listener = lab.listen(lab.host, [127, 0, 0, 1], 7211);
    const app = corpus.load("list-sockets", sockets, { config: { doomed: 7211 } });
    const TCP_LISTEN = 10;
    expect(inNamespace(lab.host.path, () => lines(app.programs.sockets))).toContain(`7211 ${TCP_LISTEN}`);
    const client = lab.connect(lab.host, [127, 0, 0, 1], 7211);
    expect(lab.accept(listener)).not.toBeNull();
    inNamespace(lab.host.path, () => lines(app.programs.destroy));
    expect(app.globals.destroyed.value).toBeGreaterThan(0n);
    if (typeof client === "object") expect(() => sendText(client, "x")).toThrow(/ECONN|EPIPE/);
  });

  it("list-cgroups and walk-tasks: cgroups, tasks, areas, numbers, bits", async () => {
    const processes = openProcesses();
    const name = `skep-corpus-walk-${process.pid}`;
    const top = processes.createCgroup(name);
    const child = processes.createCgroup(`${name}/below`);
    try {
      const list = corpus.load("list-cgroups", cgroups);
      const ids = lines(list.programs.cgroups, { cgroup: { path: top.path, order: "descendants_pre" } }).map((line) =>
        BigInt(line.split(" ")[0]!),
      );
      expect(ids).toEqual([top.id, child.id]);
      const app = corpus.load("walk-tasks", walk);
      const zero = { pid: 0, cgroup: 0n, processes: 0, threads: 0, areas: 0, below: 0, sum: 0, bits: 0 };
      const ask = (program: Program, question: object) => {
        const { returned, context } = program.test({
          context: walk.Question.encode({ ...zero, ...question }) as Uint8Array,
        });
        expect(returned).toBe(0);
        return walk.Question.decode(context as never);
      };
      const answer = ask(app.programs.ask, {});
      expect(answer.processes).toBeGreaterThan(3);
      expect(answer.threads).toBeGreaterThan(1);
      expect([answer.sum, answer.bits]).toEqual([1225, 0 + 1 + 3 + 64]);
      expect(ask(app.programs.areas, { pid: process.pid }).areas).toBeGreaterThan(10);
      expect(ask(app.programs.below, { cgroup: top.id }).below).toBe(2);
    } finally {
      await processes.deleteCgroup(name);
    }
  });

  it("congestion: used by a connection", () => {
    const app = corpus.load("congestion", congestion);
    corpus.keep(lab.bpf.attachStructOps(app.collection.maps["gentle"] as LinuxMap));
    const listener = lab.listen(lab.host, [127, 0, 0, 1], 0);
    const port = Number(readSockaddr(socketName(listener.fd)).split(":")[1]);
    const client = lab.connect(lab.host, [127, 0, 0, 1], port);
    const server = lab.accept(listener);
    if (typeof client === "string" || !server) throw new Error("no connection");
    const [IPPROTO_TCP, TCP_CONGESTION] = [6, 13];
    setSocketOption(client.fd, { level: IPPROTO_TCP, option: TCP_CONGESTION }, new TextEncoder().encode("skep_gentle"));
    const buffer = new Uint8Array(4096);
    for (let round = 0; round < 50; round++) {
      sendText(client, "x".repeat(1000));
      isReadable(server.fd, 100);
      receive(server.fd, buffer);
    }
    expect(app.globals.count.value.acks).toBeGreaterThan(0n);
    // An acknowledgement is lost: the sender takes the data for lost, and learns from the next one, which says what came twice (RFC 2883),
    // that it was not. Without probes before that (RFC 8985), after which it would know.
    inNamespace(lab.host.path, () => writeFileSync("/proc/sys/net/ipv4/tcp_early_retrans", "0"));
    const there = new Corpus(new LinuxBpf({ netns: lab.host.path }));
    corpus.keep({ close: () => there.closeAll() });
    const { programs } = there.keep(there.bpf.load(specOfText(lose(port))));
    there.keep(there.bpf.attach(programs["lose"]!, { hook: "tcx", interface: 1, direction: "ingress" }));
    sendText(client, "x".repeat(1000));
    const still = new Int32Array(new SharedArrayBuffer(4));
    const until = (isDone: () => boolean): void => {
      for (let round = 0; round < 600 && !isDone(); round++) Atomics.wait(still, 0, 0, 50);
    };
    const { undo_cwnd: undo } = app.collection.programs;
    until(() => ((undo as LinuxProgram | undefined)?.refresh().runCount ?? 0n) > 0n);
    expect(app.globals.count.value.losses).toBe(1n);
  });

  it("timers: leases end by themselves", async () => {
    const app = corpus.load("timers", timers);
    const lease = (id: number, nanoseconds: bigint) =>
      app.programs.lease.test({ context: timers.Request.encode({ id, nanoseconds, owner: 5n }) as Uint8Array })
        .returned;
    expect([lease(1, 1_000_000n), lease(2, 3_600_000_000_000n)]).toEqual([0, 0]);
    expect(app.maps.leases.get(2)?.owner).toBe(5n);
    for (let round = 0; round < 4000 && app.globals.ended.value === 0n; round++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect([app.maps.leases.get(1), app.globals.ended.value]).toEqual([null, 1n]);
    expect(app.maps.leases.get(2)).not.toBeNull();
  });

  it("commands: what user space wants done", () => {
    const app = corpus.load("commands", commands);
    const ring = corpus.keep((app.collection.maps["commands"] as LinuxMap).writeRing());
    const { SET, ADD, DELETE, STOP } = commands.OPERATION;
    const send = (operation: number, key: number, value = 0n) => {
      const bytes = new Uint8Array(16);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, operation, true);
      view.setUint32(4, key, true);
      view.setBigUint64(8, value, true);
      ring.write(bytes);
    };
    send(SET, 1, 10n);
    send(ADD, 1, 5n);
    send(SET, 2, 7n);
    send(DELETE, 2);
    send(9, 0);
    send(STOP, 0);
    send(SET, 3, 1n);
    const obey = () => {
      const { context } = app.programs.obey.test({
        context: commands.Report.encode({ done: 0, failed: 0 }) as Uint8Array,
      });
      return commands.Report.decode(context as never);
    };
    expect(obey()).toEqual({ done: 4, failed: 1 });
    expect([1, 2, 3].map((key) => app.maps.table.get(key))).toEqual([15n, null, null]);
    expect(obey()).toEqual({ done: 1, failed: 0 });
    expect(app.maps.table.get(3)).toBe(1n);
  });

  it("bank: two values that change together", () => {
    const app = corpus.load("bank", bank);
    const account = (left: bigint) => ({ lock: { val: 0 }, left, right: 0n, moves: 0 });
    app.maps.accounts.set(0, account(150n));
    const move = () => run(app.programs.move, new Uint8Array(60)).returned;
    expect([move(), move(), move()]).toEqual([0, 0, 2]);
    expect(app.maps.accounts.get(0)).toMatchObject({ left: 30n, right: 120n, moves: 2 });
  });

  it("work-queue: first in, first out; never twice", () => {
    const app = corpus.load("work-queue", work);
    const put = (job: number) => {
      const bytes = new Uint8Array(60);
      new DataView(bytes.buffer).setUint32(14, job, true);
      return run(app.programs.put, bytes).returned;
    };
    expect([1, 2, 1, 3].map(put)).toEqual([0, 0, 1, 0]);
    expect([1, 2, 3, 4].map(() => run(app.programs.take, new Uint8Array(60)).returned)).toEqual([
      3001, 3002, 3003, 3000,
    ]);
  });

  it("tenants: tables exchanged while programs run", () => {
    const app = corpus.load("tenants", tenants);
    const context = new Uint8Array(192);
    new DataView(context.buffer).setUint32(8, 5, true);
    const verdict = () => run(app.programs.enforce, packet(ethernet(), ipv4(), udp(53)), context).returned;
    const [OK, SHOT] = [0, 2];
    expect(verdict()).toBe(SHOT);
    const put = (value: number) => {
      const inner = corpus.keep(app.maps.tenants.createInner());
      inner.set({ address: number("192.0.2.1") }, value);
      app.maps.tenants.set(5, inner);
    };
    put(1);
    expect(verdict()).toBe(OK);
    put(0);
    expect(verdict()).toBe(SHOT);
    expect(app.globals.strangers.value).toBe(1n);
  });

  it("portable: what this kernel has", () => {
    const app = corpus.load("portable", portable);
    const zero = {
      modern: 0,
      hz: 0,
      hasLoop: 0,
      loopNumber: 0n,
      hasComm: 0,
      hasTask: 0,
      taskSize: 0n,
      hasStrlen: 0,
      sum: 0,
    };
    const { returned, context } = app.programs.facts.test({ context: portable.Facts.encode(zero) as Uint8Array });
    expect(returned).toBe(0);
    const facts = portable.Facts.decode(context as never);
    expect(facts).toMatchObject({ modern: 1, hasLoop: 1, loopNumber: 181n, hasComm: 1, hasTask: 1, sum: 45 });
    expect([100, 250, 300, 1000]).toContain(facts.hz);
    expect(facts.taskSize).toBeGreaterThan(1000n);
  });

  it("limits: ends where something does not hold", () => {
    const app = corpus.load("limits", limits);
    const check = (...layers: Parameters<typeof packet>) => run(app.programs.check, packet(...layers)).returned;
    const [OK, SHOT, PIPE] = [0, 2, 3];
    expect(check(ethernet(), ipv4(), tcp(80))).toBe(PIPE);
    expect(check(ethernet(), ipv4(), udp(80))).toBe(OK);
    expect(check(ethernet(), ipv4(), tcp(80, { flags: 0 }))).toBe(SHOT);
    expect(check(ethernet(), ipv4(), tcp(80, { flags: 0x29 }))).toBe(SHOT);
    expect(check(ethernet(), ipv4("10.0.0.1", "10.0.0.2", { moreFragments: true }), tcp(80))).toBe(SHOT);
  });

  it("has run every program that it loaded", () => {
    expect(corpus.neverRun()).toEqual([]);
  });
});
