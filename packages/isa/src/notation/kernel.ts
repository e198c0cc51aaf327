import {
  addrSpaceCast,
  alu32,
  alu64,
  atomic,
  atomicFetch,
  be,
  bswap,
  callKfunc,
  callLocal,
  callx,
  cmpxchg,
  exit,
  ja,
  jal,
  jmp,
  jmp32,
  ldAbs,
  ldInd,
  lddw,
  lddwPseudo,
  ldx,
  ldxs,
  le,
  loadAcquire,
  mayGoto,
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
import { CALL, LDDW } from "../opcode.ts";
import type { AluOp, AtomicOp, JmpOp, MemorySize } from "../opcode.ts";
import { helperById, helperByName } from "../tables/helpers.ts";
import { NOSPEC } from "../validate.ts";
import type { Statement, Target } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

/** How the same notation is written by the kernel and by LLVM; they differ in what a hexadecimal constant is. */
export type Dialect = "kernel" | "llvm";

const aluOps = new Map<string, AluOp>([
  ["+=", "add"],
  ["-=", "sub"],
  ["*=", "mul"],
  ["/=", "div"],
  ["|=", "or"],
  ["&=", "and"],
  ["<<=", "lsh"],
  [">>=", "rsh"],
  ["%=", "mod"],
  ["^=", "xor"],
  ["s>>=", "arsh"],
  ["s/=", "sdiv"],
  ["s%=", "smod"],
]);

const jmpOps = new Map<string, JmpOp>([
  ["==", "jeq"],
  [">", "jgt"],
  [">=", "jge"],
  ["&", "jset"],
  ["!=", "jne"],
  ["s>", "jsgt"],
  ["s>=", "jsge"],
  ["<", "jlt"],
  ["<=", "jle"],
  ["s<", "jslt"],
  ["s<=", "jsle"],
]);

interface Typed {
  readonly register: Register;
  readonly wide: boolean;
  readonly token: Token;
}

/** Reads one instruction of the kernel's notation (kernel/bpf/disasm.c), or LLVM's. Throws a Fault. */
export function parseKernelStatement(cursor: Cursor, dialect: Dialect): Statement {
  const statement = parseStatement(cursor, dialect);
  cursor.end();
  return statement;
}

function parseStatement(cursor: Cursor, dialect: Dialect): Statement {
  const first = cursor.peek();
  if (first.text === "*") return { insn: parseStore(cursor) };
  switch (first.text) {
    case "exit":
      cursor.next();
      return { insn: exit() };
    case "nospec":
      cursor.next();
      return { insn: { opcode: NOSPEC, dst: 0, src: 0, offset: 0, imm: 0 } };
    case "goto":
    case "gotol":
    case "may_goto":
      return parseGoto(cursor);
    case "gotox":
      cursor.next();
      return { insn: { opcode: 0x0d, dst: parseRegister(cursor).register.register, src: 0, offset: 0, imm: 0 } };
    case "callx":
      cursor.next();
      return { insn: callx(parseRegister(cursor).register) };
    case "call":
      return parseCall(cursor);
    case "if":
      return parseCondition(cursor);
    case "lock":
      return { insn: parseLock(cursor) };
    case "store_release":
      return { insn: parseStoreRelease(cursor) };
    case ".insn":
      return { insn: parseRaw(cursor) };
    default:
      return parseAssignment(cursor, dialect);
  }
}

/** `r0` to `r10`, or `w0` to `w10`. */
function tryRegister(cursor: Cursor): Typed | null {
  const token = cursor.peek();
  const match = /^([rw])(\d+)$/.exec(token.text);
  if (match === null) return null;
  const number = Number(match[2]);
  if (number > 10 || match[2] !== `${number}`) throw new Fault("ISA2003", `there is no register ${token.text}`, token);
  cursor.next();
  return { register: reg(number), wide: match[1] === "r", token };
}

function parseRegister(cursor: Cursor): Typed {
  return tryRegister(cursor) ?? cursor.unexpected(cursor.next(), "a register");
}

/** A register of the same width as the other one. */
function parseSame(cursor: Cursor, wide: boolean): Register {
  const { register, wide: own, token } = parseRegister(cursor);
  if (own !== wide) {
    throw new Fault(
      "ISA2005",
      `${token.text} has another width than the left side`,
      token,
      `use ${wide ? "r" : "w"}${register.register}`,
    );
  }
  return register;
}

function parseOperand(cursor: Cursor, wide: boolean): Operand {
  return /^[rw]\d/.test(cursor.peek().text) ? parseSame(cursor, wide) : cursor.imm32();
}

interface Access {
  readonly size: MemorySize;
  readonly signed: boolean;
  readonly memory: Memory;
}

function parseSize(cursor: Cursor): { readonly size: MemorySize; readonly signed: boolean } {
  const token = cursor.name("a size such as u32");
  const match = /^([us])(8|16|32|64)$/.exec(token.text);
  if (match === null || token.text === "s64") {
    throw new Fault("ISA2002", `expected a size such as u32, but there is ${JSON.stringify(token.text)}`, token);
  }
  return { size: `u${match[2]}` as MemorySize, signed: match[1] === "s" };
}

/** `(u32 *)(r1 +4)`, or with bare brackets as LLVM has them inside functions. */
function parseAccess(cursor: Cursor): Access {
  cursor.expect("(");
  const { size, signed } = parseSize(cursor);
  cursor.expect("*");
  cursor.expect(")");
  cursor.expect("(");
  const memory = parseMemory(cursor);
  cursor.expect(")");
  return { size, signed, memory };
}

function parseMemory(cursor: Cursor): Memory {
  const base = parseSame(cursor, true);
  const sign = cursor.peek().text;
  return mem(base, sign === "+" || sign === "-" ? cursor.off16() : 0);
}

function unsignedSize({ size, signed }: Access, token: Token): MemorySize {
  if (signed) throw new Fault("ISA2005", "only loads have a sign", token);
  return size;
}

function parseStore(cursor: Cursor): Instruction {
  const star = cursor.next();
  const access = parseAccess(cursor);
  const size = unsignedSize(access, star);
  cursor.expect("=");
  const register = tryRegister(cursor);
  return register === null ? st(size, access.memory, cursor.imm32()) : stx(size, access.memory, register.register);
}

function wordSize(size: MemorySize, token: Token): "u32" | "u64" {
  if (size !== "u32" && size !== "u64")
    throw new Fault("ISA2005", `atomic operations have 32 or 64 bits, not ${size}`, token);
  return size;
}

function parseLock(cursor: Cursor): Instruction {
  const lock = cursor.next();
  cursor.expect("*");
  const access = parseAccess(cursor);
  const operator = cursor.next();
  const op = aluOps.get(operator.text);
  if (op !== "add" && op !== "or" && op !== "and" && op !== "xor") cursor.unexpected(operator, "+=, |=, &= or ^=");
  return atomic(op, wordSize(unsignedSize(access, lock), lock), access.memory, parseRegister(cursor).register);
}

function parseStoreRelease(cursor: Cursor): Instruction {
  const name = cursor.next();
  cursor.expect("(");
  const access = parseAccess(cursor);
  cursor.expect(",");
  const source = parseRegister(cursor).register;
  cursor.expect(")");
  return storeRelease(unsignedSize(access, name), access.memory, source);
}

/** `pc+3`, `+3` or a label. */
function parseTarget(cursor: Cursor, field: Target["field"]): { readonly distance: number; readonly target?: Target } {
  const token = cursor.peek();
  const relative = token.text === "pc" && ["+", "-"].includes(cursor.peek(1).text);
  if (relative) cursor.next();
  if (relative || token.text === "+" || token.text === "-") {
    return { distance: field === "offset" ? cursor.off16() : cursor.imm32() };
  }
  const label = cursor.name("pc+N or a label");
  return { distance: 0, target: { name: label.text, column: label.column, field } };
}

function withTarget(insn: Instruction, target: Target | undefined): Statement {
  return target === undefined ? { insn } : { insn, target };
}

function parseGoto(cursor: Cursor): Statement {
  const { text } = cursor.next();
  const { distance, target } = parseTarget(cursor, text === "gotol" ? "imm" : "offset");
  const build = { goto: ja, gotol: jal, may_goto: mayGoto }[text as "goto" | "gotol" | "may_goto"];
  return withTarget(build(distance), target);
}

function parseCondition(cursor: Cursor): Statement {
  cursor.expect("if");
  const left = parseRegister(cursor);
  const operator = cursor.next();
  const op = jmpOps.get(operator.text) ?? cursor.unexpected(operator, "a comparison");
  const right = parseOperand(cursor, left.wide);
  const jump = cursor.next();
  if (jump.text !== "goto") cursor.unexpected(jump, '"goto"');
  const { distance, target } = parseTarget(cursor, "offset");
  return withTarget((left.wide ? jmp : jmp32)(op, left.register, right, distance), target);
}

/**
 * `call pc+3`, `call label`, `call bpf_name`, `call bpf_name#1`, `call unknown#5000`, `call kernel-function[2]#99`,
 * `call kernel-function[name:bpf_x]`.
 * A name with a number that is no helper's is a kernel function.
 */
function parseCall(cursor: Cursor): Statement {
  cursor.next();
  const token = cursor.peek();
  const sign = token.text === "pc" && ["+", "-"].includes(cursor.peek(1).text);
  if (sign || token.text === "+" || token.text === "-") {
    const { distance } = parseTarget(cursor, "imm");
    // bpftool appends the name of the loaded subprogram.
    if (cursor.take("#")) cursor.name("a name");
    return { insn: callLocal(distance) };
  }
  if (token.kind === "number") return { insn: helperCall(cursor.imm32()) };
  const name = cursor.name("a function");
  let module = 0;
  if (cursor.take("[")) {
    if (cursor.peek().text === "name") return { insn: callKfunc(0), kernelSymbol: parseSymbolName(cursor) };
    module = cursor.off16();
    cursor.expect("]");
  }
  if (cursor.take("#")) return { insn: numberedCall(cursor, name, module) };
  const target = { name: name.text, column: name.column, field: "imm" } as const;
  const helper = name.text.startsWith("bpf_") ? helperByName(name.text) : null;
  return helper === null ? { insn: callLocal(0), target } : { insn: callLocal(0), target, helper: helper.id };
}

function helperCall(id: number): Instruction {
  return { opcode: CALL, dst: 0, src: 0, offset: 0, imm: id };
}

function numberedCall(cursor: Cursor, name: Token, module: number): Instruction {
  const { value, token } = cursor.integer("a number");
  if (value < -0x8000_0000n || value > 0xffff_ffffn)
    throw new Fault("ISA2004", `${token.text} does not fit 32 bits`, token);
  const id = Number(BigInt.asIntN(32, value));
  const helper = helperByName(name.text);
  if (name.text === "unknown") return helperCall(id);
  if (helper === null || !name.text.startsWith("bpf_")) return callKfunc(id, module);
  // A loaded program's calls have an address for a number: `call bpf_trace_printk#-61360`.
  if (helper.id !== id && helperById(id) !== null) {
    throw new Fault(
      "ISA2006",
      `${name.text} is helper ${helper.id}, not ${id}`,
      token,
      `helper ${id} is ${helperById(id)?.name ?? "none"}`,
    );
  }
  return helperCall(id);
}

/** `.insn opcode, dst, src, offset, imm[, immHigh]`: the fields as they are. */
function parseRaw(cursor: Cursor): Instruction {
  cursor.next();
  const field = (min: number, max: number): number => {
    const { value, token } = cursor.integer();
    if (value < BigInt(min) || value > BigInt(max))
      throw new Fault("ISA2004", `${token.text} is not in ${min}..${max}`, token);
    return Number(value);
  };
  const more = (): Token => cursor.expect(",");
  const opcode = field(0, 255);
  more();
  const dst = field(0, 15);
  more();
  const src = field(0, 15);
  more();
  const offset = field(-0x8000, 0x7fff);
  more();
  const insn = { opcode, dst, src, offset, imm: cursor.imm32() };
  if (opcode !== LDDW) return insn;
  more();
  return { ...insn, immHigh: cursor.imm32() };
}

function parseAssignment(cursor: Cursor, dialect: Dialect): Statement {
  const first = cursor.peek();
  const left = tryRegister(cursor);
  if (left === null) throw new Fault("ISA2007", `${JSON.stringify(first.text)} begins no instruction`, first);
  const operator = cursor.next();
  if (operator.text === "=") return parseMove(cursor, left, dialect);
  const op = aluOps.get(operator.text) ?? cursor.unexpected(operator, "an assignment such as = or +=");
  return { insn: (left.wide ? alu64 : alu32)(op, left.register, parseOperand(cursor, left.wide)) };
}

/** What stands right of `rN =`. */
function parseMove(cursor: Cursor, left: Typed, dialect: Dialect): Statement {
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

/** `map[id:3]`, `map[id:3][0]+8`, `map[idx:1]`, `map[idx:1]+8`, `map[name:counts]`, `btf[id:7]`, `ksym[name:x]`, `subprog[+9]`. */
function parseReference(cursor: Cursor, left: Typed, word: Token): Statement {
  cursor.expect("[");
  if (word.text === "subprog") return parseSubprogram(cursor, left);
  if (word.text === "ksym") {
    return { insn: lddwPseudo(left.register, "btfId", { low: 0 }), kernelSymbol: parseSymbolName(cursor) };
  }
  const key = cursor.name("id, idx or name");
  cursor.expect(":");
  if (word.text === "btf") {
    if (key.text !== "id") cursor.unexpected(key, '"id"');
    return { insn: parseBtfId(cursor, left) };
  }
  if (key.text === "name") return parseMapName(cursor, left);
  const low = parseUnsigned32(cursor);
  cursor.expect("]");
  if (key.text === "idx") {
    const high = cursor.peek().text === "+" ? parseUnsigned32(cursor) : null;
    if (high === null) return { insn: lddwPseudo(left.register, "mapIdx", { low }) };
    return { insn: lddwPseudo(left.register, "mapIdxValue", { low, high }) };
  }
  if (key.text !== "id") cursor.unexpected(key, "id, idx or name");
  const high = parseValueOffset(cursor);
  return { insn: lddwPseudo(left.register, high === null ? "mapFd" : "mapValue", { low, high: high ?? 0 }) };
}

/** `name:x]` or `name:x, weak]`. */
function parseSymbolName(cursor: Cursor): { readonly name: string; readonly weak: boolean } {
  cursor.expect("name");
  cursor.expect(":");
  const { text } = cursor.name("a name");
  const weak = cursor.take(",");
  if (weak) cursor.expect("weak");
  cursor.expect("]");
  return { name: text, weak };
}

/** `[0]+8` after a map: an offset into its only value. */
function parseValueOffset(cursor: Cursor): number | null {
  if (!cursor.take("[")) return null;
  cursor.expect("0");
  cursor.expect("]");
  return parseUnsigned32(cursor);
}

/** `+8` up to 0xffffffff, also in decimal, as signed 32 bits. */
function parseUnsigned32(cursor: Cursor): number {
  const { value, token } = cursor.integer("an offset");
  if (value < 0n || value > 0xffff_ffffn) throw new Fault("ISA2004", `${token.text} does not fit 32 bits`, token);
  return Number(BigInt.asIntN(32, value));
}

function parseMapName(cursor: Cursor, left: Typed): Statement {
  const name = cursor.name("a map's name");
  cursor.expect("]");
  const offset = parseValueOffset(cursor);
  const insn = lddwPseudo(left.register, offset === null ? "mapFd" : "mapValue", { low: 0, high: offset ?? 0 });
  return { insn, map: offset === null ? { name: name.text } : { name: name.text, offset } };
}

function parseBtfId(cursor: Cursor, left: Typed): Instruction {
  const low = parseUnsigned32(cursor);
  let high = 0;
  if (cursor.take(",")) {
    cursor.expect("fd");
    cursor.expect(":");
    high = parseUnsigned32(cursor);
  }
  cursor.expect("]");
  return lddwPseudo(left.register, "btfId", { low, high });
}

function parseSubprogram(cursor: Cursor, left: Typed): Statement {
  const { distance, target } = parseTarget(cursor, "function");
  cursor.expect("]");
  return withTarget(lddwPseudo(left.register, "func", { low: distance }), target);
}
