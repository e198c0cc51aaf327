import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as isa from "./index.ts";
import type { Instruction } from "./index.ts";

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const anything: fc.Arbitrary<Instruction> = fc
  .record({
    opcode: fc.integer({ min: 0, max: 255 }),
    dst: fc.integer({ min: 0, max: 10 }),
    src: fc.integer({ min: 0, max: 10 }),
    offset: fc.oneof(fc.constantFrom(0, 1, 8, 16, 32, -1), fc.integer({ min: -32768, max: 32767 })),
    imm: fc.oneof(fc.constantFrom(0, 1, 16, 32, 64, 0x40, 0x51, 0xa1, 0xe1, 0xf1, 0x100, 0x110), word),
    immHigh: fc.oneof(fc.constant(0), word),
  })
  .map(({ immHigh, ...insn }) => (insn.opcode === isa.LDDW ? { ...insn, immHigh } : insn));

/** A value that the field may have: byte swaps want a width, address-space casts a pair of spaces, the others zero. */
function repair(insn: Instruction, field: isa.FieldProblem["field"]): number {
  if (field !== "imm") return 0;
  if ((insn.opcode & 0xf0) === 0xd0) return 32;
  return insn.opcode === 0xbf && insn.offset === 1 ? 1 : 0;
}

/** Only what the kernel calls well-formed: unused fields are cleared until nothing is wrong. */
const wellFormed = anything
  .map((insn) => {
    let current = insn;
    for (let i = 0; i < 6; i++) {
      const problem = isa.fieldProblem(current);
      if (problem === null) return current;
      if (problem.field === "opcode") return null;
      current = { ...current, [problem.field]: repair(current, problem.field) };
    }
    return null;
  })
  .filter((insn) => insn !== null);

const read = (text: string, options: isa.AssembleOptions = {}) => {
  const { instructions, diagnostics } = isa.assemble(text, options);
  expect(diagnostics).toEqual([]);
  return instructions;
};

describe("assemble undoes disassemble", () => {
  test("for every instruction, well-formed or not", () => {
    fc.assert(
      fc.property(anything, (insn) => {
        expect(read(isa.formatInstruction(insn))).toEqual([insn]);
      }),
      { numRuns: 5000 },
    );
  });

  test("and well-formed ones need no .insn", () => {
    const seen = new Set<number>();
    fc.assert(
      fc.property(wellFormed, (insn) => {
        seen.add(insn.opcode);
        const text = isa.formatInstruction(insn);
        expect(text).not.toContain(".insn");
        expect(read(text)).toEqual([insn]);
      }),
      { numRuns: 20_000 },
    );
    const known = Array.from({ length: 256 }, (_, opcode) => opcode).filter(
      (opcode) => isa.fieldProblem({ opcode, dst: 0, src: 0, offset: 0, imm: 0 })?.field !== "opcode",
    );
    expect(Array.from(seen).sort((a, b) => a - b)).toEqual(known);
    // ld 7, ldx 7, st 5, stx 8, alu 27, alu64 26, jmp 28, jmp32 23.
    expect(known.length).toBe(131);
  });

  test.each(["plain", "labels", "listing"] as const)("for programs in the style %s", (style) => {
    fc.assert(
      fc.property(fc.array(fc.oneof(wellFormed, anything), { maxLength: 30 }), (program) => {
        expect(read(isa.disassemble(program, { style }))).toEqual(program);
      }),
    );
  });
});

