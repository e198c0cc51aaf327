/**
 * @module
 * One function of a program as one function of WebAssembly. Blocks are nested along the dominator tree, so that every jump is a branch out of
 * a block or to a loop's start (N. Ramsey: Beyond Relooper, 2022). Flow that has no such form goes through a loop that selects the next block.
 */
import { LDDW, insnClass, jmpBits } from "@skep/isa";
import { FRAME_BYTES, MAX_LOOPS, cells } from "../layout.ts";
import { Body } from "../wasm/module.ts";
import { op, valueType } from "../wasm/opcodes.ts";
import { planAccesses } from "./accesses.ts";
import type { Plan } from "./accesses.ts";
import { emitArithmetic } from "./arithmetic.ts";
import { emitCall, inlineLookup, isQuiet, writesOf } from "./calls.ts";
import { buildGraph, flowOf } from "./cfg.ts";
import type { Block, Graph } from "./cfg.ts";
import { emitTrap } from "./frame.ts";
import type { Frame, ModuleContext } from "./frame.ts";
import { boundsKey, emitAccess, emitPacketLoad, forgetBounds } from "./memory-access.ts";
import { provenance, step } from "./provenance.ts";
import type { ProvenanceOptions, State } from "./provenance.ts";

/** Parameters r1 to r5 and r10, then r0 and r6 to r9. */
const REGISTERS = [6, 0, 1, 2, 3, 4, 7, 8, 9, 10, 5] as const;

export interface FunctionOptions {
  readonly entry: number;
  /** r1 is the context, of which so many bytes may be read. */
  readonly contextBytes: number | null;
  readonly isFixed: (address: number, size: number, write: boolean) => boolean;
}

export function compileFunction(module: ModuleContext, options: FunctionOptions): Body {
  return new FunctionEmitter(module, options).run();
}

class FunctionEmitter {
  private readonly frame: Frame;
  private readonly graph: Graph;
  private readonly states: readonly State[];
  private readonly known: ProvenanceOptions;
  private readonly body = new Body(6);
  private readonly entry: number;
  /** Where a branch to a block goes: the depth at which its block or loop was opened. */
  private readonly levels = new Map<number, number>();
  /** Irreducible flow: the block that comes next, and the depth of the loop; -1 otherwise. */
  private selector = -1;
  private selectLevel = -1;

  constructor(module: ModuleContext, options: FunctionOptions) {
    const { code } = module;
    const { body } = this;
    this.entry = options.entry;
    this.graph = buildGraph(code, options.entry);
    const host = { code, module };
    this.known = { mapOf: module.mapOf, writes: (pc) => writesOf(host, pc) };
    this.states = provenance(code, this.graph, { ...this.known, isProgram: options.contextBytes !== null });
    const plans = planAccesses(code, this.graph, {
      states: this.states,
      options: {
        ...this.known,
        checked: module.checked,
        contextBytes: options.contextBytes ?? 0,
        inlined: (pc, state) => {
          const how = inlineLookup(host, pc, state);
          return how === null ? null : { pc, register: 2, offset: 0, size: how.keySize, write: false };
        },
        isQuiet: (pc, state) => isQuiet(host, pc, state),
        isFixed: options.isFixed,
      },
    });
    for (let i = 0; i < 5; i++) body.local(valueType.i64);
    this.frame = this.makeFrame(module, plans);
  }

