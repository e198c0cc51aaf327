import { describe, expect, it } from "vitest";
import { expandOperands } from "../src/codegen/finish.ts";
import { forEachUse, makeInst, type MFunction, type MInst, type Reg } from "../src/codegen/mir.ts";
import { ATOMIC, FETCH, MODE_ATOMIC, SIZE, STX } from "../src/codegen/opcodes.ts";

const OPCODE = STX | MODE_ATOMIC | SIZE[4];

function atomic(parts: Partial<MInst>): MInst {
  return makeInst("atomic", OPCODE, { a: 3, ...parts });
}

/** What becomes of the instruction: kind, result, operands. */
function expand(inst: MInst): unknown[] {
  const block = { id: 0, insts: [inst], terminator: { kind: "exit", value: true } as const, depth: 0, cold: false };
  const code: MFunction = { name: "f", blocks: [block], registers: 11, slots: [] };
  expandOperands(code);
  return block.insts.map(({ kind, dst, a, b }) => [kind, dst, a, b]);
}

function usesOf(inst: MInst): Reg[] {
  const uses: Reg[] = [];
  forEachUse(inst, (reg) => uses.push(reg));
  return uses;
}

describe("an atomic's old value", () => {
  it("comes where the operand is, in r0 as in any other register", () => {
    for (const dst of [0, 1, 8]) {
      const add = atomic({ dst, b: 6, imm: ATOMIC.add | FETCH });
      expect(usesOf(add)).toEqual([3, 6]);
      expect(expand(add)).toEqual([
        ["mov", dst, 6, -1],
        ["atomic", dst, 3, dst],
      ]);
    }
  });

  it("needs no move where it is in the operand's register, or unwanted", () => {
    expect(expand(atomic({ dst: 6, b: 6, imm: ATOMIC.xchg | FETCH }))).toEqual([["atomic", 6, 3, 6]]);
    expect(expand(atomic({ b: 6, imm: ATOMIC.or }))).toEqual([["atomic", -1, 3, 6]]);
  });

  it("of a compare and exchange is in r0, where the expected one was", () => {
    const exchange = atomic({ dst: 0, b: 6, imm: ATOMIC.cmpxchg | FETCH });
    expect(usesOf(exchange)).toEqual([3, 6, 0]);
    expect(expand(exchange)).toEqual([["atomic", 0, 3, 6]]);
  });
});
