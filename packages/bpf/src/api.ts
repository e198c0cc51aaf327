/**
 * @module
 * What a kernel program may write: the declarations that both sides share. The compiler's prelude and the user-space runtime give
 * the same names these types; in user space the values are descriptors and codecs, in the kernel they are compiled.
 */

// Integers: plain numbers assign, number and bigint do not mix, and a type takes every type whose values it holds; the compiler keeps
// width and sign by its own rules.
export type u8 = number & { readonly "~int"?: "u8" };
export type u16 = number & { readonly "~int"?: "u8" | "u16" };
export type u32 = number & { readonly "~int"?: "u8" | "u16" | "u32" };
export type i8 = number & { readonly "~int"?: "i8" };
export type i16 = number & { readonly "~int"?: "i8" | "i16" | "u8" };
export type i32 = number & { readonly "~int"?: "i8" | "i16" | "i32" | "u8" | "u16" };
export type u64 = bigint & { readonly "~int"?: "u64" };
export type i64 = bigint & { readonly "~int"?: "i64" };

/** A bit field of a kernel structure: `N` bits here, and wherever they lie in the running kernel. */
export type Bits<T, N extends number> = T & { readonly "~bits"?: N };

/**
 * What `encode` takes for a T: bytes and other array-likes where T has a fixed array, and no field may be missing.
 */
export type Loose<T> = T extends number | bigint | boolean | string
  ? T
  : T extends readonly (infer E)[]
    ? { readonly [index: number]: Loose<E>; readonly length: number }
    : T extends object
      ? { readonly [K in keyof T]: Loose<T[K]> }
      : T;

/** A type with a layout. `size` in bytes. */
export interface Type<T> {
  readonly "~type"?: T;
  readonly name: string;
  readonly size: number;
  readonly align: number;
  /**
   * User space: exactly `size` bytes, padding zero, integers little-endian but for `be16 be32 be64`. Throws RangeError where a value
   * does not fit its field.
   */
  encode(value: Loose<T>): ByteArray;
  /** User space: reads the first `size` bytes; throws RangeError where there are fewer. The value is a copy. */
  decode(bytes: ByteArray): T;
}

/** Uint8Array where there is a JavaScript library; kernel programs have none. */
export type ByteArray = typeof globalThis extends { Uint8Array: { prototype: infer B } } ? B : never;

/** The TypeScript type of a layout: `export type Tuple = Of<typeof Tuple>`. */
export type Of<D> = D extends Type<infer T> ? T : never;

/** Also a conversion: `u32(x)` truncates, `u64(x)` widens by x's own sign. */
export interface IntType<T> extends Type<T> {
  (value: number | bigint | boolean): T;
}

export type Fields = { readonly [name: string]: Type<unknown> };
export type StructOf<F extends Fields> = { -readonly [K in keyof F]: Of<F[K]> };

export interface StructType<F extends Fields> extends Type<StructOf<F>> {
  readonly fields: F;
  /** In kernel programs: a zeroed value on the stack. */
  zero(): StructOf<F>;
}

export interface StructOptions {
  readonly packed?: boolean;
  readonly align?: number;
}

type TupleOf<T, N extends number, A extends T[]> = A["length"] extends N
  ? A
  : A["length"] extends 64
    ? T[] & { readonly length: N }
    : TupleOf<T, N, [...A, T]>;

/**
 * A fixed array. A constant index is checked by TypeScript; a variable one may be outside and gives `undefined` then: the check that
 * satisfies TypeScript is the bounds check.
 */
export type FixedArray<T, N extends number> = number extends N ? T[] : TupleOf<T, N, []>;

/** A tree of allocated objects, in a map's value beside the lock that guards it. */
export interface RbRoot<T> {
  readonly "~rbRoot"?: T;
}

/** A list of allocated objects, in a map's value beside the lock that guards it. */
export interface ListHead<T> {
  readonly "~listHead"?: T;
}

/**
 * An object for each CPU: `thisCpuPtr` and `perCpuPtr` give a CPU's own. Allocated, or the kernel's own variable of that name:
 * `declare const runqueues: PerCpuObject<rq>`.
 */
