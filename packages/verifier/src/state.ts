/**
 * @module
 * What is known at one point of one path: registers and stack of every frame, references, locks (struct bpf_verifier_state).
 * Registers and slots are shared with other states; frames belong to their state.
 */
import { NOTHING } from "./register.ts";
import type { Reg } from "./register.ts";

/** What a byte of the stack holds; four bits each in a slot's `types`. */
export const byte = { invalid: 0, spill: 1, misc: 2, zero: 3, dynptr: 4, iterator: 5, irq: 6 } as const;

export const ALL_MISC = 0x2222_2222;
export const ALL_ZERO = 0x3333_3333;
export const ALL_SPILL = 0x1111_1111;
export const ALL_DYNPTR = 0x4444_4444;
export const ALL_ITERATOR = 0x5555_5555;
export const ALL_IRQ = 0x6666_6666;

/** Eight bytes of the stack; never changed. */
export class Slot {
  /** Byte 0, of the lowest address, in the low four bits. */
  readonly types: number;
  /** Where byte 0 is `spill`, or the slot is a dynptr's or iterator's: what was stored. */
  readonly reg: Reg | null;

  constructor(types: number, reg: Reg | null) {
    this.types = types;
    this.reg = reg;
  }

  /** Type of one byte. */
  at(index: number): number {
    return (this.types >>> (index * 4)) & 15;
  }

  /** Holds a register as a whole or its low bytes. */
  get isSpill(): boolean {
    // A spill of fewer bytes ends at the slot's low end.
    return (this.types & 15) === byte.spill;
  }
}

export const MISC_SLOT = new Slot(ALL_MISC, null);
export const ZERO_SLOT = new Slot(ALL_ZERO, null);
export const INVALID_SLOT = new Slot(0, null);

/** What a callback that is being walked was called for. */
export interface CallbackInfo {
  /** The helper or kernel function. */
  readonly name: string;
  /** Runs later, in a state of its own. */
  readonly isAsync: boolean;
  readonly minReturn: number;
  readonly maxReturn: number;
  /** Synchronous: it may run any number of times. */
  readonly loops: boolean;
}

export class Frame {
  readonly regs: Reg[];
  readonly stack: Slot[];
  readonly subprogram: number;
  /** The call that made the frame; -1: the program's start. */
  readonly callSite: number;
  readonly callback: CallbackInfo | null;
  /** How often the callback ran in a row on this path. */
  callbackDepth = 0;
  // Slots that are read later, and that were written since the last checkpoint, as bits.
  readLow = 0;
  readHigh = 0;
  wroteLow = 0;
  wroteHigh = 0;

  constructor(subprogram: number, callSite: number, callback: CallbackInfo | null, from?: Frame) {
    this.subprogram = subprogram;
    this.callSite = callSite;
    this.callback = callback;
    this.regs = from === undefined ? Array.from({ length: 11 }, () => NOTHING) : from.regs.slice();
    this.stack = from === undefined ? [] : from.stack.slice();
    if (from === undefined) {
      // What was there before the frame is nobody's.
      this.wroteLow = -1;
      this.wroteHigh = -1;
    } else {
      this.callbackDepth = from.callbackDepth;
      this.wroteLow = from.wroteLow;
      this.wroteHigh = from.wroteHigh;
    }
  }

  copy(): Frame {
    return new Frame(this.subprogram, this.callSite, this.callback, this);
  }

  reg(index: number): Reg {
    return this.regs[index] as Reg;
  }

  slot(index: number): Slot {
    return this.stack[index] ?? INVALID_SLOT;
  }

  wrote(slot: number): void {
    if (slot < 32) this.wroteLow |= 1 << slot;
    else this.wroteHigh |= 1 << (slot - 32);
  }
}

/** Something that a program has to give back. */
export interface Reference {
  readonly id: number;
  readonly kind: "object" | "lock" | "res-lock" | "irq";
  /** The instruction that took it. */
  readonly at: number;
  /** Locks: which lock of which value; interrupts: nothing. */
  readonly owner: unknown;
  readonly lockId: number;
}

const NO_REFERENCES: readonly Reference[] = [];

export class State {
  frames: Frame[];
  references: readonly Reference[] = NO_REFERENCES;
  /** Locks held, rcu and preemption sections open. */
  locks = 0;
  rcu = 0;
  preempt = 0;
  /** A callback that may sleep, whatever its program may. */
  sleepable = false;
  /** The innermost lock or interrupt state, which is to be given back first. */
  irqId = 0;
  /** The instruction that comes next. */
  at: number;
  /** The checkpoint before. */
  parent: State | null = null;
  /** Paths from here that are not walked to their end. */
  branches = 1;
  depth = 0;
  /** Instructions walked since `parent`: index, and above 2^20 one more than the stack access (frame << 8 | slot). */
  history: number[];
  /** By place in `history`: registers (frame << 8 | index) and slots (with bit 16) that a comparison bound together. */
  links: Map<number, readonly number[]> | null = null;
  /** First instruction of the segment. */
  first: number;
  /** Jumps and stack accesses in `history`. */
  weight = 0;
  loopEntry: State | null = null;
  usedAsLoopEntry = false;
  mayGotoDepth = 0;
  unrollDepth = 0;
  /** The CPU walks it on a wrong guess (bpf_verifier_state.speculative). */
  speculative = false;

  constructor(frames: Frame[], at: number) {
    this.frames = frames;
    this.at = at;
    this.first = at;
    this.history = [];
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1] as Frame;
  }

  /** A copy that goes on by itself; its parent counts it. */
  fork(at: number): State {
    const copy = new State(
      this.frames.map((frame) => frame.copy()),
      at,
    );
    copy.references = this.references;
    copy.locks = this.locks;
    copy.rcu = this.rcu;
    copy.preempt = this.preempt;
    copy.sleepable = this.sleepable;
    copy.irqId = this.irqId;
    copy.parent = this.parent;
    copy.depth = this.depth;
    copy.history = this.history.slice();
    copy.links = this.links === null ? null : new Map(this.links);
    copy.first = this.first;
    copy.weight = this.weight;
    copy.loopEntry = this.loopEntry;
    copy.mayGotoDepth = this.mayGotoDepth;
    copy.unrollDepth = this.unrollDepth;
    copy.speculative = this.speculative;
    return copy;
  }
}

/** Every register of the state and every spilled one goes through `change`, which gives it back or another for it. */
export function mapRegs(state: State, change: (reg: Reg) => Reg): void {
  for (const frame of state.frames) {
    for (let index = 0; index < 11; index++) {
      const reg = frame.reg(index);
      const changed = change(reg);
      if (changed !== reg) frame.regs[index] = changed;
    }
    for (let index = 0; index < frame.stack.length; index++) {
      const slot = frame.slot(index);
      if (slot.reg === null) continue;
      const changed = change(slot.reg);
      if (changed !== slot.reg) frame.stack[index] = new Slot(slot.types, changed);
    }
  }
}
