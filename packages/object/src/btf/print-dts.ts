import { DtsNames } from "./dts-names.ts";
import { resolveId, resolveType, skipModifiers } from "./query.ts";
import type { BtfMember, BtfOf, BtfTypes, BtfView } from "./types.ts";
import { viewOf } from "./view.ts";

export interface PrintDtsOptions {
  /** The types wanted; all that they hold is declared too. Default every struct, union, enum and typedef of the view. */
  readonly types?: readonly number[];
  /** How many pointers away a struct is still declared with its members; further ones are opaque. Default: all of them. */
  readonly depth?: number;
  /** Module of the integer types `u8` to `i64` and of `FixedArray`. Default `@skep/bpf`. */
  readonly from?: string;
}

/**
 * The types as TypeScript declarations, so that an editor completes the members of `task_struct`: structs and unions are interfaces with
 * anonymous members merged in, enums are types and constant tables, integers are those of `@skep/bpf`, pointers to structs are
 * `T | null`, other pointers `Pointer<T>`; FUNC and VAR ids become functions and constants.
 */
export function printDts(btf: BtfTypes | BtfView, options: PrintDtsOptions = {}): string {
  const view = viewOf(btf);
  const printer = new DtsPrinter(view, options.depth ?? Infinity);
  const body = printer.run(options.types ?? declarable(view));
  return [
    "// Types of BTF. An access to a member becomes a CO-RE relocation.",
    `import type { Bits, FixedArray, i8, i16, i32, i64, u8, u16, u32, u64 } from ${JSON.stringify(options.from ?? "@skep/bpf")};`,
    "",
    "/** An address that cannot be read through: of no known type, or of a function. */",
    'export type Pointer<T> = u64 & { readonly "~pointer"?: T };',
    "",
    ...body,
  ].join("\n");
}

function declarable(view: BtfView): number[] {
  const ids: number[] = [];
  for (let id = 1; id < view.end; id++) {
    const kind = view.get(id)?.kind;
    if (kind === "struct" || kind === "union" || kind === "enum" || kind === "enum64" || kind === "typedef")
      ids.push(id);
  }
  return ids;
}

class DtsPrinter {
  private readonly view: BtfView;
  private readonly maxDepth: number;
  private readonly names: DtsNames;
  /** Declared or waiting, with the distance in pointers. */
  private readonly depths = new Map<number, number>();
  private waiting: number[] = [];
  private depth = 0;

  constructor(view: BtfView, maxDepth: number) {
    this.view = view;
    this.maxDepth = maxDepth;
    this.names = new DtsNames(view);
  }

  run(ids: readonly number[]): string[] {
    const out: string[] = [];
    for (const id of ids) this.need(id, 0);
    // In rounds, so that a nearer way to a type is found before a farther one.
    while (this.waiting.length > 0) {
      const round = this.waiting;
      this.waiting = [];
      for (const id of round) {
        this.depth = this.depths.get(id) ?? 0;
        const text = this.declaration(id);
        if (text !== null) out.push(text, "");
      }
    }
    return out;
  }

  private need(id: number, depth: number): void {
    if (this.depths.has(id)) return;
    this.depths.set(id, depth);
    this.waiting.push(id);
  }

  private declaration(id: number): string | null {
    const type = this.view.get(id);
    switch (type?.kind) {
      case "struct":
      case "union":
        return type.name === "" ? null : this.interface(id, type);
      case "fwd":
        return opaque(this.names.of(id), `${type.isUnion ? "union" : "struct"} ${type.name}`);
      case "enum":
      case "enum64":
        return type.name === "" ? this.enumValues(type) : enumTable(this.names.of(id), type);
      case "typedef": {
        if (this.wellKnown(id) !== null) return null;
        const name = this.names.of(id);
        const target = this.typeOf(type.typeId);
        // `typedef struct x x` says nothing new.
        return target === name ? null : `export type ${name} = ${target};`;
      }
      case "func": {
        const proto = this.view.get(type.typeId);
        return proto?.kind === "func_proto"
          ? `export declare function ${this.names.of(id)}${this.signature(proto, ": ")};`
          : null;
      }
      case "var":
        return `export declare const ${this.names.of(id)}: ${this.typeOf(type.typeId)};`;
      default:
        return null;
    }
  }

  /** Values of an enum without a name stand by themselves. */
  private enumValues(type: Enum): string {
    const lines = type.values.map(({ name, value }) => {
      return `export declare const ${this.names.value(name)}: ${enumValue(type, value)};`;
    });
    return lines.join("\n");
  }

  private interface(id: number, type: BtfOf<"struct" | "union">): string {
    const name = this.names.of(id);
    const what = `${type.kind} ${type.name}`;
    if (this.depth > this.maxDepth) return opaque(name, what);
    const lines = this.members(type, "  ");
    return [
      `/** \`${what}\`, ${type.size} bytes. */`,
      `export interface ${name} {`,
      `  readonly "~btf"?: ${JSON.stringify(what)};`,
      ...lines,
      "}",
    ].join("\n");
  }

