import { CALL, alu64, ldx, lddw, mem, mov64, r0, r1, stx } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { describe, expect, it } from "vitest";
import { BtfBuilder } from "../btf/builder.ts";
import { encodeBtf } from "../btf/encode.ts";
import { openBtf } from "../btf/open.ts";
import type { BtfTypes, BtfView } from "../btf/types.ts";
import { viewOf } from "../btf/view.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import type { LinkedProgram } from "../link/program.ts";
import { CORE_KINDS } from "./kinds.ts";
import type { CoreKind } from "./kinds.ts";
import { POISON } from "./patch.ts";
import { relocate } from "./relocate.ts";

/** Types as a function of a builder; gives the id of the root. */
type Make = (b: BtfBuilder) => number;

interface Case {
  readonly local: Make;
  readonly target: Make;
  readonly kind: CoreKind;
  readonly access?: string;
  readonly insn: Instruction;
  readonly byteOrder?: ByteOrder;
}

function run({ local, target, kind, access = "0", insn, byteOrder = "little" }: Case) {
  const mine = new BtfBuilder();
  const typeId = local(mine);
  const theirs = new BtfBuilder();
  // Ids differ, so that a mix-up shows.
  for (let index = 0; index < 5; index++) theirs.forward(`filler${index}`);
  target(theirs);
  const linked: LinkedProgram = {
    name: "test",
    instructions: [insn, mov64(r0, 7)],
    references: [],
    functions: [{ name: "test", at: 0, count: 2, slot: 0 }],
    funcInfo: [],
    lines: [],
    coreRelocations: [{ at: 0, typeId, access, kind: CORE_KINDS.indexOf(kind) }],
  };
  const relocated = relocate(linked, { local: mine.build(), target: theirs.build(), byteOrder });
  return { insn: relocated.instructions[0], all: relocated.instructions, result: relocated.results[0], relocated };
}

const u8 = (b: BtfBuilder) => b.intType("u8", 1, "unsigned");
const u32 = (b: BtfBuilder) => b.intType("u32", 4, "unsigned");
const u64 = (b: BtfBuilder) => b.intType("u64", 8, "unsigned");
const i32 = (b: BtfBuilder) => b.intType("int", 4, "signed");
const i64 = (b: BtfBuilder) => b.intType("long", 8, "signed");
const nothing: Make = (b) => b.forward("unrelated");

/** struct s { <first>; <type> x; } */
const withX =
  (type: Make, options: { name?: string; before?: number } = {}): Make =>
  (b) =>
    b.struct(options.name ?? "s", [
      ...(options.before === undefined ? [] : [{ name: "pad", typeId: b.array(u8(b), options.before) }]),
      { name: "x", typeId: type(b) },
    ]);

