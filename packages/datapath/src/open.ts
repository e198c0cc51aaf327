/**
 * @module
 * The datapath in a machine: loads or adopts the programs and maps, and keeps the maps as control wants them.
 */
import type { Collection, ConnectedSocket, Link, Machine, Namespace, RawMap } from "@skep/machine";
import { readObject, type ObjectSpec } from "@skep/object";
import type { Address, Prefix } from "@skep/net";
import { ALGORITHM } from "@skep/control";
import type {
  EgressRow,
  IpcacheChange,
  IpcacheRow,
  LoadBalancerChange,
  LoadBalancerRows,
  ServiceRow,
} from "@skep/control";
import type { EndpointPolicy, PolicyDelta, PolicyMapEntry } from "@skep/policy";
import { Throttle, ThrottleKey } from "./bpf/bandwidth.bpf.ts";
import { Device, NextHop } from "./bpf/device.bpf.ts";
import { DISPATCH_GENEVE, DISPATCH_IPIP, DISPATCH_OPTION } from "./bpf/direct.bpf.ts";
import { PREFILTER_TC, PREFILTER_XDP } from "./bpf/denied.bpf.ts";
import { XDP_DIRECT, XDP_FORWARD, XDP_NAT_46X64, XDP_NAT_46X64_REPLY, XDP_REPLY, XDP_TUNNEL } from "./bpf/xdp.bpf.ts";
import * as maps from "./bpf/maps.bpf.ts";
import { ANY_FRAME, tableUses } from "./collection.ts";
import { DeniedPrefixes, syncDenied4, syncDenied6 } from "./denied.ts";
import { readCounters } from "./counters.ts";
import type {
  Counter,
  Datapath,
  DatapathDevice,
  DatapathEndpoint,
  DatapathEvent,
  OnAnswer,
  NextHopRow,
  TableUse,
} from "./datapath.ts";
import {
  decodeAddress,
  decodeU32,
  encodeAddress,
  encodeEndpoint,
  encodeIpcacheKey,
  decodePolicyEntry,
  encodePolicyEntry,
  encodeU32,
  keyText,
} from "./encode.ts";
import { decodeAnswerAt } from "./answers.ts";
import { decodeEventAt, EVENT_SIZE } from "./events.ts";
import { skepObject } from "./generated/skep-object.ts";
import { CONFIG_MAP, CONFIG_PIN, mapPin } from "./layouts.ts";
import { clusterRows, LoadBalancerMaps, withMaglevSize } from "./load-balancer.ts";
import { egressEntry } from "./egress.ts";
import { isLost } from "./lost.ts";
import { PinnedMaps } from "./pinned-maps.ts";
import { endSplice, SocketSplice, type SpliceCounts } from "./splice.ts";
import { type Rows, sync, write } from "./sync.ts";
import { Undo } from "./undo.ts";

export interface DatapathOptions {
  /** The pin folder: `<pins>/maps` and `<pins>/links` hang under it. */
  readonly pins: string;
  /** Absolute path of the cgroup whose sockets are load balanced. */
  readonly cgroup: string;
  /** Overrides of map sizes by map name. */
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Packets of IPv6 are taken. Default true. */
  readonly ipv6?: boolean;
  /** The outer interfaces' queues keep to the times that packets bear (fq): workloads' rates delay packets. Default false: they drop them. */
  readonly departureTimes?: boolean;
  /**
   * The device of tunnels to other nodes (`createTunnel`), the UDP port that they end at, and the longest packet that goes into them: its hooks are attached. Without one nothing is tunnelled. Its addresses are the host's
   * among its workloads: what goes on to a service's backends behind a tunnel has them.
   */
  readonly overlay?: DatapathDevice & { readonly port: number; readonly mtu: number };
  /** Workloads' devices may be netkit pairs. Default false: they are veths, but for those of an earlier agent. */
  readonly netkit?: boolean;
  /** What certain workloads send to the world leaves by certain nodes (`syncEgress`). Default false. */
  readonly egressGateway?: boolean;
  /** The host's own policy is asked for what goes between it and its workloads. Default false. */
  readonly hostFirewall?: boolean;
  /** Seconds that a flow is remembered after its last packet, where they are not the usual ones. */
  readonly lifetimes?: FlowLifetimes;
  /** Every question to a policy leaves an event, not only those that were audited. Default false. */
  readonly verdictEvents?: boolean;
  readonly loadBalancer?: LoadBalancerOptions;
  /** Connections between workloads of this node go from socket to socket (`setHome`) while both policies allow them. Default false. */
  readonly socketSplice?: boolean;
}

