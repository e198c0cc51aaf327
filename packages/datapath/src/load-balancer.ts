/**
 * @module
 * The load balancer's rows in their maps: written so that no slot ever names a backend that is not there, and a count never slots that are not.
 */
import {
  BACKEND_STATE,
  type BackendRow,
  FIRST_SLOTS,
  type ServiceRow,
  type LoadBalancerBackendRow,
  type LoadBalancerChange,
  type LoadBalancerRows,
  type MaglevRow,
  type ReverseNatRow,
  type ServiceSlotRow,
  type SkipRow,
} from "@skep/control";
import type { BpfMachine, RawMap } from "@skep/machine";
import type { MapSpec, ObjectSpec } from "@skep/object";
import * as maps from "./bpf/maps.bpf.ts";
import { encodeAddress, encodeU32, keyText } from "./encode.ts";

type Entry = readonly [key: Uint8Array, value: Uint8Array];
type Entries = ReadonlyMap<string, Entry>;

export const NO_ROWS: LoadBalancerRows = {
  ...{ services: [], backends: [], reverse: [], affinity: [], sourceRanges: [], maglev: [], skips: [] },
};

const PRESENT = Uint8Array.of(1);

// ---- rows as entries ----

function encodeService(row: ServiceSlotRow): Entry {
  const key = maps.ServiceKey.encode({
    ...{ address: encodeAddress(row.address), port: row.port, protocol: row.protocol },
    ...{ scope: row.scope, slot: row.slot, pad: 0 },
  });
  const value = maps.Service.encode({
    ...{ backend: row.backend, id: row.id, flags: row.flags, count: row.count, quarantined: row.quarantined },
    ...{ affinity: row.affinityTimeout, algorithm: row.algorithm, pad0: 0, pad1: 0 },
    first: Array.from({ length: maps.FIRST_SLOTS }, (_, at) => row.first[at] ?? 0),
  });
  return [key, value];
}

function encodeBackend(row: LoadBalancerBackendRow): Entry {
  const value = maps.Backend.encode({
    ...{ address: encodeAddress(row.address), port: row.port, protocol: row.protocol, state: row.state },
    ...{ generation: 0, present: 1, zone: row.zone, pad: 0 },
  });
  return [encodeU32(row.id), value];
}

function encodeFrontend(row: ReverseNatRow): Entry {
  return [encodeU32(row.id), maps.Frontend.encode({ address: encodeAddress(row.address), port: row.port, pad: 0 })];
}

function encodeSourceRange({ id, prefix }: LoadBalancerRows["sourceRanges"][number]): Entry {
  const bits = prefix.address.family === 4 ? prefix.length + 96 : prefix.length;
  const key = { prefixLength: 32 + bits, service: id, address: encodeAddress(prefix.address) };
  return [maps.SourceRangeKey.encode(key), PRESENT];
}

const skipKey = (row: SkipRow, source = encodeAddress(row.source)): Uint8Array =>
  maps.SkipKey.encode({ source, address: encodeAddress(row.address), port: row.port, pad: 0 });
const NOBODY = { w0: 0, w1: 0, w2: 0, w3: 0 };
/** Bytes of the key's first field. */
const SOURCE = 16;

/** Each workload, and once for all of a frontend that there are some. */
function encodeSkips(rows: readonly SkipRow[]): Entries {
  const keys = rows.flatMap((row) => [skipKey(row), skipKey(row, NOBODY)]);
  return new Map(keys.map((key) => [keyText(key), [key, PRESENT]]));
}

function entriesOf<T>(rows: readonly T[], encode: (row: T) => Entry): Entries {
  return new Map(rows.map((row) => encode(row)).map((entry) => [keyText(entry[0]), entry]));
}

interface Tables {
  readonly services: Entries;
  readonly backends: Entries;
  readonly frontends: Entries;
  readonly affinity: Entries;
  readonly sourceRanges: Entries;
  readonly maglev: Entries;
  readonly skips: Entries;
}
const PARTS = ["services", "backends", "frontends", "affinity", "sourceRanges", "maglev", "skips"] as const;

function encodeMaglev({ id, table }: MaglevRow): Entry {
  const value = new Uint8Array(table.length * 4);
  const view = new DataView(value.buffer);
  table.forEach((backend, at) => view.setUint32(at * 4, backend, true));
  return [encodeU32(id), value];
}

function encodeTables(rows: LoadBalancerRows): Tables {
  return {
    services: entriesOf(rows.services, encodeService),
    backends: entriesOf(rows.backends, encodeBackend),
    frontends: entriesOf(rows.reverse, encodeFrontend),
    affinity: entriesOf(rows.affinity, ({ id, backend }) => [
      maps.AffinityMatch.encode({ service: id, backend }),
      PRESENT,
    ]),
    sourceRanges: entriesOf(rows.sourceRanges, encodeSourceRange),
    maglev: entriesOf(rows.maglev, encodeMaglev),
    skips: encodeSkips(rows.skips),
  };
}

// ---- the maps ----

