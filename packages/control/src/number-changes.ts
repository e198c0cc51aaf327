/**
 * @module
 * Changes of what must be on disk before a map uses it, so that they can be written without writing all of it.
 */
import type { WorldSnapshot } from "./world.ts";

/** Tables of a snapshot as keys and values. `next`: where searches go on. */
export type NumberTable =
  "identity" | "prefix" | "address" | "nodePort" | "loadBalancer" | "frontend" | "backend" | "backendState" | "next";

/** Null: the key is gone. Plain JSON. */
export type NumberChange = readonly [table: NumberTable, key: string, value: NumberValue | null];
export type NumberValue = string | number | readonly string[];

/** What has changed since it was taken last. */
export class ChangeLog {
  readonly #changed = new Map<string, NumberValue | null>();

  note(key: string, value: NumberValue | null): void {
    this.#changed.set(key, value);
  }

  take(table: NumberTable): NumberChange[] {
    const changes = [...this.#changed].map(([key, value]) => [table, key, value] as const);
    this.#changed.clear();
    return changes;
  }
}

type Tables = Record<NumberTable, Map<string, NumberValue>>;

function tablesOf({ identities, services, ...rest }: WorldSnapshot): Tables {
  const { nextAddress, nextAddress6, nextEndpoint } = rest;
  const { frontends, backends, states = [] } = services.numbers;
  const next = new Map<string, NumberValue>([
    ["identity", identities.next],
    ["address", nextAddress],
    ["endpoint", nextEndpoint],
    ["frontend", frontends.next],
    ["backend", backends.next],
  ]);
  if (nextAddress6 !== undefined) next.set("address6", nextAddress6);
  return {
    next,
    identity: new Map(identities.workloads.map(([id, labels]) => [String(id), labels])),
    prefix: new Map(identities.prefixes.map(([id, prefix]) => [prefix, id])),
    address: new Map(services.addresses),
    nodePort: new Map(services.nodePorts),
    loadBalancer: new Map(services.loadBalancer ?? []),
    frontend: new Map(frontends.ids),
    backend: new Map(backends.ids),
    backendState: new Map(states),
  };
}

function snapshotOf({ next, ...tables }: Tables, before: WorldSnapshot): WorldSnapshot {
  const numbers = (table: Map<string, NumberValue>) => [...table] as [string, number][];
  const address6 = next.get("address6");
  return {
    version: before.version,
    podCidr: before.podCidr,
    identities: {
      workloads: [...tables.identity].map(([id, labels]) => [Number(id), labels as readonly string[]]),
      prefixes: numbers(tables.prefix).map(([prefix, id]) => [id, prefix]),
      next: Number(next.get("identity")),
    },
    services: {
      addresses: [...tables.address] as [string, string][],
      nodePorts: numbers(tables.nodePort),
      loadBalancer: [...tables.loadBalancer] as [string, readonly string[]][],
      numbers: {
        frontends: { next: Number(next.get("frontend")), ids: numbers(tables.frontend) },
        backends: { next: Number(next.get("backend")), ids: numbers(tables.backend) },
        states: [...tables.backendState] as [string, string][],
      },
    },
    nextAddress: String(next.get("address")),
    ...(address6 === undefined ? {} : { nextAddress6: String(address6) }),
    nextEndpoint: Number(next.get("endpoint")),
  };
}

/** The snapshot as it was after these changes. */
export function changeSnapshot(before: WorldSnapshot, changes: Iterable<NumberChange>): WorldSnapshot {
  const tables = tablesOf(before);
  for (const [table, key, value] of changes) {
    if (value === null) tables[table].delete(key);
    else tables[table].set(key, value);
  }
  return snapshotOf(tables, before);
}
