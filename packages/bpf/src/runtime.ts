/**
 * @module
 * The user-space side of the names in `kernel.ts`: importing a `*.bpf.ts` module gives its schemas, maps and program names.
 */
import type * as Kernel from "./kernel.ts";
import { bitField, boolean, codecOf, fixedArray, integer, owned, structure, unionOf } from "./codec.ts";
import { kernelOnly, mapDescriptor, type MapDescriptor, type MapKind, type ProgramDescriptor } from "./descriptors.ts";
import type { Type } from "./api.ts";
import { PROGRAM_KINDS } from "./programs.ts";

export const u8 = integer<Kernel.u8>("u8", 1);
export const u16 = integer<Kernel.u16>("u16", 2);
export const u32 = integer<Kernel.u32>("u32", 4);
export const u64 = integer<Kernel.u64>("u64", 8);
export const i8 = integer<Kernel.i8>("i8", 1, { signed: true });
export const i16 = integer<Kernel.i16>("i16", 2, { signed: true });
export const i32 = integer<Kernel.i32>("i32", 4, { signed: true });
export const i64 = integer<Kernel.i64>("i64", 8, { signed: true });
// The same names as types: a module that exports only the value would hide them.
export type u8 = Kernel.u8;
export type u16 = Kernel.u16;
export type u32 = Kernel.u32;
export type u64 = Kernel.u64;
export type i8 = Kernel.i8;
export type i16 = Kernel.i16;
export type i32 = Kernel.i32;
export type i64 = Kernel.i64;
export const be16 = integer<Kernel.u16>("be16", 2, { bigEndian: true });
export const be32 = integer<Kernel.u32>("be32", 4, { bigEndian: true });
export const be64 = integer<Kernel.u64>("be64", 8, { bigEndian: true });
export const bool = boolean();
export const struct: typeof Kernel.struct = structure;
export const union: typeof Kernel.union = unionOf;
export const SpinLock: typeof Kernel.SpinLock = structure("bpf_spin_lock", { val: u32 });
export const Timer: typeof Kernel.Timer = structure("bpf_timer", { opaque: fixedArray(u64, 2) });
export const bits: typeof Kernel.bits = bitField;
export const ResSpinLock: typeof Kernel.ResSpinLock = structure("bpf_res_spin_lock", { val: u32 });
export const TaskWork: typeof Kernel.TaskWork = structure("bpf_task_work", { opaque: fixedArray(u64, 1) });
export const WorkQueue: typeof Kernel.WorkQueue = structure("bpf_wq", { opaque: fixedArray(u64, 2) });
export const ListNode: typeof Kernel.ListNode = structure("bpf_list_node", { opaque: fixedArray(u64, 3) });
export const RbNode: typeof Kernel.RbNode = structure("bpf_rb_node", { opaque: fixedArray(u64, 4) });
export const Refcount: typeof Kernel.Refcount = structure("bpf_refcount", { opaque: fixedArray(u32, 1) });
// What the kernel owns, user space does not see: null, or nothing to see.
export const kptr: typeof Kernel.kptr = () => owned("kptr");
export const kptrUntrusted: typeof Kernel.kptrUntrusted = () => owned("kptr_untrusted");
export const percpuKptr: typeof Kernel.percpuKptr = () => owned("percpu_kptr");
export const listHead: typeof Kernel.listHead = () =>
  structure("bpf_list_head", { opaque: fixedArray(u64, 2) }) as never;
export const rbRoot: typeof Kernel.rbRoot = () => structure("bpf_rb_root", { opaque: fixedArray(u64, 2) }) as never;

interface MapOptions {
  readonly key?: Type<unknown>;
  readonly value?: Type<unknown>;
  readonly inner?: unknown;
  readonly maxEntries: number;
  readonly flags?: number;
}

const NO_PREALLOC = 1;

function makeMap(type: MapKind, name: string, options: MapOptions): MapDescriptor {
  return mapDescriptor({
    name,
    type,
    maxEntries: options.maxEntries,
    // The kernel takes a trie only without preallocation.
    flags: (options.flags ?? 0) | (type === "lpm_trie" ? NO_PREALLOC : 0),
    ...(options.key ? { key: codecOf(options.key) } : {}),
    ...(options.value ? { value: codecOf(options.value) } : {}),
    ...(options.inner ? { inner: options.inner as MapDescriptor } : {}),
  });
}

