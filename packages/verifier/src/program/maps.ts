/**
 * @module
 * What the verifier wants to know of a map: sizes, what may be done with it, and the fields of its values that only helpers may touch
 * (struct btf_record, kernel/bpf/btf.c).
 */
import { mapFlags } from "@skep/isa";
import { resolveId, resolveType, sizeOf, viewOf } from "@skep/object";
import type { BtfOf, BtfTypes, BtfView, MapSpec } from "@skep/object";

export type FieldKind =
  | "spin_lock"
  | "res_spin_lock"
  | "timer"
  | "wq"
  | "task_work"
  | "list_head"
  | "list_node"
  | "rb_root"
  | "rb_node"
  | "refcount"
  | "kptr_untrusted"
  | "kptr_ref"
  | "kptr_percpu"
  | "uptr";

/** A field with rules of its own. `typeId`: for pointers the type pointed to, in the object's BTF. */
export interface SpecialField {
  readonly kind: FieldKind;
  readonly offset: number;
  readonly size: number;
  readonly typeId: number;
  /** List heads and tree roots: the struct that is in them, and where its node is. */
  readonly contains?: { readonly typeId: number; readonly offset: number };
}

export interface MapInfo {
  readonly spec: MapSpec;
  readonly name: string;
  /** Kernel's name without prefix. */
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly inner: MapInfo | null;
  /** Of the value, ascending. */
  readonly fields: readonly SpecialField[];
  /** The bytes of a frozen, read-only section: loads from it are known. */
  readonly contents: Uint8Array | null;
  readonly programReadOnly: boolean;
  readonly programWriteOnly: boolean;
}

const named: Readonly<Record<string, FieldKind>> = {
  bpf_spin_lock: "spin_lock",
  bpf_res_spin_lock: "res_spin_lock",
  bpf_timer: "timer",
  bpf_wq: "wq",
  bpf_task_work: "task_work",
  bpf_list_head: "list_head",
  bpf_list_node: "list_node",
  bpf_rb_root: "rb_root",
  bpf_rb_node: "rb_node",
  bpf_refcount: "refcount",
};

const tags: Readonly<Record<string, FieldKind>> = {
  kptr_untrusted: "kptr_untrusted",
  kptr: "kptr_ref",
  percpu_kptr: "kptr_percpu",
  uptr: "uptr",
};

/** The special fields of a type, in its struct, the structs in it and arrays of them. */
export function specialFields(btf: BtfTypes | BtfView, typeId: number): SpecialField[] {
  const view = viewOf(btf);
  const found: SpecialField[] = [];
  const section = resolveType(view, typeId);
  if (section?.kind === "datasec") {
    for (const variable of section.variables) {
      const type = view.get(variable.typeId);
      if (type?.kind !== "var") continue;
      const place = { typeId: type.typeId, offset: variable.offset, depth: 0, tag: tagOf(view, variable.typeId, -1) };
      collect(view, place, found);
    }
  } else collect(view, { typeId, offset: 0, depth: 0, tag: "" }, found);
  return found.sort((a, b) => a.offset - b.offset);
}

const tagsByView = new WeakMap<BtfView, Map<string, string>>();

/** What a declaration tag `contains:STRUCT:FIELD` says of a member, or of a variable (index -1). */
function tagOf(view: BtfView, typeId: number, index: number): string {
  let known = tagsByView.get(view);
  if (known === undefined) {
    known = new Map();
    for (let id = view.firstId; id < view.end; id++) {
      const type = view.get(id);
      if (type?.kind === "decl_tag" && type.name.startsWith("contains:"))
        known.set(`${type.typeId}:${type.componentIndex}`, type.name);
    }
    tagsByView.set(view, known);
  }
  return known.get(`${typeId}:${index}`) ?? "";
}

function containedBy(view: BtfView, tag: string): SpecialField["contains"] {
  const [, struct = "", field = ""] = tag.split(":");
  const typeId = view.named(struct).find((each) => view.get(each)?.kind === "struct") ?? 0;
  const type = view.get(typeId);
  const member = type?.kind === "struct" ? type.members.find((each) => each.name === field) : undefined;
  return member === undefined ? undefined : { typeId, offset: member.bitOffset >>> 3 };
}

