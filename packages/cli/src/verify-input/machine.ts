/**
 * @module
 * A program run on one input, along the path that the verifier refused: how far it follows, what decides where it leaves, and whether it
 * comes to the access that is refused and makes it. Every value carries the bytes of the input that it was made of.
 */
import { type Instruction, helperById, slots } from "@skep/isa";
import type { LinkedProgram, MapSpec } from "@skep/object";
import type { Refusal } from "@skep/verifier";

/** A byte of the input, such as `packet:12` or `value0:4`; `length`: the packet's; `random`. */
export type Source = string;

/** What a program is given. */
export interface Input {
  packet: Uint8Array;
  /** Bytes of the context, but for what shows the packet. */
  context: Uint8Array;
  /** Elements that lookups find, in their order; null: none. */
  values: (Uint8Array | null)[];
  random: number;
}

/** An element that a lookup was asked for. */
export interface Lookup {
  readonly map: string;
  readonly key: Uint8Array;
  readonly size: number;
}

export interface Followed {
  /** Branches that went the path's way. */
  readonly steps: number;
  readonly reached: boolean;
  /** The refused access goes outside of what it points to. */
  readonly breaks: boolean;
  /** What decides where it leaves the path; at its end: where the access goes. */
  readonly sources: ReadonlySet<Source>;
  /** The number that the branch compares with. */
  readonly wanted: bigint;
  readonly lookups: readonly Lookup[];
}

export interface Subject {
  readonly linked: LinkedProgram;
  readonly type: string;
  readonly maps: Readonly<Record<string, MapSpec>>;
  readonly refusal: Refusal;
}

interface Value {
  readonly bits: bigint;
  readonly from: ReadonlySet<Source>;
}

const NONE: ReadonlySet<Source> = new Set();
const number = (bits: bigint, from: ReadonlySet<Source> = NONE): Value => ({ bits: BigInt.asUintN(64, bits), from });
const both = (a: ReadonlySet<Source>, b: ReadonlySet<Source>): ReadonlySet<Source> =>
  a.size === 0 ? b : b.size === 0 ? a : new Set([...a, ...b]);

const CONTEXT = 0x1000;
const PACKET = 0x10_0000;
const STACK = 0x100_0000;
const VALUES = 0x1000_0000;
const SECTIONS = 0x4000_0000;
const ROOM = 0x10_0000;

/** Where the context shows the packet. */
const shown: Readonly<Record<string, { readonly data: number; readonly end: number; readonly length: number }>> = {
  xdp: { data: 0, end: 4, length: -1 },
  sched_cls: { data: 76, end: 80, length: 0 },
};

export const hasPacket = (type: string): boolean => shown[type] !== undefined;

interface Frame {
  readonly back: number;
  readonly saved: readonly Value[];
}

const LIMIT = 20_000;
const sizes = [4, 2, 1, 8];

export class Run {
  private readonly subject: Subject;
  private readonly input: Input;
  private readonly code: readonly Instruction[];
  private readonly slotOf: number[] = [];
  private readonly indexOf = new Map<number, number>();
  private readonly branches: readonly { readonly at: number; readonly taken: boolean }[];
  private readonly stack = new Map<number, Value>();
  private readonly lookups: Lookup[] = [];
  private readonly sections: MapSpec[] = [];
  private readonly frames: Frame[] = [];
  private regs: Value[] = Array.from({ length: 11 }, () => number(0n));

  constructor(subject: Subject, input: Input) {
    this.subject = subject;
    this.input = input;
    this.code = subject.linked.instructions;
    let slot = 0;
    this.code.forEach((insn, index) => {
      this.slotOf.push(slot);
      this.indexOf.set(slot, index);
      slot += slots(insn);
    });
    this.branches = subject.refusal.path.flatMap(({ instruction, what }) =>
      what === "taken" || what === "not-taken" ? [{ at: instruction, taken: what === "taken" }] : [],
    );
    this.regs[1] = number(BigInt(CONTEXT));
    this.regs[10] = number(BigInt(STACK + ROOM));
  }

