import { resolveType } from "../btf/query.ts";
import type { BtfTypes, BtfView } from "../btf/types.ts";
import { viewOf } from "../btf/view.ts";
import { encodeText } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import type { DataSection, ObjectSpec } from "../spec.ts";

/** What `.kconfig` variables are given. */
export interface KconfigSource {
  /** LINUX_VERSION_CODE: (major << 16) | (minor << 8) | min(patch, 255). */
  readonly version: number;
  /** `CONFIG_*` lines of the kernel's configuration (`parseKernelConfig`). */
  readonly config: ReadonlyMap<string, string>;
  /** Other `LINUX_*` variables, such as LINUX_HAS_BPF_COOKIE and LINUX_HAS_SYSCALL_WRAPPER. */
  readonly features?: ReadonlyMap<string, bigint>;
}

/** Values as they stand behind `=` in /proc/config.gz or /boot/config-*. */
export function parseKernelConfig(text: string): Map<string, string> {
  const config = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (line.startsWith("CONFIG_") && at > 0) config.set(line.slice(0, at), line.slice(at + 1).trimEnd());
  }
  return config;
}

/**
 * The contents of the map `.kconfig`, by libbpf's rules; null where the object has none. Weak variables that the kernel does not set are 0.
 * Throws `ObjectError` `symbol` for a strong one that is not set, and for a value that does not suit the variable's type.
 */
export function resolveKconfig(spec: ObjectSpec, source: KconfigSource): Uint8Array | null {
  const data = spec.maps[".kconfig"]?.data;
  if (data === undefined || spec.btf === undefined) return null;
  const contents = new Uint8Array(data.contents.length);
  for (const variable of data.variables) {
    const value = valueOf(variable, source);
    if (value === null) continue;
    contents.set(encodeValue(value, { variable, btf: viewOf(spec.btf), byteOrder: spec.byteOrder }), variable.offset);
  }
  return contents;
}

type Variable = DataSection["variables"][number];

function valueOf(variable: Variable, source: KconfigSource): string | bigint | null {
  const { name } = variable;
  if (name === "LINUX_KERNEL_VERSION") return BigInt(source.version);
  const value = name.startsWith("CONFIG_") ? source.config.get(name) : source.features?.get(name);
  if (value !== undefined && value !== "") return value;
  const known = name.startsWith("CONFIG_") || name.startsWith("LINUX_");
  if (variable.weak === true && known) return null;
  throw new ObjectError(
    "symbol",
    known ? `the kernel's configuration does not set ${name}` : `${name} is no variable of the kernel's configuration`,
  );
}

/** How a variable is declared. */
type KconfigType =
  | { readonly kind: "bool" | "char" | "tristate" }
  | { readonly kind: "int"; readonly signed: boolean }
  | { readonly kind: "text" }
  | { readonly kind: "other" };

function kconfigType(btf: BtfTypes | BtfView, id: number): KconfigType {
  const type = resolveType(btf, id);
  switch (type?.kind) {
    case "int":
      if (type.encoding === "bool") return type.size === 1 ? { kind: "bool" } : { kind: "other" };
      if (type.size === 1) return { kind: "char" };
      return [2, 4, 8].includes(type.size) ? { kind: "int", signed: type.encoding === "signed" } : { kind: "other" };
    case "enum":
      return type.size === 4 && type.name === "libbpf_tristate" ? { kind: "tristate" } : { kind: "other" };
    case "enum64":
      return type.name === "libbpf_tristate" ? { kind: "tristate" } : { kind: "other" };
    case "array":
      return type.length > 0 && kconfigType(btf, type.typeId).kind === "char" ? { kind: "text" } : { kind: "other" };
    default:
      return { kind: "other" };
  }
}

interface Encoding {
  readonly variable: Variable;
  readonly btf: BtfView;
  readonly byteOrder: ByteOrder;
}

function encodeValue(value: string | bigint, encoding: Encoding): Uint8Array {
  const type = kconfigType(encoding.btf, encoding.variable.typeId);
  const unfit = () =>
    new ObjectError(
      "symbol",
      `${encoding.variable.name} is ${String(value)}, which its type (${type.kind}) cannot hold`,
    );
  if (typeof value === "bigint") return encodeNumber(value, type, { ...encoding, unfit });
  if (/^[ynm]/.test(value)) return encodeTristate(value.charAt(0), type, { ...encoding, unfit });
  if (value.startsWith('"')) {
    if (type.kind !== "text" || value.length < 2 || !value.endsWith('"')) throw unfit();
    const text = encodeText(value.slice(1, -1));
    const bytes = new Uint8Array(encoding.variable.size);
    bytes.set(text.subarray(0, encoding.variable.size - 1));
    return bytes;
  }
  const number = parseInteger(value);
  if (number === null || type.kind === "bool") throw unfit();
  return encodeNumber(number, type, { ...encoding, unfit });
}

/** As strtoull with base 0 reads it. */
function parseInteger(text: string): bigint | null {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text);
  const digits = match?.[2];
  if (digits === undefined) return null;
  const value = /^0[0-7]+$/.test(digits) ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits);
  if (value > 0xffff_ffff_ffff_ffffn) return null;
  return match?.[1] === "-" ? -value : value;
}

type Fit = Encoding & { readonly unfit: () => ObjectError };

function encodeTristate(letter: string, type: KconfigType, fit: Fit): Uint8Array {
  if (type.kind === "char") return Uint8Array.of(letter.charCodeAt(0));
  if (type.kind === "bool" && letter !== "m") return Uint8Array.of(letter === "y" ? 1 : 0);
  // enum libbpf_tristate.
  if (type.kind === "tristate") return integer({ n: 0n, y: 1n, m: 2n }[letter] ?? 0n, fit);
  throw fit.unfit();
}

function encodeNumber(value: bigint, type: KconfigType, fit: Fit): Uint8Array {
  const bits = BigInt(fit.variable.size * 8);
  if (type.kind !== "int" && type.kind !== "char" && type.kind !== "bool") throw fit.unfit();
  if (type.kind === "bool" && value !== 0n && value !== 1n) throw fit.unfit();
  const signed = type.kind === "int" && type.signed;
  const fits = signed
    ? BigInt.asIntN(Number(bits), value) === value
    : bits === 64n || BigInt.asUintN(Number(bits), value) === value;
  if (!fits && bits !== 64n) throw fit.unfit();
  return integer(value, fit);
}

function integer(value: bigint, { variable, byteOrder }: Encoding): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  const low = bytes.slice(0, variable.size);
  return byteOrder === "little" ? low : low.reverse();
}
