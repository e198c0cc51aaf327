/**
 * @module
 * For each drop code that the datapath can raise: the packet that raises it, and the state that it needs.
 */
import { type EgressRow, SERVICE_FLAG } from "@skep/control";
import type { GeneveOption, LayerSpec } from "@skep/net";
import { Connection, ConnectionKey } from "../src/bpf/maps.bpf.ts";
import { Device } from "../src/bpf/device.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import type { DatapathOptions } from "../src/index.ts";
import { NO_ROWS } from "../src/load-balancer.ts";
import { ip } from "./addresses.ts";
import { client, inward, server, up } from "./fixtures.ts";
import { everything, frame, HERE, network, payload, segment, type PacketGround } from "./packet-ground.ts";
import { backend, serviceRows, type ServiceShape } from "./socket-suite.ts";

export const ADDRESSES = {
  4: {
    ...{ pod: "10.9.0.2", local: "10.9.0.3", remote: "10.8.0.3", vip: "10.96.0.1", node: "192.0.2.1" },
    ...{ world: "203.0.113.5", external: "198.51.100.10" },
  },
  6: {
    ...{ pod: "fd00::2", local: "fd00::3", remote: "fd08::3", vip: "fd96::1", node: "2001:db8::1" },
    ...{ world: "2001:db8:5::5", external: "2001:db8:a::10" },
  },
} as const;
export type Ends = (typeof ADDRESSES)[4 | 6];

/** Options and settings of the datapath that a fixture needs: each has a datapath of its own. */
export type Setting = Partial<DatapathOptions> & { readonly config?: Readonly<Record<string, number>> };
export const SETTINGS = {
  plain: {},
  /** One port for all translated flows. */
  narrow: { config: { nat_first_port: 40_000, nat_last_port: 40_000 } },
  paced: { departureTimes: true },
  small: { maxEntries: { skep_ct: 64 } },
  told: { loadBalancer: { maglevSize: 251, dispatch: "geneve" }, config: { lb_dispatch: 2 } },
  /** Of workloads' packets to the world, and between the IP families. */
  gateway: {
    ...{ egressGateway: true, loadBalancer: { maglevSize: 251, nat46x64: "services" }, config: { nat_46x64: 1 } },
  },
} as const satisfies Record<string, Setting>;

export interface Scene {
  readonly ground: PacketGround;
  readonly family: 4 | 6;
  readonly ends: Ends;
}

export interface DropFixture {
  readonly code: number;
  /** What the packet is. */
  readonly packet: string;
  readonly program: string;
  readonly setting?: keyof typeof SETTINGS;
  /** Default both. */
  readonly families?: readonly (4 | 6)[];
  /** Beside two workloads, `client` at the interface of test runs, whose policies allow everything. */
  readonly prepare?: (scene: Scene) => void;
  /** The last one is dropped. */
  readonly frames: (scene: Scene) => readonly Uint8Array[];
  readonly restore?: (scene: Scene) => void;
}

const syn = (ports: readonly [number, number] = [40_000, 80]): LayerSpec => segment("tcp", ports);
const toLocal = ({ ends }: Scene): Uint8Array => frame(up, network(ends.pod, ends.local), syn());
const toWorld = ({ ends }: Scene, port = 40_000): Uint8Array =>
  frame(up, network(ends.pod, ends.world), syn([port, 80]));
const fromWorld = ({ ends }: Scene): Uint8Array => frame(inward, network(ends.world, ends.external), syn());

function cut(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.slice(0, length);
}

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

function serve({ ground }: Scene, shape: Partial<ServiceShape> & Pick<ServiceShape, "at">): void {
  ground.datapath.replaceLoadBalancer(serviceRows({ id: 3, protocol: 6, backends: [], ...shape }));
}

const external = ({ ends }: Scene, flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE): ServiceShape => ({
  ...{ id: 3, protocol: 6, at: { address: ends.external, port: 80 }, flags },
  backends: [backend(1, { address: ends.remote, port: 8080 }, 6)],
});

/** A backend of the other family. */
const mixed = ({ ends, family }: Scene): ServiceShape => ({
  ...{ id: 3, protocol: 6, at: { address: ends.external, port: 80 } },
  flags: SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.NAT_46X64,
  backends: [backend(1, { address: ADDRESSES[family === 4 ? 6 : 4].remote, port: 8080 }, 6)],
});

function outer({ ground }: Scene): void {
  const device = { address: encodeAddress(ip(ADDRESSES[4].node)), address6: encodeAddress(ip(ADDRESSES[6].node)) };
  ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
}

