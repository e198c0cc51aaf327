/**
 * @module
 * Values in memory to what is printed, by BTF. Little endian, as every machine that Skep runs on.
 */
import { type BtfMember, type BtfOf, type BtfView, resolveType, sizeOf } from "@skep/object";
import { Fields, plainText, type Tree } from "../tree.ts";
import { addressText, macText } from "./notation.ts";

/** Reads the value at an offset. */
export type Reader = (view: DataView, at: number) => Tree;

/**
 * `bpftool`: as its JSON has values: enums by name, pointers as numbers, bit fields as `"0x5"`, anonymous members under "".
 * `people`: pointers in hexadecimal, `__be32` and arrays of bytes that are addresses in their notation, `__be16` in host order.
 */
export type Style = "bpftool" | "people";

const MAX_DEPTH = 64;

export interface ReadOptions {
  readonly style: Style;
  /** What pointers to functions hold. Default as other pointers. */
  readonly functionPointer?: (protoId: number, value: bigint) => Tree;
}

/** A reader of a type's values. Void and functions, which have none, read as null. */
export function readerOf(types: BtfView, typeId: number, options: Style | ReadOptions): Reader {
  return new ReaderMaker(types, typeof options === "string" ? { style: options } : options).reader(typeId, "");
}

function integer(view: DataView, at: number, size: number, signed: boolean): Tree {
  switch (size) {
    case 1:
      return signed ? view.getInt8(at) : view.getUint8(at);
    case 2:
      return signed ? view.getInt16(at, true) : view.getUint16(at, true);
    case 4:
      return signed ? view.getInt32(at, true) : view.getUint32(at, true);
    case 8:
      return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    default:
      return `0x${bitsAt(view, at * 8, size * 8).toString(16)}`;
  }
}

/** `width` bits from bit `at`, unsigned. */
function bitsAt(view: DataView, at: number, width: number): bigint {
  let value = 0n;
  const first = at >> 3;
  const bytes = ((at & 7) + width + 7) >> 3;
  for (let index = bytes - 1; index >= 0; index--) value = (value << 8n) | BigInt(view.getUint8(first + index));
  return BigInt.asUintN(width, value >> BigInt(at & 7));
}

const bytesAt = (view: DataView, at: number, size: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, size);

/** Text that ends with a zero, without control characters (bpftool: is_str_array); null for anything else. */
function textOf(bytes: Uint8Array): string | null {
  const end = bytes.indexOf(0);
  if (end < 0 || bytes.subarray(0, end).some((byte) => byte < 0x20 || byte > 0x7e)) return null;
  return String.fromCharCode(...bytes.subarray(0, end));
}

class ReaderMaker {
  readonly #types: BtfView;
  readonly #style: Style;
  readonly #options: ReadOptions;
  #depth = 0;

  constructor(types: BtfView, options: ReadOptions) {
    this.#types = types;
    this.#style = options.style;
    this.#options = options;
  }

  /** `name`: of the member that it is for. */
  reader(typeId: number, name: string): Reader {
    if (++this.#depth > MAX_DEPTH) throw new RangeError(`type ${typeId} nests more than ${MAX_DEPTH} deep`);
    try {
      return this.#make(typeId, name);
    } finally {
      this.#depth--;
    }
  }

  #make(typeId: number, name: string): Reader {
    const type = this.#types.get(typeId);
    switch (type?.kind) {
      case "typedef":
        return this.#typedef(type, name);
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
        return this.reader(type.typeId, name);
      case "int":
        return this.#int(type);
      case "enum":
      case "enum64":
        return enumReader(type);
      case "ptr":
        return this.#pointer(type.typeId);
      case "float":
        return (view, at) => (type.size === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
      case "array":
        return this.#array(type, name);
      case "struct":
      case "union":
        return this.#struct(type);
      case "var": {
        const inner = this.reader(type.typeId, type.name);
        return (view, at) => new Fields([[type.name, inner(view, at)]]);
      }
      case "datasec":
        return this.#section(type);
      default:
        return () => null;
    }
  }

  #pointer(target: number): Reader {
    const { functionPointer } = this.#options;
    if (functionPointer && this.#types.get(target)?.kind === "func_proto")
      return (view, at) => functionPointer(target, view.getBigUint64(at, true));
    return this.#style === "people"
      ? (view, at) => `0x${view.getBigUint64(at, true).toString(16)}`
      : (view, at) => view.getBigUint64(at, true);
  }

  #typedef(type: BtfOf<"typedef">, name: string): Reader {
    if (this.#style === "people") {
      if (type.name === "__be16" || type.name === "be16") return (view, at) => view.getUint16(at, false);
      if (type.name === "__be64" || type.name === "be64") return (view, at) => view.getBigUint64(at, false);
      if (type.name === "__be32" || type.name === "be32") return (view, at) => addressText(bytesAt(view, at, 4)) ?? 0;
    }
    return this.reader(type.typeId, name);
  }

