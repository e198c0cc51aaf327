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

interface Entry {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  /** Pairs of a state with zone and how many users see it so: services may see one backend differently, then the better state counts. */
  users: readonly number[];
  row: LoadBalancerBackendRow | null;
}

const NOBODY: readonly number[] = [];

function counted(users: readonly number[], what: number, by: 1 | -1): readonly number[] {
  const at = users.findIndex((each, index) => index % 2 === 0 && each === what);
  const count = (at < 0 ? 0 : (users[at + 1] ?? 0)) + by;
  const others = at < 0 ? users : users.filter((_, index) => index !== at && index !== at + 1);
  if (count <= 0) return others.length === 0 ? NOBODY : others;
  return others.length === 0 ? [what, count] : [...others, what, count];
}

export class BackendRegistry {
  readonly numbers = new Numbers(0xffff_ffff);
  readonly #zones: Readonly<Record<string, number>>;
  readonly #entries = new Map<string, Entry>();
  readonly #touched = new Set<string>();

  constructor(zones: Readonly<Record<string, number>>) {
    this.#zones = zones;
  }

  /** The backend's number. It has a row from the next `settle` on, if it is used. */
  acquire({ key, address, port, protocol }: Instance): number {
    const known = this.#entries.get(key);
    if (known) return known.id;
    const id = this.numbers.acquire(key);
    if (id === null) throw new RangeError("all 4294967295 numbers of backends are in use");
    this.#entries.set(key, { id, address, port, protocol, users: NOBODY, row: null });
    this.#touched.add(key);
    return id;
  }

  /** A frontend uses these, as it knows them. */
  add(uses: readonly Instance[]): void {
    this.#count(uses, 1);
  }

  drop(uses: readonly Instance[]): void {
    this.#count(uses, -1);
  }

  #count(uses: readonly Instance[], by: 1 | -1): void {
    for (const { key, state, zone } of uses) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      entry.users = counted(entry.users, STATES[state] * 256 + (this.#zones[zone] ?? 0), by);
      this.#touched.add(key);
    }
  }

  /** Rows of what was touched; what nobody uses any more loses its number. */
  settle(change: ChangeBuilder): void {
    for (const key of this.#touched) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      const { id, address, port, protocol, users } = entry;
      if (users.length === 0) {
        change.put("backends", entry.row, null);
        this.#entries.delete(key);
        this.numbers.release(key);
        continue;
      }
      const best = Math.min(...users.filter((_, at) => at % 2 === 0));
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
