// Nanoseconds of a run in the user-space machine and in the kernel's JIT, net of an empty program's run in the same loop: compute kernels, map
// lookups and the datapath's programs, on the same bytes; compute kernels also in uBPF's JIT. What both give is compared. No interface is touched.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openLinux, type LinuxMachine } from "@skep/linux";
import { readObject, type ObjectSpec } from "@skep/object";
import { Vm, type EngineName, type VmObject, type VmProgram } from "@skep/vm";
import { copyInto, labFrames, openLab, skbContext } from "../packages/vm/test/datapath-lab.ts";
import { median, print } from "./_lines.ts";
import { SYN, tcpPacket } from "./_packets.ts";
import { headRow, padded, withServices, type Case, type OwnMaps } from "./_services.ts";
import { compiled, needRoot, root, withFolder } from "./_setup.ts";

const ROUNDS = 40;
/** Of one measurement: short, since what else runs on the machine takes its turns. */
const WINDOW_NS = 250_000;
const engines: readonly EngineName[] = ["fast", "checked"];
const peers = join(root, "../shared/peers/vm");
const KERNELS = [
  "sum1500",
  "csum1500",
  "jhash64",
  "maglev64",
  "murmur3",
  "crc32_256",
  "siphash64",
  "sieve",
  "copy1024",
  "bits128",
  "bsearch64",
  "collatz",
];

needRoot("vm");

/** `npm run bench -- vm sieve datapath`: only what has one of the words in its name. */
const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.some((word) => name.includes(word));

interface Runner {
  /** Runs so many times; gives nanoseconds of one. */
  run(count: number): number;
}

/** Least of many rounds, in turn, so that what else the machine does meets all alike. */
function measure(runners: Readonly<Record<string, Runner>>, most: number): Record<string, number> {
  const best: Record<string, number> = {};
  const counts: Record<string, number> = {};
  for (const [name, runner] of Object.entries(runners)) {
    counts[name] = Math.max(10, Math.min(most, Math.floor(WINDOW_NS / Math.max(1, runner.run(Math.min(most, 50))))));
  }
  settle(runners, counts);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, runner] of Object.entries(runners)) {
      // Whoever follows the kernel's run pays for its having held the CPU: the first of three may be his.
      for (let i = 0; i < 3; i++) best[name] = Math.min(best[name] ?? Infinity, runner.run(counts[name] ?? most));
    }
  }
  return best;
}

/** The best code is compiled in the background, after some runs: lets it come. */
function settle(runners: Readonly<Record<string, Runner>>, counts: Readonly<Record<string, number>>): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 4; i++) {
    for (const [name, runner] of Object.entries(runners)) runner.run(counts[name] ?? 10);
    Atomics.wait(never, 0, 0, 150);
  }
}

function inVm(vm: Vm, program: VmProgram, input: { packet: Uint8Array; context?: Uint8Array }): Runner {
  // The engine's best code comes after some runs.
  vm.repeat(program, 20_000, input);
  return timed(vm, program, input);
}

function timed(vm: Vm, program: VmProgram, input: { packet: Uint8Array; context?: Uint8Array }): Runner {
  return {
    run: (count) => {
      const started = process.hrtime.bigint();
      vm.repeat(program, count, input);
      return Number(process.hrtime.bigint() - started) / count;
    },
  };
}

const ratios = new Map<string, number[]>();

function report(name: string, best: Readonly<Record<string, number>>, group: string): void {
  const kernel = Math.max(0.1, (best["kernel"] ?? 0) - (best["empty, kernel"] ?? 0));
  for (const engine of engines) {
    const skep = (best[engine] ?? 0) - (best[`empty, ${engine}`] ?? 0);
    print({ bench: "vm", case: `${name}, ${engine}`, unit: "ns a run", skep, peer: kernel, peerName: "kernel JIT" });
    const key = `${group}, ${engine}`;
    // Less than a nanosecond is not told from the loop's own.
    ratios.set(key, [...(ratios.get(key) ?? []), Math.max(1, skep) / kernel]);
  }
}

function reportUbpf(name: string, best: Readonly<Record<string, number>>, peer: number): void {
  for (const engine of engines) {
    const skep = (best[engine] ?? 0) - (best[`empty, ${engine}`] ?? 0);
    print({ bench: "vm", case: `${name}, ${engine}, uBPF`, unit: "ns a run", skep, peer, peerName: "uBPF JIT" });
    const key = `compute, ${engine}, uBPF's JIT`;
    ratios.set(key, [...(ratios.get(key) ?? []), skep / peer]);
  }
}