export interface PerCpuObject<T> {
  readonly "~percpuObject"?: T;
}

/** Several views of the same bytes. */
export interface UnionType<F extends Fields> extends Type<StructOf<F>> {
  readonly fields: F;
  zero(): StructOf<F>;
}

/** `n` bits of an integer, first field in the low bits as C has it on a little-endian machine. */
export interface BitsType<T> extends Type<T> {
  readonly bits: number;
}

// ---- maps ----

export interface KeyValue<K, V> {
  readonly key: Type<K>;
  readonly value: Type<V>;
  readonly maxEntries: number;
  readonly flags?: number;
}

export type UpdateMode = "any" | "new" | "existing";

/** `get` gives a reference into the map; a field that is assigned changes the map. `set` and `delete` give 0 or a negative errno. */
export interface BpfMap<K, V> {
  readonly "~map"?: { key: K; value: V };
  readonly name: string;
  get(key: K): V | null;
  set(key: K, value: V, mode?: UpdateMode): i64;
  delete(key: K): i64;
  /** A reference to the value itself, also where it is an integer; null where the key is absent. */
  ref(key: K): Ref<V> | null;
  /** Goes over the elements (not of a trie) until `body` gives true; gives how many it went over. */
  forEach(body: (key: K, value: V) => boolean | void): i64;
}

/** A map with a value for every CPU; programs see their own CPU's. */
export interface PerCpuMap<K, V> extends BpfMap<K, V> {
  readonly "~percpu"?: true;
  /** The value of another CPU. */
  getOn(key: K, cpu: u32): V | null;
}

/** A place in memory that holds a T. */
export interface Ref<T> {
  value: T;
}

/** A value for each socket, task, inode or cgroup, that lives as long as that. */
export interface LocalStorage<V> {
  readonly "~storage"?: V;
  readonly name: string;
  /**
   * Of a socket, or of a task, inode or cgroup as the kernel's types have it: the value, or null where there is none; made (zero, or a copy
   * of `initial`) where `create` is true.
   */
  get(owner: Socket | object, create?: boolean, initial?: V): V | null;
  delete(owner: Socket | object): i64;
}

/** A value for each cgroup that a program is attached to. */
export interface CgroupLocalStorage<V> {
  readonly "~cgroupStorage"?: V;
  readonly name: string;
  /** The value of the cgroup whose hook runs. */
  get(): V extends number | bigint | boolean ? Ref<V> : V;
}

/** Memory whose size is known at run time alone. Offsets and sizes are bytes. */
export interface Dynptr {
  readonly "~dynptr"?: true;
  readonly size: u32;
  /** Copies from `offset` into `target`; 0, or -E2BIG where there is not so much. */
  read<T>(target: T, offset: u64): i64;
  /** Copies `value` to `offset`; 0 or a negative errno. Moves packet data. */
  write<T>(offset: u64, value: T, flags?: u64): i64;
  /** A view of a ring's record or of memory; null where it does not fit. */
  data<F extends Fields>(type: StructType<F>, offset: u64): StructOf<F> | null;
  /** A view of a packet, read only; null where it does not fit or does not lie in one piece. */
  slice<F extends Fields>(type: StructType<F>, offset: u32): StructOf<F> | null;
  sliceMutable<F extends Fields>(type: StructType<F>, offset: u32): StructOf<F> | null;
  /** Leaves only what lies from `start` to `end`. */
  adjust(start: u32, end: u32): i32;
  isNull(): boolean;
  isReadOnly(): boolean;
  /** A second one of the same memory. */
  clone(): Dynptr;
}

/** Messages from user space. */
export interface UserRing {
  readonly "~userRing"?: true;
  readonly name: string;
  /** Takes every message until `body` gives true; gives how many, or a negative errno. */
  drain(body: (message: Dynptr) => boolean | void): i64;
}

