import {
  addrSpaceCast,
  atomicFetch,
  be,
  bswap,
  cmpxchg,
  ldAbs,
  ldInd,
  lddw,
  ldx,
  ldxs,
  le,
  loadAcquire,
  mov32,
  mov64,
  movsx32,
  movsx64,
  neg32,
  neg64,
  xchg,
} from "../construct.ts";
import type { Memory, Register } from "../construct.ts";
import type { Instruction } from "../instruction.ts";
import type { AtomicOp } from "../opcode.ts";
import {
  tryRegister,
  parseRegister,
  parseSame,
  parseSize,
  parseAccess,
  parseMemory,
  unsignedSize,
  wordSize,
} from "./operands.ts";
import type { Typed, Dialect } from "./operands.ts";
import { parseReference } from "./references.ts";
import type { Statement } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

/** What stands right of `rN =`. */
export function parseMove(cursor: Cursor, left: Typed, dialect: Dialect): Statement {
  const token = cursor.peek();
  if (token.text === "*") return { insn: parseLoad(cursor, left) };
  if (token.text === "(") return { insn: parseExtension(cursor, left) };
  if (token.text === "&") return { insn: parsePerCpu(cursor, left) };
  if (token.text === "-" && cursor.peek(1).kind === "name") return { insn: parseNegation(cursor, left) };
  if (/^[rw]\d/.test(token.text)) {
    return { insn: (left.wide ? mov64 : mov32)(left.register, parseSame(cursor, left.wide)) };
  }
  if (token.kind === "name") return parseCallLike(cursor, left);
  return { insn: parseConstant(cursor, left, dialect) };
}

function parseLoad(cursor: Cursor, left: Typed): Instruction {
  const star = cursor.next();
  if (cursor.peek(4).text === "skb") return parsePacketLoad(cursor, left);
  const { size, signed, memory } = parseAccess(cursor);
  if (!signed) return ldx(size, left.register, memory);
  if (size === "u64") throw new Fault("ISA2005", "a 64-bit load has no sign", star);
  return ldxs(size, left.register, memory);
}

/** `r0 = *(u16 *)skb[12]` and `r0 = *(u8 *)skb[r7 + 4]`. */
function parsePacketLoad(cursor: Cursor, left: Typed): Instruction {
  const open = cursor.expect("(");
  const { size, signed } = parseSize(cursor);
  cursor.expect("*");
  cursor.expect(")");
  cursor.expect("skb");
  cursor.expect("[");
  if (size === "u64" || signed) throw new Fault("ISA2005", "packet loads have 8, 16 or 32 bits without sign", open);
  if (left.register.register !== 0) throw new Fault("ISA2005", "packet loads write r0", left.token);
  const base = tryRegister(cursor);
  const more = base !== null && cursor.peek().text === "]";
  const imm = more ? 0 : skbOffset(cursor, base !== null);
  cursor.expect("]");
  return base === null ? ldAbs(size, imm) : ldInd(size, base.register, imm);
}

/** The kernel prints `r7 + -4`. */
function skbOffset(cursor: Cursor, afterRegister: boolean): number {
  if (afterRegister && cursor.peek().text === "+" && cursor.peek(1).text === "-") cursor.next();
  return cursor.imm32();
}

/** `r1 = (s8)r2`. */
function parseExtension(cursor: Cursor, left: Typed): Instruction {
  cursor.expect("(");
  const width = cursor.name("s8, s16 or s32");
  cursor.expect(")");
  const source = parseSame(cursor, left.wide);
  switch (width.text) {
    case "s8":
      return left.wide ? movsx64(left.register, source, 8) : movsx32(left.register, source, 8);
    case "s16":
      return left.wide ? movsx64(left.register, source, 16) : movsx32(left.register, source, 16);
    case "s32":
      if (left.wide) return movsx64(left.register, source, 32);
  }
  throw new Fault("ISA2005", `there is no sign extension ${width.text} to ${left.wide ? 64 : 32} bits`, width);
}

/** `r1 = &(void __percpu *)(r2)`. */
function parsePerCpu(cursor: Cursor, left: Typed): Instruction {
  for (const text of ["&", "(", "void", "__percpu", "*", ")", "("]) cursor.expect(text);
  const source = parseSame(cursor, true);
  cursor.expect(")");
  return { ...mov64(left.register, source), offset: -1 };
}

function parseNegation(cursor: Cursor, left: Typed): Instruction {
  cursor.expect("-");
  const token = cursor.peek();
  const source = parseSame(cursor, left.wide);
  if (source.register !== left.register.register) throw new Fault("ISA2005", "a register is negated in place", token);
  return left.wide ? neg64(left.register) : neg32(left.register);
}

/**
 * The kernel prints the immediate of `mov` in decimal and that of `lddw` in hexadecimal; LLVM prints both in
 * hexadecimal and marks `lddw` by `ll`.
 */
