/**
 * @module
 * Frontends to rows of the kernel's maps, one frontend at a time: numbers, slots, reverse entries, affinity, source ranges, Maglev tables.
 */
import { type Address, isUnspecified, type Prefix } from "@skep/net";
import { BackendRegistry } from "./backends.ts";
import type { ChangeBuilder } from "./change.ts";
import type { LoadBalancerConfig } from "./config.ts";
import { addressKey, hostKey } from "./key.ts";
import { Maglev } from "./maglev.ts";
import { type Frontend, type FrontendType, INSTANCE_STATES, type Instance, type Service } from "./model.ts";
import { Numbers } from "./numbers.ts";
import {
  ALGORITHM,
  FIRST_SLOTS,
  type LoadBalancerRows,
  type MaglevRow,
  SERVICE_FLAG,
  type ServiceSlotRow,
} from "./rows.ts";
import { rowsOf } from "./change.ts";

/** A frontend at one address: its own, or one of the node's that it stands for. */
export interface Placement {
  readonly frontend: Frontend;
  readonly service: Service;
  readonly address: Address;
}

type FrontendRows = Pick<LoadBalancerRows, "services" | "reverse" | "affinity" | "sourceRanges">;

/** What rows are made of: there are many, and most are like their first. */
interface Programmed {
  readonly id: number;
  /** Slot 0; null: no rows. */
  readonly master: ServiceSlotRow | null;
  /** Numbers of the backends in the slots from 1 on. */
  readonly slots: readonly number[];
  /** How many of the first have affinity matches. */
  readonly sticky: number;
  readonly sourceRanges: readonly Prefix[];
  readonly uses: readonly Instance[];
  /** What the Maglev table was made of; empty: there is none. Tables themselves are not kept: they are large, and made again when asked for. */
  readonly maglev: readonly Instance[];
  readonly catchAll: FrontendType | null;
}

/** Frontends of one address. */
interface CatchAll {
  readonly address: Address;
  /** What its row stands for; null: there is none. */
  type: FrontendType | null;
  /** One of them, and the others where there are more: most often there are none. */
  key: string;
  own: FrontendType | null;
  others: Map<string, FrontendType> | null;
}

function setType(entry: CatchAll, key: string, type: FrontendType | null): void {
  if (entry.own === null && !entry.others?.has(key)) entry.key = key;
  if (entry.key === key) {
    entry.own = type;
    return;
  }
  if (type) (entry.others ??= new Map()).set(key, type);
  else entry.others?.delete(key);
  if (entry.others?.size === 0) entry.others = null;
}

/** One that is balanced makes the address one. */
function typeOf({ own, others }: CatchAll): FrontendType | null {
  const types = [own, ...(others?.values() ?? [])].filter((type) => type !== null);
  if (types.length === 0) return null;
  return types.includes("LoadBalancer") ? "LoadBalancer" : "ClusterIP";
}

const NONE: Omit<Programmed, "id"> = {
  ...{ master: null, slots: [], sticky: 0, sourceRanges: [], uses: [], maglev: [], catchAll: null },
};
const NO_RANGES: readonly Prefix[] = [];
const NO_MEMBERS: readonly Instance[] = [];
const NO_SLOTS: readonly number[] = [];
const NO_TABLE = new Uint32Array(0);

const TYPE_FLAGS: Readonly<Record<FrontendType, number>> = {
  ClusterIP: 0,
  NodePort: SERVICE_FLAG.NODE_PORT,
  LoadBalancer: SERVICE_FLAG.LOAD_BALANCER,
  ExternalIPs: SERVICE_FLAG.EXTERNAL_IP,
  HostPort: SERVICE_FLAG.HOST_PORT,
  LocalRedirect: SERVICE_FLAG.LOCAL_REDIRECT,
};

/** Load balancer classes whose addresses are this agent's to answer for. */
const OWN_CLASSES = ["io.cilium/bgp-control-plane", "io.cilium/l2-announcer", "io.cilium/node"];