  follow(): Followed {
    let steps = 0;
    let at = 0;
    for (let walked = 0; walked < LIMIT; walked++) {
      const insn = this.code[at];
      if (insn === undefined) break;
      if (steps === this.branches.length && at === this.subject.refusal.instruction) return this.end(insn, steps);
      const kind = insn.opcode & 7;
      if ((kind === 5 || kind === 6) && this.isBranch(insn)) {
        const [a, b] = this.operands(insn);
        const taken = compare(insn.opcode, a.bits, b.bits);
        const step = this.branches[steps];
        if (step === undefined || step.at !== at) return this.left(steps, NONE, 0n);
        if (step.taken !== taken) return this.left(steps, both(a.from, b.from), b.bits);
        steps++;
        at = taken ? this.jump(at, insn.offset) : at + 1;
        continue;
      }
      const next = this.step(insn, at);
      if (next === null) break;
      at = next;
    }
    return this.left(steps, NONE, 0n);
  }

  private left(steps: number, sources: ReadonlySet<Source>, wanted: bigint): Followed {
    return { steps, reached: false, breaks: false, sources, wanted, lookups: this.lookups };
  }

  /** The refused instruction: what it reaches for. */
  private end(insn: Instruction, steps: number): Followed {
    const kind = insn.opcode & 7;
    const isLoad = kind === 1;
    const isStore = kind === 2 || kind === 3;
    const base = this.regs[isLoad ? insn.src : insn.dst] ?? number(0n);
    const size = sizes[(insn.opcode >> 3) & 3] ?? 1;
    const address = Number(BigInt.asIntN(64, base.bits)) + insn.offset;
    const breaks = (isLoad || isStore) && !this.isInside(address, size);
    return { ...this.left(steps, new Set([...base.from, "length"]), 0n), reached: true, breaks };
  }

  private isInside(address: number, size: number): boolean {
    const within = (start: number, length: number): boolean => address >= start && address + size <= start + length;
    if (within(PACKET, this.input.packet.length)) return true;
    if (within(CONTEXT, 4096)) return true;
    const depth = this.frames.length;
    if (within(STACK + ROOM * (depth + 1) - 512, 512)) return true;
    const which = Math.floor((address - VALUES) / ROOM);
    const found = address >= VALUES && address < SECTIONS ? this.lookups[which] : undefined;
    if (found !== undefined) return within(VALUES + which * ROOM, found.size);
    const section = address >= SECTIONS ? this.sections[Math.floor((address - SECTIONS) / ROOM)] : undefined;
    return section !== undefined && within(SECTIONS + this.sections.indexOf(section) * ROOM, section.valueSize);
  }

  private isBranch(insn: Instruction): boolean {
    const op = insn.opcode & 0xf0;
    return op !== 0x00 && op !== 0x80 && op !== 0x90;
  }

  private jump(at: number, distance: number): number {
    const insn = this.code[at];
    return this.indexOf.get((this.slotOf[at] ?? 0) + (insn === undefined ? 1 : slots(insn)) + distance) ?? -1;
  }

  private operands(insn: Instruction): [Value, Value] {
    const wide = (insn.opcode & 7) === 5 || (insn.opcode & 7) === 7;
    const cut = (value: Value): Value => (wide ? value : number(BigInt.asUintN(32, value.bits), value.from));
    const source = (insn.opcode & 8) === 0 ? number(BigInt(insn.imm)) : (this.regs[insn.src] ?? number(0n));
    return [cut(this.regs[insn.dst] ?? number(0n)), cut(source)];
  }

  /** The instruction that comes next; null: the run cannot go on here. */
  private step(insn: Instruction, at: number): number | null {
    switch (insn.opcode & 7) {
      case 0:
        return insn.opcode === 0x18 ? this.wide(insn, at) : null;
      case 1:
        this.regs[insn.dst] = this.load(this.address(insn.src, insn.offset), sizes[(insn.opcode >> 3) & 3] ?? 1);
        return at + 1;
      case 2:
      case 3:
        if ((insn.opcode & 0xe0) !== 0x60) return null;
        this.store(insn);
        return at + 1;
      case 4:
      case 7:
        return this.arithmetic(insn) ? at + 1 : null;
      default:
        return this.control(insn, at);
    }
  }

  private address(register: number, offset: number): { readonly at: number; readonly from: ReadonlySet<Source> } {
    const value = this.regs[register] ?? number(0n);
    return { at: Number(BigInt.asIntN(64, value.bits)) + offset, from: value.from };
  }

