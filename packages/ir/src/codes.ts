/**
 * @module
 * What the back end can complain about. Codes are stable.
 */
import type { Diagnostic } from "@skep/isa";
import type { Loc } from "./ir.ts";

export const CODES = {
  /** The IR breaks its own rules: a mistake of the front end. */
  SKEP2001: "malformed IR",
  /** A frame or a chain of calls needs more than the kernel's 512 bytes. */
  SKEP2002: "stack too large",
  /** A jump beyond 16 bits. */
  SKEP2003: "branch too far",
  /** More than the five argument registers. */
  SKEP2004: "too many arguments",
  /** A function that calls itself. */
  SKEP2005: "recursion",
  /** A call of a function that the module lacks. */
  SKEP2006: "unknown function",
  /** An operation that the chosen instruction set lacks. */
  SKEP2007: "not in this instruction set",
  /** A fixed offset beyond 16 bits. */
  SKEP2008: "offset too large",
  /** A text that is not IR. */
  SKEP2009: "not IR",
} as const;

export type Code = keyof typeof CODES;

export function problem(code: Code, message: string, where: { loc?: Loc | undefined; hint?: string } = {}): Diagnostic {
  const { loc, hint } = where;
  return {
    code,
    severity: "error",
    message,
    ...(loc ? { span: { file: loc.file, line: loc.line, column: loc.column, offset: 0, length: 0 } } : {}),
    ...(hint ? { hint } : {}),
  };
}
