/**
 * @module
 * The datapath in a machine: loads or adopts the programs and maps, and keeps the maps as control wants them.
 */
import type { Collection, ConnectedSocket, Machine, Namespace, RawMap } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import type { Address, Prefix } from "@skep/net";
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
import { TELL_EACH } from "./bpf/events.bpf.ts";
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
import { decodeAddress, encodeAddress, encodeEndpoint, encodeIpcacheKey, encodeU32, keyText } from "./encode.ts";
import { decodeAnswerAt } from "./answers.ts";
import { decodeEventAt, EVENT_SIZE } from "./events.ts";
import { readSkepObject } from "./object.ts";
import { CONFIG_MAP, CONFIG_PIN, mapPin } from "./layouts.ts";
import { clusterRows, LoadBalancerMaps, withMaglevSize } from "./load-balancer.ts";
import { egressEntry } from "./egress.ts";
import { CALLED, DEVICE_HOOKS, OVERLAY_HOOKS, XDP_CALLED } from "./hooks.ts";
import { hasNetkitLinks, Links } from "./links.ts";
import { isLost } from "./lost.ts";
import { datapathConfig, type DatapathOptions, lifetimeConfig, MAGLEV_SIZE } from "./options.ts";
import { PinnedMaps } from "./pinned-maps.ts";
import { PolicyMaps, withPolicySize } from "./policy-maps.ts";
import { endSplice, SocketSplice, type SpliceCounts } from "./splice.ts";
import { type Rows, sync, write } from "./sync.ts";
import { Undo } from "./undo.ts";

export function openDatapath(machine: Machine, options: DatapathOptions): Datapath {
  return new KernelDatapath(machine, options);
}

class KernelDatapath implements Datapath {
  readonly adopted: Datapath["adopted"];
  readonly #machine: Machine;
  readonly #options: DatapathOptions;
  /** Without its programs once they are loaded. */
  #spec: ObjectSpec;
  readonly #collection: Collection;
  readonly #loadBalancer: LoadBalancerMaps;
  readonly #links: Links;
  /** Of what opening has changed so far. */
  readonly #undo = new Undo();
  #splice: SocketSplice | null = null;
  readonly #unsupported: string[] = [];
  readonly #policies: PolicyMaps;
  /** Endpoints as they stand in the maps, and the generations of their policies. */
  readonly #endpoints = new Map<number, DatapathEndpoint>();
  readonly #generations = new Map<number, number>();

