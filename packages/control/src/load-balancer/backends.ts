/**
 * @module
 * Backends as the kernel's map has them: one row for each address that a programmed frontend uses, whatever services it serves.
 */
import type { ChangeBuilder } from "./change.ts";
import type { Address } from "@skep/net";
import type { Instance, InstanceState } from "./model.ts";
import { Numbers } from "./numbers.ts";
import { BACKEND_STATE, type LoadBalancerBackendRow } from "./rows.ts";

const STATES: Readonly<Record<InstanceState, number>> = {
  active: BACKEND_STATE.ACTIVE,
  terminating: BACKEND_STATE.TERMINATING,
  "terminating-not-serving": BACKEND_STATE.TERMINATING,
  quarantined: BACKEND_STATE.QUARANTINED,
  maintenance: BACKEND_STATE.MAINTENANCE,
};

/** A frontend's use of a backend, with what it knows of it. */
export interface BackendUse {
  readonly key: string;
  readonly state: number;
  readonly zone: number;
}

interface Entry {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  /** Users by state and zone: services may see one backend differently, then the better state counts. */
  readonly users: Map<number, number>;
  row: LoadBalancerBackendRow | null;
}

export class BackendRegistry {
  readonly numbers = new Numbers(0xffff_ffff);
  readonly #zones: Readonly<Record<string, number>>;
  readonly #entries = new Map<string, Entry>();
  readonly #touched = new Set<string>();

  constructor(zones: Readonly<Record<string, number>>) {
    this.#zones = zones;
  }

  use({ key, state, zone }: Instance): BackendUse {
    return { key, state: STATES[state], zone: this.#zones[zone] ?? 0 };
  }

  /** The backend's number. It has a row from the next `settle` on, if it is used. */
  acquire({ key, address, port, protocol }: Instance): number {
    const known = this.#entries.get(key);
    if (known) return known.id;
    const id = this.numbers.acquire(key);
    if (id === null) throw new RangeError("all 4294967295 numbers of backends are in use");
    this.#entries.set(key, { id, address, port, protocol, users: new Map(), row: null });
    this.#touched.add(key);
    return id;
  }

  add(uses: readonly BackendUse[]): void {
    this.#count(uses, 1);
  }

  drop(uses: readonly BackendUse[]): void {
    this.#count(uses, -1);
  }

  #count(uses: readonly BackendUse[], by: 1 | -1): void {
    for (const { key, state, zone } of uses) {
      const users = this.#entries.get(key)?.users;
      if (!users) continue;
      const at = state * 256 + zone;
      const count = (users.get(at) ?? 0) + by;
      if (count > 0) users.set(at, count);
      else users.delete(at);
      this.#touched.add(key);
    }
  }

  /** Rows of what was touched; what nobody uses any more loses its number. */
  settle(change: ChangeBuilder): void {
    for (const key of this.#touched) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      const { id, address, port, protocol, users } = entry;
      if (users.size === 0) {
        change.put("backends", entry.row, null);
        this.#entries.delete(key);
        this.numbers.release(key);
        continue;
      }
      const best = Math.min(...users.keys());
      const row = { id, address, port, protocol, state: Math.floor(best / 256), zone: best % 256 };
      if (entry.row && entry.row.state === row.state && entry.row.zone === row.zone) continue;
      change.put("backends", entry.row, row);
      entry.row = row;
    }
    this.#touched.clear();
  }

  rows(): LoadBalancerBackendRow[] {
    return [...this.#entries.values()].flatMap(({ row }) => row ?? []);
  }
}
