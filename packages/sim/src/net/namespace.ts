/**
 * @module
 * A network namespace: interfaces, addresses, routes, neighbours and settings, with a stack and sockets.
 */
import {
  type ConnectedSocket,
  type Interface,
  type Namespace,
  type Neighbour,
  type NetkitOptions,
  type Route,
  TUNNEL_PORTS,
  type TunnelOptions,
  type WayWatch,
} from "@skep/machine";
import {
  type Address,
  formatAddress,
  formatPrefix,
  type Mac,
  networkOf,
  type Prefix,
  prefixContains,
  sameAddress,
} from "@skep/net";
import { SimError } from "../error.ts";
import { HookList } from "../bpf/hooks.ts";
import { Device } from "./device.ts";
import type { SimNetwork } from "./network.ts";
import { Stack } from "./stack.ts";

const DEFAULT_MTU = 1500;
const LOOPBACK_MTU = 65_536;
const TUNNEL_MTU = 1450;
const NAME_BYTES = 15;

export class SimNamespace implements Namespace {
  readonly name: string;
  readonly path: string;
  readonly cookie: bigint;
  readonly network: SimNetwork;
  readonly stack: Stack;
  /** Programs that choose sockets. */
  readonly skLookup = new HookList();
  readonly #devices = new Map<number, Device>();
  readonly #addresses: { readonly index: number; readonly prefix: Prefix }[] = [];
  readonly #routes: Route[] = [];
  readonly #neighbours = new Map<string, Neighbour>();
  readonly #sysctls = new Map<string, string>();
  #lastIndex = 0;