describe("field relocations", () => {
  it.each<[string, Make, Make, Instruction, Partial<Instruction>]>([
    ["moves a load", withX(u32), withX(u32, { before: 12 }), ldx("u32", r0, mem(r1, 0)), { offset: 12 }],
    ["moves a store", withX(u32), withX(u32, { before: 4 }), stx("u32", mem(r1, 0), r0), { offset: 4 }],
    ["changes an addition", withX(u32), withX(u32, { before: 40 }), alu64("add", r0, 0), { imm: 40 }],
    ["changes a constant of 64 bits", withX(u32), withX(u32, { before: 8 }), lddw(r0, 0), { imm: 8, immHigh: 0 }],
    [
      "widens an unsigned load",
      withX(u32),
      withX(u64, { before: 8 }),
      ldx("u32", r0, mem(r1)),
      { offset: 8, opcode: 0x79 },
    ],
    ["narrows an unsigned load", withX(u64), withX(u8), ldx("u64", r0, mem(r1)), { opcode: 0x71 }],
    [
      "ignores the size where nothing is loaded",
      withX(i32),
      withX(i64, { before: 8 }),
      alu64("add", r0, 0),
      { imm: 8 },
    ],
    [
      "sees through typedefs and modifiers",
      withX((b) => b.typedef("t", b.modifier("const", u32(b)))),
      withX(u32, { before: 4 }),
      ldx("u32", r0, mem(r1)),
      { offset: 4 },
    ],
  ])("%s", (_, local, target, insn, wanted) => {
    const { insn: got, result } = run({ local, target, kind: "byte_offset", access: "0:0", insn });
    expect(got).toMatchObject(wanted);
    expect(result?.problem).toBeUndefined();
  });

  it("finds a member within anonymous ones, whatever struct or union", () => {
    const target: Make = (b) => {
      const inner = b.union("", [
        { name: "y", typeId: u64(b) },
        { name: "x", typeId: u32(b) },
      ]);
      const outer = b.struct("", [
        { name: "head", typeId: u32(b) },
        { name: "", typeId: inner },
      ]);
      return b.struct("s", [
        { name: "first", typeId: u64(b) },
        { name: "", typeId: outer },
      ]);
    };
    expect(
      run({ local: withX(u32), target, kind: "byte_offset", access: "0:0", insn: ldx("u32", r0, mem(r1)) }).insn,
    ).toMatchObject({ offset: 16 });
  });

  it("follows arrays, also flexible ones, and their bounds", () => {
    const array =
      (length: number, before = 0): Make =>
      (b) =>
        b.struct("s", [
          { name: "pad", typeId: b.array(u8(b), before) },
          { name: "list", typeId: b.array(u32(b), length) },
        ]);
    const at = (local: Make, target: Make) =>
      run({ local, target, kind: "byte_offset", access: "0:1:3", insn: alu64("add", r0, 12) }).result?.value;
    expect(at(array(4), array(8, 16))).toBe(28n);
    expect(at(array(4), array(0, 4))).toBe(16n);
    expect(at(array(4), array(3))).toBeNull();
    expect(at(array(0), array(4))).toBe(12n);
  });

  it.each<[string, Make, string]>([
    ["a missing type", nothing, "0:0"],
    ["a missing member", (b) => b.struct("s", [{ name: "y", typeId: u32(b) }]), "0:0"],
    ["a member of another kind", withX((b) => b.pointer(0)), "0:0"],
  ])("poisons for %s", (_, target, access) => {
    const { insn, result } = run({
      local: withX(u32),
      target,
      kind: "byte_offset",
      access,
      insn: ldx("u32", r0, mem(r1)),
    });
    expect(insn).toEqual({ opcode: CALL, dst: 0, src: 0, offset: 0, imm: POISON });
    expect(result).toMatchObject({ value: null, found: null, problem: "the target has no struct s.x" });
  });

  it("poisons a load of a signed field whose size differs", () => {
    const { insn, result } = run({
      local: withX(i32),
      target: withX(i64),
      kind: "byte_offset",
      access: "0:0",
      insn: ldx("u32", r0, mem(r1)),
    });
    expect(insn?.imm).toBe(POISON);
    expect(result?.problem).toContain("8 bytes in the kernel and 4 in the object");
  });

  it("poisons both halves of a constant, and moves what comes after", () => {
    const { all, relocated } = run({
      local: withX(u32),
      target: nothing,
      kind: "byte_offset",
      access: "0:0",
      insn: lddw(r0, 0),
    });
    expect(all.map(({ imm }) => imm)).toEqual([POISON, POISON, 7]);
    expect(relocated.functions).toEqual([{ name: "test", at: 0, count: 3, slot: 0 }]);
  });

  it.each<[CoreKind, Make, bigint]>([
    ["field_exists", withX(u32), 1n],
    ["field_exists", nothing, 0n],
    ["byte_size", withX(u64), 8n],
    ["signed", withX(i32), 1n],
    ["signed", withX(u32), 0n],
    ["lshift_u64", withX(u32), 32n],
    ["rshift_u64", withX(u8), 56n],
  ])("gives %s", (kind, target, value) => {
    const held = { field_exists: 1, byte_size: 4, signed: 0, lshift_u64: 32, rshift_u64: 32 }[kind as string] ?? 0;
    expect(run({ local: withX(u32), target, kind, access: "0:0", insn: mov64(r0, held) }).result?.value).toBe(value);
  });

  it.each<[ByteOrder, CoreKind, bigint]>([
    ["little", "byte_offset", 4n],
    ["little", "byte_size", 4n],
    ["little", "lshift_u64", 64n - (5n + 7n)],
    ["little", "rshift_u64", 57n],
    ["big", "byte_offset", 4n],
    ["big", "lshift_u64", 32n + 5n],
    ["big", "rshift_u64", 57n],
  ])("gives a bit field's %s-endian %s", (byteOrder, kind, value) => {
    const bits =
      (bitOffset: number): Make =>
      (b) =>
        b.struct("s", [{ name: "x", typeId: u32(b), bitOffset, bitSize: 7 }]);
    const held = kind === "rshift_u64" ? 57 : 99;
    const { result } = run({ local: bits(0), target: bits(37), kind, access: "0:0", insn: mov64(r0, held), byteOrder });
    expect(result?.value).toBe(value);
  });

  it("takes a wider load for a bit field across a boundary, up to 64 bits", () => {
    const bits =
      (bitOffset: number): Make =>
      (b) =>
        b.struct("s", [{ name: "x", typeId: u32(b), bitOffset, bitSize: 10 }], { size: 16 });
    const size = (bitOffset: number) =>
      run({ local: bits(0), target: bits(bitOffset), kind: "byte_size", access: "0:0", insn: mov64(r0, 4) }).result
        ?.value;
    expect(size(20)).toBe(4n);
    expect(size(28)).toBe(8n);
    expect(() => size(60)).toThrow(/64 bits/);
  });
});