const newVm = (cpus: number): Vm => new Vm({ clock: () => process.hrtime.bigint(), random: () => 1, cpus });

interface Empty {
  readonly kernel: Runner;
  readonly vms: Readonly<Record<string, Runner>>;
}

/** A program that returns at once, of the type. */
function emptySpec(type: string): ObjectSpec {
  const insn = (opcode: number) => ({ opcode, dst: 0, src: 0, offset: 0, imm: 0 });
  const program = {
    ...{ name: "empty", section: type, type, flags: 0, linkage: "global" as const },
    ...{ instructions: [insn(0xb7), insn(0x95)], references: [], lines: [], coreRelocations: [] },
  };
  return { license: "GPL", byteOrder: "little", maps: {}, functions: {}, programs: { empty: program } };
}

function openEmpty(linux: LinuxMachine, type: string, data: Uint8Array): Empty {
  const kernel = linux.bpf.load(emptySpec(type)).programs["empty"];
  if (kernel === undefined) throw new Error("no program");
  const vms = engines.map((engine) => {
    const vm = newVm(1);
    const program = vm.load(emptySpec(type), { engine }).programs["empty"];
    if (program === undefined) throw new Error("no program");
    return [`empty, ${engine}`, inVm(vm, program, { packet: data })] as const;
  });
  return {
    kernel: { run: (repeat) => kernel.test({ data, repeat }).duration },
    vms: Object.fromEntries(vms),
  };
}

/** Compiles one of the recipes' sources with the kernel in it. False without a compiler or the recipes. */
function compileRecipe(name: string, to: { file: string; out: string; cpu: string }): boolean {
  const own = join(root, "bench/twins/kernels", `${name}.h`);
  const source = existsSync(own) ? ["-include", own] : [`-DK_${name}`];
  const includes = ["-I", "/usr/include/x86_64-linux-gnu", "-I", peers];
  const flags = ["-O2", "-g", "-target", "bpf", `-mcpu=${to.cpu}`, ...source, ...includes];
  return spawnSync("clang-19", [...flags, "-c", join(peers, to.file), "-o", to.out]).status === 0;
}

/** The object of an XDP program that runs the kernel on a map's value; null, said aloud, without a compiler or the recipes. */
function compileKernel(name: string, folder: string): ObjectSpec | null {
  const out = join(folder, `${name}.o`);
  return compileRecipe(name, { file: "xdp.bpf.c", out, cpu: "v4" }) ? readObject(readFileSync(out)) : null;
}

// ---- uBPF ----

/** Builds the runner of uBPF's JIT from its sources (a checkout: SKEP_UBPF); null, said aloud, where they or a compiler are not there. */
function buildUbpf(folder: string): string | null {
  const checkout = process.env["SKEP_UBPF"] ?? join(root, "../shared/peers/ubpf");
  const sources = join(checkout, "vm");
  if (!existsSync(join(sources, "ubpf_vm.c"))) {
    console.error(`uBPF's sources are not at ${checkout} (set SKEP_UBPF): its JIT is not in this run`);
    return null;
  }
  writeFileSync(join(folder, "ubpf_config.h"), "#pragma once\n#define UBPF_HAS_ELF_H\n");
  const out = join(folder, "ubpf");
  const files = readdirSync(sources).filter((name) => /^ubpf_.*\.c$/.test(name));
  const flags = ["-O2", "-w", "-I", folder, "-I", join(sources, "inc"), "-I", sources];
  const all = [join(root, "bench/twins/ubpf.c"), ...files.map((name) => join(sources, name))];
  const { status, stderr } = spawnSync("gcc", [...flags, ...all, "-lm", "-o", out], { encoding: "utf8" });
  if (status === 0) return out;
  console.error(`uBPF does not build (${(stderr ?? "no gcc").split("\n")[0]}): its JIT is not in this run`);
  return null;
}

