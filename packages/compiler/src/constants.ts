/**
 * @module
 * Constants as the bytes of a data section.
 */
import type ts from "typescript";
import { fits, sizeOf, valueInt, type MemoryType } from "./types.ts";
import { describe, type Value } from "./values.ts";
import type { Cx } from "./lower/cx.ts";

function put(bytes: Uint8Array, offset: number, value: bigint, shape: { size: number; bigEndian: boolean }): void {
  for (let at = 0; at < shape.size; at++) {
    const shift = BigInt(8 * (shape.bigEndian ? shape.size - 1 - at : at));
    bytes[offset + at] = Number((value >> shift) & 0xffn);
  }
}

interface At {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly node: ts.Node;
}

function write(cx: Cx, type: MemoryType, value: Value, at: At): void {
  const { bytes, offset, node } = at;
  if (type.kind === "int" && value.kind === "int" && value.const !== undefined) {
    if (!fits(value.const, valueInt(type))) cx.refuse(node, "literalDoesNotFit", [String(value.const), type.name]);
    put(bytes, offset, BigInt.asUintN(type.bits, value.const), { size: type.bits / 8, bigEndian: type.bigEndian });
    return;
  }
  if (type.kind === "bool" && value.kind === "bool" && value.const !== undefined) {
    bytes[offset] = value.const ? 1 : 0;
    return;
  }
  if (type.kind === "array" && value.kind === "list") {
    if (value.elements.length !== type.length) cx.refuse(node, "wantsType", [describe(value), type.name]);
    const size = sizeOf(type.element);
    value.elements.forEach((element, index) =>
      write(cx, type.element, element, { bytes, offset: offset + index * size, node }),
    );
    return;
  }
  if (type.kind === "struct" && value.kind === "record") {
    for (const field of type.fields) {
      const binding = value.fields.get(field.name);
      if (binding?.kind !== "value" || field.type.kind === "bits")
        return cx.refuse(node, "missingField", [type.name, field.name]);
      write(cx, field.type, binding.value, { bytes, offset: offset + field.offset, node });
    }
    return;
  }
  cx.refuse(node, "wantsType", [describe(value), type.name]);
}

/** The bytes of a constant of `type`. */
export function constantBytes(cx: Cx, type: MemoryType, value: Value, node: ts.Node): Uint8Array {
  const bytes = new Uint8Array(sizeOf(type));
  write(cx, type, value, { bytes, offset: 0, node });
  return bytes;
}