/** A policy sends what the workload has for the world this way. */
function through({ ground, ends, family }: Scene, way: EgressRow["way"]): void {
  const destination = { address: ip(family === 4 ? "0.0.0.0" : "::"), length: 0 };
  ground.datapath.syncEgress([{ source: ip(ends.pod), destination, way, policy: "fixture" }]);
}

/** Connections that both ends have spoken in, until there is room for none. */
function fillConnections({ ground }: Scene): void {
  const map = ground.map("skep_ct");
  const entry = { ...Connection.zero(), flags: 1, expires: 0xffffffff };
  for (let port = 1; port <= 64; port++) {
    const key = { ...ConnectionKey.zero(), firstPort: port, protocol: 6 };
    map.set(ConnectionKey.encode(key), Connection.encode(entry));
  }
}

const NOTHING = new Uint8Array(0);
/** From another node's client to a workload of this one. */
function inTunnel({ ends }: Scene, options: readonly GeneveOption[]): Uint8Array {
  return frame(
    inward,
    network(ADDRESSES[4].world, ADDRESSES[4].node),
    { kind: "udp", sourcePort: 50_000, destinationPort: 6081, checksum: 0 },
    { kind: "geneve", vni: 2, options },
    { kind: "ethernet", ...inward },
    network(ends.world, ends.local),
    syn(),
  );
}

const anything: LayerSpec = payload(40);
const icmp = (family: 4 | 6, type: number): LayerSpec =>
  family === 4 ? { kind: "icmp", type, rest: 0 } : { kind: "icmpv6", type, rest: 0 };

