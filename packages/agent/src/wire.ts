/**
 * @module
 * A workload's wire: its namespace, the veth between it and the host, address and routes. Neighbours are static on both sides, so that
 * nothing is asked and nobody can answer for another.
 */
import type { Machine, Namespace } from "@skep/machine";
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

/** Made with both ends down: nothing passes before the programs are attached. */
export function createWire(machine: Machine, options: { id: number; netns: string; mtu?: number }): Wire {
  const { net } = machine;
  // What a dead agent left under this name belongs to nobody.
  if (net.openNamespace(options.netns)) net.deleteNamespace(options.netns);
  const namespace = net.createNamespace(options.netns);
  const interfaceName = `skep${options.id}`;
  try {
    // The datapath speaks IPv4: silence is better than drops of router solicitations.
    for (const scope of ["all", "default"]) namespace.setSysctl(`net/ipv6/conf/${scope}/disable_ipv6`, "1");
    net.host.deleteInterface(interfaceName);
    const { host, peer } = net.host.createVeth(
      interfaceName,
      { namespace, name: WORKLOAD_INTERFACE },
      options.mtu ? { mtu: options.mtu } : {},
    );
    net.host.setSysctl(`net/ipv6/conf/${interfaceName}/disable_ipv6`, "1");
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

/** The last step: from here on packets flow, through programs that are in force. */
export function raiseWire(machine: Machine, wire: Wire, options: { address: Address; gateway: Address }): void {
  const namespace = machine.net.openNamespace(wire.netns);
  if (!namespace) throw new Error(`the namespace ${wire.netns} is gone`);
  const { address, gateway } = options;
  machine.net.host.setUp(wire.interfaceIndex, true);
  namespace.setUp(wire.peerIndex, true);
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
export function createGateway(machine: Machine, gateway: Address): void {
  const host: Namespace = machine.net.host;
  if (!host.interface(HOST_INTERFACE)) host.createVeth(HOST_INTERFACE, { namespace: host, name: HOST_PEER });
  for (const name of [HOST_INTERFACE, HOST_PEER]) {
    const found = host.interface(name);
    if (!found) throw new Error(`the interface ${name} is gone`);
    host.setSysctl(`net/ipv6/conf/${name}/disable_ipv6`, "1");
    host.setUp(found.index, true);
    if (name === HOST_INTERFACE && !hasAddress(host, found.index, gateway))
      host.addAddress(found.index, hostPrefix(gateway));
  }
}

function hasAddress(host: Namespace, index: number, address: Address): boolean {
  const text = formatAddress(address);
  return host.addresses().some((each) => each.index === index && formatAddress(each.prefix.address) === text);
}
