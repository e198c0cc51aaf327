import { essentialName } from "../btf/flavor.ts";
import { resolveId, sizeOf } from "../btf/query.ts";
import type { BtfView } from "../btf/types.ts";
import { ObjectError } from "../errors.ts";
import { MAX_ACCESS, isComposite, isEnum, isFlexible } from "./access.ts";
import type { Access, AccessStep } from "./access.ts";
import { fieldsCompatible, typesCompatible, typesMatch } from "./compatible.ts";
import { coreSubject } from "./kinds.ts";

/**
 * The same place in a candidate type of another BTF: members by name, wherever they lie, also within anonymous members.
 * Null where the candidate has no such place. Throws `ObjectError` `relocation` for types that cannot be compared.
 */
export function matchAccess(local: Access, btf: BtfView, targetId: number): Access | null {
  switch (coreSubject(local.kind)) {
    case "type": {
      const [mine, other] = [
        { btf: local.btf, id: local.rootId },
        { btf, id: targetId },
      ];
      const matches = local.kind === "type_matches" ? typesMatch(mine, other) : typesCompatible(mine, other);
      return matches ? { btf, rootId: targetId, kind: local.kind, steps: [], raw: [], bitOffset: 0 } : null;
    }
    case "enum":
      return matchValue(local, btf, targetId);
    case "field":
      return new FieldMatch(local, btf, targetId).run();
  }
}

function matchValue(local: Access, btf: BtfView, rootId: number): Access | null {
  const typeId = resolveId(btf, rootId);
  const type = btf.get(typeId);
  if (!isEnum(type)) return null;
  const wanted = essentialName(local.steps[0]?.name ?? "");
  const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
  const value = type.values[index];
  if (value === undefined) return null;
  return { btf, rootId, kind: local.kind, steps: [{ typeId, index, name: value.name }], raw: [index], bitOffset: 0 };
}

/** Anonymous members of damaged types can hold one another in more ways than there is time. */
const MAX_VISITS = 100_000;

class FieldMatch {
  private readonly local: Access;
  private readonly btf: BtfView;
  private readonly rootId: number;
  private readonly steps: AccessStep[] = [];
  private readonly raw: number[] = [];
  private bitOffset = 0;
  private visited = 0;

  constructor(local: Access, btf: BtfView, rootId: number) {
    this.local = local;
    this.btf = btf;
    this.rootId = rootId;
  }

  run(): Access | null {
    let id = this.rootId;
    for (const [at, step] of this.local.steps.entries()) {
      const next = step.name === null ? this.element(id, step, at) : this.member(id, step);
      if (next === null) return null;
      id = next;
    }
    const { btf, rootId, steps, raw, bitOffset } = this;
    return { btf, rootId, kind: this.local.kind, steps, raw, bitOffset };
  }

  /** The type of the array's element; the root itself is the element of an array that is not there. */
  private element(id: number, step: AccessStep, at: number): number | null {
    let typeId = resolveId(this.btf, id);
    if (at > 0) {
      const array = this.btf.get(typeId);
      if (array?.kind !== "array") return null;
      if (step.index >= array.length && !isFlexible(this.btf, this.steps.at(-1), array)) return null;
      typeId = resolveId(this.btf, array.typeId);
    }
    const size = sizeOf(this.btf, typeId);
    if (size === null) throw new ObjectError("relocation", `type ${typeId} of the target has no size`);
    this.push(step.index);
    this.steps.push({ typeId, index: step.index, name: null });
    this.bitOffset += step.index * size * 8;
    return typeId;
  }

  /** The type of the member of that name; null where there is none, or one of an unlike type. */
  private member(id: number, step: AccessStep): number | null {
    const holder = this.local.btf.get(step.typeId);
    const wanted = isComposite(holder) ? holder.members[step.index] : undefined;
    if (wanted === undefined) return null;
    const found = this.find(id, wanted.name, 0);
    if (found === null) return null;
    const compatible = fieldsCompatible({ btf: this.local.btf, id: wanted.typeId }, { btf: this.btf, id: found });
    return compatible ? found : null;
  }

  private find(id: number, name: string, depth: number): number | null {
    const typeId = resolveId(this.btf, id);
    const type = this.btf.get(typeId);
    if (!isComposite(type)) return null;
    if (depth > MAX_ACCESS || ++this.visited > MAX_VISITS)
      throw new ObjectError("relocation", "members of the target are nested too deeply");
    for (const [index, member] of type.members.entries()) {
      if (member.name !== "" && member.name !== name) continue;
      const before = { raw: this.raw.length, bitOffset: this.bitOffset };
      this.push(index);
      this.bitOffset += member.bitOffset;
      if (member.name === name) {
        this.steps.push({ typeId, index, name });
        return member.typeId;
      }
      const found = this.find(member.typeId, name, depth + 1);
      if (found !== null) return found;
      this.raw.length = before.raw;
      this.bitOffset = before.bitOffset;
    }
    return null;
  }

  private push(index: number): void {
    if (this.raw.length === MAX_ACCESS)
      throw new ObjectError("relocation", "members of the target are nested too deeply");
    this.raw.push(index);
  }
}
