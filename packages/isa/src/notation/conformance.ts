import {
  alu32,
  alu64,
  atomic,
  atomicFetch,
  be,
  bswap,
  call,
  callKfunc,
  callLocal,
  callx,
  cmpxchg,
  exit,
  ja,
  jal,
  jmp,
  jmp32,
  ldx,
  ldxs,
  lddw,
  le,
  loadAcquire,
  mem,
  mov32,
  mov64,
  movsx32,
  movsx64,
  neg32,
  neg64,
  reg,
  st,
  storeRelease,
  stx,
  xchg,
} from "../construct.ts";
import type { Memory, Operand, Register } from "../construct.ts";
import type { Instruction } from "../instruction.ts";
import type { AluOp, AtomicOp, JmpOp, MemorySize } from "../opcode.ts";
import type { Statement, Target } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

type Reader = (cursor: Cursor, mnemonic: Token) => Statement;

const sizes = new Map<string, MemorySize>([
  ["b", "u8"],
  ["h", "u16"],
  ["w", "u32"],
  ["dw", "u64"],
]);

/**
 * Reads one instruction of the notation that bpf_conformance and uBPF write (`mov32 %r0, 5`, `ldxh %r0, [%r1+2]`,
 * `jeq %r1, 0, +2`, `lock fetch add [%r10-8], %r1`, `call local f`). Throws a Fault.
 */
export function parseConformanceStatement(cursor: Cursor): Statement {
  const mnemonic = cursor.next();
  const reader = mnemonic.kind === "name" ? readers.get(mnemonic.text) : undefined;
  if (reader === undefined)
    throw new Fault("ISA2007", `there is no instruction ${JSON.stringify(mnemonic.text)}`, mnemonic);
  const statement = reader(cursor, mnemonic);
  cursor.end();
  return statement;
}

function register(cursor: Cursor): Register {
  const percent = cursor.peek();
  if (!cursor.take("%")) cursor.unexpected(cursor.next(), "a register such as %r0");
  const name = cursor.next();
  const text = `%${name.text}`;
  const match = /^r(\d{1,2})$/.exec(name.text);
  if (match === null || Number(match[1]) > 10) {
    throw new Fault("ISA2003", `there is no register ${text}`, { column: percent.column, text });
  }
  return reg(Number(match[1]));
}

function memory(cursor: Cursor): Memory {
  cursor.expect("[");
  const base = register(cursor);
  const offset = cursor.peek().text === "]" ? 0 : cursor.off16();
  cursor.expect("]");
  return mem(base, offset);
}

function operand(cursor: Cursor): Operand {
  return cursor.peek().text === "%" ? register(cursor) : cursor.imm32();
}

function target(cursor: Cursor, field: Target["field"]): { readonly distance: number; readonly target?: Target } {
  const token = cursor.peek();
  if (token.text === "+" || token.text === "-") {
    return { distance: field === "offset" ? cursor.off16() : cursor.imm32() };
  }
  const label = cursor.name("+N or a label");
  return { distance: 0, target: { name: label.text, column: label.column, field } };
}

function withTarget(insn: Instruction, place: Target | undefined): Statement {
  return place === undefined ? { insn } : { insn, target: place };
}

const readers = new Map<string, Reader>();

const aluNames: readonly AluOp[] = [
  "add",
  "sub",
  "mul",
  "div",
  "or",
  "and",
  "lsh",
  "rsh",
  "mod",
  "xor",
  "arsh",
  "sdiv",
  "smod",
];
for (const [suffix, build, move] of [
  ["", alu64, mov64],
  ["64", alu64, mov64],
  ["32", alu32, mov32],
] as const) {
  for (const op of aluNames)
    readers.set(
      `${op}${suffix}`,
      binary((dst, value) => build(op, dst, value)),
    );
  readers.set(`mov${suffix}`, binary(move));
}
for (const [name, build] of [
  ["neg", neg64],
  ["neg64", neg64],
  ["neg32", neg32],
] as const)
  readers.set(name, unary(build));
