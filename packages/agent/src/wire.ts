/**
 * @module
 * A workload's wire: its namespace, the veth between it and the host, address and routes. Neighbours are static on both sides, so that
 * nothing is asked and nobody can answer for another.
 */
import type { Machine, Namespace, NetkitOptions } from "@skep/machine";
import { type Address, formatAddress, type Mac } from "@skep/net";

export const WORKLOAD_INTERFACE = "eth0";

const HOST_INTERFACE = "skep_host";
const HOST_PEER = "skep_net";

export interface Wire {
  readonly netns: string;
  readonly netnsPath: string;
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  readonly peerIndex: number;
  readonly mac: Mac;
  readonly hostMac: Mac;
}

const hostPrefix = (address: Address): { address: Address; length: number } => ({
  address,
  length: address.family === 4 ? 32 : 128,
});

/** Cilium's `--datapath-mode`; `netkit` is layer 3. */
export type DatapathMode = "veth" | "netkit" | "netkit-l2" | "auto";

/** The kernel has not what workloads' devices were to be. */
export class DatapathModeError extends Error {
  override readonly name = "DatapathModeError";
}

const PROBE = "skep_probe";

/** How workloads' devices are made; null: as veths. Throws DatapathModeError where the machine has no such devices. */
export function netkitMode(machine: Machine, mode: DatapathMode): NetkitOptions["mode"] | null {
  if (mode === "veth") return null;
  const wanted = mode === "netkit-l2" ? "l2" : "l3";
  const { host } = machine.net;
  try {
    host.deleteInterface(PROBE);
    host.createNetkit(PROBE, { namespace: host, name: `${PROBE}1` }, { mode: wanted });
    host.deleteInterface(PROBE);
    return wanted;
  } catch (cause) {
    if (!(cause instanceof Error) || cause.name !== "NotSupportedError") throw cause;
    if (mode === "auto") return null;
    throw new DatapathModeError(
      `--datapath-mode ${mode}: ${cause.message}; veth works on every kernel, and auto takes what there is`,
      {
        cause,
      },
    );
  }
}

/** Made with both ends down: nothing passes before the programs are attached. */
export function createWire(
  machine: Machine,
  options: { id: number; netns: string; mtu?: number; ipv6?: boolean; netkit?: NetkitOptions["mode"] | null },
): Wire {
  const { net } = machine;
  // What a dead agent left under this name belongs to nobody.
  if (net.openNamespace(options.netns)) net.deleteNamespace(options.netns);
  const namespace = net.createNamespace(options.netns);
  const interfaceName = `skep${options.id}`;
  try {
    if (options.ipv6 !== true)
      for (const scope of ["all", "default"]) namespace.setSysctl(`net/ipv6/conf/${scope}/disable_ipv6`, "1");
    net.host.deleteInterface(interfaceName);
    const far = { namespace, name: WORKLOAD_INTERFACE };
    const mtu = options.mtu ? { mtu: options.mtu } : {};
    const { host, peer } = options.netkit
      ? net.host.createNetkit(interfaceName, far, { mode: options.netkit, ...mtu })
      : net.host.createVeth(interfaceName, far, mtu);
    if (options.ipv6 === true) {
      quietIpv6(namespace, WORKLOAD_INTERFACE);
      quietIpv6(net.host, interfaceName);
    } else net.host.setSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, "1");
    acceptServices(machine, interfaceName);
    return {
      netns: options.netns,
      netnsPath: namespace.path,
      interfaceName,
      interfaceIndex: host.index,
      peerIndex: peer.index,
      mac: peer.mac,
      hostMac: host.mac,
    };
  } catch (error) {
    net.deleteNamespace(options.netns);
    throw error;
  }
}

/**
 * Addresses and neighbours are given: nothing is solicited, advertised or probed for (Documentation/networking/ip-sysctl.rst), and an address
 * is good at once.
 */