  private wide(insn: Instruction, at: number): number {
    const reference = this.subject.linked.references.find((each) => each.at === at);
    const map = reference !== undefined && "map" in reference ? this.subject.maps[reference.map] : undefined;
    if (reference === undefined || map === undefined) {
      this.regs[insn.dst] = number((BigInt(insn.immHigh ?? 0) << 32n) | BigInt(insn.imm >>> 0));
    } else {
      let index = this.sections.indexOf(map);
      if (index < 0) index = this.sections.push(map) - 1;
      const offset = reference.kind === "data" ? reference.offset : 0;
      this.regs[insn.dst] = number(BigInt(SECTIONS + index * ROOM + offset));
    }
    return at + 1;
  }

  private load(place: { readonly at: number; readonly from: ReadonlySet<Source> }, size: number): Value {
    const own = place.at >= CONTEXT && place.at < CONTEXT + 4096 ? this.packetField(place.at - CONTEXT) : null;
    if (own !== null) return own;
    if (place.at >= STACK && place.at < VALUES) {
      const whole = this.stack.get(place.at);
      if (whole !== undefined && size === 8) return whole;
    }
    let bits = 0n;
    let from = place.from;
    for (let i = 0; i < size; i++) {
      const one = this.byte(place.at + i);
      bits |= (one.bits & 0xffn) << BigInt(8 * i);
      from = both(from, one.from);
    }
    return number(bits, from);
  }

  private packetField(offset: number): Value | null {
    const fields = shown[this.subject.type];
    if (fields === undefined) return null;
    const { length } = this.input.packet;
    if (offset === fields.data) return number(BigInt(PACKET));
    if (offset === fields.end) return number(BigInt(PACKET + length), new Set(["length"]));
    return offset === fields.length ? number(BigInt(length), new Set(["length"])) : null;
  }

  private byte(at: number): Value {
    if (at >= CONTEXT && at < CONTEXT + 4096)
      return number(BigInt(this.input.context[at - CONTEXT] ?? 0), new Set([`context:${at - CONTEXT}`]));
    if (at >= PACKET && at < STACK)
      return number(BigInt(this.input.packet[at - PACKET] ?? 0), new Set([`packet:${at - PACKET}`]));
    if (at >= STACK && at < VALUES) return this.stackByte(at);
    if (at >= VALUES && at < SECTIONS) {
      const which = Math.floor((at - VALUES) / ROOM);
      const offset = at - VALUES - which * ROOM;
      return number(BigInt(this.input.values[which]?.[offset] ?? 0), new Set([`value${which}:${offset}`]));
    }
    const index = Math.floor((at - SECTIONS) / ROOM);
    return number(BigInt(this.sections[index]?.data?.contents[at - SECTIONS - index * ROOM] ?? 0));
  }

  private stackByte(at: number): Value {
    const whole = this.stack.get(at - (at % 8));
    return whole === undefined ? number(0n) : number((whole.bits >> BigInt(8 * (at % 8))) & 0xffn, whole.from);
  }

  private store(insn: Instruction): void {
    const { at } = this.address(insn.dst, insn.offset);
    if (at < STACK || at >= VALUES) return;
    const size = sizes[(insn.opcode >> 3) & 3] ?? 1;
    const value = (insn.opcode & 7) === 2 ? number(BigInt(insn.imm)) : (this.regs[insn.src] ?? number(0n));
    const slot = at - (at % 8);
    if (size === 8) {
      this.stack.set(at, value);
      return;
    }
    const old = this.stack.get(slot) ?? number(0n);
    const shift = BigInt(8 * (at % 8));
    const mask = ((1n << BigInt(8 * size)) - 1n) << shift;
    this.stack.set(slot, number((old.bits & ~mask) | ((value.bits << shift) & mask), both(old.from, value.from)));
  }

  private arithmetic(insn: Instruction): boolean {
    const wide = (insn.opcode & 7) === 7;
    const [a, b] = this.operands(insn);
    const bits = compute(insn, a.bits, b.bits, wide);
    if (bits === null) return false;
    const isMove = (insn.opcode & 0xf0) === 0xb0;
    const usesSource = (insn.opcode & 8) !== 0 && (insn.opcode & 0xf0) !== 0xd0;
    const from = isMove ? (usesSource ? b.from : NONE) : usesSource ? both(a.from, b.from) : a.from;
    this.regs[insn.dst] = number(wide ? bits : BigInt.asUintN(32, bits), from);
    return true;
  }