describe("relocations of enums", () => {
  const colors =
    (name: string, values: Record<string, number | bigint>): Make =>
    (b) =>
      b.enumType(name, values);

  it.each<[string, Make, CoreKind, bigint | null]>([
    ["its value there", colors("color", { RED: 9, GREEN: 5 }), "enumval_value", 5n],
    ["flavors of both", colors("color", { GREEN: 6 }), "enumval_value", 6n],
    ["an enum64", colors("color", { GREEN: 1n << 40n }), "enumval_value", 1n << 40n],
    ["a negative value", colors("color", { GREEN: -3 }), "enumval_value", -3n],
    ["a missing value", colors("color", { BLUE: 1 }), "enumval_value", null],
    ["existence", colors("color", { GREEN: 1 }), "enumval_exists", 1n],
    ["absence", colors("color", { BLUE: 1 }), "enumval_exists", 0n],
  ])("give %s", (_, target, kind, value) => {
    const local = colors("color___mine", { RED: 0, GREEN___mine: 1 });
    expect(run({ local, target, kind, access: "1", insn: lddw(r0, 1) }).result?.value).toBe(value);
  });
});

describe("relocations of types", () => {
  const list =
    (name = "list"): Make =>
    (b) => {
      const id = b.reserve();
      const next = b.pointer(id);
      return b.struct(
        name,
        [
          { name: "next", typeId: next },
          { name: "prev", typeId: next },
        ],
        { id },
      );
    };

  it.each<[string, Make, Make, CoreKind, number, bigint]>([
    ["existence", list(), list(), "type_exists", 1, 1n],
    ["existence of another kind", list(), (b) => b.union("list", []), "type_exists", 1, 0n],
    ["absence", list(), nothing, "type_exists", 1, 0n],
    ["a flavor", list("list___old"), list(), "type_exists", 1, 1n],
    ["size", list(), (b) => b.struct("list", [{ name: "x", typeId: u32(b) }]), "type_size", 16, 4n],
    ["the size of what is not there", list(), nothing, "type_size", 16, 0n],
    ["the local id", list(), nothing, "type_id_local", 77, 1n],
    ["the target's id", list(), list(), "type_id_target", 77, 6n],
    ["no id of what is not there", list(), nothing, "type_id_target", 77, 0n],
    ["a match", list(), list(), "type_matches", 1, 1n],
    [
      "a function's type",
      (b) => b.typedef("f", b.pointer(b.funcProto(u32(b), [{ name: "a", typeId: u64(b) }]))),
      (b) => b.typedef("f", b.pointer(b.funcProto(u32(b), [{ name: "other", typeId: u32(b) }]))),
      "type_exists",
      1,
      1n,
    ],
    [
      "a function of more parameters",
      (b) => b.typedef("f", b.funcProto(0, [])),
      (b) => b.typedef("f", b.funcProto(0, [{ name: "a", typeId: u64(b) }])),
      "type_exists",
      1,
      0n,
    ],
  ])("give %s", (_, local, target, kind, held, value) => {
    expect(run({ local, target, kind, insn: mov64(r0, held) }).result?.value).toBe(value);
  });

  it.each<[string, Make, Make, bigint]>([
    [
      "fewer members here",
      withX(u32),
      (b) =>
        b.struct("s", [
          { name: "a", typeId: u8(b) },
          { name: "x", typeId: u32(b) },
        ]),
      1n,
    ],
    [
      "more members here",
      (b) =>
        b.struct("s", [
          { name: "a", typeId: u8(b) },
          { name: "x", typeId: u32(b) },
        ]),
      withX(u32),
      0n,
    ],
    ["an integer of another size", withX(u32), withX((b) => b.intType("u32", 8, "unsigned")), 0n],
    ["an integer of another sign", withX(u32), withX((b) => b.intType("u32", 4, "signed")), 0n],
    ["an array of another length", withX((b) => b.array(u32(b), 3)), withX((b) => b.array(u32(b), 4)), 0n],
    [
      "a struct behind a pointer, unlike within",
      withX((b) => b.pointer(b.struct("in", [{ name: "a", typeId: u8(b) }]))),
      withX((b) => b.pointer(b.struct("in", [{ name: "b", typeId: u64(b) }]))),
      1n,
    ],
    [
      "a forward declaration behind a pointer",
      withX((b) => b.pointer(b.forward("in"))),
      withX((b) => b.pointer(b.struct("in", []))),
      1n,
    ],
    [
      "a forward declaration of a union",
      withX((b) => b.pointer(b.forward("in", true))),
      withX((b) => b.pointer(b.struct("in", []))),
      0n,
    ],
    [
      "a struct, unlike within",
      withX((b) => b.struct("in", [{ name: "a", typeId: u8(b) }])),
      withX((b) => b.struct("in", [{ name: "b", typeId: u64(b) }])),
      0n,
    ],
    [
      "an enum with more values",
      withX((b) => b.enumType("e", { A: 1 })),
      withX((b) => b.enumType("e", { B: 1, A: 5 })),
      1n,
    ],
    ["an enum without a value", withX((b) => b.enumType("e", { A: 1 })), withX((b) => b.enumType("e", { B: 1 })), 0n],
    [
      "an enum of another size",
      withX((b) => b.enumType("e", { A: 1 })),
      withX((b) => b.enumType("e", { A: 1 }, { size: 8 })),
      0n,
    ],
  ])("say whether there is a match: %s", (_, local, target, value) => {
    expect(run({ local, target, kind: "type_matches", insn: mov64(r0, 1) }).result?.value).toBe(value);
  });
});

