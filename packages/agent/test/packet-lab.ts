/**
 * @module
 * Workloads with wires of their own around a host namespace, and everything else behind one more wire: packets are put on the wires and
 * looked for at the other end.
 */
import { decodeEventAt, openDatapath, type Datapath, type DatapathEvent, type DatapathOptions } from "@skep/datapath";
import { DnsNames, type FlowContext, Observer } from "@skep/flows";
import type { flow } from "@skep/api";
import type { Machine, Namespace } from "@skep/machine";
import {
  buildPacket,
  formatAddress,
  hostPrefix,
  parseAddress,
  type Address,
  type LayerSpec,
  type Mac,
  type Prefix,
} from "@skep/net";
import { createWire, type Wire } from "../src/wire.ts";

export const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

export interface Pod {
  /** Endpoint number. */
  readonly id: number;
  readonly identity: number;
  readonly address: Address;
  readonly address6: Address;
}

/** A packet that opens something. `port`: destination port, or the ICMP type. */
export interface Probe {
  /** A workload's endpoint number, or an address of the outside. */
  readonly from: number | Address;
  readonly to: number | Address;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  readonly family: 4 | 6;
  /** Of UDP and TCP; else the next one. */
  readonly sourcePort?: number;
  /** Of UDP. */
  readonly payload?: Uint8Array;
}

export interface Outcome {
  readonly arrived: boolean;
  /** Why it was dropped, where it was. */
  readonly drop: Pick<DatapathEvent, "reason" | "direction" | "endpoint"> | null;
}

/** One end of a wire. */
export interface Port {
  write(frame: Uint8Array): void;
  /** What has arrived since it was asked last. */
  read(): Uint8Array[];
  close(): void;
}

/** A machine and what is needed beside its interface: ends of wires, and waiting. */
export interface Ground {
  readonly machine: Machine;
  /** Beside the workloads' namespaces. */
  readonly outside: Namespace;
  readonly pins: string;
  readonly cgroup: string;
  port(namespace: Namespace, index: number): Port;
  /** Lets packets that are under way go on; false where waiting longer is in vain. */
  wait(): Promise<boolean>;
  close(): Promise<void>;
}

interface Wired extends Pod {
  readonly wire: Wire;
  readonly port: Port;
}

const nameless: FlowContext = {
  ...{ nodeName: "n", nodeLabels: [], wallTime: (time) => time, endpoint: () => null, service: () => null },
  peer: (identity) => ({
    ...{ id: 0, identity, namespace: "", labels: [], podName: "", workloads: [], clusterName: "" },
  }),
  ...{ names: () => [], policies: () => [], matchType: () => 0, interfaceName: () => "", uuid: () => "" },
};

const CHUNK = 256;
const FIRST_PORT = 1024;
const [ICMP, TCP, UDP, ICMPV6, SCTP] = [1, 6, 17, 58, 132];
const SYN = 0x02;

export class PacketLab {
  readonly datapath: Datapath;
  private readonly ground: Ground;
  private readonly machine: Machine;
  private readonly pods = new Map<number, Wired>();
  private readonly outside: Port;
  private readonly outsideMacs: { readonly own: Mac; readonly host: Mac };
  private readonly reader: ReturnType<Datapath["readEvents"]>;
  private readonly drops = new Map<string, DatapathEvent>();
  private readonly arrived = new Set<string>();
  private nextPort = FIRST_PORT;
  private dropFlows = 0;
  /** What the workloads have resolved. */
  readonly dns = new DnsNames();
  /** What the agent keeps of the same events. */
  private readonly store = new Observer({
    ...{ nodeName: "n", version: "0", now: () => 0n, capacity: 511 },
    context: { ...nameless, names: (address, endpoint, time) => this.dns.names(address, endpoint, time) },
    // All of them are looked at, however long that takes: what is skipped is counted, but not whether it was a drop.
    budgetMs: Infinity,
    onFlow: ({ flow: { eventType } }) => (this.dropFlows += eventType?.type === 1 ? 1 : 0),
  });

