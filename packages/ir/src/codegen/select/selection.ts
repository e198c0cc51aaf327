/**
 * @module
 * What the rooms of selection share: the registers of a function's values, the instructions so far, addresses.
 */
import type { Diagnostic } from "@skep/isa";
import { useCounts } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import type { Block, Inst, IrFunction, Loc } from "../../ir.ts";
import type { Target } from "../legalize.ts";
import { FIRST_VIRTUAL, makeInst, R0, R10 } from "../mir.ts";
import type { MFunction, MInst, Reg } from "../mir.ts";
import * as op from "../opcodes.ts";
import { fits16, fits32, isAddress, isPassedOn } from "./values.ts";
import { MOV32, MOV64, Widths } from "./widths.ts";

/** Where memory is: a register or a stack object, and a displacement. */
export interface Address {
  readonly base: Reg;
  readonly slot: number;
  readonly offset: number;
}

export class Selection {
  readonly diagnostics: Diagnostic[] = [];
  readonly target: Target;
  readonly code: MFunction;
  readonly widths: Widths;
  readonly uses: Uint32Array;
  /** Constants and addresses at hand in this block since the last call. */
  readonly cache = new Map<string, { reg: Reg; base: number }>();
  /** Of the block that is selected: what comes out, and what goes in. */
  out: MInst[] = [];
  current: readonly Inst[] = [];
  loc: Loc | undefined;
  readonly #registers = new Map<Inst, Reg>();
  readonly #slots = new Map<Inst, number>();
  /** Arenas that the function's code names. */
  readonly #arenas = new Set<string>();

  /** `order`: the function's blocks. */
  constructor(fn: IrFunction, order: readonly Block[], target: Target) {
    this.target = target;
    this.code = { name: fn.name, blocks: [], registers: FIRST_VIRTUAL, slots: [] };
    this.uses = useCounts(fn);
    this.widths = new Widths(order, target.cpu);
  }

  fresh(): Reg {
    return this.code.registers++;
  }

  define(inst: Inst): Reg {
    const known = this.#registers.get(inst);
    if (known !== undefined) return known;
    const reg = this.fresh();
    this.#registers.set(inst, reg);
    return reg;
  }

  emit(kind: MInst["kind"], opcode: number, parts: Partial<MInst>): MInst {
    const inst = makeInst(kind, opcode, { ...parts, loc: this.loc });
    this.out.push(inst);
    return inst;
  }

  move(dst: Reg, a: Reg, opcode = MOV64): void {
    this.emit("mov", opcode | op.X, { dst, a });
  }

  /** Puts a constant into `dst` by the shortest way; `bits`: what counts of it. */
  constant(dst: Reg, value: bigint, bits: 32 | 64): void {
    const signed = BigInt.asIntN(64, value);
    if (bits === 32 || value <= 0xffff_ffffn) {
      // Zero-extends; small ones are the same in both widths and shorter in 32 bits.
      this.emit("mov", MOV32, { dst, imm: Number(BigInt.asIntN(32, value)) });
    } else if (fits32(signed)) this.emit("mov", MOV64, { dst, imm: Number(signed) });
    else {
      const imm = Number(BigInt.asIntN(32, value));
      this.emit("lddw", op.LDDW, { dst, imm, immHigh: Number(BigInt.asIntN(32, value >> 32n)) });
    }
  }

  /** A register that holds the value here. */
  use(inst: Inst): Reg {
    if (inst.op === "const") {
      const key = `c${inst.value}`;
      const cached = this.cache.get(key);
      if (cached) return cached.reg;
      const reg = this.fresh();
      this.constant(reg, inst.value, inst.type === "i32" ? 32 : 64);
      this.cache.set(key, { reg, base: 0 });
      return reg;
    }
    if (isAddress(inst) || this.isFolded(inst)) {
      const key = `a${inst.id}`;
      const cached = this.cache.get(key);
      if (cached) return cached.reg;
      const reg = this.fresh();
      this.into(reg, inst);
      this.cache.set(key, { reg, base: 0 });
      return reg;
    }
    return this.define(inst);
  }

