import type { BtfBuilder } from "../btf/builder.ts";
import type { BtfOf } from "../btf/types.ts";

type Section = BtfOf<"datasec">;
export type SectionEntry = Section["variables"][number];
type Entry = SectionEntry;

interface WantedVariable {
  readonly name: string;
  readonly offset: number;
  readonly typeId: number;
  readonly linkage: BtfOf<"var">["linkage"];
}

/** Type information under completion: sections by name. */
export class Types {
  readonly btf: BtfBuilder;
  private readonly sections = new Map<string, number>();

  constructor(btf: BtfBuilder) {
    this.btf = btf;
    for (let id = 1; id < btf.end; id++) {
      const type = btf.get(id);
      if (type?.kind === "datasec") this.sections.set(type.name, id);
    }
  }

  section(name: string): { id: number; type: Section } | null {
    const id = this.sections.get(name);
    const type = id === undefined ? null : this.btf.get(id);
    return id === undefined || type?.kind !== "datasec" ? null : { id, type };
  }

  /** The variable or function of this name in a section; null where there is none. */
  member(section: string, name: string): { entry: Entry; type: BtfOf<"var" | "func"> } | null {
    for (const entry of this.section(section)?.type.variables ?? []) {
      const type = this.btf.get(entry.typeId);
      if ((type?.kind === "var" || type?.kind === "func") && type.name === name) return { entry, type };
    }
    return null;
  }

  /**
   * VARs for the variables of a section, in their order: those that are there, changed where they differ, or new ones. Static variables of
   * several functions may share a name.
   */
  variables(section: string, wanted: readonly WantedVariable[]): number[] {
    const known = [...(this.section(section)?.type.variables ?? [])];
    return wanted.map(({ name, offset, typeId, linkage }) => {
      const isIt = (entry: Entry, exact: boolean) => {
        const type = this.btf.get(entry.typeId);
        return type?.kind === "var" && type.name === name && (!exact || entry.offset === offset);
      };
      let at = known.findIndex((entry) => isIt(entry, true));
      if (at < 0) at = known.findIndex((entry) => isIt(entry, false));
      const entry = known[at];
      const type = entry === undefined ? null : this.btf.get(entry.typeId);
      if (entry === undefined || type?.kind !== "var") return this.btf.variable(name, typeId, linkage);
      known.splice(at, 1);
      if (type.typeId !== typeId || type.linkage !== linkage)
        this.btf.replace(entry.typeId, { ...type, typeId, linkage });
      return entry.typeId;
    });
  }

  variable(section: string, wanted: Omit<WantedVariable, "offset">): number {
    return this.variables(section, [{ ...wanted, offset: -1 }])[0] ?? 0;
  }

  /** Sets what a section holds, and gives its id. */
  setSection(name: string, size: number, variables: readonly Entry[]): number {
    const type: Section = { kind: "datasec", name, size, variables };
    const known = this.section(name);
    if (known !== null) {
      this.btf.replace(known.id, type);
      return known.id;
    }
    const id = this.btf.add(type);
    this.sections.set(name, id);
    return id;
  }
}
