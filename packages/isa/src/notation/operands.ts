import { mem, reg } from "../construct.ts";
import type { Memory, Operand, Register } from "../construct.ts";
import type { Instruction } from "../instruction.ts";
import type { MemorySize } from "../opcode.ts";
import type { Statement, Target } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

/** How the same notation is written by the kernel and by LLVM; they differ in what a hexadecimal constant is. */
export type Dialect = "kernel" | "llvm";

export interface Typed {
  readonly register: Register;
  readonly wide: boolean;
  readonly token: Token;
}

/** `r0` to `r10`, or `w0` to `w10`. */
export function tryRegister(cursor: Cursor): Typed | null {
  const token = cursor.peek();
  const match = /^([rw])(\d+)$/.exec(token.text);
  if (match === null) return null;
  const number = Number(match[2]);
  if (number > 10 || match[2] !== `${number}`) throw new Fault("ISA2003", `there is no register ${token.text}`, token);
  cursor.next();
  return { register: reg(number), wide: match[1] === "r", token };
}

export function parseRegister(cursor: Cursor): Typed {
  return tryRegister(cursor) ?? cursor.unexpected(cursor.next(), "a register");
}

/** A register of the same width as the other one. */
export function parseSame(cursor: Cursor, wide: boolean): Register {
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

export function parseOperand(cursor: Cursor, wide: boolean): Operand {
  return /^[rw]\d/.test(cursor.peek().text) ? parseSame(cursor, wide) : cursor.imm32();
}

export interface Access {
  readonly size: MemorySize;
  readonly signed: boolean;
  readonly memory: Memory;
}

export function parseSize(cursor: Cursor): { readonly size: MemorySize; readonly signed: boolean } {
  const token = cursor.name("a size such as u32");
  const match = /^([us])(8|16|32|64)$/.exec(token.text);
  if (match === null || token.text === "s64") {
    throw new Fault("ISA2002", `expected a size such as u32, but there is ${JSON.stringify(token.text)}`, token);
  }
  return { size: `u${match[2]}` as MemorySize, signed: match[1] === "s" };
}

/** `(u32 *)(r1 +4)`, or with bare brackets as LLVM has them inside functions. */
export function parseAccess(cursor: Cursor): Access {
  cursor.expect("(");
  const { size, signed } = parseSize(cursor);
  cursor.expect("*");
  cursor.expect(")");
  cursor.expect("(");
  const memory = parseMemory(cursor);
  cursor.expect(")");
  return { size, signed, memory };
}

export function parseMemory(cursor: Cursor): Memory {
  const base = parseSame(cursor, true);
  const sign = cursor.peek().text;
  return mem(base, sign === "+" || sign === "-" ? cursor.off16() : 0);
}

export function unsignedSize({ size, signed }: Access, token: Token): MemorySize {
  if (signed) throw new Fault("ISA2005", "only loads have a sign", token);
  return size;
}

export function wordSize(size: MemorySize, token: Token): "u32" | "u64" {
  if (size !== "u32" && size !== "u64")
    throw new Fault("ISA2005", `atomic operations have 32 or 64 bits, not ${size}`, token);
  return size;
}

/** `pc+3`, `+3` or a label. */
export function parseTarget(
  cursor: Cursor,
  field: Target["field"],
): { readonly distance: number; readonly target?: Target } {
  const token = cursor.peek();
  const relative = token.text === "pc" && ["+", "-"].includes(cursor.peek(1).text);
  if (relative) cursor.next();
  if (relative || token.text === "+" || token.text === "-") {
    return { distance: field === "offset" ? cursor.off16() : cursor.imm32() };
  }
  const label = cursor.name("pc+N or a label");
  return { distance: 0, target: { name: label.text, column: label.column, field } };
}

export function withTarget(insn: Instruction, target: Target | undefined): Statement {
  return target === undefined ? { insn } : { insn, target };
}
