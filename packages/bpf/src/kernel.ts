/**
 * @module
 * The names of `@skep/bpf` as both sides see them. Under the condition `skep-kernel` these declarations are all there is: the compiler
 * gives them their meaning. In user space `index.ts` implements the same names.
 */
import type {
  Arena,
  BitsType,
  BloomFilter,
  BpfMap,
  CgroupArray,
  CgroupDeviceContext,
  CgroupLocalStorage,
  CgroupSkbContext,
  CgroupSockoptContext,
  CgroupSysctlContext,
  Config,
  Context,
  Dynptr,
  Fields,
  FixedArray,
  FlowDissectorContext,
  Global,
  IntType,
  Kconfig,
  KeyValue,
  KprobeContext,
  ListHead,
  LocalStorage,
  LwtContext,
  MapOfMaps,
  Of,
  PacketContext,
  PerCpuMap,
  PerCpuObject,
  PerfEventArray,
  PerfEventContext,
  ProgArray,
  Program,
  Queue,
  RawTracepointContext,
  RbRoot,
  RedirectMap,
  RingBuf,
  SkLookupContext,
  SkMsgContext,
  SkReuseportContext,
  SkSkbContext,
  SockAddrContext,
  SockContext,
  SockOpsContext,
  SleepOptions,
  Socket,
  SocketFilterContext,
  SocketMap,
  StackTraces,
  StructOf,
  StructOps,
  StructOpsMembers,
  StructOptions,
  StructType,
  TcContext,
  TcpSocket,
  TracepointContext,
  Type,
  UnionType,
  UserRing,
  XdpContext,
} from "./api.ts";
import type * as Int from "./api.ts";

export type * from "./api.ts";

// ---- types ----

export type u8 = Int.u8;
export declare const u8: IntType<u8>;
export type u16 = Int.u16;
export declare const u16: IntType<u16>;
export type u32 = Int.u32;
export declare const u32: IntType<u32>;
export type u64 = Int.u64;
export declare const u64: IntType<u64>;
export type i8 = Int.i8;
export declare const i8: IntType<i8>;
export type i16 = Int.i16;
export declare const i16: IntType<i16>;
export type i32 = Int.i32;
export declare const i32: IntType<i32>;
export type i64 = Int.i64;
export declare const i64: IntType<i64>;
/** Network order in memory, host order as a value. */
export declare const be16: IntType<u16>;
export declare const be32: IntType<u32>;
export declare const be64: IntType<u64>;
/** One byte, 0 or 1. */
export declare const bool: Type<boolean>;

/** `name` is the type's name in BTF. Layout, alignment and padding as C has them; `packed` has none. */
export declare function struct<const F extends Fields>(name: string, fields: F, options?: StructOptions): StructType<F>;
export declare function union<const F extends Fields>(name: string, fields: F): UnionType<F>;
export declare function array<T, const N extends number>(element: Type<T>, length: N): Type<FixedArray<T, N>>;
/** `width` bits of `type`, from the low end of the unit, as C's bit fields on a little-endian machine. */
export declare function bits<T>(type: IntType<T>, width: number): BitsType<T>;

// ---- maps ----

export declare function hash<K, V>(name: string, options: KeyValue<K, V>): BpfMap<K, V>;
export declare function lruHash<K, V>(name: string, options: KeyValue<K, V>): BpfMap<K, V>;
export declare function percpuHash<K, V>(name: string, options: KeyValue<K, V>): PerCpuMap<K, V>;
export declare function lruPercpuHash<K, V>(name: string, options: KeyValue<K, V>): PerCpuMap<K, V>;
/** Keys are the numbers below `maxEntries`. `array` with a map's options; `mapArray` is the same under a name of its own. */
export declare function array<V>(
  name: string,
  options: { readonly value: Type<V>; readonly maxEntries: number; readonly flags?: number },
): BpfMap<u32, V>;
export declare function percpuArray<V>(
  name: string,
  options: { readonly value: Type<V>; readonly maxEntries: number; readonly flags?: number },
): PerCpuMap<u32, V>;
/** The first field of the key is a `u32` that counts bits of the rest. */
export declare function lpmTrie<K, V>(name: string, options: KeyValue<K, V>): BpfMap<K, V>;
export declare function hashOfMaps<K, M>(
  name: string,
  options: { readonly key: Type<K>; readonly inner: M; readonly maxEntries: number; readonly flags?: number },
): MapOfMaps<K, M>;
export declare function arrayOfMaps<M>(
  name: string,
  options: { readonly inner: M; readonly maxEntries: number; readonly flags?: number },
): MapOfMaps<u32, M>;
export declare function progArray(name: string, options: { readonly maxEntries: number }): ProgArray;
/** `bytes` is a power of two and a multiple of the page size. */
export declare function ringBuf<T>(name: string, type: Type<T>, options: { readonly bytes: number }): RingBuf<T>;
export declare function queue<V>(
  name: string,
  options: { readonly value: Type<V>; readonly maxEntries: number },
): Queue<V>;
export declare function stack<V>(
  name: string,
  options: { readonly value: Type<V>; readonly maxEntries: number },
): Queue<V>;

