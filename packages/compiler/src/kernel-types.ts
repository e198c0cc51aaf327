/**
 * @module
 * Kernel structures as `.d.ts` files of BTF declare them: interfaces with the brand `"~btf"`. What a program touches becomes local types of
 * its BTF, which CO-RE matches by name with the running kernel's. Their members all lie at offset 0: only names and kinds are compared, and
 * the true offset comes with the relocation.
 */
import ts from "typescript";
import type { BtfBuilder, BtfMember } from "@skep/object";
import { BOOL, sizeOf, type BoolT, type IntT } from "./types.ts";

/** A struct or union of the kernel, as far as this program knows it. */
export interface KernelStruct {
  readonly kind: "struct" | "union";
  /** "" where it has none. */
  readonly name: string;
  /** Reserved in the BTF. */
  readonly typeId: number;
  readonly members: Map<string, KernelMember>;
  readonly type: ts.Type;
}

export interface KernelMember {
  readonly index: number;
  readonly type: KernelFieldType;
}

export type KernelFieldType =
  /** `bits`: of a bit field. */
  | { readonly kind: "int"; readonly type: IntT | BoolT; readonly isEnum: boolean; readonly bits?: number }
  | { readonly kind: "pointer"; readonly to: KernelStruct | null }
  | { readonly kind: "struct"; readonly struct: KernelStruct }
  | { readonly kind: "array"; readonly element: KernelFieldType; readonly length: number };

const ABSENT = ts.TypeFlags.Null | ts.TypeFlags.Undefined;

export class KernelTypes {
  #checker: ts.TypeChecker;
  #btf: BtfBuilder;
  #intOf: (type: ts.Type) => IntT | BoolT | null;
  #named = new Map<string, KernelStruct>();
  #anonymous = new Map<ts.Type, KernelStruct>();
  #enums = new Map<string, { readonly typeId: number; readonly values: { name: string; value: bigint }[] }>();
  #opaque = new Map<string, number>();

  /** `intOf`: what a branded integer type or boolean is. */
  constructor(checker: ts.TypeChecker, btf: BtfBuilder, intOf: (type: ts.Type) => IntT | BoolT | null) {
    this.#checker = checker;
    this.#btf = btf;
    this.#intOf = intOf;
  }

  /** The structure that a type names; null where it is none. */
  structOf(type: ts.Type): KernelStruct | null {
    const brand = this.#brand(type);
    if (!brand) return null;
    const known = this.#named.get(brand);
    if (known) return known;
    const [kind = "struct", name = ""] = brand.split(" ");
    const struct = this.#make(kind === "union" ? "union" : "struct", name, type);
    this.#named.set(brand, struct);
    return struct;
  }

  #make(kind: "struct" | "union", name: string, type: ts.Type): KernelStruct {
    return { kind, name, typeId: this.#btf.reserve(), members: new Map(), type };
  }