/** Memory that programs and user space share: pages that are allocated, addresses that are the same on both sides. */
export interface Arena {
  readonly "~arena"?: true;
  readonly name: string;
  /** Pages of 4096 bytes in one piece, zeroed: their address, or 0n. Programs that may sleep. */
  allocate(pages: u32): u64;
  free(address: u64, pages: u32): void;
  /** What lies at an address; null at 0n. What was not allocated reads as 0. */
  at<F extends Fields>(type: StructType<F>, address: u64): StructOf<F> | null;
}

/** A setting of the running kernel. */
export interface Kconfig<T> {
  readonly name: string;
  readonly value: T;
}

/** Events for user space by CPU; `emit` copies. A ring is better where there is no need for order within a CPU. */
export interface PerfEventArray<T> {
  readonly "~perf"?: T;
  readonly name: string;
  /** To the current CPU's buffer; 0 or a negative errno. */
  output(ctx: Context, value: T): i64;
}

export interface StackTraces {
  readonly "~stacks"?: true;
  readonly name: string;
  /** The number of the current stack (of the kernel, or of the user's with BPF_F_USER_STACK), or a negative errno. */
  id(ctx: Context, flags: u64): i64;
}

/** Where packets go: devices, CPUs, AF_XDP sockets. Gives the verdict. */
export interface RedirectMap {
  readonly "~redirect"?: true;
  readonly name: string;
  /** The low bits of `flags` are the verdict where there is nothing at `key`. */
  redirect(key: u32, flags?: u64): i32;
}

export interface SocketMap<K> {
  readonly "~sockets"?: K;
  readonly name: string;
  /** Where the program's type may look: the socket, to be released on every path. */
  get(key: K): Socket | null;
}

export interface CgroupArray {
  readonly "~cgroups"?: true;
  readonly name: string;
}

export interface BloomFilter<V> {
  readonly "~bloom"?: V;
  readonly name: string;
  add(value: V): i64;
  /** True where the value may have been added, false where it was not. */
  has(value: V): boolean;
}

/** A socket that a helper gave; read only. Found by a lookup, it is released on every path. */
export interface Socket {
  readonly "~socket"?: true;
  readonly boundDevIf: u32;
  readonly family: u32;
  readonly type: u32;
  readonly protocol: u32;
  readonly mark: u32;
  readonly priority: u32;
  readonly srcIp4: u32;
  readonly srcIp6: FixedArray<u32, 4>;
  readonly srcPort: u32;
  readonly dstPort: u16;
  readonly dstIp4: u32;
  readonly dstIp6: FixedArray<u32, 4>;
  readonly state: u32;
}

export interface TcpSocket {
  readonly "~tcpSocket"?: true;
  readonly sndCwnd: u32;
  readonly srttUs: u32;
  readonly rttMin: u32;
  readonly sndSsthresh: u32;
  readonly rcvNxt: u32;
  readonly sndNxt: u32;
  readonly sndUna: u32;
  readonly mssCache: u32;
  readonly packetsOut: u32;
  readonly retransOut: u32;
  readonly totalRetrans: u32;
  readonly segsIn: u32;
  readonly bytesReceived: u64;
  readonly bytesAcked: u64;
}

/** `push` and `pop` of a queue or a stack. */
export interface Queue<V> {
  readonly "~queue"?: V;
  readonly name: string;
  /** 0 or a negative errno. */
  push(value: V): i64;
  /** Takes the next value; null where it is empty. */
  pop(): V | null;
  peek(): V | null;
}

/** One element at most needs no null check when the index is a constant in range; it is typed `V | null` all the same. */
export type BpfArray<V> = BpfMap<u32, V>;

export interface MapOfMaps<K, M> {
  readonly "~map"?: { key: K; value: M };
  readonly name: string;
  get(key: K): M | null;
}