/** A constructor of maps of one type; those without a `key` of their own count from 0. */
function maker(type: MapKind, indexed = false) {
  return (name: string, options: MapOptions): never =>
    makeMap(type, name, indexed ? { ...options, key: u32 as Type<unknown> } : options) as never;
}

export const hash: typeof Kernel.hash = maker("hash");
export const lruHash: typeof Kernel.lruHash = maker("lru_hash");
export const percpuHash: typeof Kernel.percpuHash = maker("percpu_hash");
export const lruPercpuHash: typeof Kernel.lruPercpuHash = maker("lru_percpu_hash");
export const percpuArray: typeof Kernel.percpuArray = maker("percpu_array", true);
export const lpmTrie: typeof Kernel.lpmTrie = maker("lpm_trie");
export const hashOfMaps: typeof Kernel.hashOfMaps = maker("hash_of_maps");
export const arrayOfMaps: typeof Kernel.arrayOfMaps = maker("array_of_maps", true);
export const queue: typeof Kernel.queue = maker("queue");
export const stack: typeof Kernel.stack = maker("stack");
export const progArray: typeof Kernel.progArray = maker("prog_array", true);

function arrayTypeOrMap(first: unknown, second: unknown): never {
  if (typeof first === "string") return maker("array", true)(first, second as MapOptions);
  return fixedArray(first as Type<unknown>, second as number) as never;
}
export const array: typeof Kernel.array = arrayTypeOrMap;

export const ringBuf: typeof Kernel.ringBuf = (name, type, options) =>
  makeMap("ringbuf", name, { value: type as Type<unknown>, maxEntries: options.bytes }) as never;

export const perfEventArray: typeof Kernel.perfEventArray = (name, type) =>
  makeMap("perf_event_array", name, { value: type as Type<unknown>, maxEntries: 0 }) as never;
export const stackTraces: typeof Kernel.stackTraces = (name, { frames, maxEntries }) =>
  makeMap("stack_trace", name, {
    key: u32 as Type<unknown>,
    value: fixedArray(u64, frames) as Type<unknown>,
    maxEntries,
  }) as never;
export const devMap: typeof Kernel.devMap = maker("devmap", true);
export const devMapHash: typeof Kernel.devMapHash = maker("devmap_hash", true);
export const cpuMap: typeof Kernel.cpuMap = maker("cpumap", true);
export const xskMap: typeof Kernel.xskMap = maker("xskmap", true);
export const sockMap: typeof Kernel.sockMap = maker("sockmap", true);
export const sockHash: typeof Kernel.sockHash = maker("sockhash");
export const reuseportSockArray: typeof Kernel.reuseportSockArray = maker("reuseport_sockarray", true);
export const cgroupArray: typeof Kernel.cgroupArray = maker("cgroup_array", true);
export const bloomFilter: typeof Kernel.bloomFilter = maker("bloom_filter");
/** A constructor of maps whose values belong to kernel objects. */
function storage(type: MapKind, flags: number) {
  return <V>(name: string, { value }: { readonly value: Type<V> }): never =>
    makeMap(type, name, { key: i32 as Type<unknown>, value: value as Type<unknown>, maxEntries: 0, flags }) as never;
}
export const skStorage: typeof Kernel.skStorage = storage("sk_storage", NO_PREALLOC);
export const taskStorage: typeof Kernel.taskStorage = storage("task_storage", NO_PREALLOC);
export const inodeStorage: typeof Kernel.inodeStorage = storage("inode_storage", NO_PREALLOC);
export const cgroupStorage: typeof Kernel.cgroupStorage = storage("cgrp_storage", NO_PREALLOC);
function cgroupLocal(type: MapKind) {
  return <V>(name: string, { value }: { readonly value: Type<V> }): never =>
    makeMap(type, name, { key: u64 as Type<unknown>, value: value as Type<unknown>, maxEntries: 0 }) as never;
}
export const cgroupLocalStorage: typeof Kernel.cgroupLocalStorage = cgroupLocal("cgroup_storage");
export const percpuCgroupLocalStorage: typeof Kernel.percpuCgroupLocalStorage = cgroupLocal("percpu_cgroup_storage");
export const userRing: typeof Kernel.userRing = (name, options) =>
  makeMap("user_ringbuf", name, { maxEntries: options.bytes }) as never;
const MMAPABLE = 1024;
export const arena: typeof Kernel.arena = (name, options) =>
  makeMap("arena", name, { maxEntries: options.pages, flags: MMAPABLE }) as never;