export class Programmer {
  readonly numbers: Numbers;
  readonly backends: BackendRegistry;
  readonly #config: LoadBalancerConfig;
  readonly #maglev: Maglev;
  readonly #programmed = new Map<string, Programmed>();
  /** By address: the frontends that are behind its catch-all entry. */
  readonly #catchAlls = new Map<string, CatchAll>();

  /** Throws MaglevSettingsError. */
  constructor(config: LoadBalancerConfig) {
    this.#config = config;
    this.numbers = new Numbers(config.lastFrontend);
    this.backends = new BackendRegistry(config.zones);
    this.#maglev = new Maglev({ size: config.maglevTableSize, seed: config.maglevSeed });
  }

  /** False where no number is left. `isLocal`: the address is the node's own. */
  update(change: ChangeBuilder, placement: Placement, isLocal: boolean): boolean {
    const { frontend, address } = placement;
    const key = address === frontend.address ? frontend.key : addressKey({ ...frontend, address }, frontend.scope);
    const id = this.numbers.acquire(key);
    if (id === null) return false;
    const before = this.#programmed.get(key) ?? null;
    const after = this.#make(id, placement, isLocal);
    this.#write(change, before, after);
    this.#catchAll(change, { key, address: placement.address, type: after.catchAll });
    this.#programmed.set(key, after);
    return true;
  }

  remove(change: ChangeBuilder, key: string): void {
    const before = this.#programmed.get(key);
    if (!before) return;
    this.#write(change, before, { ...NONE, id: before.id });
    if (before.master) this.#catchAll(change, { key, address: before.master.address, type: null });
    this.#programmed.delete(key);
    this.numbers.release(key);
  }

  id(key: string): number | null {
    return this.#programmed.has(key) ? this.numbers.get(key) : null;
  }

  /** What a frontend is known by at an address. */
  place(key: string): { readonly id: number; readonly address: Address; readonly flags: number } | null {
    const master = this.#programmed.get(key)?.master;
    return master ? { id: master.id, address: master.address, flags: master.flags } : null;
  }

  // ---- rows of one frontend ----

  #make(id: number, { frontend, service, address }: Placement, isLocal: boolean): Programmed {
    const ordered = [...frontend.backends].sort(bySlot);
    const ids = ordered.map((each) => this.backends.acquire(each));
    const serving = ordered.filter(({ state }) => state !== "maintenance");
    const counts = countStates(serving);
    const flags = flagsOf(frontend, service, { config: this.#config, address });
    const { port, protocol, scope } = frontend;
    const { algorithm, affinityTimeout } = service;
    const [count, quarantined] = [counts.taking, serving.length - counts.taking];
    const slot = 0;
    const backend = 0;
    const first = ids.slice(0, Math.min(count, FIRST_SLOTS));
    // prettier-ignore
    const master = { address, port, protocol, scope, slot, backend, count, quarantined, algorithm, affinityTimeout, id, flags, first };
    const ranges = service.sourceRanges.filter((prefix) => prefix.address.family === address.family);
    return {
      id,
      master,
      slots: ids.slice(0, serving.length),
      sticky: affinityTimeout > 0 ? counts.active : 0,
      sourceRanges: ranges.length === 0 ? NO_RANGES : ranges,
      uses: frontend.backends,
      maglev: this.#usesMaglev(frontend, service, address) ? serving.slice(0, counts.taking) : NO_MEMBERS,
      catchAll: hasCatchAll(frontend, service) && !isLocal ? frontend.type : null,
    };
  }

  #usesMaglev({ type }: Frontend, { algorithm }: Service, address: Address): boolean {
    if (isUnspecified(address)) return false;
    if (algorithm !== ALGORITHM.UNDEFINED) return algorithm === ALGORITHM.MAGLEV;
    if (this.#config.algorithm !== "maglev" || type === "LocalRedirect") return false;
    // A cluster address is balanced at the socket, where every connection is new.
    return type !== "ClusterIP" || this.#config.externalClusterIp;
  }

  #write(change: ChangeBuilder, before: Programmed | null, after: Programmed): void {
    this.backends.add(after.uses);
    if (before) this.backends.drop(before.uses);
    const old = frontendRows(before ?? { ...NONE, id: after.id });
    const rows = frontendRows(after);
    const slots = Math.max(old.services.length, rows.services.length);
    for (let slot = 0; slot < slots; slot++)
      change.put("services", old.services[slot] ?? null, rows.services[slot] ?? null);
    change.put("reverse", old.reverse[0] ?? null, rows.reverse[0] ?? null);
    for (const row of old.affinity) change.put("affinity", row, null);
    for (const row of rows.affinity) change.put("affinity", known(old.affinity, row), row);
    for (const row of old.sourceRanges) change.put("sourceRanges", row, null);
    for (const row of rows.sourceRanges) change.put("sourceRanges", null, row);
    this.#writeMaglev(change, before, after);
  }