export interface RingBuf<T> {
  readonly "~ring"?: T;
  readonly name: string;
  /** Copies `value` into the ring; false where it is full. */
  emit(value: T): boolean;
  /** A zeroed record in the ring; must end in `submit` or `discard` on every path. */
  reserve(): T | null;
  /** `flags`: of `RINGBUF`; without one the reader is told where it has read all that came before. */
  submit(record: T, flags?: u64): void;
  discard(record: T, flags?: u64): void;
  /** A record of any size: ends in `submitBytes` or `discardBytes` on every path, also where there was no room (then it is null). */
  reserveBytes(size: u32): Dynptr;
  submitBytes(record: Dynptr, flags?: u64): void;
  discardBytes(record: Dynptr, flags?: u64): void;
  /** Bytes that wait, the ring's size, or the positions. */
  query(what: "available" | "size" | "consumer" | "producer"): u64;
}

export interface ProgArray {
  readonly name: string;
  /** Does not return where the slot holds a program. */
  tailCall(ctx: Context, index: u32): void;
}

/** `.rodata`, set by the loader; the kernel folds it. */
export interface Config<T> {
  readonly name: string;
  readonly value: T;
}

/** `.bss`/`.data`: one value for all CPUs. */
export interface Global<T> {
  readonly name: string;
  value: T;
}

// ---- programs and their contexts ----

export interface Context {
  readonly "~context"?: true;
}

export interface PacketContext extends Context {
  /** Bytes of the whole packet. */
  readonly length: u32;
  /**
   * A view of the packet at `offset`, or null where the packet is too short: the verifier's bounds check. Fields are read from and
   * written into the packet. Invalid after a call that moves packet data.
   */
  header<F extends Fields>(type: StructType<F>, offset: u32): StructOf<F> | null;
}

/** struct __sk_buff. */
export interface TcContext extends PacketContext {
  /** Ethertype. */
  readonly protocol: u16;
  /** PACKET_HOST and the like. */
  readonly packetType: u32;
  queueMapping: u32;
  readonly vlanPresent: u32;
  readonly vlanTag: u32;
  readonly vlanProtocol: u16;
  tcIndex: u32;
  readonly napiId: u32;
  /** Departure or arrival in nanoseconds. */
  timestamp: u64;
  readonly wireLength: u32;
  readonly hardwareTimestamp: u64;
  readonly socket: Socket | null;
  readonly ifindex: u32;
  readonly ingressIfindex: u32;
  mark: u32;
  priority: u32;
  tcClassid: u32;
  readonly hash: u32;
  readonly gsoSegs: u32;
  readonly gsoSize: u32;
  /** cb[0] to cb[4]. */
  readonly cb: FixedArray<u32, 5>;
  /** What XDP has left before the packet (`xdpAdjustMeta`); null where it is less than a T. */
  metadata<F extends Fields>(type: StructType<F>): StructOf<F> | null;
}

/** struct __sk_buff as a cgroup's hook sees it: the packet starts with its IP header. */
export interface CgroupSkbContext extends PacketContext {
  readonly protocol: u16;
  readonly ifindex: u32;
  readonly ingressIfindex: u32;
  mark: u32;
  priority: u32;
  readonly hash: u32;
  readonly family: u32;
  readonly remoteIp4: u32;
  readonly localIp4: u32;
  readonly remotePort: u16;
  readonly localPort: u32;
  readonly remoteIp6: Ip6Words;
  readonly localIp6: Ip6Words;
  readonly timestamp: u64;
  readonly cb: FixedArray<u32, 5>;
  readonly socket: Socket | null;
}

/** struct xdp_md. */
export interface XdpContext extends PacketContext {
  readonly ingressIfindex: u32;
  readonly rxQueueIndex: u32;
  readonly egressIfindex: u32;
  /** What lies before the packet (`xdpAdjustMeta`); null where it is less than a T. */
  metadata<F extends Fields>(type: StructType<F>): StructOf<F> | null;
}

/** struct __sk_buff of a socket filter: the packet is read with `skbLoadBytes`. */
export interface SocketFilterContext extends Context {
  readonly length: u32;
  readonly protocol: u16;
  readonly ifindex: u32;
  readonly mark: u32;
  readonly priority: u32;
  readonly hash: u32;
  readonly cb: FixedArray<u32, 5>;
}

