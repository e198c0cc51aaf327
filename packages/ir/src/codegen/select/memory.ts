/**
 * @module
 * Accesses to memory.
 */
import { problem } from "../../codes.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";
import { NONE, R0 } from "../mir.ts";
import type { MInst, Reg } from "../mir.ts";
import * as op from "../opcodes.ts";
import type { Address, Selection } from "./selection.ts";
import { fits32, isCall } from "./values.ts";
import { MOV32 } from "./widths.ts";

export function selectLoad(s: Selection, inst: InstOf<"load">): void {
  const { address, core } = accessOf(s, inst);
  const extends_ = inst.signed && inst.size * 8 < (inst.type === "i32" ? 32 : 64);
  const native = extends_ && s.target.cpu >= 4;
  const mode = native ? op.MODE_MEMSX : op.MODE_MEM;
  const isLong = extends_ && !native;
  const dst = isLong ? s.fresh() : s.define(inst);
  const { base: a, slot, offset } = address;
  s.emit("load", op.LDX | mode | op.SIZE[inst.size], {
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
    if (native && inst.type === "i32" && s.widths.isCleaned(inst)) {
      const raw = s.fresh();
      (s.out.at(-1) as MInst).dst = raw;
      s.move(dst, raw, MOV32);
    }
    return;
  }
  const up = s.fresh();
  const imm = (inst.type === "i32" ? 32 : 64) - inst.size * 8;
  s.emit("alu", s.aluClass(inst) | op.LSH, { dst: up, a: dst, imm });
  s.emit("alu", s.aluClass(inst) | op.ARSH, { dst: s.define(inst), a: up, imm });
}

export function selectStore(s: Selection, inst: InstOf<"store">): void {
  const value = inst.args[1] as Inst;
  const imm = storedImmediate(s, inst, value);
  const b = imm === null ? s.use(value) : NONE;
  const { address, core } = accessOf(s, inst);
  const { base: a, slot, offset } = address;
  const cls = imm === null ? op.STX : op.ST;
  s.emit("store", cls | op.MODE_MEM | op.SIZE[inst.size], {
    a,
    b,
    slot,
    offset,
    imm: imm ?? 0,
    core,
    space: inst.space,
  });
}

export function selectAtomic(s: Selection, inst: InstOf<"atomic">): void {
  const { atomic, fetch } = inst;
  if (s.target.cpu < 3 && (fetch || atomic !== "add")) {
    const message = `atomic ${atomic}${fetch ? " with result" : ""} needs instruction set v3`;
    s.diagnostics.push(problem("SKEP2007", message, { loc: inst.loc }));
  }
  const opcode = op.STX | op.MODE_ATOMIC | op.SIZE[inst.size];
  const imm = op.ATOMIC[atomic] | (fetch ? op.FETCH : 0);
  const values = inst.args.slice(1).map((arg) => s.use(arg));
  const address = s.address(inst.args[0] as Inst, inst.offset);
  const { base: a, slot, offset } = inst.space === "arena" ? s.cast(address) : address;
  const place = { a, slot, offset, imm };
  if (atomic === "cmpxchg") {
    s.move(R0, values[0] as Reg);
    s.emit("atomic", opcode, { ...place, dst: R0, b: values[1] as Reg });
    // A 32-bit cmpxchg zero-extends r0 (kernel: insn_def_regno of BPF_CMPXCHG).
    s.move(s.define(inst), R0);
  } else s.emit("atomic", opcode, { ...place, dst: fetch ? s.define(inst) : NONE, b: values[0] as Reg });
}

/** The address of an access; with CO-RE the patched offset stands in the instruction alone. */
function accessOf(s: Selection, inst: InstOf<"load"> | InstOf<"store">): { address: Address; core: MInst["core"] } {
  const pointer = inst.args[0] as Inst;
  if (inst.core === undefined) {
    const address = s.address(pointer, inst.offset);
    return { address: inst.space === "arena" ? s.cast(address) : address, core: undefined };
  }
  const local = Number(inst.core.local);
  const core = { typeId: inst.core.typeId, access: inst.core.access, kind: 0 };
  const rest = inst.offset - local;
  let base = s.use(pointer);
  if (rest !== 0) {
    const moved = s.fresh();
    s.emit("alu", op.ALU64 | op.ADD, { dst: moved, a: base, imm: rest });
    base = moved;
  }
  return { address: { base, slot: -1, offset: local }, core };
}

function storedImmediate(s: Selection, inst: InstOf<"store">, value: Inst): number | null {
  if (value.op !== "const" || s.cache.has(`c${value.value}`)) return null;
  if (storedAgain(s, inst, value)) return null;
  const signed = BigInt.asIntN(inst.size * 8, value.value);
  return fits32(signed) ? Number(signed) : null;
}

/** Whether the constant is stored again before a call: then a register is shorter than two immediates. */
function storedAgain(s: Selection, inst: InstOf<"store">, value: InstOf<"const">): boolean {
  const insts = s.current;
  for (let i = insts.indexOf(inst) + 1; i < insts.length; i++) {
    const later = insts[i] as Inst;
    if (isCall(later)) return false;
    const stored = later.op === "store" ? later.args[1] : undefined;
    if (stored?.op === "const" && stored.value === value.value) return true;
  }
  return false;
}
