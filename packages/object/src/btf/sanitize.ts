import type { BtfOf, BtfType, BtfTypes } from "./types.ts";

/** What a kernel's BTF loader understands. Absent: it does. */
export interface BtfFeatures {
  /** FUNC and FUNC_PROTO: 5.0. */
  readonly func?: boolean;
  /** VAR and DATASEC: 5.2. */
  readonly datasec?: boolean;
  /** Global linkage of FUNC: 5.6. */
  readonly globalFunc?: boolean;
  /** 5.13. */
  readonly float?: boolean;
  /** 5.16. */
  readonly declTag?: boolean;
  /** 5.17. */
  readonly typeTag?: boolean;
  /** ENUM64, and signed enums: 6.0. */
  readonly enum64?: boolean;
  /** Section names that begin with `?`: 6.8. */
  readonly questionMark?: boolean;
}

/**
 * The types as an old kernel takes them: what it does not know becomes something of the same size that it knows, ids stay (libbpf:
 * bpf_object__sanitize_btf).
 */
export function sanitizeBtf(btf: BtfTypes, features: BtfFeatures): BtfTypes {
  const missing = (name: keyof BtfFeatures) => features[name] === false;
  const placeholder = (btf.firstId ?? 1) + btf.types.length;
  let needsPlaceholder = false;
  const types = btf.types.map((type): BtfType => {
    switch (type.kind) {
      case "var":
        return missing("datasec") ? byteInt(type.name) : type;
      case "decl_tag":
        return missing("declTag") ? byteInt("") : type;
      case "datasec":
        if (missing("datasec")) return sectionStruct(type, btf);
        return missing("questionMark") && type.name.startsWith("?")
          ? { ...type, name: `_${type.name.slice(1)}` }
          : type;
      case "func_proto":
        return missing("func") ? { kind: "enum", name: "", size: 4, signed: false, values: [] } : type;
      case "func":
        if (missing("func")) return { kind: "typedef", name: type.name, typeId: type.typeId };
        return missing("globalFunc") && type.linkage === "global" ? { ...type, linkage: "static" } : type;
      case "float":
        return missing("float")
          ? { kind: "struct", name: "", size: type.size, members: [], hasBitfields: false }
          : type;
      case "type_tag":
        return missing("typeTag") ? { kind: "const", name: "", typeId: type.typeId } : type;
      case "enum":
        return missing("enum64") && type.signed ? unsignedEnum(type) : type;
      case "enum64":
        if (!missing("enum64")) return type;
        needsPlaceholder = true;
        return enumUnion(type, placeholder);
      default:
        return type;
    }
  });
  return { ...btf, types: needsPlaceholder ? [...types, byteInt("enum64_placeholder")] : types };
}

/** One byte: more could be larger than what it stands for. */
function byteInt(name: string): BtfOf<"int"> {
  return {
    kind: "int",
    name: name === "" ? "placeholder" : name,
    size: 1,
    bits: 8,
    bitOffset: 0,
    encoding: "unsigned",
  };
}

function sectionStruct(section: BtfOf<"datasec">, btf: BtfTypes): BtfOf<"struct"> {
  const members = section.variables.map(({ typeId, offset }) => {
    const variable = btf.types[typeId - (btf.firstId ?? 1)];
    return {
      name: variable !== undefined && "name" in variable ? variable.name : "",
      typeId,
      bitOffset: offset * 8,
      bitSize: 0,
    };
  });
  return {
    kind: "struct",
    name: section.name.replaceAll(/[.?]/g, "_"),
    size: section.size,
    members,
    hasBitfields: false,
  };
}

function unsignedEnum(type: BtfOf<"enum">): BtfType {
  const values = type.values.map(({ name, value }) => ({ name, value: value >>> 0 }));
  return { kind: "enum", name: type.name, size: type.size, signed: false, values };
}

function enumUnion(type: BtfOf<"enum64">, placeholder: number): BtfType {
  const members = type.values.map(({ name }) => ({ name, typeId: placeholder, bitOffset: 0, bitSize: 0 }));
  return { kind: "union", name: type.name, size: type.size, members, hasBitfields: false };
}