function quietIpv6(namespace: Namespace, name: string): void {
  const settings = { accept_ra: "0", accept_dad: "0", router_solicitations: "0", addr_gen_mode: "1" };
  namespace.setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "0");
  for (const [key, value] of Object.entries(settings)) namespace.setSysctl(`net/ipv6/conf/${name}/${key}`, value);
}

/**
 * A workload's answer to a node port is the host's own when the kernel gets it from the wire, and goes on for all that (net/ipv4/fib_frontend.c:
 * __fib_validate_source). Whose packets are whose is seen to by the programs at the wire.
 */
export function acceptServices({ net }: Machine, interfaceName: string): void {
  net.host.setSysctl(`net/ipv4/conf/${interfaceName}/accept_local`, "1");
  net.host.setSysctl(`net/ipv4/conf/${interfaceName}/rp_filter`, "0");
}

/** An address of a workload, and the host's in the same family. */
export interface WireAddress {
  readonly address: Address;
  readonly gateway: Address;
}

/** The last step: from here on packets flow, through programs that are in force. */
export function raiseWire(machine: Machine, wire: Wire, addresses: readonly WireAddress[]): void {
  const namespace = machine.net.openNamespace(wire.netns);
  if (!namespace) throw new Error(`the namespace ${wire.netns} is gone`);
  machine.net.host.setUp(wire.interfaceIndex, true);
  namespace.setUp(wire.peerIndex, true);
  for (const each of addresses) addressWire(machine, { wire, namespace, ...each });
}

function addressWire(machine: Machine, options: { wire: Wire; namespace: Namespace } & WireAddress): void {
  const { wire, namespace, address, gateway } = options;
  namespace.addAddress(wire.peerIndex, hostPrefix(address));
  namespace.addNeighbour(wire.peerIndex, gateway, wire.hostMac);
  namespace.addRoute({ destination: hostPrefix(gateway), interface: wire.peerIndex, scope: "link" });
  const any = { address: { family: address.family, bytes: new Uint8Array(address.bytes.length) }, length: 0 };
  namespace.addRoute({ destination: any, gateway, interface: wire.peerIndex, source: address });
  machine.net.host.addNeighbour(wire.interfaceIndex, address, wire.mac);
  machine.net.host.addRoute({
    destination: hostPrefix(address),
    interface: wire.interfaceIndex,
    scope: "link",
    source: gateway,
  });
}

export function removeWire(machine: Machine, wire: { netns: string; interfaceName: string }): void {
  machine.net.host.deleteInterface(wire.interfaceName);
  if (machine.net.openNamespace(wire.netns)) machine.net.deleteNamespace(wire.netns);
}

/** Still as it was recorded: the namespace is there, and the interface is the same one. */
export function wireStands(
  machine: Machine,
  wire: { netns: string; interfaceName: string; interfaceIndex: number },
): boolean {
  const found = machine.net.host.interface(wire.interfaceName);
  return found !== null && found.index === wire.interfaceIndex && machine.net.openNamespace(wire.netns) !== null;
}

/** The host's own foot in the pod network: a pair whose end carries the gateway's address, as Cilium's `cilium_host` does. */
export function createGateway(machine: Machine, gateways: readonly Address[]): void {
  const host: Namespace = machine.net.host;
  if (!host.interface(HOST_INTERFACE)) host.createVeth(HOST_INTERFACE, { namespace: host, name: HOST_PEER });
  for (const name of [HOST_INTERFACE, HOST_PEER]) {
    const found = host.interface(name);
    if (!found) throw new Error(`the interface ${name} is gone`);
    if (gateways.some(({ family }) => family === 6)) quietIpv6(host, name);
    else host.setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "1");
    host.setUp(found.index, true);
    if (name !== HOST_INTERFACE) continue;
    for (const gateway of gateways)
      if (!hasAddress(host, found.index, gateway)) host.addAddress(found.index, hostPrefix(gateway));
  }
}

function hasAddress(host: Namespace, index: number, address: Address): boolean {
  const text = formatAddress(address);
  return host.addresses().some((each) => each.index === index && formatAddress(each.prefix.address) === text);
}