/** struct __sk_buff of lightweight tunnels: the packet starts with its IP header. */
export interface LwtContext extends PacketContext {
  readonly protocol: u16;
  readonly ingressIfindex: u32;
  readonly ifindex: u32;
  mark: u32;
  priority: u32;
  readonly hash: u32;
  readonly cb: FixedArray<u32, 5>;
}

/** struct __sk_buff of a stream between sockets. */
export interface SkSkbContext extends PacketContext {
  readonly protocol: u16;
  priority: u32;
  readonly family: u32;
  readonly remoteIp4: u32;
  readonly localIp4: u32;
  readonly remotePort: u16;
  readonly localPort: u32;
}

/** struct sk_msg_md. */
export interface SkMsgContext extends PacketContext {
  readonly family: u32;
  readonly remoteIp4: u32;
  readonly localIp4: u32;
  readonly remoteIp6: Ip6Words;
  readonly localIp6: Ip6Words;
  readonly remotePort: u16;
  readonly localPort: u32;
  readonly size: u32;
  readonly socket: Socket | null;
}

/** struct sk_reuseport_md. */
export interface SkReuseportContext extends PacketContext {
  readonly ethProtocol: u16;
  readonly ipProtocol: u32;
  readonly bindInany: u32;
  readonly hash: u32;
  readonly socket: Socket | null;
  /** The socket whose request moves to another of the group. */
  readonly migrating: Socket | null;
}

/** struct bpf_cgroup_dev_ctx. */
export interface CgroupDeviceContext extends Context {
  /** Low half the device's type (1 block, 2 character), high half what is wanted (1 mknod, 2 read, 4 write). */
  readonly accessType: u32;
  readonly major: u32;
  readonly minor: u32;
}

/** struct bpf_sysctl. */
export interface CgroupSysctlContext extends Context {
  readonly write: u32;
  filePos: u32;
}

/** struct bpf_sockopt. `header(type, 0)` is the option's value, `length` its room. */
export interface CgroupSockoptContext extends PacketContext {
  readonly socket: Socket | null;
  level: i32;
  optname: i32;
  optlen: i32;
  retval: i32;
}

/** struct bpf_sock_addr. Addresses and ports are host order here. */
export interface SockAddrContext extends Context {
  readonly userFamily: u32;
  userIp4: u32;
  userPort: u16;
  readonly family: u32;
  readonly type: u32;
  readonly protocol: u32;
  /** Of sendmsg: the source that the program may choose. */
  msgSrcIp4: u32;
  /** Four words of the IPv6 address. */
  readonly userIp6: Ip6Words;
  readonly msgSrcIp6: Ip6Words;
  readonly socket: Socket | null;
}

/** An IPv6 address in a context: words in host order; indices are constant. */
export interface Ip6Words {
  0: u32;
  1: u32;
  2: u32;
  3: u32;
}

/** struct bpf_sock: sockets at their making, bind and release. */
export interface SockContext extends Context {
  boundDevIf: u32;
  readonly family: u32;
  readonly type: u32;
  readonly protocol: u32;
  mark: u32;
  priority: u32;
  readonly srcIp4: u32;
  readonly srcIp6: Ip6Words;
  readonly srcPort: u32;
  /** Whom it is connected to; zeros where to none. */
  readonly dstPort: u16;
  readonly dstIp4: u32;
  readonly dstIp6: Ip6Words;
  readonly state: u32;
}

