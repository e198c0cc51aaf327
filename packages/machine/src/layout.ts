/**
 * @module
 * Layouts as text: what bytes mean that one version wrote, for another to compare or to read (`parseLayout`).
 */
import type { BtfTypes, MapSpec } from "@skep/object";
import { type Shape, shapeOf } from "./codec/shape.ts";

/** The layout as text: offsets, widths, signs, byte order and field names; names of types do not count. */
export function describeShape(shape: Shape): string {
  switch (shape.kind) {
    case "int":
      return `${shape.signed ? "i" : "u"}${shape.size * 8}${shape.bigEndian ? "be" : ""}`;
    case "array":
      return `[${shape.length}]${describeShape(shape.element)}`;
    case "struct":
    case "union": {
      const members = shape.members.map(({ name, offset, bits, shape: inner }) => {
        const place = bits ? `${offset}.${bits.shift}:${bits.width}` : `${offset}`;
        return `${name}@${place} ${describeShape(inner)}`;
      });
      return `${shape.kind}${shape.size}{${members.join(",")}}`;
    }
    default:
      return `${shape.kind}${shape.size}`;
  }
}

function describeSide(btf: BtfTypes | undefined, typeId: number | undefined, size: number): string {
  return btf === undefined || typeId === undefined || typeId === 0
    ? `bytes${size}`
    : `${size} ${describeShape(shapeOf(btf, typeId))}`;
}

/**
 * What makes two maps interchangeable: type, flags, key and value, inner map; the number of entries does not count. Equal for maps whose contents
 * mean the same, and stable across versions of Skep: a pinned map is used as it is only where its recorded text is that of the spec.
 */
export function describeLayout(spec: MapSpec, btf?: BtfTypes): string {
  const key = describeSide(btf, spec.keyTypeId, spec.keySize);
  const value = describeSide(btf, spec.valueTypeId, spec.valueSize);
  const inner = spec.inner ? ` inner(${describeLayout(spec.inner, btf)})` : "";
  return `${spec.type} flags ${spec.flags} key ${key} value ${value}${inner}`;
}
