import { Alignment, sizeOf } from "./query.ts";
import type { BtfOf, BtfType, BtfView } from "./types.ts";

type Composite = BtfOf<"struct" | "union">;
type Enum = BtfOf<"enum"> | BtfOf<"enum64">;

/** Writes definitions and declarations; keeps the names that are taken. */
export class CText {
  private readonly view: BtfView;
  private readonly alignment: Alignment;
  /** Tags of structs, unions and enums have a name space of their own. */
  private readonly tags = new Names();
  private readonly identifiers = new Names();

  constructor(view: BtfView) {
    this.view = view;
    // libbpf counts no alignment beyond a pointer's.
    this.alignment = new Alignment(view, 8);
  }

  /** `struct name` or `union name`. */
  tag(id: number, type: Composite): string {
    return type.name === "" ? type.kind : `${type.kind} ${this.tags.of(id, type.name)}`;
  }

  forward(id: number, type: BtfOf<"fwd">): string {
    return `${type.isUnion ? "union" : "struct"} ${this.tags.keep(id, type.name)}`;
  }

  enumTag(id: number, type: Enum): string {
    if (type.name === "") return "enum";
    // An enum without values is a forward declaration.
    const name = type.values.length === 0 ? this.tags.keep(id, type.name) : this.tags.of(id, type.name);
    return `enum ${name}`;
  }

  enumDefinition(id: number, type: Enum, level: number): string {
    const head = this.enumTag(id, type);
    if (type.values.length === 0) return head;
    const lines = type.values.map(({ name, value }) => {
      const suffix = type.kind === "enum" ? "" : type.signed ? "LL" : "ULL";
      return `\n${indent(level + 1)}${this.identifiers.next(name)} = ${value}${suffix},`;
    });
    return `${head} {${lines.join("")}\n${indent(level)}}${enumMode(type)}`;
  }

  typedefDefinition(id: number, type: BtfOf<"typedef">): string {
    const name = this.identifiers.of(id, type.name);
    // Old GCC says void.
    if (type.typeId === 0 && name === "__gnuc_va_list") return "typedef __builtin_va_list __gnuc_va_list";
    return `typedef ${this.declaration(type.typeId, name, 0)}`;
  }

  compositeDefinition(id: number, type: Composite, level: number): string {
    const isStruct = type.kind === "struct";
    const packed = isStruct && this.isPacked(type);
    const out = [this.tag(id, type), " {"];
    let end = 0;
    let afterBitField = false;
    for (const member of type.members) {
      const isBitField = member.bitSize > 0;
      const align = packed ? 1 : this.alignment.of(member.typeId);
      out.push(padding(end, member.bitOffset, { align, inBitField: afterBitField && isBitField, level: level + 1 }));
      out.push("\n", indent(level + 1), this.declaration(member.typeId, member.name, level + 1));
      if (isBitField) out.push(`: ${member.bitSize}`);
      out.push(";");
      end = member.bitOffset + (isBitField ? member.bitSize : (sizeOf(this.view, member.typeId) ?? 0) * 8);
      afterBitField = isBitField;
    }
    if (isStruct)
      out.push(padding(end, type.size * 8, { align: this.alignment.of(id), inBitField: false, level: level + 1 }));
    out.push(type.members.length > 0 || type.size > 0 ? `\n${indent(level)}}` : "}");
    if (packed) out.push(" __attribute__((packed))");
    return out.join("");
  }

  private isPacked(type: Composite): boolean {
    let max = 1;
    for (const member of type.members) {
      const align = this.alignment.of(member.typeId);
      if (member.bitSize === 0 && member.bitOffset % (8 * align) !== 0) return true;
      max = Math.max(max, align);
    }
    return type.size % max !== 0;
  }

  /** The declaration of `name` with that type, as C turns types inside out. */
  declaration(id: number, name: string, level: number): string {
    const chain: number[] = [];
    let at = id;
    for (let depth = 0; depth < 1024; depth++) {
      chain.push(at);
      const type = this.view.get(at);
      if (type === null || !isLink(type)) break;
      at = type.kind === "func_proto" ? type.returnTypeId : type.typeId;
    }
    return new Declarator(this, this.view, { chain, level }).run(name);
  }

  /** The innermost type of a declaration. */
  base(id: number, type: BtfType | null, level: number): string {
    switch (type?.kind) {
      case undefined:
        return "void";
      case "int":
      case "float":
        return type.name;
      case "struct":
      case "union":
        return type.name === "" ? this.compositeDefinition(id, type, level) : this.tag(id, type);
      case "enum":
      case "enum64":
        return type.name === "" ? this.enumDefinition(id, type, level) : this.enumTag(id, type);
      case "fwd":
        return this.forward(id, type);
      case "typedef":
        return this.identifiers.of(id, type.name);
      default:
        return `/* ${type?.kind ?? "void"} */`;
    }
  }
}

type Link = BtfOf<"ptr" | "volatile" | "const" | "restrict" | "type_tag" | "array"> | BtfOf<"func_proto">;

function isLink(type: BtfType): type is Link {
  switch (type.kind) {
    case "ptr":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
    case "array":
    case "func_proto":
      return true;
    default:
      return false;
  }
}

/** Writes one declaration: the chain from the declared thing to its innermost type is read from its end. */
class Declarator {
  private readonly print: CText;
  private readonly view: BtfView;
  private readonly chain: number[];
  private readonly level: number;

  constructor(print: CText, view: BtfView, input: { chain: number[]; level: number }) {
    this.print = print;
    this.view = view;
    this.chain = input.chain;
    this.level = input.level;
  }