  #int(type: BtfOf<"int">): Reader {
    const { size, bits, bitOffset, encoding } = type;
    if (encoding === "bool") return (view, at) => view.getUint8(at) !== 0;
    if (bitOffset !== 0 || bits !== size * 8)
      return (view, at) => `0x${bitsAt(view, at * 8 + bitOffset, bits).toString(16)}`;
    if (encoding === "char") return (view, at) => String.fromCharCode(view.getUint8(at));
    return (view, at) => integer(view, at, size, encoding === "signed");
  }

  #array(type: BtfOf<"array">, name: string): Reader {
    const size = sizeOf(this.#types, type.typeId) ?? 0;
    const element = this.reader(type.typeId, name);
    const list: Reader = (view, at) =>
      Array.from({ length: type.length }, (_, index) => element(view, at + index * size));
    if (size !== 1 || type.length === 0) return list;
    if (this.#isChar(type.typeId)) return (view, at) => textOf(bytesAt(view, at, type.length)) ?? list(view, at);
    if (this.#style !== "people") return list;
    const notation = type.length === 6 ? macText : isAddressName(name) ? addressText : null;
    return notation === null ? list : (view, at) => notation(bytesAt(view, at, type.length)) ?? list(view, at);
  }

  /** C's own `char`, not a typedef of it. */
  #isChar(typeId: number): boolean {
    const type = this.#types.get(typeId);
    if (type?.kind === "const" || type?.kind === "volatile" || type?.kind === "type_tag")
      return this.#isChar(type.typeId);
    return type?.kind === "int" && type.size === 1 && (type.encoding === "char" || type.name === "char");
  }

  #struct(type: BtfOf<"struct" | "union">): Reader {
    const members = type.members.map((member) => [member.name, this.#member(member)] as const);
    return (view, at) => new Fields(members.map(([name, read]) => [name, read(view, at)]));
  }

  #member({ name, typeId, bitOffset, bitSize }: BtfMember): Reader {
    if (bitSize > 0) return this.#bits(typeId, bitOffset, bitSize);
    const read = this.reader(typeId, name);
    const offset = bitOffset >> 3;
    return (view, at) => read(view, at + offset);
  }

  #bits(typeId: number, bitOffset: number, width: number): Reader {
    const raw: Reader = (view, at) => `0x${bitsAt(view, at * 8 + bitOffset, width).toString(16)}`;
    if (this.#style !== "people") return raw;
    const type = resolveType(this.#types, typeId);
    if (type?.kind === "int" && type.encoding === "bool")
      return (view, at) => bitsAt(view, at * 8 + bitOffset, width) !== 0n;
    const isSigned = type?.kind === "int" && type.encoding === "signed";
    return (view, at) => {
      const value = bitsAt(view, at * 8 + bitOffset, width);
      return isSigned ? BigInt.asIntN(width, value) : value;
    };
  }

  /** Each variable stands alone, as bpftool has them. */
  #section(type: BtfOf<"datasec">): Reader {
    const variables = type.variables.map(({ typeId, offset }) => ({ offset, read: this.reader(typeId, "") }));
    return (view, at) => new Fields([[type.name, variables.map(({ offset, read }) => read(view, at + offset))]]);
  }
}

function isAddressName(name: string): boolean {
  return /addr|(^|_)ip(v?[46])?(_|$)/i.test(name);
}

function enumReader(type: BtfOf<"enum"> | BtfOf<"enum64">): Reader {
  const names = new Map<string, string>();
  // Of two names for one value the first.
  for (const { name, value } of type.values) if (!names.has(`${value}`)) names.set(`${value}`, name);
  return (view, at) => {
    const value = integer(view, at, type.size, type.signed);
    return names.get(plainText(value)) ?? value;
  };
}
