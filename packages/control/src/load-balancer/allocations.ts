/**
 * @module
 * What a Kubernetes control plane gives services that ask for it, where there is none: cluster addresses, node ports, load balancer addresses.
 */
import { type Address, formatAddress, parseAddress, prefixContains } from "@skep/net";
import type { AddressPool } from "../addresses.ts";
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
  readonly #pool: AddressPool;
  readonly #range: readonly [first: number, last: number];
  /** Addresses given, by service; those of the pool that services name themselves are taken too. */
  readonly #given = new Map<string, Address>();
  readonly #claimed = new Map<string, readonly Address[]>();
  /** By `namespace/name/port/protocol`. */
  readonly #nodePorts = new Map<string, number>();
  readonly #portUsers = new Map<string, Set<string>>();

  constructor(pool: AddressPool, range: readonly [first: number, last: number]) {
    this.#pool = pool;
    this.#range = range;
  }

  /** The service with everything that it asks for. Throws AddressesExhaustedError and NodePortsExhaustedError. */
  complete(spec: ServiceSpec): ServiceSpec {
    if (spec.type === "ExternalName") return spec;
    const clusterIps = this.#clusterIps(spec);
    const ingressIps =
      spec.type === "LoadBalancer" && spec.ingressIps.length === 0 && spec.wantedLoadBalancerIp
        ? [spec.wantedLoadBalancerIp]
        : spec.ingressIps;
    return { ...spec, clusterIps, ingressIps, ports: this.#ports(spec) };
  }

  /** What a service no longer is or has is free again. */
  release(key: string): void {
    const given = this.#given.get(key);
    if (given) this.#pool.release(given);
    this.#given.delete(key);
    for (const address of this.#claimed.get(key) ?? []) this.#pool.release(address);
    this.#claimed.delete(key);
    for (const [name, port] of this.#nodePorts) if (name.startsWith(`${key}/`)) this.#freePort(name, port);
  }

  #clusterIps(spec: ServiceSpec): readonly Address[] {
    const key = objectKey(spec);
    if (spec.headless || spec.clusterIps.length > 0) {
      const given = this.#given.get(key);
      if (given) this.#pool.release(given);
      this.#given.delete(key);
      this.#claim(key, spec.clusterIps);
      return spec.clusterIps;
    }
    const address = this.#given.get(key) ?? this.#pool.allocate();
    this.#given.set(key, address);
    return [address];
  }

  #claim(key: string, addresses: readonly Address[]): void {
    for (const address of this.#claimed.get(key) ?? []) this.#pool.release(address);
    const own = addresses.filter((address) => this.#isFree(address));
    for (const address of own) this.#pool.claim(address);
    this.#claimed.set(key, own);
  }

  #isFree(address: Address): boolean {
    return prefixContains(this.#pool.prefix, address) && !this.#pool.isUsed(address);
  }

  #ports(spec: ServiceSpec): readonly ServicePort[] {
    const asks = spec.type === "NodePort" || (spec.type === "LoadBalancer" && spec.allocateNodePorts);
    const wanted = new Set<string>();
    const ports = spec.ports.map((port) => {
      if (spec.headless || spec.type === "ClusterIP" || (port.nodePort === 0 && !asks)) return port;
      const name = `${objectKey(spec)}/${port.port}/${port.protocol}`;
      wanted.add(name);
      return { ...port, nodePort: this.#nodePort(name, port) };
    });
    for (const [name, port] of this.#nodePorts)
      if (name.startsWith(`${objectKey(spec)}/`) && !wanted.has(name)) this.#freePort(name, port);
    return ports;
  }

  #nodePort(name: string, { nodePort, protocol }: ServicePort): number {
    const known = this.#nodePorts.get(name);
    if (known !== undefined && (nodePort === 0 || nodePort === known)) return known;
    if (known !== undefined) this.#freePort(name, known);
    const port = nodePort === 0 ? this.#freeNodePort(protocol) : nodePort;
    this.#nodePorts.set(name, port);
    const users = this.#portUsers.get(`${port}/${protocol}`) ?? new Set();
    this.#portUsers.set(`${port}/${protocol}`, users.add(name));
    return port;
  }

  #freeNodePort(protocol: number): number {
    const [first, last] = this.#range;
    for (let port = first; port <= last; port++) if (!this.#portUsers.has(`${port}/${protocol}`)) return port;
    throw new NodePortsExhaustedError(`all node ports from ${first} to ${last} are in use`);
  }

  #freePort(name: string, port: number): void {
    this.#nodePorts.delete(name);
    const at = `${port}/${name.slice(name.lastIndexOf("/") + 1)}`;
    const users = this.#portUsers.get(at);
    users?.delete(name);
    if (users?.size === 0) this.#portUsers.delete(at);
  }

  snapshot(): AllocationsSnapshot {
    return {
      addresses: [...this.#given].map(([key, address]) => [key, formatAddress(address)] as const),
      nodePorts: [...this.#nodePorts],
    };
  }

  restore({ addresses, nodePorts = [] }: Partial<AllocationsSnapshot>): void {
    for (const [key, text] of addresses ?? []) {
      const address = parseAddress(text);
      if (!address || !this.#isFree(address)) continue;
      this.#pool.claim(address);
      this.#given.set(key, address);
    }
    for (const [name, port] of nodePorts) {
      this.#nodePorts.set(name, port);
      const at = `${port}/${name.slice(name.lastIndexOf("/") + 1)}`;
      this.#portUsers.set(at, (this.#portUsers.get(at) ?? new Set()).add(name));
    }
  }

  /** All services have been read: what belonged to others is free. */
  retain(keys: ReadonlySet<string>): void {
    const ports = [...this.#nodePorts.keys()].map((name) => name.split("/").slice(0, 2).join("/"));
    for (const key of new Set([...this.#given.keys(), ...ports])) if (!keys.has(key)) this.release(key);
  }
}
