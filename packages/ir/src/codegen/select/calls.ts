/**
 * @module
 * Calls, and constants that the loader patches.
 */
import { problem } from "../../codes.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";
import { R0 } from "../mir.ts";
import type { MInst } from "../mir.ts";
import * as op from "../opcodes.ts";
import type { Selection } from "./selection.ts";
import { isAddress } from "./values.ts";
import { MOV64 } from "./widths.ts";

export function selectCall(s: Selection, inst: InstOf<"helper"> | InstOf<"call"> | InstOf<"kfunc">): void {
  if (inst.args.length > 5) {
    s.diagnostics.push(problem("SKEP2004", "a call passes at most 5 arguments", { loc: inst.loc }));
  }
  const inRegister = (arg: Inst): boolean => arg.op !== "const" && !isAddress(arg) && !s.isFolded(arg);
  // Registers first: what is built from nothing needs none of them.
  for (const [i, arg] of inst.args.entries()) if (inRegister(arg)) s.into(1 + i, arg);
  for (const [i, arg] of inst.args.entries()) if (!inRegister(arg)) s.into(1 + i, arg);
  const opcode = op.JMP | op.CALL;
  const parts = callTarget(inst);
  s.emit("call", opcode, { ...parts, count: inst.args.length });
  s.cache.clear();
  const isWanted = inst.type !== undefined && (s.uses[inst.id] ?? 0) > 0;
  if (isWanted) s.move(s.define(inst), R0, s.widths.copyOpcode(inst));
}

export function selectCore(s: Selection, inst: InstOf<"core">): void {
  const dst = s.define(inst);
  const { typeId, access, local } = inst.core;
  const core = { typeId, access, kind: inst.kind };
  const value = BigInt.asUintN(64, local);
  // Enum values may have 64 bits; all else is patched into a move.
  if (inst.kind === 10 || inst.kind === 11) {
    const immHigh = Number(BigInt.asIntN(32, value >> 32n));
    s.emit("lddw", op.LDDW, { dst, imm: Number(BigInt.asIntN(32, value)), immHigh, core });
  } else s.emit("mov", MOV64, { dst, imm: Number(BigInt.asIntN(32, value)), core });
}

function callTarget(inst: InstOf<"helper"> | InstOf<"call"> | InstOf<"kfunc">): Partial<MInst> {
  if (inst.op === "helper") return { imm: inst.helper };
  if (inst.op === "call") return { imm: -1, ref: { kind: "call", function: inst.function } };
  return { imm: -1, ref: { kind: "kfunc", name: inst.kfunc, weak: inst.weak, typeId: inst.typeId } };
}
