import type { BtfType, OpenBtf } from "@skep/object";

/** A type's name as bpftool writes it in a prototype (btf_dumper_type_only): every part ends with a blank. */
function typeText(types: OpenBtf, id: number, depth = 0): string {
  const type: BtfType | null = depth > 32 ? null : types.get(id);
  switch (type?.kind) {
    case "int":
    case "typedef":
    case "float":
      return `${type.name} `;
    case "struct":
    case "union":
    case "enum":
      return `${type.kind} ${type.name} `;
    case "enum64":
      return `enum ${type.name} `;
    case "fwd":
      return `${type.isUnion ? "union" : "struct"} ${type.name} `;
    case "ptr":
      return `${typeText(types, type.typeId, depth + 1)}* `;
    case "array":
      return `${typeText(types, type.typeId, depth + 1)}[${type.length}]`;
    case "const":
    case "volatile":
    case "restrict":
      return `${type.kind} ${typeText(types, type.typeId, depth + 1)}`;
    case "type_tag":
      return typeText(types, type.typeId, depth + 1);
    case "func_proto":
      return `${typeText(types, type.returnTypeId, depth + 1)}${parameters(types, type)}`;
    default:
      return "void ";
  }
}

function parameters(types: OpenBtf, proto: Extract<BtfType, { kind: "func_proto" }>): string {
  const texts = proto.params.map(({ name, typeId }) => {
    if (typeId === 0) return "...";
    const text = typeText(types, typeId);
    return name === "" ? text.trimEnd() : `${text}${name}`;
  });
  return `(${texts.join(", ")})`;
}

/** The type of a pointer to functions, such as `u32 (struct sock *)`; null for other types. */
export function functionType(types: OpenBtf, typeId: number): string | null {
  return types.get(typeId)?.kind === "func_proto" ? typeText(types, typeId) : null;
}

/** `int count(struct xdp_md * ctx)`; null for what is no function. */
export function prototypeOf(types: OpenBtf, typeId: number): string | null {
  const func = types.get(typeId);
  const proto = func?.kind === "func" ? types.get(func.typeId) : null;
  if (func?.kind !== "func" || proto?.kind !== "func_proto") return null;
  return `${typeText(types, proto.returnTypeId)}${func.name}${parameters(types, proto)}`;
}
