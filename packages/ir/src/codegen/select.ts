/**
 * @module
 * Instruction selection: legal IR in SSA form to machine IR on virtual registers.
 *
 * 32-bit values lie zero-extended in their 64-bit registers ("clean"), as every 32-bit instruction leaves them. `trunc`, parameters and
 * results of calls are copies whose upper half is whatever it was; they are cleaned where they are defined if anything asks for it:
 * then check and use share the register, as the kernel's verifier wants.
 */
import type { Diagnostic } from "@skep/isa";
import { possibleBits } from "../analysis/bits.ts";
import { buildCfg, findLoops, terminatorArgs } from "../analysis/cfg.ts";
import { problem } from "../codes.ts";
import { useCounts } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, Loc, Predicate, Terminator } from "../ir.ts";
import { SWAPPED } from "../predicate.ts";
import type { Target } from "./legalize.ts";
import { FIRST_VIRTUAL, makeInst, NONE, R0, R10 } from "./mir.ts";
import type { MBlock, MFunction, MInst, Reg } from "./mir.ts";
import * as op from "./opcodes.ts";
import { sequentialize } from "./parallel-copy.ts";
import type { Copy } from "./parallel-copy.ts";

const ALU_OF: Readonly<Record<string, number>> = {
  add: op.ADD,
  sub: op.SUB,
  mul: op.MUL,
  udiv: op.DIV,
  umod: op.MOD,
  sdiv: op.DIV,
  smod: op.MOD,
  and: op.AND,
  or: op.OR,
  xor: op.XOR,
  shl: op.LSH,
  lshr: op.RSH,
  ashr: op.ARSH,
};

const COMMUTATIVE = new Set(["add", "mul", "and", "or", "xor"]);

const CONDITION: Readonly<Record<Predicate, number>> = {
  eq: op.JEQ,
  ne: op.JNE,
  ult: op.JLT,
  ule: op.JLE,
  ugt: op.JGT,
  uge: op.JGE,
  slt: op.JSLT,
  sle: op.JSLE,
  sgt: op.JSGT,
  sge: op.JSGE,
  set: op.JSET,
};

const MOV64 = op.ALU64 | op.MOV;
const MOV32 = op.ALU32 | op.MOV;

/** How far a scalar may be from what it was made of to be added to a pointer (BPF_MAX_VAR_OFF). */
const FARTHEST = 1n << 29n;

const fits32 = (value: bigint): boolean => value === BigInt.asIntN(32, value);
const fits16 = (value: number): boolean => value >= -0x8000 && value <= 0x7fff;

/** Where memory is: a register or a stack object, and a displacement. */
interface Address {
  base: Reg;
  slot: number;
  offset: number;
}

/** Selects instructions of one function. */
export function selectFunction(fn: IrFunction, target: Target): { code: MFunction; diagnostics: Diagnostic[] } {
  const selector = new Selector(fn, target);
  return { code: selector.run(), diagnostics: selector.diagnostics };
}

class Selector {
  readonly diagnostics: Diagnostic[] = [];
  readonly #fn: IrFunction;
  readonly #target: Target;
  readonly #code: MFunction;
  readonly #registers = new Map<Inst, Reg>();
  readonly #slots = new Map<Inst, number>();
  readonly #blocks = new Map<Block, MBlock>();
  readonly #cleaned = new Set<Inst>();
  /** Those of them that are extended: the verifier must know that their upper half is 0. */
  readonly #extended = new Set<Inst>();
  /** What a loop carries on, and what it begins with. */
  readonly #carried = new Set<Inst>();
  readonly #dirtyPhis = new Set<Inst>();
  /** Arenas that the function's code names. */
  readonly #arenas = new Set<string>();
  readonly #uses: Uint32Array;
  /** Constants and addresses at hand in this block since the last call. */
  #cache = new Map<string, { reg: Reg; base: number }>();
  #out: MInst[] = [];
  #current: readonly Inst[] = [];
  #loc: Loc | undefined;

  constructor(fn: IrFunction, target: Target) {
    this.#fn = fn;
    this.#target = target;
    this.#code = { name: fn.name, blocks: [], registers: FIRST_VIRTUAL, slots: [] };
    this.#uses = useCounts(fn);
  }