/** By code. */
export const dropFixtures: readonly DropFixture[] = [
  {
    ...{ code: 132, packet: "from a workload, with an address that is not its own", program: "skep_from_ep" },
    frames: ({ ends }) => [frame(up, network(ends.remote, ends.local), syn())],
  },
  {
    ...{ code: 133, packet: "to a workload whose policy has no rule for it", program: "skep_from_ep" },
    prepare: ({ ground }) => ground.allow(server.id, []),
    frames: (scene) => [toLocal(scene)],
  },
  {
    ...{ code: 134, packet: "with an IP header of the wrong version", program: "skep_from_ep" },
    frames: (scene) => [changed(toLocal(scene), 14, 0x50)],
  },
  {
    ...{ code: 135, packet: "that ends within its TCP header", program: "skep_from_ep" },
    frames: (scene) => [cut(toLocal(scene), scene.family === 4 ? 14 + 20 + 10 : 14 + 40 + 10)],
  },
  {
    ...{
      code: 136,
      packet: "to a backend that answers itself, too long with what it is told",
      program: "skep_from_net",
    },
    prepare: (scene) => {
      outer(scene);
      const backends = [backend(1, { address: scene.ends.remote, port: 8080 }, 17)];
      const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.DSR;
      serve(scene, { at: { address: scene.ends.external, port: 80 }, protocol: 17, flags, backends });
      const prefixes = ["0.0.0.0", "::"].map((any) => ({ address: ip(any), length: 0 }));
      scene.ground.datapath.syncNextHops(prefixes.map((prefix) => ({ prefix, interfaceIndex: HERE, mtu: 1500 })));
    },
    // As long as the way takes, before it is told anything.
    frames: ({ ends, family }) => {
      const body = payload(1500 - (family === 4 ? 28 : 48));
      return [frame(inward, network(ends.world, ends.external), segment("udp", [40_000, 80]), body)];
    },
    restore: ({ ground }) => ground.datapath.syncNextHops([]),
  },
  {
    ...{ code: 137, packet: "of a protocol that is not tracked (GRE)", program: "skep_from_ep" },
    frames: ({ ends, family }) => [
      frame(up, network(ends.pod, ends.local, 64, family === 4 ? { protocol: 47 } : { nextHeader: 47 }), anything),
    ],
  },
  {
    ...{ code: 139, packet: "that is neither IP nor ARP (LLDP)", program: "skep_from_ep", families: [4] },
    frames: (scene) => [changed(changed(toLocal(scene), 12, 0x88), 13, 0xcc)],
  },
  {
    ...{
      code: 140,
      packet: "to a service, while the program that goes on with it is missing",
      program: "skep_from_net",
    },
    prepare: (scene) => {
      outer(scene);
      serve(scene, external(scene));
      scene.ground.map("skep_calls").delete(encodeU32(1));
    },
    frames: (scene) => [fromWorld(scene)],
    restore: ({ ground }) => ground.map("skep_calls").setProgram(encodeU32(1), ground.program("skep_nodeport")),
  },
  {
    ...{ code: 147, packet: "at the overlay's device, out of no tunnel", program: "skep_from_ovl" },
    frames: ({ ends }) => [frame(inward, network(ends.remote, ends.pod), syn())],
  },
  {
    ...{ code: 148, packet: "in a tunnel with more options than are looked through", program: "skep_from_net" },
    setting: "told",
    prepare: outer,
    frames: (scene) => [
      inTunnel(
        scene,
        Array.from({ length: 9 }, () => ({ class: 1, type: 1, data: NOTHING })),
      ),
    ],
  },
  {
    ...{ code: 149, packet: "in a tunnel, with half of an address as what was asked", program: "skep_from_net" },
    setting: "told",
    prepare: outer,
    frames: (scene) => [inTunnel(scene, [{ class: 0x014b, type: 0x81, data: new Uint8Array(4) }])],
  },
  {
    ...{ code: 155, packet: "that opens a connection while the table is full of live ones", program: "skep_from_ep" },
    setting: "small",
    prepare: fillConnections,
    frames: (scene) => [toLocal(scene)],
    restore: ({ ground }) => ground.clear("skep_ct"),
  },
  {
    ...{ code: 156, packet: "with more IPv6 extension headers than are looked through", program: "skep_from_ep" },
    families: [6],
    frames: ({ ends }) => {
      const options = Array.from({ length: 7 }, (): LayerSpec => ({ kind: "ipv6-options", place: "destination" }));
      return [frame(up, network(ends.pod, ends.local), ...options, syn())];
    },
  },
  {
    ...{ code: 157, packet: "SCTP to a service on another port, in fragments", program: "skep_from_ep", families: [4] },
    prepare: (scene) => {
      const backends = [backend(1, { address: scene.ends.remote, port: 8080 }, 132)];
      serve(scene, { at: { address: scene.ends.vip, port: 80 }, protocol: 132, backends });
    },
    frames: ({ ends }) => [
      frame(up, network(ends.pod, ends.vip, 64, { moreFragments: true }), segment("sctp", [40_000, 80]), payload(24)),
    ],
  },
  {
    ...{ code: 158, packet: "to a service without a backend", program: "skep_from_ep" },
    prepare: (scene) => serve(scene, { at: { address: scene.ends.vip, port: 80 } }),
    frames: ({ ends }) => [frame(up, network(ends.pod, ends.vip), syn())],
  },
  {
    ...{ code: 160, packet: "of the host's stack into the overlay, behind no node", program: "skep_to_ovl" },
    frames: ({ ends }) => [frame(inward, network(ends.node, ends.world), syn())],
  },
  {
    ...{
      code: 161,
      packet: "to a service whose backend is of the other family, and nothing translates",
      program: "skep_from_net",
    },
    prepare: (scene) => {
      outer(scene);
      serve(scene, mixed(scene));
    },
    frames: (scene) => [fromWorld(scene)],
  },
  {
    ...{
      code: 162,
      packet: "of a workload with a rate, for which the queue is two seconds long",
      program: "skep_to_net",
    },
    setting: "paced",
    prepare: (scene) => {
      outer(scene);
      scene.ground.setEndpoint({ ...client, bandwidth: { egress: 10 } });
    },
    frames: (scene) => [toWorld(scene), toWorld(scene, 40_001)],
  },
  {
    ...{ code: 167, packet: "to the world, while every port of the node has its flow", program: "skep_to_net" },
    setting: "narrow",
    prepare: (scene) => {
      outer(scene);
      scene.ground.clear("skep_nat");
    },
    frames: (scene) => [toWorld(scene), toWorld(scene, 40_001)],
  },
  {
    ...{
      code: 168,
      packet: "to the world, an ICMP question that has no identifier to translate",
      program: "skep_to_net",
    },
    prepare: outer,
    frames: ({ ends, family }) => [frame(up, network(ends.pod, ends.world), icmp(family, family === 4 ? 13 : 139))],
  },
  {
    ...{ code: 171, packet: "out of a tunnel that names no sender", program: "nobody" },
    frames: ({ ends }) => [frame(inward, network(ends.remote, ends.pod), syn())],
  },
  {
    ...{ code: 174, packet: "from outside to a service of the cluster alone", program: "skep_from_net" },
    prepare: (scene) => {
      outer(scene);
      serve(scene, external(scene, 0));
    },
    frames: (scene) => [fromWorld(scene)],
  },
  {
    ...{ code: 175, packet: "a fragment whose first was not seen", program: "skep_from_ep" },
    frames: ({ ends, family }) => [
      family === 4
        ? frame(up, network(ends.pod, ends.local, 64, { protocol: 17, fragmentOffset: 16 }), anything)
        : frame(
            up,
            network(ends.pod, ends.local),
            { kind: "ipv6-fragment", nextHeader: 17, fragmentOffset: 16, moreFragments: false, identification: 9 },
            anything,
          ),
    ],
  },
  {
    ...{ code: 176, packet: "of a workload that says it is a router", program: "skep_from_ep", families: [6] },
    frames: ({ ends, family }) => [frame(up, network(ends.pod, ends.local), icmp(family, 134))],
  },
  {
    ...{ code: 177, packet: "to a service whose source ranges leave the client out", program: "skep_from_net" },
    prepare: (scene) => {
      outer(scene);
      const { flags = 0 } = external(scene);
      serve(scene, external(scene, flags | SERVICE_FLAG.SOURCE_RANGE));
    },
    frames: (scene) => [fromWorld(scene)],
  },
  {
    ...{ code: 180, packet: "that policy sends to a proxy that is not there", program: "skep_from_ep" },
    prepare: ({ ground }) => ground.allow(server.id, [{ ...everything("ingress"), proxyPort: 10_001 }]),
    frames: (scene) => [toLocal(scene)],
  },
  {
    ...{ code: 181, packet: "that a deny rule names", program: "skep_from_ep" },
    prepare: ({ ground }) => ground.allow(server.id, [{ ...everything("ingress"), deny: true, precedence: 255 }]),
    frames: (scene) => [toLocal(scene)],
  },
  {
    ...{ code: 187, packet: "to a backend of IPv6, with options in its IPv4 header", program: "skep_from_net" },
    ...{ setting: "gateway", families: [4] },
    prepare: (scene) => {
      outer(scene);
      serve(scene, mixed(scene));
    },
    frames: ({ ends }) => {
      const options = [{ type: 0x94, data: Uint8Array.of(0, 0) }];
      return [frame(inward, network(ends.world, ends.external, 64, { options }), syn())];
    },
  },
  {
    ...{ code: 188, packet: "to a backend of IPv4, with options behind its IPv6 header", program: "skep_from_net" },
    ...{ setting: "gateway", families: [6] },
    prepare: (scene) => {
      outer(scene);
      serve(scene, mixed(scene));
    },
    frames: ({ ends }) => {
      const options: LayerSpec = { kind: "ipv6-options", place: "destination" };
      return [frame(inward, network(ends.world, ends.external), options, syn())];
    },
  },
  {
    ...{ code: 194, packet: "that a policy sends through a gateway, and no node is one", program: "skep_from_ep" },
    setting: "gateway",
    prepare: (scene) => through(scene, { kind: "none" }),
    frames: (scene) => [toWorld(scene)],
  },
  {
    ...{ code: 196, packet: "whose hops end here", program: "skep_from_ep" },
    frames: ({ ends }) => [frame(up, network(ends.pod, ends.local, 1), syn())],
  },
  {
    ...{ code: 198, packet: "to a workload, faster than its rate", program: "skep_from_ep" },
    prepare: ({ ground }) => ground.setEndpoint({ ...server, bandwidth: { ingress: 10 } }),
    frames: ({ ends }) => [40_000, 40_001].map((port) => frame(up, network(ends.pod, ends.local), syn([port, 80]))),
  },
  {
    ...{ code: 203, packet: "of an interface that is no workload's", program: "skep_from_ep" },
    prepare: ({ ground }) => ground.datapath.removeEndpoint(client),
    frames: (scene) => [toLocal(scene)],
  },
  {
    ...{ code: 204, packet: "at its gateway, which has not the address that the policy names", program: "skep_to_net" },
    setting: "gateway",
    prepare: (scene) => {
      outer(scene);
      through(scene, { kind: "here", address: null });
    },
    frames: (scene) => [toWorld(scene)],
  },
];

/** Two workloads, and nothing else. */
export function reset({ ground }: Pick<Scene, "ground">): void {
  for (const endpoint of [client, server]) ground.datapath.removeEndpoint(endpoint);
  ground.datapath.replaceLoadBalancer(NO_ROWS);
  ground.datapath.syncIpcache([]);
  for (const name of ["skep_ct", "skep_nat", "skep_devices", "skep_fragments"]) ground.clear(name);
  for (const endpoint of [client, server]) {
    ground.allow(endpoint.id);
    ground.setEndpoint(endpoint);
  }
}
