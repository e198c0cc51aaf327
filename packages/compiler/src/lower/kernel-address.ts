/**
 * @module
 * Places in kernel structures as CO-RE relocations.
 */
import type ts from "typescript";
import type { CoreAccess, Inst } from "@skep/ir";
import type { KernelValue } from "../values.ts";
import type { Cx } from "./cx.ts";

/** enum bpf_core_relo_kind. */
export const RELOCATION = {
  byteOffset: 0,
  byteSize: 1,
  exists: 2,
  leftShift: 4,
  rightShift: 5,
  typeIdLocal: 6,
  typeId: 7,
  typeExists: 8,
  typeSize: 9,
  enumExists: 10,
  enumValue: 11,
  typeMatches: 12,
} as const;

export function coreAccess(value: KernelValue): CoreAccess {
  return { typeId: value.root.typeId, access: ["0", ...value.path].join(":"), local: BigInt(value.local) };
}

/** Address of a place in the kernel. */
export function kernelAddress(cx: Cx, place: KernelValue, node: ts.Node): Inst {
  const b = cx.emit(node);
  if (place.path.length === 0) return place.ptr;
  return b.ptradd(place.ptr, b.core(RELOCATION.byteOffset, coreAccess(place)));
}
