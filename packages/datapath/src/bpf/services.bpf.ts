// The choice of a backend: what sockets, tc and XDP have in common.
import { config, getPrandomU32, u16, u32, u8 } from "@skep/bpf";
import { clock } from "./lifetimes.bpf.ts";
import {
  affinities,
  AffinityKey,
  affinityMatches,
  backends,
  FIRST_SLOTS,
  maglev,
  services,
  type Address,
  type Backend,
  type Service,
  type ServiceKey,
} from "./maps.bpf.ts";

/** SERVICE_FLAG of control's load balancer. */
export const SERVICE = {
  EXTERNAL_IP: 1 << 0,
  NODE_PORT: 1 << 1,
  EXTERNAL_LOCAL: 1 << 2,
  HOST_PORT: 1 << 3,
  AFFINITY: 1 << 4,
  LOAD_BALANCER: 1 << 5,
  ROUTABLE: 1 << 6,
  SOURCE_RANGE: 1 << 7,
  LOCAL_REDIRECT: 1 << 8,
  NAT_46X64: 1 << 9,
  L7: 1 << 10,
  LOOPBACK: 1 << 11,
  INTERNAL_LOCAL: 1 << 12,
  TWO_SCOPES: 1 << 13,
  QUARANTINED: 1 << 14,
  DSR: 1 << 15,
  SOURCE_RANGE_DENY: 1 << 16,
} as const;

const RANDOM = 1;
const MAGLEV = 2;

/** What services without an algorithm of their own use: 1 random, 2 Maglev. */
export const algorithm = config("lb_algorithm", u8, RANDOM);
/** Slots of a Maglev table: a prime. */
export const maglevSize = config("maglev_size", u32, 16_381);

const SCOPE_INTERNAL = 1;

/** The service of an address; for clients of this node its inner scope, where it has two. */
export function lookup(key: ServiceKey, isInternal: boolean): Service | null {
  key.scope = 0;
  key.slot = 0;
  const service = services.get(key);
  if (!service || !isInternal || (service.flags & SERVICE.TWO_SCOPES) === 0) return service;
  key.scope = SCOPE_INTERNAL;
  return services.get(key);
}

/** As `lookup`, and where nothing is served at the port: what says so of the whole address. `key` is what was found. */
export function lookupAny(key: ServiceKey, isInternal: boolean): Service | null {
  const exact = lookup(key, isInternal);
  if (exact) return exact;
  const [port, protocol]: readonly [u16, u8] = [key.port, key.protocol];
  key.port = 0;
  key.protocol = 0;
  const rest = lookup(key, isInternal);
  if (rest) return rest;
  key.port = port;
  key.protocol = protocol;
  return null;
}

export function backendOf(id: u32): Backend | null {
  const backend = backends.get(id);
  return backend && backend.present !== 0 ? backend : null;
}

/** The number of the backend that a flow with this hash gets; 0: none. `draw` is for a random choice. */
export function choose(service: Service, key: ServiceKey, hash: u32, draw: u32): u32 {
  if (service.count === 0) return 0;
  const chosen: u8 = service.algorithm === 0 ? algorithm.value : service.algorithm;
  if (chosen === MAGLEV) {
    const table = maglev.get(service.id);
    const slots = table ? table.get(0) : null;
    if (slots) {
      const at: u32 = hash % maglevSize.value;
      if (at < maglevSize.value) return slots.slots[at] ?? 0;
    }
  }
  const at: u32 = draw % service.count;
  if (at < FIRST_SLOTS) {
    const id = service.first[at] ?? 0;
    if (id !== 0) return id;
  }
  key.slot = u16(at) + 1;
  const slot = services.get(key);
  return slot ? slot.backend : 0;
}

/** The client as affinity knows it. */
export function affinityKey(service: Service, client: Address, isCookie: boolean): AffinityKey {
  const key = AffinityKey.zero();
  key.client = client;
  key.service = service.id;
  key.isCookie = isCookie ? 1 : 0;
  return key;
}

/**
 * The backend that the client keeps: the one that it had, while the service has it and the time has not passed whole (Cilium: bpf/lib/lb.h,
 * last_used + affinity_timeout <= now is over). 0: a new one.
 */
export function keptBackend(service: Service, key: AffinityKey): u32 {
  const kept = affinities.get(key);
  if (!kept || clock() - kept.lastUsed >= service.affinity) return 0;
  const { backend } = kept;
  if (!affinityMatches.ref({ service: service.id, backend }) || !backendOf(backend)) return 0;
  kept.lastUsed = clock();
  return backend;
}

export function keep(key: AffinityKey, backend: u32): void {
  affinities.set(key, { backend, lastUsed: clock() });
}

export function draw(): u32 {
  return getPrandomU32();
}