  constructor(ground: Ground, options: Pick<DatapathOptions, "hostFirewall" | "verdictEvents"> = {}) {
    this.ground = ground;
    this.machine = ground.machine;
    const host = this.machine.net.host;
    const { outside } = ground;
    for (const name of ["all", "default"]) host.setSysctl(`net/ipv4/conf/${name}/rp_filter`, "0");
    host.setSysctl("net/ipv4/ip_forward", "1");
    host.setSysctl("net/ipv6/conf/all/forwarding", "1");
    for (const scope of ["all", "default"]) outside.setSysctl(`net/ipv6/conf/${scope}/disable_ipv6`, "1");
    const { host: out, peer } = host.createVeth("out0", { namespace: outside, name: "eth0" });
    host.setUp(out.index, true);
    outside.setUp(peer.index, true);
    this.outsideMacs = { own: peer.mac, host: out.mac };
    for (const [own, gateway, any] of [
      ["192.0.2.1", "192.0.2.2", "0.0.0.0"],
      ["fd99::1", "fd99::2", "::"],
    ] as const) {
      host.addAddress(out.index, { address: ip(own), length: ip(own).family === 4 ? 24 : 64 });
      host.addNeighbour(out.index, ip(gateway), peer.mac);
      host.addRoute({ destination: { address: ip(any), length: 0 }, gateway: ip(gateway), interface: out.index });
    }
    this.outside = ground.port(outside, peer.index);
    const cgroup = this.machine.processes.createCgroup(ground.cgroup).path;
    this.datapath = openDatapath(this.machine, { pins: ground.pins, cgroup, ...options });
    this.reader = this.datapath.readRecords(
      (view, at) => {
        this.store.addEvent(view, at);
        const event = decodeEventAt(view, at);
        if (event.type === 1 && !event.reply) this.drops.set(keyOf(event), event);
      },
      (answer) => this.dns.learn(answer),
    );
  }

  /** The flows that are still kept. */
  flows(): flow.Flow[] {
    const { ring } = this.store;
    const entries = Array.from({ length: ring.next - ring.oldest }, (_, at) => ring.at(ring.oldest + at));
    return entries.flatMap((entry) => (entry && "flow" in entry ? [entry.flow] : []));
  }

  /** Its policy must be set before, or nothing passes. */
  addPod(pod: Pod): void {
    const host = this.machine.net.host;
    const wire = createWire(this.machine, { id: pod.id, netns: `pod${pod.id}` });
    const namespace = this.machine.net.openNamespace(wire.netns);
    if (!namespace) throw new Error(`the namespace ${wire.netns} is gone`);
    // The pod's own stack has no address: nothing answers, every packet here is a probe.
    host.setSysctl(`net/ipv6/conf/${wire.interfaceName}/disable_ipv6`, "0");
    const { interfaceName, interfaceIndex, mac, hostMac } = wire;
    const endpoint = { ...pod, interfaceName, interfaceIndex, mac, hostMac };
    this.datapath.setEndpoint(endpoint);
    this.datapath.attachEndpoint(endpoint);
    host.setUp(interfaceIndex, true);
    namespace.setUp(wire.peerIndex, true);
    for (const address of [pod.address, pod.address6]) {
      host.addNeighbour(interfaceIndex, address, mac);
      host.addRoute({ destination: hostPrefix(address), interface: interfaceIndex, scope: "link" });
    }
    this.pods.set(pod.id, { ...pod, wire, port: this.ground.port(namespace, wire.peerIndex) });
  }

  /** The host's own endpoint: its addresses are those that the ipcache gives identity 1. */
  addHost(id: number): void {
    const nobody = new Uint8Array(6);
    this.datapath.setEndpoint({
      ...{ id, identity: 1, address: ip("192.0.2.1"), interfaceName: "", interfaceIndex: 0 },
      ...{ mac: nobody, hostMac: nobody },
    });
  }

  /** Drops by the datapath's counters, those among the flows, and the events that were lost on the way from the one to the other. */
  async accounts(): Promise<{ readonly counted: bigint; readonly flows: bigint; readonly lost: bigint }> {
    this.reader.drain();
    await Promise.resolve();
    const counted = this.datapath
      .counters()
      .filter(({ reason }) => reason !== 0)
      .reduce((sum, { packets }) => sum + packets, 0n);
    return { counted, flows: BigInt(this.dropFlows), lost: this.datapath.lostEvents() + this.store.skipped };
  }