  private control(insn: Instruction, at: number): number | null {
    if (insn.opcode === 0x05) return this.jump(at, insn.offset);
    if (insn.opcode === 0x06) return this.jump(at, insn.imm);
    if (insn.opcode === 0x95) {
      const frame = this.frames.pop();
      if (frame === undefined) return null;
      const result = this.regs[0] ?? number(0n);
      this.regs = [result, ...Array.from({ length: 5 }, () => number(0n)), ...frame.saved];
      return frame.back;
    }
    if (insn.opcode !== 0x85) return null;
    if (insn.src === 1) {
      this.frames.push({ back: at + 1, saved: this.regs.slice(6) });
      this.regs[10] = number(BigInt(STACK + ROOM * (this.frames.length + 1)));
      return this.jump(at, insn.imm);
    }
    this.regs[0] = insn.src === 0 ? this.helper(insn.imm) : number(0n);
    return at + 1;
  }

  private helper(id: number): Value {
    const name = helperById(id)?.name ?? "";
    if (name === "get_prandom_u32") return number(BigInt(this.input.random >>> 0), new Set(["random"]));
    if (name !== "map_lookup_elem") return number(0n);
    const map = this.sections[Math.floor((Number(this.regs[1]?.bits ?? 0n) - SECTIONS) / ROOM)];
    if (map === undefined) return number(0n);
    const at = Number(this.regs[2]?.bits ?? 0n);
    const key = Uint8Array.from({ length: map.keySize }, (_, i) => Number(this.byte(at + i).bits));
    const which = this.lookups.push({ map: map.name, key, size: map.valueSize }) - 1;
    const isThere = (this.input.values[which] ?? null) !== null;
    return number(isThere ? BigInt(VALUES + which * ROOM) : 0n, new Set([`found${which}`]));
  }
}

function compare(opcode: number, a: bigint, b: bigint): boolean {
  const width = (opcode & 7) === 5 ? 64 : 32;
  const [x, y] = [BigInt.asUintN(width, a), BigInt.asUintN(width, b)];
  const [s, t] = [BigInt.asIntN(width, a), BigInt.asIntN(width, b)];
  switch (opcode & 0xf0) {
    case 0x10:
      return x === y;
    case 0x20:
      return x > y;
    case 0x30:
      return x >= y;
    case 0x40:
      return (x & y) !== 0n;
    case 0x50:
      return x !== y;
    case 0x60:
      return s > t;
    case 0x70:
      return s >= t;
    case 0xa0:
      return x < y;
    case 0xb0:
      return x <= y;
    case 0xc0:
      return s < t;
    default:
      return s <= t;
  }
}

function compute(insn: Instruction, a: bigint, b: bigint, wide: boolean): bigint | null {
  const width = wide ? 64 : 32;
  const shift = b & BigInt(width - 1);
  switch (insn.opcode & 0xf0) {
    case 0x00:
      return a + b;
    case 0x10:
      return a - b;
    case 0x20:
      return a * b;
    case 0x30:
      return insn.offset === 0 ? (b === 0n ? 0n : BigInt.asUintN(width, a) / BigInt.asUintN(width, b)) : null;
    case 0x40:
      return a | b;
    case 0x50:
      return a & b;
    case 0x60:
      return a << shift;
    case 0x70:
      return BigInt.asUintN(width, a) >> shift;
    case 0x80:
      return -a;
    case 0x90:
      return insn.offset === 0 ? (b === 0n ? a : BigInt.asUintN(width, a) % BigInt.asUintN(width, b)) : null;
    case 0xa0:
      return a ^ b;
    case 0xb0:
      return insn.offset === 0 ? b : (insn.opcode & 8) === 0 ? b : BigInt.asIntN(insn.offset, b);
    case 0xc0:
      return BigInt.asIntN(width, a) >> shift;
    default:
      return swapped(insn, a, wide);
  }
}

/** 0xd4 keeps the order of this little machine and cuts; 0xdc and 0xd7 turn it. */
function swapped(insn: Instruction, a: bigint, wide: boolean): bigint {
  const bytes = insn.imm / 8;
  if (!wide && (insn.opcode & 8) === 0) return BigInt.asUintN(insn.imm, a);
  let result = 0n;
  for (let i = 0; i < bytes; i++) result |= ((a >> BigInt(8 * i)) & 0xffn) << BigInt(8 * (bytes - 1 - i));
  return result;
}