export const kconfig: typeof Kernel.kconfig = (name) => ({ name }) as never;
export const structOps: typeof Kernel.structOps = (name) => ({ name }) as never;

export const config: typeof Kernel.config = (name, type, value) => ({ kind: "config", name, type, value }) as never;
export const global: typeof Kernel.global = (name, type, value) =>
  ({ kind: "global", name, type, value: value ?? codecOf(type as Type<unknown>).zero() }) as never;

export const MAP: typeof Kernel.MAP = {
  NO_PREALLOC,
  NO_COMMON_LRU: 2,
  NUMA_NODE: 4,
  RDONLY: 8,
  WRONLY: 16,
  RDONLY_PROG: 128,
  WRONLY_PROG: 256,
  MMAPABLE: 1024,
};

export const RINGBUF: typeof Kernel.RINGBUF = { NO_WAKEUP: 1n, FORCE_WAKEUP: 2n };

export const TC: typeof Kernel.TC = {
  UNSPEC: -1,
  NEXT: -1,
  OK: 0,
  PASS: 0,
  RECLASSIFY: 1,
  SHOT: 2,
  DROP: 2,
  PIPE: 3,
  STOLEN: 4,
  QUEUED: 5,
  REPEAT: 6,
  REDIRECT: 7,
};

export const SK: typeof Kernel.SK = { DROP: 0, PASS: 1 };

export const NF: typeof Kernel.NF = { DROP: 0, ACCEPT: 1 };

export const FLOW_DISSECTOR: typeof Kernel.FLOW_DISSECTOR = { OK: 0, DROP: 2, CONTINUE: 129 };

export const XDP: typeof Kernel.XDP = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 };

/** A constructor of programs: the body stays behind. */
function program(constructor: string): (name: string, ...rest: unknown[]) => never {
  const kind = PROGRAM_KINDS[constructor];
  if (kind === undefined) throw new TypeError(`no program type ${constructor}`);
  return (name, ...rest) => {
    const section = kind.hasTarget ? kind.section.replace("%", String(rest[0])) : kind.section;
    const descriptor: ProgramDescriptor = { kind: "program", name, section };
    return descriptor as never;
  };
}

