/**
 * @module
 * Data sections: variables, texts and tables at their offsets, as the maps that loaders make of them.
 */
import type { DataSection, MapSpec } from "@skep/object";
import { alignOf, sizeOf, type MemoryType } from "./types.ts";
import type { VariableDecl } from "./values.ts";

const RDONLY_PROG = 1 << 7;
const MMAPABLE = 1 << 10;

export interface Entry {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly align: number;
  readonly variable: VariableDecl | null;
}

/** One section while it grows. */
export class SectionBuilder {
  readonly name: string;
  #entries: Entry[] = [];
  #end = 0;
  #variables = new Map<VariableDecl, number>();
  #texts = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get isEmpty(): boolean {
    return this.#end === 0;
  }

  #put(bytes: Uint8Array, align: number, variable: VariableDecl | null): number {
    const offset = Math.ceil(this.#end / align) * align;
    this.#entries.push({ offset, bytes, align, variable });
    this.#end = offset + bytes.length;
    return offset;
  }

  place(variable: VariableDecl): number {
    const known = this.#variables.get(variable);
    if (known !== undefined) return known;
    const offset = this.#put(variable.initial, alignOf(variable.type), variable);
    this.#variables.set(variable, offset);
    return offset;
  }

  /** Equal bytes share a place. */
  constant(bytes: Uint8Array, align: number): number {
    const key = `${align}:${bytes.join(",")}`;
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const offset = this.#put(bytes, align, null);
    this.#texts.set(key, offset);
    return offset;
  }

  toMap(typeId: (type: MemoryType) => number): MapSpec {
    const contents = new Uint8Array(Math.ceil(this.#end / 8) * 8);
    const variables: DataSection["variables"][number][] = [];
    for (const { offset, bytes, variable } of this.#entries) {
      contents.set(bytes, offset);
      if (!variable) continue;
      const shape = { name: variable.name, offset, size: sizeOf(variable.type), typeId: typeId(variable.type) };
      variables.push(variable.weak ? { ...shape, weak: true } : shape);
    }
    const readOnly = this.name === ".rodata" || this.name === ".kconfig";
    return {
      name: this.name,
      type: "array",
      keySize: 4,
      valueSize: contents.length,
      maxEntries: 1,
      flags: (readOnly ? RDONLY_PROG : 0) | (variables.length > 0 ? MMAPABLE : 0),
      pinning: "none",
      data: { contents, readOnly, variables },
    };
  }
}