  #brand(type: ts.Type): string | null {
    const brand = this.#checker.getPropertyOfType(type, "~btf");
    if (!brand) return null;
    const named = this.#checker.getTypeOfSymbol(brand);
    const parts = named.isUnion() ? named.types : [named];
    const literal = parts.find((part) => part.isStringLiteral());
    return literal?.isStringLiteral() ? literal.value : null;
  }

  /** A member by name; null where the declaration has none. */
  member(struct: KernelStruct, name: string): KernelMember | null {
    const known = struct.members.get(name);
    if (known) return known;
    const property = this.#checker.getPropertyOfType(struct.type, name);
    const type = property ? this.#fieldType(this.#checker.getTypeOfSymbol(property), property) : null;
    if (!type) return null;
    const member = { index: struct.members.size, type };
    struct.members.set(name, member);
    return member;
  }

  #fieldType(given: ts.Type, property: ts.Symbol | null): KernelFieldType | null {
    const int = this.#intOf(given);
    if (int) {
      const bits = this.#bitsOf(given);
      const isEnum = property !== null && this.#isEnum(property);
      return { kind: "int", type: int, isEnum, ...(bits === null ? {} : { bits }) };
    }
    if (given.isUnion()) {
      const rest = given.types.filter((part) => (part.flags & ABSENT) === 0);
      const [only] = rest;
      // What may be null is a pointer.
      return only && rest.length === 1 && rest.length < given.types.length
        ? { kind: "pointer", to: this.structOf(only) }
        : null;
    }
    if (this.#checker.getPropertyOfType(given, "~pointer")) return { kind: "pointer", to: null };
    const struct = this.structOf(given);
    if (struct) return { kind: "struct", struct };
    return this.#array(given) ?? this.#inline(given);
  }

  /** The width of a bit field. */
  #bitsOf(type: ts.Type): number | null {
    const brand = this.#checker.getPropertyOfType(type, "~bits");
    if (!brand) return null;
    const width = this.#checker.getTypeOfSymbol(brand);
    const literal = (width.isUnion() ? width.types : [width]).find((part) => part.isNumberLiteral());
    return literal?.isNumberLiteral() ? literal.value : null;
  }

  /** An enum's name stands for a type and a table of its values. */
  #isEnum(property: ts.Symbol): boolean {
    const declaration = property.valueDeclaration;
    if (!declaration || !ts.isPropertySignature(declaration) || !declaration.type) return false;
    if (!ts.isTypeReferenceNode(declaration.type)) return false;
    const [inner] = declaration.type.typeArguments ?? [];
    const named = inner && ts.isTypeReferenceNode(inner) ? inner : declaration.type;
    const symbol = this.#checker.getSymbolAtLocation(named.typeName);
    return (symbol?.declarations?.length ?? 0) > 1;
  }

  #array(type: ts.Type): KernelFieldType | null {
    if (this.#checker.isTupleType(type)) {
      const elements = this.#checker.getTypeArguments(type as ts.TypeReference);
      const element = elements[0] ? this.#fieldType(elements[0], null) : null;
      return element ? { kind: "array", element, length: elements.length } : null;
    }
    const list = type.isIntersection() ? type.types.find((part) => this.#checker.isArrayType(part)) : type;
    if (!list || !this.#checker.isArrayType(list)) return null;
    const [item] = this.#checker.getTypeArguments(list as ts.TypeReference);
    const element = item ? this.#fieldType(item, null) : null;
    return element ? { kind: "array", element, length: this.#lengthOf(type) } : null;
  }

  /** 0 for a flexible array. */
  #lengthOf(type: ts.Type): number {
    const length = this.#checker.getPropertyOfType(type, "length");
    if (!length) return 0;
    const declared = this.#checker.getTypeOfSymbol(length);
    const parts = declared.isIntersection() ? declared.types : [declared];
    const literal = parts.find((part) => part.isNumberLiteral());
    return literal?.isNumberLiteral() ? literal.value : 0;
  }

  #inline(type: ts.Type): KernelFieldType | null {
    if ((type.flags & ts.TypeFlags.Object) === 0) return null;
    const known = this.#anonymous.get(type) ?? this.#make("struct", "", type);
    this.#anonymous.set(type, known);
    return { kind: "struct", struct: known };
  }

  /** A value of an enum of the kernel, by name: what a relocation refers to. */
  enumerator(name: string, value: string, number: bigint): { typeId: number; index: number } {
    const known = this.#enums.get(name) ?? { typeId: this.#btf.reserve(), values: [] };
    this.#enums.set(name, known);
    let index = known.values.findIndex((one) => one.name === value);
    if (index < 0) index = known.values.push({ name: value, value: number }) - 1;
    return { typeId: known.typeId, index };
  }

  /** A structure that is only pointed to. */
  opaque(name: string): number {
    const known = this.#named.get(`struct ${name}`)?.typeId ?? this.#opaque.get(name) ?? this.#btf.reserve();
    if (!this.#named.has(`struct ${name}`)) this.#opaque.set(name, known);
    return known;
  }

  /** Names of the structures that are only pointed to, with their ids. */
  get pointedTo(): ReadonlyMap<string, number> {
    return this.#opaque;
  }

  bring(pointedTo: readonly (readonly [name: string, id: number])[]): void {
    for (const [name, id] of pointedTo) this.#opaque.set(name, id);
  }

  /** All else that is known here: equal where the same is known. */
  get stamp(): string {
    const structs = [...this.#named.values(), ...this.#anonymous.values()];
    const parts = structs.map(({ name, typeId, members }) => `${name} ${typeId} ${[...members.keys()].join(" ")}`);
    const enums = [...this.#enums].map(([name, { typeId, values }]) => `${name} ${typeId} ${values.length}`);
    return [...parts, ...enums].join("\n");
  }

  /** BTF of a field's type. */
  #typeId(type: KernelFieldType): number {
    switch (type.kind) {
      case "int":
        if (type.isEnum && type.type.kind === "int") {
          return this.#btf.add({
            kind: "enum",
            name: "",
            size: type.type.bits / 8,
            signed: type.type.signed,
            values: [],
          });
        }
        if (type.type === BOOL) return this.#btf.intType("bool", 1, "bool");
        return this.#btf.intType(
          type.type.name,
          sizeOf(type.type),
          type.type.kind === "int" && type.type.signed ? "signed" : "unsigned",
        );
      case "pointer":
        return this.#btf.pointer(type.to ? type.to.typeId : 0);
      case "struct":
        return type.struct.typeId;
      default:
        return this.#btf.array(this.#typeId(type.element), type.length);
    }
  }

  #finishNames(): void {
    for (const [name, id] of this.#opaque) {
      this.#btf.define(id, { kind: "struct", name, size: 0, members: [], hasBitfields: false });
    }
    for (const [name, { typeId, values }] of this.#enums) {
      const signed = values.some(({ value }) => value < 0n);
      const narrow = values.map((one) => ({ name: one.name, value: Number(one.value) }));
      this.#btf.define(typeId, { kind: "enum", name, size: 4, signed, values: narrow });
    }
  }

  /** Gives every structure that was touched its members. */
  finish(): void {
    this.#finishNames();
    const done = new Set<KernelStruct>();
    // Defining one may make another known.
    for (;;) {
      const next = [...this.#named.values(), ...this.#anonymous.values()].find((struct) => !done.has(struct));
      if (!next) return;
      done.add(next);
      const members: BtfMember[] = [];
      for (const [name, member] of next.members) {
        const bitSize = member.type.kind === "int" ? (member.type.bits ?? 0) : 0;
        members.push({ name, typeId: this.#typeId(member.type), bitOffset: 0, bitSize });
      }
      this.#btf.define(next.typeId, {
        kind: next.kind,
        name: next.name,
        size: fieldSize({ kind: "struct", struct: next }),
        members,
        hasBitfields: members.some((member) => member.bitSize > 0),
      });
    }
  }
}

/** Bytes of a field as the local type has it. */
export function fieldSize(type: KernelFieldType): number {
  switch (type.kind) {
    case "int":
      return sizeOf(type.type);
    case "pointer":
      return 8;
    case "array":
      return fieldSize(type.element) * type.length;
    default:
      return LOCAL_SIZE;
  }
}

/** Of every local structure: more members may come to be known, and relocations hold the size from the start. */
const LOCAL_SIZE = 0x10000;
