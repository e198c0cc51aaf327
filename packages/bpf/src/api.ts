/**
 * @module
 * What a kernel program may write: the declarations that both sides share. The compiler's prelude and the user-space runtime give
 * the same names these types; in user space the values are descriptors and codecs, in the kernel they are compiled.
 */

// Integers: plain numbers assign, number and bigint do not mix; the compiler keeps width and sign by its own rules.
export type u8 = number & { readonly "~int"?: "u8" };
export type u16 = number & { readonly "~int"?: "u16" };
export type u32 = number & { readonly "~int"?: "u32" };
export type i8 = number & { readonly "~int"?: "i8" };
export type i16 = number & { readonly "~int"?: "i16" };
export type i32 = number & { readonly "~int"?: "i32" };
export type u64 = bigint & { readonly "~int"?: "u64" };
export type i64 = bigint & { readonly "~int"?: "i64" };

/** A type with a layout. `size` in bytes. */
export interface Type<T> {
  readonly "~type"?: T;
  readonly name: string;
  readonly size: number;
  readonly align: number;
}

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

/** A fixed array; indices are checked against the length by the program. */
export type FixedArray<T, N extends number> = { [index: number]: T; readonly length: N };

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
  submit(record: T): void;
  discard(record: T): void;
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
}

/** struct xdp_md. */
export interface XdpContext extends PacketContext {
  readonly ingressIfindex: u32;
  readonly rxQueueIndex: u32;
}

/** struct bpf_sock_addr. Addresses and ports are host order here. */
export interface SockAddrContext extends Context {
  readonly userFamily: u32;
  userIp4: u32;
  userPort: u16;
  readonly family: u32;
  readonly type: u32;
  readonly protocol: u32;
}

export interface Program<C extends Context> {
  readonly "~program"?: C;
  readonly name: string;
  readonly section: string;
}
