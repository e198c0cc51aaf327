/**
 * @module
 * What is written and what removed between two states of the load balancer's rows.
 */
import { formatPrefix, sameAddress } from "@skep/net";
import { addressKey, hostKey } from "./key.ts";
import type {
  AffinityMatchRow,
  LoadBalancerBackendRow,
  LoadBalancerChange,
  LoadBalancerRows,
  MaglevRow,
  ReverseNatRow,
  ServiceSlotRow,
  SkipRow,
  SourceRangeRow,
} from "./rows.ts";

export interface RowTypes {
  readonly services: ServiceSlotRow;
  readonly backends: LoadBalancerBackendRow;
  readonly reverse: ReverseNatRow;
  readonly affinity: AffinityMatchRow;
  readonly sourceRanges: SourceRangeRow;
  readonly maglev: MaglevRow;
  readonly skips: SkipRow;
}
export type TableName = keyof RowTypes;
export const TABLE_NAMES: readonly TableName[] = [
  ...(["services", "backends", "reverse", "affinity", "sourceRanges", "maglev", "skips"] as const),
];

type RowTables = { readonly [name in TableName]: TableRules<RowTypes[name]> };
interface TableRules<R> {
  readonly key: (row: R) => string;
  readonly same: (a: R, b: R) => boolean;
}

const sameService = (a: ServiceSlotRow, b: ServiceSlotRow): boolean =>
  a.backend === b.backend &&
  a.count === b.count &&
  a.quarantined === b.quarantined &&
  a.algorithm === b.algorithm &&
  a.affinityTimeout === b.affinityTimeout &&
  a.id === b.id &&
  a.flags === b.flags &&
  a.first.length === b.first.length &&
  a.first.every((backend, at) => backend === b.first[at]);

const sameBackend = (a: LoadBalancerBackendRow, b: LoadBalancerBackendRow): boolean =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  a.state === b.state &&
  a.zone === b.zone &&
  sameAddress(a.address, b.address);

const sameTable = ({ table: a }: MaglevRow, { table: b }: MaglevRow): boolean =>
  a.length === b.length && a.every((id, slot) => id === b[slot]);

const always = (): boolean => true;

/** Keys are those of the kernel's maps. */
export const ROW_TABLES: RowTables = {
  services: { key: (row) => `${addressKey(row, row.scope)}${row.slot}`, same: sameService },
  backends: { key: (row) => `${row.id}`, same: sameBackend },
  reverse: { key: (row) => `${row.id}`, same: (a, b) => a.port === b.port && sameAddress(a.address, b.address) },
  affinity: { key: (row) => `${row.id}/${row.backend}`, same: always },
  sourceRanges: { key: (row) => `${row.id}/${formatPrefix(row.prefix)}`, same: always },
  maglev: { key: (row) => `${row.id}`, same: sameTable },
  skips: { key: (row) => `${hostKey(row.source)}${hostKey(row.address)}${row.port}`, same: always },
};

interface Entry<R> {
  before: R | null;
  after: R | null;
}
type Entries = { readonly [name in TableName]: Map<string, Entry<RowTypes[name]>> };

/** Collects changes; several of one row are one. */
export class ChangeBuilder {
  readonly #entries: Entries = {
    ...{ services: new Map(), backends: new Map(), reverse: new Map(), affinity: new Map() },
    ...{ sourceRanges: new Map(), maglev: new Map(), skips: new Map() },
  };

  /** The row was `before` and is `after`; null: none. Both have the same key. */
  put<N extends TableName>(name: N, before: RowTypes[N] | null, after: RowTypes[N] | null): void {
    const row = after ?? before;
    if (!row) return;
    const entries: Map<string, Entry<RowTypes[N]>> = this.#entries[name];
    const key = ROW_TABLES[name].key(row);
    const known = entries.get(key);
    if (known) known.after = after;
    else entries.set(key, { before, after });
  }

  build(): LoadBalancerChange {
    return { written: rowsOf((name) => this.#written(name)), removed: rowsOf((name) => this.#removed(name)) };
  }

  #written<N extends TableName>(name: N): RowTypes[N][] {
    const { same } = ROW_TABLES[name];
    const found: RowTypes[N][] = [];
    const entries: Map<string, Entry<RowTypes[N]>> = this.#entries[name];
    for (const { before, after } of entries.values()) if (after && !(before && same(before, after))) found.push(after);
    return found;
  }

  #removed<N extends TableName>(name: N): RowTypes[N][] {
    const found: RowTypes[N][] = [];
    const entries: Map<string, Entry<RowTypes[N]>> = this.#entries[name];
    for (const { before, after } of entries.values()) if (before && !after) found.push(before);
    return found;
  }
}

export function rowsOf(table: <N extends TableName>(name: N) => readonly RowTypes[N][]): LoadBalancerRows {
  return {
    services: table("services"),
    backends: table("backends"),
    reverse: table("reverse"),
    affinity: table("affinity"),
    sourceRanges: table("sourceRanges"),
    maglev: table("maglev"),
    skips: table("skips"),
  };
}

export const NO_ROWS: LoadBalancerRows = rowsOf(() => []);

/** From what the maps hold to what they are to hold: what a restart does. */
export function changeBetween(before: LoadBalancerRows, after: LoadBalancerRows): LoadBalancerChange {
  const builder = new ChangeBuilder();
  for (const name of TABLE_NAMES) compareTable(builder, name, { before: before[name], after: after[name] });
  return builder.build();
}

function compareTable<N extends TableName>(
  builder: ChangeBuilder,
  name: N,
  rows: { readonly before: readonly RowTypes[N][]; readonly after: readonly RowTypes[N][] },
): void {
  const { key } = ROW_TABLES[name];
  const before = new Map(rows.before.map((row) => [key(row), row]));
  for (const row of rows.after) {
    const at = key(row);
    builder.put(name, before.get(at) ?? null, row);
    before.delete(at);
  }
  for (const row of before.values()) builder.put(name, row, null);
}

export function isEmptyChange({ written, removed }: LoadBalancerChange): boolean {
  return TABLE_NAMES.every((name) => written[name].length === 0 && removed[name].length === 0);
}
