/**
 * @module
 * Accesses to the module's memory as JavaScript: `memory` is a DataView, little-endian.
 */
import type { InstOf } from "../edit.ts";
import type { ExpressionWriter } from "./expressions.ts";

const order = (size: number): string => (size > 1 ? ", true" : "");

export function loadText(inst: InstOf<"load">, address: string, expressions: ExpressionWriter): string {
  const { size, signed, type } = inst;
  if (size === 8) {
    const wide = `memory.getBigUint64(${address}, true)`;
    return type === "ptr" ? `Number(${wide})` : wide;
  }
  const number = `memory.get${signed ? "Int" : "Uint"}${size * 8}(${address}${order(size)})`;
  if (type === "i64") return signed ? expressions.call("u64", `BigInt(${number})`) : `BigInt(${number})`;
  return signed ? `(${number} >>> 0)` : number;
}

export function storeText(inst: InstOf<"store">, address: string, value: string): string {
  const { size } = inst;
  const type = inst.args[1]?.type;
  if (size === 8) return `memory.setBigUint64(${address}, ${type === "ptr" ? `BigInt(${value})` : value}, true)`;
  const number = type === "i64" ? `Number(BigInt.asUintN(${size * 8}, ${value}))` : value;
  return `memory.setUint${size * 8}(${address}, ${number}${order(size)})`;
}

/** The module's memory: constants from 8 on, then what functions use. */
export const MEMORY = `let memory = new DataView(new ArrayBuffer(65536));
let bytes = new Uint8Array(memory.buffer);
function enter(size) {
  const at = top;
  top += size;
  if (top > bytes.length) {
    const grown = new Uint8Array(2 * top);
    grown.set(bytes);
    bytes = grown;
    memory = new DataView(grown.buffer);
  }
  return at;
}
const leave = (frame, result) => {
  top = frame;
  return result;
};
const copy = (to, from, size) => void bytes.copyWithin(to, from, from + size);
const zero = (to, size) => void bytes.fill(0, to, to + size);
`;

export const ATOMICS = `const atomically = (read, write) => {
  const change = (next) => (at, ...operands) => {
    const old = read(at);
    write(at, next(old, ...operands));
    return old;
  };
  return {
    add: change((old, value) => old + value),
    and: change((old, value) => old & value),
    or: change((old, value) => old | value),
    xor: change((old, value) => old ^ value),
    xchg: change((_, value) => value),
    cmpxchg: change((old, expected, value) => (old === expected ? value : old)),
  };
};
const atomic32 = atomically((at) => memory.getUint32(at, true), (at, value) => memory.setUint32(at, value, true));
const atomic64 = atomically((at) => memory.getBigUint64(at, true), (at, value) => memory.setBigUint64(at, value, true));
`;
