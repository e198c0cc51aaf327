import {
  alu32,
  alu64,
  atomic,
  callKfunc,
  callLocal,
  callx,
  exit,
  ja,
  jal,
  jmp,
  jmp32,
  mayGoto,
  st,
  storeRelease,
  stx,
} from "../construct.ts";
import type { Instruction } from "../instruction.ts";
import { CALL, LDDW } from "../opcode.ts";
import type { AluOp, JmpOp } from "../opcode.ts";
import { helperById, helperByName } from "../tables/helpers.ts";
import { NOSPEC } from "../validate.ts";
import {
  tryRegister,
  parseRegister,
  parseOperand,
  parseAccess,
  unsignedSize,
  wordSize,
  parseTarget,
  withTarget,
} from "./operands.ts";
import type { Dialect } from "./operands.ts";
import { parseSymbolName } from "./references.ts";
import { parseMove } from "./values.ts";
import type { Statement } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

export type { Dialect } from "./operands.ts";

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

function parseStore(cursor: Cursor): Instruction {
  const star = cursor.next();
  const access = parseAccess(cursor);
  const size = unsignedSize(access, star);
  cursor.expect("=");
  const register = tryRegister(cursor);
  return register === null ? st(size, access.memory, cursor.imm32()) : stx(size, access.memory, register.register);
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