const NO_BACKEND = {
  ...{ address: { w0: 0, w1: 0, w2: 0, w3: 0 }, port: 0, protocol: 0, state: 0 },
  ...{ generation: 0, present: 0, zone: 0, pad: 0 },
};
const GENERATION_AT = maps.Backend.encode({ ...NO_BACKEND, generation: 1 }).indexOf(1);
const PRESENT_AT = maps.Backend.encode({ ...NO_BACKEND, present: 1 }).indexOf(1);
/** Address, port and protocol: what a backend is. */
const BACKEND_IS = 19;

const slotOf = ([key]: Entry): number => maps.ServiceKey.decode(key).slot;
const isEmpty = (value: Uint8Array): boolean => value.every((byte) => byte === 0);
const same = (a: Uint8Array, b: Uint8Array): boolean => keyText(a) === keyText(b);

export interface LoadBalancerMapsOptions {
  readonly bpf: BpfMachine;
  readonly map: (name: string) => RawMap;
  /** Of one Maglev table. */
  readonly table: MapSpec;
}

export class LoadBalancerMaps {
  readonly #bpf: BpfMachine;
  readonly #map: (name: string) => RawMap;
  readonly #table: MapSpec;

  constructor({ bpf, map, table }: LoadBalancerMapsOptions) {
    this.#bpf = bpf;
    this.#map = map;
    this.#table = table;
  }

  /** One step, in an order that is safe at every instant. Idempotent; throws the kernel's errors. */
  apply({ written, removed }: LoadBalancerChange): { changed: number; deleted: number } {
    return this.#apply(encodeTables(written), encodeTables(removed));
  }

  /** Brings the maps to exactly these rows, whatever they hold. */
  replace(rows: LoadBalancerRows): { changed: number; deleted: number } {
    const held = this.#read();
    const wanted = encodeTables(rows);
    const part = (keep: (name: (typeof PARTS)[number]) => Entries): Tables => ({
      ...{ services: keep("services"), backends: keep("backends"), frontends: keep("frontends") },
      ...{
        affinity: keep("affinity"),
        sourceRanges: keep("sourceRanges"),
        maglev: keep("maglev"),
        skips: keep("skips"),
      },
    });
    return this.#apply(
      part((name) => differing(wanted[name], held[name])),
      part((name) => missing(held[name], wanted[name])),
    );
  }

  #apply(written: Tables, removed: Tables): { changed: number; deleted: number } {
    this.#writeBackends(written.backends);
    this.#map("skep_frontends").setAll(written.frontends.values());
    this.#map("skep_aff_match").setAll(written.affinity.values());
    this.#map("skep_src_range").setAll(written.sourceRanges.values());
    this.#map("skep_lb_skip").setAll(written.skips.values());
    this.#writeMaglev(written.maglev);
    // Slot 0 carries the count: it comes after the slots that it counts, and goes before them.
    const services = [...written.services.values()].sort((a, b) => slotOf(b) - slotOf(a));
    this.#map("skep_services").setAll(services);
    const gone = [...removed.services.values()].sort((a, b) => slotOf(a) - slotOf(b));
    this.#map("skep_services").deleteAll(gone.map(([key]) => key));
    this.#map("skep_maglev").deleteAll(keysOf(removed.maglev));
    this.#removeSkips(removed.skips);
    this.#map("skep_src_range").deleteAll(keysOf(removed.sourceRanges));
    this.#map("skep_aff_match").deleteAll(keysOf(removed.affinity));
    this.#clear(this.#map("skep_frontends"), removed.frontends);
    this.#removeBackends(removed.backends);
    this.#nextGeneration();
    const count = (tables: Tables): number => PARTS.reduce((sum, name) => sum + tables[name].size, 0);
    return { changed: count(written), deleted: count(removed) };
  }

  /** A number that comes to name another backend gets another generation. */
  #writeBackends(entries: Entries): void {
    const map = this.#map("skep_backends");
    const all = [...entries.values()].map(([key, value]): Entry => {
      const before = map.get(key);
      if (!before) return [key, value];
      const old = new DataView(before.buffer, before.byteOffset).getUint32(GENERATION_AT, true);
      const stays = same(before.subarray(0, BACKEND_IS), value.subarray(0, BACKEND_IS));
      const now = value.slice();
      new DataView(now.buffer).setUint32(GENERATION_AT, stays ? Math.max(old, 1) : old + 1, true);
      return [key, now];
    });
    map.setAll(all);
  }

  /** The generation stays. */
  #removeBackends(entries: Entries): void {
    const map = this.#map("skep_backends");
    const all = [...entries.values()].flatMap(([key]): Entry[] => {
      const before = map.get(key);
      return before ? [[key, maps.Backend.encode({ ...maps.Backend.decode(before), present: 0 })]] : [];
    });
    map.setAll(all);
  }

  /** That there are some goes with the last of them. */
  #removeSkips(entries: Entries): void {
    if (entries.size === 0) return;
    const map = this.#map("skep_lb_skip");
    const hasSource = (key: Uint8Array): boolean => !isEmpty(key.subarray(0, SOURCE));
    map.deleteAll([...keysOf(entries)].filter(hasSource));
    const left = new Set(
      [...map.entries()].flatMap(([key]) => (hasSource(key) ? [keyText(key.subarray(SOURCE))] : [])),
    );
    map.deleteAll([...keysOf(entries)].filter((key) => !hasSource(key) && !left.has(keyText(key.subarray(SOURCE)))));
  }

  #clear(map: RawMap, entries: Entries): void {
    map.setAll([...entries.values()].map(([key, value]): Entry => [key, new Uint8Array(value.length)]));
  }

  #writeMaglev(entries: Entries): void {
    const rows: [key: Uint8Array, inner: RawMap][] = [];
    try {
      for (const [key, value] of entries.values()) {
        if (value.length !== this.#table.valueSize)
          throw new RangeError(`a Maglev table of ${value.length / 4} slots; ${this.#table.valueSize / 4} are set`);
        const inner = this.#bpf.createMap(this.#table);
        rows.push([key, inner]);
        inner.set(encodeU32(0), value);
      }
      if (rows.length > 0) this.#map("skep_maglev").setMaps(rows);
    } finally {
      for (const [, inner] of rows) inner.close();
    }
  }

  /** Connections that were found to be no service's, or to be one's, are looked at anew. */
  #nextGeneration(): void {
    this.#raise("generation");
  }

  /** Another way to a backend or a client, or another backend is local: flows that go on at XDP are looked at anew. */
  nextWays(): void {
    this.#raise("ways");
  }

  #raise(name: "generation" | "ways"): void {
    const map = this.#map("skep_lb_state");
    const before = map.get(encodeU32(0));
    const state = before ? maps.LoadBalancerState.decode(before) : { generation: 0, ways: 0 };
    map.set(encodeU32(0), maps.LoadBalancerState.encode({ ...state, [name]: (state[name] + 1) >>> 0 || 1 }));
  }

  #read(): Tables {
    const read = (name: string, keep: (value: Uint8Array) => boolean = () => true): Entries => {
      const found = new Map<string, Entry>();
      for (const entry of this.#map(name).entries()) if (keep(entry[1])) found.set(keyText(entry[0]), entry);
      return found;
    };
    const backends = [...read("skep_backends", (value) => value[PRESENT_AT] !== 0)];
    return {
      services: read("skep_services"),
      backends: new Map(
        backends.map(([text, [key, value]]) => [
          text,
          [key, maps.Backend.encode({ ...maps.Backend.decode(value), generation: 0 })],
        ]),
      ),
      frontends: read("skep_frontends", (value) => !isEmpty(value)),
      affinity: read("skep_aff_match"),
      sourceRanges: read("skep_src_range"),
      // What an inner map holds is not compared: it is written anew.
      maglev: read("skep_maglev"),
      skips: read("skep_lb_skip"),
    };
  }
}

