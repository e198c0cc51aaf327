import { resolveId, sizeOf } from "../btf/query.ts";
import type { BtfOf, BtfType, BtfView } from "../btf/types.ts";
import { typeName } from "../btf/walk.ts";
import { ObjectError } from "../errors.ts";
import { coreSubject } from "./kinds.ts";
import type { CoreKind } from "./kinds.ts";

/** BPF_CORE_SPEC_MAX_LEN. */
export const MAX_ACCESS = 64;

/** One step that means something: a named member, an array element, or the value of an enum. */
export interface AccessStep {
  /** The struct or union that has the member; the element's type; the enum. */
  readonly typeId: number;
  readonly index: number;
  /** Null for array elements. */
  readonly name: string | null;
}

/** A place in a type: what a relocation's access string says, and what it becomes in another type. */
export interface Access {
  readonly btf: BtfView;
  readonly rootId: number;
  readonly kind: CoreKind;
  readonly steps: readonly AccessStep[];
  /** Index by index, anonymous members included. */
  readonly raw: readonly number[];
  readonly bitOffset: number;
}

/**
 * Reads a relocation's access string (`0:1:2`) in the object's own types: array index of the root, then member numbers and array indexes.
 * For enums the number of the value, for types always `0`. Throws `ObjectError` `relocation`.
 */
export function parseAccess(btf: BtfView, rootId: number, input: { kind: CoreKind; access: string }): Access {
  const { kind, access } = input;
  const fail = (why: string) =>
    new ObjectError("relocation", `CO-RE ${kind} of type ${rootId} with access ${access}: ${why}`);
  const subject = coreSubject(kind);
  if (subject === "type") {
    if (access !== "0") throw fail("a type has no members to access");
    return { btf, rootId, kind, steps: [], raw: [], bitOffset: 0 };
  }
  if (!/^\d+(:\d+)*$/.test(access)) throw fail("not numbers and colons");
  const raw = access.split(":").map(Number);
  if (raw.length > MAX_ACCESS) throw fail("too deep");
  return subject === "enum"
    ? enumAccess({ btf, rootId, kind, raw }, fail)
    : fieldAccess({ btf, rootId, kind, raw }, fail);
}

type Start = Pick<Access, "btf" | "rootId" | "kind" | "raw">;
type Fail = (why: string) => ObjectError;

function enumAccess(start: Start, fail: Fail): Access {
  const typeId = resolveId(start.btf, start.rootId);
  const type = start.btf.get(typeId);
  const index = start.raw[0] ?? 0;
  const value = isEnum(type) ? type.values[index] : undefined;
  if (value === undefined || start.raw.length > 1) throw fail("no such value");
  return { ...start, steps: [{ typeId, index, name: value.name }], bitOffset: 0 };
}

function fieldAccess(start: Start, fail: Fail): Access {
  const { btf, raw } = start;
  const bytes = (id: number) => {
    const size = sizeOf(btf, id);
    if (size === null) throw fail(`type ${id} has no size`);
    return size;
  };
  let id = resolveId(btf, start.rootId);
  const steps: AccessStep[] = [{ typeId: id, index: raw[0] ?? 0, name: null }];
  let bitOffset = (raw[0] ?? 0) * bytes(id) * 8;
  for (const index of raw.slice(1)) {
    const typeId = resolveId(btf, id);
    const type = btf.get(typeId);
    if (type?.kind === "struct" || type?.kind === "union") {
      const member = type.members[index];
      if (member === undefined) throw fail(`${type.kind} ${type.name} has no member ${index}`);
      bitOffset += member.bitOffset;
      if (member.name !== "") steps.push({ typeId, index, name: member.name });
      id = member.typeId;
    } else if (type?.kind === "array") {
      id = resolveId(btf, type.typeId);
      if (index >= type.length && !isFlexible(btf, steps.at(-1), type))
        throw fail(`element ${index} of ${type.length}`);
      steps.push({ typeId: id, index, name: null });
      bitOffset += index * bytes(id) * 8;
    } else {
      throw fail(`a ${type?.kind ?? "void"} has no members`);
    }
  }
  return { ...start, steps, bitOffset };
}

/** An array without length that is the last member of its struct. */
export function isFlexible(btf: BtfView, holder: AccessStep | undefined, array: BtfOf<"array">): boolean {
  if (holder === undefined || holder.name === null || array.length > 0) return false;
  const type = btf.get(holder.typeId);
  return isComposite(type) && holder.index === type.members.length - 1;
}

export function isComposite(type: BtfType | null): type is BtfOf<"struct"> {
  return type?.kind === "struct" || type?.kind === "union";
}

export function isEnum(type: BtfType | null): type is BtfOf<"enum"> | BtfOf<"enum64"> {
  return type?.kind === "enum" || type?.kind === "enum64";
}

/** For messages: `struct task_struct.mm.start_code`, `enum pid_type::PIDTYPE_PID`, `typedef atomic_t`. */
export function accessText(access: Access): string {
  const type = access.btf.get(access.rootId);
  const root = type === null ? "void" : `${type.kind} ${typeName(type) || "(anonymous)"}`;
  const parts = access.steps.map(({ name, index }, at) => {
    if (name !== null) return `${coreSubject(access.kind) === "enum" ? "::" : "."}${name}`;
    return at > 0 || index > 0 ? `[${index}]` : "";
  });
  return root + parts.join("");
}