  run(name: string): string {
    // No space before a pointer that begins, as in `(*name)`.
    let afterPointer = true;
    let out = "";
    for (let id = this.chain.pop(); id !== undefined; id = this.chain.pop()) {
      const type = this.view.get(id);
      switch (type?.kind) {
        case "ptr":
          out += afterPointer ? "*" : " *";
          break;
        case "volatile":
        case "const":
        case "restrict":
          out += ` ${type.kind}`;
          break;
        case "type_tag":
          out += this.modifiers();
          out +=
            type.attribute === true
              ? ` __attribute__((${type.name}))`
              : ` __attribute__((btf_type_tag("${type.name}")))`;
          break;
        case "array":
          return out + this.array(type, name, afterPointer);
        case "func_proto":
          return out + this.func(type, name, afterPointer);
        default:
          out += this.modifiers() + this.print.base(id, type, this.level);
      }
      afterPointer = type?.kind === "ptr";
    }
    return out + separated(name, afterPointer);
  }

  /** Modifiers of the innermost type stand before it. */
  private modifiers(): string {
    let out = "";
    for (
      let kind = this.nextKind();
      kind === "volatile" || kind === "const" || kind === "restrict";
      kind = this.nextKind()
    ) {
      out += `${kind} `;
      this.chain.pop();
    }
    return out;
  }

  /** Modifiers of arrays and functions mean nothing. */
  private dropModifiers(): void {
    this.modifiers();
  }

  private nextKind(): string | undefined {
    const id = this.chain.at(-1);
    return id === undefined ? undefined : this.view.get(id)?.kind;
  }

  private array(type: BtfOf<"array">, name: string, afterPointer: boolean): string {
    this.dropModifiers();
    if (this.chain.length === 0) return `${separated(name, afterPointer)}[${type.length}]`;
    const space = name !== "" && !afterPointer ? " " : "";
    const inner = this.nextKind() === "array" ? this.run(name) : `(${this.run(name)})`;
    return `${space}${inner}[${type.length}]`;
  }

  private func(type: BtfOf<"func_proto">, name: string, afterPointer: boolean): string {
    this.dropModifiers();
    const inner = this.chain.length > 0 ? ` (${this.run(name)})` : separated(name, afterPointer);
    const { params } = type;
    if (params.length === 0 || (params.length === 1 && params[0]?.typeId === 0)) return `${inner}(void)`;
    const list = params.map((param, index) => {
      const isRest = index === params.length - 1 && param.typeId === 0;
      return isRest ? "..." : this.print.declaration(param.typeId, param.name, this.level);
    });
    return `${inner}(${list.join(", ")})`;
  }
}

function separated(name: string, afterPointer: boolean): string {
  return name !== "" && !afterPointer ? ` ${name}` : name;
}

function indent(level: number): string {
  return "\t".repeat(level);
}

function enumMode(type: Enum): string {
  if (type.size === 1) return " __attribute__((mode(byte)))";
  if (type.size !== 8) return "";
  // Values beyond 32 bits make it wide by themselves.
  const isWide = type.kind === "enum64" && type.values.some(({ value }) => BigInt.asUintN(64, value) >> 32n !== 0n);
  return isWide ? "" : " __attribute__((mode(word)))";
}

const PADS = [
  { name: "long", bits: 64 },
  { name: "int", bits: 32 },
  { name: "short", bits: 16 },
  { name: "char", bits: 8 },
] as const;

interface Padding {
  /** Bytes of the next member's alignment. */
  readonly align: number;
  /** Between two bit fields. */
  readonly inBitField: boolean;
  readonly level: number;
}

/**
 * Unnamed bit fields for a gap that the compiler would not leave by itself. The largest type with an aligned place in the gap begins;
 * up to there the alignment of what follows may do, else a `type: 0` does.
 */
function padding(from: number, to: number, { align, inBitField, level }: Padding): string {
  if (from >= to) return "";
  const up = (value: number, step: number) => Math.ceil(value / step) * step;
  const pad = PADS.find(({ bits }) => up(from, bits) <= to) ?? PADS[3];
  const aligned = up(from, pad.bits);
  let at = from;
  let out = "";
  const put = (name: string, bits: number) => {
    out += `\n${indent(level)}${name}: ${bits};`;
  };
  if (aligned > from && aligned <= to) {
    const unlike = aligned === to && up(from, align * 8) !== aligned;
    const swallowed = aligned !== to && to - aligned <= aligned - from;
    if (inBitField || unlike || swallowed) put(pad.name, inBitField ? aligned - from : 0);
    at = aligned;
  }
  for (; to - at >= pad.bits; at += pad.bits) put(pad.name, pad.bits);
  const rest = to - at;
  if (rest > 0) put([...PADS].reverse().find(({ bits }) => bits >= rest)?.name ?? "long", rest);
  return out;
}

/** Names in one name space; those that are taken get a number. */
class Names {
  private readonly counts = new Map<string, number>();
  private readonly known = new Map<number, string>();

  /** The name of a type: always the same. */
  of(id: number, name: string): string {
    const known = this.known.get(id);
    if (known !== undefined) return known;
    const unique = this.next(name);
    this.known.set(id, unique);
    return unique;
  }

  /** The name of a forward declaration: the one that it has. */
  keep(id: number, name: string): string {
    this.known.set(id, name);
    return name;
  }

  /** A name that is not taken yet. */
  next(name: string): string {
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    return count > 1 ? `${name}___${count}` : name;
  }
}
