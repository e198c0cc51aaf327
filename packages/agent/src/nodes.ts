/**
 * @module
 * The ways to other nodes' workloads: routes to their addresses, over the nodes themselves or into the overlay's device.
 */
import type { NodeRow } from "@skep/control";
import { type Machine, type Route, TUNNEL_PORTS, type TunnelProtocol } from "@skep/machine";
import { type Address, addressAt, formatAddress, formatPrefix, hostPrefix, type Mac, prefixContains } from "@skep/net";

const TUNNELS: readonly TunnelProtocol[] = ["vxlan", "geneve"];
const overlayName = (protocol: TunnelProtocol): string => `skep_${protocol}`;
/** The same on every node: what comes out of a tunnel is always addressed rightly (bpf/overlay.bpf.ts). */
const OVERLAY_MAC: Mac = Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 0x01);
/** Bytes that a tunnel puts in front: Ethernet, IP, UDP and its own header of eight, whether VXLAN or Geneve. */
const OVERHEAD = { 4: 50, 6: 70 } as const;
const DEFAULT_MTU = 1500;

/** The largest packet that gets to other nodes whole. */
export function innerMtu(machine: Machine, devices: readonly string[], tunnelFamily: 4 | 6 | null): number {
  const own = devices.flatMap((name) => machine.net.host.interface(name)?.mtu ?? []);
  const mtu = Math.min(DEFAULT_MTU, ...own);
  return tunnelFamily === null ? mtu : mtu - OVERHEAD[tunnelFamily];
}

export interface Overlay {
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  /** Of UDP. */
  readonly port: number;
  readonly mtu: number;
}

/** The device of all tunnels; one that an earlier agent made is taken over, unless it is the other protocol's. */
export function openOverlay(machine: Machine, protocol: TunnelProtocol, mtu: number): Overlay {
  const { host } = machine.net;
  const interfaceName = overlayName(protocol);
  for (const other of TUNNELS) if (other !== protocol) host.deleteInterface(overlayName(other));
  const port = TUNNEL_PORTS[protocol];
  const found =
    host.interface(interfaceName) ?? host.createTunnel(interfaceName, { protocol, port, mac: OVERLAY_MAC, mtu });
  for (const [key, value] of Object.entries({ accept_ra: "0", accept_dad: "0", addr_gen_mode: "1" }))
    host.setSysctl(`net/ipv6/conf/${interfaceName}/${key}`, value);
  return { interfaceName, interfaceIndex: found.index, port, mtu };
}

interface Wanted {
  readonly route: Route;
  /** A neighbour that is to be known first. */
  readonly neighbour?: Address;
}

const keyOf = ({ destination, interface: index, gateway }: Route): string =>
  `${formatPrefix(destination)} ${index} ${gateway ? formatAddress(gateway) : ""}`;

/** Keeps the host's routes to other nodes' workloads. */
export class NodeRoutes {
  readonly #machine: Machine;
  readonly #overlay: number | null;
  readonly #gateways: readonly Address[];
  readonly #own = new Map<string, Route>();

  /** `overlay`: number of the overlay's device; null: over the nodes themselves. `gateways`: the host's addresses in the pods' prefixes. */
  constructor(machine: Machine, options: { readonly overlay: number | null; readonly gateways: readonly Address[] }) {
    this.#machine = machine;
    this.#overlay = options.overlay;
    this.#gateways = options.gateways;
  }

  /** Whether a route has come or gone. Throws where a node is out of reach; the routes to the others stand. */
  sync(nodes: readonly NodeRow[]): boolean {
    let changed = false;
    // A host has a route for each workload: they are not read where there is no other node.
    if (nodes.length === 0 && this.#own.size === 0) return false;
    const { host } = this.#machine.net;
    const problems: string[] = [];
    const wanted = nodes.flatMap((node) =>
      this.#overlay === null ? this.#direct(node, problems) : this.#tunnelled(node),
    );
    const present = new Set(host.routes().map(keyOf));
    const keys = new Set(wanted.map(({ route }) => keyOf(route)));
    for (const [key, route] of this.#own) {
      if (keys.has(key)) continue;
      host.deleteRoute(route);
      this.#own.delete(key);
      changed = true;
    }
    for (const { route, neighbour } of wanted) {
      const key = keyOf(route);
      if (neighbour) host.addNeighbour(route.interface, neighbour, OVERLAY_MAC);
      if (!present.has(key)) host.addRoute(route);
      changed ||= !present.has(key);
      this.#own.set(key, route);
    }
    if (problems.length > 0) throw new Error(problems.join("; "));
    return changed;
  }

  #direct(node: NodeRow, problems: string[]): Wanted[] {
    const routes = this.#machine.net.host.routes();
    return node.podCidrs.flatMap((destination): Wanted[] => {
      const gateway = node.addresses.find(({ family }) => family === destination.address.family);
      if (!gateway) return [];
      const [way] = routes
        .filter(({ destination: to }) => to.address.family === gateway.family && prefixContains(to, gateway))
        .sort((a, b) => b.destination.length - a.destination.length);
      if (!way || way.gateway) {
        problems.push(`${node.name} (${formatAddress(gateway)}) is no neighbour: native routing needs a route there`);
        return [];
      }
      return [{ route: { destination, gateway, interface: way.interface } }];
    });
  }

  #tunnelled(node: NodeRow): Wanted[] {
    const device = this.#overlay ?? 0;
    return node.podCidrs.flatMap((destination): Wanted[] => {
      const gateway = addressAt(destination, 1n);
      const source = this.#gateways.find(({ family }) => family === destination.address.family);
      if (!gateway || !source) return [];
      return [
        { route: { destination: hostPrefix(gateway), interface: device, scope: "link", source }, neighbour: gateway },
        { route: { destination, gateway, interface: device, source } },
      ];
    });
  }
}
