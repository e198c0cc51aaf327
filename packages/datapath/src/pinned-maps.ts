/**
 * @module
 * Maps that outlive the agent: adopted as they are, or carried over into the layout of this version.
 */
import {
  type BpfMachine,
  ConversionError,
  convertRows,
  LayoutTextError,
  type RawMap,
  type RowConversion,
} from "@skep/machine";
import type { MapSpec, ObjectSpec } from "@skep/object";
import {
  CONFIG_PIN,
  LAYOUTS,
  LayoutError,
  layoutOf,
  makeLayouts,
  mapPin,
  openLayouts,
  recordedLayout,
  recordLayout,
  writeLayout,
} from "./layouts.ts";
import type { Undo } from "./undo.ts";

/** What programs write for themselves, and what they find out again: empty at first where the layout has changed. */
const FOUND_AGAIN: ReadonlySet<string> = new Set([
  ...["skep_ct_fresh", "skep_packet", "skep_nat_key", "skep_flow_next"],
  ...["skep_flow4", "skep_flow6", "skep_xdp_pass", "skep_nat46x64", "skep_46x64_sum"],
]);
/** Nothing to carry over: programs are put in anew, and records are read and gone. */
const WITHOUT_ROWS: ReadonlySet<string> = new Set(["ringbuf"]);
/** Those that may get another size: their rows go into one of the new size, as into one of another layout. */
const RESIZED: ReadonlySet<string> = new Set(["hash", "lru_hash", "lpm_trie"]);
/** Of the datapath's other object, which looks after them itself. */
const SPLICE = "skep_splice";

interface Moved {
  readonly name: string;
  readonly map: RawMap;
  readonly layout: string;
  /** Null: starts empty. */
  readonly rows: RowConversion | null;
}

type MapOf = (name: string) => RawMap;

export interface PinnedPlace {
  readonly pins: string;
  readonly spec: ObjectSpec;
  /** Sizes that are not the spec's. */
  readonly maxEntries?: Readonly<Record<string, number>>;
}

/** More rows are in force than the map is to hold now: none of them is left behind. */
export class TableSizeError extends Error {
  override readonly name = "TableSizeError";
  readonly map: string;
  constructor(map: string, { rows, entries }: { readonly rows: number; readonly entries: number }) {
    super(
      `the map ${map} holds ${rows} rows, which do not fit into the ${entries} that it is to have: ask for at least as many, or take the old datapath down first (skep down)`,
    );
    this.map = map;
  }
}

export class PinnedMaps {
  readonly #bpf: BpfMachine;
  readonly #place: PinnedPlace;
  /** To be used as they are. */
  readonly kept: Record<string, RawMap> = {};
  readonly #moved: Moved[] = [];

  /** Throws LayoutError where the rows of another version have no meaning in this one's. */
  constructor(bpf: BpfMachine, place: PinnedPlace) {
    this.#bpf = bpf;
    this.#place = place;
    const layouts = openLayouts(bpf, place.pins);
    if (!layouts) return;
    try {
      for (const spec of this.#shared()) this.#open(layouts, spec);
    } catch (error) {
      for (const map of Object.values(this.kept)) map.close();
      this.close();
      throw error;
    } finally {
      layouts.close();
    }
  }

  /** Some were there: the datapath has been up before. */
  get found(): boolean {
    return this.#moved.length > 0 || Object.keys(this.kept).length > 0;
  }

  /** All but the data sections, which belong to the programs. */
  #shared(): MapSpec[] {
    return Object.values(this.#place.spec.maps).filter((map) => map.data === undefined);
  }

  #entriesOf(name: string): number {
    return this.#place.maxEntries?.[name] ?? this.#place.spec.maps[name]?.maxEntries ?? 0;
  }

