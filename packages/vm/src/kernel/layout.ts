/**
 * @module
 * The kernel's structs as bytes: members by name, laid out as BTF says, so that programs that were relocated against the same types find them.
 */
import { findByName, resolveId, resolveType, sizeOf, viewOf } from "@skep/object";
import type { BtfMember, BtfTypes, BtfView } from "@skep/object";
import { KernelObject } from "../object.ts";

/** A member's value. Text and bytes fill arrays; an object stands for a pointer to it; null is a null pointer. */
export type KernelValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | KernelObject
  | null
  | readonly KernelValue[]
  | { readonly [member: string]: KernelValue };

export type KernelMembers = Readonly<Record<string, KernelValue>>;

/** Where a struct's members lie. */
export class KernelLayout {
  private readonly types: BtfView;

  constructor(types: BtfTypes | BtfView) {
    this.types = viewOf(types);
  }

  private structId(name: string): number {
    const found = findByName(this.types, name, "struct") ?? findByName(this.types, name, "union");
    if (found === null) throw new RangeError(`the kernel's types have no struct ${name}`);
    return found.id;
  }

  /** Zeros but for the given members. Throws `RangeError` for a struct or member that the types do not have. */
  bytesOf(struct: string, members: KernelMembers): Uint8Array {
    const id = this.structId(struct);
    const bytes = new Uint8Array(sizeOf(this.types, id) ?? 0);
    this.write(bytes, struct, members);
    return bytes;
  }

  /** Sets members in bytes that are there. */
  write(bytes: Uint8Array, struct: string, members: KernelMembers): void {
    this.putMembers(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), this.structId(struct), 0, members);
  }

  /** Bytes from the struct's start to a member, such as `__sk_common.skc_family`. */
  offsetOf(struct: string, path: string): number {
    let id = this.structId(struct);
    let offset = 0;
    for (const name of path.split(".")) {
      const found = this.memberOf(id, name);
      if (found === null) throw new RangeError(`struct ${struct} has no member ${path}`);
      offset += found.offset;
      id = found.member.typeId;
    }
    return offset;
  }

  /** Also in members without a name. */
  private memberOf(id: number, name: string): { readonly member: BtfMember; readonly offset: number } | null {
    const type = resolveType(this.types, id);
    if (type?.kind !== "struct" && type?.kind !== "union") return null;
    for (const member of type.members) {
      const offset = member.bitOffset >> 3;
      if (member.name === name) return { member, offset };
      const inner = member.name === "" ? this.memberOf(member.typeId, name) : null;
      if (inner !== null) return { member: inner.member, offset: offset + inner.offset };
    }
    return null;
  }

  private putMembers(view: DataView, id: number, at: number, members: KernelMembers): void {
    for (const [name, value] of Object.entries(members)) {
      const found = this.memberOf(id, name);
      if (found === null) {
        const type = resolveType(this.types, id);
        throw new RangeError(`struct ${type !== null && "name" in type ? type.name : id} has no member ${name}`);
      }
      if (found.member.bitSize !== 0) putBits(view, { at, found }, value);
      else this.put(view, found.member.typeId, at + found.offset, value);
    }
  }

  private put(view: DataView, id: number, at: number, value: KernelValue): void {
    const type = resolveType(this.types, id);
    if (type?.kind === "struct" || type?.kind === "union") {
      if (value instanceof Uint8Array) putBytes(view, at, value.subarray(0, type.size));
      else if (isMembers(value)) this.putMembers(view, resolveId(this.types, id), at, value);
      else throw new RangeError(`a struct ${type.name} is given by its members`);
    } else if (type?.kind === "array") {
      const size = sizeOf(this.types, type.typeId) ?? 0;
      if (typeof value === "string") putBytes(view, at, new TextEncoder().encode(value).subarray(0, type.length - 1));
      else if (value instanceof Uint8Array) putBytes(view, at, value.subarray(0, size * type.length));
      else if (isList(value)) value.forEach((each, i) => this.put(view, type.typeId, at + i * size, each));
      else throw new RangeError("an array is given as text, bytes or a list");
    } else putNumber(view, at, { size: sizeOf(this.types, id) ?? 0, value: numberOf(value) });
  }
}

function isMembers(value: KernelValue): value is KernelMembers {
  return typeof value === "object" && value !== null && !isList(value) && !(value instanceof KernelObject);
}

function isList(value: KernelValue): value is readonly KernelValue[] {
  return Array.isArray(value);
}

function numberOf(value: KernelValue): bigint {
  if (value instanceof KernelObject) return BigInt(value.address);
  if (value === null) return 0n;
  if (typeof value === "object" || typeof value === "string") throw new RangeError("a number or an object is wanted");
  return BigInt(value);
}

function putBytes(view: DataView, at: number, bytes: Uint8Array): void {
  new Uint8Array(view.buffer, view.byteOffset + at, bytes.length).set(bytes);
}

function putNumber(view: DataView, at: number, what: { readonly size: number; readonly value: bigint }): void {
  const bytes = new Uint8Array(what.size);
  let rest = BigInt.asUintN(what.size * 8, what.value);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  putBytes(view, at, bytes);
}

function putBits(
  view: DataView,
  place: { readonly at: number; readonly found: { readonly member: BtfMember; readonly offset: number } },
  value: KernelValue,
): void {
  const { member, offset } = place.found;
  const bits = numberOf(value);
  for (let i = 0; i < member.bitSize; i++) {
    const bit = (member.bitOffset & 7) + i;
    const at = place.at + offset + (bit >> 3);
    const mask = 1 << (bit & 7);
    const isSet = ((bits >> BigInt(i)) & 1n) === 1n;
    view.setUint8(at, isSet ? view.getUint8(at) | mask : view.getUint8(at) & ~mask);
  }
}
