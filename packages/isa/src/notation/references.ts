import { lddwPseudo } from "../construct.ts";
import type { Instruction } from "../instruction.ts";
import { parseTarget, withTarget } from "./operands.ts";
import type { Typed } from "./operands.ts";
import type { Statement } from "./statement.ts";
import { Fault } from "./tokens.ts";
import type { Cursor, Token } from "./tokens.ts";

/** `map[id:3]`, `map[id:3][0]+8`, `map[idx:1]`, `map[idx:1]+8`, `map[name:counts]`, `btf[id:7]`, `ksym[name:x]`, `subprog[+9]`. */
export function parseReference(cursor: Cursor, left: Typed, word: Token): Statement {
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
export function parseSymbolName(cursor: Cursor): { readonly name: string; readonly weak: boolean } {
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
export function parseUnsigned32(cursor: Cursor): number {
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
