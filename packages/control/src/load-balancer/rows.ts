/**
 * @module
 * What the datapath's load balancer is told: rows of its maps as plain values. `control` writes them, `datapath` encodes them.
 * The tables are Cilium's own (services by slot, backends, reverse entries, affinity matches, source ranges, Maglev tables).
 */
import type { Address, Prefix } from "@skep/net";

/** Bits of a service row (Cilium 1.20, `pkg/loadbalancer`: the same bits on the master slot and on every backend slot). */
export const SERVICE_FLAG = {
  EXTERNAL_IP: 1 << 0,
  NODE_PORT: 1 << 1,
  /** externalTrafficPolicy: Local. */
  EXTERNAL_LOCAL: 1 << 2,
  HOST_PORT: 1 << 3,
  AFFINITY: 1 << 4,
  LOAD_BALANCER: 1 << 5,
  /** Reachable from outside of the node; a ClusterIP is not. */
  ROUTABLE: 1 << 6,
  SOURCE_RANGE: 1 << 7,
  LOCAL_REDIRECT: 1 << 8,
  NAT_46X64: 1 << 9,
  L7: 1 << 10,
  LOOPBACK: 1 << 11,
  /** internalTrafficPolicy: Local. */
  INTERNAL_LOCAL: 1 << 12,
  /** An external and an internal scope stand beside each other. */
  TWO_SCOPES: 1 << 13,
  QUARANTINED: 1 << 14,
  /** On the backend's row and slot 0: forwarded by direct server return. */
  DSR: 1 << 15,
  /** Source ranges deny instead of allow. */
  SOURCE_RANGE_DENY: 1 << 16,
} as const;

/** 0: what the configuration says. */
export const ALGORITHM = { UNDEFINED: 0, RANDOM: 1, MAGLEV: 2 } as const;

export const BACKEND_STATE = { ACTIVE: 0, TERMINATING: 1, QUARANTINED: 2, MAINTENANCE: 3 } as const;

/** A frontend: `protocol` is IANA's (0: any), `scope` 0 external or only, 1 internal. */
export interface FrontendAddress {
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  readonly scope: 0 | 1;
}

/** One entry of the service map. Slot 0 is the service itself, slots 1 to `count` its active backends, then `quarantined` ones. */
export interface ServiceSlotRow extends FrontendAddress {
  readonly slot: number;
  /** Of slots from 1. 0 in slot 0. */
  readonly backend: number;
  /** Slot 0 only. */
  readonly count: number;
  readonly quarantined: number;
  /** {@link ALGORITHM}, slot 0. */
  readonly algorithm: number;
  /** Seconds, slot 0; 0: no affinity. */
  readonly affinityTimeout: number;
  /** Number of the frontend: names its reverse entry, its affinity matches, its source ranges and its Maglev table. 0: the catch-all of an address. */
  readonly id: number;
  /** {@link SERVICE_FLAG}. */
  readonly flags: number;
  /** Slot 0: the backends of slots 1 to {@link FIRST_SLOTS} that take new connections, so that one row says them. Elsewhere empty. */
  readonly first: readonly number[];
}

/** Slots whose backends stand with the service too. */
export const FIRST_SLOTS = 7;

export interface LoadBalancerBackendRow {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  /** {@link BACKEND_STATE}. */
  readonly state: number;
  /** 0: no zone. */
  readonly zone: number;
}

/** From a frontend's number to its address: what a reply gets back. */
export interface ReverseNatRow {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
}

export interface AffinityMatchRow {
  readonly id: number;
  readonly backend: number;
}

export interface SourceRangeRow {
  readonly id: number;
  readonly prefix: Prefix;
}

/** A workload that is not redirected at a frontend: the backend of a local redirect policy with `skipRedirectFromBackend`. */
export interface SkipRow {
  /** Of the workload. */
  readonly source: Address;
  readonly address: Address;
  readonly port: number;
}

/** Slot of a flow's hash to backend number: `table.length` is a prime, the configured table size. */
export interface MaglevRow {
  readonly id: number;
  readonly table: Uint32Array;
}

/** The load balancer's whole state, or what of it is to be written. */
export interface LoadBalancerRows {
  readonly services: readonly ServiceSlotRow[];
  readonly backends: readonly LoadBalancerBackendRow[];
  readonly reverse: readonly ReverseNatRow[];
  readonly affinity: readonly AffinityMatchRow[];
  readonly sourceRanges: readonly SourceRangeRow[];
  readonly maglev: readonly MaglevRow[];
  readonly skips: readonly SkipRow[];
}

/** One step from a state to the next. Applied in the order: new backends and Maglev tables, services, then what is removed, so that no slot ever names a missing backend. */
export interface LoadBalancerChange {
  readonly written: LoadBalancerRows;
  /** By key: values of the removed rows are those that were written last. */
  readonly removed: LoadBalancerRows;
}
