import { resolveId, resolveType, sizeOf } from "../btf/query.ts";
import type { BtfBuilder, MemberInput } from "../btf/builder.ts";
import type { BtfMember, BtfOf, BtfView } from "../btf/types.ts";
import { ObjectError } from "../errors.ts";
import type { MapSpec } from "../spec.ts";
import { mapTypeName, mapTypeNumber } from "./map-types.ts";

/** A map as the type of its variable in `.maps` says it. */
export interface MapDefinition {
  readonly spec: MapSpec;
  /** Bytes from the start of the variable to `values`; null without. */
  readonly valuesOffset: number | null;
}

interface Draft {
  type?: number;
  maxEntries?: number;
  flags?: number;
  numaNode?: number;
  keySize?: number;
  valueSize?: number;
  keyTypeId?: number;
  valueTypeId?: number;
  pinning?: number;
  mapExtra?: bigint;
  inner?: MapSpec;
  valuesOffset?: number;
}

/**
 * Reads the struct that stands for a map in BTF (libbpf: parse_btf_map_def): integers are pointers to arrays of that length, `key` and
 * `value` pointers to the types, `values` a flexible array of pointers to the inner map's struct or to functions.
 * Throws `ObjectError` `map`.
 */
export function parseMapDefinition(btf: BtfView, structId: number, name: string): MapDefinition {
  return parseDefinition(btf, structId, { name, isInner: false });
}

function parseDefinition(btf: BtfView, structId: number, context: { name: string; isInner: boolean }): MapDefinition {
  const { name } = context;
  const struct = resolveType(btf, structId);
  if (struct?.kind !== "struct") throw new ObjectError("map", `map ${name} is no struct but ${struct?.kind ?? "void"}`);
  const draft: Draft = {};
  for (const member of struct.members) readMember(btf, member, { draft, ...context });
  const type = draft.type;
  if (type === undefined || type === 0) throw new ObjectError("map", `map ${name} has no type`);
  const typeName = mapTypeName(type, name);
  checkInner(typeName, name, draft);
  const holdsMaps = typeName === "array_of_maps" || typeName === "hash_of_maps";
  const spec: MapSpec = {
    name,
    type: typeName,
    keySize: draft.keySize ?? 0,
    valueSize: draft.valueSize ?? (holdsMaps || draft.valuesOffset !== undefined ? 4 : 0),
    maxEntries: draft.maxEntries ?? 0,
    flags: draft.flags ?? 0,
    pinning: draft.pinning === 1 ? "by-name" : "none",
    ...(draft.mapExtra === undefined ? {} : { mapExtra: draft.mapExtra }),
    ...(draft.numaNode === undefined ? {} : { numaNode: draft.numaNode }),
    ...(draft.keyTypeId === undefined ? {} : { keyTypeId: draft.keyTypeId }),
    ...(draft.valueTypeId === undefined ? {} : { valueTypeId: draft.valueTypeId }),
    ...(draft.inner === undefined ? {} : { inner: draft.inner }),
  };
  return { spec, valuesOffset: draft.valuesOffset ?? null };
}

function checkInner(type: string, name: string, draft: Draft): void {
  if (draft.valuesOffset === undefined) return;
  const holdsMaps = type === "array_of_maps" || type === "hash_of_maps";
  if (!holdsMaps && type !== "prog_array") throw new ObjectError("map", `map ${name}: a ${type} has no \`values\``);
  if (holdsMaps !== (draft.inner !== undefined)) {
    throw new ObjectError(
      "map",
      `map ${name}: \`values\` of a ${type} must point to ${holdsMaps ? "maps" : "functions"}`,
    );
  }
}

type MemberContext = { readonly draft: Draft; readonly name: string; readonly isInner: boolean };

function readMember(btf: BtfView, member: BtfMember, context: MemberContext): void {
  const { draft, name } = context;
  if (draft.valuesOffset !== undefined) throw new ObjectError("map", `map ${name}: \`values\` is not the last member`);
  switch (member.name) {
    case "type":
      draft.type = numberOf(btf, member, name);
      return;
    case "max_entries":
      draft.maxEntries = numberOf(btf, member, name);
      return;
    case "map_flags":
      draft.flags = numberOf(btf, member, name);
      return;
    case "numa_node":
      draft.numaNode = numberOf(btf, member, name);
      return;
    case "key_size":
      draft.keySize = agree(draft.keySize, numberOf(btf, member, name), `map ${name}: key_size`);
      return;
    case "value_size":
      draft.valueSize = agree(draft.valueSize, numberOf(btf, member, name), `map ${name}: value_size`);
      return;
    case "key":
      draft.keyTypeId = pointee(btf, member, name);
      draft.keySize = agree(draft.keySize, typeBytes(btf, draft.keyTypeId, `map ${name}: key`), `map ${name}: key`);
      return;
    case "value":
      draft.valueTypeId = pointee(btf, member, name);
      draft.valueSize = agree(
        draft.valueSize,
        typeBytes(btf, draft.valueTypeId, `map ${name}: value`),
        `map ${name}: value`,
      );
      return;
    case "map_extra":
      draft.mapExtra = longOf(btf, member, name);
      return;
    case "pinning":
      if (context.isInner) throw new ObjectError("map", `map ${name}: an inner map cannot be pinned`);
      draft.pinning = numberOf(btf, member, name);
      if (draft.pinning > 1) throw new ObjectError("map", `map ${name}: pinning ${draft.pinning} is unknown`);
      return;
    case "values":
      readValues(btf, member, context);
      return;
    default:
      throw new ObjectError("map", `map ${name} has the unknown member ${member.name}`);
  }
}

function agree(known: number | undefined, value: number, what: string): number {
  if (known !== undefined && known !== value)
    throw new ObjectError("map", `${what} gives ${value} bytes where ${known} were given`);
  return value;
}

