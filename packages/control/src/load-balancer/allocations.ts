/**
 * @module
 * What a Kubernetes control plane gives services that ask for it, where there is none: cluster addresses and node ports.
 */
import { type Address, formatAddress, parseAddress, prefixContains } from "@skep/net";
import type { AddressPool } from "../addresses.ts";
import { ChangeLog } from "../number-changes.ts";
import { objectKey, type ServicePort, type ServiceSpec } from "./spec.ts";

/** Plain JSON. */
export interface AllocationsSnapshot {
  readonly addresses: readonly (readonly [service: string, address: string])[];
  readonly nodePorts: readonly (readonly [port: string, number: number])[];
}

/** All node ports are in use. */
export class NodePortsExhaustedError extends Error {
  override readonly name = "NodePortsExhaustedError";
}

export class Allocations {
  /** Of the snapshot's tables. */
  readonly addressChanges = new ChangeLog();
  readonly nodePortChanges = new ChangeLog();
  readonly #pool: AddressPool;
  readonly #range: readonly [first: number, last: number];
  /** Addresses given, by service; those of the pool that services name themselves are taken too. */
  readonly #given = new Map<string, Address>();
  readonly #claimed = new Map<string, readonly Address[]>();
  /** Services that name an address of the pool which another has. */
  readonly #short = new Set<string>();
  /** By service, then by `port/protocol`. */
  readonly #nodePorts = new Map<string, Map<string, number>>();
  readonly #portUsers = new Map<string, Set<string>>();

  constructor(pool: AddressPool, range: readonly [first: number, last: number]) {
    this.#pool = pool;
    this.#range = range;
  }

  /** The service with everything that it asks for. Throws AddressesExhaustedError and NodePortsExhaustedError. */
  complete(spec: ServiceSpec): ServiceSpec {
    if (spec.type === "ExternalName") return spec;
    const clusterIps = this.#clusterIps(spec);
    const ports = this.#ports(spec);
    const isComplete = clusterIps === spec.clusterIps && ports === spec.ports;
    return isComplete ? spec : { ...spec, clusterIps, ports };
  }

  /** What a service no longer is or has is free again. */
  release(key: string): void {
    this.#giveBack(key);
    for (const address of this.#claimed.get(key) ?? []) this.#pool.release(address);
    this.#claimed.delete(key);
    this.#short.delete(key);
    for (const name of this.#nodePorts.get(key)?.keys() ?? []) this.#freePort(key, name);
  }

  /** An address that it names was another's when it was completed. */
  isShort(key: string): boolean {
    return this.#short.has(key);
  }

  #clusterIps(spec: ServiceSpec): readonly Address[] {
    const key = objectKey(spec);
    if (spec.headless || spec.clusterIps.length > 0) {
      this.#giveBack(key);
      this.#claim(key, spec.clusterIps);
      return spec.clusterIps;
    }
    const known = this.#given.get(key);
    if (known) return [known];
    const address = this.#pool.allocate();
    this.#given.set(key, address);
    this.addressChanges.note(key, formatAddress(address));
    return [address];
  }

  #giveBack(key: string): void {
    const given = this.#given.get(key);
    if (!given) return;
    this.#pool.release(given);
    this.#given.delete(key);
    this.addressChanges.note(key, null);
  }

  #claim(key: string, addresses: readonly Address[]): void {
    for (const address of this.#claimed.get(key) ?? []) this.#pool.release(address);
    const inside = addresses.filter((address) => prefixContains(this.#pool.prefix, address));
    const own = inside.filter((address) => !this.#pool.isUsed(address));
    if (own.length < inside.length) this.#short.add(key);
    else this.#short.delete(key);
    for (const address of own) this.#pool.claim(address);
    if (own.length > 0) this.#claimed.set(key, own.length === addresses.length ? addresses : own);
    else this.#claimed.delete(key);
  }

  #isFree(address: Address): boolean {
    return prefixContains(this.#pool.prefix, address) && !this.#pool.isUsed(address);
  }

  #ports(spec: ServiceSpec): readonly ServicePort[] {
    const key = objectKey(spec);
    const asks = spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateNodePorts);
    const wanted = new Set<string>();
    const ports = spec.ports.map((port) => {
      if (spec.headless || spec.type === "ClusterIP" || (port.nodePort === 0 && !asks)) return port;
      const name = `${port.port}/${port.protocol}`;
      wanted.add(name);
      return { ...port, nodePort: this.#nodePort(key, name, port) };
    });
    for (const name of this.#nodePorts.get(key)?.keys() ?? []) if (!wanted.has(name)) this.#freePort(key, name);
    return wanted.size === 0 ? spec.ports : ports;
  }

  #nodePort(key: string, name: string, { nodePort, protocol }: ServicePort): number {
    const known = this.#nodePorts.get(key)?.get(name);
    if (known !== undefined && (nodePort === 0 || nodePort === known)) return known;
    if (known !== undefined) this.#freePort(key, name);
    const port = nodePort === 0 ? this.#freeNodePort(protocol) : nodePort;
    this.#takePort(key, name, port);
    return port;
  }

  #takePort(key: string, name: string, port: number): void {
    const ports = this.#nodePorts.get(key) ?? new Map<string, number>();
    this.#nodePorts.set(key, ports.set(name, port));
    this.nodePortChanges.note(`${key}/${name}`, port);
    const at = `${port}/${protocolOf(name)}`;
    this.#portUsers.set(at, (this.#portUsers.get(at) ?? new Set<string>()).add(key));
  }

  #freeNodePort(protocol: number): number {
    const [first, last] = this.#range;
    for (let port = first; port <= last; port++) if (!this.#portUsers.has(`${port}/${protocol}`)) return port;
    throw new NodePortsExhaustedError(`all node ports from ${first} to ${last} are in use`);
  }

  #freePort(key: string, name: string): void {
    const ports = this.#nodePorts.get(key);
    const at = `${ports?.get(name) ?? 0}/${protocolOf(name)}`;
    if (ports?.delete(name)) this.nodePortChanges.note(`${key}/${name}`, null);
    if (ports?.size === 0) this.#nodePorts.delete(key);
    const users = this.#portUsers.get(at);
    users?.delete(key);
    if (users?.size === 0) this.#portUsers.delete(at);
  }

  snapshot(): AllocationsSnapshot {
    return {
      addresses: [...this.#given].map(([key, address]) => [key, formatAddress(address)] as const),
      nodePorts: [...this.#nodePorts].flatMap(([key, ports]) =>
        [...ports].map(([name, port]) => [`${key}/${name}`, port] as const),
      ),
    };
  }

  restore({ addresses, nodePorts = [] }: Partial<AllocationsSnapshot>): void {
    for (const [key, text] of addresses ?? []) {
      const address = parseAddress(text);
      if (!address || !this.#isFree(address)) continue;
      this.#pool.claim(address);
      this.#given.set(key, address);
    }
    for (const [path, port] of nodePorts) {
      const [namespace, name, ...rest] = path.split("/");
      this.#takePort(`${namespace ?? ""}/${name ?? ""}`, rest.join("/"), port);
    }
  }

  /** All services have been read: what belonged to others is free. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of [...this.#given.keys(), ...this.#nodePorts.keys()]) if (!keys.has(key)) this.release(key);
  }
}

const protocolOf = (name: string): string => name.slice(name.indexOf("/") + 1);
