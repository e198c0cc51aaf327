/**
 * @module
 * What a TypeScript type says about layout: the integer brands, structs by the declaration behind their properties, fixed arrays.
 */
import ts from "typescript";
import { arrayType, BOOL, INTS, type ArrayT, type IntT, type MemoryType } from "./types.ts";
import type { DeclaredType } from "./lower/cx.ts";
import { isPrelude } from "./source.ts";

const OTHER: DeclaredType = { kind: "other", nullable: false };
const ABSENT = ts.TypeFlags.Null | ts.TypeFlags.Undefined | ts.TypeFlags.Void;

/** Widest first: a brand names every type that it takes. */
const BY_WIDTH = ["u64", "i64", "i32", "i16", "i8", "u32", "u16", "u8"] as const;

export class DeclaredTypes {
  #checker: ts.TypeChecker;
  #structOf: (call: ts.CallExpression) => MemoryType | null;
  #known = new Map<ts.Type, DeclaredType>();
  #arrays = new Map<string, ArrayT>();

  /** `structOf`: the type that a call of `struct` or `union` declares. */
  constructor(checker: ts.TypeChecker, structOf: (call: ts.CallExpression) => MemoryType | null) {
    this.#checker = checker;
    this.#structOf = structOf;
  }

  of(type: ts.Type): DeclaredType {
    const known = this.#known.get(type);
    if (known) return known;
    const declared = this.#resolve(type);
    this.#known.set(type, declared);
    return declared;
  }

  #resolve(type: ts.Type): DeclaredType {
    if (type.flags & ts.TypeFlags.Void) return { kind: "void", nullable: false };
    if (type.flags & ts.TypeFlags.BooleanLike) return { kind: "memory", type: BOOL, nullable: false };
    const enumeration = this.#enumeration(type);
    if (enumeration) return { kind: "memory", type: enumeration, nullable: false };
    if (type.isUnion()) {
      const rest = type.types.filter((part) => (part.flags & ABSENT) === 0);
      if (rest.length === type.types.length) return OTHER;
      const inner = this.#common(rest);
      return inner ? { ...inner, nullable: true } : OTHER;
    }
    const int = this.#int(type);
    if (int) return { kind: "memory", type: int, nullable: false };
    if (this.#isContext(type)) return { kind: "context", nullable: false };
    const memory = this.#array(type) ?? this.#struct(type);
    return memory ? { kind: "memory", type: memory, nullable: false } : OTHER;
  }

  #common(types: readonly ts.Type[]): DeclaredType | null {
    const [first] = types;
    if (!first) return null;
    if (types.every((type) => type.flags & ts.TypeFlags.BooleanLike))
      return { kind: "memory", type: BOOL, nullable: false };
    if (types.length > 1 && types.every((type) => type.flags & ts.TypeFlags.EnumLike)) {
      const [one, ...others] = new Set(types.map((type) => this.#enumeration(type)));
      return one && others.length === 0 ? { kind: "memory", type: one, nullable: false } : null;
    }
    return types.length === 1 ? this.of(first) : null;
  }

  /** An enum of numbers, or one of its members: u32, or i32 where a member is negative. */
  #enumeration(type: ts.Type): IntT | null {
    const parts = type.isUnion() ? type.types : [type];
    if (!parts.every((part) => part.flags & ts.TypeFlags.EnumLike)) return null;
    const declarations = new Set(
      parts.flatMap(({ symbol }) => symbol.declarations ?? []).map((one) => (ts.isEnumMember(one) ? one.parent : one)),
    );
    const members = [...declarations].flatMap((one) => (ts.isEnumDeclaration(one) ? one.members : []));
    const values = members.map((member) => this.#checker.getConstantValue(member));
    if (values.length === 0 || !values.every((value) => typeof value === "number")) return null;
    return values.some((value) => value < 0) ? INTS.i32 : INTS.u32;
  }

  #int(type: ts.Type): IntT | null {
    if (!type.isIntersection()) return null;
    const brand = this.#checker.getPropertyOfType(type, "~int");
    if (!brand) return null;
    const names = new Set<string>();
    const brandType = this.#checker.getTypeOfSymbol(brand);
    for (const part of brandType.isUnion() ? brandType.types : [brandType])
      if (part.isStringLiteral()) names.add(part.value);
    const name = BY_WIDTH.find((one) => names.has(one));
    return name ? INTS[name] : null;
  }

  #isContext(type: ts.Type): boolean {
    const declaration = type.symbol?.declarations?.[0];
    return declaration !== undefined && isPrelude(declaration.getSourceFile()) && type.symbol.name.endsWith("Context");
  }

  /** One type per element and length, so that types compare by identity. */
  #arrayOf(element: ts.Type, length: number): ArrayT | null {
    const inner = this.of(element);
    if (inner.kind !== "memory" || !inner.type) return null;
    const key = `${inner.type.name}[${length}]`;
    const known = this.#arrays.get(key) ?? arrayType(inner.type, length);
    this.#arrays.set(key, known);
    return known;
  }

  #array(type: ts.Type): ArrayT | null {
    if (this.#checker.isTupleType(type)) {
      const elements = this.#checker.getTypeArguments(type as ts.TypeReference);
      const [first] = elements;
      return first && elements.every((one) => one === first) ? this.#arrayOf(first, elements.length) : null;
    }
    if (!type.isIntersection()) return null;
    const list = type.types.find((part) => this.#checker.isArrayType(part));
    const length = this.#checker.getPropertyOfType(type, "length");
    if (!list || !length) return null;
    const literal = this.#checker.getTypeOfSymbol(length);
    const numbers = literal.isIntersection() ? literal.types : [literal];
    const fixed = numbers.find((one) => one.isNumberLiteral());
    const [element] = this.#checker.getTypeArguments(list as ts.TypeReference);
    return fixed?.isNumberLiteral() && element ? this.#arrayOf(element, fixed.value) : null;
  }

  /** A struct's properties come from the object literal in its declaration. */
  #struct(type: ts.Type): MemoryType | null {
    if ((type.flags & ts.TypeFlags.Object) === 0) return null;
    const properties = this.#checker.getPropertiesOfType(type);
    const declaration = properties[0]?.declarations?.[0];
    if (!declaration) return null;
    if (!ts.isPropertyAssignment(declaration) && !ts.isShorthandPropertyAssignment(declaration)) return null;
    const call = declaration.parent.parent;
    if (!ts.isCallExpression(call) || call.arguments[1] !== declaration.parent) return null;
    const struct = this.#structOf(call);
    if (!struct || (struct.kind !== "struct" && struct.kind !== "union")) return null;
    return struct.fields.length === properties.length ? struct : null;
  }
}
