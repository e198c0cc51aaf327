/**
 * @module
 * Values as people and programs write them to what lies in memory, by BTF.
 */
import { type BtfMember, type BtfOf, type BtfType, type BtfView, resolveType, sizeOf } from "@skep/object";
import { usageError } from "../../errors.ts";
import { addressBytes } from "./notation.ts";

/** What JSON holds, with long integers as texts; arrays also as objects with indexes for names. */
export type Input = null | boolean | number | string | readonly Input[] | { readonly [name: string]: Input };

/** Where in the value: for messages. */
type Path = string;

/**
 * `host`: numbers of types in network order (`__be16`, `__be32`, `__be64`) are in host order, as people write them. Without: as they lie
 * in memory, which is what bpftool's JSON has.
 */
export interface EncodeOptions {
  readonly host: boolean;
}

/** The bytes of a value; members that are not given are zero. Throws a `CliError` that names the member. */
export function encodeValue(types: BtfView, typeId: number, input: Input, options: EncodeOptions): Uint8Array {
  const size = sizeOf(types, typeId) ?? 0;
  const bytes = new Uint8Array(size);
  new Writer(types, new DataView(bytes.buffer), options).write({ typeId, at: 0, path: "value" }, input);
  return bytes;
}

interface Place {
  readonly typeId: number;
  readonly at: number;
  readonly path: Path;
}

const isObject = (input: Input): input is { readonly [name: string]: Input } =>
  typeof input === "object" && input !== null && !Array.isArray(input);

const shown = (input: Input): string => (typeof input === "string" ? `"${input}"` : JSON.stringify(input));

/** An integer from a number, a boolean, or text: decimal, `0x`, a MAC or IP address is none. */
function integerOf(input: Input): bigint | null {
  if (typeof input === "boolean") return input ? 1n : 0n;
  if (typeof input === "number") return Number.isSafeInteger(input) ? BigInt(input) : null;
  if (typeof input !== "string" || !/^-?(\d+|0x[\da-f]+)$/i.test(input)) return null;
  return input.startsWith("-") ? -BigInt(input.slice(1)) : BigInt(input);
}

/** Typedefs in network order. */
const networkOrder = new Set(["__be16", "__be32", "__be64", "be16", "be32", "be64"]);

class Writer {
  readonly #types: BtfView;
  readonly #view: DataView;
  readonly #host: boolean;

  constructor(types: BtfView, view: DataView, options: EncodeOptions) {
    this.#types = types;
    this.#view = view;
    this.#host = options.host;
  }

  write(place: Place, input: Input): void {
    const type = this.#types.get(place.typeId);
    switch (type?.kind) {
      case "typedef":
        if (networkOrder.has(type.name)) return this.#network(place, input);
        return this.write({ ...place, typeId: type.typeId }, input);
      case "const":
      case "volatile":
      case "restrict":
      case "type_tag":
      case "var":
        return this.write({ ...place, typeId: type.typeId }, input);
      case "int":
        return this.#int(place, type, input);
      case "ptr":
        return this.#integer(place, { size: 8, signed: false }, input);
      case "enum":
      case "enum64":
        return this.#enum(place, type, input);
      case "float":
        return this.#float(place, type.size, input);
      case "array":
        return this.#array(place, type, input);
      case "struct":
      case "union":
        return this.#struct(place, type, input);
      case "datasec":
        return this.#section(place, type, input);
      default:
        throw usageError(`${place.path}: a value cannot have this type`);
    }
  }

  #network(place: Place, input: Input): void {
    const size = sizeOf(this.#types, place.typeId) ?? 0;
    const address = typeof input === "string" ? addressBytes(input) : null;
    if (address !== null) return this.#put(place, address, size);
    this.#integer(place, { size, signed: false }, input);
    if (this.#host) new Uint8Array(this.#view.buffer, place.at, size).reverse();
  }

  #put({ at, path }: Place, bytes: Uint8Array, size: number): void {
    if (bytes.length !== size) throw usageError(`${path}: ${bytes.length} bytes instead of ${size}`);
    new Uint8Array(this.#view.buffer, at, size).set(bytes);
  }

  #int(place: Place, type: BtfOf<"int">, input: Input): void {
    if (type.encoding === "bool") {
      const value = input === "true" ? true : input === "false" ? false : input;
      return this.#integer(place, { size: type.size, signed: false }, value);
    }
    // An address is written as it lies in packets, whatever the type's sign.
    const address = type.size === 4 && typeof input === "string" ? addressBytes(input) : null;
    if (address !== null) return this.#put(place, address, type.size);
    const isChar = type.size === 1 && (type.encoding === "char" || type.name === "char");
    if (isChar && typeof input === "string" && input.length === 1 && integerOf(input) === null)
      return this.#integer(place, { size: 1, signed: false }, input.charCodeAt(0));
    this.#integer(place, { size: type.size, signed: type.encoding === "signed" }, input);
  }

