import { MapError, errno } from "../error.ts";
import type { Code } from "../code.ts";
import { indexOf } from "./array.ts";
import { VmMap, keyBytes, keyText } from "./map.ts";

/** `array_of_maps` and `hash_of_maps` (kernel/bpf/map_in_map.c). Programs only look up; user space puts maps. */
export class MapOfMaps extends VmMap {
  private readonly inner = new Map<string, VmMap>();

  override lookup(key: Uint8Array): number {
    return this.inner.get(keyText(key))?.handle ?? 0;
  }

  override innerMap(key: Uint8Array): VmMap | null {
    return this.inner.get(keyText(key)) ?? null;
  }

  /** 0 or a negative errno: bpf_map_meta_equal wants the inner maps alike. */
  put(key: Uint8Array, map: VmMap): number {
    const like = this.spec.inner;
    if (like !== undefined && !alike(like, map.spec)) return -errno.EINVAL;
    const text = keyText(key);
    if (this.spec.type === "array_of_maps" ? indexOf(key) >= this.spec.maxEntries : this.isFull(text)) {
      return -errno.E2BIG;
    }
    this.inner.set(text, map);
    return 0;
  }

  private isFull(text: string): boolean {
    return !this.inner.has(text) && this.inner.size >= this.spec.maxEntries;
  }

  override remove(key: Uint8Array): number {
    return this.inner.delete(keyText(key)) ? 0 : -errno.ENOENT;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const text of this.inner.keys()) yield keyBytes(text);
  }

  /** Id of the inner map, four bytes. */
  protected override readUser(key: Uint8Array): Uint8Array | null {
    const map = this.inner.get(keyText(key));
    return map === undefined ? null : new Uint8Array(Uint32Array.of(map.id).buffer);
  }
}

function alike(a: VmMap["spec"], b: VmMap["spec"]): boolean {
  const same = a.type === b.type && a.keySize === b.keySize && a.valueSize === b.valueSize && a.flags === b.flags;
  // Arrays must have as many entries (array_map_meta_equal).
  return same && (a.type !== "array" || a.maxEntries === b.maxEntries);
}

/** `prog_array`: the targets of tail calls. */
export class ProgramArray extends VmMap {
  private readonly programs = new Map<number, Code>();

  override programAt(index: number): Code | null {
    return this.programs.get(index) ?? null;
  }

  put(index: number, program: Code): void {
    if (index >= this.spec.maxEntries) throw new MapError("setProgram", this.spec.name, errno.E2BIG);
    this.programs.set(index, program);
  }

  override remove(key: Uint8Array): number {
    return this.programs.delete(indexOf(key)) ? 0 : -errno.ENOENT;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const index of this.programs.keys()) yield new Uint8Array(Uint32Array.of(index).buffer);
  }
}
