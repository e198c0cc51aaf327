import { LDDW, atomicImm, insnClass, jmpBits, modeBits, pseudoCall } from "@skep/isa";
import { FUNCTION_BASE, emptyCode } from "../code.ts";
import type { Code } from "../code.ts";
import type { Cpu, CpuOptions, Engine, HelperFunction } from "../cpu.ts";
import { type SourceLine, Trap, VmError } from "../error.ts";
import { FRAME_BYTES, FRAME_STRIDE, MAX_FRAMES, MAX_LOOPS, MAX_TAIL_CALLS, cells } from "../layout.ts";
import type { Memory, Region } from "../memory.ts";
import { alu32, alu64, unknownOpcode } from "./alu.ts";
import { combine, compareHigh, compareLow } from "./compare.ts";
import { setBigInt, toBigInt } from "./wide.ts";

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
export class Interpreter implements Cpu, Engine {
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
    this.stack = options.stack ?? allocateStack(memory);
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
    return this.start(code, 0, [r1, r2]);
  }

  call(code: Code, entry: number, args: readonly number[]): bigint {
    return this.start(code, entry, args);
  }

  private start(code: Code, entry: number, args: readonly number[]): bigint {
    this.lo.fill(0);
    this.hi.fill(0);
    this.executed = 0;
    this.tailCalls = 0;
    this.pendingTail = null;
    this.ended = false;
    this.code = code;
    this.pc = entry;
    args.forEach((value, i) => {
      this.lo[i + 1] = value | 0;
    });
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

  high(register: number): number {
    return (this.hi[register] ?? 0) >>> 0;
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
    this.enterFunction(index, this.pc);
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

  source(): SourceLine | null {
    return this.code.source(this.pc);
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

  private enterFunction(target: number, returnTo: number): void {
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

  private isReadable(register: number, offset: number, size: number): boolean {
    const address = ((this.lo[register] ?? 0) >>> 0) + offset;
    return this.hi[register] === 0 && address >= 0 && this.memory.allows(address, size, false);
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
          alu64(this, code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.alu:
          alu32(this, code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.ldx:
        case insnClass.st:
        case insnClass.stx:
          this.access(code, pc, opcode);
          this.pc = pc + 1;
          break;
        case insnClass.ld:
          if (this.load(code, pc, opcode)) this.pc = pc + 1;
          else if (this.frame === floor) return;
          else this.leave();
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

  private access(code: Code, pc: number, opcode: number): void {
    const mode = opcode & 0xe0;
    const size = sizes[(opcode >> 3) & 3] ?? 0;
    const kind = opcode & 7;
    const d = code.dst[pc] ?? 0;
    const s = code.src[pc] ?? 0;
    const offset = code.offset[pc] ?? 0;
    if (kind === insnClass.ldx && (mode === modeBits.mem || mode === modeBits.memsx)) {
      if (code.probes && !this.isReadable(s, offset, size)) {
        this.lo[d] = 0;
        this.hi[d] = 0;
        return;
      }
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

  /** False where the function ends. */
  private load(code: Code, pc: number, opcode: number): boolean {
    const d = code.dst[pc] ?? 0;
    if (opcode === LDDW) {
      this.lo[d] = code.imm[pc] ?? 0;
      this.hi[d] = code.high[pc] ?? 0;
      return true;
    }
    const mode = opcode & 0xe0;
    const size = sizes[(opcode >> 3) & 3] ?? 0;
    if ((mode !== modeBits.abs && mode !== modeBits.ind) || size === 8) throw unknownOpcode(opcode);
    const index = mode === modeBits.ind ? (this.lo[code.src[pc] ?? 0] ?? 0) : 0;
    return this.loadPacket(((code.imm[pc] ?? 0) + index) | 0, size);
  }

  /** `ld abs` and `ld ind`: the packet's bytes in network order; past its end the function ends with 0 (bpf_gen_ld_abs). */
  private loadPacket(offset: number, size: number): boolean {
    const { view, u32 } = this.memory;
    const start = u32[cells.packetStart >>> 2] ?? 0;
    if (start === 0) throw new Trap("opcode", "a packet load without a packet");
    if (offset < 0 || start + offset + size > (u32[cells.packetEnd >>> 2] ?? 0)) {
      this.lo[0] = this.hi[0] = 0;
      return false;
    }
    const at = start + offset;
    this.lo[0] = size === 4 ? view.getInt32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at);
    this.hi[0] = 0;
    return true;
  }

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
      this.enterFunction(code.target[pc] ?? -1, pc + 1);
      return;
    }
    const imm = code.imm[pc] ?? 0;
    this.callHelper(source === pseudoCall.kfunc ? -1 - imm : imm);
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
    this.enterFunction(index, pc + 1);
  }

  private callHelper(id: number): void {
    const helper = this.helpers.get(id);
    if (helper === undefined) {
      throw new Trap("helper", id < 0 ? "a kernel function that is not here" : `there is no helper ${id} here`);
    }
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

/** The frames of one CPU: each an object of its own. */
export function allocateStack(memory: Memory): Region {
  const stack = memory.allocate("stack", MAX_FRAMES * FRAME_STRIDE);
  stack.split(FRAME_STRIDE, FRAME_BYTES);
  return stack;
}

/** Added to the size of an access. */
const WRITE = 16;
const sizes = [4, 2, 1, 8];