/** Nanoseconds of a run in uBPF's JIT, of the same memory, whose result has to be the kernel's. */
function inUbpf(runner: string, name: string, how: { folder: string; wanted: bigint }): number | null {
  const out = join(how.folder, `${name}.ubpf.o`);
  if (!compileRecipe(name, { file: "entry.c", out, cpu: "v3" })) return null;
  const memory = join(how.folder, `${name}.mem`);
  writeFileSync(memory, memoryOf(name));
  const { status, stdout, stderr } = spawnSync(runner, [out, memory], { encoding: "utf8" });
  if (status !== 0) {
    console.error(`${name}: uBPF does not run it: ${stderr.trim()}`);
    return null;
  }
  const [ns = "", result = ""] = stdout.trim().split(" ");
  if (BigInt(`0x${result}`) !== how.wanted) throw new Error(`${name}: uBPF gives ${result}, the kernel another`);
  return Number(ns);
}

/** What the recipes' runners fill the memory with. */
function memoryOf(name: string): Uint8Array {
  const bytes = new Uint8Array(4096);
  let x = 12_345;
  for (let i = 0; i < bytes.length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = x >>> 24;
  }
  const words = new Uint32Array(bytes.buffer);
  if (name === "bsearch64") for (let i = 0; i < 256; i++) words[512 + i] = i * 16_777_216;
  return bytes;
}

function result(object: { readonly maps: VmObject["maps"] | ReturnType<LinuxMachine["bpf"]["load"]>["maps"] }): string {
  const bss = Object.entries(object.maps).find(([name]) => name.endsWith(".bss"))?.[1];
  return String(bss?.get(new Uint8Array(4)));
}

/** The u64 at the start of what `result` gives. */
function word(bytes: string): bigint {
  return new DataView(Uint8Array.from(bytes.split(","), Number).buffer).getBigUint64(0, true);
}

function computeKernels(linux: LinuxMachine, folder: string): void {
  const ubpf = buildUbpf(folder);
  const data = new Uint8Array(64);
  const empty = openEmpty(linux, "xdp", data);
  for (const name of KERNELS.filter(isWanted)) {
    const spec = compileKernel(name, folder);
    if (spec === null) {
      console.error(`${name}: no clang-19, or the recipes are not beside the repository (${peers}): left out`);
      continue;
    }
    const kernel = linux.bpf.load(spec);
    kernel.maps["mem"]?.set(new Uint8Array(4), memoryOf(name));
    const program = kernel.programs["k"];
    const runners: Record<string, Runner> = { "empty, kernel": empty.kernel, ...empty.vms };
    if (program !== undefined) runners["kernel"] = { run: (repeat) => program.test({ data, repeat }).duration };
    const objects = engines.map((engine) => {
      const vm = newVm(1);
      const object = vm.load(spec, { engine });
      object.maps["mem"]?.set(new Uint8Array(4), memoryOf(name));
      const found = object.programs["k"];
      if (found !== undefined) runners[engine] = inVm(vm, found, { packet: data });
      return object;
    });
    const best = measure(runners, 5000);
    report(name, best, "compute");
    const peer = ubpf === null ? null : inUbpf(ubpf, name, { folder, wanted: word(result(kernel)) });
    if (peer !== null) reportUbpf(name, best, peer);
    for (const object of objects) {
      if (result(object) !== result(kernel)) throw new Error(`${name}: another result than the kernel's`);
    }
    kernel.close();
  }
}

// ---- a lookup in a map ----

const LOOKUP = `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct key { char b[KEY]; };
struct { __uint(type, TYPE); __uint(max_entries, 65536); __uint(map_flags, FLAGS); __type(key, struct key); __type(value, __u64); } m SEC(".maps");
SEC("xdp") int k(struct xdp_md *c) {
  struct key key = {}; __u64 s = 0; key.b[0] = START;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 64; i++) { key.b[4] = i; __u64 *v = bpf_map_lookup_elem(&m, &key); if (v) s += *v; }
  return s; }
char _license[] SEC("license") = "GPL";
`;