// kernel/bpf/disasm.c of 6.18.
const kernelTexts: readonly (readonly [Instruction, string])[] = [
  [isa.mov64(isa.r0, 1), "r0 = 1"],
  [isa.mov64(isa.r0, -1), "r0 = -1"],
  [isa.mov32(isa.r3, isa.r4), "w3 = w4"],
  [isa.movsx64(isa.r1, isa.r2, 8), "r1 = (s8)r2"],
  [isa.movsx32(isa.r1, isa.r2, 16), "w1 = (s16)w2"],
  [isa.movsx64(isa.r1, isa.r2, 32), "r1 = (s32)r2"],
  [isa.alu64("add", isa.r1, -4), "r1 += -4"],
  [isa.alu32("arsh", isa.r1, isa.r2), "w1 s>>= w2"],
  [isa.alu64("sdiv", isa.r1, 3), "r1 s/= 3"],
  [isa.alu32("smod", isa.r1, isa.r2), "w1 s%= w2"],
  [isa.neg64(isa.r5), "r5 = -r5"],
  [isa.neg32(isa.r5), "w5 = -w5"],
  [isa.be(isa.r1, 16), "r1 = be16 r1"],
  [isa.le(isa.r1, 64), "r1 = le64 r1"],
  [isa.bswap(isa.r1, 32), "r1 = bswap32 r1"],
  [isa.addrSpaceCast(isa.r1, isa.r2, { to: 0, from: 1 }), "r1 = addr_space_cast(r2, 0, 1)"],
  [isa.ldx("u32", isa.r1, isa.mem(isa.r2, 4)), "r1 = *(u32 *)(r2 +4)"],
  [isa.ldxs("u8", isa.r1, isa.mem(isa.r2, -1)), "r1 = *(s8 *)(r2 -1)"],
  [isa.stx("u64", isa.mem(isa.r10, -8), isa.r1), "*(u64 *)(r10 -8) = r1"],
  [isa.st("u16", isa.mem(isa.r10, 0), -5), "*(u16 *)(r10 +0) = -5"],
  [isa.ldAbs("u16", 12), "r0 = *(u16 *)skb[12]"],
  [isa.ldInd("u8", isa.r7, -4), "r0 = *(u8 *)skb[r7 + -4]"],
  [isa.lddw(isa.r1, 0xfedcba9876543210n), "r1 = 0xfedcba9876543210"],
  [isa.ldMap(isa.r1, 3), "r1 = map[id:3]"],
  [isa.ldMapValue(isa.r1, 3, 16), "r1 = map[id:3][0]+16"],
  [isa.ldFunc(isa.r2, 9), "r2 = subprog[+9]"],
  [isa.lddwPseudo(isa.r2, "btfId", { low: 7, high: 5 }), "r2 = btf[id:7, fd:5]"],
  [isa.lddwPseudo(isa.r2, "mapIdx", { low: 7 }), "r2 = map[idx:7]"],
  [isa.lddwPseudo(isa.r2, "mapIdxValue", { low: 7, high: 0 }), "r2 = map[idx:7]+0"],
  [isa.ja(-3), "goto pc-3"],
  [isa.jal(70_000), "gotol pc+70000"],
  [isa.mayGoto(2), "may_goto pc+2"],
  [isa.jmp("jgt", isa.r1, 5, 3), "if r1 > 0x5 goto pc+3"],
  [isa.jmp("jne", isa.r1, -1, 3), "if r1 != 0xffffffff goto pc+3"],
  [isa.jmp32("jsle", isa.r1, isa.r2, -3), "if w1 s<= w2 goto pc-3"],
  [isa.jmp("jset", isa.r1, 1, 0), "if r1 & 0x1 goto pc+0"],
  [isa.call("map_lookup_elem"), "call bpf_map_lookup_elem#1"],
  [isa.call(5000), "call unknown#5000"],
  [isa.callLocal(12), "call pc+12"],
  [isa.callKfunc(77_182), "call kernel-function#77182"],
  [isa.callKfunc(77_182, 2), "call kernel-function[2]#77182"],
  [isa.callx(isa.r3), "callx r3"],
  [isa.exit(), "exit"],
  [isa.atomic("add", "u64", isa.mem(isa.r1), isa.r2), "lock *(u64 *)(r1 +0) += r2"],
  [isa.atomicFetch("xor", "u64", isa.mem(isa.r1), isa.r2), "r2 = atomic64_fetch_xor((u64 *)(r1 +0), r2)"],
  [isa.atomicFetch("and", "u32", isa.mem(isa.r1), isa.r2), "r2 = atomic_fetch_and((u32 *)(r1 +0), r2)"],
  [isa.xchg("u64", isa.mem(isa.r1, 8), isa.r2), "r2 = atomic64_xchg((u64 *)(r1 +8), r2)"],
  [isa.cmpxchg("u32", isa.mem(isa.r1, 8), isa.r2), "r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)"],
  [isa.loadAcquire("u8", isa.r1, isa.mem(isa.r2, 1)), "r1 = load_acquire((u8 *)(r2 +1))"],
  [isa.storeRelease("u16", isa.mem(isa.r1, 1), isa.r2), "store_release((u16 *)(r1 +1), r2)"],
  [{ opcode: 0xc2, dst: 0, src: 0, offset: 0, imm: 0 }, "nospec"],
  [{ opcode: 0x0d, dst: 3, src: 0, offset: 0, imm: 0 }, "gotox r3"],
  [{ opcode: 0xbf, dst: 3, src: 2, offset: -1, imm: 0 }, "r3 = &(void __percpu *)(r2)"],
  [{ opcode: 0x07, dst: 1, src: 2, offset: 3, imm: 4 }, ".insn 0x07, 1, 2, 3, 4"],
];

