/**
 * @module
 * TCA_OPTIONS of queueing disciplines, classes and filters (include/uapi/linux/pkt_sched.h, pkt_cls.h).
 */
import { attributes, bytes, type Codec, i32, string, struct, u32, u64 } from "./codec.ts";

/** Link layer "ethernet": tells the kernel to compute transmission times itself instead of from a rate table. */
const ethernet = 1;
/** Ticks of the packet scheduler are 64 ns (PSCHED_SHIFT, include/net/pkt_sched.h). */
const tickShift = 6n;
const nanoseconds = 1_000_000_000n;
const maxRate32 = 0xffff_ffff;

/** struct tc_ratespec, spread into the structs that hold it. */
const rateSpec = <const P extends string>(prefix: P) =>
  ({
    [`${prefix}CellLog`]: "u8",
    [`${prefix}LinkLayer`]: "u8",
    [`${prefix}Overhead`]: "u16",
    [`${prefix}CellAlign`]: "u16",
    [`${prefix}Mpu`]: "u16",
    [`${prefix}Rate`]: "u32",
  }) as { readonly [K in `${P}CellLog` | `${P}LinkLayer`]: "u8" } & {
    readonly [K in `${P}Overhead` | `${P}CellAlign` | `${P}Mpu`]: "u16";
  } & { readonly [K in `${P}Rate`]: "u32" };

/** How long `amount` bytes take at `rate` bytes a second, in ticks. */
export function ticksOf(amount: number, rate: number): number {
  if (rate === 0) return 0;
  const ticks = ((BigInt(amount) * nanoseconds) / BigInt(rate)) >> tickShift;
  return Number(ticks > 0xffff_ffffn ? 0xffff_ffffn : ticks);
}

/** The bytes that pass in `ticks`. */
export function bytesOf(ticks: number, rate: number): number {
  return Number((BigInt(rate) * (BigInt(ticks) << tickShift) + nanoseconds / 2n) / nanoseconds);
}

const rate64 = (rate: number): bigint | undefined => (rate > maxRate32 ? BigInt(rate) : undefined);

/** A codec with friendlier values than the kernel's. */
function translated<T, W>(inner: Codec<W>, to: (value: T) => W, from: (wire: W) => T): Codec<T> {
  const path = inner.pathAt?.bind(inner);
  return {
    ...(inner.nested ? { nested: true } : {}),
    ...(path ? { pathAt: path } : {}),
    encode: (value) => inner.encode(to(value)),
    decode: (payload) => from(inner.decode(payload)),
  };
}

// ---- htb ----

const htbGlobal = struct({
  version: "u32",
  rateToQuantum: "u32",
  defaultClass: "u32",
  debug: "u32",
  directPackets: "u32",
});
const htbParameters = struct({
  ...rateSpec("rate"),
  ...rateSpec("ceil"),
  buffer: "u32",
  ceilBuffer: "u32",
  quantum: "u32",
  level: "u32",
  priority: "u32",
});

export interface HtbOptions {
  /** Minor number of the class for what no filter and no priority names. 0: unclassified packets pass unshaped. */
  readonly defaultClass?: number;
  readonly rateToQuantum?: number;
}

const htbVersion = 3;
export const htb = translated<HtbOptions, ReturnType<typeof htbInit.decode>>(
  attributes({ global: [2, htbGlobal] }),
  ({ defaultClass = 0, rateToQuantum = 10 }) => ({
    global: { version: htbVersion, rateToQuantum, defaultClass, debug: 0, directPackets: 0 },
  }),
  ({ global }) => ({ defaultClass: global?.defaultClass ?? 0, rateToQuantum: global?.rateToQuantum ?? 0 }),
);
const htbInit = attributes({ global: [2, htbGlobal] });

export interface HtbClassOptions {
  /** Bytes a second that the class has for certain. */
  readonly rate: number;
  /** Bytes a second that it may borrow up to; default `rate`. */
  readonly ceil?: number;
  /** Bytes that may pass at once; default 1,600, a packet. */
  readonly burst?: number;
  readonly ceilBurst?: number;
  /** 0 first. */
  readonly priority?: number;
  /** Bytes per turn; 0: the kernel chooses. */
  readonly quantum?: number;
}

const htbClassWire = attributes({ parameters: [1, htbParameters], rate64: [6, u64], ceil64: [7, u64] });
const packet = 1600;

export const htbClass = translated<HtbClassOptions, ReturnType<typeof htbClassWire.decode>>(
  htbClassWire,
  ({ rate, ceil = rate, burst = packet, ceilBurst = packet, priority = 0, quantum = 0 }) => ({
    parameters: {
      ...zeroHtb,
      rateLinkLayer: ethernet,
      rateRate: Math.min(rate, maxRate32),
      ceilLinkLayer: ethernet,
      ceilRate: Math.min(ceil, maxRate32),
      buffer: ticksOf(burst, rate),
      ceilBuffer: ticksOf(ceilBurst, ceil),
      quantum,
      priority,
    },
    rate64: rate64(rate),
    ceil64: rate64(ceil),
  }),
  (wire) => {
    const parameters = wire.parameters ?? zeroHtb;
    const rate = Number(wire.rate64 ?? parameters.rateRate);
    const ceil = Number(wire.ceil64 ?? parameters.ceilRate);
    const { priority, quantum } = parameters;
    const burst = bytesOf(parameters.buffer, rate);
    return { rate, ceil, burst, ceilBurst: bytesOf(parameters.ceilBuffer, ceil), priority, quantum };
  },
);
const zeroHtb = htbParameters.decode(new Uint8Array(htbParameters.size));

// ---- tbf ----

const tbfParameters = struct({ ...rateSpec("rate"), ...rateSpec("peak"), limit: "u32", buffer: "u32", mtu: "u32" });
const tbfWire = attributes({ parameters: [1, tbfParameters], rate64: [4, u64], burst: [6, u32] });
const zeroTbf = tbfParameters.decode(new Uint8Array(tbfParameters.size));

export interface TbfOptions {
  /** Bytes a second. */
  readonly rate: number;
  /** Bytes that may pass at once: at least the largest packet. */
  readonly burst: number;
  /** Bytes that may wait. */
  readonly limit: number;
}

export const tbf = translated<TbfOptions, ReturnType<typeof tbfWire.decode>>(
  tbfWire,
  ({ rate, burst, limit }) => ({
    parameters: {
      ...zeroTbf,
      rateLinkLayer: ethernet,
      rateRate: Math.min(rate, maxRate32),
      limit,
      buffer: ticksOf(burst, rate),
    },
    rate64: rate64(rate),
    burst,
  }),
  (wire) => {
    const parameters = wire.parameters ?? zeroTbf;
    const rate = Number(wire.rate64 ?? parameters.rateRate);
    return { rate, burst: bytesOf(parameters.buffer, rate), limit: parameters.limit };
  },
);

// ---- fifo ----

const fifoWire = struct({ limit: "u32" });
/** `limit`: packets for pfifo, bytes for bfifo. */
export const fifo: Codec<{ readonly limit: number }> = fifoWire;

// ---- filters ----

export const bpfFilter = attributes({
  classId: [3, u32],
  /** Descriptor of a program of type sched_cls; in requests alone. */
  fd: [6, i32],
  name: [7, string],
  /** 1: direct action, the program's result is the verdict. */
  flags: [8, u32],
  genericFlags: [9, u32],
  tag: [10, bytes],
  id: [11, u32],
});

export const qdiscOptions = { htb, tbf, pfifo: fifo, bfifo: fifo } as const;
export const classOptions = { htb: htbClass } as const;