  /** Puts the value into a given register: constants and addresses without a detour. */
  into(dst: Reg, inst: Inst): void {
    switch (inst.op) {
      case "const":
        this.constant(dst, inst.value, inst.type === "i32" ? 32 : 64);
        return;
      case "stack":
        this.emit("frame", MOV64, { dst, slot: this.slot(inst), offset: 0 });
        return;
      case "map":
        this.emit("lddw", op.LDDW, { dst, ref: { kind: "map", map: inst.map } });
        return;
      case "data":
        this.emit("lddw", op.LDDW, { dst, ref: { kind: "data", map: inst.section, offset: inst.offset } });
        return;
      case "function":
        this.emit("lddw", op.LDDW, { dst, ref: { kind: "function", function: inst.function } });
        return;
      case "ksym": {
        const { symbol: name, weak, typeId } = inst;
        const ref = { kind: "ksym", name, weak, ...(typeId === undefined ? {} : { typeId }) } as const;
        this.emit("lddw", op.LDDW, { dst, ref });
        return;
      }
      case "ptradd": {
        const { root, offset } = this.strip(inst);
        if (root.op === "stack") {
          this.emit("frame", MOV64, { dst, slot: this.slot(root), offset });
          return;
        }
        if (root.op === "data" && this.isFolded(inst)) {
          const ref = { kind: "data", map: root.section, offset: root.offset + offset } as const;
          this.emit("lddw", op.LDDW, { dst, ref });
          return;
        }
        break;
      }
      default:
        break;
    }
    const isPassed = dst === R0 && isPassedOn(inst);
    this.move(dst, this.use(inst), this.widths.isDirty(inst) && !isPassed ? MOV32 : MOV64);
  }

  slot(inst: InstOf<"stack">): number {
    const known = this.#slots.get(inst);
    if (known !== undefined) return known;
    const slot = this.code.slots.length;
    this.code.slots.push({ bytes: inst.bytes, spill: false, offset: 0, weight: 0 });
    this.#slots.set(inst, slot);
    return slot;
  }

  /** The pointer below constant steps, and their sum. */
  strip(pointer: Inst): { root: Inst; offset: number } {
    let [root, offset] = [pointer, 0];
    // A map that is moved is an address in an arena: the whole of it.
    while (root.op === "ptradd" && root.args[1]?.op === "const" && root.args[0]?.op !== "map") {
      offset += Number(BigInt.asIntN(64, root.args[1].value));
      root = root.args[0] as Inst;
    }
    return { root, offset };
  }

  /** A constant place in a stack object or data section: made where it is used. */
  isFolded(inst: Inst): boolean {
    if (inst.op !== "ptradd") return false;
    const { root, offset } = this.strip(inst);
    return root.op === "stack" || (root.op === "data" && root.offset + offset >= 0);
  }

  address(pointer: Inst, displacement: number): Address {
    const { root, offset } = this.strip(pointer);
    const total = offset + displacement;
    if (root.op === "stack") return { base: R10, slot: this.slot(root), offset: total };
    if (root.op === "data") return this.dataAddress(root, total);
    if (fits16(total)) return { base: this.use(root), slot: -1, offset: total };
    const base = this.fresh();
    this.emit("alu", op.ALU64 | op.ADD, { dst: base, a: this.use(root), imm: total });
    return { base, slot: -1, offset: 0 };
  }

  /** One address serves the section's nearby accesses of a block. */
  dataAddress(root: InstOf<"data">, displacement: number): Address {
    const key = `d${root.section}`;
    const at = root.offset + displacement;
    const cached = this.cache.get(key);
    if (cached && fits16(at - cached.base)) return { base: cached.reg, slot: -1, offset: at - cached.base };
    const reg = this.fresh();
    const base = Math.max(at, 0);
    this.emit("lddw", op.LDDW, { dst: reg, ref: { kind: "data", map: root.section, offset: base } });
    this.cache.set(key, { reg, base });
    return { base: reg, slot: -1, offset: at - base };
  }

  /** The verifier takes casts only of a program that names its arena. */
  nameArena(map: string): void {
    if (this.#arenas.has(map)) return;
    this.#arenas.add(map);
    this.emit("lddw", op.LDDW, { dst: this.fresh(), ref: { kind: "map", map }, keep: true });
  }

  /** An address of user space as one that this program reads through (BPF_ADDR_SPACE_CAST from 1 to 0): once in a block. */
  cast(address: Address): Address {
    const key = `a${address.base}`;
    const known = this.cache.get(key);
    const reg = known?.reg ?? this.fresh();
    if (!known) {
      this.emit("mov", MOV64 | op.X, { dst: reg, a: address.base, offset: 1, imm: 1 });
      this.cache.set(key, { reg, base: 0 });
    }
    return { ...address, base: reg };
  }

  aluClass(inst: Inst): number {
    return inst.type === "i32" ? op.ALU32 : op.ALU64;
  }

  /** The constant as an immediate of the width, or null. */
  immediate(inst: Inst, wide: boolean): number | null {
    if (inst.op !== "const") return null;
    if (!wide) return Number(BigInt.asIntN(32, inst.value));
    const signed = BigInt.asIntN(64, inst.value);
    return fits32(signed) ? Number(signed) : null;
  }
}
