import type { BtfType, BtfTypes, MapSpec } from "@skep/object";
import type { SpecialField } from "./map.ts";

const sizes = { bpf_spin_lock: 4, bpf_timer: 16, bpf_wq: 16 } as const;

function isSpecial(name: string): name is SpecialField["kind"] {
  return name in sizes;
}

/** Spin locks, timers and work queues in the values of a map, by its BTF. */
export function specialFields(spec: MapSpec, types: BtfTypes | undefined): readonly SpecialField[] {
  if (types === undefined || spec.valueTypeId === undefined) return [];
  return fieldsOf(types, spec.valueTypeId, 0);
}

function typeOf(types: BtfTypes, id: number): BtfType | undefined {
  return types.types[id - (types.firstId ?? 1)];
}

function fieldsOf(types: BtfTypes, id: number, base: number): readonly SpecialField[] {
  const type = typeOf(types, id);
  if (type === undefined) return [];
  switch (type.kind) {
    case "typedef":
    case "const":
    case "volatile":
    case "type_tag":
      return fieldsOf(types, type.typeId, base);
    case "struct":
      if (isSpecial(type.name)) return [{ kind: type.name, offset: base, size: sizes[type.name] }];
      return type.members.flatMap((member) => fieldsOf(types, member.typeId, base + (member.bitOffset >> 3)));
    default:
      return [];
  }
}
