import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { connect as connectTls, createServer, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { attachPerfOld } from "../src/bpf/attach/tracing.ts";
import { openPerfEvent, PERF_TYPE } from "../src/bpf/perf-event.ts";
import { canUseBpf, objectSpec } from "../src/bpf/testing.ts";
import { exit, mem, mov64, r0, r1, stx } from "../src/bpf/testing-isa.ts";
import { tracepointId } from "../src/bpf/tracefs.ts";
import { openDescriptors, rawSyscall } from "../src/sys/index.ts";
import type { AttachTarget } from "@skep/machine";
import type { LinuxCollection } from "../src/bpf/index.ts";
import { countOf, Lab, printTable, refusedRow, row, testObject, u32 } from "./lab.ts";

const enabled = canUseBpf();
printTable("Tracing");

const libc = [
  "/lib/x86_64-linux-gnu/libc.so.6",
  "/lib/aarch64-linux-gnu/libc.so.6",
  "/usr/lib/libc.so.6",
  "/lib64/libc.so.6",
].find((path) => existsSync(path));
const probed = fileURLToPath(new URL("../testdata/probed.x64", import.meta.url));

describe.skipIf(!enabled)("tracing", () => {
  let lab: Lab;

  beforeAll(() => {
    lab = new Lab("trace");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  /** Loads a program that only minds this process (or the given one), and attaches it. */
  function attach(program: string, target: AttachTarget, pid = process.pid): LinuxCollection {
    const collection = load(program, pid);
    lab.keep(lab.bpf.attach(collection.programs[program]!, target));
    return collection;
  }

  function load(program: string, pid = process.pid): LinuxCollection {
    const collection = lab.load("tracing", [program]);
    const bss = collection.maps[".bss"]!;
    const bytes = bss.get(u32(0))!;
    const place = testObject("tracing").maps[".bss"]?.data?.variables.find((each) => each.name === "wanted");
    bytes.set(u32(pid), place?.offset ?? 0);
    bss.set(u32(0), bytes);
    return collection;
  }

  /** The eight bytes of a text that a program kept. */
  function textAt(collection: LinuxCollection, index: number): string {
    const value = collection.maps["counts"]!.get(u32(index))!;
    const end = value.indexOf(0);
    return new TextDecoder().decode(value.subarray(0, end < 0 ? 8 : end));
  }

  row("raw tracepoint, by its name", () => {
    const collection = attach("raw", { hook: "raw_tracepoint", name: "sys_enter" });
    rawSyscall("getpid");
    expect(countOf(collection, 3)).toBeGreaterThan(0);
  });

  row("tp_btf with fields of the kernel's own types", () => {
    const collection = attach("executed", { hook: "tracing" });
    const { pid } = spawnSync("true");
    expect(countOf(collection, 0)).toBeGreaterThan(0);
    expect(countOf(collection, 1)).toBeGreaterThanOrEqual(pid);
  });

  row("tp_btf on every tracepoint of the list", () => {
    const names = Object.keys(testObject("tracing").programs).filter((name) => name.startsWith("tp_"));
    expect(names).toHaveLength(33);
    const fired: string[] = [];
    for (const name of names) {
      const collection = attach(name, { hook: "tracing" });
      if (["tp_sys_enter", "tp_sys_exit"].includes(name)) rawSyscall("getpid");
      if (["tp_sched_process_fork", "tp_sched_process_exit", "tp_task_newtask", "tp_page_fault_user"].includes(name))
        spawnSync("true");
      if (countOf(collection, 2) > 0) fired.push(name.slice(3));
      lab.reset();
    }
    for (const name of ["sys_enter", "sys_exit", "sched_process_fork", "task_newtask"]) expect(fired).toContain(name);
    return `works: ${names.length} attached, ${fired.length} fired`;
  });

  row("tracepoint through a perf event, with a cookie", () => {
    const target = { hook: "tracepoint", category: "syscalls", name: "sys_enter_kill", cookie: 0xc0ffeen } as const;
    const collection = attach("entered", target);
    process.kill(process.pid, 0);
    expect(countOf(collection, 4)).toBe(1);
    expect(countOf(collection, 5)).toBe(0xc0ffee);
    const again = () => attach("entered", { hook: "tracepoint", category: "syscalls", name: "no_such" });
    expect(again).toThrow("this kernel does not support tracepoint syscalls/no_such");
  });

  row("tracepoint by the ioctl of kernels without perf links", () => {
    const collection = load("entered");
    const id = tracepointId("syscalls", "sys_enter_kill")!;
    const event = openPerfEvent({ type: PERF_TYPE.tracepoint, config: BigInt(id) }, {}, "kill");
    const link = lab.keep(attachPerfOld(collection.programs["entered"]!, event));
    process.kill(process.pid, 0);
    expect(countOf(collection, 4)).toBe(1);
    link.detach();
    process.kill(process.pid, 0);
    expect(countOf(collection, 4)).toBe(1);
  });

  for (const [name, what] of [
    ["function_entry", "fentry"],
    ["function_exit", "fexit"],
    ["function_result", "fmod_ret"],
    ["file_open", "LSM hook"],
    ["socket_create", "LSM hook of a cgroup"],
  ] as const) {
    refusedRow(what, "NotSupportedError", () => {
      lab.load("tracing", [name]);
    });
  }

  refusedRow("fsession", "NotSupportedError", () => {
    const code = [mov64(r0, 0), exit()];
    const program = { name: "both", type: "tracing", attachType: "trace_fsession", attachTo: "tcp_v4_connect", code };
    lab.keep(lab.bpf.load(objectSpec([program])));
  });

  refusedRow("kprobe", "NotSupportedError", () => {
    attach("probe", { hook: "kprobe", function: "tcp_v4_connect" });
  });

  refusedRow("kprobe_multi", "NotSupportedError", () => {
    attach("probes", { hook: "kprobe_multi", functions: ["tcp_v4_connect"] });
  });

  refusedRow("hardware counters", "NotSupportedError", () => {
    attach("sample", { hook: "perf_event", event: { event: "cycles", sample: { period: 100_000 } } });
  });

  refusedRow("a uprobe that writes registers", "VerifierError", () => {
    const program = { type: "kprobe", code: [mov64(r0, 0), stx("u64", mem(r1, 80), r0), exit()] };
    lab.keep(lab.bpf.load(objectSpec([program])));
  });

  row("software samples on every CPU, with the user's stack", () => {
    const collection = attach("sample", {
      hook: "perf_event",
      event: { event: "cpu_clock", sample: { frequency: 999 } },
    });
    for (let round = 0; round < 4000 && countOf(collection, 21) === 0; round++) work();
    expect(countOf(collection, 20)).toBeGreaterThan(0);
    expect(countOf(collection, 21)).toBeGreaterThan(0);
    expect(collection.maps["stacks"]!.keys().length).toBeGreaterThan(0);
  });

  function work(): number {
    let sum = 0;
    for (let at = 0; at < 100_000; at++) sum += at % 7;
    return sum;
  }

  if (!libc) console.warn("skipped: no C library was found in the usual places");
  const user = (name: string, run: () => void | string | Promise<void | string>) => (libc ? row(name, run) : undefined);
  const ask = () => process.env["SKEP_PROBE_NAME"];

  user("uprobe: arguments of a function of libc, and a cookie", () => {
    const collection = attach("user_entry", { hook: "uprobe", path: libc!, function: "getenv", cookie: 42n });
    ask();
    expect(countOf(collection, 10)).toBeGreaterThan(0);
    expect(textAt(collection, 11)).toBe("SKEP_PRO");
    expect(countOf(collection, 12)).toBe(42);
    const nothing = () => attach("user_entry", { hook: "uprobe", path: libc!, function: "no_such_function" });
    expect(nothing).toThrow("has no function no_such_function");
  });

  user("uretprobe: what it gives back; only in one process", () => {
    const target = { hook: "uprobe", path: libc!, function: "getenv", return: true } as const;
    const collection = attach("user_return", { ...target, process: process.pid });
    ask();
    expect(countOf(collection, 13)).toBeGreaterThan(0);
    expect(countOf(collection, 14)).toBe(0);
    lab.reset();
    const child = spawn("sleep", ["10"]);
    try {
      const other = attach("user_return", { ...target, process: child.pid! });
      ask();
      expect(countOf(other, 13)).toBe(0);
    } finally {
      child.kill();
    }
  });

  user("uprobe_multi: several functions in one link, a cookie for each", () => {
    const target = {
      hook: "uprobe_multi",
      path: libc!,
      places: ["getenv", "secure_getenv"],
      cookies: [7n, 8n],
    } as const;
    const collection = attach("user_many", target);
    ask();
    expect(countOf(collection, 15)).toBeGreaterThan(0);
    expect(countOf(collection, 16)).toBe(7);
    const glob = lab.bpf.attach(load("user_many").programs["user_many"]!, {
      hook: "uprobe_multi",
      path: libc!,
      places: ["*getenv"],
    });
    expect(glob.info).toMatchObject({ type: "uprobe_multi", target: expect.stringContaining("libc") });
    expect((glob.info as { count?: number }).count).toBeGreaterThanOrEqual(2);
    glob.close();
  });

  user("uprobe.session: one program on the way in and out", () => {
    const collection = attach("user_session", { hook: "uprobe_multi", path: libc!, places: ["getenv"] });
    ask();
    expect(countOf(collection, 17)).toBeGreaterThan(0);
    expect(countOf(collection, 18)).toBe(countOf(collection, 17));
  });

  user("sleepable uprobe: bpf_copy_from_user", () => {
    const collection = attach("user_sleepable", { hook: "uprobe", path: libc!, function: "getenv" });
    ask();
    expect(textAt(collection, 19)).toBe("SKEP_PRO");
  });

  row("TLS before it is encrypted: SSL_write of the node binary", async () => {
    const target = { hook: "uprobe_multi", path: process.execPath, places: ["SSL_write", "SSL_write_ex"] } as const;
    const collection = attach("plain_text", target);
    await sendSecret("GETSECRET");
    expect(countOf(collection, 24)).toBeGreaterThan(0);
    expect(textAt(collection, 25)).toBe("GETSECRE");
  });

  /** A connection over loopback with a key that both sides know. */
  async function sendSecret(text: string): Promise<void> {
    const psk = Buffer.alloc(16, 1);
    const ciphers = "PSK+AES128";
    const server = createServer({ ciphers, maxVersion: "TLSv1.2", pskCallback: () => psk, pskIdentityHint: "skep" });
    const received = new Promise<string>((resolve) => {
      server.on("secureConnection", (socket: TLSSocket) => socket.on("data", (data) => resolve(data.toString())));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as { port: number };
    const client = connectTls({
      port: address.port,
      host: "127.0.0.1",
      ciphers,
      maxVersion: "TLSv1.2",
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk, identity: "skep" }),
    });
    client.write(text);
    expect(await received).toBe(text);
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  }

  const isX64 = process.arch === "x64";
  if (!isX64) console.warn("skipped: the probed test program is for x86-64");
  const usdt = (name: string, run: () => Promise<void>) => (isX64 ? row(name, run) : undefined);

  /** Starts the probed program, which waits; `go` lets it run to its end and gives its exit code. */
  function startProbed(): { child: ChildProcess; go: () => Promise<number | null> } {
    const child = spawn(probed, { stdio: ["pipe", "ignore", "ignore"] });
    const go = () =>
      new Promise<number | null>((resolve) => {
        child.on("exit", resolve);
        child.stdin?.end("x");
      });
    return { child, go };
  }

  usdt("static probe: both sites, the cookie, the semaphore raised while it is on", async () => {
    const { child, go } = startProbed();
    const target = { hook: "usdt", path: probed, provider: "skep", name: "stage", cookie: 5n } as const;
    const collection = attach("probe_site", target, child.pid!);
    // Its exit code is the semaphore: raised once for each site.
    expect(await go()).toBe(2);
    expect(countOf(collection, 22)).toBe(6);
    expect(countOf(collection, 23)).toBe(5);
    const nothing = () => attach("probe_site", { ...target, name: "no_such" });
    expect(nothing).toThrow("has no probe skep:no_such");
    const idle = startProbed();
    lab.reset();
    expect(await idle.go()).toBe(0);
  });

  usdt("static probe: arguments through the maps of usdt.bpf.h", async () => {
    const { child, go } = startProbed();
    const collection = lab.load("usdt", ["stage"]);
    const target = {
      hook: "usdt",
      path: probed,
      provider: "skep",
      name: "stage",
      cookie: 9n,
      process: child.pid!,
    } as const;
    lab.keep(lab.bpf.attach(collection.programs["stage"]!, target));
    await go();
    expect([0, 1, 2, 3, 4, 5].map((index) => countOf(collection, index))).toEqual([6, 21, 77, 8, 9, 3]);
  });

  row("attached by what the section's name says", () => {
    const collection = load("entered");
    const link = lab.keep(lab.bpf.attachAuto(collection.programs["entered"]!)!);
    process.kill(process.pid, 0);
    expect(countOf(collection, 4)).toBe(1);
    expect(link.info).toMatchObject({ type: "perf_event", target: "sys_enter_kill" });
    expect(lab.bpf.attachAuto(load("user_entry").programs["user_entry"]!)).toBeNull();
  });
});
