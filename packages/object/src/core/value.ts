import { resolveId, resolveType, sizeOf } from "../btf/query.ts";
import type { BtfType, BtfView } from "../btf/types.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import { accessText, isComposite, isEnum } from "./access.ts";
import type { Access } from "./access.ts";
import type { CoreKind } from "./kinds.ts";

/** What one side, the object's types or the kernel's, gives for a relocation. */
export interface SideValue {
  readonly value: bigint;
  /** Bytes that a load or store of the field accesses, where that may change the instruction; else 0. */
  readonly size: number;
  /** The field's type for `size`. */
  readonly type: BtfType | null;
  /** Whether the object's instruction must hold the local value: bit fields are ambiguous, ids change when objects are linked. */
  readonly certain: boolean;
}

/** Null: there is no value, the instruction is poisoned. */
export function sideValue(kind: CoreKind, access: Access | null, byteOrder: ByteOrder): SideValue | null {
  const plain = (value: bigint | number, certain = true): SideValue => ({
    value: BigInt(value),
    size: 0,
    type: null,
    certain,
  });
  switch (kind) {
    case "field_exists":
    case "enumval_exists":
    case "type_exists":
    case "type_matches":
      return plain(access === null ? 0 : 1);
    case "type_id_target":
      return plain(access?.rootId ?? 0, access === null);
    case "type_id_local":
      return plain(access?.rootId ?? 0, false);
    case "type_size":
      return plain(access === null ? 0 : bytesOf(access.btf, access.rootId));
    case "enumval_value":
      return access === null ? null : plain(enumValue(access));
    default:
      return access === null ? null : fieldValue(kind, access, byteOrder);
  }
}

function bytesOf(btf: BtfView, id: number): number {
  const size = sizeOf(btf, id);
  if (size === null) throw new ObjectError("relocation", `type ${id} has no size`);
  return size;
}

function enumValue(access: Access): bigint {
  const step = access.steps[0];
  const type = step === undefined ? null : access.btf.get(step.typeId);
  const value = isEnum(type) ? type.values[step?.index ?? 0]?.value : undefined;
  if (value === undefined) throw new ObjectError("relocation", `${accessText(access)} is no value`);
  // enum values of 32 bits are sign-extended whatever their sign (struct btf_enum's s32).
  return typeof value === "bigint" ? value : BigInt(value | 0);
}

type FieldKind = Extract<CoreKind, "byte_offset" | "byte_size" | "signed" | "lshift_u64" | "rshift_u64">;

function fieldValue(kind: FieldKind, access: Access, byteOrder: ByteOrder): SideValue {
  const last = access.steps.at(-1);
  if (last === undefined) throw new ObjectError("relocation", `${accessText(access)} is no field`);
  if (last.name === null) return elementValue(kind, access, last.typeId);
  const holder = access.btf.get(last.typeId);
  const member = isComposite(holder) ? holder.members[last.index] : undefined;
  if (member === undefined) throw new ObjectError("relocation", `${accessText(access)} is no field`);
  const typeId = resolveId(access.btf, member.typeId);
  if (member.bitSize > 0) return bitFieldValue(kind, access, { typeId, bitSize: member.bitSize, byteOrder });
  const bytes = bytesOf(access.btf, typeId);
  const plain = (value: number): SideValue => ({ value: BigInt(value), size: 0, type: null, certain: true });
  switch (kind) {
    case "byte_offset":
      return offsetValue(access, typeId);
    case "byte_size":
      return plain(bytes);
    case "signed":
      return plain(isSigned(access.btf.get(typeId)) ? 1 : 0);
    case "lshift_u64":
      return plain(byteOrder === "little" ? 64 - bytes * 8 : (8 - bytes) * 8);
    case "rshift_u64":
      return plain(64 - bytes * 8);
  }
}

function isSigned(type: BtfType | null): boolean {
  return (isEnum(type) && type.signed) || (type?.kind === "int" && type.encoding === "signed");
}

function elementValue(kind: FieldKind, access: Access, typeId: number): SideValue {
  if (kind === "byte_offset") return offsetValue(access, typeId);
  if (kind === "byte_size") return { value: BigInt(bytesOf(access.btf, typeId)), size: 0, type: null, certain: true };
  throw new ObjectError("relocation", `CO-RE ${kind} cannot be had of ${accessText(access)}, an array's element`);
}

/** The offset, with the size of a load or store: of an array, that of its element. */
function offsetValue(access: Access, typeId: number): SideValue {
  let element = typeId;
  for (let type = resolveType(access.btf, element); type?.kind === "array"; type = resolveType(access.btf, element)) {
    element = type.typeId;
  }
  return {
    value: BigInt(Math.floor(access.bitOffset / 8)),
    size: bytesOf(access.btf, element),
    type: access.btf.get(typeId),
    certain: true,
  };
}

/** Of the smallest naturally aligned integer that holds the whole bit field. */
function bitFieldValue(
  kind: FieldKind,
  access: Access,
  field: { typeId: number; bitSize: number; byteOrder: ByteOrder },
): SideValue {
  const { bitSize, byteOrder } = field;
  let bytes = bytesOf(access.btf, field.typeId);
  const start = () => Math.floor(access.bitOffset / 8 / bytes) * bytes;
  while (access.bitOffset + bitSize - start() * 8 > bytes * 8) {
    if (bytes >= 8) throw new ObjectError("relocation", `${accessText(access)} does not fit into one load of 64 bits`);
    bytes *= 2;
  }
  const inside = access.bitOffset - start() * 8;
  const result = (value: number, certain = false): SideValue => ({
    value: BigInt(value),
    size: 0,
    type: null,
    certain,
  });
  switch (kind) {
    case "byte_offset":
      return result(start());
    case "byte_size":
      return result(bytes);
    case "signed":
      return result(isSigned(access.btf.get(field.typeId)) ? 1 : 0, true);
    case "lshift_u64":
      return result(byteOrder === "little" ? 64 - (inside + bitSize) : (8 - bytes) * 8 + inside);
    case "rshift_u64":
      return result(64 - bitSize, true);
  }
}
