/**
 * @module
 * What is known of a register (struct bpf_reg_state). Registers are shared between states and never changed once they stand in one:
 * whoever wants to change one takes a `clone` first.
 */
import type { Tnum } from "./scalar/tnum.ts";
import type { MapInfo } from "./program/maps.ts";

/** What a register holds. */
export const kind = {
  none: 0,
  scalar: 1,
  context: 2,
  map: 3,
  mapValue: 4,
  mapKey: 5,
  stack: 6,
  packetMeta: 7,
  packet: 8,
  packetEnd: 9,
  flowKeys: 10,
  socket: 11,
  sockCommon: 12,
  tcpSock: 13,
  xdpSock: 14,
  buffer: 15,
  btf: 16,
  memory: 17,
  arena: 18,
  function: 19,
  dynptr: 20,
  iterator: 21,
} as const;
export type Kind = (typeof kind)[keyof typeof kind];

/** What else is known of a pointer. */
export const flag = {
  maybeNull: 1,
  readOnly: 2,
  ringbuf: 4,
  untrusted: 8,
  trusted: 16,
  rcu: 32,
  alloc: 64,
  percpu: 128,
  user: 256,
  nonOwning: 512,
} as const;

/** Upper bounds of unknown words as numbers; a bound beyond 2^53 is rounded outward (to 2048), so these stand for their neighbours. */
export const U64_MAX = 18446744073709551616;
export const S64_MAX = 9223372036854775808;
export const S64_MIN = -9223372036854775808;
export const U32_MAX = 0xffff_ffff;
export const S32_MAX = 0x7fff_ffff;
export const S32_MIN = -0x8000_0000;

export class Reg implements Tnum {
  kind: Kind = kind.none;
  flags = 0;
  /** Pointers: constant part of the offset. Scalars: the constant distance to the others of its `id`. */
  off = 0;
  /** Values with one id are equal (scalars), may be null together, or share a packet range (pointers). 0: none. */
  id = 0;
  /** The reference that the pointer holds. */
  ref = 0;
  // The value of a scalar, the variable part of a pointer's offset: bits, and bounds in both widths and signs.
  vl = 0;
  vh = 0;
  ml = 0;
  mh = 0;
  umin = 0;
  umax = 0;
  smin = 0;
  smax = 0;
  umin32 = 0;
  umax32 = 0;
  smin32 = 0;
  smax32 = 0;
  /** A scalar that something depends on: states that differ in it are not equal. */
  precise = false;
  /** Scalars: `off` counts. */
  linked = false;
  /** Packet: bytes proven readable. Memory: its size. Stack: the frame. Function: the subprogram. Dynptr and iterator: see there. */
  size = 0;
  map: MapInfo | null = null;
  /** Which lookup of an inner map or of a value the pointer comes from. */
  mapUid = 0;
  /** BTF id of what a `btf` pointer points to. */
  typeId = 0;
  /** The type's place: true in the program's own types. */
  ownType = false;

  clone(): Reg {
    const copy = new Reg();
    copy.kind = this.kind;
    copy.flags = this.flags;
    copy.off = this.off;
    copy.id = this.id;
    copy.ref = this.ref;
    copy.vl = this.vl;
    copy.vh = this.vh;
    copy.ml = this.ml;
    copy.mh = this.mh;
    copy.umin = this.umin;
    copy.umax = this.umax;
    copy.smin = this.smin;
    copy.smax = this.smax;
    copy.umin32 = this.umin32;
    copy.umax32 = this.umax32;
    copy.smin32 = this.smin32;
    copy.smax32 = this.smax32;
    copy.precise = this.precise;
    copy.linked = this.linked;
    copy.size = this.size;
    copy.map = this.map;
    copy.mapUid = this.mapUid;
    copy.typeId = this.typeId;
    copy.ownType = this.ownType;
    return copy;
  }

  get mayBeNull(): boolean {
    return (this.flags & flag.maybeNull) !== 0;
  }

  /** Whether the value, or the variable part of the offset, is one number. */
  get isConst(): boolean {
    return (this.ml | this.mh) === 0;
  }

  get isScalar(): boolean {
    return this.kind === kind.scalar;
  }