interface Place {
  readonly typeId: number;
  readonly offset: number;
  readonly depth: number;
  /** The tag of the member or variable. */
  readonly tag: string;
}

function collect(view: BtfView, place: Place, found: SpecialField[]): void {
  if (place.depth > 6) return;
  const type = resolveType(view, place.typeId);
  if (type?.kind === "struct" || type?.kind === "union") collectMembers(view, { ...place, type }, found);
  else if (type?.kind === "array") collectElements(view, { ...place, type }, found);
  else if (type?.kind === "ptr") {
    const tag = view.get(type.typeId);
    const what = tag?.kind === "type_tag" ? tags[tag.name] : undefined;
    if (what !== undefined && tag?.kind === "type_tag")
      found.push({ kind: what, offset: place.offset, size: 8, typeId: tag.typeId });
  }
}

function collectMembers(
  view: BtfView,
  place: Place & { readonly type: BtfOf<"struct" | "union"> },
  found: SpecialField[],
): void {
  const { type, offset, depth } = place;
  const what = named[type.name];
  if (what !== undefined && type.kind === "struct") {
    const contains = containedBy(view, place.tag);
    const field = { kind: what, offset, size: type.size, typeId: place.typeId };
    found.push(contains === undefined ? field : { ...field, contains });
    return;
  }
  const own = resolveId(view, place.typeId);
  type.members.forEach((member, index) => {
    const tag = tagOf(view, own, index);
    collect(view, { typeId: member.typeId, offset: offset + (member.bitOffset >>> 3), depth: depth + 1, tag }, found);
  });
}

function collectElements(view: BtfView, place: Place & { readonly type: BtfOf<"array"> }, found: SpecialField[]): void {
  const size = sizeOf(view, place.type.typeId) ?? 0;
  // A table of plain values is large and holds nothing.
  const first: SpecialField[] = [];
  collect(view, { ...place, typeId: place.type.typeId, depth: place.depth + 1 }, first);
  if (first.length === 0) return;
  for (let at = 0; at < Math.min(place.type.length, 64); at++) {
    found.push(...first.map((field) => ({ ...field, offset: field.offset + at * size })));
  }
}

/** BTF_FIELDS_MAX */
const MOST_FIELDS = 11;

/** Fields as the kernel keeps them of a map; of a type that it cannot use so the map is made without types, and has none. */
function recordOf(btf: BtfTypes, typeId: number): readonly SpecialField[] {
  const fields = specialFields(btf, typeId);
  const isLost = (field: SpecialField): boolean =>
    (field.kind === "list_head" || field.kind === "rb_root") && field.contains === undefined;
  return fields.length > MOST_FIELDS || fields.some(isLost) ? [] : fields;
}

const withoutRecord = new Set(["ringbuf", "prog_array", "perf_event_array"]);

/** `contents`: the bytes of its section as they are loaded. */
export function mapInfo(spec: MapSpec, btf: BtfTypes | undefined, contents: Uint8Array | null = null): MapInfo {
  // What the kernel's configuration says is only known where it was asked.
  const own = spec.name === ".kconfig" ? null : (spec.data?.contents ?? null);
  const frozen = spec.data?.readOnly === true ? (contents ?? own) : null;
  const valueType = spec.valueTypeId ?? 0;
  const fields =
    btf === undefined || valueType === 0 || spec.data?.readOnly === true || withoutRecord.has(spec.type)
      ? []
      : recordOf(btf, valueType);
  return {
    spec,
    name: spec.name,
    type: spec.type,
    keySize: spec.keySize,
    valueSize: spec.valueSize,
    maxEntries: spec.maxEntries,
    flags: spec.flags,
    inner: spec.inner === undefined ? null : mapInfo(spec.inner, btf),
    fields,
    contents: frozen,
    // Device maps are made so by the kernel (dev_map_init_map).
    programReadOnly:
      (spec.flags & mapFlags.rdonly_prog) !== 0 || spec.data?.readOnly === true || spec.type.startsWith("devmap"),
    programWriteOnly: (spec.flags & mapFlags.wronly_prog) !== 0,
  };
}

export function fieldOf(map: MapInfo, what: FieldKind): SpecialField | null {
  return map.fields.find((field) => field.kind === what) ?? null;
}