for (const bits of [16, 32, 64] as const) {
  readers.set(
    `le${bits}`,
    unary((dst) => le(dst, bits)),
  );
  readers.set(
    `be${bits}`,
    unary((dst) => be(dst, bits)),
  );
  readers.set(
    `swap${bits}`,
    unary((dst) => bswap(dst, bits)),
  );
  readers.set(
    `bswap${bits}`,
    unary((dst) => bswap(dst, bits)),
  );
}
for (const from of [8, 16, 32] as const) {
  readers.set(
    `movsx${from}64`,
    extension((dst, src) => movsx64(dst, src, from)),
  );
  if (from !== 32)
    readers.set(
      `movsx${from}32`,
      extension((dst, src) => movsx32(dst, src, from)),
    );
}
for (const [letter, size] of sizes) {
  readers.set(
    `ldx${letter}`,
    loader((dst, from) => ldx(size, dst, from)),
  );
  if (size !== "u64")
    readers.set(
      `ldxs${letter}`,
      loader((dst, from) => ldxs(size, dst, from)),
    );
  readers.set(
    `stx${letter}`,
    storer((to, value) => stx(size, to, value)),
  );
  readers.set(`st${letter}`, (cursor) => {
    const to = memory(cursor);
    cursor.expect(",");
    return { insn: st(size, to, cursor.imm32()) };
  });
  readers.set(
    `load_acquire_${letter}`,
    loader((dst, from) => loadAcquire(size, dst, from)),
  );
  readers.set(
    `store_release_${letter}`,
    storer((to, value) => storeRelease(size, to, value)),
  );
}
const jmpNames: readonly JmpOp[] = ["jeq", "jgt", "jge", "jset", "jne", "jsgt", "jsge", "jlt", "jle", "jslt", "jsle"];
for (const op of jmpNames) {
  for (const [name, build] of [
    [op, jmp],
    [`${op}32`, jmp32],
  ] as const) {
    readers.set(name, (cursor) => {
      const left = register(cursor);
      cursor.expect(",");
      const right = operand(cursor);
      cursor.expect(",");
      const place = target(cursor, "offset");
      return withTarget(build(op, left, right, place.distance), place.target);
    });
  }
}
for (const [name, build, field] of [
  ["ja", ja, "offset"],
  ["ja32", jal, "imm"],
] as const) {
  readers.set(name, (cursor) => {
    const place = target(cursor, field);
    return withTarget(build(place.distance), place.target);
  });
}
readers.set("exit", () => ({ insn: exit() }));
readers.set("call", readCall);
readers.set("callx", (cursor) => ({ insn: callx(register(cursor)) }));
readers.set("lock", readLock);
readers.set("lddw", (cursor) => {
  const dst = register(cursor);
  cursor.expect(",");
  const { value, token } = cursor.integer();
  if (value < -(1n << 63n) || value >= 1n << 64n)
    throw new Fault("ISA2004", `${token.text} does not fit 64 bits`, token);
  return { insn: lddw(dst, value) };
});

function binary(build: (dst: Register, value: Operand) => Instruction): Reader {
  return (cursor) => {
    const dst = register(cursor);
    cursor.expect(",");
    return { insn: build(dst, operand(cursor)) };
  };
}

function unary(build: (dst: Register) => Instruction): Reader {
  return (cursor) => ({ insn: build(register(cursor)) });
}

function extension(build: (dst: Register, src: Register) => Instruction): Reader {
  return (cursor) => {
    const dst = register(cursor);
    cursor.expect(",");
    return { insn: build(dst, register(cursor)) };
  };
}

function loader(build: (dst: Register, from: Memory) => Instruction): Reader {
  return (cursor) => {
    const dst = register(cursor);
    cursor.expect(",");
    return { insn: build(dst, memory(cursor)) };
  };
}

function storer(build: (to: Memory, value: Register) => Instruction): Reader {
  return (cursor) => {
    const to = memory(cursor);
    cursor.expect(",");
    return { insn: build(to, register(cursor)) };
  };
}

/** `call 5`, `call helper 5`, `call local f`, `call runtime 7`, `call %r2`. */
function readCall(cursor: Cursor): Statement {
  if (cursor.peek().text === "%") return { insn: callx(register(cursor)) };
  if (cursor.take("local")) {
    const place = target(cursor, "imm");
    return withTarget(callLocal(place.distance), place.target);
  }
  if (cursor.take("runtime")) return { insn: callKfunc(cursor.imm32()) };
  cursor.take("helper");
  return { insn: call(cursor.imm32()) };
}

/** `lock [fetch] add[32] [%r10-8], %r1`, and the same with xchg and cmpxchg. */
function readLock(cursor: Cursor): Statement {
  const fetch = cursor.take("fetch");
  const token = cursor.name("an atomic operation");
  const match = /^(add|or|and|xor|xchg|cmpxchg)(32|64)?$/.exec(token.text);
  if (match === null) throw new Fault("ISA2007", `there is no atomic operation ${JSON.stringify(token.text)}`, token);
  const size = match[2] === "32" ? "u32" : "u64";
  const to = memory(cursor);
  cursor.expect(",");
  const value = register(cursor);
  if (match[1] === "xchg") return { insn: xchg(size, to, value) };
  if (match[1] === "cmpxchg") return { insn: cmpxchg(size, to, value) };
  return { insn: (fetch ? atomicFetch : atomic)(match[1] as AtomicOp, size, to, value) };
}
