import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits, pseudoCall } from "@skep/isa";
import { FUNCTION_BASE } from "./code.ts";
import type { Code } from "./code.ts";
import { Trap, VmError } from "./error.ts";
import type { Memory, Region } from "./memory.ts";
import { divide32, divide64, multiplyHigh, setBigInt, swap16, swap32, toBigInt } from "./wide.ts";
import type { Division } from "./wide.ts";

/** A helper: reads its arguments from `cpu`, gives r0. A number is a signed value or an address. */
export type HelperFunction = (cpu: Cpu) => number | bigint;

export interface CpuOptions {
  /** By number. */
  readonly helpers: ReadonlyMap<number, HelperFunction>;
  /** Instructions of one run; default 100 million. */
  readonly budget?: number;
}

const MAX_FRAMES = 8;
const FRAME_BYTES = 512;
/** Frames are this far apart, so that no access crosses from one into the other. */
const FRAME_STRIDE = 1024;
/** BPF_MAX_LOOPS (include/linux/bpf.h): what `may_goto` allows. */
const MAX_LOOPS = 8 * 1024 * 1024;
/** MAX_TAIL_CALL_CNT (include/linux/bpf.h). */
const MAX_TAIL_CALLS = 33;

interface Frame {
  code: Code;
  /** Where the caller goes on. */
  returnTo: number;
  readonly saved: Int32Array;
  /** Deepest byte of stack used, below the frame's top. */
  depth: number;
  loops: number;
}

/** The instruction interpreter. Every access is held against the region that it begins in. */
export class Cpu {
  readonly lo = new Int32Array(11);
  readonly hi = new Int32Array(11);
  readonly memory: Memory;
  /** Program whose instructions run. */
  code: Code;
  private readonly helpers: ReadonlyMap<number, HelperFunction>;
  private readonly budget: number;
  private readonly stack: Region;
  private readonly frames: Frame[] = [];
  private frame = 0;
  private pc = 0;
  private executed = 0;
  private tailCalls = 0;
  private pendingTail: Code | null = null;
  private ended = false;

  constructor(memory: Memory, options: CpuOptions) {
    this.memory = memory;
    this.helpers = options.helpers;
    this.budget = options.budget ?? 100_000_000;
    this.stack = memory.allocate("stack", MAX_FRAMES * FRAME_STRIDE);
    this.stack.stride = FRAME_STRIDE;
    this.stack.size = FRAME_BYTES;
    this.code = emptyCode;
    for (let i = 0; i < MAX_FRAMES; i++) {
      this.frames.push({ code: emptyCode, returnTo: 0, saved: new Int32Array(8), depth: 0, loops: 0 });
    }
  }

  /** Instructions that the last run took. */
  get instructions(): number {
    return this.executed;
  }

  /** Runs a program with r1 (and r2) as given; gives r0, unsigned. Throws `VmError`. */
  run(code: Code, r1: number, r2 = 0): bigint {
    this.lo.fill(0);
    this.hi.fill(0);
    this.executed = 0;
    this.tailCalls = 0;
    this.pendingTail = null;
    this.ended = false;
    this.code = code;
    this.pc = 0;
    this.lo[1] = r1 | 0;
    this.lo[2] = r2 | 0;
    this.memory.bytes.fill(0, this.stack.base, this.stack.base + this.stack.capacity);
    this.enter(0);
    try {
      this.execute();
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      const place = { program: this.code.name, index: this.pc, source: this.code.source(this.pc) };
      throw new VmError(error.kind, error.message, place);
    }
    return BigInt.asUintN(64, toBigInt(this.lo[0] ?? 0, this.hi[0] ?? 0));
  }

  // ---- for helpers ----

  /** An argument as an unsigned word. */
  u32(register: number): number {
    return (this.lo[register] ?? 0) >>> 0;
  }

  /** An argument as a signed word. */
  s32(register: number): number {
    return this.lo[register] ?? 0;
  }

