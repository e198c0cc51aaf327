import type { MapSpec } from "@skep/object";
import { MapError, errno } from "../error.ts";
import type { Code } from "../code.ts";
import { VmMap, createFlags, updateFlags, wordBytes, wordOf } from "./map.ts";
import type { MapHost } from "./map.ts";
import { control } from "./shapes.ts";
import { Table } from "./table.ts";

/** Words in linear memory, outside of all regions: handles of maps, indexes of programs. */
class WordTable {
  readonly base: number;
  private readonly host: MapHost;
  private readonly entries: number;

  constructor(host: MapHost, entries: number) {
    this.host = host;
    this.entries = entries;
    this.base = host.memory.takeBytes(entries * 4);
  }
  get(index: number): number {
    return this.host.memory.u32[(this.base >>> 2) + index] ?? 0;
  }
  set(index: number, value: number): void {
    this.host.memory.u32[(this.base >>> 2) + index] = value;
  }
  release(): void {
    this.host.memory.giveBytes(this.base, this.entries * 4);
  }
}

/** `array_of_maps` and `hash_of_maps` (kernel/bpf/map_in_map.c). Programs only look up; user space puts maps, by id or with `put`. */
export abstract class MapOfMaps extends VmMap {
  /** 0 or a negative errno: bpf_map_meta_equal wants the inner maps alike. */
  put(key: Uint8Array, map: VmMap, flags = 0n): number {
    const like = this.spec.inner;
    const fits = like === undefined || alike(like, map.spec);
    return this.refuse(key, flags) || (fits ? this.store(key, map, flags) : -errno.EINVAL);
  }

  /** A negative errno for what is wrong whatever the map is, else 0. */
  protected abstract refuse(key: Uint8Array, flags: bigint): number;

  protected abstract store(key: Uint8Array, map: VmMap, flags: bigint): number;
  protected abstract mapAt(key: Uint8Array): VmMap | null;

  override lookup(key: Uint8Array): number {
    return this.mapAt(key)?.handle ?? 0;
  }

  override innerMap(key: Uint8Array): VmMap | null {
    return this.mapAt(key);
  }

  /** The value is the id of a map (in the kernel its descriptor). */
  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const map = this.host.mapById(wordOf(value));
    return map === null ? -errno.EBADF : this.put(key, map, flags);
  }

  /** Id of the inner map, four bytes. */
  protected override readUser(key: Uint8Array): Uint8Array | number {
    const map = this.mapAt(key);
    return map === null ? -errno.ENOENT : wordBytes(map.id);
  }
}

export class ArrayOfMaps extends MapOfMaps {
  private readonly words: WordTable;
  private readonly maps: (VmMap | undefined)[] = [];

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.words = new WordTable(host, spec.maxEntries);
    this.setControl(control.entries, spec.maxEntries);
    this.setControl(control.base, this.words.base);
    this.setControl(control.stride, 4);
  }

  /** bpf_fd_array_map_update_elem */
  protected override refuse(key: Uint8Array, flags: bigint): number {
    if (flags !== 0n) return -errno.EINVAL;
    return wordOf(key) >= this.spec.maxEntries ? -errno.E2BIG : 0;
  }

  protected override store(key: Uint8Array, map: VmMap): number {
    const index = wordOf(key);
    this.maps[index] = map;
    this.words.set(index, map.handle);
    return 0;
  }

  protected override mapAt(key: Uint8Array): VmMap | null {
    return this.maps[wordOf(key)] ?? null;
  }

  override remove(key: Uint8Array): number {
    const index = wordOf(key);
    if (index >= this.spec.maxEntries) return -errno.E2BIG;
    if (this.maps[index] === undefined) return -errno.ENOENT;
    this.maps[index] = undefined;
    this.words.set(index, 0);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (let i = 0; i < this.spec.maxEntries; i++) yield wordBytes(i);
  }

  protected override release(): void {
    this.words.release();
  }
}

export class HashOfMaps extends MapOfMaps {
  private readonly table: Table;
  private readonly maps = new Map<number, VmMap>();

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.table = new Table(host.memory, spec);
    this.setControl(control.mask, this.table.mask);
    this.setControl(control.buckets, this.table.buckets);
    this.setControl(control.cpuOffset, 0);
  }

  protected override refuse(): number {
    return 0;
  }

  protected override store(key: Uint8Array, map: VmMap, flags: bigint): number {
    if (flags > BigInt(updateFlags.existing)) return -errno.EINVAL;
    const at = this.table.find(key);
    if (at !== 0 && flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (at === 0 && flags === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (at === 0 && this.table.size >= this.spec.maxEntries) return -errno.E2BIG;
    this.maps.set(map.handle, map);
    if (at === 0) this.table.insert(key, map.handle);
    else this.table.setValue(at, map.handle);
    return 0;
  }

  protected override mapAt(key: Uint8Array): VmMap | null {
    const at = this.table.find(key);
    return at === 0 ? null : (this.maps.get(this.table.valueOf(at)) ?? null);
  }

  override remove(key: Uint8Array): number {
    const at = this.table.find(key);
    if (at === 0) return -errno.ENOENT;
    this.table.remove(at);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const at of this.table.nodes()) yield this.table.keyOf(at);
  }

  protected override release(): void {
    this.table.release();
  }
}

/** bpf_map_meta_equal */
function alike(a: VmMap["spec"], b: VmMap["spec"]): boolean {
  const same = a.type === b.type && a.keySize === b.keySize && a.valueSize === b.valueSize && a.flags === b.flags;
  // Arrays must have as many entries (array_map_meta_equal).
  const free = a.type !== "array" || (a.flags & createFlags.innerMap) !== 0;
  return same && (free || a.maxEntries === b.maxEntries);
}

/** `prog_array`: the targets of tail calls. User space puts programs with `put`. */
export class ProgramArray extends VmMap {
  private readonly programs: ({ readonly code: Code; readonly id: number } | undefined)[] = [];
  private readonly words: WordTable;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.words = new WordTable(host, spec.maxEntries);
    this.setControl(control.entries, spec.maxEntries);
    this.setControl(control.base, this.words.base);
  }

  override programAt(index: number): Code | null {
    return this.programs[index]?.code ?? null;
  }

  put(index: number, code: Code, id = 0): void {
    if (index >= this.spec.maxEntries) throw new MapError("setProgram", this.spec.name, errno.E2BIG);
    this.programs[index] = { code, id };
    this.words.set(index, this.host.slotOf(code) + 1);
  }

  /** Looking up gives the program's id. */
  protected override readUser(key: Uint8Array): Uint8Array | number {
    const found = this.programs[wordOf(key)];
    return found === undefined ? -errno.ENOENT : wordBytes(found.id);
  }

  /** A number names no program: `put` does. */
  protected override updateUser(key: Uint8Array, _value: Uint8Array, flags: bigint): number {
    if (flags !== 0n) return -errno.EINVAL;
    return wordOf(key) >= this.spec.maxEntries ? -errno.E2BIG : -errno.EBADF;
  }

  override remove(key: Uint8Array): number {
    const index = wordOf(key);
    if (index >= this.spec.maxEntries) return -errno.E2BIG;
    if (this.programs[index] === undefined) return -errno.ENOENT;
    this.programs[index] = undefined;
    this.words.set(index, 0);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (let i = 0; i < this.spec.maxEntries; i++) yield wordBytes(i);
  }

  protected override release(): void {
    this.words.release();
  }
}