  /** A scalar that is known to be this small number. */
  isNumber(value: number): boolean {
    return (
      this.kind === kind.scalar &&
      (this.ml | this.mh) === 0 &&
      this.vl === (value | 0) &&
      this.vh === (value < 0 ? -1 : 0)
    );
  }
}

function unknownReg(): Reg {
  const reg = new Reg();
  reg.kind = kind.scalar;
  reg.ml = -1;
  reg.mh = -1;
  reg.umax = U64_MAX;
  reg.smin = S64_MIN;
  reg.smax = S64_MAX;
  reg.umax32 = U32_MAX;
  reg.smin32 = S32_MIN;
  reg.smax32 = S32_MAX;
  return reg;
}

/** A scalar of which nothing is known. */
export const UNKNOWN: Reg = unknownReg();
export const UNKNOWN_PRECISE: Reg = (() => {
  const reg = unknownReg();
  reg.precise = true;
  return reg;
})();
/** A register that cannot be read. */
export const NOTHING: Reg = new Reg();

/** A pointer without a variable offset. */
export function pointer(what: Kind, flags = 0): Reg {
  const reg = new Reg();
  reg.kind = what;
  reg.flags = flags;
  return reg;
}

const small = new Map<number, Reg>();

/** The scalar with this value: a signed 32-bit integer, extended. */
export function constant(value: number): Reg {
  const known = small.get(value);
  if (known !== undefined) return known;
  const reg = constantWords(value | 0, value < 0 ? -1 : 0);
  if (small.size < 4096) small.set(value, reg);
  return reg;
}

export function constantWords(low: number, high: number): Reg {
  const reg = new Reg();
  reg.kind = kind.scalar;
  setKnown(reg, low, high);
  return reg;
}

/** Not above the unsigned word. */
export function floorUnsigned(low: number, high: number): number {
  const h = high >>> 0;
  return h < 0x20_0000 ? h * 0x1_0000_0000 + (low >>> 0) : h * 0x1_0000_0000 + ((low & ~0x7ff) >>> 0);
}

/** Not below the unsigned word. */
export function ceilUnsigned(low: number, high: number): number {
  const h = high >>> 0;
  if (h < 0x20_0000 || (low & 0x7ff) === 0) return h * 0x1_0000_0000 + (low >>> 0);
  return h * 0x1_0000_0000 + ((low & ~0x7ff) >>> 0) + 2048;
}

export function floorSigned(low: number, high: number): number {
  const isExact = high >= -0x20_0000 && high < 0x20_0000;
  return high * 0x1_0000_0000 + ((isExact ? low : low & ~0x7ff) >>> 0);
}

export function ceilSigned(low: number, high: number): number {
  const isExact = high >= -0x20_0000 && high < 0x20_0000;
  if (isExact || (low & 0x7ff) === 0) return high * 0x1_0000_0000 + (low >>> 0);
  return high * 0x1_0000_0000 + ((low & ~0x7ff) >>> 0) + 2048;
}

/** Makes the value of a scalar, or a pointer's variable offset, known. */
export function setKnown(reg: Reg, low: number, high: number): void {
  reg.vl = low;
  reg.vh = high;
  reg.ml = 0;
  reg.mh = 0;
  reg.umin = floorUnsigned(low, high);
  reg.umax = ceilUnsigned(low, high);
  reg.smin = floorSigned(low, high);
  reg.smax = ceilSigned(low, high);
  reg.umin32 = low >>> 0;
  reg.umax32 = low >>> 0;
  reg.smin32 = low;
  reg.smax32 = low;
}

/** Forgets the value; a pointer stays what it is. */
export function setUnbounded(reg: Reg): void {
  reg.vl = 0;
  reg.vh = 0;
  reg.ml = -1;
  reg.mh = -1;
  forgetRange(reg);
}

/** Forgets the bounds; what is known of the bits stays. */
export function forgetRange(reg: Reg): void {
  reg.umin = 0;
  reg.umax = U64_MAX;
  reg.smin = S64_MIN;
  reg.smax = S64_MAX;
  reg.umin32 = 0;
  reg.umax32 = U32_MAX;
  reg.smin32 = S32_MIN;
  reg.smax32 = S32_MAX;
}