  #open(layouts: RawMap, { name, type }: MapSpec): void {
    const map = this.#bpf.openMap(mapPin(this.#place.pins, name));
    if (!map) return;
    const layout = recordedLayout(layouts, name) ?? "";
    const isSame = layout === layoutOf(this.#place.spec, name);
    // The old programs go on in the old ones until none of them is in force.
    const isSized = !RESIZED.has(type) || map.info.maxEntries === this.#entriesOf(name);
    if (isSame && isSized && type !== "prog_array") {
      this.kept[name] = map;
      return;
    }
    const isEmpty = FOUND_AGAIN.has(name) || type === "prog_array" || WITHOUT_ROWS.has(type);
    try {
      this.#moved.push({ name, map, layout, rows: isEmpty ? null : this.#conversion(name, layout) });
    } catch (error) {
      map.close();
      throw error;
    }
  }

  #conversion(name: string, layout: string): RowConversion {
    try {
      return convertRows(layout, layoutOf(this.#place.spec, name));
    } catch (error) {
      if (error instanceof ConversionError || error instanceof LayoutTextError)
        throw new LayoutError(name, error.message);
      throw error;
    }
  }

  /** Rows of the old maps, into this version's, before its programs are in force. Throws TableSizeError. */
  carry(mapOf: MapOf): void {
    for (const { name, map, rows } of this.#moved) {
      if (rows) this.#checkRoom(name, map);
      if (rows?.inner) this.#carryInner({ from: map, to: mapOf(name), name }, rows.inner);
      else if (rows) mapOf(name).setAll(converted(map, rows));
    }
  }

  /** In an LRU what was not used for the longest time makes room. */
  #checkRoom(name: string, map: RawMap): void {
    const entries = this.#entriesOf(name);
    if (!RESIZED.has(map.info.type) || map.info.type === "lru_hash" || map.info.maxEntries <= entries) return;
    let rows = 0;
    for (const _ of map.entries()) rows += 1;
    if (rows > entries) throw new TableSizeError(name, { rows, entries });
  }

  #carryInner({ from, to, name }: { from: RawMap; to: RawMap; name: string }, rows: RowConversion): void {
    const spec = this.#place.spec.maps[name]?.inner;
    if (!spec) throw new Error(`the datapath's object has no inner map of ${name}`);
    for (const [key] of from.entries()) {
      const old = from.getMap(key);
      if (!old) continue;
      const made = this.#bpf.createMap(spec);
      try {
        made.setAll(converted(old, rows));
        to.setMap(key, made);
      } finally {
        old.close();
        made.close();
      }
    }
  }

  /** Now that programs of this version are in force: what the old ones wrote meanwhile, then the pins. Each step can be undone. */
  settle(mapOf: MapOf, undo: Undo): void {
    for (const { name, map, rows } of this.#moved)
      if (rows && !rows.inner && map.info.type.endsWith("hash")) addAbsent(converted(map, rows), mapOf(name));
    const layouts = makeLayouts(this.#bpf, this.#place.pins);
    undo.onEnd(() => layouts.close());
    for (const { name } of this.#shared()) {
      if (this.kept[name]) continue;
      const pin = mapPin(this.#place.pins, name);
      const old = this.#moved.find((moved) => moved.name === name);
      // In this order: an agent that ends in between finds no map under another's layout.
      if (old) this.#bpf.unpin(pin);
      if (old) undo.push(() => old.map.pin(pin));
      recordLayout(layouts, this.#place.spec, name);
      if (old) undo.push(() => writeLayout(layouts, name, old.layout));
      mapOf(name).pin(pin);
      undo.push(() => this.#bpf.unpin(pin));
    }
  }

  /** Pins of maps that this version no longer has. */
  prune(): void {
    const known = new Set([...this.#shared().map(({ name }) => name), LAYOUTS, CONFIG_PIN]);
    for (const name of this.#bpf.pins(`${this.#place.pins}/maps`))
      if (!known.has(name) && !name.startsWith(SPLICE)) this.#bpf.unpin(mapPin(this.#place.pins, name));
  }

  /** The old maps; those that were kept are their user's. */
  close(): void {
    for (const { map } of this.#moved) map.close();
  }
}

function* converted(from: RawMap, rows: RowConversion): Generator<[Uint8Array, Uint8Array]> {
  for (const [key, value] of from.entries()) yield [rows.key(key), rows.value(value)];
}

function addAbsent(rows: Iterable<readonly [Uint8Array, Uint8Array]>, to: RawMap): void {
  for (const [key, value] of rows) if (to.get(key) === null) to.set(key, value);
}