  u64(register: number): bigint {
    return BigInt.asUintN(64, toBigInt(this.lo[register] ?? 0, this.hi[register] ?? 0));
  }

  /** An argument as an address. */
  pointer(register: number): number {
    if (this.hi[register] !== 0) throw new Trap("memory", `r${register} is no address`);
    return this.u32(register);
  }

  /** Calls a function of the program (a callback) from a helper. Gives the low word of its r0, signed. */
  callback(address: number, args: readonly number[]): number {
    const index = (address - FUNCTION_BASE) / 8;
    if (!Number.isInteger(index) || index < 0 || index >= this.code.count) {
      throw new Trap("argument", `0x${address.toString(16)} is no function`);
    }
    const base = this.frame;
    this.call(index, this.pc);
    args.forEach((value, i) => {
      this.lo[i + 1] = value | 0;
      this.hi[i + 1] = 0;
    });
    this.execute(base + 1);
    if (!this.ended) this.leave();
    return this.lo[0] ?? 0;
  }

  /** From helper `tail_call`: whether the limit allows it. The call happens when the helper returns. */
  tailCall(code: Code): boolean {
    if (this.tailCalls >= MAX_TAIL_CALLS) return false;
    this.tailCalls++;
    this.pendingTail = code;
    return true;
  }

  /** From a helper: ends the whole run when it returns; its result is the program's. */
  end(): void {
    this.ended = true;
  }

  // ---- frames ----

  private enter(depth: number): void {
    this.frame = depth;
    const frame = this.current();
    frame.depth = 0;
    frame.loops = MAX_LOOPS;
    // Frames grow downwards, as in the kernel.
    this.lo[10] = this.stack.base + (MAX_FRAMES - 1 - depth) * FRAME_STRIDE + FRAME_BYTES;
    this.hi[10] = 0;
  }

  private current(): Frame {
    const frame = this.frames[this.frame];
    if (frame === undefined) throw new Trap("call-depth", `more than ${MAX_FRAMES} frames`);
    return frame;
  }

  private call(target: number, returnTo: number): void {
    if (target < 0) throw new Trap("jump", "a call of no instruction");
    if (this.frame + 1 >= MAX_FRAMES) throw new Trap("call-depth", `more than ${MAX_FRAMES} frames`);
    const { lo, hi } = this;
    const frame = this.current();
    frame.code = this.code;
    frame.returnTo = returnTo;
    for (let i = 0; i < 4; i++) {
      frame.saved[i] = lo[6 + i] ?? 0;
      frame.saved[4 + i] = hi[6 + i] ?? 0;
    }
    this.enter(this.frame + 1);
    this.pc = target;
  }

  private leave(): void {
    const { lo, hi } = this;
    this.frame--;
    const frame = this.current();
    this.code = frame.code;
    this.pc = frame.returnTo;
    for (let i = 0; i < 4; i++) {
      lo[6 + i] = frame.saved[i] ?? 0;
      hi[6 + i] = frame.saved[4 + i] ?? 0;
    }
    lo[10] = (lo[10] ?? 0) + FRAME_STRIDE;
  }

  // ---- memory ----

  /** The checked address of an access through a register. */
  private at(register: number, offset: number, access: number): number {
    const low = this.lo[register] ?? 0;
    const address = (low >>> 0) + offset;
    const size = access & 15;
    if (this.hi[register] !== 0 || address < 0) {
      const value = BigInt.asUintN(64, toBigInt(low, this.hi[register] ?? 0));
      throw new Trap("memory", `r${register} is no address: 0x${value.toString(16)} + ${offset}`);
    }
    this.memory.check(address, size, access >= WRITE);
    const { base, end } = this.stack;
    if (address >= base && address < end) this.touchStack(address);
    return address;
  }