  private makeFrame(module: ModuleContext, plans: ReadonlyMap<number, Plan>): Frame {
    const { body, graph } = this;
    const stack = body.local(valueType.i32);
    const bounds = new Map<string, { low: number; high: number; inLoop: boolean }>();
    let depth = 0;
    for (const plan of plans.values()) {
      if (plan.how === "frame") depth = Math.max(depth, -plan.offset);
      if (plan.how !== "check" || bounds.has(boundsKey(plan.cluster))) continue;
      const { inLoop } = plan.cluster;
      bounds.set(boundsKey(plan.cluster), {
        ...{ low: body.local(valueType.i64), high: body.local(valueType.i64), inLoop },
      });
    }
    const hasLoop = graph.loops.includes(1);
    const scratch = new Map<string, number>();
    return {
      ...{ module, code: module.code, body, plans, stack, bounds },
      state: [...(this.states[0] ?? [])],
      registers: REGISTERS,
      fuel: module.checked && hasLoop ? body.local(valueType.i32) : -1,
      rounds: this.hasMayGoto(module) ? body.local(valueType.i32) : -1,
      depth: Math.ceil(depth / 32) * 32,
      scratch: (type, number = 0) => {
        const key = `${type}${number}`;
        const known = scratch.get(key) ?? body.local(valueType[type]);
        scratch.set(key, known);
        return known;
      },
    };
  }

  private hasMayGoto(module: ModuleContext): boolean {
    return this.graph.blocks.some(({ end }) => module.code.opcode[end - 1] === (insnClass.jmp | jmpBits.jcond));
  }

  run(): Body {
    const { body, graph, frame } = this;
    body.get(REGISTERS[10]).op(op.i32WrapI64).i32(FRAME_BYTES).op(op.i32Sub).set(frame.stack);
    forgetBounds(frame);
    this.emitEntry();
    if (graph.reducible) this.emitTree(0);
    else this.emitSelection();
    body.op(op.unreachable);
    return body;
  }

  private emitEntry(): void {
    const { body, frame } = this;
    if (frame.module.checked && frame.depth > 0) {
      body
        .i32(0)
        .memory(op.i32Load, cells.depth)
        .i32(FRAME_BYTES - frame.depth)
        .op(op.i32GtS)
        .if();
      emitTrap(frame, { pc: this.entry, kind: "stack", message: "more than 512 bytes of stack in all frames" });
      body.end();
    }
    if (frame.fuel >= 0) body.i32(0).memory(op.i32Load, cells.fuel).set(frame.fuel);
  }

  // ---- structure ----

  /** A block and what it dominates. Flow never goes on behind what is emitted. */
  private emitTree(root: number): void {
    const { body, graph } = this;
    const open = body.depth;
    for (let at = root; ;) {
      if (graph.loops[at] === 1) {
        this.levels.set(at, body.depth);
        body.loop();
      }
      const merges = (graph.dominated[at] ?? []).filter((child) => graph.merges[child] === 1).reverse();
      for (const merge of merges) {
        this.levels.set(merge, body.depth);
        body.block();
      }
      const next = this.emitBlock(at);
      const last = merges.shift();
      if (last === undefined) {
        if (next < 0) break;
        at = next;
        continue;
      }
      if (next >= 0) this.emitTree(next);
      for (const merge of merges.reverse()) {
        body.end();
        this.emitTree(merge);
      }
      body.end();
      at = last;
    }
    while (body.depth > open) body.end();
  }

  /** The block's instructions and its end; gives a block that has to be emitted right behind, -1 where there is none. */
  private emitBlock(index: number): number {
    const block = this.graph.blocks[index];
    if (block === undefined) throw new Error(`no block ${index}`);
    const { frame } = this;
    const { code } = frame.module;
    frame.state = [...(this.states[index] ?? [])];
    for (let pc = block.start; pc < block.end; pc++) {
      if (flowOf(code, pc) === "next") this.emitInstruction(pc);
      step(code, pc, frame.state, this.known);
    }
    return this.emitEnd(block);
  }

  private emitEnd(block: Block): number {
    const { frame, body } = this;
    const last = block.end - 1;
    switch (flowOf(frame.code, last)) {
      case "end":
        this.emitExit(last);
        return -1;
      case "branch":
        return this.emitBranch(block, last);
      default: {
        const to = block.next[0] ?? -1;
        if (to < 0)
          this.emitLost(frame.code.target[last] === -1 && flowOf(frame.code, last) === "goto" ? last : block.end);
        else if (this.isBranchTarget(block.index, to)) this.emitJump(block, to);
        else return to;
        body.op();
        return -1;
      }
    }
  }