/** Cilium's `bpf-ct-timeout-*`: defaults 8000, 60, 60, 10, 8000, 60, 60. */
export interface FlowLifetimes {
  readonly tcp?: number;
  readonly any?: number;
  readonly tcpSyn?: number;
  readonly tcpFin?: number;
  readonly serviceTcp?: number;
  readonly serviceAny?: number;
  readonly serviceTcpGrace?: number;
}

function lifetimeConfig(lifetimes: FlowLifetimes): Record<string, number> {
  const named = {
    ...{ ct_tcp: lifetimes.tcp, ct_any: lifetimes.any, ct_tcp_syn: lifetimes.tcpSyn, ct_tcp_fin: lifetimes.tcpFin },
    ...{ ct_service_tcp: lifetimes.serviceTcp, ct_service_any: lifetimes.serviceAny },
    ct_service_tcp_grace: lifetimes.serviceTcpGrace,
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const DISPATCHES = { option: DISPATCH_OPTION, ipip: DISPATCH_IPIP, geneve: DISPATCH_GENEVE } as const;
export type Dispatch = keyof typeof DISPATCHES;

export interface LoadBalancerOptions {
  /** Of services that name none. Default random. */
  readonly algorithm?: "random" | "maglev";
  /** Slots of a Maglev table, a prime. Default 16,381. */
  readonly maglevSize?: number;
  /** Default 30,000 to 32,767. */
  readonly nodePorts?: { readonly first: number; readonly last: number };
  /** Programs before the packet's path in the kernel at the host's outer interfaces. Default: none. */
  readonly xdp?: "native" | "generic";
  /** Packets from denied prefixes are dropped there, without XDP at tc (`syncDenied`). Default false. */
  readonly prefilter?: boolean;
  /**
   * How what a backend answers itself (services with SERVICE_FLAG.DSR) gets to its node: with an option (IPv4) or extension header (IPv6) that
   * says what was asked, which the other node's datapath reads; or in an IP packet to the backend, which has the service's address; or in a tunnel to
   * its node (Geneve), of whose options one says it. Default option.
   */
  readonly dispatch?: Dispatch;
  /** Clients of a service without a backend are told so, or left waiting. Default reject. */
  readonly noBackend?: "reject" | "drop";
  /**
   * Services from outside whose backends are of the other IP family are translated (RFC 7915); `gateway`: and what IPv6 clients send to
   * 64:ff9b::/96, to the IPv4 hosts that it names. Default off.
   */
  readonly nat46x64?: "services" | "gateway";
}

/** Of a netkit pair: what the workload's end sends; what goes to it is judged as a veth's is, before it gets to the device. */
const NETKIT_PEER = "netkit_peer";
const HOOKS = [
  { program: "skep_from_ep", direction: "ingress" },
  { program: "skep_to_ep", direction: "egress" },
] as const;
/** At the host's outer interfaces. */
const DEVICE_HOOKS = [
  { program: "skep_from_net", direction: "ingress" },
  { program: "skep_to_net", direction: "egress" },
] as const;
/** Programs that others go on in, by their places in `skep_calls`. */
export const CALLED = [
  [maps.CALL_REFUSE, "skep_refuse"],
  [maps.CALL_NODEPORT, "skep_nodeport"],
  [maps.CALL_NODEPORT_REPLY, "skep_nodeport_r"],
  [maps.CALL_NODEPORT_REFUSE, "skep_nodeport_x"],
  [maps.CALL_NODEPORT_TUNNEL, "skep_nodeport_t"],
  [maps.CALL_TOO_LONG, "skep_ep_long"],
  [maps.CALL_NAT_46X64, "skep_46x64"],
  [maps.CALL_NAT_46X64_REPLY, "skep_46x64_r"],
  [maps.CALL_NAT_46X64_TOO_LONG, "skep_46x64_long"],
  [maps.CALL_NAT_46X64_ON, "skep_46x64_on"],
  [maps.CALL_DIRECT, "skep_direct"],
  [maps.CALL_DIRECT_ARRIVED, "skep_direct_in"],
  [maps.CALL_DIRECT_TOO_LONG, "skep_direct_long"],
  [maps.CALL_DIRECT_TUNNEL, "skep_direct_tun"],
  [maps.CALL_DIRECT_TUNNELLED, "skep_direct_out"],
] as const;
export const XDP_CALLED = [
  [XDP_FORWARD, "skep_xdp_lb"],
  [XDP_REPLY, "skep_xdp_reply"],
  [XDP_DIRECT, "skep_xdp_direct"],
  [XDP_TUNNEL, "skep_xdp_tun"],
  [XDP_NAT_46X64, "skep_xdp_46x64"],
  [XDP_NAT_46X64_REPLY, "skep_xdp_46x64r"],
] as const;
const XDP_PROGRAM = "skep_xdp";
const OVERLAY_HOOKS = [
  { program: "skep_from_ovl", direction: "ingress" },
  { program: "skep_to_ovl", direction: "egress" },
] as const;
const SOCKET_PROGRAMS = [
  ...["skep_connect4", "skep_sendmsg4", "skep_recvmsg4", "skep_getpeer4", "skep_bind4"],
  ...["skep_connect6", "skep_sendmsg6", "skep_recvmsg6", "skep_getpeer6", "skep_bind6"],
  "skep_release",
] as const;

/** Inner maps that are open at the same time. */
const SWAPPED_AT_ONCE = 256;

const MAGLEV_SIZE = 16_381;

function loadBalancerConfig(options: LoadBalancerOptions): Record<string, number> {
  return {
    lb_algorithm: options.algorithm === "maglev" ? ALGORITHM.MAGLEV : ALGORITHM.RANDOM,
    maglev_size: options.maglevSize ?? MAGLEV_SIZE,
    nodeport_first: options.nodePorts?.first ?? 30_000,
    nodeport_last: options.nodePorts?.last ?? 32_767,
    nat_46x64: options.nat46x64 ? 1 : 0,
    nat_46x64_gateway: options.nat46x64 === "gateway" ? 1 : 0,
    lb_reject: options.noBackend === "drop" ? 0 : 1,
    lb_dispatch: DISPATCHES[options.dispatch ?? "option"],
    prefilter: options.prefilter ? (options.xdp ? PREFILTER_XDP : PREFILTER_TC) : 0,
  };
}

export function openDatapath(machine: Machine, options: DatapathOptions): Datapath {
  return new KernelDatapath(machine, options);
}

class KernelDatapath implements Datapath {
  readonly adopted: Datapath["adopted"];
  readonly #unsupported: string[] = [];
  readonly #machine: Machine;
  readonly #options: DatapathOptions;
  /** Without its programs once they are loaded. */
  #spec: ObjectSpec;
  readonly #collection: Collection;
  readonly #loadBalancer: LoadBalancerMaps;
  readonly #links = new Map<string, Link>();
  /** Of what opening has changed so far. */
  readonly #undo = new Undo();
  #splice: SocketSplice | null = null;
  /** Of the endpoints that have a policy; null: to be read from its map. Those that were written as a whole share their rows with control. */
  readonly #policies = new Map<number, readonly PolicyMapEntry[] | null>();
  /** Endpoints as they stand in the maps, and the generations of their policies. */
  readonly #endpoints = new Map<number, DatapathEndpoint>();
  readonly #generations = new Map<number, number>();

  constructor(machine: Machine, options: DatapathOptions) {
    this.#machine = machine;
    this.#options = options;
    this.#spec = withMaglevSize(readObject(skepObject()), options.loadBalancer?.maglevSize ?? MAGLEV_SIZE);
    for (const folder of ["", "/maps", "/links"]) machine.bpf.preparePins(options.pins + folder);
    const pinned = new PinnedMaps(machine.bpf, { pins: options.pins, spec: this.#spec });
    this.#undo.onEnd(() => pinned.close());
    this.#collection = this.#load(pinned.kept);
    this.#loadBalancer = this.#openLoadBalancer();
    const mapOf = (name: string): RawMap => this.#map(name);
    try {
      pinned.carry(mapOf);
      this.adopted = { endpoints: this.#endpointIds(), restarted: pinned.found };
      for (const [place, name] of CALLED) this.#map("skep_calls").setProgram(encodeU32(place), this.#program(name));
      for (const [place, name] of XDP_CALLED)
        this.#map("skep_xdp_calls").setProgram(encodeU32(place), this.#program(name));
      this.#adoptLinks();
      this.#attachHooks(OVERLAY_HOOKS, options.overlay ? [options.overlay] : []);
      for (const program of SOCKET_PROGRAMS) this.#attachSocket(program);
      if (options.socketSplice) this.#openSplice();
      else endSplice(machine, options.pins);
      pinned.settle(mapOf, this.#undo);
      this.#undo.done();
      this.#pinConfig();
      pinned.prune();
    } catch (error) {
      const failure = this.#undo.back(error);
      this.close();
      throw failure;
    }
    this.#spec = { ...this.#spec, programs: {}, functions: {} };
  }

  #load(maps: Readonly<Record<string, RawMap>>): Collection {
    const options = this.#options;
    try {
      return this.#machine.bpf.load(this.#spec, {
        maps,
        config: {
          ipv6_enabled: options.ipv6 === false ? 0 : 1,
          departure_times: options.departureTimes ? 1 : 0,
          netkit: options.netkit || this.#hasNetkit() ? 1 : 0,
          overlay_interface: options.overlay?.interfaceIndex ?? 0,
          overlay_port: options.overlay?.port ?? 0,
          overlay_mtu: options.overlay?.mtu ?? 0,
          egress_gateway: options.egressGateway ? 1 : 0,
          host_firewall: options.hostFirewall ? 1 : 0,
          verdict_events: options.verdictEvents ? 1 : 0,
          host_netns: this.#machine.net.host.cookie,
          ...lifetimeConfig(options.lifetimes ?? {}),
          ...loadBalancerConfig(options.loadBalancer ?? {}),
        },
        ...(options.maxEntries ? { maxEntries: options.maxEntries } : {}),
      });
    } catch (error) {
      for (const map of Object.values(maps)) map.close();
      throw this.#undo.back(error);
    }
  }

  /** Apart from the constructor: a function that stays would keep everything that is known there, the programs too. */
  #openLoadBalancer(): LoadBalancerMaps {
    const table = this.#spec.maps["skep_maglev"]?.inner;
    if (!table) throw new Error("the datapath's object has no Maglev tables");
    return new LoadBalancerMaps({ bpf: this.#machine.bpf, map: (name) => this.#map(name), table });
  }

  get unsupported(): readonly string[] {
    return this.#unsupported;
  }

  #map(name: string): RawMap {
    const map = this.#collection.maps[name];
    if (!map) throw new Error(`the datapath's object has no map ${name}`);
    return map;
  }

  #program(name: string): Collection["programs"][string] {
    const program = this.#collection.programs[name];
    if (!program) throw new Error(`the datapath's object has no program ${name}`);
    return program;
  }

  /** Of the programs that are loaded now, for those who look on. */
  #pinConfig(): void {
    const { bpf } = this.#machine;
    const pin = mapPin(this.#options.pins, CONFIG_PIN);
    if (bpf.pins(`${this.#options.pins}/maps`).includes(CONFIG_PIN)) bpf.unpin(pin);
    this.#map(CONFIG_MAP).pin(pin);
  }

  // ---- links ----

  #linkPin(name: string): string {
    return `${this.#options.pins}/links/${name}`;
  }

  /** Programs of a new version take the place of the old ones between two packets. */
  #adoptLinks(): void {
    for (const name of this.#machine.bpf.pins(`${this.#options.pins}/links`)) {
      const link = this.#machine.bpf.openLink(this.#linkPin(name));
      if (!link) continue;
      const hook = name.startsWith(`${NETKIT_PEER}-`)
        ? HOOKS[0]
        : HOOKS.find(({ direction }) => name.startsWith(`tcx_${direction}-`));
      const outer = [...DEVICE_HOOKS, ...OVERLAY_HOOKS].find(({ program: each }) => name.startsWith(`${each}-`));
      const socket = SOCKET_PROGRAMS.find((each) => name.startsWith(`${each}-`));
      const program = hook?.program ?? outer?.program ?? socket ?? (isXdpLink(name) ? XDP_PROGRAM : undefined);
      if (!program) {
        link.close();
        continue;
      }
      this.#replace(link, this.#program(program));
      this.#links.set(name, link);
    }
  }

  /** Workloads of an agent that made such pairs. */
  #hasNetkit(): boolean {
    return this.#machine.bpf.pins(`${this.#options.pins}/links`).some((name) => name.startsWith(`${NETKIT_PEER}-`));
  }

  #replace(link: Link, program: Collection["programs"][string]): void {
    const before = this.#machine.bpf.programOf(link);
    this.#undo.onEnd(() => before?.close());
    link.update(program);
    if (before) this.#undo.push(() => link.update(before));
  }

  #attachSocket(program: string): void {
    const name = `${program}-${this.#options.cgroup.replaceAll("/", "_").replaceAll(".", "_")}`;
    if (this.#links.has(name)) return;
    try {
      const link = this.#machine.bpf.attach(this.#program(program), { hook: "cgroup", path: this.#options.cgroup });
      this.#keepLink(name, link);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "NotSupportedError") throw error;
      this.#unsupported.push(program);
    }
  }

  #openSplice(): void {
    const { pins, cgroup, lifetimes = {} } = this.#options;
    const { ct_tcp } = lifetimeConfig(lifetimes);
    try {
      this.#splice = new SocketSplice(this.#machine, {
        ...{ pins, cgroup, map: (name: string) => this.#map(name) },
        config: ct_tcp === undefined ? {} : { ct_tcp },
      });
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "NotSupportedError") throw error;
      this.#unsupported.push("skep_splice_msg");
    }
  }

  setHome(endpoint: Pick<DatapathEndpoint, "address" | "address6" | "interfaceIndex">, cookie: bigint): void {
    this.#splice?.setHome(addressesOf(endpoint), cookie);
  }

  spliceCounts(): SpliceCounts | null {
    return this.#splice?.counts() ?? null;
  }

  #keepLink(name: string, link: Link): void {
    try {
      link.pin(this.#linkPin(name));
    } catch (error) {
      link.close();
      throw error;
    }
    this.#links.set(name, link);
    this.#undo.push(() => this.#dropLink(name));
  }

  #dropLink(name: string): void {
    const link = this.#links.get(name);
    if (!link) return;
    this.#links.delete(name);
    this.#machine.bpf.unpin(this.#linkPin(name));
    link.close();
  }

  attachEndpoint(endpoint: Pick<DatapathEndpoint, "interfaceName" | "interfaceIndex">): void {
    const { interfaceName, interfaceIndex } = endpoint;
    const isNetkit = this.#options.netkit && this.#machine.net.host.interface(interfaceName)?.kind === "netkit";
    for (const { program, direction } of HOOKS) {
      const atPeer = isNetkit && direction === "ingress";
      const name = `${atPeer ? NETKIT_PEER : `tcx_${direction}`}-${interfaceName}`;
      if (this.#links.has(name)) continue;
      const target = atPeer
        ? ({ hook: "netkit", interface: interfaceIndex, end: "peer" } as const)
        : ({ hook: "tcx", interface: interfaceIndex, direction } as const);
      this.#keepLink(name, this.#machine.bpf.attach(this.#program(program), target));
    }
  }

  // ---- devices ----

  setDevices(devices: readonly DatapathDevice[]): void {
    const rows = new Map<string, [Uint8Array, Uint8Array]>();
    const none = { w0: 0, w1: 0, w2: 0, w3: 0 };
    const { overlay } = this.#options;
    for (const { interfaceIndex, address, address6 } of overlay ? [...devices, overlay] : devices) {
      const key = encodeU32(interfaceIndex);
      const words = {
        address: address ? encodeAddress(address) : none,
        address6: address6 ? encodeAddress(address6) : none,
      };
      rows.set(keyText(key), [key, Device.encode(words)]);
    }
    this.#nextWays(sync(this.#map("skep_devices"), rows));
    this.#attachHooks(DEVICE_HOOKS, devices);
    this.#attachXdp(devices);
  }

  /** At these interfaces, and no others. */
  #attachHooks(
    hooks: typeof DEVICE_HOOKS | typeof OVERLAY_HOOKS,
    interfaces: readonly Pick<DatapathDevice, "interfaceName" | "interfaceIndex">[],
  ): void {
    const links = new Set<string>();
    for (const { interfaceName, interfaceIndex } of interfaces) {
      for (const { program, direction } of hooks) {
        const name = `${program}-${interfaceName}`;
        links.add(name);
        if (this.#links.has(name)) continue;
        const target = { hook: "tcx", interface: interfaceIndex, direction } as const;
        this.#keepLink(name, this.#machine.bpf.attach(this.#program(program), target));
      }
    }
    for (const name of [...this.#links.keys()])
      if (hooks.some(({ program }) => name.startsWith(`${program}-`)) && !links.has(name)) this.#dropLink(name);
  }

  /** The front of the outer interfaces, where it is asked for. */
  #attachXdp(interfaces: readonly Pick<DatapathDevice, "interfaceName" | "interfaceIndex">[]): void {
    const mode = this.#options.loadBalancer?.xdp;
    const links = new Set<string>();
    for (const { interfaceName, interfaceIndex } of mode ? interfaces : []) {
      const name = `${XDP_PROGRAM}-${interfaceName}`;
      links.add(name);
      if (this.#links.has(name)) continue;
      const target = { hook: "xdp", interface: interfaceIndex, ...(mode ? { mode } : {}) } as const;
      this.#keepLink(name, this.#machine.bpf.attach(this.#program(XDP_PROGRAM), target));
    }
    for (const name of [...this.#links.keys()]) if (isXdpLink(name) && !links.has(name)) this.#dropLink(name);
  }

  syncNextHops(rows: readonly NextHopRow[]): { changed: number; deleted: number } {
    const entries = rows.map((row): [string, [Uint8Array, Uint8Array]] => {
      const key = encodeIpcacheKey(row.prefix);
      const none = new Uint8Array(6);
      const value = NextHop.encode({
        ...{ ifindex: row.interfaceIndex, hasMacs: row.macs ? 1 : 0, mtu: row.mtu ?? 0 },
        ...{
          source: { bytes: [...(row.macs?.source ?? none)] },
          destination: { bytes: [...(row.macs?.destination ?? none)] },
        },
      });
      return [keyText(key), [key, value]];
    });
    return this.#nextWays(sync(this.#map("skep_next_hops"), new Map(entries)));
  }

  #nextWays<R extends { readonly changed: number; readonly deleted: number }>(result: R): R {
    if (result.changed + result.deleted > 0) this.#loadBalancer.nextWays();
    return result;
  }

  syncDenied(prefixes: DeniedPrefixes | Iterable<Prefix>): { changed: number; deleted: number } {
    const wanted = prefixes instanceof DeniedPrefixes ? prefixes : DeniedPrefixes.of(prefixes);
    const ipv4 = syncDenied4(this.#map("skep_deny4"), wanted);
    const ipv6 = syncDenied6(this.#map("skep_deny6"), wanted);
    return { changed: ipv4.changed + ipv6.changed, deleted: ipv4.deleted + ipv6.deleted };
  }

  syncEgress(rows: readonly EgressRow[]): { changed: number; deleted: number } {
    return sync(this.#map("skep_egress"), new Map(rows.map(egressEntry)));
  }

  syncNonMasquerade(prefixes: readonly Prefix[]): { changed: number; deleted: number } {
    const rows = prefixes.map((prefix): [string, [Uint8Array, Uint8Array]] => {
      const key = encodeIpcacheKey(prefix);
      return [keyText(key), [key, encodeU32(1)]];
    });
    return sync(this.#map("skep_nomasq"), new Map(rows));
  }

  // ---- endpoints ----

  #endpointIds(): number[] {
    return [...this.#map("skep_ep_if").entries()].map(([, value]) => maps.Endpoint.decode(value).id);
  }

  setEndpoint(endpoint: DatapathEndpoint): void {
    this.#endpoints.set(endpoint.id, endpoint);
    this.#writeRates(endpoint);
    this.#writeEndpoint(endpoint);
  }

  /** Rates that stay the same go on where they are. */
  #writeRates({ id, bandwidth }: DatapathEndpoint): void {
    const map = this.#map("skep_throttle");
    for (const [direction, rate] of [
      [1, bandwidth?.ingress],
      [2, bandwidth?.egress],
    ] as const) {
      const key = ThrottleKey.encode({ endpoint: id, direction });
      if (!rate) {
        map.delete(key);
        continue;
      }
      const known = map.get(key);
      if (!known || Throttle.decode(known).rate !== BigInt(rate))
        map.set(key, Throttle.encode({ rate: BigInt(rate), next: 0n }));
    }
  }

  #writeEndpoint(endpoint: DatapathEndpoint): void {
    const value = encodeEndpoint(endpoint, this.#generations.get(endpoint.id) ?? 0);
    let isNew = false;
    for (const address of addressesOf(endpoint)) {
      const key = maps.Address.encode(encodeAddress(address));
      isNew ||= this.#map("skep_ep_addr").get(key) === null;
      this.#map("skep_ep_addr").set(key, value);
    }
    if (isNew) this.#loadBalancer.nextWays();
    this.#map("skep_ep_if").set(encodeU32(endpoint.interfaceIndex), value);
  }

  /**
   * What the endpoint's policy said before holds no longer: the next packet of each connection is asked of the map as it is now. Numbers never
   * come again, also not after a restart.
   */
  #nextGeneration(id: number): void {
    const now = Number(BigInt.asUintN(32, this.#machine.clock.monotonic() / 1_000_000n));
    this.#generations.set(id, Math.max((this.#generations.get(id) ?? 0) + 1, now, 1));
    const endpoint = this.#endpoints.get(id);
    if (endpoint) this.#writeEndpoint(endpoint);
  }

  removeEndpoint(endpoint: Omit<DatapathEndpoint, "identity" | "mac" | "hostMac">): void {
    this.#splice?.removeHome(addressesOf(endpoint));
    for (const address of addressesOf(endpoint))
      this.#map("skep_ep_addr").delete(maps.Address.encode(encodeAddress(address)));
    this.#loadBalancer.nextWays();
    this.#map("skep_ep_if").delete(encodeU32(endpoint.interfaceIndex));
    this.#endpoints.delete(endpoint.id);
    for (const direction of [1, 2])
      this.#map("skep_throttle").delete(ThrottleKey.encode({ endpoint: endpoint.id, direction }));
    for (const { direction } of HOOKS) this.#dropLink(`tcx_${direction}-${endpoint.interfaceName}`);
    this.#map("skep_policy").delete(encodeU32(endpoint.id));
    this.#policies.delete(endpoint.id);
    this.#purge(addressesOf(endpoint));
  }

  prune(keep: readonly Pick<DatapathEndpoint, "id" | "interfaceName">[]): { endpoints: number } {
    const ids = new Set(keep.map((endpoint) => endpoint.id));
    const names = new Set(keep.map((endpoint) => endpoint.interfaceName));
    let removed = 0;
    for (const [, value] of [...this.#map("skep_ep_if").entries()]) {
      const row = maps.Endpoint.decode(value);
      if (ids.has(row.id)) continue;
      removed += 1;
      this.removeEndpoint({
        id: row.id,
        address: decodeAddress(row.address),
        ...(isZero(row.address6) ? {} : { address6: decodeAddress(row.address6) }),
        interfaceIndex: row.ifindex,
        interfaceName: "",
      });
    }
    for (const name of this.#links.keys()) {
      const found = /^tcx_(?:ingress|egress)-(.*)$/.exec(name);
      if (found && !names.has(found[1] ?? "")) this.#dropLink(name);
    }
    for (const [key] of [...this.#map("skep_policy").entries()]) {
      if (!ids.has(decodeU32(key))) this.#map("skep_policy").delete(key);
    }
    return { endpoints: removed };
  }

  // ---- policy ----

  setPolicy(policy: EndpointPolicy): void {
    this.setPolicies([policy]);
  }

  setPolicies(policies: readonly EndpointPolicy[]): void {
    for (let at = 0; at < policies.length; at += SWAPPED_AT_ONCE) this.#swap(policies.slice(at, at + SWAPPED_AT_ONCE));
  }

  #swap(policies: readonly EndpointPolicy[]): void {
    const outer = this.#spec.maps["skep_policy"];
    if (!outer?.inner) throw new Error("the datapath's object has no policy map");
    const rows: [key: Uint8Array, inner: RawMap][] = [];
    try {
      for (const { endpoint, entries } of policies) {
        const inner = this.#machine.bpf.createMap(outer.inner);
        rows.push([encodeU32(endpoint), inner]);
        inner.setAll(entries.map(encodePolicyEntry));
      }
      this.#map("skep_policy").setMaps(rows);
    } finally {
      for (const [, inner] of rows) inner.close();
      // Also after a failure, which may have swapped some: what was allowed is asked anew.
      for (const { endpoint } of policies) this.#nextGeneration(endpoint);
    }
    for (const { endpoint, entries } of policies) this.#policies.set(endpoint, entries);
  }

  updatePolicy(endpoint: number, { put, take }: PolicyDelta): void {
    const inner = this.#policyMap(endpoint);
    if (!inner) throw new Error(`endpoint ${endpoint} has no policy to change`);
    this.#policies.set(endpoint, null);
    try {
      for (const entry of put) inner.set(...encodePolicyEntry(entry));
      for (const entry of take) inner.delete(encodePolicyEntry(entry)[0]);
    } finally {
      inner.close();
      this.#nextGeneration(endpoint);
    }
  }

  #policyMap(endpoint: number): RawMap | null {
    return this.#policies.has(endpoint) ? this.#map("skep_policy").getMap(encodeU32(endpoint)) : null;
  }

  policyOf(endpoint: number): readonly PolicyMapEntry[] | null {
    const known = this.#policies.get(endpoint);
    if (known) return known;
    const inner = this.#policyMap(endpoint);
    if (!inner) return null;
    try {
      const entries = Array.from(inner.entries(), ([key, value]) => decodePolicyEntry(key, value));
      this.#policies.set(endpoint, entries);
      return entries;
    } finally {
      inner.close();
    }
  }

  /** Connections of addresses that another workload may get. */
  #purge(addresses: readonly Address[]): void {
    const gone = new Set(addresses.map((address) => keyText(maps.Address.encode(encodeAddress(address)))));
    const map = this.#map("skep_ct");
    const keys: Uint8Array[] = [];
    for (const [key] of map.entries()) {
      // The two ends are the key's first 32 bytes.
      if (gone.has(keyText(key.subarray(0, 16))) || gone.has(keyText(key.subarray(16, 32)))) keys.push(key);
    }
    map.deleteAll(keys);
  }

  // ---- ipcache and services ----

  syncIpcache(rows: readonly IpcacheRow[]): { changed: number; deleted: number } {
    return sync(this.#map("skep_ipcache"), ipcacheRows(rows));
  }

  updateIpcache({ written, removed }: IpcacheChange): { changed: number; deleted: number } {
    const map = this.#map("skep_ipcache");
    const changed = write(map, ipcacheRows(written));
    for (const prefix of removed) map.delete(encodeIpcacheKey(prefix));
    return { changed, deleted: removed.length };
  }

  syncServices(rows: readonly ServiceRow[]): { changed: number; deleted: number } {
    return this.#loadBalancer.replace(clusterRows(rows));
  }

  syncLoadBalancer(change: LoadBalancerChange): { changed: number; deleted: number } {
    return this.#loadBalancer.apply(change);
  }

  replaceLoadBalancer(rows: LoadBalancerRows): { changed: number; deleted: number } {
    return this.#loadBalancer.replace(rows);
  }

  // ---- events and counters ----

  readEvents(onEvent: (event: DatapathEvent) => void, onAnswer?: OnAnswer): { drain(): number; close(): void } {
    return this.readRecords((view, at) => onEvent(decodeEventAt(view, at)), onAnswer);
  }

  readRecords(onRecord: (view: DataView, at: number) => void, onAnswer?: OnAnswer): { drain(): number; close(): void } {
    const reader = this.#map("skep_events").readRingInPlace((view, at, length) => {
      if (length === EVENT_SIZE) onRecord(view, at);
      else onAnswer?.(decodeAnswerAt(view, at));
    });
    reader.start();
    return reader;
  }

  counters(): readonly Counter[] {
    return readCounters(this.#map("skep_metrics"));
  }

  endLost(namespaces: Iterable<Pick<Namespace, "endSockets">>, protocol: ConnectedSocket["protocol"]): number {
    const [reverse, backends] = [this.#map("skep_sock_rev"), this.#map("skep_backends")];
    const isMeant = (socket: ConnectedSocket): boolean => isLost(socket, reverse, backends);
    let count = 0;
    for (const namespace of namespaces) count += namespace.endSockets(protocol, isMeant);
    return count;
  }

  collect(): readonly TableUse[] {
    this.#program("skep_gc").test({ data: ANY_FRAME });
    return this.tableUse();
  }

  tableUse(): readonly TableUse[] {
    return tableUses(this.#map("skep_gc"), (name) => this.#map(name).info.maxEntries);
  }

  lostEvents(): bigint {
    const value = this.#map("skep_lost").get(encodeU32(0));
    if (!value) return 0n;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    let sum = 0n;
    for (let at = 0; at + 8 <= value.length; at += 8) sum += view.getBigUint64(at, true);
    return sum;
  }

  close(): void {
    this.#splice?.close();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#collection.close();
  }

  destroy(): void {
    for (const name of this.#links.keys()) this.#dropLink(name);
    endSplice(this.#machine, this.#options.pins);
    this.close();
    this.#machine.bpf.removePins(this.#options.pins);
  }
}

/** The front's own, not the programs that it goes on in. */
function ipcacheRows(rows: readonly IpcacheRow[]): Rows {
  return new Map(
    rows.map((row) => {
      const key = encodeIpcacheKey(row.prefix);
      const tunnel = row.tunnel ? encodeAddress(row.tunnel) : { w0: 0, w1: 0, w2: 0, w3: 0 };
      return [keyText(key), [key, maps.IpcacheEntry.encode({ identity: row.identity, flags: 0, tunnel })]];
    }),
  );
}

function isXdpLink(name: string): boolean {
  return name.startsWith(`${XDP_PROGRAM}-`);
}

function isZero(words: { w0: number; w1: number; w2: number; w3: number }): boolean {
  return (words.w0 | words.w1 | words.w2 | words.w3) === 0;
}

/** The host's own endpoint has none: what goes to its addresses is the stack's. */
function addressesOf(endpoint: Pick<DatapathEndpoint, "address" | "address6" | "interfaceIndex">): Address[] {
  const { address, address6 } = endpoint;
  if (endpoint.interfaceIndex === 0) return [];
  return address6 ? [address, address6] : [address];
}