function lookups(linux: LinuxMachine, folder: string): void {
  const data = new Uint8Array(64);
  const empty = openEmpty(linux, "xdp", data);
  const source = join(folder, "lookup.bpf.c");
  writeFileSync(source, LOOKUP);
  for (const [type, size, flags] of [
    ["hash", 8, 0],
    ["hash", 20, 0],
    ["lru_hash", 40, 0],
    ["lpm_trie", 24, 1],
  ] as const) {
    if (!isWanted(`lookup ${type}`)) continue;
    const out = join(folder, "lookup.o");
    const defines = [`-DTYPE=BPF_MAP_TYPE_${type.toUpperCase()}`, `-DKEY=${size}`, `-DFLAGS=${flags}`];
    const start = `-DSTART=${type === "lpm_trie" ? (size - 4) * 8 - 256 : 1}`;
    const common = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-I", "/usr/include/x86_64-linux-gnu"];
    const { status } = spawnSync("clang-19", [...common, ...defines, start, "-c", source, "-o", out]);
    if (status !== 0) {
      console.error(`a lookup in a ${type}: no clang-19: left out`);
      continue;
    }
    const spec = readObject(readFileSync(out));
    const kernel = linux.bpf.load(spec);
    const entries = Array.from({ length: 64 }, (_, i) => {
      const key = new Uint8Array(size);
      key[0] = type === "lpm_trie" ? (size - 4) * 8 : 1;
      key[4] = i;
      return [key, new Uint8Array(8).fill(1)] as const;
    });
    const program = kernel.programs["k"];
    const runners: Record<string, Runner> = { "empty, kernel": empty.kernel, ...empty.vms };
    if (program !== undefined) runners["kernel"] = { run: (repeat) => program.test({ data, repeat }).duration };
    for (const [key, value] of entries) kernel.maps["m"]?.set(key, value);
    for (const engine of engines) {
      const vm = newVm(1);
      const object = vm.load(spec, { engine });
      for (const [key, value] of entries) object.maps["m"]?.set(key, value);
      const found = object.programs["k"];
      if (found === undefined) throw new Error("no program");
      if (vm.run(found, { packet: data }).returned !== program?.test({ data }).returned) throw new Error("other sums");
      runners[engine] = inVm(vm, found, { packet: data });
    }
    const best = measure(runners, 3000);
    const each = Object.fromEntries(Object.entries(best).map(([name, ns]) => [name, ns / 64]));
    report(`a lookup in a ${type}, key of ${size} bytes`, each, "lookups");
    kernel.close();
  }
}

// ---- the datapath ----

const REPEAT = 200;

async function datapath(linux: LinuxMachine): Promise<void> {
  const lab = openLab();
  try {
    const vms = engines.map((engine) => {
      const vm = newVm(lab.machine.bpf.possibleCpus);
      return { engine, vm, object: copyInto(vm, lab, engine) };
    });
    const frames = labFrames();
    for (const data of frames.values()) lab.send(data);
    for (const [name, data] of frames) {
      // Those that write an event each would fill the ring.
      if (!/established|opened|known/.test(name)) continue;
      const empty = openEmpty(linux, "sched_cls", data);
      const runners: Record<string, Runner> = { "empty, kernel": empty.kernel, ...empty.vms };
      runners["kernel"] = { run: (repeat) => lab.program("skep_from_ep").test({ data, repeat }).duration };
      for (const { engine, vm, object } of vms) {
        const program = object.programs["skep_from_ep"];
        if (program === undefined) throw new Error("no program");
        for (const frame of frames.values()) vm.run(program, { packet: frame, context: skbContext(frame) });
        const input = { packet: data, context: skbContext(data) };
        for (let i = 0; i < 100; i++) vm.repeat(program, REPEAT, input);
        runners[engine] = timed(vm, program, input);
      }
      report(`datapath: ${name}`, measure(runners, REPEAT), "datapath");
    }
  } finally {
    await lab.close();
  }
}

/** The wrapper's program on a packet, around the program of its slot. */
function wrapped(
  wrapper: VmObject,
  { vm, target, kind, data }: { vm: Vm; target: VmProgram; kind: "tc" | "xdp"; data: Uint8Array },
): VmProgram {
  const [program, slot, heads] = [
    wrapper.programs[`wrap_${kind}`],
    wrapper.maps[`${kind}_target`],
    wrapper.maps["heads"],
  ];
  if (!program || !slot || !heads) throw new Error("the wrapper lacks its parts");
  vm.setProgram(slot, 0, target);
  heads.set(new Uint8Array(4), headRow(data));
  return program;
}