  private emitExit(pc: number): void {
    const { frame, body } = this;
    const opcode = frame.code.opcode[pc] ?? 0;
    if ((opcode & 0xf0) !== jmpBits.exit || (opcode & 7) !== insnClass.jmp) {
      const message = `there is no instruction 0x${opcode.toString(16).padStart(2, "0")}`;
      emitTrap(frame, { pc, kind: "opcode", message });
      return;
    }
    if (frame.fuel >= 0) body.i32(0).get(frame.fuel).memory(op.i32Store, cells.fuel);
    body.get(REGISTERS[0]).op(op.return);
  }

  /** To no instruction. */
  private emitLost(pc: number): void {
    const message = pc >= this.frame.code.count ? "the end of the program" : "a jump to no instruction";
    emitTrap(this.frame, { pc, kind: "jump", message });
  }

  private isBranchTarget(from: number, to: number): boolean {
    return this.selector >= 0 || to <= from || this.graph.merges[to] === 1;
  }

  /** Leaves for a block that is a merge or a loop. */
  private emitJump(from: Block, to: number): void {
    const { body } = this;
    if (to <= from.index) this.emitFuel(from, to);
    if (this.selector >= 0) {
      body.i32(to).set(this.selector).br(this.selectLevel);
      return;
    }
    body.br(this.levels.get(to) ?? 0);
  }

  /** Counts a round of a loop. */
  private emitFuel(from: Block, to: number): void {
    const { frame, body } = this;
    if (frame.fuel < 0) return;
    const start = this.graph.blocks[to]?.start ?? from.start;
    const count = Math.max(1, from.end > start ? from.end - start : from.end - from.start);
    body.get(frame.fuel).i32(count).op(op.i32Sub).tee(frame.fuel).i32(0).op(op.i32LtS).if();
    emitTrap(frame, { pc: from.end - 1, kind: "budget", message: "more instructions than the budget allows" });
    body.end();
  }

  private emitBranch(block: Block, pc: number): number {
    const { body } = this;
    const [taken = -1, behind = -1] = block.next;
    this.emitCondition(pc);
    const plain = (to: number): boolean =>
      to >= 0 && this.isBranchTarget(block.index, to) && this.selector < 0 && (to > block.index || this.frame.fuel < 0);
    if (plain(taken)) {
      body.brIf(this.levels.get(taken) ?? 0);
      return this.emitSide(block, behind, pc + 1);
    }
    if (plain(behind)) {
      body.op(op.i32Eqz).brIf(this.levels.get(behind) ?? 0);
      return this.emitSide(block, taken, pc);
    }
    body.if();
    const inner = this.emitSide(block, taken, pc);
    if (inner >= 0) this.emitTree(inner);
    body.end();
    return this.emitSide(block, behind, pc + 1);
  }

  /** One way on; gives the block that has to follow, if it is not reached by a branch. */
  private emitSide(block: Block, to: number, pc: number): number {
    if (to < 0) {
      this.emitLost(pc);
      return -1;
    }
    if (!this.isBranchTarget(block.index, to)) return to;
    this.emitJump(block, to);
    return -1;
  }

  /** A loop with a table of all blocks. */
  private emitSelection(): void {
    const { body, graph } = this;
    const count = graph.blocks.length;
    this.selector = body.local(valueType.i32);
    this.selectLevel = body.depth;
    body.loop();
    const base = body.depth;
    for (let i = 0; i < count; i++) body.block();
    // Block i starts behind the end of the i-th innermost one.
    const levels = Array.from({ length: count }, (_, i) => base + count - 1 - i);
    body.get(this.selector).brTable(levels, levels[0] ?? base);
    for (let i = 0; i < count; i++) {
      body.end();
      this.emitBlock(i);
    }
    body.end();
  }

