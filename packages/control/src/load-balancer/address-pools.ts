/**
 * @module
 * Addresses of pools for services of type LoadBalancer, as Cilium's LB IPAM gives them: one of each family, those asked for, or one shared.
 */
import { type Address, addressFromBigInt, addressToBigInt, formatAddress, parseAddress } from "@skep/net";
import { type Diagnostic, LabelSet, matchesLabels } from "@skep/policy";
import { ChangeLog } from "../number-changes.ts";
import { familiesOf } from "./convert.ts";
import { type AddressPoolSpec, type AddressRange, objectKey, type ServiceSpec } from "./spec.ts";

/** Classes that Cilium's address management serves; other classes are somebody else's to serve. */
const CLASSES: readonly string[] = ["io.cilium/bgp-control-plane", "io.cilium/l2-announcer"];
const EVERY_NAMESPACE = "*";

export interface AddressPoolState {
  readonly name: string;
  readonly disabled: boolean;
  /** Name of the pool that has some of its addresses; null: none has. */
  readonly conflict: string | null;
  readonly total: bigint;
  readonly available: bigint;
}

interface Pool {
  readonly spec: AddressPoolSpec;
  readonly conflict: AddressPoolSpec | null;
  /** By range: nothing below is free. */
  readonly from: bigint[];
}

interface Holder {
  readonly spec: ServiceSpec;
  readonly addresses: readonly Address[];
  /** The object says them itself. */
  readonly fixed: boolean;
  readonly problems: readonly Diagnostic[];
}

export class AddressPools {
  /** Of the addresses given. */
  readonly changes = new ChangeLog();
  #pools: readonly Pool[] = [];
  readonly #specs = new Map<string, AddressPoolSpec>();
  readonly #holders = new Map<string, Holder>();
  /** Services by address. */
  readonly #users = new Map<string, Set<string>>();
  /** What services had that have not been read again yet. */
  readonly #remembered = new Map<string, readonly Address[]>();
  /** By service: what the changes say of it. */
  readonly #noted = new Map<string, string>();
  /** Who is to be looked at anew: after a change of pools all, after an address has become free those without one. */
  #stale: "none" | "without" | "all" = "none";

  setPool(spec: AddressPoolSpec): void {
    this.#specs.set(spec.name, spec);
    this.#poolsChanged();
  }

