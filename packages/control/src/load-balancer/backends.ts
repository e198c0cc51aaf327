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
  /** State and zone as one number, and how many users see it so. */
  seen: number;
  users: number;
  /** How many see it otherwise: services may see one backend differently, then the better state counts. */
  others: Map<number, number> | null;
  /** State and zone of the row. */
  written: number;
}

/** There is no row. */
const NOWHERE = -1;

function count(entry: Entry, seen: number, by: 1 | -1): void {
  if (entry.users === 0 && by === 1 && !entry.others) entry.seen = seen;
  if (entry.seen === seen) {
    entry.users += by;
    return;
  }
  const others = (entry.others ??= new Map<number, number>());
  const users = (others.get(seen) ?? 0) + by;
  if (users > 0) others.set(seen, users);
  else others.delete(seen);
  if (others.size === 0) entry.others = null;
}

/** As the best of its users sees it. */
function bestOf({ seen, users, others }: Entry): number {
  const all = [...(users > 0 ? [seen] : []), ...(others?.keys() ?? [])];
  return all.length === 0 ? NOWHERE : Math.min(...all);
}

function rowOf({ id, address, port, protocol }: Entry, seen: number): LoadBalancerBackendRow | null {
  if (seen === NOWHERE) return null;
  return { id, address, port, protocol, state: Math.floor(seen / 256), zone: seen % 256 };
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
    this.#entries.set(key, { id, address, port, protocol, seen: 0, users: 0, others: null, written: NOWHERE });
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
      count(entry, STATES[state] * 256 + (this.#zones[zone] ?? 0), by);
      this.#touched.add(key);
    }
  }

  /** Rows of what was touched; what nobody uses any more loses its number. */
  settle(change: ChangeBuilder): void {
    for (const key of this.#touched) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      const best = bestOf(entry);
      if (best !== NOWHERE && best === entry.written) continue;
      change.put("backends", rowOf(entry, entry.written), rowOf(entry, best));
      entry.written = best;
      if (best !== NOWHERE) continue;
      this.#entries.delete(key);
      this.numbers.release(key);
    }
    this.#touched.clear();
  }

  rows(): LoadBalancerBackendRow[] {
    return [...this.#entries.values()].flatMap((entry) => rowOf(entry, entry.written) ?? []);
  }
}
