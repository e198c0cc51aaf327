/**
 * @module
 * The world's services: objects of the folder and workloads into the load balancer, with the addresses and ports that are given here.
 */
import { type Address, formatAddress, hostPrefix, isLinkLocal, isLoopback, type Prefix } from "@skep/net";
import { type Diagnostic, equalTo, labelSelector, type ServicePeers, type Span } from "@skep/policy";
import { AddressPool } from "./addresses.ts";
import { type FolderKey, type FolderObject, putObject, takeObject } from "./folder-objects.ts";
import { Allocations, type AllocationsSnapshot } from "./load-balancer/allocations.ts";
import { AddressPools, type AddressPoolState } from "./load-balancer/address-pools.ts";
import { isEmptyChange } from "./load-balancer/change.ts";
import type { LoadBalancerConfig } from "./load-balancer/config.ts";
import { addressText } from "./load-balancer/key.ts";
import { type FrontendStatus, LoadBalancer, type LoadBalancerSnapshot } from "./load-balancer/load-balancer.ts";
import type { InstanceState, NodeFacts } from "./load-balancer/model.ts";
import type { LoadBalancerChange, LoadBalancerRows } from "./load-balancer/rows.ts";
import { objectKey, type ServiceSpec, type WorkloadSpec } from "./load-balancer/spec.ts";
import type { NumberChange } from "./number-changes.ts";
import type { BackendRow, Endpoint, ServiceRow } from "./model.ts";

export interface ServiceSnapshot extends AllocationsSnapshot {
  /** Addresses of pools; older versions had none. */
  readonly loadBalancer?: readonly (readonly [service: string, addresses: readonly string[]])[];
  readonly numbers: LoadBalancerSnapshot;
}

/** Frontends that may be otherwise since it looked last, by their key, with their rows: none of one that is gone. `isAll`: others are gone. */
export type ServiceReader = () => {
  readonly isAll: boolean;
  readonly rows: Iterable<readonly [key: string, rows: readonly ServiceRow[]]>;
};

export interface ServicesOptions {
  readonly prefix: Prefix;
  readonly node: NodeFacts;
  readonly config: Partial<LoadBalancerConfig>;
}

export class Services {
  readonly balancer: LoadBalancer;
  readonly #allocations: Allocations;
  readonly #pools = new AddressPools();
  readonly #peers = new WeakMap<ServiceSpec, ServicePeers>();
  /** Services whose peers may be others than before. */
  readonly #touched = new Set<string>();
  /** Other nodes' workloads, as they were last set. */
  readonly #remote = new Map<string, string>();
  #changes: LoadBalancerChange[] = [];
  #version = 1;
  #problems = new Map<string, Diagnostic>();

  constructor({ prefix, node, config }: ServicesOptions) {
    this.balancer = new LoadBalancer(config, node);
    this.#allocations = new Allocations(new AddressPool(prefix), this.balancer.config.nodePortRange);
  }

  /** Rises when the table may be otherwise. */
  get version(): number {
    this.#settle();
    return this.#version;
  }

