import { resolveId, sizeOf, viewOf } from "@skep/object";
import type { BtfTypes, BtfView, MapSpec } from "@skep/object";
import type { SpecialField } from "./map.ts";

/** Bytes of each (include/uapi/linux/bpf.h). */
const sizes = {
  bpf_spin_lock: 4,
  bpf_res_spin_lock: 4,
  bpf_timer: 16,
  bpf_wq: 16,
  bpf_task_work: 8,
  bpf_list_head: 16,
  bpf_list_node: 24,
  bpf_rb_root: 16,
  bpf_rb_node: 32,
  bpf_refcount: 4,
} as const;

function isSpecial(name: string): name is keyof typeof sizes {
  return name in sizes;
}

/** What of a map's values only helpers touch, by the map's BTF. */
export function specialFields(spec: MapSpec, types: BtfTypes | undefined): readonly SpecialField[] {
  if (types === undefined || spec.valueTypeId === undefined) return [];
  return fieldsOf(types, spec.valueTypeId);
}

/** What of a type only helpers touch, ascending. */
export function fieldsOf(types: BtfTypes | BtfView, id: number): readonly SpecialField[] {
  return [...collect(viewOf(types), id, 0)].sort((a, b) => a.offset - b.offset);
}

function* collect(types: BtfView, id: number, base: number): Generator<SpecialField> {
  const type = types.get(resolveId(types, id));
  if (type === null) return;
  if (type.kind === "struct") {
    if (isSpecial(type.name)) yield { kind: type.name, offset: base, size: sizes[type.name] };
    else for (const { typeId, bitOffset } of type.members) yield* collect(types, typeId, base + (bitOffset >> 3));
  } else if (type.kind === "datasec") {
    for (const { typeId, offset } of type.variables) yield* collect(types, typeId, base + offset);
  } else if (type.kind === "var") yield* collect(types, type.typeId, base);
  else if (type.kind === "array") {
    const size = sizeOf(types, type.typeId) ?? 0;
    for (let i = 0; i < type.length && i < MOST_FIELDS; i++) yield* collect(types, type.typeId, base + i * size);
  } else if (type.kind === "ptr" && isOwning(types, type.typeId)) yield { kind: "kptr", offset: base, size: 8 };
}

/** BTF_FIELDS_MAX (include/linux/btf.h): no value has more. */
const MOST_FIELDS = 11;

/** A pointer that holds a reference: its target is tagged so. */
function isOwning(types: BtfView, id: number): boolean {
  const type = types.get(id);
  return type?.kind === "type_tag" && /^(kptr|percpu_kptr)$/.test(type.name);
}