  /** Members of anonymous members are members of the whole, as in C. */
  private members(type: BtfOf<"struct" | "union">, indent: string, taken = new Set<string>()): string[] {
    return type.members.flatMap((member) => {
      if (member.name !== "") {
        // Two of one name in a damaged type.
        if (taken.has(member.name)) return [];
        taken.add(member.name);
        return this.member(member, indent);
      }
      const inner = resolveType(this.view, member.typeId);
      return inner?.kind === "struct" || inner?.kind === "union" ? this.members(inner, indent, taken) : [];
    });
  }

  private member(member: BtfMember, indent: string): string[] {
    const type = this.typeOf(member.typeId, indent);
    // A bit is a number, also where C says bool.
    const shown = member.bitSize > 0 ? `Bits<${type === "boolean" ? "u8" : type}, ${member.bitSize}>` : type;
    return [`${indent}${propertyName(member.name)}: ${shown};`];
  }

  /** The type as it stands in a declaration. */
  private typeOf(id: number, indent = ""): string {
    const at = skipModifiers(this.view, id);
    const type = this.view.get(at);
    switch (type?.kind) {
      case undefined:
        return "unknown";
      case "int":
        return intType(type);
      case "float":
        return "number";
      case "ptr":
        return this.pointerTo(type.typeId);
      case "array":
        return this.array(type, indent);
      case "struct":
      case "union":
        if (type.name === "") return this.inline(type, indent);
        return this.named(at);
      case "enum":
      case "enum64":
        return type.name === "" ? enumType(type) : this.named(at);
      case "fwd":
      case "typedef":
        return this.named(at);
      case "func_proto":
        return this.signature(type, " => ");
      default:
        return "unknown";
    }
  }

  private named(id: number): string {
    const known = this.wellKnown(id);
    if (known !== null) return known;
    this.need(id, this.depth);
    return this.names.of(id);
  }

  /** `typedef unsigned int u32` is the `u32` that there is. */
  private wellKnown(id: number): string | null {
    const type = this.view.get(id);
    const target = type?.kind === "typedef" ? resolveType(this.view, id) : null;
    return type?.kind === "typedef" && target?.kind === "int" && intType(target) === type.name ? type.name : null;
  }

  private inline(type: BtfOf<"struct" | "union">, indent: string): string {
    const lines = this.members(type, `${indent}  `);
    return lines.length === 0 ? "{}" : `{\n${lines.join("\n")}\n${indent}}`;
  }

  private array(type: BtfOf<"array">, indent: string): string {
    const element = this.typeOf(type.typeId, indent);
    return type.length === 0 ? `readonly (${element})[]` : `FixedArray<${element}, ${type.length}>`;
  }

  private pointerTo(id: number): string {
    const target = resolveType(this.view, id);
    const isRecord = target?.kind === "struct" || target?.kind === "union" || target?.kind === "fwd";
    if (!isRecord) return `Pointer<${this.typeOf(id)}> | null`;
    if ("name" in target && target.name === "") return `(${this.typeOf(id)}) | null`;
    // The distance counts from here; a typedef on the way keeps its name.
    this.need(resolveId(this.view, id), this.depth + 1);
    const at = skipModifiers(this.view, id);
    this.need(at, this.depth + 1);
    return `${this.names.of(at)} | null`;
  }

  private signature(proto: BtfOf<"func_proto">, arrow: string): string {
    const params = proto.params.map((param, index) => {
      if (param.typeId === 0) return "...rest: unknown[]";
      return `${this.names.parameter(param.name, index)}: ${this.typeOf(param.typeId)}`;
    });
    const result = resolveId(this.view, proto.returnTypeId) === 0 ? "void" : this.typeOf(proto.returnTypeId);
    return `(${params.join(", ")})${arrow}${result}`;
  }
}

function opaque(name: string, what: string): string {
  return `/** \`${what}\`, whose members are not declared here. */\nexport interface ${name} {\n  readonly "~btf"?: ${JSON.stringify(what)};\n}`;
}

function intType(type: BtfOf<"int">): string {
  if (type.encoding === "bool") return "boolean";
  if (![1, 2, 4, 8].includes(type.size)) return `FixedArray<u8, ${type.size}>`;
  // Plain `char` is signed in BTF; text is bytes.
  if (type.name === "char") return "u8";
  return `${type.encoding === "signed" ? "i" : "u"}${type.size * 8}`;
}

type Enum = BtfOf<"enum"> | BtfOf<"enum64">;

function enumType(type: Enum): string {
  return `${type.signed ? "i" : "u"}${type.size * 8}`;
}

/** Values of 64 bits are bigints. */
function enumValue(type: Enum, value: number | bigint): string {
  return type.size === 8 ? `${value}n` : `${value}`;
}

function enumTable(name: string, type: Enum): string {
  const lines = type.values.map((each) => `  readonly ${propertyName(each.name)}: ${enumValue(type, each.value)};`);
  return [
    `export declare const ${name}: {`,
    ...lines,
    "};",
    `/** \`enum ${type.name}\`. */`,
    `export type ${name} = ${enumType(type)};`,
  ].join("\n");
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