  deletePool(name: string): void {
    if (this.#specs.delete(name)) this.#poolsChanged();
  }

  /** The older of two pools with the same addresses has them. */
  #poolsChanged(): void {
    const specs = [...this.#specs.values()].sort(compareAge);
    this.#pools = specs.map((spec, at) => ({
      spec,
      conflict: specs.slice(0, at).find((other) => overlap(spec, other)) ?? (overlapsItself(spec) ? spec : null),
      from: spec.ranges.map(({ first }) => first),
    }));
    this.#becomeStale("all");
  }

  /** The service with its addresses. `spec` has its cluster addresses already. */
  complete(spec: ServiceSpec): ServiceSpec {
    const key = objectKey(spec);
    if (!isServed(spec)) {
      this.release(key);
      return spec;
    }
    const remembered = this.#remembered.get(key) ?? [];
    const before = [...(this.#holders.get(key)?.addresses ?? []), ...remembered];
    this.#free(key, before);
    const fixed = spec.ingressIps.length > 0 ? spec.ingressIps : [spec.wantedLoadBalancerIp].flatMap((at) => at ?? []);
    const { addresses, problems } = fixed.length > 0 ? { addresses: fixed, problems: [] } : this.#choose(spec, before);
    this.#holders.set(key, { spec, addresses, fixed: fixed.length > 0, problems });
    // What a service had waits for its pool until all files have been read.
    for (const address of [...addresses, ...remembered]) this.#use(key, address);
    this.#note(key);
    if (before.some((address) => !this.#users.has(formatAddress(address)))) this.#becomeStale("without");
    return spec.ingressIps.length > 0 ? spec : { ...spec, ingressIps: addresses };
  }

  /** What is to be known after a restart. */
  #givenTo(key: string): readonly string[] {
    const holder = this.#holders.get(key);
    const given = holder && !holder.fixed ? holder.addresses : [];
    return [...new Set([...given, ...(this.#remembered.get(key) ?? [])].map(formatAddress))];
  }

  #note(key: string): void {
    const texts = this.#givenTo(key);
    if (texts.join() === (this.#noted.get(key) ?? "")) return;
    if (texts.length > 0) this.#noted.set(key, texts.join());
    else this.#noted.delete(key);
    this.changes.note(key, texts.length > 0 ? texts : null);
  }

  /** Whether the service is one that gets addresses of pools. */
  holds(key: string): boolean {
    return this.#holders.has(key);
  }

  #becomeStale(which: "all" | "without"): void {
    if (this.#stale !== "all") this.#stale = which;
  }

  release(key: string): void {
    const holder = this.#holders.get(key);
    const remembered = this.#remembered.get(key);
    if (!holder && !remembered) return;
    this.#free(key, [...(holder?.addresses ?? []), ...(remembered ?? [])]);
    this.#holders.delete(key);
    this.#remembered.delete(key);
    this.#note(key);
    this.#becomeStale("without");
  }

  /** Services whose addresses may be others now, or have become free for them: to be completed anew, the oldest first. */
  takeStale(): ServiceSpec[] {
    const which = this.#stale;
    this.#stale = "none";
    if (which === "none") return [];
    const held = [...this.#holders.values()].filter(
      ({ fixed, problems }) => !fixed && (which === "all" || problems.length > 0),
    );
    return held.map(({ spec }) => spec).sort((a, b) => compareText(ageOf(a, objectKey(a)), ageOf(b, objectKey(b))));
  }

  #use(key: string, address: Address): void {
    const text = formatAddress(address);
    this.#users.set(text, (this.#users.get(text) ?? new Set<string>()).add(key));
  }

  #free(key: string, addresses: readonly Address[]): void {
    for (const address of addresses) {
      const users = this.#users.get(formatAddress(address));
      users?.delete(key);
      if (users?.size !== 0) continue;
      this.#users.delete(formatAddress(address));
      const value = addressToBigInt(address);
      for (const { spec, from } of this.#pools)
        spec.ranges.forEach((range, at) => {
          if (isIn(range, address) && value < (from[at] ?? 0n)) from[at] = value;
        });
    }
  }

  // ---- choice ----

  #choose(spec: ServiceSpec, before: readonly Address[]): Pick<Holder, "addresses" | "problems"> {
    const { addresses: asked } = spec.loadBalancer;
    const families = familiesOf(spec);
    if (asked.length > 0) {
      const found = asked.map((address) => ({ address, problem: this.#refusal(spec, address) }));
      const addresses = found.flatMap(({ address, problem }) => (problem ? [] : [address]));
      return { addresses, problems: found.flatMap(({ problem }) => problem ?? []) };
    }
    if (this.#specs.size === 0) return { addresses: [], problems: [] };
    const addresses = families.flatMap((family) => {
      const kept = before.find((each) => each.family === family && this.#mayKeep(spec, each));
      return kept ?? this.#shared(spec, family) ?? this.#next(spec, family) ?? [];
    });
    const missing = families.filter((family) => !addresses.some((each) => each.family === family));
    return { addresses, problems: missing.map((family) => this.#withoutAddress(spec, family)) };
  }

  /** A pool that is disabled, or has come into conflict, leaves services what they have. */
  #mayKeep(spec: ServiceSpec, address: Address): boolean {
    return this.#pools.some((pool) => selects(pool, spec) && has(pool, address)) && !this.#stranger(spec, address);
  }

  /** A service that uses the address and cannot share it with this one. */
  #stranger(spec: ServiceSpec, address: Address): string | null {
    const key = objectKey(spec);
    for (const user of this.#users.get(formatAddress(address)) ?? []) {
      if (user === key) continue;
      const other = this.#holders.get(user)?.spec;
      if (!other || !canShare(spec, other)) return user;
    }
    return null;
  }

  #shared(spec: ServiceSpec, family: 4 | 6): Address | null {
    const { sharingKey } = spec.loadBalancer;
    if (sharingKey === "") return null;
    for (const other of this.#holders.values()) {
      if (other.spec.loadBalancer.sharingKey !== sharingKey) continue;
      const found = other.addresses.find((each) => each.family === family && this.#mayTake(spec, each));
      if (found) return found;
    }
    return null;
  }

  #mayTake(spec: ServiceSpec, address: Address): boolean {
    return (
      this.#pools.some((pool) => isOpen(pool) && selects(pool, spec) && has(pool, address)) &&
      !this.#stranger(spec, address)
    );
  }

  #next(spec: ServiceSpec, family: 4 | 6): Address | null {
    for (const pool of this.#pools) {
      if (!isOpen(pool) || !selects(pool, spec)) continue;
      for (const [at, range] of pool.spec.ranges.entries()) {
        if (range.family !== family) continue;
        for (let value = pool.from[at] ?? range.first; value <= range.last; value++) {
          pool.from[at] = value;
          const address = addressFromBigInt(family, value);
          if (!this.#users.has(formatAddress(address))) return address;
        }
      }
    }
    return null;
  }

  // ---- what is told ----

  #withoutAddress(spec: ServiceSpec, family: 4 | 6): Diagnostic {
    const open = this.#pools.filter((pool) => isOpen(pool) && selects(pool, spec));
    const fitting = open.some((pool) => pool.spec.ranges.some((range) => range.family === family));
    const start = `Service ${objectKey(spec)} has no load balancer address of IPv${family}`;
    return fitting
      ? problem(spec, "SKEP6020", `${start}: every address of the pools for it is in use`)
      : problem(spec, "SKEP6044", `${start}: no pool that is in force is for it`);
  }

  /** Why it cannot have an address that it asks for; null: it can. */
  #refusal(spec: ServiceSpec, address: Address): Diagnostic | null {
    const start = `Service ${objectKey(spec)} is not given ${formatAddress(address)}`;
    if (!familiesOf(spec).includes(address.family))
      return problem(spec, "SKEP6037", `${start}: it has no addresses of IPv${address.family}`);
    const stranger = this.#stranger(spec, address);
    if (stranger !== null) return problem(spec, "SKEP6034", `${start}: ${stranger} has it`);
    const holder = this.#pools.find((pool) => has(pool, address));
    if (!holder) return problem(spec, "SKEP6046", `${start}: it is in no pool`);
    if (this.#mayTake(spec, address) || this.#mayKeep(spec, address)) return null;
    return problem(spec, "SKEP6044", `${start}: the pool ${holder.spec.name} is not for it`);
  }

  problems(): Diagnostic[] {
    const pools = this.#pools.flatMap(({ spec, conflict }): Diagnostic[] => {
      if (!conflict) return [];
      const twice = conflict === spec ? "has addresses twice" : `has addresses of ${conflict.name}, which is older`;
      return [
        {
          ...{ code: "SKEP6034", severity: "error", span: spec.span },
          message: `CiliumLoadBalancerIPPool ${spec.name} ${twice}: it gives none`,
          ...(conflict === spec ? {} : { related: [{ message: "the older is here", span: conflict.span }] }),
        },
      ];
    });
    return [...pools, ...[...this.#holders.values()].flatMap((holder) => holder.problems)];
  }

  states(): AddressPoolState[] {
    const used = [...this.#users.keys()].flatMap((text) => parseAddress(text) ?? []);
    return this.#pools.map((pool) => {
      const total = pool.spec.ranges.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
      const taken = BigInt(used.filter((address) => has(pool, address)).length);
      const { name, disabled } = pool.spec;
      return { name, disabled, conflict: pool.conflict?.name ?? null, total, available: total - taken };
    });
  }

  // ---- snapshot ----

  snapshot(): (readonly [service: string, addresses: readonly string[]])[] {
    const keys = [...new Set([...this.#holders.keys(), ...this.#remembered.keys()])];
    return keys.map((key) => [key, this.#givenTo(key)] as const).filter(([, texts]) => texts.length > 0);
  }

  restore(rows: readonly (readonly [service: string, addresses: readonly string[]])[]): void {
    for (const [key, texts] of rows) {
      const addresses = texts.flatMap((text) => parseAddress(text) ?? []);
      this.#remembered.set(key, addresses);
      this.#noted.set(key, texts.join());
      for (const address of addresses) this.#use(key, address);
    }
  }

  /** All files have been read: what nobody has claimed is free. */
  restored(): void {
    const remembered = [...this.#remembered];
    this.#remembered.clear();
    for (const [key, addresses] of remembered) {
      const held = this.#holders.get(key)?.addresses.map(formatAddress) ?? [];
      this.#free(
        key,
        addresses.filter((address) => !held.includes(formatAddress(address))),
      );
      this.#note(key);
    }
    this.#becomeStale("without");
  }
}

function isServed(spec: ServiceSpec): boolean {
  const { type, loadBalancerClass, exposed, headless } = spec;
  if (type !== "LoadBalancer" || headless || !exposed.includes("LoadBalancer")) return false;
  const isOurs = loadBalancerClass === null || loadBalancerClass === "" || CLASSES.includes(loadBalancerClass);
  return isOurs || spec.ingressIps.length > 0 || spec.wantedLoadBalancerIp !== null;
}

const isOpen = ({ spec, conflict }: Pool): boolean => !spec.disabled && conflict === null;

function selects({ spec: { selector } }: Pool, { labels, namespace, name }: ServiceSpec): boolean {
  if (selector === null) return true;
  const own = { "io.kubernetes.service.namespace": namespace, "io.kubernetes.service.name": name };
  return matchesLabels(selector, new LabelSet({ ...labels, ...own }));
}

const has = ({ spec }: Pool, address: Address): boolean => spec.ranges.some((range) => isIn(range, address));

function isIn({ family, first, last }: AddressRange, address: Address): boolean {
  if (address.family !== family) return false;
  const value = addressToBigInt(address);
  return value >= first && value <= last;
}

const crosses = (a: AddressRange, b: AddressRange): boolean =>
  a.family === b.family && a.first <= b.last && b.first <= a.last;

function overlap(a: AddressPoolSpec, b: AddressPoolSpec): boolean {
  return a.ranges.some((range) => b.ranges.some((other) => crosses(range, other)));
}

function overlapsItself({ ranges }: AddressPoolSpec): boolean {
  return ranges.some((range, at) => ranges.slice(at + 1).some((other) => crosses(range, other)));
}

/** As Cilium has it: the same key, namespaces that allow each other, ports apart, backends that do not depend on whose packet it is. */
function canShare(a: ServiceSpec, b: ServiceSpec): boolean {
  if (a.loadBalancer.sharingKey === "" || a.loadBalancer.sharingKey !== b.loadBalancer.sharingKey) return false;
  if (a.namespace !== b.namespace && !(allows(a, b.namespace) && allows(b, a.namespace))) return false;
  const isSamePort = a.ports.some(({ port, protocol }) =>
    b.ports.some((other) => other.port === port && other.protocol === protocol),
  );
  if (isSamePort || a.externalLocal !== b.externalLocal) return false;
  return !a.externalLocal || sameSelector(a.selector, b.selector);
}

function allows({ loadBalancer: { sharingNamespaces } }: ServiceSpec, namespace: string): boolean {
  return sharingNamespaces.includes(namespace) || sharingNamespaces.includes(EVERY_NAMESPACE);
}

function sameSelector(a: ServiceSpec["selector"], b: ServiceSpec["selector"]): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

/** What has no time is younger than all that has one. */
const ageOf = ({ created }: { readonly created: string }, name: string): string => `${created || "~"} ${name}`;
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const compareAge = (a: AddressPoolSpec, b: AddressPoolSpec): number => compareText(ageOf(a, a.name), ageOf(b, b.name));

function problem(spec: ServiceSpec, code: Diagnostic["code"], message: string): Diagnostic {
  return { code, severity: "warning", message, span: spec.span };
}