function differing(wanted: Entries, held: Entries): Entries {
  return new Map(
    [...wanted].filter(([text, [, value]]) => {
      const before = held.get(text);
      return !before || !same(before[1], value);
    }),
  );
}

function missing(held: Entries, wanted: Entries): Entries {
  return new Map([...held].filter(([text]) => !wanted.has(text)));
}

function* keysOf(entries: Entries): IterableIterator<Uint8Array> {
  for (const [key] of entries.values()) yield key;
}

/** Services that are served at their cluster address alone: only active backends take new connections. */
export function clusterRows(rows: readonly ServiceRow[]): LoadBalancerRows {
  const backends = new Map<number, LoadBalancerBackendRow>();
  const services = rows.flatMap((row) => {
    for (const { state, ...each } of row.backends)
      backends.set(each.id, { ...each, state: BACKEND_STATE[stateName(state)], zone: 0 });
    const active = row.backends.filter(({ state }) => state === "active");
    const first = active.slice(0, FIRST_SLOTS).map(({ id }) => id);
    const slot = (number: number, backend: number): ServiceSlotRow => ({
      ...{ address: row.address, port: row.port, protocol: row.protocol, scope: 0, slot: number, backend },
      ...{ count: number === 0 ? active.length : 0, quarantined: 0, algorithm: 0, affinityTimeout: 0 },
      ...{ id: row.id, flags: 0, first: number === 0 ? first : [] },
    });
    return [slot(0, 0), ...active.map(({ id }, at) => slot(at + 1, id))];
  });
  const reverse = rows.map(({ id, address, port }) => ({ id, address, port }));
  return { ...NO_ROWS, services, backends: [...backends.values()], reverse };
}

const stateName = (state: BackendRow["state"]): keyof typeof BACKEND_STATE =>
  state.toUpperCase() as keyof typeof BACKEND_STATE;

/** The object is compiled for the largest tables; their size is chosen here. */
export function withMaglevSize(spec: ObjectSpec, size: number): ObjectSpec {
  const outer = spec.maps["skep_maglev"];
  if (!outer?.inner) throw new Error("the datapath's object has no Maglev tables");
  const inner = { ...outer.inner, valueSize: size * 4 };
  return { ...spec, maps: { ...spec.maps, skep_maglev: { ...outer, inner } } };
}
