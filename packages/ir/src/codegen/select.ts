/**
 * @module
 * Instruction selection: legal IR in SSA form to machine IR on virtual registers.
 *
 * 32-bit values lie zero-extended in their 64-bit registers ("clean"), as every 32-bit instruction leaves them. `trunc`, parameters and
 * results of calls are copies whose upper half is whatever it was; they are cleaned where they are defined if anything asks for it:
 * then check and use share the register, as the kernel's verifier wants.
 */
import type { Diagnostic } from "@skep/isa";
import { buildCfg, findLoops } from "../analysis/cfg.ts";
import type { Cfg } from "../analysis/cfg.ts";
import type { Block, Inst, IrFunction, Predicate, Terminator } from "../ir.ts";
import { SWAPPED } from "../predicate.ts";
import type { Target } from "./legalize.ts";
import { NONE, R0 } from "./mir.ts";
import type { MBlock, MFunction, Reg } from "./mir.ts";
import * as op from "./opcodes.ts";
import { sequentialize } from "./parallel-copy.ts";
import type { Copy } from "./parallel-copy.ts";
import { selectBinary, selectExt, selectNeg, selectPtradd, selectSwap } from "./select/arithmetic.ts";
import { selectCall, selectCore } from "./select/calls.ts";
import { selectAtomic, selectLoad, selectStore } from "./select/memory.ts";
import { Selection } from "./select/selection.ts";
import { isAddress, stepped } from "./select/values.ts";

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

/** Selects instructions of one function. */
export function selectFunction(fn: IrFunction, target: Target): { code: MFunction; diagnostics: Diagnostic[] } {
  return new Selector(fn, target).run();
}

class Selector {
  readonly #fn: IrFunction;
  readonly #cfg: Cfg;
  readonly #selection: Selection;
  readonly #blocks = new Map<Block, MBlock>();
  /** What a loop carries on, and what it begins with. */
  readonly #carried = new Set<Inst>();

  constructor(fn: IrFunction, target: Target) {
    this.#fn = fn;
    this.#cfg = buildCfg(fn);
    this.#selection = new Selection(fn, this.#cfg.order, target);
  }

  run(): { code: MFunction; diagnostics: Diagnostic[] } {
    const { order } = this.#cfg;
    const { code, diagnostics } = this.#selection;
    const loops = findLoops(this.#cfg);
    for (const block of order) {
      const depth = loops.of.get(block)?.depth ?? 0;
      const made: MBlock = { id: block.id, insts: [], terminator: { kind: "exit", value: false }, depth, cold: false };
      this.#blocks.set(block, made);
      code.blocks.push(made);
    }
    this.#findCarried(loops.loops.map(({ header }) => header));
    for (const block of order) this.#block(block);
    return { code, diagnostics };
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

  #block(block: Block): void {
    const s = this.#selection;
    const code = this.#blocks.get(block) as MBlock;
    s.out = code.insts;
    s.current = block.insts;
    s.cache.clear();
    for (const inst of block.insts) {
      s.loc = inst.loc;
      this.#inst(inst);
    }
    const terminator = block.terminator as Terminator;
    s.loc = terminator.loc;
    this.#terminator(block, code, terminator);
  }

  #terminator(block: Block, code: MBlock, terminator: Terminator): void {
    const s = this.#selection;
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
        if (value) s.into(R0, value);
        else if (this.#fn.program) s.constant(R0, 0n, 64);
        code.terminator = { kind: "exit", value: value !== undefined || this.#fn.program !== undefined, loc };
        return;
      }
      default:
        // Never reached; the verifier wants an end all the same.
        s.constant(R0, 0n, 64);
        code.terminator = { kind: "exit", value: true, loc };
    }
  }

  #branch(code: MBlock, terminator: Extract<Terminator, { op: "branch" }>): void {
    const s = this.#selection;
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
    const imm = s.immediate(b, wide);
    const left = s.use(a);
    const right = imm === null ? s.use(b) : NONE;
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
    const s = this.#selection;
    if ((predicate !== "eq" && predicate !== "ne") || b.op !== "const" || b.value !== 0n) return null;
    if (a.op !== "binary" || a.binary !== "and" || s.uses[a.id] !== 1) return null;
    const [tested, mask] = a.args as [Inst, Inst];
    return this.#carried.has(stepped(tested)) ? null : [tested, mask];
  }

  #phiCopies(from: Block, to: Block): void {
    const s = this.#selection;
    const copies: Copy[] = [];
    const late: { dst: Reg; value: Inst }[] = [];
    for (const phi of to.insts) {
      if (phi.op !== "phi") break;
      const value = phi.args[phi.blocks.indexOf(from)] as Inst;
      const dst = s.define(phi);
      if (value.op === "const" || isAddress(value) || s.isFolded(value)) late.push({ dst, value });
      else copies.push({ dst, src: s.use(value) });
    }
    for (const { dst, src } of sequentialize(copies, () => s.fresh())) s.move(dst, src);
    for (const { dst, value } of late) s.into(dst, value);
  }

  #inst(inst: Inst): void {
    const s = this.#selection;
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
        s.move(s.define(inst), 1 + inst.index, s.widths.copyOpcode(inst));
        return;
      case "binary":
        selectBinary(s, inst);
        return;
      case "ptradd":
        selectPtradd(s, inst);
        return;
      case "ptrsub": {
        const [a, b] = inst.args as [Inst, Inst];
        const left = s.use(a);
        s.emit("alu", op.ALU64 | op.SUB | op.X, { dst: s.define(inst), a: left, b: s.use(b) });
        return;
      }
      case "neg":
        selectNeg(s, inst);
        return;
      case "bswap":
      case "hton":
        selectSwap(s, inst);
        return;
      case "ext":
        selectExt(s, inst);
        return;
      case "trunc":
        s.move(s.define(inst), s.use(inst.args[0] as Inst), s.widths.copyOpcode(inst));
        return;
      case "load":
        selectLoad(s, inst);
        return;
      case "store":
        selectStore(s, inst);
        return;
      case "atomic":
        selectAtomic(s, inst);
        return;
      case "helper":
      case "call":
      case "kfunc":
        selectCall(s, inst);
        return;
      case "core":
        selectCore(s, inst);
        return;
      default:
        throw new Error(`${inst.op} reached instruction selection`);
    }
  }
}