  /** A value that fits either as signed or as unsigned is taken. */
  #integer({ at, path }: Place, { size, signed }: { size: number; signed: boolean }, input: Input): void {
    const value = integerOf(input);
    if (value === null) throw usageError(`${path}: ${shown(input)} is no integer`);
    const bits = BigInt(size * 8);
    const least = signed ? -(1n << (bits - 1n)) : 0n;
    const most = signed ? (1n << (bits - 1n)) - 1n : (1n << bits) - 1n;
    if (value < least || value > most)
      throw usageError(`${path}: ${value} does not fit ${size * 8} bits (${least} to ${most})`);
    for (let index = 0, rest = BigInt.asUintN(size * 8, value); index < size; index++, rest >>= 8n)
      this.#view.setUint8(at + index, Number(rest & 0xffn));
  }

  #enum(place: Place, type: BtfOf<"enum"> | BtfOf<"enum64">, input: Input): void {
    const named = type.values.find(({ name }) => name === input);
    if (named === undefined && integerOf(input) === null) {
      const names = type.values.map(({ name }) => name).join(", ");
      throw usageError(`${place.path}: ${shown(input)} is no value of enum ${type.name}: ${names}`);
    }
    const value = named === undefined ? input : named.value.toString();
    this.#integer(place, { size: type.size, signed: type.signed }, value);
  }

  #float({ at, path }: Place, size: number, input: Input): void {
    const value = typeof input === "string" && input.trim() !== "" ? Number(input) : input;
    if (typeof value !== "number" || Number.isNaN(value)) throw usageError(`${path}: ${shown(input)} is no number`);
    if (size === 4) this.#view.setFloat32(at, value, true);
    else this.#view.setFloat64(at, value, true);
  }

  #array(place: Place, type: BtfOf<"array">, input: Input): void {
    const size = sizeOf(this.#types, type.typeId) ?? 0;
    if (typeof input === "string" && size === 1) return this.#bytes(place, type, input);
    if (typeof input === "string" && /^[[{]/.test(input)) return this.write(place, parseJson(input, place.path));
    const items: readonly (readonly [number, Input])[] | null = Array.isArray(input)
      ? (input as readonly Input[]).map((each, index) => [index, each] as const)
      : isObject(input)
        ? Object.entries(input).map(([index, each]) => [Number(index), each] as const)
        : null;
    if (items === null) throw usageError(`${place.path}: ${shown(input)} is no list of ${type.length}`);
    for (const [index, each] of items) {
      const path = `${place.path}[${index}]`;
      if (!Number.isInteger(index) || index >= type.length)
        throw usageError(`${path}: the array has ${type.length} elements`);
      this.write({ typeId: type.typeId, at: place.at + index * size, path }, each);
    }
  }

  /** Text, an address, or bytes in hexadecimal with blanks or colons between them. */
  #bytes(place: Place, type: BtfOf<"array">, input: string): void {
    const element = resolveType(this.#types, type.typeId);
    const isChar = element?.kind === "int" && (element.name === "char" || element.encoding === "char");
    if (isChar) {
      const bytes = new TextEncoder().encode(input);
      if (bytes.length > type.length)
        throw usageError(`${place.path}: ${shown(input)} is longer than ${type.length} bytes`);
      return new Uint8Array(this.#view.buffer, place.at, bytes.length).set(bytes);
    }
    const address = addressBytes(input);
    if (address !== null) return this.#put(place, address, type.length);
    if (input.startsWith("[")) return this.write(place, parseJson(input, place.path));
    const digits = input.replaceAll(/[\s:]/g, "");
    if (!/^([\da-f]{2})*$/i.test(digits)) throw usageError(`${place.path}: ${shown(input)} is no address and no bytes`);
    this.#put(
      place,
      Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)),
      type.length,
    );
  }

  #struct(place: Place, type: BtfOf<"struct" | "union">, input: Input): void {
    if (typeof input === "string" && input.startsWith("{")) return this.write(place, parseJson(input, place.path));
    if (!isObject(input))
      throw usageError(`${place.path}: ${shown(input)} is no ${type.kind} (${namesIn(this.#types, type).join(", ")})`);
    const left = new Set(Object.keys(input));
    this.#members(place, type, input, left);
    const [unknown] = left;
    if (unknown !== undefined)
      throw usageError(
        `${place.path} has no member ${unknown || '""'}: it has ${namesIn(this.#types, type).join(", ")}`,
      );
  }

  /** Members of anonymous members may stand among those of the whole, or under "". */
  #members(
    place: Place,
    type: BtfOf<"struct" | "union">,
    input: { readonly [name: string]: Input },
    left: Set<string>,
  ): void {
    for (const member of type.members) {
      const path = `${place.path}.${member.name}`;
      if (member.name === "") {
        const inner = resolveType(this.#types, member.typeId);
        if (inner?.kind !== "struct" && inner?.kind !== "union") continue;
        const at = place.at + (member.bitOffset >> 3);
        const nested = input[""];
        left.delete("");
        if (nested !== undefined && isObject(nested)) this.#members({ ...place, at }, inner, nested, new Set());
        this.#members({ ...place, at }, inner, input, left);
        continue;
      }
      const value = input[member.name];
      if (value === undefined) continue;
      left.delete(member.name);
      if (member.bitSize > 0) this.#bits(place, member, value);
      else this.write({ typeId: member.typeId, at: place.at + (member.bitOffset >> 3), path }, value);
    }
  }

  #bits({ at, path }: Place, { name, typeId, bitOffset, bitSize }: BtfMember, input: Input): void {
    const type: BtfType | null = resolveType(this.#types, typeId);
    const value = integerOf(input === "true" ? true : input === "false" ? false : input);
    if (value === null) throw usageError(`${path}.${name}: ${shown(input)} is no integer`);
    const isSigned = type?.kind === "int" && type.encoding === "signed";
    const fits = isSigned
      ? BigInt.asIntN(bitSize, value) === value || BigInt.asUintN(bitSize, value) === value
      : BigInt.asUintN(bitSize, value) === value;
    if (!fits) throw usageError(`${path}.${name}: ${value} does not fit ${bitSize} bits`);
    const raw = BigInt.asUintN(bitSize, value);
    for (let bit = 0; bit < bitSize; bit++) {
      const place = at * 8 + bitOffset + bit;
      const mask = 1 << (place & 7);
      const before = this.#view.getUint8(place >> 3) & ~mask;
      this.#view.setUint8(place >> 3, (raw >> BigInt(bit)) & 1n ? before | mask : before);
    }
  }

  #section(place: Place, type: BtfOf<"datasec">, input: Input): void {
    const variables = new Map(
      type.variables.map((each) => {
        const variable = this.#types.get(each.typeId);
        return [variable?.kind === "var" ? variable.name : "", each] as const;
      }),
    );
    if (!isObject(input))
      throw usageError(`${place.path}: ${shown(input)} is no set of variables (${[...variables.keys()].join(", ")})`);
    for (const [name, value] of Object.entries(input)) {
      const found = variables.get(name);
      if (!found) throw usageError(`there is no variable ${name}: there are ${[...variables.keys()].join(", ")}`);
      this.write({ typeId: found.typeId, at: place.at + found.offset, path: name }, value);
    }
  }
}

function namesIn(types: BtfView, type: BtfOf<"struct" | "union">): string[] {
  return type.members.flatMap(({ name, typeId }) => {
    if (name !== "") return [name];
    const inner = resolveType(types, typeId);
    return inner?.kind === "struct" || inner?.kind === "union" ? namesIn(types, inner) : [];
  });
}

/** JSON whose long integers keep all their digits, as texts. */
export function parseJson(text: string, what: string): Input {
  const kept = text.replaceAll(/"(?:\\.|[^"\\])*"|-?\d{16,}(?![\d.eE])/g, (part) =>
    part.startsWith('"') ? part : `"${part}"`,
  );
  try {
    return JSON.parse(kept) as Input;
  } catch (error) {
    throw usageError(`${what}: no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