/** Services and XDP: packets are changed, so a wrapper puts them back; its own cost is taken off. */
async function services(linux: LinuxMachine, folder: string): Promise<void> {
  const wrap = readObject(compiled("bench/twins/wrap.bpf.ts"));
  await withServices(linux, folder, ({ maps, spec, cases }) => {
    const kernel = linux.bpf.load(spec, { maps, programs: [...new Set(cases.map(({ program }) => program))] });
    const openings = cases.map(
      ({ program, packet }) => [program, padded(tcpPacket({ ...packet, flags: SYN }))] as const,
    );
    for (const [program, data] of openings) kernel.programs[program]?.test({ data });
    for (const each of cases) servicesCase(linux, { each, kernel, wrap, openings, lab: { maps, spec } });
    kernel.close();
  });
}

function servicesCase(
  linux: LinuxMachine,
  how: {
    each: Case;
    kernel: ReturnType<LinuxMachine["bpf"]["load"]>;
    wrap: ObjectSpec;
    openings: readonly (readonly [string, Uint8Array])[];
    lab: { maps: OwnMaps; spec: ObjectSpec };
  },
): void {
  const { each, kernel, wrap, openings, lab } = how;
  const data = padded(tcpPacket(each.packet));
  const kind = each.program.startsWith("skep_xdp") ? "xdp" : "tc";
  const runners: Record<string, Runner> = {};
  const nothing = `nothing_${kind}`;
  for (const [name, target] of [
    ["nothing, kernel", null],
    ["empty, kernel", null],
    ["kernel", kernel.programs[each.program]],
  ] as const) {
    const wrapper = linux.bpf.load(wrap);
    const program = wrapper.programs[`wrap_${kind}`];
    const inside = target ?? wrapper.programs[name.startsWith("nothing") ? nothing : each.base];
    if (!program || !inside) throw new Error(`no program ${each.program}`);
    wrapper.maps[`${kind}_target`]?.setProgram(new Uint8Array(4), inside);
    wrapper.maps["heads"]?.set(new Uint8Array(4), headRow(data));
    const { returned } = program.test({ data });
    if (target !== null && returned !== each.verdict)
      throw new Error(`${each.name}: verdict ${returned} of the kernel`);
    runners[name] = { run: (repeat) => program.test({ data, repeat }).duration };
  }
  const input = { packet: data, ...(kind === "tc" ? { context: skbContext(data) } : { context: xdpContext() }) };
  for (const engine of engines) {
    for (const name of [`nothing, ${engine}`, `empty, ${engine}`, engine]) {
      const vm = newVm(linux.bpf.possibleCpus);
      const wrapper = vm.load(wrap, { engine });
      const object = copyInto(vm, lab, engine);
      for (const [program, packet] of openings) {
        const found = object.programs[program];
        const context = program.startsWith("skep_xdp") ? xdpContext() : skbContext(packet);
        if (found) vm.run(found, { packet, context });
      }
      const other = wrapper.programs[name.startsWith("nothing") ? nothing : each.base];
      const inside = name === engine ? object.programs[each.program] : other;
      if (!inside) throw new Error(`no program ${each.program}`);
      const program = wrapped(wrapper, { vm, target: inside, kind, data });
      const { returned } = vm.run(program, input);
      if (name === engine && returned !== each.verdict) throw new Error(`${each.name}: verdict ${returned}, ${engine}`);
      runners[name] = inVm(vm, program, input);
    }
  }
  const best = measure(runners, REPEAT * 5);
  // The twin that grows the packet has a cost of its own: half of it is the wrapper's, which makes the packet small again.
  for (const side of ["kernel", ...engines]) {
    best[`empty, ${side}`] = ((best[`nothing, ${side}`] ?? 0) + (best[`empty, ${side}`] ?? 0)) / 2;
  }
  report(`datapath: ${each.name}`, best, "datapath");
}

/** struct xdp_md of a test run: from the interface with index 1. */
function xdpContext(): Uint8Array {
  const context = new Uint8Array(24);
  new DataView(context.buffer).setUint32(12, 1, true);
  return context;
}

await withFolder(async (folder) => {
  const linux = openLinux({ runFolder: folder });
  computeKernels(linux, folder);
  lookups(linux, folder);
  if (isWanted("datapath")) {
    await datapath(linux);
    await services(linux, folder);
  }
});

for (const [group, values] of ratios) {
  const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(Math.max(value, 0.01)), 0) / values.length);
  const peer = group.endsWith("uBPF's JIT") ? "uBPF's" : "the kernel's";
  console.error(`${group}: geometric mean ${mean.toFixed(2)} of ${peer}, median ${median(values).toFixed(2)}`);
}
