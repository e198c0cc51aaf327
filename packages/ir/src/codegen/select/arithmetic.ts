/**
 * @module
 * Arithmetic: operands as immediates, operations of 32 bits, steps of pointers.
 */
import { possibleBits } from "../../analysis/bits.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";
import type { Reg } from "../mir.ts";
import * as op from "../opcodes.ts";
import type { Selection } from "./selection.ts";
import { FARTHEST, fits32, losesWidth, mayBeFar } from "./values.ts";
import { MOV32, MOV64 } from "./widths.ts";

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

export function selectBinary(s: Selection, inst: InstOf<"binary">): void {
  let [a, b] = inst.args as [Inst, Inst];
  let { binary } = inst;
  if (a.op === "const" && b.op !== "const" && COMMUTATIVE.has(binary)) [a, b] = [b, a];
  const wide = inst.type !== "i32";
  const dst = s.define(inst);
  if (b.op === "const" && wide && binary === "and" && b.value <= 0xffff_ffffn) {
    applyMask(s, dst, a, b.value);
    return;
  }
  let imm = s.immediate(b, wide);
  if (imm !== null && binary === "sub" && imm !== -0x8000_0000) [binary, imm] = ["add", -imm];
  // The verifier refuses division by an immediate 0 and shifts beyond the width.
  if (imm === 0 && ["udiv", "umod", "sdiv", "smod"].includes(binary)) imm = null;
  if (imm !== null && ["shl", "lshr", "ashr"].includes(binary)) imm &= wide ? 63 : 31;
  const opcode = s.aluClass(inst) | (ALU_OF[binary] as number);
  const offset = binary === "sdiv" || binary === "smod" ? 1 : 0;
  const left = s.use(a);
  const isLost = s.widths.isExtended(inst) && losesWidth(inst);
  const to = isLost ? s.fresh() : dst;
  if (imm !== null) s.emit("alu", opcode, { dst: to, a: left, imm, offset });
  else s.emit("alu", opcode | op.X, { dst: to, a: left, b: s.use(b), offset });
  if (isLost) s.move(dst, to, MOV32);
}

/** A mask of at most 32 bits is a 32-bit operation, and no operation but a move where it is all of them. */
function applyMask(s: Selection, dst: Reg, a: Inst, mask: bigint): void {
  if (mask === 0xffff_ffffn) s.move(dst, s.use(a), MOV32);
  else s.emit("alu", op.ALU32 | op.AND, { dst, a: s.use(a), imm: Number(BigInt.asIntN(32, mask)) });
}

export function selectPtradd(s: Selection, inst: InstOf<"ptradd">): void {
  // Those that only addresses use are folded into them.
  if (s.isFolded(inst)) return;
  const [pointer, by] = inst.args as [Inst, Inst];
  const dst = s.define(inst);
  if (pointer.op === "map") {
    s.nameArena(pointer.map);
    s.move(dst, s.use(by));
    return;
  }
  const imm = s.immediate(by, true);
  if (imm !== null) {
    const { root, offset } = s.strip(inst);
    if (fits32(BigInt(offset))) {
      s.emit("alu", op.ALU64 | op.ADD, { dst, a: s.use(root), imm: offset });
      return;
    }
  }
  const base = s.use(pointer);
  if (by.op === "core" && by.core.local < 1n << 31n) {
    // Patched in the addition itself: the verifier loses a reference that is added to a number.
    const { typeId, access, local } = by.core;
    const core = { typeId, access, kind: by.kind };
    s.emit("alu", op.ALU64 | op.ADD, { dst, a: base, imm: Number(local), core });
    return;
  }
  s.emit("alu", op.ALU64 | op.ADD | op.X, { dst, a: base, b: indexRegister(s, by) });
}

/**
 * The verifier keeps by how much a sum is apart from what it was made of, and refuses a distance of 2^29 as if the index itself were as large
 * (check_reg_sane_offset looks at the `off` of linked scalars). A move of what is below 2^32, as each index is, forgets it.
 */
function indexRegister(s: Selection, by: Inst): Reg {
  const sum = by.op === "ext" && by.from === 32 && !by.signed ? (by.args[0] as Inst) : by;
  const reg = s.use(by);
  if (sum.op !== "binary" || sum.binary !== "add" || possibleBits(sum) < FARTHEST) return reg;
  const constant = sum.args.find((arg) => arg.op === "const");
  if (constant ? !mayBeFar(constant) : !sum.args.some(mayBeFar)) return reg;
  const near = s.fresh();
  s.move(near, reg, MOV32);
  return near;
}

export function selectSwap(s: Selection, inst: InstOf<"bswap"> | InstOf<"hton">): void {
  const dst = s.define(inst);
  const a = inst.args[0] as Inst;
  const isBig = s.target.byteOrder === "big";
  if (inst.op === "hton" && isBig) {
    if (inst.bits === 16) s.emit("alu", op.ALU32 | op.AND, { dst, a: s.use(a), imm: 0xffff });
    else s.move(dst, s.use(a), inst.bits === 32 ? MOV32 : MOV64);
  } else s.emit("alu", isBig ? op.TO_LE : op.TO_BE, { dst, a: s.use(a), imm: inst.bits });
}

export function selectExt(s: Selection, inst: InstOf<"ext">): void {
  const dst = s.define(inst);
  const a = inst.args[0] as Inst;
  const { from, signed } = inst;
  if (from === 32 && (inst.type === "i32" || (!signed && a.type === "i32"))) {
    const dirty = inst.type === "i64" && s.widths.isDirty(a);
    s.move(dst, s.use(a), dirty || (inst.type === "i32" && a.type === "i64") ? MOV32 : MOV64);
  } else if (!signed) applyMask(s, dst, a, (1n << BigInt(from)) - 1n);
  else if (s.target.cpu >= 4) {
    s.emit("mov", s.aluClass(inst) | op.MOV | op.X, { dst, a: s.use(a), offset: from });
  } else {
    const width = inst.type === "i32" ? 32 : 64;
    const up = s.fresh();
    const imm = width - from;
    s.emit("alu", s.aluClass(inst) | op.LSH, { dst: up, a: s.use(a), imm });
    s.emit("alu", s.aluClass(inst) | op.ARSH, { dst, a: up, imm });
  }
}

export function selectNeg(s: Selection, inst: InstOf<"neg">): void {
  const dst = s.define(inst);
  const isLost = inst.type === "i32" && s.widths.isExtended(inst);
  const to = isLost ? s.fresh() : dst;
  s.emit("alu", s.aluClass(inst) | op.NEG, { dst: to, a: s.use(inst.args[0] as Inst) });
  // Before 6.17 the verifier knows nothing of a negation.
  if (isLost) s.move(dst, to, MOV32);
}