  constructor(machine: Machine, options: DatapathOptions) {
    this.#machine = machine;
    this.#options = options;
    this.#spec = withPolicySize(
      withMaglevSize(readSkepObject(), options.loadBalancer?.maglevSize ?? MAGLEV_SIZE),
      options.policyEntries,
    );
    for (const folder of ["", "/maps", "/links"]) machine.bpf.preparePins(options.pins + folder);
    const pinned = new PinnedMaps(machine.bpf, {
      ...{ pins: options.pins, spec: this.#spec },
      ...(options.maxEntries ? { maxEntries: options.maxEntries } : {}),
    });
    this.#undo.onEnd(() => pinned.close());
    this.#collection = this.#load(pinned.kept);
    this.#loadBalancer = this.#openLoadBalancer();
    const mapOf = (name: string): RawMap => this.#map(name);
    this.#policies = this.#openPolicies();
    this.#links = this.#openLinks();
    try {
      pinned.carry(mapOf);
      this.adopted = { endpoints: this.#endpointIds(), restarted: pinned.found };
      for (const [place, name] of CALLED) this.#map("skep_calls").setProgram(encodeU32(place), this.#program(name));
      for (const [place, name] of XDP_CALLED)
        this.#map("skep_xdp_calls").setProgram(encodeU32(place), this.#program(name));
      this.#links.adopt();
      this.#links.attachHooks(OVERLAY_HOOKS, options.overlay ? [options.overlay] : []);
      this.#links.attachSockets(options.cgroup);
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
    const netkit = options.netkit || hasNetkitLinks(this.#machine, `${options.pins}/links`);
    try {
      return this.#machine.bpf.load(this.#spec, {
        maps,
        config: datapathConfig(options, { netkit, hostNetns: this.#machine.net.host.cookie }),
        ...(options.maxEntries ? { maxEntries: options.maxEntries } : {}),
      });
    } catch (error) {
      for (const map of Object.values(maps)) map.close();
      throw this.#undo.back(error);
    }
  }

  // Apart from the constructor: a function that stays would keep everything that is known there, the programs too.

  #openLoadBalancer(): LoadBalancerMaps {
    const table = this.#spec.maps["skep_maglev"]?.inner;
    if (!table) throw new Error("the datapath's object has no Maglev tables");
    return new LoadBalancerMaps({ bpf: this.#machine.bpf, map: (name) => this.#map(name), table });
  }

  #openPolicies(): PolicyMaps {
    const inner = this.#spec.maps["skep_policy"]?.inner;
    if (!inner) throw new Error("the datapath's object has no policy map");
    return new PolicyMaps({
      ...{ bpf: this.#machine.bpf, outer: this.#map("skep_policy"), inner },
      onChange: (endpoint) => this.#nextGeneration(endpoint),
    });
  }

  #openLinks(): Links {
    const folder = `${this.#options.pins}/links`;
    return new Links(this.#machine, { folder, program: (name) => this.#program(name), undo: this.#undo });
  }

  get unsupported(): readonly string[] {
    return [...this.#links.unsupported, ...this.#unsupported];
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

  // ---- sockets ----

  #openSplice(): void {
    const { pins, cgroup, lifetimes = {}, maxEntries } = this.#options;
    const { ct_tcp } = lifetimeConfig(lifetimes);
    try {
      this.#splice = new SocketSplice(this.#machine, {
        ...{ pins, cgroup, map: (name: string) => this.#map(name) },
        config: ct_tcp === undefined ? {} : { ct_tcp },
        ...(maxEntries ? { maxEntries } : {}),
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
    this.#links.attachHooks(DEVICE_HOOKS, devices);
    this.#links.attachXdp(this.#options.loadBalancer?.xdp, devices);
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

  attachEndpoint(endpoint: Pick<DatapathEndpoint, "interfaceName" | "interfaceIndex">): void {
    const device = this.#machine.net.host.interface(endpoint.interfaceName);
    this.#links.attachEndpoint(endpoint, this.#options.netkit === true && device?.kind === "netkit");
  }

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
    this.#links.detachEndpoint(endpoint);
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
    this.#links.keepEndpoints((name) => names.has(name));
    this.#policies.keep(ids);
    return { endpoints: removed };
  }

  // ---- policy ----

  setPolicy(policy: EndpointPolicy): void {
    this.#policies.set([policy]);
  }

  setPolicies(policies: readonly EndpointPolicy[]): void {
    this.#policies.set(policies);
  }

  updatePolicy(endpoint: number, delta: PolicyDelta): void {
    this.#policies.update(endpoint, delta);
  }

  policyOf(endpoint: number): readonly PolicyMapEntry[] | null {
    return this.#policies.of(endpoint);
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
    // Records after one that told the reader come untold for a while (`bpf/events.bpf.ts`); twice that also bears a processor that was taken away.
    reader.start({ restMs: (2 * Number(TELL_EACH)) / 1_000_000 });
    return reader;
  }

  counters(): readonly Counter[] {
    return readCounters(this.#map("skep_metrics"));
  }

  endLost(namespaces: Iterable<Pick<Namespace, "endSockets">>, protocol: ConnectedSocket["protocol"]): number {
    const asked = { tcp: this.#map("skep_sock_tcp"), reverse: this.#map("skep_sock_rev") };
    const backends = this.#map("skep_backends");
    const isMeant = (socket: ConnectedSocket): boolean => isLost(socket, asked, backends);
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
    this.#links.close();
    this.#collection.close();
  }

  destroy(): void {
    this.#links.destroy();
    endSplice(this.#machine, this.#options.pins);
    this.close();
    this.#machine.bpf.removePins(this.#options.pins);
  }
}

function ipcacheRows(rows: readonly IpcacheRow[]): Rows {
  return new Map(
    rows.map((row) => {
      const key = encodeIpcacheKey(row.prefix);
      const tunnel = row.tunnel ? encodeAddress(row.tunnel) : { w0: 0, w1: 0, w2: 0, w3: 0 };
      return [keyText(key), [key, maps.IpcacheEntry.encode({ identity: row.identity, flags: 0, tunnel })]];
    }),
  );
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