test.each(kernelTexts)("%j is %s", (insn, text) => {
  expect(isa.formatInstruction(insn)).toBe(text);
  expect(read(text)).toEqual([insn]);
});

describe("programs", () => {
  const program = `
    ; counts packets
    entry:
      r1 = map[name:counts]     // a reference
      r2 = r10
      r2 += -4
      *(u32 *)(r10 -4) = 0
      call bpf_map_lookup_elem
      if r0 == 0x0 goto out
      r1 = 1
      lock *(u64 *)(r0 +0) += r1
      call twice
    out: r0 = 2 # XDP_PASS
      exit
    int twice(int a):
      r0 = r1
      r0 += r0
      exit
  `;

  test("labels and references", () => {
    const result = isa.assemble(program);
    expect(result.diagnostics).toEqual([]);
    expect(result.references).toEqual([{ at: 0, kind: "map", map: "counts" }]);
    expect(Object.fromEntries(result.labels)).toEqual({ entry: 0, out: 9, twice: 11 });
    expect(result.lines.slice(0, 2)).toEqual([4, 5]);
    expect(isa.disassemble(result.instructions, { style: "listing", references: result.references })).toBe(
      [
        "   0: (18) r1 = map[name:counts]",
        "   2: (bf) r2 = r10",
        "   3: (07) r2 += -4",
        "   4: (62) *(u32 *)(r10 -4) = 0",
        "   5: (85) call bpf_map_lookup_elem#1",
        "   6: (15) if r0 == 0x0 goto pc+3",
        "   7: (b7) r1 = 1",
        "   8: (db) lock *(u64 *)(r0 +0) += r1",
        "   9: (85) call pc+2",
        "  10: (b7) r0 = 2",
        "  11: (95) exit",
        "  12: (bf) r0 = r1",
        "  13: (0f) r0 += r0",
        "  14: (95) exit",
        "",
      ].join("\n"),
    );
    const text = isa.disassemble(result.instructions, {
      style: "labels",
      references: result.references,
      functions: new Map([
        [0, "entry"],
        [12, "twice"],
      ]),
    });
    expect(text).toContain("entry:\n\tr1 = map[name:counts]\n");
    expect(text).toContain("\tif r0 == 0x0 goto L0\n");
    expect(text).toContain("\tcall twice\nL0:\n");
    const again = isa.assemble(text);
    expect(again.instructions).toEqual(result.instructions);
    expect(again.references).toEqual(result.references);
  });

  test("a label wins over a helper of its name", () => {
    expect(read("call bpf_redirect\nexit\nbpf_redirect: exit")[0]).toEqual(isa.callLocal(1));
    expect(read("call bpf_redirect\nexit")[0]).toEqual(isa.call(23));
  });

  test("references of all kinds are printed and read", () => {
    const text = [
      "r1 = map[name:.rodata][0]+8",
      "r2 = subprog[callback]",
      "call elsewhere",
      "call kernel-function[name:bpf_obj_new_impl]",
      "call kernel-function[name:bpf_may_be, weak]",
      "r3 = ksym[name:CONFIG_HZ, weak]",
      "",
    ].join("\n");
    const { instructions, references, diagnostics } = isa.assemble(text, { externals: true });
    expect(diagnostics).toEqual([]);
    expect(references).toEqual([
      { at: 0, kind: "data", map: ".rodata", offset: 8 },
      { at: 1, kind: "function", function: "callback" },
      { at: 2, kind: "call", function: "elsewhere" },
      { at: 3, kind: "kfunc", name: "bpf_obj_new_impl", weak: false },
      { at: 4, kind: "kfunc", name: "bpf_may_be", weak: true },
      { at: 5, kind: "ksym", name: "CONFIG_HZ", weak: true },
    ]);
    expect(isa.disassemble(instructions, { references })).toBe(text);
  });

  test("LLVM's notation", () => {
    const text = `
       0:	w6 = w1
       1:	r1 = 0x0 ll
       3:	w2 = 0x5
       4:	r1 = -0x7
       5:	w1 = *(u8 *)(r2 + 0xc)
       6:	*(u8 *)(r2 - 0x4) = w1
       7:	if r0 == 0x0 goto +0xd <prog+0xa8>
       8:	r1 = atomic_fetch_add((u64 *)(r0 + 0x0), r1)
       9:	r0 = cmpxchg_64(r2 + 0x0, r0, r1)
      10:	w0 = cmpxchg32_32(r2 + 0x8, w0, w1)
      11:	r1 = xchg_64(r2 + 0x0, r1)
      12:	gotol -0x2 <prog+0x8>`;
    expect(read(text, { notation: "llvm" })).toEqual([
      isa.mov32(isa.r6, isa.r1),
      isa.lddw(isa.r1, 0),
      isa.mov32(isa.r2, 5),
      isa.mov64(isa.r1, -7),
      isa.ldx("u8", isa.r1, isa.mem(isa.r2, 12)),
      isa.stx("u8", isa.mem(isa.r2, -4), isa.r1),
      isa.jmp("jeq", isa.r0, 0, 13),
      isa.atomicFetch("add", "u64", isa.mem(isa.r0), isa.r1),
      isa.cmpxchg("u64", isa.mem(isa.r2), isa.r1),
      isa.cmpxchg("u32", isa.mem(isa.r2, 8), isa.r1),
      isa.xchg("u64", isa.mem(isa.r2), isa.r1),
      isa.jal(-2),
    ]);
  });
});