  // ---- instructions ----

  private emitInstruction(pc: number): void {
    const { frame, body } = this;
    const { code } = frame;
    const opcode = code.opcode[pc] ?? 0;
    switch (opcode & 7) {
      case insnClass.alu64:
        emitArithmetic(frame, pc, true);
        return;
      case insnClass.alu:
        emitArithmetic(frame, pc, false);
        return;
      case insnClass.ld:
        if (opcode === LDDW) {
          body.i64(code.imm[pc] ?? 0, code.high[pc] ?? 0).set(frame.registers[code.dst[pc] ?? 0] ?? 0);
        } else emitPacketLoad(frame, pc);
        return;
      case insnClass.jmp:
        emitCall(frame, pc);
        return;
      case insnClass.jmp32:
        emitTrap(frame, { pc, kind: "opcode", message: `there is no jump 0x${opcode.toString(16)}` });
        return;
      default:
        emitAccess(frame, pc);
    }
  }

  /** Leaves 1 on the stack where the jump is taken. */
  private emitCondition(pc: number): void {
    const { frame, body } = this;
    const { code, registers } = frame;
    const opcode = code.opcode[pc] ?? 0;
    const bits = opcode & 0xf0;
    const wide = (opcode & 7) === insnClass.jmp;
    if (wide && bits === jmpBits.jcond) {
      this.emitMayGoto();
      return;
    }
    const compare = (wide ? compare64 : compare32)[bits];
    if (compare === undefined) {
      emitTrap(frame, { pc, kind: "opcode", message: `there is no jump 0x${opcode.toString(16)}` });
      body.i32(0);
      return;
    }
    const cut = (): void => {
      if (!wide) body.op(op.i32WrapI64);
    };
    body.get(registers[code.dst[pc] ?? 0] ?? 0);
    cut();
    if ((opcode & 8) !== 0) {
      body.get(registers[code.src[pc] ?? 0] ?? 0);
      cut();
    } else if (wide) body.i64(code.imm[pc] ?? 0);
    else body.i32(code.imm[pc] ?? 0);
    body.op(compare);
    if (bits === jmpBits.jset) body.op(...(wide ? [op.i64Eqz, op.i32Eqz] : [op.i32Eqz, op.i32Eqz]));
  }

  /** `may_goto`: goes on for MAX_LOOPS rounds of the function, then is taken. */
  private emitMayGoto(): void {
    const { frame, body } = this;
    body.get(frame.rounds).i32(1).op(op.i32Add).tee(frame.rounds).i32(MAX_LOOPS).op(op.i32GtS);
  }
}

const compare64: Readonly<Record<number, number>> = {
  [jmpBits.jeq]: op.i64Eq,
  [jmpBits.jne]: op.i64Ne,
  [jmpBits.jset]: op.i64And,
  [jmpBits.jgt]: op.i64GtU,
  [jmpBits.jge]: op.i64GeU,
  [jmpBits.jlt]: op.i64LtU,
  [jmpBits.jle]: op.i64LeU,
  [jmpBits.jsgt]: op.i64GtS,
  [jmpBits.jsge]: op.i64GeS,
  [jmpBits.jslt]: op.i64LtS,
  [jmpBits.jsle]: op.i64LeS,
};
const compare32: Readonly<Record<number, number>> = {
  [jmpBits.jeq]: op.i32Eq,
  [jmpBits.jne]: op.i32Ne,
  [jmpBits.jset]: op.i32And,
  [jmpBits.jgt]: op.i32GtU,
  [jmpBits.jge]: op.i32GeU,
  [jmpBits.jlt]: op.i32LtU,
  [jmpBits.jle]: op.i32LeU,
  [jmpBits.jsgt]: op.i32GtS,
  [jmpBits.jsge]: op.i32GeS,
  [jmpBits.jslt]: op.i32LtS,
  [jmpBits.jsle]: op.i32LeS,
};