function typeBytes(btf: BtfView, id: number, what: string): number {
  const size = sizeOf(btf, id);
  if (size === null) throw new ObjectError("map", `${what}: type ${id} has no size`);
  return size;
}

/** `__uint(name, value)`: a pointer to an array of `value` elements. */
function numberOf(btf: BtfView, member: BtfMember, name: string): number {
  const pointer = resolveType(btf, member.typeId);
  const array = pointer?.kind === "ptr" ? resolveType(btf, pointer.typeId) : null;
  if (array?.kind !== "array") throw new ObjectError("map", `map ${name}: ${member.name} is not a pointer to an array`);
  return array.length;
}

/** `__uint`, or `__ulong(name, value)`: an enum of one value. */
function longOf(btf: BtfView, member: BtfMember, name: string): bigint {
  const type = resolveType(btf, member.typeId);
  if (type?.kind === "ptr") return BigInt(numberOf(btf, member, name));
  if (type?.kind !== "enum" && type?.kind !== "enum64") {
    throw new ObjectError("map", `map ${name}: ${member.name} is neither a pointer nor an enum`);
  }
  const only = type.values[0];
  if (only === undefined || type.values.length !== 1)
    throw new ObjectError("map", `map ${name}: ${member.name} has not one value`);
  return BigInt.asUintN(64, BigInt(only.value));
}

/** `__type(name, T)`: a pointer to the type. */
function pointee(btf: BtfView, member: BtfMember, name: string): number {
  const pointer = resolveType(btf, member.typeId);
  if (pointer?.kind !== "ptr") throw new ObjectError("map", `map ${name}: ${member.name} is not a pointer`);
  return pointer.typeId;
}

function readValues(btf: BtfView, member: BtfMember, context: MemberContext): void {
  const { draft, name } = context;
  const array = resolveType(btf, member.typeId);
  if (array?.kind !== "array" || array.length !== 0)
    throw new ObjectError("map", `map ${name}: \`values\` is not an array of no length`);
  if (context.isInner) throw new ObjectError("map", `map ${name}: an inner map cannot have \`values\``);
  const pointer = resolveType(btf, array.typeId);
  if (pointer?.kind !== "ptr") throw new ObjectError("map", `map ${name}: \`values\` does not hold pointers`);
  const target = resolveId(btf, pointer.typeId);
  const kind = btf.get(target)?.kind;
  if (kind === "struct") draft.inner = parseDefinition(btf, target, { name: `${name}.inner`, isInner: true }).spec;
  else if (kind !== "func_proto") throw new ObjectError("map", `map ${name}: \`values\` points to ${kind ?? "void"}`);
  draft.valuesOffset = member.bitOffset / 8;
}

/** The struct of a map, as `__uint` and `__type` would make it. Gives its id. Throws `ObjectError` `map` for what it cannot say. */
export function buildMapDefinition(btf: BtfBuilder, spec: MapSpec): number {
  const members: MemberInput[] = [];
  const number = (name: string, value: number) =>
    members.push({ name, typeId: btf.pointer(btf.array(intId(btf), value)) });
  number("type", mapTypeNumber(spec.type, spec.name));
  const { values } = { values: spec.inner !== undefined || spec.values !== undefined };
  dimension(btf, members, { name: "key", size: spec.keySize, typeId: spec.keyTypeId, spec });
  if (!values || spec.valueTypeId !== undefined || spec.valueSize !== 4) {
    dimension(btf, members, { name: "value", size: spec.valueSize, typeId: spec.valueTypeId, spec });
  }
  if (spec.maxEntries !== 0) number("max_entries", spec.maxEntries);
  if (spec.flags !== 0) number("map_flags", spec.flags);
  if (spec.numaNode !== undefined) number("numa_node", spec.numaNode);
  if (spec.mapExtra !== undefined) members.push({ name: "map_extra", typeId: extraType(btf, spec.mapExtra) });
  if (spec.pinning === "by-name") number("pinning", 1);
  if (values) members.push({ name: "values", typeId: btf.array(btf.pointer(valuesTarget(btf, spec)), 0) });
  return btf.struct("", members);
}

function dimension(
  btf: BtfBuilder,
  members: MemberInput[],
  input: { name: "key" | "value"; size: number; typeId: number | undefined; spec: MapSpec },
): void {
  const { name, size, typeId, spec } = input;
  if (typeId === undefined) {
    if (size !== 0) members.push({ name: `${name}_size`, typeId: btf.pointer(btf.array(intId(btf), size)) });
    return;
  }
  if (sizeOf(btf, typeId) !== size) {
    throw new ObjectError(
      "map",
      `map ${spec.name}: ${name} has ${size} bytes and a type of ${sizeOf(btf, typeId) ?? "no"} bytes`,
    );
  }
  members.push({ name, typeId: btf.pointer(typeId) });
}

function intId(btf: BtfBuilder): number {
  return btf.intType("int", 4, "signed");
}

function extraType(btf: BtfBuilder, value: bigint): number {
  if (value <= 0xffff_ffffn) return btf.pointer(btf.array(intId(btf), Number(value)));
  return btf.enumType("", { __unique_value: value });
}

function valuesTarget(btf: BtfBuilder, spec: MapSpec): number {
  return spec.inner === undefined ? btf.funcProto(0, []) : buildMapDefinition(btf, spec.inner);
}

/** Bytes of a map's variable: the struct, and the initial values behind it. */
export function mapVariableSize(btf: BtfView, structId: number, spec: MapSpec): number {
  const struct = resolveType(btf, structId) as BtfOf<"struct">;
  const last = Math.max(-1, ...(spec.values ?? []).map(({ index }) => index));
  return struct.size + 8 * (last + 1);
}