  run(): MFunction {
    const cfg = buildCfg(this.#fn);
    const loops = findLoops(cfg);
    for (const block of cfg.order) {
      const code: MBlock = {
        id: block.id,
        insts: [],
        terminator: { kind: "exit", value: false },
        depth: loops.of.get(block)?.depth ?? 0,
        cold: false,
      };
      this.#blocks.set(block, code);
      this.#code.blocks.push(code);
    }
    this.#findCleaned(cfg.order);
    this.#findCarried(loops.loops.map(({ header }) => header));
    for (const block of cfg.order) this.#block(block);
    return this.#code;
  }

  // Registers and widths

  #fresh(): Reg {
    return this.#code.registers++;
  }

  #define(inst: Inst): Reg {
    const known = this.#registers.get(inst);
    if (known !== undefined) return known;
    const reg = this.#fresh();
    this.#registers.set(inst, reg);
    return reg;
  }

  /** Values whose upper half may be dirty, but which something reads in 64 bits; for a phi that means its operands too. */
  #findCleaned(order: readonly Block[]): void {
    const mark = (value: Inst, marked: Set<Inst>): void => {
      if (marked.has(value)) return;
      marked.add(value);
      if (value.op === "phi") for (const arg of value.args) mark(arg, marked);
    };
    const clean = (value: Inst): void => mark(value, this.#cleaned);
    for (const block of order) {
      for (const inst of block.insts) {
        if (inst.op !== "ext" || inst.from !== 32 || inst.signed) continue;
        inst.args.forEach(clean);
        for (const arg of inst.args) mark(arg, this.#extended);
      }
      const terminator = block.terminator;
      // What a call gave is passed on as it is: as a kernel function's, the caller reads 32 bits of it.
      if (terminator?.op === "return" && terminator.args[0] && !isPassedOn(terminator.args[0]))
        clean(terminator.args[0]);
    }
    for (let changed = true; changed;) {
      changed = false;
      for (const block of order) {
        for (const inst of block.insts) {
          if (inst.op !== "phi" || this.#dirtyPhis.has(inst) || !inst.args.some((arg) => this.#isDirty(arg))) continue;
          this.#dirtyPhis.add(inst);
          changed = true;
        }
      }
    }
  }

  /** What phis of loops carry, below constant steps and copies. */
  #findCarried(headers: readonly Block[]): void {
    for (const header of headers) {
      for (const phi of header.insts) {
        if (phi.op !== "phi") break;
        this.#carried.add(phi);
        for (const arg of phi.args) this.#carried.add(stepped(arg));
      }
    }
  }

  /** Whether the upper half of an `i32` value's register may hold anything. */
  #isDirty(inst: Inst): boolean {
    if (inst.type !== "i32" || this.#cleaned.has(inst)) return false;
    if (inst.op === "load") return inst.signed && inst.size < 4 && this.#target.cpu >= 4;
    return inst.op === "trunc" || inst.op === "param" || isCall(inst) || this.#dirtyPhis.has(inst);
  }

  /** The move that gives a maybe dirty value to `inst`. */
  #copyOpcode(inst: Inst): number {
    return inst.type === "i32" && this.#cleaned.has(inst) ? MOV32 : MOV64;
  }

  // Emission

  #emit(kind: MInst["kind"], opcode: number, parts: Partial<MInst>): MInst {
    const inst = makeInst(kind, opcode, { ...parts, loc: this.#loc });
    this.#out.push(inst);
    return inst;
  }

  #move(dst: Reg, a: Reg, opcode = MOV64): void {
    this.#emit("mov", opcode | op.X, { dst, a });
  }

  /** Puts a constant into `dst` by the shortest way; `bits`: what counts of it. */
  #constant(dst: Reg, value: bigint, bits: 32 | 64): void {
    const signed = BigInt.asIntN(64, value);
    if (bits === 32 || value <= 0xffff_ffffn) {
      // Zero-extends; small ones are the same in both widths and shorter in 32 bits.
      this.#emit("mov", MOV32, { dst, imm: Number(BigInt.asIntN(32, value)) });
    } else if (fits32(signed)) this.#emit("mov", MOV64, { dst, imm: Number(signed) });
    else {
      const imm = Number(BigInt.asIntN(32, value));
      this.#emit("lddw", op.LDDW, { dst, imm, immHigh: Number(BigInt.asIntN(32, value >> 32n)) });
    }
  }

  /** A register that holds the value here. */
  #use(inst: Inst): Reg {
    if (inst.op === "const") {
      const key = `c${inst.value}`;
      const cached = this.#cache.get(key);
      if (cached) return cached.reg;
      const reg = this.#fresh();
      this.#constant(reg, inst.value, inst.type === "i32" ? 32 : 64);
      this.#cache.set(key, { reg, base: 0 });
      return reg;
    }
    if (isAddress(inst) || this.#isFolded(inst)) {
      const key = `a${inst.id}`;
      const cached = this.#cache.get(key);
      if (cached) return cached.reg;
      const reg = this.#fresh();
      this.#into(reg, inst);
      this.#cache.set(key, { reg, base: 0 });
      return reg;
    }
    return this.#define(inst);
  }

  /** Puts the value into a given register: constants and addresses without a detour. */
  #into(dst: Reg, inst: Inst): void {
    switch (inst.op) {
      case "const":
        this.#constant(dst, inst.value, inst.type === "i32" ? 32 : 64);
        return;
      case "stack":
        this.#emit("frame", MOV64, { dst, slot: this.#slot(inst), offset: 0 });
        return;
      case "map":
        this.#emit("lddw", op.LDDW, { dst, ref: { kind: "map", map: inst.map } });
        return;
      case "data":
        this.#emit("lddw", op.LDDW, { dst, ref: { kind: "data", map: inst.section, offset: inst.offset } });
        return;
      case "function":
        this.#emit("lddw", op.LDDW, { dst, ref: { kind: "function", function: inst.function } });
        return;
      case "ksym": {
        const { symbol: name, weak, typeId } = inst;
        const ref = { kind: "ksym", name, weak, ...(typeId === undefined ? {} : { typeId }) } as const;
        this.#emit("lddw", op.LDDW, { dst, ref });
        return;
      }
      case "ptradd": {
        const { root, offset } = this.#strip(inst);
        if (root.op === "stack") {
          this.#emit("frame", MOV64, { dst, slot: this.#slot(root), offset });
          return;
        }
        if (root.op === "data" && this.#isFolded(inst)) {
          const ref = { kind: "data", map: root.section, offset: root.offset + offset } as const;
          this.#emit("lddw", op.LDDW, { dst, ref });
          return;
        }
        break;
      }
      default:
        break;
    }
    const isPassed = dst === R0 && isPassedOn(inst);
    this.#move(dst, this.#use(inst), this.#isDirty(inst) && !isPassed ? MOV32 : MOV64);
  }

  #slot(inst: InstOf<"stack">): number {
    const known = this.#slots.get(inst);
    if (known !== undefined) return known;
    const slot = this.#code.slots.length;
    this.#code.slots.push({ bytes: inst.bytes, spill: false, offset: 0, weight: 0 });
    this.#slots.set(inst, slot);
    return slot;
  }

  /** The pointer below constant steps, and their sum. */
  #strip(pointer: Inst): { root: Inst; offset: number } {
    let [root, offset] = [pointer, 0];
    // A map that is moved is an address in an arena: the whole of it.
    while (root.op === "ptradd" && root.args[1]?.op === "const" && root.args[0]?.op !== "map") {
      offset += Number(BigInt.asIntN(64, root.args[1].value));
      root = root.args[0] as Inst;
    }
    return { root, offset };
  }

  #address(pointer: Inst, displacement: number): Address {
    const { root, offset } = this.#strip(pointer);
    const total = offset + displacement;
    if (root.op === "stack") return { base: R10, slot: this.#slot(root), offset: total };
    if (root.op === "data") return this.#dataAddress(root, total);
    if (fits16(total)) return { base: this.#use(root), slot: -1, offset: total };
    const base = this.#fresh();
    this.#emit("alu", op.ALU64 | op.ADD, { dst: base, a: this.#use(root), imm: total });
    return { base, slot: -1, offset: 0 };
  }

  /** One address serves the section's nearby accesses of a block. */
  #dataAddress(root: InstOf<"data">, displacement: number): Address {
    const key = `d${root.section}`;
    const at = root.offset + displacement;
    const cached = this.#cache.get(key);
    if (cached && fits16(at - cached.base)) return { base: cached.reg, slot: -1, offset: at - cached.base };
    const reg = this.#fresh();
    const base = Math.max(at, 0);
    this.#emit("lddw", op.LDDW, { dst: reg, ref: { kind: "data", map: root.section, offset: base } });
    this.#cache.set(key, { reg, base });
    return { base: reg, slot: -1, offset: at - base };
  }

  // Blocks

  #block(block: Block): void {
    const code = this.#blocks.get(block) as MBlock;
    this.#out = code.insts;
    this.#current = block.insts;
    this.#cache = new Map();
    for (const inst of block.insts) {
      this.#loc = inst.loc;
      this.#inst(inst);
    }
    const terminator = block.terminator as Terminator;
    this.#loc = terminator.loc;
    this.#terminator(block, code, terminator);
  }

  #terminator(block: Block, code: MBlock, terminator: Terminator): void {
    const loc = terminator.loc;
    const target = (to: Block): MBlock => this.#blocks.get(to) as MBlock;
    switch (terminator.op) {
      case "jump":
        this.#phiCopies(block, terminator.to);
        code.terminator = { kind: "jump", to: target(terminator.to), loc };
        return;
      case "branch":
        this.#branch(code, terminator);
        return;
      case "return": {
        const value = terminator.args[0];
        if (value) this.#into(R0, value);
        else if (this.#fn.program) this.#constant(R0, 0n, 64);
        code.terminator = { kind: "exit", value: value !== undefined || this.#fn.program !== undefined, loc };
        return;
      }
      default:
        // Never reached; the verifier wants an end all the same.
        this.#constant(R0, 0n, 64);
        code.terminator = { kind: "exit", value: true, loc };
    }
  }

  #branch(code: MBlock, terminator: Extract<Terminator, { op: "branch" }>): void {
    let [a, b] = terminator.args;
    let predicate = terminator.predicate;
    if (a.op === "const" && b.op !== "const") {
      [a, b] = [b, a];
      predicate = SWAPPED[predicate];
    }
    let [yes, no] = [terminator.then, terminator.else].map((to) => this.#blocks.get(to) as MBlock) as [MBlock, MBlock];
    let likely = terminator.likely;
    const mask = this.#testedMask(predicate, a, b);
    if (mask) {
      [a, b] = mask;
      if (predicate === "eq") {
        [yes, no] = [no, yes];
        likely = likely === undefined ? undefined : !likely;
      }
      predicate = "set";
    }
    const wide = a.type !== "i32";
    const imm = this.#immediate(b, wide);
    const left = this.#use(a);
    const right = imm === null ? this.#use(b) : NONE;
    const loc = terminator.loc;
    code.terminator = {
      kind: "branch",
      condition: CONDITION[predicate],
      wide,
      a: left,
      b: right,
      imm: imm ?? 0,
      yes,
      no,
      likely,
      loc,
    };
  }

  /**
   * Operands of the `and` behind a compare with 0, if only the compare wants it. Not of a loop's counter: where the bits are not set the verifier
   * takes the value for one that its range excludes, goes on with it, and never comes to the loop's end.
   */
  #testedMask(predicate: Predicate, a: Inst, b: Inst): [Inst, Inst] | null {
    if ((predicate !== "eq" && predicate !== "ne") || b.op !== "const" || b.value !== 0n) return null;
    if (a.op !== "binary" || a.binary !== "and" || this.#uses[a.id] !== 1) return null;
    const [tested, mask] = a.args as [Inst, Inst];
    return this.#carried.has(stepped(tested)) ? null : [tested, mask];
  }

  #phiCopies(from: Block, to: Block): void {
    const copies: Copy[] = [];
    const late: { dst: Reg; value: Inst }[] = [];
    for (const phi of to.insts) {
      if (phi.op !== "phi") break;
      const value = phi.args[phi.blocks.indexOf(from)] as Inst;
      const dst = this.#define(phi);
      if (value.op === "const" || isAddress(value) || this.#isFolded(value)) late.push({ dst, value });
      else copies.push({ dst, src: this.#use(value) });
    }
    for (const { dst, src } of sequentialize(copies, () => this.#fresh())) this.#move(dst, src);
    for (const { dst, value } of late) this.#into(dst, value);
  }

  /** A constant place in a stack object or data section: made where it is used. */
  #isFolded(inst: Inst): boolean {
    if (inst.op !== "ptradd") return false;
    const { root, offset } = this.#strip(inst);
    return root.op === "stack" || (root.op === "data" && root.offset + offset >= 0);
  }

  // Instructions

  #inst(inst: Inst): void {
    switch (inst.op) {
      case "const":
      case "phi":
      case "stack":
      case "map":
      case "data":
      case "function":
      case "ksym":
        return;
      case "param":
        this.#move(this.#define(inst), 1 + inst.index, this.#copyOpcode(inst));
        return;
      case "binary":
        this.#binary(inst);
        return;
      case "ptradd":
        this.#ptradd(inst);
        return;
      case "ptrsub": {
        const [a, b] = inst.args as [Inst, Inst];
        const left = this.#use(a);
        this.#emit("alu", op.ALU64 | op.SUB | op.X, { dst: this.#define(inst), a: left, b: this.#use(b) });
        return;
      }
      case "neg": {
        const dst = this.#define(inst);
        const isLost = inst.type === "i32" && this.#extended.has(inst);
        const to = isLost ? this.#fresh() : dst;
        this.#emit("alu", this.#class(inst) | op.NEG, { dst: to, a: this.#use(inst.args[0] as Inst) });
        // Before 6.17 the verifier knows nothing of a negation.
        if (isLost) this.#move(dst, to, MOV32);
        return;
      }
      case "bswap":
      case "hton":
        this.#swap(inst);
        return;
      case "ext":
        this.#ext(inst);
        return;
      case "trunc":
        this.#move(this.#define(inst), this.#use(inst.args[0] as Inst), this.#copyOpcode(inst));
        return;
      case "load":
        this.#load(inst);
        return;
      case "store":
        this.#store(inst);
        return;
      case "atomic":
        this.#atomic(inst);
        return;
      case "helper":
      case "call":
      case "kfunc":
        this.#call(inst);
        return;
      case "core":
        this.#core(inst);
        return;
      default:
        throw new Error(`${inst.op} reached instruction selection`);
    }
  }

  #class(inst: Inst): number {
    return inst.type === "i32" ? op.ALU32 : op.ALU64;
  }

  /** The constant as an immediate of the width, or null. */
  #immediate(inst: Inst, wide: boolean): number | null {
    if (inst.op !== "const") return null;
    if (!wide) return Number(BigInt.asIntN(32, inst.value));
    const signed = BigInt.asIntN(64, inst.value);
    return fits32(signed) ? Number(signed) : null;
  }

  #binary(inst: InstOf<"binary">): void {
    let [a, b] = inst.args as [Inst, Inst];
    let { binary } = inst;
    if (a.op === "const" && b.op !== "const" && COMMUTATIVE.has(binary)) [a, b] = [b, a];
    const wide = inst.type !== "i32";
    const dst = this.#define(inst);
    if (b.op === "const" && wide && binary === "and" && b.value <= 0xffff_ffffn) {
      this.#mask(dst, a, b.value);
      return;
    }
    let imm = this.#immediate(b, wide);
    if (imm !== null && binary === "sub" && imm !== -0x8000_0000) [binary, imm] = ["add", -imm];
    // The verifier refuses division by an immediate 0 and shifts beyond the width.
    if (imm === 0 && ["udiv", "umod", "sdiv", "smod"].includes(binary)) imm = null;
    if (imm !== null && ["shl", "lshr", "ashr"].includes(binary)) imm &= wide ? 63 : 31;
    const opcode = this.#class(inst) | (ALU_OF[binary] as number);
    const offset = binary === "sdiv" || binary === "smod" ? 1 : 0;
    const left = this.#use(a);
    const isLost = this.#extended.has(inst) && losesWidth(inst);
    const to = isLost ? this.#fresh() : dst;
    if (imm !== null) this.#emit("alu", opcode, { dst: to, a: left, imm, offset });
    else this.#emit("alu", opcode | op.X, { dst: to, a: left, b: this.#use(b), offset });
    if (isLost) this.#move(dst, to, MOV32);
  }

  /** A mask of at most 32 bits is a 32-bit operation, and no operation but a move where it is all of them. */
  #mask(dst: Reg, a: Inst, mask: bigint): void {
    if (mask === 0xffff_ffffn) this.#move(dst, this.#use(a), MOV32);
    else this.#emit("alu", op.ALU32 | op.AND, { dst, a: this.#use(a), imm: Number(BigInt.asIntN(32, mask)) });
  }

  #ptradd(inst: InstOf<"ptradd">): void {
    // Those that only addresses use are folded into them.
    if (this.#isFolded(inst)) return;
    const [pointer, by] = inst.args as [Inst, Inst];
    const dst = this.#define(inst);
    if (pointer.op === "map") {
      this.#nameArena(pointer.map);
      this.#move(dst, this.#use(by));
      return;
    }
    const imm = this.#immediate(by, true);
    if (imm !== null) {
      const { root, offset } = this.#strip(inst);
      if (fits32(BigInt(offset))) {
        this.#emit("alu", op.ALU64 | op.ADD, { dst, a: this.#use(root), imm: offset });
        return;
      }
    }
    const base = this.#use(pointer);
    if (by.op === "core" && by.core.local < 1n << 31n) {
      // Patched in the addition itself: the verifier loses a reference that is added to a number.
      const { typeId, access, local } = by.core;
      const core = { typeId, access, kind: by.kind };
      this.#emit("alu", op.ALU64 | op.ADD, { dst, a: base, imm: Number(local), core });
      return;
    }
    this.#emit("alu", op.ALU64 | op.ADD | op.X, { dst, a: base, b: this.#index(by) });
  }

  /**
   * The verifier keeps by how much a sum is apart from what it was made of, and refuses a distance of 2^29 as if the index itself were as large
   * (check_reg_sane_offset looks at the `off` of linked scalars). A move of what is below 2^32, as each index is, forgets it.
   */
  #index(by: Inst): Reg {
    const sum = by.op === "ext" && by.from === 32 && !by.signed ? (by.args[0] as Inst) : by;
    const reg = this.#use(by);
    if (sum.op !== "binary" || sum.binary !== "add" || possibleBits(sum) < FARTHEST) return reg;
    const constant = sum.args.find((arg) => arg.op === "const");
    if (constant ? !mayBeFar(constant) : !sum.args.some(mayBeFar)) return reg;
    const near = this.#fresh();
    this.#move(near, reg, MOV32);
    return near;
  }

  /** The verifier takes casts only of a program that names its arena. */
  #nameArena(map: string): void {
    if (this.#arenas.has(map)) return;
    this.#arenas.add(map);
    this.#emit("lddw", op.LDDW, { dst: this.#fresh(), ref: { kind: "map", map }, keep: true });
  }

  /** An address of user space as one that this program reads through (BPF_ADDR_SPACE_CAST from 1 to 0): once in a block. */
  #cast(address: Address): Address {
    const key = `a${address.base}`;
    const known = this.#cache.get(key);
    const reg = known?.reg ?? this.#fresh();
    if (!known) {
      this.#emit("mov", MOV64 | op.X, { dst: reg, a: address.base, offset: 1, imm: 1 });
      this.#cache.set(key, { reg, base: 0 });
    }
    return { ...address, base: reg };
  }

  #swap(inst: InstOf<"bswap"> | InstOf<"hton">): void {
    const dst = this.#define(inst);
    const a = inst.args[0] as Inst;
    const isBig = this.#target.byteOrder === "big";
    if (inst.op === "hton" && isBig) {
      if (inst.bits === 16) this.#emit("alu", op.ALU32 | op.AND, { dst, a: this.#use(a), imm: 0xffff });
      else this.#move(dst, this.#use(a), inst.bits === 32 ? MOV32 : MOV64);
    } else this.#emit("alu", isBig ? op.TO_LE : op.TO_BE, { dst, a: this.#use(a), imm: inst.bits });
  }

  #ext(inst: InstOf<"ext">): void {
    const dst = this.#define(inst);
    const a = inst.args[0] as Inst;
    const { from, signed } = inst;
    if (from === 32 && (inst.type === "i32" || (!signed && a.type === "i32"))) {
      const dirty = inst.type === "i64" && this.#isDirty(a);
      this.#move(dst, this.#use(a), dirty || (inst.type === "i32" && a.type === "i64") ? MOV32 : MOV64);
    } else if (!signed) this.#mask(dst, a, (1n << BigInt(from)) - 1n);
    else if (this.#target.cpu >= 4) {
      this.#emit("mov", this.#class(inst) | op.MOV | op.X, { dst, a: this.#use(a), offset: from });
    } else {
      const width = inst.type === "i32" ? 32 : 64;
      const up = this.#fresh();
      const imm = width - from;
      this.#emit("alu", this.#class(inst) | op.LSH, { dst: up, a: this.#use(a), imm });
      this.#emit("alu", this.#class(inst) | op.ARSH, { dst, a: up, imm });
    }
  }

  /** The address of an access; with CO-RE the patched offset stands in the instruction alone. */
  #access(inst: InstOf<"load"> | InstOf<"store">): { address: Address; core: MInst["core"] } {
    const pointer = inst.args[0] as Inst;
    if (inst.core === undefined) {
      const address = this.#address(pointer, inst.offset);
      return { address: inst.space === "arena" ? this.#cast(address) : address, core: undefined };
    }
    const local = Number(inst.core.local);
    const core = { typeId: inst.core.typeId, access: inst.core.access, kind: 0 };
    const rest = inst.offset - local;
    let base = this.#use(pointer);
    if (rest !== 0) {
      const moved = this.#fresh();
      this.#emit("alu", op.ALU64 | op.ADD, { dst: moved, a: base, imm: rest });
      base = moved;
    }
    return { address: { base, slot: -1, offset: local }, core };
  }

  #load(inst: InstOf<"load">): void {
    const { address, core } = this.#access(inst);
    const extends_ = inst.signed && inst.size * 8 < (inst.type === "i32" ? 32 : 64);
    const native = extends_ && this.#target.cpu >= 4;
    const mode = native ? op.MODE_MEMSX : op.MODE_MEM;
    const isLong = extends_ && !native;
    const dst = isLong ? this.#fresh() : this.#define(inst);
    const { base: a, slot, offset } = address;
    this.#emit("load", op.LDX | mode | op.SIZE[inst.size], {
      dst,
      a,
      slot,
      offset,
      core,
      keep: inst.volatile,
      space: inst.space,
    });
    if (!isLong) {
      // What reads all 64 bits must not see the sign.
      if (native && inst.type === "i32" && this.#cleaned.has(inst)) {
        const raw = this.#fresh();
        (this.#out.at(-1) as MInst).dst = raw;
        this.#move(dst, raw, MOV32);
      }
      return;
    }
    const up = this.#fresh();
    const imm = (inst.type === "i32" ? 32 : 64) - inst.size * 8;
    this.#emit("alu", this.#class(inst) | op.LSH, { dst: up, a: dst, imm });
    this.#emit("alu", this.#class(inst) | op.ARSH, { dst: this.#define(inst), a: up, imm });
  }

  #store(inst: InstOf<"store">): void {
    const value = inst.args[1] as Inst;
    const imm = this.#storedImmediate(inst, value);
    const b = imm === null ? this.#use(value) : NONE;
    const { address, core } = this.#access(inst);
    const { base: a, slot, offset } = address;
    const cls = imm === null ? op.STX : op.ST;
    this.#emit("store", cls | op.MODE_MEM | op.SIZE[inst.size], {
      a,
      b,
      slot,
      offset,
      imm: imm ?? 0,
      core,
      space: inst.space,
    });
  }

  #storedImmediate(inst: InstOf<"store">, value: Inst): number | null {
    if (value.op !== "const" || this.#cache.has(`c${value.value}`)) return null;
    if (this.#storedAgain(inst, value)) return null;
    const signed = BigInt.asIntN(inst.size * 8, value.value);
    return fits32(signed) ? Number(signed) : null;
  }

  /** Whether the constant is stored again before a call: then a register is shorter than two immediates. */
  #storedAgain(inst: InstOf<"store">, value: InstOf<"const">): boolean {
    const insts = this.#current;
    for (let i = insts.indexOf(inst) + 1; i < insts.length; i++) {
      const later = insts[i] as Inst;
      if (isCall(later)) return false;
      const stored = later.op === "store" ? later.args[1] : undefined;
      if (stored?.op === "const" && stored.value === value.value) return true;
    }
    return false;
  }

  #atomic(inst: InstOf<"atomic">): void {
    const { atomic, fetch } = inst;
    if (this.#target.cpu < 3 && (fetch || atomic !== "add")) {
      const message = `atomic ${atomic}${fetch ? " with result" : ""} needs instruction set v3`;
      this.diagnostics.push(problem("SKEP2007", message, { loc: inst.loc }));
    }
    const opcode = op.STX | op.MODE_ATOMIC | op.SIZE[inst.size];
    const imm = op.ATOMIC[atomic] | (fetch ? op.FETCH : 0);
    const values = inst.args.slice(1).map((arg) => this.#use(arg));
    const address = this.#address(inst.args[0] as Inst, inst.offset);
    const { base: a, slot, offset } = inst.space === "arena" ? this.#cast(address) : address;
    const place = { a, slot, offset, imm };
    if (atomic === "cmpxchg") {
      this.#move(R0, values[0] as Reg);
      this.#emit("atomic", opcode, { ...place, dst: R0, b: values[1] as Reg });
      // A 32-bit cmpxchg zero-extends r0 (kernel: insn_def_regno of BPF_CMPXCHG).
      this.#move(this.#define(inst), R0);
    } else this.#emit("atomic", opcode, { ...place, dst: fetch ? this.#define(inst) : NONE, b: values[0] as Reg });
  }

  #call(inst: InstOf<"helper"> | InstOf<"call"> | InstOf<"kfunc">): void {
    if (inst.args.length > 5) {
      this.diagnostics.push(problem("SKEP2004", "a call passes at most 5 arguments", { loc: inst.loc }));
    }
    const inRegister = (arg: Inst): boolean => arg.op !== "const" && !isAddress(arg) && !this.#isFolded(arg);
    // Registers first: what is built from nothing needs none of them.
    for (const [i, arg] of inst.args.entries()) if (inRegister(arg)) this.#into(1 + i, arg);
    for (const [i, arg] of inst.args.entries()) if (!inRegister(arg)) this.#into(1 + i, arg);
    const opcode = op.JMP | op.CALL;
    const parts = callTarget(inst);
    this.#emit("call", opcode, { ...parts, count: inst.args.length });
    this.#cache = new Map();
    const isWanted = inst.type !== undefined && (this.#uses[inst.id] ?? 0) > 0;
    if (isWanted) this.#move(this.#define(inst), R0, this.#copyOpcode(inst));
  }

  #core(inst: InstOf<"core">): void {
    const dst = this.#define(inst);
    const { typeId, access, local } = inst.core;
    const core = { typeId, access, kind: inst.kind };
    const value = BigInt.asUintN(64, local);
    // Enum values may have 64 bits; all else is patched into a move.
    if (inst.kind === 10 || inst.kind === 11) {
      const immHigh = Number(BigInt.asIntN(32, value >> 32n));
      this.#emit("lddw", op.LDDW, { dst, imm: Number(BigInt.asIntN(32, value)), immHigh, core });
    } else this.#emit("mov", MOV64, { dst, imm: Number(BigInt.asIntN(32, value)), core });
  }
}

