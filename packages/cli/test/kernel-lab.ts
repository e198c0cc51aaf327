/**
 * @module
 * What the tests of kernel objects play on: a BPF file system of their own with the test object's programs and maps pinned, a namespace with
 * a veth pair, a cgroup. All under one name, and gone after `close`, also of runs that were killed.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LinuxMachine, openLinux, unmountPins } from "@skep/linux";
import { skep } from "./in-process.ts";

export const testdata = fileURLToPath(new URL("../testdata/", import.meta.url));
export const kernelObject = join(testdata, "kernel.o");
export const linuxTestdata = fileURLToPath(new URL("../../linux/testdata/", import.meta.url));

/** Why nothing can be tested here; null where it can. */
export function cannotUseBpf(): string | null {
  if (process.getuid?.() !== 0) return "kernel objects need root";
  return existsSync("/sys/kernel/btf/vmlinux") ? null : "the kernel has no BTF";
}

export const hasBpftool = spawnSync("bpftool", ["version"]).status === 0;
if (!hasBpftool) console.warn("not compared with bpftool: it is not installed");

const PREFIX = "skep-objects-";

function unmountBelow(folder: string): void {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point === folder || point.startsWith(`${folder}/`));
  for (const point of points.sort((a, b) => b.length - a.length)) unmountPins(point);
}

async function remove(folder: string): Promise<void> {
  const machine = openLinux({ runFolder: join(folder, "run") });
  for (const name of machine.net.namespaces()) machine.net.deleteNamespace(name);
  await machine.processes.deleteCgroup(folder.split("/").pop() ?? "");
  unmountBelow(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** Takes away what killed runs left. */
async function reap(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await remove(join(tmpdir(), name));
  }
}

export class KernelLab {
  readonly folder: string;
  /** Where a BPF file system is mounted. */
  readonly pins: string;
  readonly machine: LinuxMachine;
  /** File of the namespace with `veth0` and `veth1`. */
  readonly netns: string;
  readonly cgroup: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.pins = join(folder, "bpf");
    mkdirSync(this.pins);
    this.machine = openLinux({ runFolder: join(folder, "run") });
    this.machine.bpf.preparePins(this.pins);
    const host = this.machine.net.createNamespace("host");
    host.createVeth("veth0", { namespace: host, name: "veth1" });
    this.netns = host.path;
    this.cgroup = this.machine.processes.createCgroup(folder.split("/").pop() ?? "").path;
  }

  static async open(): Promise<KernelLab> {
    await reap();
    return new KernelLab(mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`)));
  }

  /** Pins the test object's programs in `prog`, its maps in `map`. */
  async load(): Promise<void> {
    const { status, stderr } = await skep("prog", "loadall", kernelObject, this.prog(), "pinmaps", this.map());
    if (status !== 0) throw new Error(stderr);
  }

  prog(name = ""): string {
    return join(this.pins, "prog", name);
  }

  map(name = ""): string {
    return join(this.pins, "map", name);
  }

  close(): Promise<void> {
    return remove(this.folder);
  }
}

/** What `bpftool -j` prints. */
export function bpftool(...args: readonly string[]): unknown {
  return run("bpftool", ["-j", ...args]);
}

/** The same, inside a network namespace. */
export function bpftoolIn(netns: string, ...args: readonly string[]): unknown {
  return run("nsenter", [`--net=${netns}`, "bpftool", "-j", ...args]);
}

function run(command: string, args: readonly string[]): unknown {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  const text = stdout.trim();
  if (text === "") throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
  return JSON.parse(text);
}

/** What `skep ... -j` prints; fails where it fails. */
export async function json(...args: readonly string[]): Promise<unknown> {
  const { status, stdout, stderr } = await skep(...args, "-j");
  if (status !== 0) throw new Error(`skep ${args.join(" ")} ended with ${status}: ${stderr}${stdout}`);
  return JSON.parse(stdout);
}

/** What it prints for people; fails where it fails. */
export async function text(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await skep(...args);
  if (status !== 0) throw new Error(`skep ${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}
