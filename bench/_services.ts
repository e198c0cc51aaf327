/** Services and workloads as the benches of packets have them, the packets, and the wrapper that gives each run the same one. */
import { join } from "node:path";
import { FIRST_SLOTS, SERVICE_FLAG, type LoadBalancerRows, type ServiceSlotRow } from "@skep/control";
import { openDatapath, type Datapath } from "@skep/datapath";
import { unmountPins } from "@skep/linux";
import type { Machine, RawMap } from "@skep/machine";
import { parseAddress, type Address } from "@skep/net";
import { readObject, type ObjectSpec } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { Device } from "../packages/datapath/src/bpf/device.bpf.ts";
import { encodeAddress, encodeU32 } from "../packages/datapath/src/encode.ts";
import { skepObject } from "../packages/datapath/src/generated/skep-object.ts";
import { ACK, SYN, type PacketShape } from "./_packets.ts";

const HEAD = 56;
const HEAD_ROW = HEAD + 16;
/** Interface of test runs. */
const HERE = 1;
const ELSEWHERE = 4095;
const [PASS, TX, REDIRECT] = [2, 3, 7];
const [CLIENT, SERVER, OUTSIDE, NODE] = ["10.9.0.2", "10.9.0.3", "203.0.113.5", "192.0.2.1"];
const REMOTES = Array.from({ length: 8 }, (_, at) => `10.8.0.${at + 3}`);
const [VIP, SNAT_VIP, DSR_VIP] = ["10.96.0.1", "198.51.100.10", "198.51.100.11"];

export interface Case {
  readonly name: string;
  readonly program: string;
  readonly packet: PacketShape;
  readonly verdict: number;
  /** The wrapper's case whose cost is taken off. */
  readonly base: "nothing_tc" | "nothing_xdp" | "grow_xdp";
  /** How many bytes longer the packet becomes; default 0. */
  readonly grows?: number;
  /** Measured with new flows and with many, too. */
  readonly hasFlows?: boolean;
}

const from = (source: string, destination: string): PacketShape => ({
  ...{ source, destination, sourcePort: 40_000, destinationPort: 80, flags: ACK },
});
export const CASES: readonly Case[] = [
  {
    ...{ name: "workload to workload, established, policy in force", program: "skep_from_ep", base: "nothing_tc" },
    ...{ packet: from(CLIENT, SERVER), verdict: REDIRECT },
  },
  {
    ...{ name: "workload to a service, established, local backend", program: "skep_from_ep", base: "nothing_tc" },
    ...{ packet: from(CLIENT, VIP), verdict: REDIRECT, hasFlows: true },
  },
  {
    ...{ name: "XDP: for no service", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, NODE), verdict: PASS },
  },
  {
    ...{ name: "XDP: node's address, remote backend, established", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, SNAT_VIP), verdict: TX, hasFlows: true },
  },
  {
    ...{ name: "XDP: node's address, once in a second of a flow", program: "skep_xdp", base: "nothing_xdp" },
    // What opens goes the whole way each time, as a flow's packet does once in a while.
    ...{ packet: { ...from(OUTSIDE, SNAT_VIP), flags: SYN }, verdict: TX },
  },
  {
    ...{ name: "XDP: remote backend that answers itself, established", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, DSR_VIP), verdict: TX, hasFlows: true },
  },
  {
    ...{ name: "XDP: that, opening: an option is added", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: { ...from(OUTSIDE, DSR_VIP), flags: SYN }, verdict: TX, grows: 8 },
  },
];
/** With backends that get packets in packets. */
export const IN_TUNNELS: readonly Case[] = [
  {
    ...{ name: "XDP: in a tunnel, established", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: from(OUTSIDE, DSR_VIP), verdict: TX, hasFlows: true, grows: 20 },
  },
  {
    ...{ name: "XDP: in a tunnel, once in a second of a flow", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: { ...from(OUTSIDE, DSR_VIP), flags: SYN }, verdict: TX, grows: 20 },
  },
];

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

/** A service and its backends; the backends' numbers begin at `first`. */
function service(id: number, address: string, { first, backends, flags }: ServiceOptions): LoadBalancerRows {
  const slot = (number: number): ServiceSlotRow => ({
    ...{ address: ip(address), port: 80, protocol: 6, scope: 0, slot: number, id, flags },
    ...{ backend: number === 0 ? 0 : first + number - 1, count: number === 0 ? backends.length : 0 },
    ...{ quarantined: 0, affinityTimeout: 0, algorithm: 0 },
    first: number === 0 ? backends.slice(0, FIRST_SLOTS).map((_, at) => first + at) : [],
  });
  return {
    services: [slot(0), ...backends.map((_, at) => slot(at + 1))],
    backends: backends.map((backend, at) => ({
      ...{ id: first + at, address: ip(backend), port: 80, protocol: 6, state: 0, zone: 0 },
    })),
    reverse: [{ id, address: ip(address), port: 80 }],
    ...{ affinity: [], sourceRanges: [], maglev: [], skips: [] },
  };
}

interface ServiceOptions {
  readonly first: number;
  readonly backends: readonly string[];
  readonly flags: number;
}