// text, code, line, column, length
test.each([
  ["r0 = 1\n  r11 = 2", "ISA2003", 2, 3, 3],
  ["r0 = w1", "ISA2005", 1, 6, 2],
  ["r0 = 4294967296", "ISA2004", 1, 6, 10],
  ["w0 = 0x100000000", "ISA2004", 1, 6, 11],
  ["r0 = 0x10000000000000000", "ISA2004", 1, 6, 19],
  ["r0 = *(u32 *)(r1 +40000)", "ISA2004", 1, 18, 6],
  ["r0 = *(u31 *)(r1 +4)", "ISA2002", 1, 8, 3],
  ["r0 = *(s64 *)(r1 +4)", "ISA2002", 1, 8, 3],
  ["r0 += ", "ISA2002", 1, 7, 1],
  ["r0 + 1", "ISA2002", 1, 4, 1],
  ["exit 1", "ISA2002", 1, 6, 1],
  ["if r0 === 1 goto pc+1", "ISA2002", 1, 9, 1],
  ["goto nowhere\nexit", "ISA2008", 1, 6, 7],
  ["a: exit\na: exit", "ISA2009", 2, 1, 1],
  ["frobnicate r1", "ISA2007", 1, 1, 10],
  ["r1 = frobnicate(r1)", "ISA2007", 1, 6, 10],
  ["call bpf_map_lookup_elem#2", "ISA2006", 1, 26, 1],
  ["r1 = §", "ISA2001", 1, 6, 1],
  ["lock *(u8 *)(r1 +0) += r2", "ISA2005", 1, 1, 4],
  ["lock *(u64 *)(r1 +0) -= r2", "ISA2002", 1, 22, 2],
  ["r1 = atomic64_xchg((u32 *)(r2 +0), r1)", "ISA2005", 1, 6, 13],
  ["r1 = atomic64_xchg((u64 *)(r2 +0), r3)", "ISA2005", 1, 36, 2],
  ["r1 = -r2", "ISA2005", 1, 7, 2],
  ["r1 = be16 r2", "ISA2005", 1, 11, 2],
  ["w1 = (s32)w2", "ISA2005", 1, 7, 3],
  ["r1 = map[fd:1]", "ISA2002", 1, 10, 2],
  [".insn 256, 0, 0, 0, 0", "ISA2004", 1, 7, 3],
])("%j is %s at %i:%i", (text, code, line, column, length) => {
  const { diagnostics, instructions } = isa.assemble(text, { file: "x.s" });
  expect(diagnostics.map(({ code, span }) => ({ code, span }))).toEqual([
    {
      code,
      span: {
        file: "x.s",
        line,
        column,
        offset:
          text
            .split("\n")
            .slice(0, line - 1)
            .join("\n").length +
          (line > 1 ? 1 : 0) +
          column -
          1,
        length,
      },
    },
  ]);
  expect(instructions).toEqual([]);
});

