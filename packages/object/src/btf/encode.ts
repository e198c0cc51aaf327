import { ByteWriter, StringTable } from "../bytes.ts";
import type { ByteOrder } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import { BTF_HEADER_SIZE, BTF_MAGIC, kindNumber } from "./kinds.ts";
import type { BtfOf, BtfType, BtfTypes } from "./types.ts";

/** Kernels before 7.0 take 0xffff. */
const MAX_VLEN = 0xff_ffff;
const MAX_NAME_OFFSET = 0xff_ffff;
const LINKAGES = ["static", "global", "extern"] as const;
const ENCODINGS = { unsigned: 0, signed: 1, char: 2, bool: 4 } as const;

export interface EncodeBtfOptions {
  readonly byteOrder: ByteOrder;
  /** Split BTF: bytes of the base's string section. Own names are appended to it. */
  readonly baseStringBytes?: number;
  /** Further strings for the string section (file names and source lines of line info). */
  readonly strings?: StringTable;
}

/**
 * The bytes of section `.BTF`, and what BPF_BTF_LOAD wants where the types are such that a kernel takes them.
 * Throws `ObjectError` `btf` for what the format cannot hold.
 */
export function encodeBtf(btf: BtfTypes, options: EncodeBtfOptions): Uint8Array<ArrayBuffer> {
  const strings = options.strings ?? new StringTable(options.baseStringBytes ?? 0);
  const types = new ByteWriter(options.byteOrder, 64 + btf.types.length * 32);
  const encoder = new TypeEncoder(types, strings);
  for (const type of btf.types) encoder.type(type);
  const text = strings.finish();
  if (text.length > MAX_NAME_OFFSET) throw new ObjectError("btf", `${text.length} bytes of names are too many`);
  const out = new ByteWriter(options.byteOrder, BTF_HEADER_SIZE + types.length + text.length);
  out.u16(BTF_MAGIC).u8(1).u8(0).u32(BTF_HEADER_SIZE);
  out.u32(0).u32(types.length).u32(types.length).u32(text.length);
  return out.append(types.finish()).append(text).finish();
}

class TypeEncoder {
  private readonly out: ByteWriter;
  private readonly strings: StringTable;

  constructor(out: ByteWriter, strings: StringTable) {
    this.out = out;
    this.strings = strings;
  }

  private head(type: BtfType, options: { name?: string; vlen?: number; flag?: boolean; sizeOrType?: number }): void {
    const vlen = options.vlen ?? 0;
    if (vlen > MAX_VLEN)
      throw new ObjectError("btf", `${type.kind} ${options.name ?? ""} has ${vlen} entries, at most ${MAX_VLEN}`);
    this.out.u32(this.strings.add(options.name ?? ""));
    this.out.u32(((options.flag ? 0x8000_0000 : 0) | (kindNumber(type.kind) << 24) | vlen) >>> 0);
    this.out.u32(options.sizeOrType ?? 0);
  }

  type(type: BtfType): void {
    const out = this.out;
    switch (type.kind) {
      case "int":
        this.head(type, { name: type.name, sizeOrType: type.size });
        out.u32((ENCODINGS[type.encoding] << 24) | (type.bitOffset << 16) | type.bits);
        return;
      case "ptr":
        this.head(type, { sizeOrType: type.typeId });
        return;
      case "array":
        this.head(type, {});
        out.u32(type.typeId).u32(type.indexTypeId).u32(type.length);
        return;
      case "struct":
      case "union":
        this.composite(type);
        return;
      case "enum":
        this.head(type, { name: type.name, vlen: type.values.length, flag: type.signed, sizeOrType: type.size });
        for (const { name, value } of type.values) out.u32(this.strings.add(name)).u32(value >>> 0);
        return;
      case "enum64":
        this.head(type, { name: type.name, vlen: type.values.length, flag: type.signed, sizeOrType: type.size });
        for (const { name, value } of type.values) {
          const bits = BigInt.asUintN(64, value);
          out
            .u32(this.strings.add(name))
            .u32(Number(bits & 0xffff_ffffn))
            .u32(Number(bits >> 32n));
        }
        return;
      case "fwd":
        this.head(type, { name: type.name, flag: type.isUnion });
        return;
      case "typedef":
      case "volatile":
      case "const":
      case "restrict":
        this.head(type, { name: type.name, sizeOrType: type.typeId });
        return;
      case "type_tag":
        this.head(type, { name: type.name, sizeOrType: type.typeId, flag: type.attribute === true });
        return;
      case "func":
        this.head(type, { name: type.name, vlen: LINKAGES.indexOf(type.linkage), sizeOrType: type.typeId });
        return;
      case "func_proto":
        this.head(type, { vlen: type.params.length, sizeOrType: type.returnTypeId });
        for (const { name, typeId } of type.params) out.u32(this.strings.add(name)).u32(typeId);
        return;
      case "var":
        this.head(type, { name: type.name, sizeOrType: type.typeId });
        out.u32(LINKAGES.indexOf(type.linkage));
        return;
      case "datasec":
        this.head(type, { name: type.name, vlen: type.variables.length, sizeOrType: type.size });
        for (const { typeId, offset, size } of type.variables) out.u32(typeId).u32(offset).u32(size);
        return;
      case "float":
        this.head(type, { name: type.name, sizeOrType: type.size });
        return;
      case "decl_tag":
        this.head(type, { name: type.name, sizeOrType: type.typeId, flag: type.attribute === true });
        out.u32(type.componentIndex >>> 0);
        return;
    }
  }

  private composite(type: BtfOf<"struct" | "union">): void {
    this.head(type, { name: type.name, vlen: type.members.length, flag: type.hasBitfields, sizeOrType: type.size });
    for (const member of type.members) {
      this.out.u32(this.strings.add(member.name)).u32(member.typeId).u32(memberOffset(type, member));
    }
  }
}

function memberOffset(type: BtfOf<"struct" | "union">, member: BtfOf<"struct">["members"][number]): number {
  if (!type.hasBitfields) {
    if (member.bitSize !== 0)
      throw new ObjectError("btf", `${type.name}.${member.name} is a bit field in a type without them`);
    return member.bitOffset;
  }
  if (member.bitSize > 0xff || member.bitOffset > 0xff_ffff) {
    throw new ObjectError(
      "btf",
      `${type.name}.${member.name}: ${member.bitSize} bits at ${member.bitOffset} do not fit`,
    );
  }
  return ((member.bitSize << 24) | member.bitOffset) >>> 0;
}
