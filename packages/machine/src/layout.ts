/**
 * @module
 * Whether bytes that one version wrote mean the same to another: hashes of layouts, and the comparison of a module's types with BTF.
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

/** What makes two maps interchangeable; the number of entries does not count. */
export function describeLayout(spec: MapSpec, btf?: BtfTypes): string {
  const key = describeSide(btf, spec.keyTypeId, spec.keySize);
  const value = describeSide(btf, spec.valueTypeId, spec.valueSize);
  const inner = spec.inner ? ` inner(${describeLayout(spec.inner, btf)})` : "";
  return `${spec.type} flags ${spec.flags} key ${key} value ${value}${inner}`;
}

const mask = 0xffff_ffff_ffff_ffffn;

/** FNV-1a, 64 bits: the text is short and nobody chooses it to collide. */
function fnv1a(text: string): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & mask;
  return hash;
}

/**
 * 16 hexadecimal digits that are equal for maps whose contents mean the same: type, flags, key and value layout, inner map. Stable
 * across versions of Skep. A pinned map is adopted only where its recorded hash is that of the spec.
 */
export function layoutHash(spec: MapSpec, btf?: BtfTypes): string {
  return fnv1a(describeLayout(spec, btf)).toString(16).padStart(16, "0");
}