function prepare(datapath: Datapath, maps: Readonly<Record<string, RawMap>>): void {
  const allow = (direction: "ingress" | "egress"): PolicyMapEntry => ({
    ...{
      direction,
      identity: 0,
      protocol: 0,
      port: 0,
      portPrefix: 0,
      precedence: 1,
      deny: false,
      proxyPort: 0,
      cookie: 1,
    },
  });
  const endpoints = [
    [11, CLIENT, HERE],
    [12, SERVER, ELSEWHERE],
  ] as const;
  for (const [id, address, interfaceIndex] of endpoints) {
    const entries = [allow("ingress"), allow("egress")];
    datapath.setPolicy({ endpoint: id, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
    datapath.setEndpoint({
      ...{ id, identity: 1000 + id, address: ip(address), interfaceName: "none", interfaceIndex },
      ...{ mac: Uint8Array.of(2, 0, 0, 0, id, 1), hostMac: Uint8Array.of(2, 0, 0, 0, id, 2) },
    });
  }
  const outside = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE;
  const parts = [
    service(1, VIP, { first: 1, backends: [SERVER], flags: 0 }),
    // A node has 32,768 ports for what it sends to one backend.
    service(2, SNAT_VIP, { first: 2, backends: REMOTES, flags: outside }),
    service(3, DSR_VIP, { first: 20, backends: REMOTES, flags: outside | SERVICE_FLAG.DSR }),
  ];
  datapath.replaceLoadBalancer({
    ...{ affinity: [], sourceRanges: [], maglev: [], skips: [] },
    services: parts.flatMap(({ services }) => services),
    backends: parts.flatMap(({ backends }) => backends),
    reverse: parts.flatMap(({ reverse }) => reverse),
  });
  const macs = { source: Uint8Array.of(2, 0, 0, 0, 9, 2), destination: Uint8Array.of(2, 0, 0, 0, 8, 1) };
  datapath.syncNextHops([{ prefix: { address: ip("0.0.0.0"), length: 0 }, interfaceIndex: HERE, macs }]);
  const none = { w0: 0, w1: 0, w2: 0, w3: 0 };
  maps["skep_devices"]?.set(encodeU32(HERE), Device.encode({ address: encodeAddress(ip(NODE)), address6: none }));
}

/** Long enough for what the wrapper puts back. */
export function padded(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(frame.length, 64));
  bytes.set(frame);
  return bytes;
}

/** The element of the wrapper's `heads`: what is put back, and `ports` flows in turn from `next` on. */
export function headRow(data: Uint8Array, { ports = 0, next = 0 } = {}): Uint8Array {
  const head = new Uint8Array(HEAD_ROW);
  head.set(data.subarray(0, HEAD));
  new DataView(head.buffer).setBigUint64(HEAD, BigInt(ports), true);
  new DataView(head.buffer).setBigUint64(HEAD + 8, BigInt(next), true);
  return head;
}

/** The datapath's own maps, by name. */
export type OwnMaps = Readonly<Record<string, ReturnType<Machine["bpf"]["openMap"]> & RawMap>>;

export interface Services {
  readonly maps: OwnMaps;
  /** The datapath's object as it fits them. */
  readonly spec: ObjectSpec;
  /** What may be sent. */
  readonly cases: readonly Case[];
}

/** A datapath with these services, first with backends that are told what was asked by an option, then in tunnels. Gone when `use` returns. */
export async function withServices(machine: Machine, folder: string, use: (given: Services) => void): Promise<void> {
  const pins = join(folder, "bpf");
  const name = `skep-bench-${process.pid}`;
  const { mountPoint } = machine.bpf.preparePins(pins) as { mountPoint?: string };
  try {
    const place = { pins, cgroup: machine.processes.createCgroup(name).path };
    run(machine, place, { dispatch: "option", use });
    run(machine, place, { dispatch: "ipip", use });
  } finally {
    if (mountPoint !== undefined) unmountPins(mountPoint);
    if (machine.processes.cgroupProcesses(name)) await machine.processes.deleteCgroup(name);
  }
}

function run(
  machine: Machine,
  { pins, cgroup }: { readonly pins: string; readonly cgroup: string },
  { dispatch, use }: { readonly dispatch: "option" | "ipip"; readonly use: (given: Services) => void },
): void {
  const datapath = openDatapath(machine, { pins, cgroup, loadBalancer: { dispatch } });
  const maps = pinnedMaps(machine, join(pins, "maps"));
  try {
    prepare(datapath, maps);
    const cases = dispatch === "ipip" ? IN_TUNNELS : CASES;
    use({ maps, spec: fitting(readObject(skepObject()), maps), cases });
  } finally {
    for (const each of Object.values(maps)) each.close();
    datapath.destroy();
  }
}

/** The maps that the datapath has pinned: it keeps its programs to itself, so they are loaded once more on the same maps. */
function pinnedMaps(machine: Machine, folder: string): OwnMaps {
  const names = machine.bpf.pins(folder).filter((each) => each !== "skep_layouts");
  return Object.fromEntries(
    names.flatMap((each) => {
      const map = machine.bpf.openMap(join(folder, each));
      return map ? [[each, map] as const] : [];
    }),
  );
}

/** Tables of backends have the size that the datapath chose. */
function fitting(spec: ObjectSpec, maps: OwnMaps): ObjectSpec {
  const outer = spec.maps["skep_maglev"];
  const inner = maps["skep_maglev"] && outer?.inner ? { ...outer.inner, valueSize: 16_381 * 4 } : undefined;
  return outer && inner ? { ...spec, maps: { ...spec.maps, skep_maglev: { ...outer, inner } } } : spec;
}
