import { ObjectError } from "../errors.ts";
import { EquivalenceCheck } from "./equivalence.ts";
import { Representatives } from "./representatives.ts";
import type { BtfOf, BtfType, BtfTypes } from "./types.ts";
import { forEachTypeId, mapTypeIds } from "./walk.ts";

export interface DedupResult {
  readonly btf: BtfTypes;
  /** `ids[old]` is the new id; `ids[0]` is 0. */
  readonly ids: Uint32Array;
}

export interface DedupOptions {
  /** Types that are to become others, whatever they look like: declarations that have a definition. Old ids. */
  readonly replace?: ReadonlyMap<number, number>;
}

/**
 * Makes types that are the same one type, after libbpf's btf__dedup: integers and enums by what they say; structs and unions by whether the
 * whole graph behind them is the same, where a forward declaration is the same as its definition; then, with those settled, pointers and all
 * else that only refers. Variables and sections stay apart. The order is that of first appearance.
 */
export function dedupBtf(btf: BtfTypes, options: DedupOptions = {}): DedupResult {
  if (btf.firstId !== undefined && btf.firstId !== 1)
    throw new ObjectError("btf", "split types cannot be deduplicated by themselves");
  return new Dedup(btf, options.replace ?? new Map()).run();
}

class Dedup {
  private readonly count: number;
  private readonly map: Representatives;
  /** Types with their references brought up to date. */
  private readonly current: (BtfType | null)[];

  constructor(btf: BtfTypes, replace: ReadonlyMap<number, number>) {
    this.count = btf.types.length;
    this.map = new Representatives(btf.types);
    this.current = [null, ...btf.types];
    for (const [from, to] of replace) this.map.set(from, to);
  }

  run(): DedupResult {
    this.plainTypes();
    this.composites();
    this.forwards();
    this.references();
    return this.compact();
  }

  private forEach(visit: (id: number, type: BtfType) => void): void {
    for (let id = 1; id <= this.count; id++) {
      const type = this.map.get(id);
      if (type !== null && !this.map.isSettled(id)) visit(id, type);
    }
  }

  /** Types that refer to no other. */
  private plainTypes(): void {
    const table = new Table();
    this.forEach((id, type) => {
      switch (type.kind) {
        case "int":
        case "float":
        case "fwd":
          this.map.set(id, table.findOrAdd(this.map.shape(id), id));
          return;
        case "enum":
        case "enum64":
          this.enumType(id, type, table);
          return;
        case "var":
        case "datasec":
          this.map.set(id, id);
          return;
        default:
      }
    });
  }

  /** An enum without values is a forward declaration of the one of its name. */
  private enumType(id: number, type: BtfOf<"enum"> | BtfOf<"enum64">, table: Table): void {
    const nameKey = `enum ${type.name}`;
    for (const candidate of table.all(nameKey)) {
      const other = this.map.get(candidate);
      if (other?.kind !== "enum" && other?.kind !== "enum64") continue;
      if (this.map.shape(candidate) === this.map.shape(id)) {
        this.map.set(id, candidate);
        return;
      }
      if (type.name === "" || (type.values.length > 0 && other.values.length > 0)) continue;
      if (type.values.length === 0) {
        this.map.set(id, candidate);
        return;
      }
      this.map.set(candidate, id);
    }
    this.map.set(id, id);
    table.add(nameKey, id);
  }

  private composites(): void {
    const table = new Table();
    const check = new EquivalenceCheck(this.map);
    this.forEach((id, type) => {
      if (type.kind !== "struct" && type.kind !== "union") return;
      const key = this.map.shape(id);
      const same = table.all(key).find((candidate) => check.areEquivalent(id, candidate));
      if (same === undefined) table.add(key, id);
      else check.adopt();
      this.map.set(id, same ?? id);
    });
  }

  /** A forward declaration that no graph resolved stands for the only struct or union of its name. */
  private forwards(): void {
    const byName = new Map<string, number | null>();
    for (let id = 1; id <= this.count; id++) {
      const type = this.map.get(id);
      if ((type?.kind !== "struct" && type?.kind !== "union") || type.name === "" || this.map.resolve(id) !== id)
        continue;
      const key = `${type.kind} ${type.name}`;
      byName.set(key, byName.has(key) ? null : id);
    }
    for (let id = 1; id <= this.count; id++) {
      const type = this.map.get(id);
      if (type?.kind !== "fwd" || this.map.resolve(id) !== id) continue;
      const definition = byName.get(`${type.isUnion ? "union" : "struct"} ${type.name}`) ?? null;
      if (definition !== null) this.map.set(id, definition);
    }
  }

  private references(): void {
    const table = new Table();
    const active = new Set<number>();
    for (let id = 1; id <= this.count; id++) this.reference(id, table, active);
  }

  /** Settles what a type refers to, then the type; gives what it is now. */
  private reference(id: number, table: Table, active: Set<number>): number {
    if (this.map.isSettled(id)) return this.map.resolve(id);
    const type = this.map.get(id);
    if (type === null) return 0;
    if (active.has(id)) throw new ObjectError("btf", `type ${id} (${type.kind}) refers to itself`);
    active.add(id);
    const current = mapTypeIds(type, (to) => this.reference(to, table, active));
    active.delete(id);
    this.current[id] = current;
    this.map.set(id, table.findOrAdd(`${this.map.shape(id)} ${referencesOf(current)}`, id));
    return this.map.resolve(id);
  }

  private compact(): DedupResult {
    const ids = new Uint32Array(this.count + 1);
    let end = 1;
    for (let id = 1; id <= this.count; id++) if (this.map.resolve(id) === id) ids[id] = end++;
    for (let id = 1; id <= this.count; id++) ids[id] = ids[this.map.resolve(id)] ?? 0;
    const types: BtfType[] = [];
    for (let id = 1; id <= this.count; id++) {
      const type = this.current[id];
      if (type === null || type === undefined || this.map.resolve(id) !== id) continue;
      types.push(mapTypeIds(type, (to) => ids[to] ?? 0));
    }
    return { btf: { types }, ids };
  }
}

class Table {
  private readonly entries = new Map<number | string, number[]>();

  all(key: number | string): readonly number[] {
    return this.entries.get(key) ?? [];
  }

  add(key: number | string, id: number): void {
    const known = this.entries.get(key);
    if (known === undefined) this.entries.set(key, [id]);
    else known.push(id);
  }

  findOrAdd(key: number | string, id: number): number {
    const known = this.entries.get(key)?.[0];
    if (known !== undefined) return known;
    this.entries.set(key, [id]);
    return id;
  }
}

/** The ids that a type refers to, in order. */
function referencesOf(type: BtfType): string {
  const ids: number[] = [];
  forEachTypeId(type, (id) => ids.push(id));
  return ids.join(" ");
}
