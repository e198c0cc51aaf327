/**
 * @module
 * A network namespace as the machine's interface shows it, over rtnetlink.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  type ConnectedSocket,
  type Interface,
  type Namespace,
  type NetkitOptions,
  type Neighbour,
  type Route,
  TUNNEL_PORTS,
  type TunnelOptions,
  type WayWatch,
} from "@skep/machine";
import { type Address, fromMappedBytes, type Mac, mappedBytes, type Prefix } from "@skep/net";
import { NotSupportedError } from "../bpf/not-supported.ts";
import { needCapability } from "./privilege.ts";
import {
  addAddress,
  addRoute,
  changeLink,
  changesOf,
  createLink,
  deleteLink,
  deleteRoute,
  destroySocket,
  findLink,
  type LinkInfo,
  listAddresses,
  listLinks,
  listNeighbours,
  listRoutes,
  listSockets,
  neighbourStates,
  NetlinkSocket,
  protocols,
  type RouteInfo,
  type RouteSpec,
  type SocketState,
  scopes,
  setNeighbour,
  tables,
  UnknownLinkTypeError,
} from "../netlink/index.ts";
import { AF, inNamespace, openNamespaceFile, openSocket, SO, SOCK, socketOption, SOL } from "../sys/index.ts";

export function toInterface(link: LinkInfo): Interface {
  const isPair = link.kind === "veth" || link.kind === "netkit";
  return {
    index: link.index,
    name: link.name,
    mac: link.mac,
    mtu: link.mtu,
    up: link.up,
    ...(isPair && link.link !== undefined ? { peerIndex: link.link } : {}),
    ...(link.kind === undefined ? {} : { kind: link.kind }),
  };
}

const scopeNames = new Map<number, NonNullable<Route["scope"]>>([
  [scopes.universe, "universe"],
  [scopes.link, "link"],
  [scopes.host, "host"],
]);

/** States of a neighbour whose MAC address packets are sent to (include/net/neighbour.h: NUD_VALID without NUD_NOARP). */
const { reachable, stale, delay, probe, permanent } = neighbourStates;
const KNOWN = reachable | stale | delay | probe | permanent;

/** Of connections that somebody waits at; of a datagram socket the first alone. */
const CONNECTED: readonly SocketState[] = ["established", "synSent", "closeWait"];

function toRoute(route: RouteInfo): Route {
  const scope = scopeNames.get(route.scope);
  return {
    destination: route.destination,
    interface: route.interface,
    ...(route.gateway ? { gateway: route.gateway } : {}),
    ...(scope ? { scope } : {}),
    ...(route.source ? { source: route.source } : {}),
    ...(route.mtu === undefined ? {} : { mtu: route.mtu }),
  };
}

function toSpec(route: Route): RouteSpec {
  const { scope, ...rest } = route;
  return scope === undefined ? rest : { ...rest, scope: scopes[scope] };
}

/** `net/ipv4/ip_forward` to its file; names with dots are interface names, not separators. */
function sysctlPath(name: string): string {
  if (name.startsWith("/") || name.split("/").some((part) => part === "" || part === "." || part === ".."))
    throw new RangeError(`${JSON.stringify(name)} is no sysctl name`);
  return `/proc/sys/${name}`;
}

/** Every call enters the namespace and comes back before it returns; nothing keeps the namespace alive between calls. */
export class LinuxNamespace implements Namespace {
  readonly name: string;
  readonly path: string;
  readonly #isCurrent: boolean;
  #cookie: bigint | undefined;

  /** `isCurrent`: the thread lives in it, so that entering needs no privilege. */
  constructor(name: string, path: string, options: { readonly isCurrent?: boolean } = {}) {
    this.name = name;
    this.path = path;
    this.#isCurrent = options.isCurrent ?? false;
  }

  /** Runs `use` inside. It must be synchronous. Throws `MissingCapabilityError` without CAP_SYS_ADMIN, unless the thread lives there. */
  run<T>(use: () => T): T {
    if (this.#isCurrent) return use();
    needCapability(`entering namespace ${this.name}`, "CAP_SYS_ADMIN");
    return inNamespace(this.path, use);
  }

  /** Runs `use` with a socket of the namespace. */
  netlink<T>(use: (socket: NetlinkSocket) => T): T {
    const socket = this.run(() => NetlinkSocket.open());
    try {
      return use(socket);
    } finally {
      socket.close();
    }
  }

  /** As `netlink`, for what changes the namespace. Throws `MissingCapabilityError` without CAP_NET_ADMIN. */
  #change<T>(what: string, use: (socket: NetlinkSocket) => T): T {
    needCapability(`${what} in namespace ${this.name}`, "CAP_NET_ADMIN");
    return this.netlink(use);
  }

  get cookie(): bigint {
    this.#cookie ??= this.run(readCookie);
    return this.#cookie;
  }

  interfaces(): Interface[] {
    return this.netlink((socket) => listLinks(socket).map(toInterface));
  }

  interface(name: string): Interface | null {
    return this.netlink((socket) => {
      const link = findLink(socket, name);
      return link && toInterface(link);
    });
  }

