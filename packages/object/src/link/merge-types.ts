import { dedupBtf } from "../btf/dedup.ts";
import { viewOf } from "../btf/view.ts";
import { mapTypeIds, typeName } from "../btf/walk.ts";
import type { BtfOf, BtfType, BtfTypes } from "../btf/types.ts";
import { typesCompatible } from "../core/compatible.ts";
import { ObjectError } from "../errors.ts";

export interface MergedTypes {
  readonly btf: BtfTypes;
  /** New ids of each object's types. */
  readonly ids: readonly ((id: number) => number)[];
}

/** A function or variable of the program, or its declaration. */
type Thing = BtfOf<"func" | "var">;

interface Member {
  readonly id: number;
  readonly type: Thing;
  /** Bytes in its section. */
  readonly size: number;
}

/**
 * The types of several objects as one, deduplicated. Declarations (`extern`) become their definitions, sections of one name one section,
 * whose offsets are yet to be set. Throws `ObjectError` `btf` where a declaration has another type than the definition.
 */
export function mergeTypes(all: readonly BtfTypes[]): MergedTypes {
  const types: BtfType[] = [];
  const starts = all.map((btf) => {
    const start = types.length;
    for (const type of btf.types) types.push(mapTypeIds(type, (id) => (id === 0 ? 0 : id + start)));
    return start;
  });
  const merging = new Merging(types);
  merging.run();
  const { btf, ids } = dedupBtf({ types: merging.types }, { replace: merging.replaced });
  return { btf, ids: starts.map((start) => (id: number) => (id === 0 ? 0 : (ids[id + start] ?? 0))) };
}

class Merging {
  readonly types: BtfType[];
  /** Old id to the id that it becomes. */
  readonly replaced = new Map<number, number>();
  /** Section to its variables, in order. */
  private readonly sections = new Map<string, Member[]>();
  /** Ids of the variables that stand for maps: `linkObjects` compares what they define. */
  private readonly maps = new Set<number>();

  constructor(types: BtfType[]) {
    this.types = types;
  }

  run(): void {
    const placed = this.collectSections();
    this.mergeVariables();
    this.mergeFunctions(placed);
    this.writeSections();
  }

  private thing(id: number): Thing | null {
    const type = this.types[id - 1];
    return type?.kind === "var" || type?.kind === "func" ? type : null;
  }

  /** Gives the ids that lie in a section. */
  private collectSections(): Set<number> {
    const placed = new Set<number>();
    for (const type of this.types) {
      if (type.kind !== "datasec") continue;
      const members = this.sections.get(type.name) ?? [];
      for (const { typeId, size } of type.variables) {
        const thing = this.thing(typeId);
        if (thing === null) continue;
        placed.add(typeId);
        if (type.name === ".maps") this.maps.add(typeId);
        members.push({ id: typeId, type: thing, size });
      }
      this.sections.set(type.name, members);
    }
    return placed;
  }

  /** Global variables of one name are one, wherever they are declared. */
  private mergeVariables(): void {
    const chosen = new Map<string, Member>();
    const all = this.types.flatMap((type, index): Member[] =>
      type.kind === "var" ? [{ id: index + 1, type, size: 0 }] : [],
    );
    for (const member of all) {
      if (member.type.linkage === "static") continue;
      const known = chosen.get(member.type.name);
      if (known === undefined || (isExtern(known) && !isExtern(member))) chosen.set(member.type.name, member);
    }
    for (const member of all) {
      const winner = member.type.linkage === "static" ? undefined : chosen.get(member.type.name);
      if (winner !== undefined && winner.id !== member.id) this.replace(member, winner);
    }
  }

  /** Declared functions are the defined ones. Those of `.ksyms` are the kernel's. */
  private mergeFunctions(placed: ReadonlySet<number>): void {
    const defined = new Map<string, Member>();
    const declared: Member[] = [];
    const kernel = new Map<string, Member>();
    this.types.forEach((type, index) => {
      if (type.kind !== "func") return;
      const member = { id: index + 1, type, size: 0 };
      if (type.linkage === "global" && !defined.has(type.name)) defined.set(type.name, member);
      if (type.linkage !== "extern") return;
      if (!placed.has(member.id)) declared.push(member);
      else if (!kernel.has(type.name)) kernel.set(type.name, member);
      else this.replace(member, kernel.get(type.name) ?? member);
    });
    const first = new Map<string, Member>();
    for (const member of declared) {
      const winner = defined.get(member.type.name) ?? first.get(member.type.name);
      if (winner === undefined) first.set(member.type.name, member);
      else this.replace(member, winner);
    }
  }

  private replace(member: Member, winner: Member): void {
    const view = viewOf({ types: this.types });
    const isMap = this.maps.has(member.id) && this.maps.has(winner.id);
    if (!isMap && !typesCompatible({ btf: view, id: member.type.typeId }, { btf: view, id: winner.type.typeId })) {
      throw new ObjectError("btf", `${typeName(member.type)} is declared with different types`);
    }
    this.replaced.set(member.id, winner.id);
  }

  /** All sections of a name become the first one. */
  private writeSections(): void {
    const first = new Map<string, number>();
    this.types.forEach((type, index) => {
      if (type.kind !== "datasec") return;
      const id = index + 1;
      const known = first.get(type.name);
      if (known !== undefined) {
        this.replaced.set(id, known);
        return;
      }
      first.set(type.name, id);
      const members = (this.sections.get(type.name) ?? []).filter((member) => !this.replaced.has(member.id));
      const variables = members.map(({ id: typeId, size }) => ({ typeId, offset: 0, size }));
      this.types[index] = { ...type, size: 0, variables };
    });
  }
}

function isExtern(member: Member): boolean {
  return member.type.linkage === "extern";
}
