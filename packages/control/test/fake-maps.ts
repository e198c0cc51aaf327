/**
 * @module
 * The kernel's maps as plain rows, written to by changes in the order that the contract gives; refuses what the kernel's side must never see.
 */
import {
  FIRST_SLOTS,
  type LoadBalancerChange,
  type LoadBalancerRows,
  ROW_TABLES,
  rowsOf,
  type RowTypes,
  TABLE_NAMES,
  type TableName,
} from "../src/load-balancer/index.ts";

type Tables = { readonly [name in TableName]: Map<string, RowTypes[name]> };

export class FakeMaps {
  readonly #tables: Tables = {
    ...{ services: new Map(), backends: new Map(), reverse: new Map(), affinity: new Map() },
    ...{ sourceRanges: new Map(), maglev: new Map(), skips: new Map() },
  };

  rows(): LoadBalancerRows {
    return rowsOf((name) => this.#values(name));
  }

  #values<N extends TableName>(name: N): RowTypes[N][] {
    const table: Map<string, RowTypes[N]> = this.#tables[name];
    return [...table.values()];
  }

  /** New backends and Maglev tables, then services, then what is removed. After each step the maps must hold together. */
  apply({ written, removed }: LoadBalancerChange): void {
    for (const name of ["backends", "maglev"] as const) this.#write(name, written[name]);
    this.check();
    for (const name of TABLE_NAMES) if (name !== "backends" && name !== "maglev") this.#write(name, written[name]);
    this.check();
    for (const name of TABLE_NAMES) if (name !== "backends") this.#remove(name, removed[name]);
    this.check();
    this.#remove("backends", removed.backends);
    this.check();
  }

  #write<N extends TableName>(name: N, rows: readonly RowTypes[N][]): void {
    const table: Map<string, RowTypes[N]> = this.#tables[name];
    for (const row of rows) table.set(ROW_TABLES[name].key(row), row);
  }

  #remove<N extends TableName>(name: N, rows: readonly RowTypes[N][]): void {
    const table: Map<string, RowTypes[N]> = this.#tables[name];
    for (const row of rows)
      if (!table.delete(ROW_TABLES[name].key(row))) throw new Error(`${name}: what is removed was never there`);
  }

  /** Every slot that a service counts is there, and names a backend that is there, as the service does of the first; so does every Maglev table. */
  check(): void {
    for (const master of this.#tables.services.values()) {
      if (master.slot !== 0) continue;
      for (let slot = 1; slot <= master.count + master.quarantined; slot++) {
        const row = this.#tables.services.get(ROW_TABLES.services.key({ ...master, slot }));
        if (!row) throw new Error(`slot ${slot} of service ${master.id} is missing`);
        if (!this.#tables.backends.has(`${row.backend}`)) throw new Error(`backend ${row.backend} is missing`);
        const first = slot <= Math.min(master.count, FIRST_SLOTS) ? row.backend : undefined;
        if (master.first[slot - 1] !== first)
          throw new Error(`service ${master.id} has another backend in slot ${slot}`);
      }
    }
    for (const { id, table } of this.#tables.maglev.values())
      for (const backend of new Set(table))
        if (!this.#tables.backends.has(`${backend}`)) throw new Error(`table ${id} names ${backend}, which is missing`);
  }

  restore(rows: LoadBalancerRows): void {
    for (const name of TABLE_NAMES) {
      this.#tables[name].clear();
      this.#write(name, rows[name]);
    }
  }
}