export declare function perfEventArray<T>(name: string, type: Type<T>): PerfEventArray<T>;
/** `frames`: how deep a stack is kept. */
export declare function stackTraces(
  name: string,
  options: { readonly frames: number; readonly maxEntries: number },
): StackTraces;
export declare function devMap(name: string, options: { readonly maxEntries: number }): RedirectMap;
export declare function devMapHash(name: string, options: { readonly maxEntries: number }): RedirectMap;
export declare function cpuMap(name: string, options: { readonly maxEntries: number }): RedirectMap;
export declare function xskMap(name: string, options: { readonly maxEntries: number }): RedirectMap;
export declare function sockMap(name: string, options: { readonly maxEntries: number }): SocketMap<u32>;
export declare function sockHash<K>(
  name: string,
  options: { readonly key: Type<K>; readonly maxEntries: number },
): SocketMap<K>;
export declare function reuseportSockArray(name: string, options: { readonly maxEntries: number }): SocketMap<u32>;
export declare function cgroupArray(name: string, options: { readonly maxEntries: number }): CgroupArray;
export declare function bloomFilter<V>(
  name: string,
  options: { readonly value: Type<V>; readonly maxEntries: number },
): BloomFilter<V>;
export declare function skStorage<V>(name: string, options: { readonly value: Type<V> }): LocalStorage<V>;
export declare function taskStorage<V>(name: string, options: { readonly value: Type<V> }): LocalStorage<V>;
export declare function inodeStorage<V>(name: string, options: { readonly value: Type<V> }): LocalStorage<V>;
export declare function cgroupStorage<V>(name: string, options: { readonly value: Type<V> }): LocalStorage<V>;
/** The older kind, for the programs of a cgroup's hooks alone. */
export declare function cgroupLocalStorage<V>(
  name: string,
  options: { readonly value: Type<V> },
): CgroupLocalStorage<V>;
export declare function percpuCgroupLocalStorage<V>(
  name: string,
  options: { readonly value: Type<V> },
): CgroupLocalStorage<V>;
/** `bytes` as for `ringBuf`. */
export declare function userRing(name: string, options: { readonly bytes: number }): UserRing;

/** At most `pages` pages of 4096 bytes; a program uses one arena. User space maps it: `mapArena()` of the map. Since Linux 6.9. */
export declare function arena(name: string, options: { readonly pages: number }): Arena;

/**
 * A setting of the running kernel, such as `CONFIG_HZ` (0 or false where it has none), or `LINUX_KERNEL_VERSION`: known when the program is
 * loaded, so that what it excludes is not even verified.
 */
export declare function kconfig<T>(name: string, type: Type<T>): Kconfig<T>;

/** In `.rodata`: the loader sets it before the program is loaded, and the kernel folds it. */
export declare function config<T>(name: string, type: Type<T>, value: T): Config<T>;
/** In `.bss`, or in `.data` where `value` is not zero. */
export declare function global<T>(name: string, type: Type<T>, value?: T): Global<T>;

/** Flags of maps (BPF_F_*). */
export declare const MAP: {
  readonly NO_PREALLOC: 1;
  readonly NO_COMMON_LRU: 2;
  readonly NUMA_NODE: 4;
  readonly RDONLY: 8;
  readonly WRONLY: 16;
  readonly RDONLY_PROG: 128;
  readonly WRONLY_PROG: 256;
  readonly MMAPABLE: 1024;
};

/** Of a ring's record (BPF_RB_*): its reader is not told, or told whatever it has read. */
export declare const RINGBUF: {
  readonly NO_WAKEUP: 1n;
  readonly FORCE_WAKEUP: 2n;
};

// ---- programs ----