  #writeMaglev(change: ChangeBuilder, before: Programmed | null, after: Programmed): void {
    const old = before && before.maglev.length > 0 ? { id: before.id, table: NO_TABLE } : null;
    if (after.maglev.length === 0) change.put("maglev", old, null);
    else if (!before || !sameMembers(before.maglev, after.maglev)) change.put("maglev", old, this.#table(after));
  }

  #table({ id, maglev }: Programmed): MaglevRow {
    const members = maglev.map((each) => ({ ...each, id: this.backends.acquire(each) }));
    return { id, table: this.#maglev.table(members) ?? NO_TABLE };
  }

  // ---- the entry of an address that catches every other port ----

  #catchAll(
    change: ChangeBuilder,
    { key, address, type }: { readonly key: string; readonly address: Address; readonly type: FrontendType | null },
  ): void {
    const at = hostKey(address);
    const known = this.#catchAlls.get(at);
    if (!known && !type) return;
    const entry: CatchAll = known ?? { address, type: null, key, own: null, others: null };
    setType(entry, key, type);
    const now = typeOf(entry);
    if (now !== entry.type) change.put("services", rowOf(entry), now && catchAllRow(address, now));
    entry.type = now;
    if (now) this.#catchAlls.set(at, entry);
    else this.#catchAlls.delete(at);
  }

  rows(): Omit<LoadBalancerRows, "skips"> {
    const programmed = [...this.#programmed.values()];
    const all = programmed.map(frontendRows);
    const catchAlls = [...this.#catchAlls.values()].flatMap((entry) => rowOf(entry) ?? []);
    return {
      ...rowsOf(() => []),
      services: [...catchAlls, ...all.flatMap(({ services }) => services)],
      backends: this.backends.rows(),
      reverse: all.flatMap(({ reverse }) => reverse),
      affinity: all.flatMap(({ affinity }) => affinity),
      sourceRanges: all.flatMap(({ sourceRanges }) => sourceRanges),
      maglev: programmed.flatMap((each) => (each.maglev.length > 0 ? [this.#table(each)] : [])),
    };
  }
}

function frontendRows({ id, master, slots, sticky, sourceRanges }: Programmed): FrontendRows {
  if (!master) return { services: [], reverse: [], affinity: [], sourceRanges: [] };
  const { address, port, protocol, scope, flags } = master;
  const rows = slots.map((backend, index): ServiceSlotRow => {
    const nothing = { count: 0, quarantined: 0, algorithm: 0, affinityTimeout: 0 };
    return { address, port, protocol, scope, slot: index + 1, backend, ...nothing, id, flags, first: NO_SLOTS };
  });
  return {
    services: [master, ...rows],
    reverse: [{ id, address, port }],
    affinity: slots.slice(0, sticky).map((backend) => ({ id, backend })),
    sourceRanges: sourceRanges.map((prefix) => ({ id, prefix })),
  };
}

/** Active ones first; the rest of the order only has to be the same each time. */
function bySlot(a: Instance, b: Instance): number {
  return INSTANCE_STATES.indexOf(a.state) - INSTANCE_STATES.indexOf(b.state) || (a.key < b.key ? -1 : 1);
}

/** Where none is active, those that terminate but still serve take new connections (KEP-1669). */
function countStates(serving: readonly Instance[]): { readonly active: number; readonly taking: number } {
  const count = (state: Instance["state"]): number => serving.filter((each) => each.state === state).length;
  const active = count("active");
  return { active, taking: active > 0 ? active : count("terminating") };
}

function flagsOf(
  { type: own, redirectTo, protocol, backends }: Frontend,
  service: Service,
  { config, address }: { readonly config: LoadBalancerConfig; readonly address: Address },
): number {
  const type = redirectTo === null ? own : "LocalRedirect";
  const routable = !isUnspecified(address) && (type !== "ClusterIP" || config.externalClusterIp);
  const ranged = service.sourceRanges.length > 0 && (type === "LoadBalancer" || config.sourceRangeAllTypes);
  const isMixed = backends.some((each) => each.address.family !== address.family);
  const scoped = type === "NodePort" || type === "LoadBalancer";
  const bits: readonly (readonly [boolean, number])[] = [
    [service.externalLocal, SERVICE_FLAG.EXTERNAL_LOCAL],
    [service.internalLocal, SERVICE_FLAG.INTERNAL_LOCAL],
    [scoped && service.externalLocal !== service.internalLocal, SERVICE_FLAG.TWO_SCOPES],
    [service.affinityTimeout > 0, SERVICE_FLAG.AFFINITY],
    [routable, SERVICE_FLAG.ROUTABLE],
    [ranged, SERVICE_FLAG.SOURCE_RANGE],
    [ranged && service.sourceRangesDeny, SERVICE_FLAG.SOURCE_RANGE_DENY],
    [service.loopbackHostPort, SERVICE_FLAG.LOOPBACK],
    // A backend of the other family does not know its client's address.
    [isMixed, SERVICE_FLAG.NAT_46X64],
    [!isMixed && returnsDirectly(service, config, protocol), SERVICE_FLAG.DSR],
  ];
  return bits.reduce((flags, [on, bit]) => (on ? flags | bit : flags), TYPE_FLAGS[type]);
}

function returnsDirectly({ forwardingMode }: Service, config: LoadBalancerConfig, protocol: number): boolean {
  const { mode, directReturn } = config;
  if (!directReturn) return false;
  if (forwardingMode !== "") return forwardingMode === "dsr";
  return mode === "dsr" || (mode === "hybrid" && protocol === 6);
}

function hasCatchAll({ type, scope }: Frontend, { loadBalancerClass }: Service): boolean {
  if (scope !== 0 || (type !== "ClusterIP" && type !== "LoadBalancer")) return false;
  return loadBalancerClass === null || OWN_CLASSES.includes(loadBalancerClass);
}

function catchAllRow(address: Address, type: FrontendType): ServiceSlotRow {
  const numbers = { slot: 0, backend: 0, count: 0, quarantined: 0, algorithm: 0, affinityTimeout: 0, id: 0 };
  return { address, port: 0, protocol: 0, scope: 0, ...numbers, flags: TYPE_FLAGS[type], first: NO_SLOTS };
}

const rowOf = ({ address, type }: CatchAll): ServiceSlotRow | null => type && catchAllRow(address, type);

function known<R extends { readonly backend: number }>(rows: readonly R[], { backend }: R): R | null {
  return rows.find((row) => row.backend === backend) ?? null;
}

function sameMembers(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a.length === b.length && a.every((each, at) => each.key === b[at]?.key && each.weight === b[at]?.weight);
}