export const tc: typeof Kernel.tc = program("tc");
export const xdp: typeof Kernel.xdp = program("xdp");
export const cgroupConnect4: typeof Kernel.cgroupConnect4 = program("cgroupConnect4");
export const cgroupConnect6: typeof Kernel.cgroupConnect6 = program("cgroupConnect6");
export const cgroupBind4: typeof Kernel.cgroupBind4 = program("cgroupBind4");
export const cgroupBind6: typeof Kernel.cgroupBind6 = program("cgroupBind6");
export const cgroupSendmsg4: typeof Kernel.cgroupSendmsg4 = program("cgroupSendmsg4");
export const cgroupSendmsg6: typeof Kernel.cgroupSendmsg6 = program("cgroupSendmsg6");
export const cgroupRecvmsg4: typeof Kernel.cgroupRecvmsg4 = program("cgroupRecvmsg4");
export const cgroupRecvmsg6: typeof Kernel.cgroupRecvmsg6 = program("cgroupRecvmsg6");
export const cgroupGetpeername4: typeof Kernel.cgroupGetpeername4 = program("cgroupGetpeername4");
export const cgroupGetpeername6: typeof Kernel.cgroupGetpeername6 = program("cgroupGetpeername6");
export const cgroupGetsockname4: typeof Kernel.cgroupGetsockname4 = program("cgroupGetsockname4");
export const cgroupGetsockname6: typeof Kernel.cgroupGetsockname6 = program("cgroupGetsockname6");
export const cgroupPostBind4: typeof Kernel.cgroupPostBind4 = program("cgroupPostBind4");
export const cgroupPostBind6: typeof Kernel.cgroupPostBind6 = program("cgroupPostBind6");
export const cgroupSockCreate: typeof Kernel.cgroupSockCreate = program("cgroupSockCreate");
export const cgroupSockRelease: typeof Kernel.cgroupSockRelease = program("cgroupSockRelease");
export const cgroupSkbIngress: typeof Kernel.cgroupSkbIngress = program("cgroupSkbIngress");
export const cgroupSkbEgress: typeof Kernel.cgroupSkbEgress = program("cgroupSkbEgress");
export const sockOps: typeof Kernel.sockOps = program("sockOps");
export const skLookup: typeof Kernel.skLookup = program("skLookup");
export const tracepoint: typeof Kernel.tracepoint = program("tracepoint");
export const rawTracepoint: typeof Kernel.rawTracepoint = program("rawTracepoint");
export const kprobe: typeof Kernel.kprobe = program("kprobe");
export const kretprobe: typeof Kernel.kretprobe = program("kretprobe");
export const perfEvent: typeof Kernel.perfEvent = program("perfEvent");
export const socketFilter: typeof Kernel.socketFilter = program("socketFilter");
export const lwtIn: typeof Kernel.lwtIn = program("lwtIn");
export const lwtOut: typeof Kernel.lwtOut = program("lwtOut");
export const lwtXmit: typeof Kernel.lwtXmit = program("lwtXmit");
export const skSkbVerdict: typeof Kernel.skSkbVerdict = program("skSkbVerdict");
export const skSkbParser: typeof Kernel.skSkbParser = program("skSkbParser");
export const skMsg: typeof Kernel.skMsg = program("skMsg");
export const skReuseport: typeof Kernel.skReuseport = program("skReuseport");
export const cgroupDevice: typeof Kernel.cgroupDevice = program("cgroupDevice");
export const cgroupSysctl: typeof Kernel.cgroupSysctl = program("cgroupSysctl");
export const cgroupGetsockopt: typeof Kernel.cgroupGetsockopt = program("cgroupGetsockopt");
export const cgroupSetsockopt: typeof Kernel.cgroupSetsockopt = program("cgroupSetsockopt");
export const fentry: typeof Kernel.fentry = program("fentry");
export const fexit: typeof Kernel.fexit = program("fexit");
export const fmodRet: typeof Kernel.fmodRet = program("fmodRet");
export const tpBtf: typeof Kernel.tpBtf = program("tpBtf");
export const lsm: typeof Kernel.lsm = program("lsm");
export const iterator: typeof Kernel.iterator = program("iterator");
export const lsmCgroup: typeof Kernel.lsmCgroup = program("lsmCgroup");
export const uprobe: typeof Kernel.uprobe = program("uprobe");
export const uretprobe: typeof Kernel.uretprobe = program("uretprobe");
export const uprobeMulti: typeof Kernel.uprobeMulti = program("uprobeMulti");
export const uretprobeMulti: typeof Kernel.uretprobeMulti = program("uretprobeMulti");
export const uprobeSession: typeof Kernel.uprobeSession = program("uprobeSession");
export const kprobeMulti: typeof Kernel.kprobeMulti = program("kprobeMulti");
export const kretprobeMulti: typeof Kernel.kretprobeMulti = program("kretprobeMulti");
export const kprobeSession: typeof Kernel.kprobeSession = program("kprobeSession");
export const usdt: typeof Kernel.usdt = program("usdt");
export const rawTracepointWritable: typeof Kernel.rawTracepointWritable = program("rawTracepointWritable");
export const netfilter: typeof Kernel.netfilter = program("netfilter");
export const flowDissector: typeof Kernel.flowDissector = program("flowDissector");
export const syscall: typeof Kernel.syscall = program("syscall");
export const freplace: typeof Kernel.freplace = program("freplace");
export const skSkb: typeof Kernel.skSkb = program("skSkb");
export const skReuseportMigrate: typeof Kernel.skReuseportMigrate = program("skReuseportMigrate");
export const xdpDevmap: typeof Kernel.xdpDevmap = program("xdpDevmap");
export const xdpCpumap: typeof Kernel.xdpCpumap = program("xdpCpumap");
export const lwtSeg6local: typeof Kernel.lwtSeg6local = program("lwtSeg6local");
export const tcAction: typeof Kernel.tcAction = program("tcAction");
export const cgroupConnectUnix: typeof Kernel.cgroupConnectUnix = program("cgroupConnectUnix");
export const cgroupSendmsgUnix: typeof Kernel.cgroupSendmsgUnix = program("cgroupSendmsgUnix");
export const cgroupRecvmsgUnix: typeof Kernel.cgroupRecvmsgUnix = program("cgroupRecvmsgUnix");
export const cgroupGetpeernameUnix: typeof Kernel.cgroupGetpeernameUnix = program("cgroupGetpeernameUnix");
export const cgroupGetsocknameUnix: typeof Kernel.cgroupGetsocknameUnix = program("cgroupGetsocknameUnix");
export const subprogram: typeof Kernel.subprogram = (run) => run;

export const range: typeof Kernel.range = kernelOnly("range");
export const printk: typeof Kernel.printk = kernelOnly("printk");