export declare function tc(name: string, run: (ctx: TcContext) => number): Program<TcContext>;
export declare function xdp(
  name: string,
  run: (ctx: XdpContext) => number,
  options?: { readonly frags?: boolean },
): Program<XdpContext>;
export declare function cgroupConnect4(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupConnect6(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupBind4(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupBind6(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupSendmsg4(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupSendmsg6(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupRecvmsg4(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupRecvmsg6(name: string, run: (ctx: SockAddrContext) => number): Program<SockAddrContext>;
export declare function cgroupGetpeername4(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupGetpeername6(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupGetsockname4(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupGetsockname6(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupPostBind4(name: string, run: (ctx: SockContext) => number): Program<SockContext>;
export declare function cgroupPostBind6(name: string, run: (ctx: SockContext) => number): Program<SockContext>;
export declare function cgroupSockCreate(name: string, run: (ctx: SockContext) => number): Program<SockContext>;
export declare function cgroupSockRelease(name: string, run: (ctx: SockContext) => number): Program<SockContext>;
export declare function cgroupSkbIngress(
  name: string,
  run: (ctx: CgroupSkbContext) => number,
): Program<CgroupSkbContext>;
export declare function cgroupSkbEgress(
  name: string,
  run: (ctx: CgroupSkbContext) => number,
): Program<CgroupSkbContext>;
export declare function sockOps(name: string, run: (ctx: SockOpsContext) => number): Program<SockOpsContext>;
export declare function skLookup(name: string, run: (ctx: SkLookupContext) => number): Program<SkLookupContext>;
/** `target`: such as `sched/sched_switch`. */
export declare function tracepoint(
  name: string,
  target: string,
  run: (ctx: TracepointContext) => number,
): Program<TracepointContext>;
export declare function rawTracepoint(
  name: string,
  target: string,
  run: (ctx: RawTracepointContext) => number,
): Program<RawTracepointContext>;
export declare function kprobe(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
): Program<KprobeContext>;
export declare function kretprobe(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
): Program<KprobeContext>;
export declare function perfEvent(name: string, run: (ctx: PerfEventContext) => number): Program<PerfEventContext>;

export declare function socketFilter(
  name: string,
  run: (ctx: SocketFilterContext) => number,
): Program<SocketFilterContext>;
export declare function lwtIn(name: string, run: (ctx: LwtContext) => number): Program<LwtContext>;
export declare function lwtOut(name: string, run: (ctx: LwtContext) => number): Program<LwtContext>;
export declare function lwtXmit(name: string, run: (ctx: LwtContext) => number): Program<LwtContext>;
/** The verdict on what a socket of a sock map receives: SK. */
export declare function skSkbVerdict(name: string, run: (ctx: SkSkbContext) => number): Program<SkSkbContext>;
/** How many bytes the next message has. */
export declare function skSkbParser(name: string, run: (ctx: SkSkbContext) => number): Program<SkSkbContext>;
export declare function skMsg(name: string, run: (ctx: SkMsgContext) => number): Program<SkMsgContext>;
export declare function skReuseport(
  name: string,
  run: (ctx: SkReuseportContext) => number,
): Program<SkReuseportContext>;
export declare function cgroupDevice(
  name: string,
  run: (ctx: CgroupDeviceContext) => number,
): Program<CgroupDeviceContext>;
export declare function cgroupSysctl(
  name: string,
  run: (ctx: CgroupSysctlContext) => number,
): Program<CgroupSysctlContext>;
export declare function cgroupGetsockopt(
  name: string,
  run: (ctx: CgroupSockoptContext) => number,
): Program<CgroupSockoptContext>;
export declare function cgroupSetsockopt(
  name: string,
  run: (ctx: CgroupSockoptContext) => number,
): Program<CgroupSockoptContext>;

/**
 * Before a kernel function: `run` has the function's parameters, typed as `skep btf types` writes them. Members of structures are read
 * directly, relocated to the running kernel.
 */
export declare function fentry<A extends readonly unknown[]>(
  name: string,
  target: string,
  run: (...args: A) => number,
  options?: SleepOptions,
): Program<Context>;
/** After a kernel function: its parameters, then its result. */
export declare function fexit<A extends readonly unknown[]>(
  name: string,
  target: string,
  run: (...args: A) => number,
  options?: SleepOptions,
): Program<Context>;
/** Decides what the kernel function returns: 0 lets it run. */
export declare function fmodRet<A extends readonly unknown[]>(
  name: string,
  target: string,
  run: (...args: A) => number,
  options?: SleepOptions,
): Program<Context>;
/** At a tracepoint, with its arguments typed. */
export declare function tpBtf<A extends readonly unknown[]>(
  name: string,
  target: string,
  run: (...args: A) => number,
  options?: SleepOptions,
): Program<Context>;
/** At a hook of the security modules: 0, or a negative errno that refuses. */
export declare function lsm<A extends readonly unknown[]>(
  name: string,
  hook: string,
  run: (...args: A) => number,
  options?: SleepOptions,
): Program<Context>;
/** The same for the processes of one cgroup: 1 allows, 0 refuses with EPERM. */
export declare function lsmCgroup<A extends readonly unknown[]>(
  name: string,
  hook: string,
  run: (...args: A) => number,
): Program<Context>;
/** For each task, map element ...: `run` has the iterator's context, such as bpf_iter__task. 0, or 1 to see the object once more. */
export declare function iterator<C>(
  name: string,
  target: string,
  run: (ctx: C) => number,
  options?: SleepOptions,
): Program<Context>;

/** `target`: `path:function`, or "" where the place is said at attaching. */
export declare function uprobe(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
export declare function uretprobe(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
/** Many functions by one link. */
export declare function uprobeMulti(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
export declare function uretprobeMulti(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
/** On the way in and, where that gave 0, on the way out. */
export declare function uprobeSession(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
export declare function kprobeMulti(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
): Program<KprobeContext>;
export declare function kretprobeMulti(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
): Program<KprobeContext>;
export declare function kprobeSession(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
): Program<KprobeContext>;
/** A static probe: `target` is `path:provider:name`, or "". */
export declare function usdt(
  name: string,
  target: string,
  run: (ctx: KprobeContext) => number,
  options?: SleepOptions,
): Program<KprobeContext>;
export declare function rawTracepointWritable(
  name: string,
  target: string,
  run: (ctx: RawTracepointContext) => number,
): Program<RawTracepointContext>;

/** At a hook of netfilter: `ctx` is bpf_nf_ctx; gives NF. */
export declare function netfilter<C>(name: string, run: (ctx: C) => number): Program<Context>;
/** Takes a packet apart for the kernel's flow hash; gives FLOW_DISSECTOR. */
export declare function flowDissector(
  name: string,
  run: (ctx: FlowDissectorContext) => number,
): Program<FlowDissectorContext>;
/** Run by user space alone (`program.test`), with `T` as argument and answer. May sleep. */
export declare function syscall<T>(name: string, type: Type<T>, run: (args: T) => number): Program<Context>;
/** In place of a global function of another program; `ctx` is what that one has. */
export declare function freplace<C extends Context>(
  name: string,
  target: string,
  run: (ctx: C) => number,
): Program<Context>;
/** The verdict on what a socket of a sock map receives, without a parser; any kind of stream or datagram. */
export declare function skSkb(name: string, run: (ctx: SkSkbContext) => number): Program<SkSkbContext>;
export declare function skReuseportMigrate(
  name: string,
  run: (ctx: SkReuseportContext) => number,
): Program<SkReuseportContext>;
/** Behind a redirect, on the device or CPU that the map's entry names. */
export declare function xdpDevmap(name: string, run: (ctx: XdpContext) => number): Program<XdpContext>;
export declare function xdpCpumap(name: string, run: (ctx: XdpContext) => number): Program<XdpContext>;
export declare function lwtSeg6local(name: string, run: (ctx: LwtContext) => number): Program<LwtContext>;
export declare function tcAction(name: string, run: (ctx: TcContext) => number): Program<TcContext>;
export declare function cgroupConnectUnix(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupSendmsgUnix(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupRecvmsgUnix(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupGetpeernameUnix(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
export declare function cgroupGetsocknameUnix(
  name: string,
  run: (ctx: SockAddrContext) => number,
): Program<SockAddrContext>;
/**
 * A kernel structure whose functions are programs, such as `tcp_congestion_ops`: `T` is its type as `skep btf types` writes it. Texts fill
 * arrays of bytes. Attached by `attachStructOps`.
 */
export declare function structOps<T>(name: string, members: StructOpsMembers<T>): StructOps<T>;

/** Compiled as a function of its own (at most five parameters) instead of being inlined where it is called. */
export declare function subprogram<F extends (...args: never[]) => unknown>(run: F): F;

/** What tc programs return (TC_ACT_*, and TCX_* which have the same meaning). */
export declare const TC: {
  readonly UNSPEC: -1;
  readonly NEXT: -1;
  readonly OK: 0;
  readonly PASS: 0;
  readonly RECLASSIFY: 1;
  readonly SHOT: 2;
  readonly DROP: 2;
  readonly PIPE: 3;
  readonly STOLEN: 4;
  readonly QUEUED: 5;
  readonly REPEAT: 6;
  readonly REDIRECT: 7;
};

/** What XDP programs return. */
export declare const XDP: {
  readonly ABORTED: 0;
  readonly DROP: 1;
  readonly PASS: 2;
  readonly TX: 3;
  readonly REDIRECT: 4;
};

/** What netfilter programs return. */
export declare const NF: { readonly DROP: 0; readonly ACCEPT: 1 };

/** What flow dissectors return: `CONTINUE` leaves the packet to the kernel's own. */
export declare const FLOW_DISSECTOR: { readonly OK: 0; readonly DROP: 2; readonly CONTINUE: 129 };

/** What programs between sockets return. */
export declare const SK: { readonly DROP: 0; readonly PASS: 1 };

// ---- statements ----

/** A text as bytes (UTF-8), with zeros up to `length`: `text("eth0", 16)`. Known at compile time. */
export declare function text<const N extends number>(value: string, length: N): FixedArray<u8, N>;

/** The numbers from 0 (or `from`) up to, and without, `to`. */
export declare function range(to: u32): Iterable<u32>;
export declare function range(from: u32, to: u32): Iterable<u32>;

/** What processes, threads, cgroups there are: `for..of` of the kernel's own iterators, `T` as `skep btf types` writes it. */
export declare function numbers(from: i32, to: i32): Iterable<i32>;
export declare function tasks<T>(which?: "processes" | "threads"): Iterable<T>;
export declare function threadsOf<T>(task: object): Iterable<T>;
/** `T` is cgroup_subsys_state. */
export declare function cgroupsOf<T>(
  start: object,
  order?: "descendants_pre" | "descendants_post" | "ancestors_up",
): Iterable<T>;
export declare function tasksOf<T>(cgroup: object, which?: "threads" | "processes"): Iterable<T>;
/** Mapped areas (vm_area_struct) from `address` on. */
export declare function areasOf<T>(task: object, address: u64): Iterable<T>;
/** The numbers of the bits that are set in an array of 64-bit words. */
export declare function setBits(words: readonly u64[]): Iterable<i32>;
/** The mapped area that holds `address`: 0, or a negative errno where there is none. `T` is vm_area_struct. */
export declare function findArea<T, K extends object = object>(
  task: K,
  address: u64,
  body: (task: K, area: T) => boolean | void,
): i64;

/** Ends the program with `verdict` (default 0) where the condition does not hold. */
export declare function assert(condition: unknown, verdict?: number): asserts condition;
/** Ends the program at once, also from within subprograms; its result is `cookie`. The kernel's bpf_throw. */
export declare function raise(cookie: u64): never;
/** The context of the running program, where its function is not given it. */
export declare function currentContext(): Context;

/** A packet (also one that is not in one piece) as a dynptr; `ctx` may be that of a netfilter program. */
export declare function dynptrFromPacket(ctx: PacketContext | object): Dynptr;
/** A map's value as a dynptr. */
export declare function dynptrFromMemory<T extends object>(value: T): Dynptr;

/** What follows must not sleep, and pointers that RCU guards stay good until the unlock. */
export declare function rcuReadLock(): void;
export declare function rcuReadUnlock(): void;
export declare function preemptDisable(): void;
export declare function preemptEnable(): void;

/** Writes into what a reader of the iterator sees; `ctx` is the iterator's context. Arrays of bytes are texts. 0 or a negative errno. */
export declare function seqPrint(ctx: object): Template;
/** Writes a kernel structure as text, its members by name; `flags` are BTF_F_* (1n compact, 2n without names, 8n zeros too). */
export declare function seqPrintfBtf(ctx: object, pointer: object, flags?: u64): i64;
export declare function snprintfBtf<T>(buffer: T, pointer: object, flags?: u64): i64;
/** Writes a text with a final zero into `buffer`; gives its length with the zero. */
export declare function format<T>(buffer: T): Template;
export type Template = (
  text: TemplateStringsArray,
  ...values: readonly (number | bigint | boolean | readonly number[])[]
) => i64;

/** To the kernel's trace pipe: at most twelve values; arrays of bytes are texts. Needs a GPL-compatible licence. */
export declare function printk(
  text: TemplateStringsArray,
  ...values: readonly (number | bigint | boolean | readonly number[])[]
): void;

/** Runs `body` up to `times` times (at most 8,388,608), until it gives true; gives how often it ran. The kernel's bpf_loop. */
export declare function loop(times: u32, body: (index: u32) => boolean | void): i64;

/** A lock in a map's value. Between `spinLock` and `spinUnlock` nothing may be called. */
export declare const SpinLock: StructType<{ readonly val: IntType<u32> }>;
export declare function spinLock(lock: Of<typeof SpinLock>): void;
export declare function spinUnlock(lock: Of<typeof SpinLock>): void;

/** A timer in a map's value. */
export declare const Timer: StructType<{ readonly opaque: Type<FixedArray<u64, 2>> }>;
/** `clock`: CLOCK_MONOTONIC (1n, the default), CLOCK_REALTIME (0n), CLOCK_BOOTTIME (7n). 0 or a negative errno. */
export declare function timerInit<K, V>(timer: Of<typeof Timer>, map: BpfMap<K, V>, clock?: u64): i64;
/** What runs when the time has come, with the key and value that hold the timer; it captures nothing. */
export declare function timerSetCallback<K, V>(
  timer: Of<typeof Timer>,
  map: BpfMap<K, V>,
  run: (key: K, value: V) => void,
): i64;
export declare function timerStart(timer: Of<typeof Timer>, nanoseconds: u64): i64;
export declare function timerCancel(timer: Of<typeof Timer>): i64;

// ---- allocated objects, and pointers that memory owns ----

/**
 * A field that owns a reference to a kernel structure (`kptr<task_struct>()`), or an object of `objNew` (`kptr(Node)`). Read, it is what
 * it points to, or null; `kptrXchg` puts another in. User space sees null.
 */
export declare function kptr<T extends object>(): Type<T | null>;
export declare function kptr<F extends Fields>(type: StructType<F>): Type<StructOf<F> | null>;
/** A field that points to a kernel structure without owning it: what it points to may be gone, and is read with care. Assigned. */
export declare function kptrUntrusted<T extends object>(): Type<T | null>;
export declare function percpuKptr<F extends Fields>(type: StructType<F>): Type<PerCpuObject<StructOf<F>> | null>;
/** Puts `pointer`, which must be owned, into a field and gives what was there: drop or release it, or put it elsewhere. */
export declare function kptrXchg<T, K extends keyof T>(target: T, field: K, pointer: T[K]): T[K];

/** A new object, its fields not set but for those of the kernel; to be dropped, or put into a field, list or tree, on every path. */
export declare function objNew<F extends Fields>(type: StructType<F>): StructOf<F> | null;
export declare function objDrop<T extends object>(object: T): void;
export declare function percpuObjNew<F extends Fields>(type: StructType<F>): PerCpuObject<StructOf<F>> | null;
export declare function percpuObjDrop<T>(object: PerCpuObject<T>): void;
export declare function thisCpuPtr<T>(object: PerCpuObject<T>): T;
export declare function perCpuPtr<T>(object: PerCpuObject<T>, cpu: u32): T | null;

/** How many own the object: a field of it, then `refcountAcquire` gives a further reference. */
export declare const Refcount: StructType<{ readonly opaque: Type<FixedArray<u32, 1>> }>;
export declare function refcountAcquire<T extends object>(object: T): T | null;

/** The field by which an object hangs in a list. */
export declare const ListNode: StructType<{ readonly opaque: Type<FixedArray<u64, 3>> }>;
/** A list of `type`, whose field `node` is a ListNode. The functions want the lock of the same value held. */
export declare function listHead<F extends Fields>(
  type: StructType<F>,
  node: keyof F & string,
): Type<ListHead<StructOf<F>>>;
/** The list owns the object then. 0, or -EINVAL where it hangs in a list already (it is dropped). */
export declare function listPushFront<T>(list: ListHead<T>, object: T): i32;
export declare function listPushBack<T>(list: ListHead<T>, object: T): i32;
export declare function listPopFront<T>(list: ListHead<T>): T | null;
export declare function listPopBack<T>(list: ListHead<T>): T | null;
/** Stays in the list: good until the lock is given back. Since Linux 6.16. */
export declare function listFront<T>(list: ListHead<T>): T | null;
export declare function listBack<T>(list: ListHead<T>): T | null;

/** The field by which an object hangs in a tree. */
export declare const RbNode: StructType<{ readonly opaque: Type<FixedArray<u64, 4>> }>;
export declare function rbRoot<F extends Fields>(
  type: StructType<F>,
  node: keyof F & string,
): Type<RbRoot<StructOf<F>>>;
/** `less(a, b)`: whether a comes before b; it captures nothing. */
export declare function rbtreeAdd<T>(root: RbRoot<T>, object: T, less: (a: T, b: T) => boolean): i32;
export declare function rbtreeRemove<T>(root: RbRoot<T>, object: T): T | null;
/** The least; it stays in the tree: good until the lock is given back. */
export declare function rbtreeFirst<T>(root: RbRoot<T>): T | null;
/** Since Linux 6.16. */
export declare function rbtreeRoot<T>(root: RbRoot<T>): T | null;
export declare function rbtreeLeft<T>(root: RbRoot<T>, object: T): T | null;
export declare function rbtreeRight<T>(root: RbRoot<T>, object: T): T | null;

/** A lock that tells a deadlock instead of hanging in it (Linux 6.15): 0, or a negative errno and then it is not held. */
export declare const ResSpinLock: StructType<{ readonly val: IntType<u32> }>;
export declare function resSpinLock(lock: Of<typeof ResSpinLock>): i32;
export declare function resSpinUnlock(lock: Of<typeof ResSpinLock>): void;

/** Work that a thread of the kernel does later, where it may sleep; in a map's value. */
export declare const WorkQueue: StructType<{ readonly opaque: Type<FixedArray<u64, 2>> }>;
export declare function wqInit<K, V>(queue: Of<typeof WorkQueue>, map: BpfMap<K, V>): i32;
/** What runs, with the key and value that hold the queue; it captures nothing. */
export declare function wqSetCallback<K, V>(
  queue: Of<typeof WorkQueue>,
  map: BpfMap<K, V>,
  run: (key: K, value: V) => void,
): i32;
export declare function wqStart(queue: Of<typeof WorkQueue>): i32;

/** Work that a task does itself, in its own process, where it may sleep (Linux 6.18); in a map's value. */
export declare const TaskWork: StructType<{ readonly opaque: Type<FixedArray<u64, 1>> }>;
/**
 * `run`, with the key and value that hold `work`, before the task goes on in user space; it captures nothing. A task that sleeps is woken up
 * for it. 0, or a negative errno.
 */
export declare function taskWorkSignal<K, V>(
  task: object,
  work: Of<typeof TaskWork>,
  map: BpfMap<K, V>,
  run: (key: K, value: V) => void,
): i32;
/** The same, when the task comes to it: it is not woken up. */
export declare function taskWorkResume<K, V>(
  task: object,
  work: Of<typeof TaskWork>,
  map: BpfMap<K, V>,
  run: (key: K, value: V) => void,
): i32;

// ---- helpers: any program ----

/** CLOCK_MONOTONIC in nanoseconds. */
export declare function ktimeGetNs(): u64;
/** CLOCK_BOOTTIME in nanoseconds. */
export declare function ktimeGetBootNs(): u64;
/** CLOCK_MONOTONIC, cheaper and as coarse as a tick. */
export declare function ktimeGetCoarseNs(): u64;
export declare function jiffies64(): u64;
export declare function getPrandomU32(): u32;
export declare function getSmpProcessorId(): u32;
export declare function getNumaNodeId(): u32;
/** Process (high half) and thread. */
export declare function getCurrentPidTgid(): u64;
/** Group (high half) and user. */
export declare function getCurrentUidGid(): u64;
/** The current task's struct. */
export declare function getCurrentTask(): u64;
export declare function getCurrentCgroupId(): u64;
export declare function getCurrentAncestorCgroupId(level: i32): u64;
/** Fills `target` (a buffer in memory) with the current task's name; 0 or a negative errno. */
export declare function getCurrentComm<T>(target: T): i64;
/** Copies `source` (kernel address) into `target`; 0 or a negative errno. */
export declare function probeReadKernel<T>(target: T, source: u64): i64;
export declare function probeReadUser<T>(target: T, source: u64): i64;
/** Copies a string; gives its length with the final zero, or a negative errno. */
export declare function probeReadKernelStr<T>(target: T, source: u64): i64;
export declare function probeReadUserStr<T>(target: T, source: u64): i64;
export declare function sendSignal(signal: u32): i64;

export declare function ktimeGetTaiNs(): u64;
export declare function currentTaskUnderCgroup(map: CgroupArray, index: u32): i64;
export declare function sendSignalThread(signal: u32): i64;
/** Sleeps where the page is not there: sleepable programs only. */
export declare function copyFromUser<T>(target: T, source: u64): i64;
/** 0 where the buffer begins with `text` and its final zero, as strncmp. */
export declare function strncmp<T>(buffer: T, text: string): i64;
export declare function getStack<T>(ctx: Context, target: T, flags: u64): i64;
export declare function getFuncIp(ctx: Context): u64;
export declare function getAttachCookie(ctx: Context): u64;

// ---- kernel structures ----

/** `address` as a pointer to a kernel structure: its members are read safely, relocated to the running kernel. */
export declare function kernelPointer<T>(address: u64): T | null;
/** The current task, as the verifier knows it. */
export declare function getCurrentTaskBtf<T>(): T;
/** Address of a member, for the `probeRead` helpers. */
export declare function addressOf(member: unknown): u64;
/** What a pointer without a type points to, such as `ctx.key` of an iterator over a map's elements. */
export declare function pointedTo<F extends Fields>(type: StructType<F>, member: unknown): StructOf<F> | null;
/** Whether the running kernel has the member: guards what older or newer kernels lack. */
export declare function exists(member: unknown): boolean;
/** Bytes of the member in the running kernel. */
export declare function sizeOfField(member: unknown): u64;
export declare function typeExists<T>(): boolean;
export declare function typeMatches<T>(): boolean;
export declare function typeSize<T>(): u64;
/** Number of the type in the running kernel's BTF. */
export declare function typeId<T>(): u64;
/** `enumValue(bpf_func_id.BPF_FUNC_loop)`: the number that the running kernel has for it. */
export declare function enumValue(value: number | bigint): u64;
export declare function enumExists(value: number | bigint): boolean;
/** Whether the running kernel has a function or variable that a `.d.ts` declares; where not, what stands behind the check is not verified. */
export declare function kfuncExists(symbol: ((...args: never[]) => unknown) | PerCpuObject<unknown>): boolean;
/** Address of a symbol in the running kernel, such as `bpf_link_fops`; 0n where it has none. */
export declare function ksymAddress(name: string): u64;
/** The number of a version, to compare with `kconfig("LINUX_KERNEL_VERSION", u32)`. */
export declare function kernelVersion(major: number, minor: number, patch?: number): u32;
/** The same pointer as one to another structure, such as a tcp_sock behind a sock. */
export declare function cast<T>(pointer: object): T;

export declare function probeRead<T>(target: T, source: u64): i64;
export declare function probeReadStr<T>(target: T, source: u64): i64;
/** Refused by locked-down kernels. */
export declare function probeWriteUser<T>(target: u64, source: T): i64;
export declare function copyFromUserTask<T>(target: T, source: u64, task: object, flags: u64): i64;
/** Process and thread as the namespace with that device and inode numbers them; `target` is two u32. */
export declare function getNsCurrentPidTgid<T>(device: u64, inode: u64, target: T): i64;
export declare function kallsymsLookupName<N, T>(name: N, flags: i32, result: T): i64;
export declare function getTaskStack<T>(task: object, target: T, flags: u64): i64;
export declare function dPath<T>(path: object, target: T): i64;
export declare function imaInodeHash<T>(inode: object, target: T): i64;
export declare function imaFileHash<T>(file: object, target: T): i64;
export declare function bprmOptsSet(bprm: object, flags: u64): i64;
export declare function seqWrite<T>(seq: object, value: T): i64;
export declare function tcpSendAck(socket: object, next: u32): i64;
export declare function skbOutput<T>(skb: object, map: PerfEventArray<T>, flags: u64, value: T): i64;
export declare function xdpOutput<T>(xdp: object, map: PerfEventArray<T>, flags: u64, value: T): i64;
export declare function sysBpf<T>(command: i32, attributes: T): i64;
export declare function sysClose(fd: u32): i64;
export declare function btfFindByNameKind<N>(name: N, kind: i32, flags: i32): i64;
export declare function readBranchRecords<T>(ctx: PerfEventContext, target: T, flags: u64): i64;
export declare function getBranchSnapshot<T>(target: T, flags: u64): i64;
/** Of fentry, fexit and fmod_ret: an argument by its number, written to `target` (u64). */
export declare function getFuncArg<T>(ctx: Context, index: u32, target: T): i64;
export declare function getFuncRet<T>(ctx: Context, target: T): i64;
export declare function getFuncArgCnt(ctx: Context): i64;
export declare function strtol<B, T>(text: B, flags: u64, result: T): i64;
export declare function strtoul<B, T>(text: B, flags: u64, result: T): i64;
export declare function perfEventOutput<T>(ctx: Context, map: PerfEventArray<T>, flags: u64, value: T): i64;
export declare function perfEventRead<T>(map: PerfEventArray<T>, flags: u64): u64;
export declare function perfEventReadValue<T, V>(map: PerfEventArray<T>, flags: u64, target: V): i64;
export declare function perfProgReadValue<V>(ctx: PerfEventContext, target: V): i64;
export declare function getStackid(ctx: Context, map: StackTraces, flags: u64): i64;
/** Makes the probed function return `value` at once, where the kernel allows that for it. */
export declare function overrideReturn(ctx: KprobeContext, value: u64): i64;
export declare function taskPtRegs<T>(task: object): T | null;
export declare function sockFromFile<T>(file: object): T | null;
/** The socket as the kernel's own structure; null where it is of another kind. */
export declare function skcToTcpSock<T>(socket: Socket | object): T | null;
export declare function skcToTcp6Sock<T>(socket: Socket | object): T | null;
export declare function skcToTcpTimewaitSock<T>(socket: Socket | object): T | null;
export declare function skcToTcpRequestSock<T>(socket: Socket | object): T | null;
export declare function skcToUdp6Sock<T>(socket: Socket | object): T | null;
export declare function skcToUnixSock<T>(socket: Socket | object): T | null;
export declare function skcToMptcpSock<T>(socket: Socket | object): T | null;

// ---- helpers: sockets and namespaces ----

export declare function getSocketCookie(ctx: Context | Socket): u64;
export declare function getNetnsCookie(ctx: Context): u64;
/** What the system call returns to the process where a cgroup program refuses; a negative errno. */
export declare function setRetval(value: i32): i32;
export declare function getRetval(): i32;
export declare function getSocketUid(ctx: Context): u32;

/** `tuple` is Ipv4Tuple or Ipv6Tuple of `@skep/bpf/net`; `netns` -1n (as u64) is the context's own. Release what was found. */
export declare function skLookupTcp<T>(ctx: Context, tuple: T, netns: u64, flags: u64): Socket | null;
export declare function skLookupUdp<T>(ctx: Context, tuple: T, netns: u64, flags: u64): Socket | null;
export declare function skcLookupTcp<T>(ctx: Context, tuple: T, netns: u64, flags: u64): Socket | null;
export declare function skRelease(socket: Socket): i64;
export declare function skFullsock(socket: Socket): Socket | null;
export declare function tcpSock(socket: Socket): TcpSocket | null;
export declare function getListenerSock(socket: Socket): Socket | null;
export declare function skAssign(ctx: Context, socket: Socket, flags: u64): i64;
export declare function skCgroupId(socket: Socket): u64;
export declare function setsockopt<T>(socket: Socket | Context, level: i32, option: i32, value: T): i64;
export declare function getsockopt<T>(socket: Socket | Context, level: i32, option: i32, value: T): i64;
export declare function bind<T>(ctx: SockAddrContext, address: T): i64;
export declare function sockOpsCbFlagsSet(ctx: SockOpsContext, flags: i32): i64;
export declare function sockMapUpdate(ctx: SockOpsContext, map: SocketMap<u32>, key: u32, flags: u64): i64;
export declare function sockHashUpdate<K>(ctx: SockOpsContext, map: SocketMap<K>, key: K, flags: u64): i64;
export declare function skRedirectMap(ctx: SkSkbContext, map: SocketMap<u32>, key: u32, flags: u64): i64;
export declare function skRedirectHash<K>(ctx: SkSkbContext, map: SocketMap<K>, key: K, flags: u64): i64;
export declare function msgRedirectMap(ctx: SkMsgContext, map: SocketMap<u32>, key: u32, flags: u64): i64;
export declare function msgRedirectHash<K>(ctx: SkMsgContext, map: SocketMap<K>, key: K, flags: u64): i64;
export declare function msgApplyBytes(ctx: SkMsgContext, bytes: u32): i64;
export declare function msgCorkBytes(ctx: SkMsgContext, bytes: u32): i64;
export declare function msgPullData(ctx: SkMsgContext, start: u32, end: u32, flags: u64): i64;
export declare function msgPushData(ctx: SkMsgContext, start: u32, length: u32, flags: u64): i64;
export declare function msgPopData(ctx: SkMsgContext, start: u32, length: u32, flags: u64): i64;
export declare function skSelectReuseport<K>(ctx: SkReuseportContext, map: SocketMap<K>, key: K, flags: u64): i64;
export declare function sysctlGetName<T>(ctx: CgroupSysctlContext, target: T, flags: u64): i64;
export declare function sysctlGetCurrentValue<T>(ctx: CgroupSysctlContext, target: T): i64;
export declare function sysctlGetNewValue<T>(ctx: CgroupSysctlContext, target: T): i64;
export declare function sysctlSetNewValue<T>(ctx: CgroupSysctlContext, value: T): i64;

/** Looks for a TCP option (`target` begins with its kind) in the header; its length, or a negative errno. */
export declare function loadHdrOpt<T>(ctx: SockOpsContext, target: T, flags: u64): i64;
export declare function storeHdrOpt<T>(ctx: SockOpsContext, value: T, flags: u64): i64;
export declare function reserveHdrOpt(ctx: SockOpsContext, length: u32, flags: u64): i64;
export declare function tcpCheckSyncookie<I, T>(socket: Socket, ip: I, tcp: T): i64;
export declare function tcpGenSyncookie<I, T>(socket: Socket, ip: I, tcp: T): i64;
export declare function tcpRawGenSyncookieIpv4<I, T>(ip: I, tcp: T): i64;
export declare function tcpRawGenSyncookieIpv6<I, T>(ip: I, tcp: T): i64;
export declare function tcpRawCheckSyncookieIpv4<I, T>(ip: I, tcp: T): i64;
export declare function tcpRawCheckSyncookieIpv6<I, T>(ip: I, tcp: T): i64;
export declare function skAncestorCgroupId(socket: Socket, level: i32): u64;
/** Infrared decoders. */
export declare function rcRepeat(ctx: Context): i64;
export declare function rcKeydown(ctx: Context, protocol: u32, scancode: u64, toggle: u32): i64;
export declare function rcPointerRel(ctx: Context, x: i32, y: i32): i64;

// ---- helpers: packets ----

export declare function skbGetXfrmState<T>(ctx: TcContext, index: u32, target: T, flags: u64): i64;
export declare function lwtSeg6StoreBytes<T>(ctx: LwtContext, offset: u32, value: T): i64;
export declare function lwtSeg6AdjustSrh(ctx: LwtContext, offset: u32, delta: i32): i64;
export declare function lwtSeg6Action<T>(ctx: LwtContext, action: u32, parameter: T): i64;
export declare function skbAncestorCgroupId(ctx: PacketContext, level: i32): u64;
export declare function skbCgroupClassid(ctx: TcContext): u64;
export declare function getRouteRealm(ctx: PacketContext): u32;

/** Gives the verdict to return. `flags` is BPF_F_INGRESS (1n) or 0n; XDP takes none. */
export declare function redirect(ifindex: u32, flags: u64): i32;
/** Into the namespace of a veth's peer. */
export declare function redirectPeer(ifindex: u32, flags: u64): i32;
/** With the neighbour that the kernel's table gives. */
export declare function redirectNeigh(ifindex: u32): i32;
export declare function cloneRedirect(ctx: TcContext, ifindex: u32, flags: u64): i64;
/** Makes the first `length` bytes linear (0: all); moves packet data. */
export declare function skbPullData(ctx: PacketContext, length: u32): i64;
/** Copies bytes of the packet into `target`; 0 or a negative errno. */
export declare function skbLoadBytes<T>(ctx: PacketContext | SocketFilterContext, offset: u32, target: T): i64;
/** Writes `source` into the packet; moves packet data. */
export declare function skbStoreBytes<T>(ctx: TcContext, offset: u32, source: T, flags: u64): i64;
/** Mends the IPv4 header checksum at `offset`: `size` 2 or 4 bytes changed `from` `to`, or 0 and `to` a difference. Moves packet data. */
export declare function l3CsumReplace(ctx: TcContext, offset: u32, from: u64, to: u64, size: u64): i64;
export declare function l4CsumReplace(ctx: TcContext, offset: u32, from: u64, to: u64, flags: u64): i64;
/** One's complement difference of two buffers, added to `seed`. Either may be null; sizes are multiples of four. */
export declare function csumDiff<A, B>(from: A | null, to: B | null, seed: u32): i64;
export declare function csumUpdate(ctx: TcContext, sum: u32): i64;
export declare function skbVlanPush(ctx: TcContext, protocol: u16, tag: u16): i64;
export declare function skbVlanPop(ctx: TcContext): i64;
export declare function skbChangeProto(ctx: TcContext, protocol: u16, flags: u64): i64;
export declare function skbChangeType(ctx: TcContext, type: u32): i64;
export declare function skbChangeTail(ctx: TcContext, length: u32, flags: u64): i64;
export declare function skbChangeHead(ctx: TcContext, length: u32, flags: u64): i64;
export declare function skbAdjustRoom(ctx: TcContext, difference: i32, mode: u32, flags: u64): i64;
/** Fills in `key`; 0 or a negative errno. */
export declare function skbGetTunnelKey<T>(ctx: TcContext, key: T, flags: u64): i64;
export declare function skbSetTunnelKey<T>(ctx: TcContext, key: T, flags: u64): i64;
export declare function getHashRecalc(ctx: TcContext): u32;
export declare function setHashInvalid(ctx: TcContext): void;
export declare function skbCgroupId(ctx: PacketContext): u64;
/** `params` is FibLookup of `@skep/bpf/net`; gives BPF_FIB_LKUP_RET_* or a negative errno. */
export declare function fibLookup<T>(ctx: PacketContext, params: T, flags: u32): i64;
/** Moves the packet's start by `delta` (negative: room in front); moves packet data. */
export declare function xdpAdjustHead(ctx: XdpContext, delta: i32): i32;
export declare function xdpAdjustTail(ctx: XdpContext, delta: i32): i32;
export declare function xdpAdjustMeta(ctx: XdpContext, delta: i32): i32;

export declare function skbLoadBytesRelative<T>(
  ctx: PacketContext | SocketFilterContext,
  offset: u32,
  target: T,
  start: u32,
): i64;
export declare function csumLevel(ctx: TcContext, level: u64): i64;
export declare function skbGetTunnelOpt<T>(ctx: TcContext, target: T): i64;
export declare function skbSetTunnelOpt<T>(ctx: TcContext, value: T): i64;
export declare function skbUnderCgroup(ctx: TcContext, map: CgroupArray, index: u32): i64;
export declare function skbEcnSetCe(ctx: PacketContext): i64;
export declare function skbSetTstamp(ctx: TcContext, time: u64, type: u32): i64;
export declare function getCgroupClassid(ctx: TcContext): u32;
export declare function setHash(ctx: TcContext, hash: u32): i64;
/** Writes the MTU to `length`; 0, or why the packet does not fit. */
export declare function checkMtu<T>(ctx: PacketContext, ifindex: u32, length: T, difference: i32, flags: u64): i64;
export declare function lwtPushEncap<T>(ctx: LwtContext, type: u32, header: T): i64;
/** Length of an XDP packet with its fragments. */
export declare function xdpGetBuffLen(ctx: XdpContext): u64;
export declare function xdpLoadBytes<T>(ctx: XdpContext, offset: u32, target: T): i64;
export declare function xdpStoreBytes<T>(ctx: XdpContext, offset: u32, value: T): i64;

// ---- atomics ----

/** Adds to a field that other CPUs change too; gives the old value. */
export declare function atomicAdd<T, K extends keyof T>(target: T, field: K, value: T[K]): T[K];
export declare function atomicAnd<T, K extends keyof T>(target: T, field: K, value: T[K]): T[K];
export declare function atomicOr<T, K extends keyof T>(target: T, field: K, value: T[K]): T[K];
export declare function atomicXor<T, K extends keyof T>(target: T, field: K, value: T[K]): T[K];
/** Stores `value`; gives the old value. */
export declare function atomicExchange<T, K extends keyof T>(target: T, field: K, value: T[K]): T[K];
/** Stores `value` where the field is `expected`; gives the old value. */
export declare function atomicCompareExchange<T, K extends keyof T>(
  target: T,
  field: K,
  expected: T[K],
  value: T[K],
): T[K];