  put(object: FolderObject): void {
    this.#version += 1;
    this.#touch(object);
    if (object.kind === "CiliumLoadBalancerIPPool") return this.#pools.setPool(object.spec);
    if (object.kind !== "Service") {
      putObject(this.balancer, object);
      return this.#touch(object);
    }
    this.#problems.delete(object.key);
    try {
      this.balancer.setService(this.#pools.complete(this.#allocations.complete(object.spec)));
    } catch (error) {
      if (!(error instanceof Error) || !error.name.endsWith("ExhaustedError")) throw error;
      this.#problems.set(object.key, {
        ...{ code: "SKEP6020", severity: "error", span: object.span },
        message: `Service ${object.key} is not served: ${error.message}`,
      });
    }
  }

  /** Whether an object whose text is the same is as it was put, wherever it stands in its file now. */
  mayKeep({ kind, key }: FolderKey): boolean {
    if (kind === "EndpointSlice") return true;
    // What did not get what it asks for asks again, and pools tell where the services stand that have their addresses.
    return kind === "Service" && !this.#problems.has(key) && !this.#allocations.isShort(key) && !this.#pools.holds(key);
  }

  take(object: FolderKey): void {
    this.#version += 1;
    this.#touch(object);
    if (object.kind === "CiliumLoadBalancerIPPool") return this.#pools.deletePool(object.key);
    if (object.kind === "Service") {
      this.#allocations.release(object.key);
      this.#pools.release(object.key);
    }
    this.#problems.delete(object.key);
    takeObject(this.balancer, object);
  }

  #touch({ kind, key }: FolderKey): void {
    const service = kind === "EndpointSlice" ? this.balancer.serviceOfSlice(key) : kind === "Service" ? key : null;
    if (service !== null) this.#touched.add(service);
  }

  setEndpoint(endpoint: Endpoint): void {
    this.balancer.setWorkload(workloadOf(endpoint));
  }

  removeEndpoint(id: number): void {
    this.balancer.deleteWorkload(`${id}`);
  }

  /** All of other nodes' workloads that are known. */
  setRemoteWorkloads(workloads: readonly WorkloadSpec[]): void {
    const wanted = new Map(workloads.map((workload) => [workload.id, JSON.stringify(workload)]));
    for (const id of this.#remote.keys()) {
      if (wanted.has(id)) continue;
      this.balancer.deleteWorkload(id);
      this.#remote.delete(id);
    }
    for (const workload of workloads) {
      const text = wanted.get(workload.id) ?? "";
      if (this.#remote.get(workload.id) === text) continue;
      this.balancer.setWorkload(workload);
      this.#remote.set(workload.id, text);
    }
  }

  /** The host's own addresses: node ports are at those that others reach it by. */
  setHostAddresses(addresses: readonly Address[], gateways: readonly Address[]): void {
    const inside = new Set(gateways.map(formatAddress));
    this.#version += 1;
    this.balancer.setNodeAddresses(
      addresses.map((address) => ({
        address,
        nodePort: !isLoopback(address) && !isLinkLocal(address) && !inside.has(formatAddress(address)),
      })),
    );
  }

  specs(): readonly ServiceSpec[] {
    return this.balancer.specs();
  }

  /** Services as policies select them: by their selector, or, without one, by their backends' addresses. */
  peers(): ServicePeers[] {
    return this.specs().map((spec) => this.#peersOf(spec));
  }

  /** The same for the services that have changed since this was last asked for; those that are gone by name. */
  changedPeers(): { readonly changed: readonly ServicePeers[]; readonly gone: readonly string[] } {
    const keys = [...this.#touched];
    this.#touched.clear();
    const specs = keys.map((key) => [key, this.balancer.spec(key)] as const);
    return {
      changed: specs.flatMap(([, spec]) => (spec ? [this.#peersOf(spec)] : [])),
      gone: specs.flatMap(([key, spec]) => (spec ? [] : [key])),
    };
  }

  #peersOf(spec: ServiceSpec): ServicePeers {
    const known = this.#peers.get(spec);
    if (known) return known;
    const { namespace, name, labels } = spec;
    const wanted = Object.entries(spec.selector);
    if (wanted.length === 0) {
      const peers = new AddressPeers(spec, this.balancer);
      this.#peers.set(spec, peers);
      return peers;
    }
    const terms = wanted.map(([key, value]) => equalTo({ source: "k8s", key }, value));
    const peers = { namespace, name, labels, selector: labelSelector(terms), prefixes: [] };
    this.#peers.set(spec, peers);
    return peers;
  }

  /** Steps since this was last asked for, oldest first; each is to be applied before the next. */
  changes(): LoadBalancerChange[] {
    this.#settle();
    return this.#changes.splice(0);
  }

  #settle(): void {
    this.#settleAddresses();
    const change = this.balancer.commit();
    if (isEmptyChange(change)) return;
    this.#version += 1;
    this.#changes.push(change);
  }

  /** Pools have changed, or addresses have become free: services may have others now. */
  #settleAddresses(): void {
    for (const spec of this.#pools.takeStale()) {
      const before = this.balancer.spec(objectKey(spec));
      const after = this.#pools.complete(spec);
      if (before && textOf(before.ingressIps) !== textOf(after.ingressIps)) this.balancer.setService(after);
    }
  }

  addressPools(): AddressPoolState[] {
    this.#settleAddresses();
    return this.#pools.states();
  }

  rows(): LoadBalancerRows {
    this.#settle();
    return this.balancer.rows();
  }

  /** Frontends with their backends at every address, as people read them. */
  table(): ServiceRow[] {
    this.#settle();
    return this.balancer.frontends().flatMap((status) => this.#rows(status));
  }

  /** For one who looks. */
  reader(): ServiceReader {
    const unread = this.balancer.reader();
    return () => {
      this.#settle();
      const keys = unread.take();
      if (keys === null) return { isAll: true, rows: this.#rowsByFrontend() };
      return { isAll: false, rows: keys.map((key) => [key, this.#rowsAt(key)] as const) };
    };
  }

  #rowsAt(key: string): readonly ServiceRow[] {
    const status = this.balancer.frontend(key);
    return status ? this.#rows(status) : [];
  }

  *#rowsByFrontend(): IterableIterator<readonly [key: string, rows: readonly ServiceRow[]]> {
    for (const status of this.balancer.frontends()) yield [status.frontend.key, this.#rows(status)];
  }

  #rows({ frontend, places, error }: FrontendStatus): ServiceRow[] {
    const slash = frontend.service.indexOf("/");
    const row = {
      namespace: frontend.service.slice(0, slash),
      name: frontend.service.slice(slash + 1),
      portName: frontend.portName,
      type: frontend.redirectTo === null ? frontend.type : ("LocalRedirect" as const),
      port: frontend.port,
      protocol: frontend.protocol,
      scope: frontend.scope,
      ...(frontend.redirectTo === null ? {} : { redirectTo: frontend.redirectTo }),
      backends: frontend.backends.map(({ key, address, port, protocol, state }): BackendRow => {
        return { id: this.balancer.backendId(key) ?? 0, address, port, protocol, state: stateOf(state) };
      }),
    };
    if (places.length === 0) return [{ ...row, id: 0, address: frontend.address, error }];
    return places.map((place) => ({ ...row, ...place }));
  }

  /** Addresses that two services claim, and services that could not be given what they ask for. `spanOf`: where a service stands now. */
  problems(spanOf: (service: string) => Span | null): Diagnostic[] {
    this.#settleAddresses();
    const conflicts = this.balancer.conflicts().map(({ lost, holder }): Diagnostic => {
      const [span, other] = [spanOf(lost.service), spanOf(holder.service)];
      return {
        ...{ code: "SKEP6034", severity: "error" },
        message: `${lost.service} is not served at ${addressText(lost, lost.scope)}: ${holder.service} came first and has it`,
        ...(span ? { span } : {}),
        ...(other ? { related: [{ message: "this one has it", span: other }] } : {}),
      };
    });
    return [...this.#problems.values(), ...this.#pools.problems(), ...conflicts, ...this.#idleModes()];
  }

  /** Services whose backends were to answer clients themselves, where packets do not get to other nodes in that way. */
  #idleModes(): Diagnostic[] {
    if (this.balancer.config.directReturn) return [];
    const asking = this.specs().filter(({ forwardingMode }) => forwardingMode === "dsr");
    return asking.map(({ namespace, name, span }) => ({
      ...{ code: "SKEP6031", severity: "warning", span },
      message: `${namespace}/${name}: service.cilium.io/forwarding-mode "dsr" has no effect: the routing of this node does not bear it`,
      hint: "native routing does, and Geneve tunnels with --lb-dsr-dispatch geneve",
    }));
  }

  // ---- snapshot ----

  snapshot(): ServiceSnapshot {
    return { ...this.#allocations.snapshot(), loadBalancer: this.#pools.snapshot(), numbers: this.balancer.snapshot() };
  }

  /** Of the snapshot since this was asked last. */
  numberChanges(): NumberChange[] {
    const { frontends, backends } = this.balancer.numbers;
    return [
      ...this.#allocations.addressChanges.take("address"),
      ...this.#allocations.nodePortChanges.take("nodePort"),
      ...this.#pools.changes.take("loadBalancer"),
      ...frontends.changes.take("frontend"),
      ...backends.changes.take("backend"),
      ...this.balancer.stateChanges.take("backendState"),
    ];
  }

  /** Also what a version left that kept its numbers otherwise: then addresses alone are taken over. */
  restore(snapshot: Partial<ServiceSnapshot>): void {
    this.#allocations.restore(snapshot);
    this.#pools.restore(snapshot.loadBalancer ?? []);
    if (snapshot.numbers) this.balancer.restore(snapshot.numbers);
  }

  /** All files have been read once. */
  restored(): void {
    this.#settleAddresses();
    this.#pools.restored();
    this.#allocations.retain(new Set(this.specs().map((spec) => `${spec.namespace}/${spec.name}`)));
    this.#settle();
    this.balancer.restored();
  }
}

/** Those of a service without a selector: its backends' addresses, made when a policy names it. */
class AddressPeers implements ServicePeers {
  readonly selector = null;
  readonly #spec: ServiceSpec;
  readonly #balancer: LoadBalancer;

  constructor(spec: ServiceSpec, balancer: LoadBalancer) {
    this.#spec = spec;
    this.#balancer = balancer;
  }

  get namespace(): string {
    return this.#spec.namespace;
  }

  get name(): string {
    return this.#spec.name;
  }

  get labels(): ServicePeers["labels"] {
    return this.#spec.labels;
  }

  get prefixes(): Prefix[] {
    return this.#balancer.instancesOf(objectKey(this.#spec)).map(({ address }) => hostPrefix(address));
  }
}

const textOf = (addresses: readonly Address[]): string => addresses.map(formatAddress).join();

function stateOf(state: InstanceState): BackendRow["state"] {
  return state === "terminating-not-serving" ? "terminating" : state;
}

function workloadOf(endpoint: Endpoint): WorkloadSpec {
  return {
    id: `${endpoint.id}`,
    namespace: endpoint.namespace,
    labels: endpoint.labels,
    addresses: [endpoint.address, ...(endpoint.address6 ? [endpoint.address6] : [])],
    namedPorts: endpoint.namedPorts ?? [],
    node: "",
    terminating: false,
  };
}