  /** Sends every probe and waits until each has arrived or its drop was told. Throws where one is neither. */
  async probe(probes: readonly Probe[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (let at = 0; at < probes.length; at += CHUNK)
      outcomes.push(...(await this.probeSome(probes.slice(at, at + CHUNK))));
    return outcomes;
  }

  private async probeSome(probes: readonly Probe[]): Promise<Outcome[]> {
    this.drops.clear();
    this.arrived.clear();
    const keys = probes.map((probe) => this.send(probe));
    if (new Set(keys).size !== keys.length) throw new Error("two probes of one chunk cannot be told apart");
    let open = keys;
    for (let isMore = true; ; isMore = await this.ground.wait()) {
      this.reader.drain();
      for (const port of [this.outside, ...[...this.pods.values()].map((pod) => pod.port)]) this.take(port);
      open = open.filter((key) => !this.arrived.has(key) && !this.drops.has(key));
      if (open.length === 0) break;
      if (!isMore) throw new Error(`neither arrived nor dropped: ${open.slice(0, 5).join("; ")}`);
    }
    return keys.map((key) => ({ arrived: this.arrived.has(key), drop: this.drops.get(key) ?? null }));
  }

  private take(port: Port): void {
    for (const frame of port.read()) {
      const key = keyOfFrame(frame);
      if (key !== null) this.arrived.add(key);
    }
  }

  /** Puts the probe on the sender's wire; the key that it is known by. */
  private send(probe: Probe): string {
    const [from, to] = [this.addressOf(probe.from, probe.family), this.addressOf(probe.to, probe.family)];
    const sourcePort = probe.sourcePort ?? this.nextPort;
    if (probe.sourcePort === undefined) this.nextPort = sourcePort === 60_000 ? FIRST_PORT : sourcePort + 1;
    const sender = typeof probe.from === "number" ? this.pods.get(probe.from) : undefined;
    const [source, destination] = sender
      ? [sender.wire.mac, sender.wire.hostMac]
      : [this.outsideMacs.own, this.outsideMacs.host];
    const frame = buildPacket([
      { kind: "ethernet", source, destination },
      { kind: probe.family === 4 ? "ipv4" : "ipv6", source: from, destination: to },
      ...transport(probe, { from, to, sourcePort }),
    ]);
    (sender ? sender.port : this.outside).write(frame);
    return textOf({ source: from, destination: to, protocol: probe.protocol, ...portsOf(probe, sourcePort) });
  }

  private addressOf(end: number | Address, family: 4 | 6): Address {
    if (typeof end !== "number") return end;
    const pod = this.pods.get(end);
    if (!pod) throw new Error(`no workload ${end}`);
    return family === 4 ? pod.address : pod.address6;
  }

  async close(): Promise<void> {
    this.reader.close();
    for (const port of [this.outside, ...[...this.pods.values()].map((pod) => pod.port)]) port.close();
    this.datapath.destroy();
    await this.ground.close();
  }
}

interface Tuple {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

const textOf = ({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string =>
  `${formatAddress(source)} ${sourcePort} > ${formatAddress(destination)} ${destinationPort} /${protocol}`;

/** An ICMP message is known by its ends and its type alone. */
function portsOf({ protocol, port }: Probe, sourcePort: number): { sourcePort: number; destinationPort: number } {
  const isIcmp = protocol === ICMP || protocol === ICMPV6;
  return isIcmp ? { sourcePort: port, destinationPort: 0 } : { sourcePort, destinationPort: port };
}

function keyOf(event: DatapathEvent): string {
  const isIcmp = event.protocol === ICMP || event.protocol === ICMPV6;
  return textOf(isIcmp ? { ...event, sourcePort: event.icmpType, destinationPort: 0 } : event);
}

/** The probe's key in a received frame; null where it is none. */
function keyOfFrame(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(12) === 0x0800 ? 4 : view.getUint16(12) === 0x86dd ? 6 : null;
  if (family === null) return null;
  const at = family === 4 ? 34 : 54;
  if (bytes.length < at + 4) return null;
  const address = (from: number): Address => ({ family, bytes: bytes.subarray(from, from + (family === 4 ? 4 : 16)) });
  const protocol = bytes[family === 4 ? 23 : 20] ?? 0;
  const isIcmp = protocol === ICMP || protocol === ICMPV6;
  const [sourcePort, destinationPort] = isIcmp ? [bytes[at] ?? 0, 0] : [view.getUint16(at), view.getUint16(at + 2)];
  return textOf({
    ...{ source: address(family === 4 ? 26 : 22), destination: address(family === 4 ? 30 : 38) },
    ...{ protocol, sourcePort, destinationPort },
  });
}

function transport(probe: Probe, ends: { from: Address; to: Address; sourcePort: number }): LayerSpec[] {
  const { protocol, port: destinationPort, family } = probe;
  const { from, to, sourcePort } = ends;
  switch (protocol) {
    case TCP:
      return [{ kind: "tcp", sourcePort, destinationPort, flags: SYN }];
    case UDP:
      return [
        { kind: "udp", sourcePort, destinationPort },
        ...(probe.payload ? [{ kind: "payload" as const, bytes: probe.payload }] : []),
      ];
    case SCTP:
      return [{ kind: "sctp", sourcePort, destinationPort }];
    case ICMP:
    case ICMPV6: {
      // An error needs something to be about: a packet that nobody has sent.
      const about: LayerSpec[] = [
        { kind: family === 4 ? "ipv4" : "ipv6", source: to, destination: from },
        { kind: "udp", sourcePort: 1, destinationPort: 2 },
      ];
      const isError = protocol === ICMP ? [3, 11, 12].includes(destinationPort) : destinationPort < 128;
      const kind = protocol === ICMP ? "icmp" : "icmpv6";
      const rest = isError ? 0 : (sourcePort << 16) | 1;
      return [{ kind, type: destinationPort, code: 0, rest: rest >>> 0 }, ...(isError ? about : [])];
    }
    default:
      throw new Error(`no probe of protocol ${protocol}`);
  }
}

/** Everything that is neither a workload nor named otherwise is the world. */
export function worldRows(): { prefix: Prefix; identity: number }[] {
  return [
    { prefix: { address: ip("0.0.0.0"), length: 0 }, identity: 9 },
    { prefix: { address: ip("::"), length: 0 }, identity: 10 },
  ];
}
