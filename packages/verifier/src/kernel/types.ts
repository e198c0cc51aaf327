/**
 * @module
 * Kernel objects by their BTF: what a load at an offset of a struct gives (btf_struct_walk, kernel/bpf/btf.c).
 */
import { resolveId, resolveType, sizeOf, viewOf } from "@skep/object";
import type { BtfMember, BtfOf, BtfTypes, BtfView } from "@skep/object";

/** What a load gives: a number, or a pointer to a type, with the tags that its field carries. */
export type Walked =
  | { readonly kind: "scalar" }
  | { readonly kind: "pointer"; readonly typeId: number; readonly tags: readonly string[]; readonly field: string }
  | { readonly kind: "struct"; readonly typeId: number }
  | { readonly kind: "refused"; readonly why: string };

const refused = (why: string): Walked => ({ kind: "refused", why });
const SCALAR: Walked = { kind: "scalar" };

export class KernelTypes {
  readonly view: BtfView;
  private readonly structs = new Map<string, number>();

  constructor(types: BtfTypes | BtfView) {
    this.view = viewOf(types);
  }

  /** The struct of this name; 0 where the kernel has none. */
  structNamed(name: string): number {
    const known = this.structs.get(name);
    if (known !== undefined) return known;
    const id = this.view.named(name).find((each) => this.view.get(each)?.kind === "struct") ?? 0;
    this.structs.set(name, id);
    return id;
  }

  named(name: string, kind: string): number {
    return this.view.named(name).find((each) => this.view.get(each)?.kind === kind) ?? 0;
  }

  /** Without typedefs, const and the like. */
  resolve(id: number): number {
    return resolveId(this.view, id);
  }

  /** The type of this name at the offset, or a struct that has one there (btf_struct_ids_match). */
  hasAt(typeId: number, offset: number, wanted: string): boolean {
    const id = this.resolve(typeId);
    if (offset === 0 && this.nameOf(id) === wanted) return true;
    const type = this.view.get(id);
    if (type?.kind === "array") {
      const size = this.sizeOf(type.typeId);
      return size > 0 && this.hasAt(type.typeId, offset % size, wanted);
    }
    if (type?.kind !== "struct" && type?.kind !== "union") return false;
    return type.members.some((member) => {
      const start = member.bitOffset >>> 3;
      const isIn = offset >= start && offset < start + this.sizeOf(member.typeId) && member.bitSize === 0;
      return isIn && this.hasAt(member.typeId, offset - start, wanted);
    });
  }

  /** Nothing in it but numbers: memory of the program's own may stand for it (__btf_type_is_scalar_struct). */
  isPlainStruct(typeId: number, depth = 0): boolean {
    const type = resolveType(this.view, typeId);
    if ((type?.kind !== "struct" && type?.kind !== "union") || depth > 4) return false;
    return type.members.every((member) => {
      const own = resolveType(this.view, member.typeId);
      if (own?.kind === "struct" || own?.kind === "union") return this.isPlainStruct(member.typeId, depth + 1);
      const element = own?.kind === "array" && own.length > 0 ? resolveType(this.view, own.typeId) : own;
      return element?.kind === "int" || element?.kind === "enum" || element?.kind === "enum64";
    });
  }

  nameOf(id: number): string {
    const type = this.view.get(id);
    return type !== null && "name" in type ? type.name : "";
  }

  sizeOf(id: number): number {
    return sizeOf(this.view, id) ?? 0;
  }

  /** A load or store of `size` bytes at `offset` of the struct. */
  walk(typeId: number, offset: number, size: number): Walked {
    const id = resolveId(this.view, typeId);
    const type = this.view.get(id);
    if (type === null) return SCALAR;
    if (type.kind === "fwd") return refused("the kernel does not show that type");
    if (type.kind !== "struct" && type.kind !== "union") return SCALAR;
    if (offset < 0) return refused("a negative offset");
    return this.walkStruct(type, offset, size);
  }

  private walkStruct(type: BtfOf<"struct" | "union">, offset: number, size: number): Walked {
    if (offset + size > type.size) return this.behindEnd(type, offset, size);
    for (const member of type.members) {
      const found = this.inMember(type, member, { offset, size });
      if (found !== null) return found;
    }
    return refused(`no field of ${type.name || "the struct"} at ${offset} with ${size} bytes`);
  }

  /** The last member may be an array without a length. */
  private behindEnd(type: BtfOf<"struct" | "union">, offset: number, size: number): Walked {
    const last = type.members.at(-1);
    const array = last === undefined ? null : resolveType(this.view, last.typeId);
    if (last === undefined || array?.kind !== "array" || array.length !== 0) {
      return refused(`${size} bytes at ${offset} are behind the end of ${type.name || "the struct"}`);
    }
    const start = last.bitOffset >>> 3;
    const element = this.sizeOf(array.typeId);
    if (element === 0 || offset < start) return refused("no field there");
    return this.inElement(array.typeId, (offset - start) % element, size);
  }

  private inMember(
    parent: BtfOf<"struct" | "union">,
    member: BtfMember,
    access: { readonly offset: number; readonly size: number },
  ): Walked | null {
    const { offset, size } = access;
    const start = member.bitOffset >>> 3;
    if (member.bitSize !== 0) {
      const end = Math.ceil((member.bitOffset + member.bitSize) / 8);
      return offset <= start && end <= offset + size && start < offset + size ? SCALAR : null;
    }
    const memberSize = this.sizeOf(member.typeId);
    if (offset + size <= start) return parent.kind === "union" ? null : null;
    if (offset >= start + memberSize) return null;
    const type = resolveType(this.view, member.typeId);
    if (type === null) return null;
    if (type.kind === "struct" || type.kind === "union") {
      if (offset < start || offset + size > start + memberSize) return refused("the access crosses fields");
      const inner = this.walkStruct(type, offset - start, size);
      return inner.kind === "refused" && parent.kind === "union" ? null : inner;
    }
    if (type.kind === "array") {
      const element = this.sizeOf(type.typeId);
      if (element === 0 || offset < start) return null;
      if (offset + size > start + memberSize) return refused(`the access goes behind the end of ${member.name}`);
      return this.inElement(type.typeId, (offset - start) % element, size);
    }
    if (type.kind === "ptr" && offset === start && size === 8) return this.pointerField(type.typeId, member.name);
    if (type.kind === "ptr") return refused("a part of a pointer");
    if (offset < start || offset + size > start + memberSize) return refused("the access crosses fields");
    return SCALAR;
  }

  private inElement(typeId: number, offset: number, size: number): Walked {
    const type = resolveType(this.view, typeId);
    if (type?.kind === "struct" || type?.kind === "union") return this.walkStruct(type, offset, size);
    if (type?.kind === "ptr" && size === 8 && offset === 0) return this.pointerField(type.typeId, "");
    if (type?.kind === "array") {
      const element = this.sizeOf(type.typeId);
      return element === 0 ? refused("no field there") : this.inElement(type.typeId, offset % element, size);
    }
    return SCALAR;
  }

  private pointerField(typeId: number, field: string): Walked {
    const tags: string[] = [];
    let at = typeId;
    for (let type = this.view.get(at); type !== null; type = this.view.get(at)) {
      if (type.kind === "type_tag") tags.push(type.name);
      else if (type.kind !== "const" && type.kind !== "volatile" && type.kind !== "typedef") break;
      at = type.typeId;
    }
    const target = this.view.get(at);
    if (target?.kind === "struct" || target?.kind === "union") return { kind: "pointer", typeId: at, tags, field };
    return SCALAR;
  }
}