function callTarget(inst: InstOf<"helper"> | InstOf<"call"> | InstOf<"kfunc">): Partial<MInst> {
  if (inst.op === "helper") return { imm: inst.helper };
  if (inst.op === "call") return { imm: -1, ref: { kind: "call", function: inst.function } };
  return { imm: -1, ref: { kind: "kfunc", name: inst.kfunc, weak: inst.weak, typeId: inst.typeId } };
}

function isCall(inst: Inst): boolean {
  return inst.op === "helper" || inst.op === "call" || inst.op === "kfunc";
}

/** Results of calls, and phis of them and constants. */
function isPassedOn(value: Inst): boolean {
  if (value.op !== "phi") return isCall(value);
  return value.args.every((arg) => isCall(arg) || arg.op === "const") && value.args.some(isCall);
}

/** Addresses that are made where they are used. */
function isAddress(inst: Inst): boolean {
  return inst.op === "stack" || inst.op === "map" || inst.op === "data" || inst.op === "function" || inst.op === "ksym";
}

/** Of what these give in 32 bits the verifier does not even know that it has no more (is_safe_to_compute_dst_reg_range). */
function losesWidth(inst: InstOf<"binary">): boolean {
  if (inst.type !== "i32") return false;
  if (["udiv", "umod", "sdiv", "smod"].includes(inst.binary)) return true;
  return ["shl", "lshr", "ashr"].includes(inst.binary) && inst.args[1]?.op !== "const";
}