  /** MAX_BPF_STACK (include/linux/filter.h) for all frames together; the verifier rounds each up to 32 bytes. */
  private touchStack(address: number): void {
    const depth = MAX_FRAMES - 1 - Math.floor((address - this.stack.base) / FRAME_STRIDE);
    const frame = this.frames[depth];
    if (frame === undefined || depth > this.frame) throw new Trap("stack", "access to a frame that has ended");
    const below = FRAME_BYTES - ((address - this.stack.base) % FRAME_STRIDE);
    if (below <= frame.depth) return;
    frame.depth = below;
    let sum = 0;
    for (let i = 0; i <= this.frame; i++) sum += Math.ceil((this.frames[i]?.depth ?? 0) / 32) * 32;
    if (sum > FRAME_BYTES) throw new Trap("stack", `${sum} bytes of stack in ${this.frame + 1} frames`);
  }

  // ---- execution ----

  /** Runs until the frame `floor` ends. */
  private execute(floor = 0): void {
    for (;;) {
      const { code } = this;
      const pc = this.pc;
      if (pc < 0 || pc >= code.count) throw new Trap("jump", "the end of the program");
      if (++this.executed > this.budget) throw new Trap("budget", `more than ${this.budget} instructions`);
      const opcode = code.opcode[pc] ?? 0;
      switch (opcode & 7) {
        case insnClass.alu64:
          this.alu64(code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.alu:
          this.alu32(code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.ldx:
        case insnClass.st:
        case insnClass.stx:
          this.access(code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.ld:
          this.load(code, pc, opcode);
          this.pc = pc + 1;
          break;
        default:
          if (this.jump(code, pc, opcode)) {
            if (this.ended || this.frame === floor) return;
            this.leave();
          }
          if (this.ended) return;
      }
    }
  }

  private alu64(code: Code, pc: number, opcode: number): void {
    const { lo, hi } = this;
    const d = code.dst[pc] ?? 0;
    const s = code.src[pc] ?? 0;
    const wide = (opcode & 8) !== 0;
    const b = (wide ? lo[s] : code.imm[pc]) ?? 0;
    const bh = wide ? (hi[s] ?? 0) : b >> 31;
    const a = lo[d] ?? 0;
    const ah = hi[d] ?? 0;
    switch (opcode & 0xf0) {
      case aluBits.add: {
        const sum = (a >>> 0) + (b >>> 0);
        lo[d] = sum | 0;
        hi[d] = (ah + bh + (sum > 0xffff_ffff ? 1 : 0)) | 0;
        return;
      }
      case aluBits.sub:
        lo[d] = (a - b) | 0;
        hi[d] = (ah - bh - (a >>> 0 < b >>> 0 ? 1 : 0)) | 0;
        return;
      case aluBits.mul:
        lo[d] = Math.imul(a, b);
        hi[d] = (multiplyHigh(a, b) + Math.imul(a, bh) + Math.imul(ah, b)) | 0;
        return;
      case aluBits.div:
        divide64(this, d, { op: division("div", code.offset[pc]), lo: b, hi: bh });
        return;
      case aluBits.mod:
        divide64(this, d, { op: division("mod", code.offset[pc]), lo: b, hi: bh });
        return;
      case aluBits.or:
        lo[d] = a | b;
        hi[d] = ah | bh;
        return;
      case aluBits.and:
        lo[d] = a & b;
        hi[d] = ah & bh;
        return;
      case aluBits.xor:
        lo[d] = a ^ b;
        hi[d] = ah ^ bh;
        return;
      case aluBits.neg:
        lo[d] = -a | 0;
        hi[d] = a === 0 ? -ah | 0 : ~ah;
        return;
      case aluBits.mov:
        this.move64(d, { b, bh, bits: wide ? (code.offset[pc] ?? 0) : 0 });
        return;
      case aluBits.end:
        this.swap(d, code.imm[pc] ?? 0);
        return;
      default:
        this.shift64(d, b & 63, opcode);
    }
  }

  private move64(d: number, from: { b: number; bh: number; bits: number }): void {
    const { lo, hi } = this;
    if (from.bits === 0) {
      lo[d] = from.b;
      hi[d] = from.bh;
      return;
    }
    if (from.bits !== 8 && from.bits !== 16 && from.bits !== 32)
      throw new Trap("opcode", `a move of ${from.bits} bits`);
    const value = (from.b << (32 - from.bits)) >> (32 - from.bits);
    lo[d] = value;
    hi[d] = value >> 31;
  }

  private shift64(d: number, count: number, opcode: number): void {
    const { lo, hi } = this;
    const a = lo[d] ?? 0;
    const ah = hi[d] ?? 0;
    const op = opcode & 0xf0;
    if (op !== aluBits.lsh && op !== aluBits.rsh && op !== aluBits.arsh) throw unknownOpcode(opcode);
    if (count === 0) return;
    if (op === aluBits.lsh) {
      hi[d] = count < 32 ? (ah << count) | (a >>> (32 - count)) : a << (count - 32);
      lo[d] = count < 32 ? a << count : 0;
      return;
    }
    const sign = op === aluBits.arsh ? ah >> 31 : 0;
    if (count >= 32) {
      lo[d] = op === aluBits.arsh ? ah >> (count - 32) : ah >>> (count - 32);
      hi[d] = sign;
      return;
    }
    lo[d] = (a >>> count) | (ah << (32 - count));
    hi[d] = op === aluBits.arsh ? ah >> count : ah >>> count;
  }

  /** `bswap`: always reversed. */
  private swap(d: number, bits: number): void {
    const { lo, hi } = this;
    const a = lo[d] ?? 0;
    if (bits === 64) {
      lo[d] = swap32(hi[d] ?? 0);
      hi[d] = swap32(a);
      return;
    }
    if (bits !== 16 && bits !== 32) throw new Trap("opcode", `a byte swap of ${bits} bits`);
    lo[d] = bits === 32 ? swap32(a) : swap16(a);
    hi[d] = 0;
  }

  private alu32(code: Code, pc: number, opcode: number): void {
    const { lo, hi } = this;
    const d = code.dst[pc] ?? 0;
    const a = lo[d] ?? 0;
    const register = (opcode & 8) !== 0;
    const b = (register ? lo[code.src[pc] ?? 0] : code.imm[pc]) ?? 0;
    const offset = code.offset[pc] ?? 0;
    if ((opcode & 0xf0) === aluBits.end) {
      this.toOrder(d, code.imm[pc] ?? 0, register);
      return;
    }
    hi[d] = 0;
    switch (opcode & 0xf0) {
      case aluBits.add:
        lo[d] = a + b;
        return;
      case aluBits.sub:
        lo[d] = a - b;
        return;
      case aluBits.mul:
        lo[d] = Math.imul(a, b);
        return;
      case aluBits.div:
        lo[d] = divide32(division("div", offset), a, b);
        return;
      case aluBits.mod:
        lo[d] = divide32(division("mod", offset), a, b);
        return;
      case aluBits.or:
        lo[d] = a | b;
        return;
      case aluBits.and:
        lo[d] = a & b;
        return;
      case aluBits.xor:
        lo[d] = a ^ b;
        return;
      case aluBits.lsh:
        lo[d] = a << b;
        return;
      case aluBits.rsh:
        lo[d] = a >>> b;
        return;
      case aluBits.arsh:
        lo[d] = a >> b;
        return;
      case aluBits.neg:
        lo[d] = -a;
        return;
      case aluBits.mov:
        if (register && offset !== 0 && offset !== 8 && offset !== 16)
          throw new Trap("opcode", `a move of ${offset} bits`);
        lo[d] = register && offset !== 0 ? (b << (32 - offset)) >> (32 - offset) : b;
        return;
      default:
        throw unknownOpcode(opcode);
    }
  }

  /** The machine is little-endian: `le` cuts, `be` reverses. */
  private toOrder(d: number, bits: number, big: boolean): void {
    if (big) {
      this.swap(d, bits);
      return;
    }
    if (bits === 64) return;
    if (bits !== 16 && bits !== 32) throw new Trap("opcode", `a byte order of ${bits} bits`);
    this.hi[d] = 0;
    if (bits === 16) this.lo[d] = (this.lo[d] ?? 0) & 0xffff;
  }

  private access(code: Code, pc: number, opcode: number): void {
    const mode = opcode & 0xe0;
    const size = sizes[(opcode >> 3) & 3] ?? 0;
    const kind = opcode & 7;
    const d = code.dst[pc] ?? 0;
    const s = code.src[pc] ?? 0;
    const offset = code.offset[pc] ?? 0;
    if (kind === insnClass.ldx && (mode === modeBits.mem || mode === modeBits.memsx)) {
      const address = this.at(s, offset, size);
      this.read(d, { address, size, signed: mode === modeBits.memsx });
    } else if (mode === modeBits.mem) {
      const address = this.at(d, offset, size | WRITE);
      const immediate = kind === insnClass.st;
      const low = (immediate ? code.imm[pc] : this.lo[s]) ?? 0;
      this.store(address, size, { low, high: immediate ? low >> 31 : (this.hi[s] ?? 0) });
    } else if (mode === modeBits.atomic && kind === insnClass.stx) {
      this.atomic({ d, s, offset, size, op: code.imm[pc] ?? 0 });
    } else {
      throw unknownOpcode(opcode);
    }
  }

  private read(d: number, from: { address: number; size: number; signed: boolean }): void {
    const { lo, hi } = this;
    const { view } = this.memory;
    const { address, signed } = from;
    switch (from.size) {
      case 8:
        if (signed) throw new Trap("opcode", "a signed load of eight bytes");
        lo[d] = view.getInt32(address, true);
        hi[d] = view.getInt32(address + 4, true);
        return;
      case 4:
        lo[d] = view.getInt32(address, true);
        break;
      case 2:
        lo[d] = signed ? view.getInt16(address, true) : view.getUint16(address, true);
        break;
      default:
        lo[d] = signed ? view.getInt8(address) : view.getUint8(address);
    }
    hi[d] = signed ? (lo[d] ?? 0) >> 31 : 0;
  }

  private store(address: number, size: number, value: { low: number; high: number }): void {
    const { view } = this.memory;
    if (size === 1) view.setInt8(address, value.low);
    else if (size === 2) view.setInt16(address, value.low, true);
    else {
      view.setInt32(address, value.low, true);
      if (size === 8) view.setInt32(address + 4, value.high, true);
    }
  }

  private atomic(insn: { d: number; s: number; offset: number; size: number; op: number }): void {
    const { d, s, offset, size, op } = insn;
    const { lo, hi } = this;
    if (op === atomicImm.loadAcquire) {
      this.read(d, { address: this.at(s, offset, size), size, signed: false });
      return;
    }
    const address = this.at(d, offset, size | WRITE);
    if (op === atomicImm.storeRelease) {
      this.store(address, size, { low: lo[s] ?? 0, high: hi[s] ?? 0 });
      return;
    }
    if (size < 4) throw new Trap("opcode", `an atomic operation of ${size} bytes`);
    const { view } = this.memory;
    const oldLow = view.getInt32(address, true);
    const oldHigh = size === 8 ? view.getInt32(address + 4, true) : 0;
    if (op === atomicImm.cmpxchg) {
      const equal = oldLow === lo[0] && (size === 4 || oldHigh === hi[0]);
      if (equal) this.store(address, size, { low: lo[s] ?? 0, high: hi[s] ?? 0 });
      lo[0] = oldLow;
      hi[0] = oldHigh;
      return;
    }
    this.store(address, size, combine(op, { low: oldLow, high: oldHigh }, { low: lo[s] ?? 0, high: hi[s] ?? 0 }));
    if ((op & atomicImm.fetch) === 0) return;
    lo[s] = oldLow;
    hi[s] = oldHigh;
  }

  private load(code: Code, pc: number, opcode: number): void {
    const d = code.dst[pc] ?? 0;
    if (opcode === LDDW) {
      this.lo[d] = code.imm[pc] ?? 0;
      this.hi[d] = code.high[pc] ?? 0;
      return;
    }
    const mode = opcode & 0xe0;
    const size = sizes[(opcode >> 3) & 3] ?? 0;
    if ((mode !== modeBits.abs && mode !== modeBits.ind) || size === 8) throw unknownOpcode(opcode);
    const index = mode === modeBits.ind ? (this.lo[code.src[pc] ?? 0] ?? 0) : 0;
    this.loadPacket(((code.imm[pc] ?? 0) + index) | 0, size);
  }

  /** `ld abs` and `ld ind`: the packet's bytes in network order; past its end the program ends with 0. */
  private loadPacket(offset: number, size: number): void {
    const packet = this.packet;
    if (packet === null) throw new Trap("opcode", "a packet load without a packet");
    if (offset < 0 || packet.start + offset + size > packet.end) {
      this.lo[0] = this.hi[0] = 0;
      this.ended = true;
      return;
    }
    const { view } = this.memory;
    const at = packet.start + offset;
    this.lo[0] = size === 4 ? view.getInt32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at);
    this.hi[0] = 0;
  }

  /** The packet of the run, for `ld abs` and helpers. */
  packet: Region | null = null;

  /** Sets `pc`. True for `exit`. */
  private jump(code: Code, pc: number, opcode: number): boolean {
    const op = opcode & 0xf0;
    const wide = (opcode & 7) === insnClass.jmp;
    if (op === jmpBits.ja) {
      if ((opcode & 8) !== 0) throw unknownOpcode(opcode);
      this.goto(code, pc);
      return false;
    }
    if (wide && op === jmpBits.exit) return true;
    if (wide && op === jmpBits.call) {
      this.callInstruction(code, pc, opcode);
      return false;
    }
    if (wide && op === jmpBits.jcond) {
      const frame = this.current();
      if (frame.loops-- <= 0) this.goto(code, pc);
      else this.pc = pc + 1;
      return false;
    }
    const d = code.dst[pc] ?? 0;
    const s = code.src[pc] ?? 0;
    const register = (opcode & 8) !== 0;
    const a = this.lo[d] ?? 0;
    const b = (register ? this.lo[s] : code.imm[pc]) ?? 0;
    const ah = wide ? (this.hi[d] ?? 0) : 0;
    const bh = wide ? (register ? (this.hi[s] ?? 0) : b >> 31) : 0;
    const taken =
      wide && (ah !== bh || op === jmpBits.jset) ? compareHigh(op, { a, b, ah, bh }) : compareLow(op, a, b, wide);
    if (taken) this.goto(code, pc);
    else this.pc = pc + 1;
    return false;
  }

  private goto(code: Code, pc: number): void {
    const target = code.target[pc] ?? -1;
    if (target < 0) throw new Trap("jump", "a jump to no instruction");
    this.pc = target;
  }

  private callInstruction(code: Code, pc: number, opcode: number): void {
    if ((opcode & 8) !== 0) {
      this.callRegister(code, pc);
      return;
    }
    const source = code.src[pc] ?? 0;
    if (source === pseudoCall.local) {
      this.call(code.target[pc] ?? -1, pc + 1);
      return;
    }
    if (source !== pseudoCall.helper)
      throw new Trap("helper", "a call of a kernel function, of which there is none here");
    this.callHelper(code.imm[pc] ?? 0);
  }

  /** The register holds a function's address, or a helper's number. */
  private callRegister(code: Code, pc: number): void {
    // The register stands in dst (clang) or, in older encodings, in the immediate.
    const register = code.dst[pc] || (code.imm[pc] ?? 0);
    const address = this.pointer(register);
    if (address < FUNCTION_BASE) {
      this.callHelper(address);
      return;
    }
    const index = (address - FUNCTION_BASE) / 8;
    if (!Number.isInteger(index) || index >= code.count) throw new Trap("jump", "a call of no instruction");
    this.call(index, pc + 1);
  }

  private callHelper(id: number): void {
    const helper = this.helpers.get(id);
    if (helper === undefined) throw new Trap("helper", `there is no helper ${id} here`);
    const pc = this.pc;
    const result = helper(this);
    const { lo, hi } = this;
    if (typeof result === "bigint") setBigInt(this, 0, result);
    else {
      lo[0] = result | 0;
      hi[0] = Math.floor(result / 0x1_0000_0000) | 0;
    }
    if (this.pendingTail !== null) {
      this.code = this.pendingTail;
      this.pendingTail = null;
      this.pc = 0;
      return;
    }
    this.pc = pc + 1;
  }
}

/** Added to the size of an access. */
const WRITE = 16;
const sizes = [4, 2, 1, 8];

const emptyCode: Code = {
  name: "",
  count: 0,
  opcode: new Uint8Array(0),
  dst: new Uint8Array(0),
  src: new Uint8Array(0),
  offset: new Int32Array(0),
  imm: new Int32Array(0),
  high: new Int32Array(0),
  target: new Int32Array(0),
  source: () => null,
};

function unknownOpcode(opcode: number): Trap {
  return new Trap("opcode", `there is no instruction 0x${opcode.toString(16).padStart(2, "0")}`);
}

function division(op: "div" | "mod", offset: number | undefined): Division {
  if (offset === 0 || offset === undefined) return op;
  if (offset !== 1) throw new Trap("opcode", `a division with offset ${offset}`);
  return op === "div" ? "sdiv" : "smod";
}

interface Word {
  readonly low: number;
  readonly high: number;
}

function combine(op: number, old: Word, by: Word): Word {
  switch (op & ~atomicImm.fetch) {
    case atomicImm.add: {
      const sum = (old.low >>> 0) + (by.low >>> 0);
      return { low: sum | 0, high: (old.high + by.high + (sum > 0xffff_ffff ? 1 : 0)) | 0 };
    }
    case atomicImm.or:
      return { low: old.low | by.low, high: old.high | by.high };
    case atomicImm.and:
      return { low: old.low & by.low, high: old.high & by.high };
    case atomicImm.xor:
      return { low: old.low ^ by.low, high: old.high ^ by.high };
    default:
      if (op === atomicImm.xchg) return by;
      throw new Trap("opcode", `there is no atomic operation 0x${op.toString(16)}`);
  }
}

/** High words differ, or any for `jset`. */
function compareHigh(op: number, { a, b, ah, bh }: { a: number; b: number; ah: number; bh: number }): boolean {
  return op === jmpBits.jset ? (a & b) !== 0 || (ah & bh) !== 0 : compareLow(op, ah, bh, false);
}

/** Compares words; as low words of equal high ones (`lowWord`) they are unsigned. */
function compareLow(op: number, a: number, b: number, lowWord: boolean): boolean {
  switch (op) {
    case jmpBits.jeq:
      return a === b;
    case jmpBits.jne:
      return a !== b;
    case jmpBits.jset:
      return (a & b) !== 0;
    case jmpBits.jgt:
      return a >>> 0 > b >>> 0;
    case jmpBits.jge:
      return a >>> 0 >= b >>> 0;
    case jmpBits.jlt:
      return a >>> 0 < b >>> 0;
    case jmpBits.jle:
      return a >>> 0 <= b >>> 0;
    case jmpBits.jsgt:
      return lowWord ? a >>> 0 > b >>> 0 : a > b;
    case jmpBits.jsge:
      return lowWord ? a >>> 0 >= b >>> 0 : a >= b;
    case jmpBits.jslt:
      return lowWord ? a >>> 0 < b >>> 0 : a < b;
    case jmpBits.jsle:
      return lowWord ? a >>> 0 <= b >>> 0 : a <= b;
    default:
      throw new Trap("opcode", `there is no jump 0x${op.toString(16)}`);
  }
}