  createVeth(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string; readonly mac?: Mac },
    options: { readonly mac?: Mac; readonly mtu?: number } = {},
  ): { host: Interface; peer: Interface } {
    const target = openNamespaceFile(peer.namespace.path);
    try {
      const { mtu } = options;
      const peerOptions = { name: peer.name, mtu, mac: peer.mac, namespaceFd: target.fd };
      this.#change("making a veth", (socket) =>
        createLink(socket, defined({ kind: "veth", name, ...options, peer: defined(peerOptions) })),
      );
    } finally {
      target.close();
    }
    return { host: existing(this, name), peer: existing(peer.namespace, peer.name) };
  }

  createNetkit(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string },
    { mode, mtu }: NetkitOptions,
  ): { host: Interface; peer: Interface } {
    const target = openNamespaceFile(peer.namespace.path);
    // What the host sends is judged before it gets to the device (tcx), what the workload sends at the device.
    const pair = { mode, policy: "pass", peerPolicy: "drop" } as const;
    try {
      this.#change("making a netkit", (socket) => {
        const end = defined({ name: peer.name, mtu, namespaceFd: target.fd });
        createLink(socket, { ...defined({ name, mtu }), kind: "netkit-pair", pair, peer: end });
      });
    } catch (cause) {
      if (!(cause instanceof UnknownLinkTypeError)) throw cause;
      throw new NotSupportedError("links of type netkit", {
        minKernel: "6.7",
        detail: "built with CONFIG_NETKIT",
        cause,
      });
    } finally {
      target.close();
    }
    return { host: existing(this, name), peer: existing(peer.namespace, peer.name) };
  }

  createTunnel(name: string, options: TunnelOptions): Interface {
    const { protocol, port = TUNNEL_PORTS[protocol], mac, mtu } = options;
    this.#change(`making a ${protocol} device`, (socket) => {
      const link = defined({ name, mac, mtu });
      if (protocol === "vxlan")
        createLink(socket, { ...link, kind: protocol, data: { collectMetadata: 1, port, learning: 0 } });
      else createLink(socket, { ...link, kind: protocol, data: { collectMetadata: true, port } });
    });
    return existing(this, name);
  }

  deleteInterface(name: string): boolean {
    return this.#change("deleting an interface", (socket) => deleteLink(socket, name));
  }

  setUp(index: number, up: boolean): void {
    this.#change("changing an interface", (socket) => changeLink(socket, index, { up }));
  }

  addAddress(index: number, prefix: Prefix): void {
    this.#change("adding an address", (socket) => addAddress(socket, { index, prefix }));
  }

  addresses(): { readonly index: number; readonly prefix: Prefix }[] {
    return this.netlink((socket) => listAddresses(socket).map(({ index, prefix }) => ({ index, prefix })));
  }

  addRoute(route: Route): void {
    this.#change("adding a route", (socket) => addRoute(socket, toSpec(route)));
  }

  deleteRoute(route: Route): boolean {
    return this.#change("deleting a route", (socket) => deleteRoute(socket, toSpec(route)));
  }

  /** Of the main table. */
  routes(): Route[] {
    return this.netlink((socket) => listRoutes(socket, { table: tables.main }).map(toRoute));
  }

  addNeighbour(index: number, address: Address, mac: Mac): void {
    this.#change("adding a neighbour", (socket) => setNeighbour(socket, { index, address, mac }));
  }

  neighbours(): Neighbour[] {
    return this.netlink((socket) =>
      listNeighbours(socket).flatMap(({ index, address, mac, state }) =>
        address && mac?.length === 6 && (state & KNOWN) !== 0 ? [{ index, address, mac }] : [],
      ),
    );
  }

  /** Keeps the namespace alive until it is closed. */
  watchWays(): WayWatch {
    const socket = this.run(() => changesOf(["links", "routes", "neighbours"]));
    return { changed: () => socket.discard(), close: () => socket.close() };
  }

  // /proc/sys/net shows the namespace of the task that opens the file (net/sysctl_net.c): this thread's.
  setSysctl(name: string, value: string): void {
    const path = sysctlPath(name);
    this.run(() => writeFileSync(path, value));
  }

  getSysctl(name: string): string {
    const path = sysctlPath(name);
    return this.run(() => readFileSync(path, "utf8").trim());
  }

  endSockets(protocol: ConnectedSocket["protocol"], isMeant: (socket: ConnectedSocket) => boolean): number {
    needCapability(`ending sockets in namespace ${this.name}`, "CAP_NET_ADMIN");
    const diagnosis = this.run(() => NetlinkSocket.open(protocols.sockDiag));
    try {
      const states = protocol === "udp" ? CONNECTED.slice(0, 1) : CONNECTED;
      return listSockets(diagnosis, { protocol, states }).filter((each) => {
        const peer = fromMappedBytes(mappedBytes(each.destination));
        if (!isMeant({ protocol, cookie: each.cookie, peer, peerPort: each.destinationPort })) return false;
        return destroySocket(diagnosis, each);
      }).length;
    } finally {
      diagnosis.close();
    }
  }
}

/** Drops undefined properties: `exactOptionalPropertyTypes` at the edge of the interface. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

function existing(namespace: Namespace, name: string): Interface {
  const found = namespace.interface(name);
  if (!found) throw new Error(`interface ${name} of namespace ${namespace.name} went away while it was made`);
  return found;
}

function readCookie(): bigint {
  const socket = openSocket(AF.INET, SOCK.DGRAM);
  try {
    const bytes = socketOption(socket.fd, { level: SOL.SOCKET, option: SO.NETNS_COOKIE }, 8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  } finally {
    socket.close();
  }
}