describe("candidates", () => {
  const two =
    (first: Make, second: Make): Make =>
    (b) => {
      first(b);
      return second(b);
    };

  it("must agree", () => {
    const same = two(withX(u32, { before: 4 }), withX(u32, { name: "s___v2", before: 4 }));
    expect(
      run({ local: withX(u32), target: same, kind: "byte_offset", access: "0:0", insn: ldx("u32", r0, mem(r1)) }).insn,
    ).toMatchObject({ offset: 4 });
    const differing = two(withX(u32), withX(u32, { name: "s___v2", before: 4 }));
    expect(() =>
      run({ local: withX(u32), target: differing, kind: "byte_offset", access: "0:0", insn: ldx("u32", r0, mem(r1)) }),
    ).toThrow(/ambiguous/);
  });

  it("come from modules only where the kernel has none", () => {
    const kernel = new BtfBuilder();
    withX(u32, { name: "in_kernel", before: 4 })(kernel);
    const base = openBtf(encodeBtf(kernel.build(), { byteOrder: "little" }));
    const own: BtfTypes = {
      firstId: base.end,
      types: ["in_kernel", "in_module"].map((name) => ({
        kind: "struct",
        name,
        size: 100,
        hasBitfields: false,
        members: [{ name: "x", typeId: base.named("u32")[0] ?? 0, bitOffset: 64 * 8, bitSize: 0 }],
      })),
    };
    const modules = (): BtfView[] => [viewOf(own, base)];
    const b = new BtfBuilder();
    const ids = ["in_kernel", "in_module"].map((name) => withX(u32, { name })(b));
    const linked: LinkedProgram = {
      name: "test",
      instructions: [ldx("u32", r0, mem(r1)), ldx("u32", r0, mem(r1))],
      references: [],
      functions: [],
      funcInfo: [],
      lines: [],
      coreRelocations: ids.map((typeId, at) => ({ at, typeId, access: "0:0", kind: 0 })),
    };
    const { instructions } = relocate(linked, { local: b.build(), target: base, modules });
    expect(instructions.map(({ offset }) => offset)).toEqual([4, 64]);
  });
});

describe("relocations that are wrong", () => {
  it.each<[string, Partial<Case>, RegExp]>([
    [
      "an instruction that holds another value",
      { insn: ldx("u32", r0, mem(r1, 4)) },
      /holds 4 where the object's types say 0/,
    ],
    [
      "an instruction that cannot be relocated",
      { insn: { opcode: CALL, dst: 0, src: 0, offset: 0, imm: 0 } },
      /cannot be relocated/,
    ],
    ["an operation on registers", { insn: alu64("add", r0, r1) }, /no immediate/],
    ["an offset that does not fit", { target: withX(u32, { before: 40_000 }) }, /does not fit/],
    ["an access string of letters", { access: "0:x" }, /not numbers/],
    ["a member that is not there", { access: "0:7" }, /no member 7/],
    [
      "a type without a name",
      { local: (b: BtfBuilder) => b.struct("", [{ name: "x", typeId: u32(b) }]) },
      /without a name/,
    ],
    ["access within a type", { kind: "type_exists", access: "0:0" }, /no members/],
  ])("throw for %s", (_, change, message) => {
    const base: Case = {
      local: withX(u32),
      target: withX(u32),
      kind: "byte_offset",
      access: "0:0",
      insn: ldx("u32", r0, mem(r1)),
    };
    expect(() => run({ ...base, ...change })).toThrow(message);
    expect(() => run({ ...base, ...change })).toThrow(ObjectError);
  });
});