test("a jump too far for 16 bits is refused", () => {
  const { diagnostics } = isa.assemble(`goto end\n${"r0 = 0\n".repeat(32_768)}end: exit`);
  expect(diagnostics.map((d) => d.code)).toEqual(["ISA2004"]);
  expect(isa.assemble(`gotol end\n${"r0 = 0\n".repeat(32_768)}end: exit`).instructions[0]).toEqual(isa.jal(32_768));
});

test("the assembler never throws, and reports where", () => {
  const piece = fc.constantFrom(
    "r1",
    "w2",
    "r10",
    "=",
    "+=",
    "s>>=",
    "*",
    "(",
    ")",
    "u32",
    "[",
    "]",
    "map",
    "name",
    ":",
    "id",
    "lock",
    "goto",
    "if",
    "call",
    "pc",
    "+",
    "-",
    "1",
    "0x10",
    "exit",
    "bpf_loop",
    "#",
    ",",
    "\n",
    "label",
    "skb",
    "be16",
    "%",
    "\u{1f41d}",
    "..",
    "mov",
    "ldxw",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 20 }),
      fc.constantFrom("kernel", "llvm", "conformance"),
      (pieces, notation) => {
        const text = pieces.join(" ");
        const { diagnostics, instructions } = isa.assemble(text, { notation: notation as "kernel" });
        for (const { span } of diagnostics) {
          expect(span?.line).toBeLessThanOrEqual(text.split("\n").length);
          expect(text.slice(0, span?.offset).split("\n").length).toBe(span?.line);
        }
        for (const insn of instructions) expect(isa.fieldProblem(insn)).toBeNull();
      },
    ),
    { numRuns: 5000 },
  );
});

test("validate finds bad fields and bad targets", () => {
  const codes = (...program: Instruction[]) => isa.validate(program).map((d) => `${d.code} ${d.message}`);
  expect(codes(isa.ja(1), isa.lddw(isa.r0, 1), isa.exit())).toEqual([
    "ISA1005 slot 0: the target, slot 2, is not the start of an instruction",
  ]);
  expect(codes(isa.exit(), isa.ja(0))).toEqual([
    "ISA1005 slot 1: the target, slot 2, is not the start of an instruction",
  ]);
  expect(codes({ ...isa.exit(), imm: 1 })).toEqual(["ISA1004 slot 0: unused field imm is 1, not 0"]);
  expect(codes({ ...isa.exit(), opcode: 0xff })).toEqual(["ISA1004 slot 0: there is no instruction 0xff"]);
  expect(codes(isa.ldFunc(isa.r1, 2), isa.exit(), isa.exit())).toEqual([]);
  expect(codes(isa.callLocal(-1))).toEqual([]);
});