/** struct bpf_sock_ops. */
export interface SockOpsContext extends Context {
  readonly op: u32;
  reply: u32;
  readonly family: u32;
  readonly remoteIp4: u32;
  readonly localIp4: u32;
  readonly remoteIp6: Ip6Words;
  readonly localIp6: Ip6Words;
  readonly remotePort: u16;
  readonly localPort: u32;
  readonly isFullsock: u32;
  readonly sndCwnd: u32;
  readonly srttUs: u32;
  readonly state: u32;
  readonly rttMin: u32;
  readonly segsOut: u32;
  readonly segsIn: u32;
  readonly bytesReceived: u64;
  readonly bytesAcked: u64;
  readonly callbackFlags: u32;
  readonly sndSsthresh: u32;
  readonly rcvNxt: u32;
  readonly sndNxt: u32;
  readonly sndUna: u32;
  readonly mssCache: u32;
  readonly ecnFlags: u32;
  readonly rateDelivered: u32;
  readonly rateIntervalUs: u32;
  readonly packetsOut: u32;
  readonly retransOut: u32;
  readonly totalRetrans: u32;
  readonly dataSegsIn: u32;
  readonly dataSegsOut: u32;
  readonly lostOut: u32;
  readonly sackedOut: u32;
  /** Where TCP options are parsed or written. */
  readonly packetLength: u32;
  readonly packetFlags: u32;
  /** What the callback brings, such as the old and the new state. */
  readonly args: Ip6Words;
  readonly socket: Socket | null;
}

/** struct bpf_sk_lookup. */
export interface SkLookupContext extends Context {
  readonly family: u32;
  readonly protocol: u32;
  readonly remoteIp4: u32;
  readonly remoteIp6: Ip6Words;
  readonly remotePort: u16;
  readonly localIp4: u32;
  readonly localIp6: Ip6Words;
  readonly localPort: u32;
  readonly ingressIfindex: u32;
  /** What an earlier program has chosen. */
  readonly socket: Socket | null;
}

/** Arguments of a raw tracepoint, as 64-bit words. */
export interface RawTracepointContext extends Context {
  /** `index` is constant. */
  arg(index: number): u64;
}

/** struct pt_regs: arguments by the calling convention of x86-64. */
export interface KprobeContext extends Context {
  /** `index` is constant, 0 to 5. */
  arg(index: number): u64;
  /** In a kretprobe: what the function returned. */
  readonly returned: u64;
  readonly ip: u64;
}

/** A tracepoint's record; `read` gives the integer at a constant offset (tracefs `format`). */
export interface TracepointContext extends Context {
  read<T>(type: IntType<T>, offset: number): T;
}

/** struct bpf_perf_event_data. */
export interface PerfEventContext extends Context {
  readonly samplePeriod: u64;
  readonly address: u64;
}

export interface Program<C extends Context> {
  readonly "~program"?: C;
  readonly name: string;
  readonly section: string;
}

/** The program may sleep: it is run where that is allowed, and may call what sleeps. */
export interface SleepOptions {
  readonly sleepable?: boolean;
}

/** struct bpf_flow_keys: what a flow dissector finds out. */
export interface FlowKeys {
  /** Offset of the network header. */
  nhoff: u16;
  /** Offset of the transport header. */
  thoff: u16;
  addrProto: u16;
  isFrag: boolean;
  isFirstFrag: boolean;
  isEncap: boolean;
  ipProto: u8;
  nProto: u16;
  sport: u16;
  dport: u16;
  ipv4Src: u32;
  ipv4Dst: u32;
  /** In the place of the IPv4 addresses. */
  readonly ipv6Src: FixedArray<u32, 4>;
  readonly ipv6Dst: FixedArray<u32, 4>;
  flags: u32;
  flowLabel: u32;
}

/** struct __sk_buff of a flow dissector. */
export interface FlowDissectorContext extends PacketContext {
  readonly flowKeys: FlowKeys;
}

/** A function member of a kernel structure as `.d.ts` files have it: its arguments are there. */
type Operation<P> = P extends (...args: infer A) => infer R
  ? (...args: { [I in keyof A]: A[I] & {} }) => R | u32
  : never;
type Member<T> = "~pointer" extends keyof T
  ? T extends { readonly "~pointer"?: infer P }
    ? Operation<P & {}>
    : never
  : T extends readonly number[]
    ? string | T
    : T;

/** What a program gives for a kernel structure of functions; what is left out is null. */
export type StructOpsMembers<T> = { readonly [K in keyof T as K extends "~btf" ? never : K]?: Member<T[K] & {}> };

export interface StructOps<T> {
  readonly "~structOps"?: T;
  readonly name: string;
}