function parseConstant(cursor: Cursor, left: Typed, dialect: Dialect): Instruction {
  const start = cursor.peek();
  const isWide = (hex: boolean) => cursor.peek().text === "ll" || (dialect === "kernel" && hex && left.wide);
  const { value, hex, token } = cursor.integer("a register, a number or a load");
  if (!isWide(hex)) {
    const max = hex ? 0xffff_ffffn : 0x7fff_ffffn;
    if (value < -0x8000_0000n || value > max) {
      const hint = left.wide
        ? `0x${BigInt.asUintN(64, value).toString(16)}${dialect === "llvm" ? " ll" : ""} loads all 64 bits`
        : undefined;
      throw new Fault("ISA2004", `${token.text} does not fit 32 bits`, token, hint);
    }
    return (left.wide ? mov64 : mov32)(left.register, Number(BigInt.asIntN(32, value)));
  }
  cursor.take("ll");
  if (!left.wide) throw new Fault("ISA2005", "a 64-bit constant needs a register of 64 bits", start);
  if (value < -(1n << 63n) || value >= 1n << 64n)
    throw new Fault("ISA2004", `${token.text} does not fit 64 bits`, token);
  return lddw(left.register, value);
}

const wordBits = (name: string): "u32" | "u64" => (name.startsWith("atomic64") || name.endsWith("_64") ? "u64" : "u32");

/** Right sides that begin with a word: byte swaps, atomics, casts, maps. */
function parseCallLike(cursor: Cursor, left: Typed): Statement {
  const token = cursor.next();
  const swap = /^(be|le|bswap)(16|32|64)$/.exec(token.text);
  if (swap !== null) {
    const build = { be, le, bswap }[swap[1] as "be" | "le" | "bswap"];
    return { insn: parseSwap(cursor, left, (register) => build(register, Number(swap[2]) as 16 | 32 | 64)) };
  }
  const fetch = /^atomic(?:64)?_fetch_(add|or|and|xor)$/.exec(token.text);
  if (fetch !== null) return { insn: parseFetch(cursor, left, token, fetch[1] as AtomicOp) };
  switch (token.text) {
    case "atomic_xchg":
    case "atomic64_xchg":
    case "xchg_64":
    case "xchg32_32":
      return { insn: parseExchange(cursor, left, token) };
    case "atomic_cmpxchg":
    case "atomic64_cmpxchg":
    case "cmpxchg_64":
    case "cmpxchg32_32":
      return { insn: parseCompareExchange(cursor, left, token) };
    case "load_acquire":
      return { insn: parseLoadAcquire(cursor, left, token) };
    case "addr_space_cast":
      return { insn: parseCast(cursor, left) };
    case "map":
    case "btf":
    case "ksym":
    case "subprog":
      return parseReference(cursor, left, token);
    default:
      throw new Fault("ISA2007", `${JSON.stringify(token.text)} is nothing that a register can be set to`, token);
  }
}

function parseSwap(cursor: Cursor, left: Typed, build: (register: Register) => Instruction): Instruction {
  const token = cursor.peek();
  const source = parseRegister(cursor).register;
  if (source.register !== left.register.register) throw new Fault("ISA2005", "bytes are swapped in place", token);
  return build(left.register);
}

/** `((u64 *)(r1 +0)` of the kernel, or `(r1 + 0x0` of LLVM, whose names give the size. */
function parseAtomicMemory(cursor: Cursor, name: Token): { readonly size: "u32" | "u64"; readonly memory: Memory } {
  cursor.expect("(");
  if (cursor.peek().text !== "(") return { size: wordBits(name.text), memory: parseMemory(cursor) };
  const access = parseAccess(cursor);
  const size = wordSize(unsignedSize(access, name), name);
  if (name.text.startsWith("atomic64") && size !== "u64") throw new Fault("ISA2005", `${name.text} has 64 bits`, name);
  return { size, memory: access.memory };
}

function sameRegister(cursor: Cursor, wanted: Register): void {
  const { register, token } = parseRegister(cursor);
  if (register.register !== wanted.register) {
    throw new Fault("ISA2005", `the result and this operand are one register: r${wanted.register}`, token);
  }
}

function parseFetch(cursor: Cursor, left: Typed, name: Token, op: AtomicOp): Instruction {
  const { size, memory } = parseAtomicMemory(cursor, name);
  cursor.expect(",");
  sameRegister(cursor, left.register);
  cursor.expect(")");
  return atomicFetch(op, size, memory, left.register);
}

function parseExchange(cursor: Cursor, left: Typed, name: Token): Instruction {
  const { size, memory } = parseAtomicMemory(cursor, name);
  cursor.expect(",");
  sameRegister(cursor, left.register);
  cursor.expect(")");
  return xchg(size, memory, left.register);
}

function parseCompareExchange(cursor: Cursor, left: Typed, name: Token): Instruction {
  const { size, memory } = parseAtomicMemory(cursor, name);
  cursor.expect(",");
  sameRegister(cursor, left.register);
  if (left.register.register !== 0) throw new Fault("ISA2005", "compare-and-exchange writes r0", left.token);
  cursor.expect(",");
  const source = parseRegister(cursor).register;
  cursor.expect(")");
  return cmpxchg(size, memory, source);
}

function parseLoadAcquire(cursor: Cursor, left: Typed, name: Token): Instruction {
  cursor.expect("(");
  const access = parseAccess(cursor);
  cursor.expect(")");
  return loadAcquire(unsignedSize(access, name), left.register, access.memory);
}

function parseCast(cursor: Cursor, left: Typed): Instruction {
  cursor.expect("(");
  const source = parseSame(cursor, true);
  cursor.expect(",");
  const to = cursor.integer();
  cursor.expect(",");
  const from = cursor.integer();
  cursor.expect(")");
  for (const { value, token } of [to, from]) {
    if (value < 0n || value > 0xffffn) throw new Fault("ISA2004", `${token.text} is no address space`, token);
  }
  return addrSpaceCast(left.register, source, { to: Number(to.value), from: Number(from.value) });
}