/** Whether the verifier may know the value, and that it is large. */
function mayBeFar(value: Inst): boolean {
  if (value.op !== "const") return possibleBits(value) >= FARTHEST && mayBeKnown(value, 6);
  const distance = BigInt.asIntN(value.type === "i32" ? 32 : 64, value.value);
  return distance >= FARTHEST || distance <= -FARTHEST;
}

/** Whether a value may be a constant to the verifier: made of constants, of read-only data, of what lies on the stack or a function gives. */
function mayBeKnown(value: Inst, depth: number): boolean {
  if (depth === 0) return true;
  switch (value.op) {
    case "load":
      return value.space === "data" || value.space === "stack" || value.space === "unknown";
    case "helper":
    case "kfunc":
    case "atomic":
      return false;
    case "phi":
      return value.args.some((arg) => mayBeKnown(arg, depth - 1));
    default:
      return value.args.every((arg) => mayBeKnown(arg, depth - 1));
  }
}

/** The value below steps by a constant and copies: the verifier knows one by the other. */
function stepped(value: Inst): Inst {
  const [a, b] = value.args;
  if (!a) return value;
  const isStep = value.op === "binary" && (value.binary === "add" || value.binary === "sub") && b?.op === "const";
  const isCopy = value.op === "trunc" || (value.op === "ext" && value.from === 32 && !value.signed);
  return isStep || isCopy ? stepped(a) : value;
}

/** Uses by terminators too. */
export function usesOf(block: Block): Inst[] {
  return [...block.insts.flatMap((inst) => inst.args), ...terminatorArgs(block.terminator)];
}