  constructor(network: SimNetwork, options: { readonly name: string; readonly path: string; readonly cookie: bigint }) {
    this.network = network;
    this.name = options.name;
    this.path = options.path;
    this.cookie = options.cookie;
    const lo = this.#add({ name: "lo", mac: new Uint8Array(6), mtu: LOOPBACK_MTU, kind: "loopback" });
    lo.up = true;
    this.#addresses.push(
      { index: lo.index, prefix: { address: { family: 4, bytes: Uint8Array.of(127, 0, 0, 1) }, length: 8 } },
      { index: lo.index, prefix: { address: { family: 6, bytes: loopback6() }, length: 128 } },
    );
    this.stack = new Stack(this);
  }

  #add(options: { name: string; mac: Mac; mtu: number; kind: Device["kind"]; tunnelPort?: number }): Device {
    const device = new Device(this, { index: this.#freeIndex(), ...options });
    this.#devices.set(device.index, device);
    return device;
  }

  /** Numbers are the machine's, so that an interface is named by its number alone; `lo` is 1 everywhere. */
  #freeIndex(): number {
    this.#lastIndex = this.#lastIndex === 0 ? 1 : this.network.nextIndex();
    return this.#lastIndex;
  }

  // ---- interfaces ----

  interfaces(): Interface[] {
    return [...this.#devices.values()].map(({ info }) => info);
  }

  interface(name: string): Interface | null {
    return this.deviceByName(name)?.info ?? null;
  }

  deviceByName(name: string): Device | null {
    return [...this.#devices.values()].find((device) => device.name === name) ?? null;
  }

  device(index: number): Device | null {
    return this.#devices.get(index) ?? null;
  }

  #existing(index: number, what: string): Device {
    const device = this.#devices.get(index);
    if (!device) throw new SimError("ENODEV", `${what} interface ${index} of ${this.name}`);
    return device;
  }

  /**
   * A device whose packets carry their tunnel with them (`ip link add NAME type vxlan external`), down. `mtu`: default 1450. Throws
   * EEXIST where the name or the port is taken.
   */
  createTunnel(name: string, { protocol, port, mac, mtu }: TunnelOptions): Interface {
    const tunnelPort = port ?? TUNNEL_PORTS[protocol];
    this.#checkName(name);
    if (this.tunnelAt(tunnelPort)) throw new SimError("EEXIST", `a tunnel at UDP port ${tunnelPort}`);
    const own = mac ?? this.network.randomMac();
    return this.#add({ name, mac: own, mtu: mtu ?? TUNNEL_MTU, kind: protocol, tunnelPort }).info;
  }

  /** The tunnel's device that takes datagrams of the port. */
  tunnelAt(port: number): Device | null {
    return [...this.#devices.values()].find(({ tunnelPort }) => tunnelPort === port) ?? null;
  }

  #checkName(name: string): void {
    if (name.length === 0 || name.length > NAME_BYTES || /[/\s]/.test(name))
      throw new SimError("EINVAL", `${JSON.stringify(name)} names no interface`);
    if (this.deviceByName(name)) throw new SimError("EEXIST", `interface ${name} of ${this.name}`);
  }

  createVeth(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string; readonly mac?: Mac },
    options: { readonly mac?: Mac; readonly mtu?: number } = {},
  ): { host: Interface; peer: Interface } {
    const other = this.network.namespaceOf(peer.namespace);
    for (const [space, each] of [
      [this, name],
      [other, peer.name],
    ] as const)
      space.#checkName(each);
    const mtu = options.mtu ?? DEFAULT_MTU;
    const near = this.#add({ name, mac: options.mac ?? this.network.randomMac(), mtu, kind: "veth" });
    const far = other.#add({ name: peer.name, mac: peer.mac ?? this.network.randomMac(), mtu, kind: "veth" });
    near.peer = far;
    far.peer = near;
    return { host: near.info, peer: far.info };
  }

  createNetkit(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string },
    { mode, mtu = DEFAULT_MTU }: NetkitOptions,
  ): { host: Interface; peer: Interface } {
    const other = this.network.namespaceOf(peer.namespace);
    this.#checkName(name);
    other.#checkName(peer.name);
    const macOf = (): Mac => (mode === "l2" ? this.network.randomMac() : new Uint8Array(6));
    const near = this.#add({ name, mac: macOf(), mtu, kind: "netkit" });
    const far = other.#add({ name: peer.name, mac: macOf(), mtu, kind: "netkit" });
    near.peer = far;
    far.peer = near;
    near.netkit = { list: new HookList(), isPrimary: true, policy: "pass" };
    far.netkit = { list: new HookList(), isPrimary: false, policy: "drop" };
    return { host: near.info, peer: far.info };
  }

  deleteInterface(name: string): boolean {
    const device = this.deviceByName(name);
    if (!device || device.kind === "loopback") return false;
    const { peer } = device;
    this.#remove(device);
    if (peer) peer.namespace.#remove(peer);
    return true;
  }

  #remove(device: Device): void {
    device.clear();
    device.up = false;
    this.#devices.delete(device.index);
    this.#forget(device.index);
  }

  /** Addresses, routes and neighbours of an interface that is gone. */
  #forget(index: number): void {
    retain(this.#addresses, (each) => each.index !== index);
    retain(this.#routes, (each) => each.interface !== index);
    for (const key of this.#neighbours.keys()) if (key.startsWith(`${index} `)) this.#neighbours.delete(key);
  }

  setUp(index: number, up: boolean): void {
    const device = this.#existing(index, "changing");
    if (device.up === up) return;
    device.up = up;
    // fib_disable_ip: routes over an interface go down with it.
    if (!up) retain(this.#routes, (each) => each.interface !== index);
  }

  // ---- addresses and routes ----

  addAddress(index: number, prefix: Prefix): void {
    const device = this.#existing(index, "giving an address to");
    const text = formatAddress(prefix.address);
    if (this.#addresses.some((each) => each.index === index && formatAddress(each.prefix.address) === text))
      throw new SimError("EEXIST", `address ${text} of ${device.name}`);
    this.#addresses.push({ index, prefix });
  }

  addresses(): { readonly index: number; readonly prefix: Prefix }[] {
    return [...this.#addresses];
  }

  /** Whether packets for the address end here. */
  isOwn(address: Address): boolean {
    if (address.family === 4 && address.bytes[0] === 127) return true;
    return this.#addresses.some(({ prefix }) => sameAddress(prefix.address, address));
  }

  addressesOf(index: number, family: 4 | 6): Address[] {
    return this.#addresses
      .filter((each) => each.index === index && each.prefix.address.family === family)
      .map(({ prefix }) => prefix.address);
  }

  addRoute(route: Route): void {
    const device = this.#existing(route.interface, "routing over");
    if (!device.up) throw new SimError("ENETDOWN", `routing over ${device.name}`);
    const same = (each: Route): boolean => formatPrefix(each.destination) === formatPrefix(route.destination);
    if (this.#routes.some(same)) throw new SimError("EEXIST", `route to ${formatPrefix(route.destination)}`);
    this.#routes.push(route);
  }

  deleteRoute(route: Route): boolean {
    const at = this.#routes.findIndex(
      (each) =>
        formatPrefix(each.destination) === formatPrefix(route.destination) && each.interface === route.interface,
    );
    if (at < 0) return false;
    this.#routes.splice(at, 1);
    return true;
  }

  /** Those that were added, and one for each prefix of an interface that is up. */
  routes(): Route[] {
    const connected = this.#addresses.flatMap(({ index, prefix }): Route[] => {
      const device = this.#devices.get(index);
      const bits = prefix.address.family === 4 ? 32 : 128;
      if (!device?.up || device.kind === "loopback" || prefix.length === bits) return [];
      return [{ destination: networkOf(prefix), interface: index, scope: "link", source: prefix.address }];
    });
    return [...this.#routes, ...connected];
  }

  /** The route with the longest prefix over an interface that is up. */
  route(destination: Address): Route | null {
    let best: Route | null = null;
    for (const route of this.routes()) {
      if (route.destination.address.family !== destination.family) continue;
      if (!prefixContains(route.destination, destination) || !this.#devices.get(route.interface)?.up) continue;
      if (!best || route.destination.length > best.destination.length) best = route;
    }
    return best;
  }

  // ---- neighbours and settings ----

  addNeighbour(index: number, address: Address, mac: Mac): void {
    this.#existing(index, "a neighbour on");
    this.#neighbours.set(`${index} ${formatAddress(address)}`, { index, address, mac });
  }

  neighbour(index: number, address: Address): Mac | null {
    return this.#neighbours.get(`${index} ${formatAddress(address)}`)?.mac ?? null;
  }

  neighbours(): Neighbour[] {
    return [...this.#neighbours.values()];
  }

  /** A look costs nothing worth sparing. */
  watchWays(): WayWatch {
    return { changed: () => true, close: () => {} };
  }

  setSysctl(name: string, value: string): void {
    if (!/^[\w-]+(\/[\w.@:-]+)+$/.test(name)) throw new RangeError(`${JSON.stringify(name)} is no sysctl name`);
    this.#sysctls.set(name, value);
  }

  sysctl(name: string): string | null {
    return this.#sysctls.get(name) ?? null;
  }

  endSockets(protocol: ConnectedSocket["protocol"], isMeant: (socket: ConnectedSocket) => boolean): number {
    return this.stack[protocol].endConnected(({ cookie, remote }) => {
      return remote !== null && isMeant({ protocol, cookie, peer: remote.address, peerPort: remote.port });
    });
  }

  /** The namespace goes, and with it the far ends of its wires. */
  close(): void {
    for (const { name } of this.interfaces()) this.deleteInterface(name);
    for (const link of [...this.skLookup.links]) link.detach();
    this.stack.close();
  }
}

function loopback6(): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[15] = 1;
  return bytes;
}

function retain<T>(list: T[], keep: (each: T) => boolean): void {
  for (let at = list.length - 1; at >= 0; at--) {
    const each = list[at];
    if (each !== undefined && !keep(each)) list.splice(at, 1);
  }
}
