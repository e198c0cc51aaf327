/**
 * @module
 * Everything that control knows, as a state machine without input or output: documents and workloads in, rows for the datapath out.
 */
import { formatAddress, formatPrefix, hostPrefix, prefixContains, type Address, type Prefix } from "@skep/net";
import {
  CLUSTER_LABEL,
  formatLabels,
  LabelSet,
  matchesLabels,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  type NamedPort,
  type PolicySubject,
  reservedIdentities,
  type Diagnostic,
  type EndpointPolicy,
  type PolicyDocument,
  type RuleOrigin,
  SERVICE_ACCOUNT_LABEL,
} from "@skep/policy";
import { bandwidthOf } from "./bandwidth.ts";
import { AddressPool } from "./addresses.ts";
import { IdentityAllocator, type IdentitySnapshot } from "./identities.ts";
import type { Endpoint, EndpointSeed, IpcacheRow, Labels, ServiceRow } from "./model.ts";
import { NO_OBJECTS, NodeTable } from "./nodes.ts";
import type { NumberChange } from "./number-changes.ts";
import { type PolicyChange, type PolicySettings, PolicyState } from "./policy-state.ts";
import type { AddressPoolState } from "./load-balancer/address-pools.ts";
import { Documents, type FileChange } from "./documents.ts";
import { egressProblems, type EgressRow, egressRows, type EgressState } from "./egress/egress.ts";
import type { FolderKey, FolderObject } from "./folder-objects.ts";
import { Ipcache, type IpcacheChange, type IpcacheReader } from "./ipcache.ts";
import type { LoadBalancer } from "./load-balancer/load-balancer.ts";
import type { LoadBalancerConfig } from "./load-balancer/config.ts";
import type { LoadBalancerChange, LoadBalancerRows } from "./load-balancer/rows.ts";
import { type ServiceReader, Services, type ServiceSnapshot } from "./services.ts";
import { Touched } from "./touched.ts";

export interface WorldOptions {
  readonly podCidr: Prefix;
  /** Workloads get an address of it too. */
  readonly podCidr6?: Prefix;
  readonly serviceCidr: Prefix;
  /** Default `default`. */
  readonly clusterName?: string;
  readonly policy?: PolicySettings;
  /** The name of this node among those of the cluster. */
  readonly nodeName?: string;
  /** Of the node itself: what a nodeSelector selects, and its zone. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
  readonly loadBalancer?: Partial<LoadBalancerConfig>;
  /** CiliumEgressGatewayPolicies are in force. Default false. */
  readonly egressGateway?: boolean;
  /** Of the other nodes' addresses that tunnels lead to. Default 4. */
  readonly tunnelFamily?: 4 | 6;
}

/** What must be on disk before a map uses it. Plain JSON. */
export interface WorldSnapshot {
  readonly version: 1;
  readonly podCidr: string;
  readonly identities: IdentitySnapshot;
  readonly services: ServiceSnapshot;
  readonly nextAddress: string;
  /** Of the second family's prefix, where there is one. */
  readonly nextAddress6?: string;
  readonly nextEndpoint: number;
}

/** A workload of this name is there already, or the name is none. */
export class EndpointNameError extends Error {
  override readonly name = "EndpointNameError";
}

const WORLD: readonly Prefix[] = [4, 16].map((bytes) => ({
  address: { family: bytes === 4 ? 4 : 6, bytes: new Uint8Array(bytes) },
  length: 0,
}));

const LAST_ENDPOINT = 65_534;
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export class World {
  readonly pods: AddressPool;
  readonly pods6: AddressPool | null;
  readonly nodes: NodeTable;
  readonly #options: WorldOptions;
  readonly #identities = new IdentityAllocator();
  readonly #services: Services;
  readonly #policy: PolicyState;
  readonly #documents: Documents;
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #seeds = new Map<number, EndpointSeed>();
  /** Seeds by their identity. */
  readonly #users = new Map<number, Map<number, EndpointSeed>>();
  /** Numbers that the cluster has given. */
  #fixed: ReadonlySet<number> = new Set();
  readonly #identitiesTouched = new Touched<number>();
  /** Policies may name other prefixes. */
  #prefixesTouched = true;
  /** A subject is no more. */
  #subjectsTouched = true;
  readonly #ipcache = new Ipcache(() => this.#rowsOfOthers());
  readonly #ipcacheOfMaps = this.#ipcache.reader();
  /** The last settlement came to its end. */
  #isSettled = false;
  #hostAddresses: readonly Address[] = [];
  #interfaces: EgressState["interfaces"] = [];
  #nextEndpoint = 1;
  /** Where searches went on when changes were last asked for. */
  readonly #positions = new Map<string, string | number>();
  /** Numbers of the cluster that mean something else here. */
  #conflicts: readonly number[] = [];
  #revision = 1;
  #policyChanges = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { clusterName } = options;
    this.pods = new AddressPool(options.podCidr);
    this.pods6 = options.podCidr6 ? new AddressPool(options.podCidr6) : null;
    this.nodes = new NodeTable(options.nodeName ?? "", options.tunnelFamily);
    this.#services = new Services({
      prefix: options.serviceCidr,
      node: { name: options.nodeName ?? "", labels: options.nodeLabels ?? {} },
      config: options.loadBalancer ?? {},
    });
    this.#documents = new Documents({
      nodePorts: this.#services.balancer.config.nodePortRange,
      ...(clusterName === undefined ? {} : { localCluster: clusterName }),
    });
    this.#policy = new PolicyState(options.policy ?? {}, options.nodeLabels ?? {});
  }

  get settings(): PolicySettings {
    return this.#policy.settings;
  }

  /** Other enforcement, for all policies at once. Call `settle` afterwards. */
  configure(settings: PolicySettings): void {
    this.#policy.configure(settings);
    this.#policy.setServices(this.#services.peers());
    this.#identitiesTouched.addAll();
    this.#revision += 1;
  }

  /** Rises with every change of policy; an endpoint's policy carries the one that it was resolved at. */
  get revision(): number {
    return this.#revision;
  }

  // ---- documents ----

  /** Policies that came, changed or went so far. */
  get policyChanges(): number {
    return this.#policyChanges;
  }

  /** All or nothing: a file with an error leaves what it said before in force. */
  applyFile(file: string, text: string): { changed: boolean; diagnostics: readonly Diagnostic[] } {
    const { change, diagnostics } = this.#documents.read(file, text, (object) => this.#services.mayKeep(object));
    if (change) this.#documentsChanged(change);
    return { changed: change !== null, diagnostics };
  }

  /**
   * Files that refuse each other one by one, since documents change places between them: those that say nothing twice when all are taken over in one step
   * are. Which ones, each with what it is told.
   */
  applyTogether(files: readonly (readonly [file: string, text: string])[]): Map<string, readonly Diagnostic[]> {
    const { change, taken } = this.#documents.readTogether(files);
    if (change) this.#documentsChanged(change);
    return taken;
  }

  removeFile(file: string): void {
    const change = this.#documents.remove(file);
    if (change) this.#documentsChanged(change);
  }

  #documentsChanged({ before, after, put }: FileChange): void {
    if (after.policies.length > 0 || before.policies.length > 0) {
      this.#policyChanges += changesOf(before.policies, after.policies);
      this.#policy.setDocuments(this.#documents.policiesInOrder());
      this.#prefixesTouched = true;
    }
    if (after.cluster !== NO_OBJECTS || before.cluster !== NO_OBJECTS) {
      this.nodes.set(this.#documents.cluster());
      this.#services.setRemoteWorkloads(this.nodes.workloads());
      this.#identitiesTouched.addAll();
      this.#ipcache.forget();
    }
    this.#objectsChanged(before.objects, after.objects, put);
    this.#revision += 1;
  }

  #objectsChanged(before: readonly FolderKey[], after: readonly FolderKey[], put: readonly FolderObject[]): void {
    const kept = new Set(after.map(({ kind, key }) => `${kind}/${key}`));
    for (const object of before) if (!kept.has(`${object.kind}/${object.key}`)) this.#services.take(object);
    for (const object of put) this.#services.put(object);
    const { changed, gone } = this.#services.changedPeers();
    if (changed.length + gone.length === 0) return;
    this.#policy.changeServices(changed, gone);
    this.#prefixesTouched = true;
  }

  /** What the files have been told, errors and warnings. */
  diagnostics(): Diagnostic[] {
    return this.#documents.diagnostics();
  }

  documents(): PolicyDocument[] {
    return this.#documents.policies();
  }

  // ---- endpoints ----

  /** Number, identity and address of a new workload. `labels` without source are `k8s:`. Throws EndpointNameError and the exhausted errors. */
  allocateEndpoint(request: {
    namespace: string;
    name: string;
    labels: Readonly<Record<string, string>>;
    namedPorts?: readonly NamedPort[];
    annotations?: Readonly<Record<string, string>>;
  }): EndpointSeed {
    const { namespace, name } = request;
    for (const text of [namespace, name]) {
      if (!NAME.test(text))
        throw new EndpointNameError(`${JSON.stringify(text)} is no name: lower case letters, digits and -, 63 at most`);
    }
    if ([...this.#seeds.values()].some((each) => each.namespace === namespace && each.name === name)) {
      throw new EndpointNameError(`the workload ${namespace}/${name} is there already`);
    }
    const labels = this.workloadLabels(namespace, request.labels);
    const bandwidth = bandwidthOf(request.annotations ?? {});
    const identity = this.#identities.allocate(labels);
    const seed = {
      id: this.#freeEndpoint(),
      namespace,
      name,
      labels,
      identity: identity.id,
      ...this.#allocateAddresses(),
      ...(bandwidth ? { bandwidth } : {}),
      ...(request.namedPorts && request.namedPorts.length > 0 ? { namedPorts: request.namedPorts } : {}),
    };
    this.#setSeed(seed);
    this.#revision += 1;
    return seed;
  }

  #setSeed(seed: EndpointSeed): void {
    this.#dropSeed(seed.id, seed.identity);
    this.#seeds.set(seed.id, seed);
    this.#users.set(seed.identity, (this.#users.get(seed.identity) ?? new Map()).set(seed.id, seed));
    this.#identitiesTouched.add(seed.identity);
  }

  /** `next`: the identity that it has from now on, where there is one. Under the same one it keeps its place. */
  #dropSeed(id: number, next: number | null): void {
    const seed = this.#seeds.get(id);
    if (!seed) return;
    this.#subjectsTouched = true;
    this.#identitiesTouched.add(seed.identity);
    if (seed.identity === next) return;
    const users = this.#users.get(seed.identity);
    users?.delete(id);
    if (users?.size === 0) this.#users.delete(seed.identity);
  }

  #allocateAddresses(): { address: Address; address6?: Address } {
    const address = this.pods.allocate();
    if (!this.pods6) return { address };
    try {
      return { address, address6: this.pods6.allocate() };
    } catch (error) {
      this.pods.release(address);
      throw error;
    }
  }

  /** The labels of a pod as Cilium derives them. */
  workloadLabels(namespace: string, labels: Readonly<Record<string, string>>): Labels {
    const all: Record<string, string> = {};
    for (const [key, value] of Object.entries(labels)) all[key.includes(":") ? key : `k8s:${key}`] = value;
    all[`k8s:${NAMESPACE_LABEL}`] = namespace;
    all[`k8s:${NAMESPACE_LABELS_PREFIX}kubernetes.io/metadata.name`] = namespace;
    all[`k8s:${CLUSTER_LABEL}`] = this.#options.clusterName ?? "default";
    all[`k8s:${SERVICE_ACCOUNT_LABEL}`] ??= "default";
    return all;
  }

  #freeEndpoint(): number {
    for (let tried = 0; tried < LAST_ENDPOINT; tried++) {
      const id = this.#nextEndpoint;
      this.#nextEndpoint = id === LAST_ENDPOINT ? 1 : id + 1;
      if (!this.#seeds.has(id)) return id;
    }
    throw new EndpointNameError(`all ${LAST_ENDPOINT} endpoints are in use`);
  }

  /** The endpoint's interface is there: from now on it is in the rows. */
  setEndpoint(endpoint: Endpoint): void {
    const before = this.#endpoints.get(endpoint.id);
    this.#ipcache.setEndpoint(before ?? null, endpoint);
    if (before) this.#subjectsTouched = true;
    this.#endpoints.set(endpoint.id, endpoint);
    this.#services.setEndpoint(endpoint);
    this.#revision += 1;
  }

  /** Takes over one that was recorded. Its identity number must be known from the snapshot. */
  restoreEndpoint(endpoint: Endpoint): Endpoint {
    this.pods.claim(endpoint.address);
    if (endpoint.address6) this.pods6?.claim(endpoint.address6);
    const identity = this.#identities.allocate(endpoint.labels).id;
    const restored = { ...endpoint, identity };
    this.#setSeed(restored);
    this.setEndpoint(restored);
    return restored;
  }

  /** Whether denials at the endpoint are only told. */
  setAudit(id: number, audit: boolean): void {
    const endpoint = this.#endpoints.get(id);
    if (!endpoint || (endpoint.audit ?? false) === audit) return;
    const changed = { ...endpoint, audit };
    this.#setSeed(changed);
    this.#endpoints.set(id, changed);
    this.#revision += 1;
  }

  removeEndpoint(id: number): void {
    const seed = this.#seeds.get(id);
    if (!seed) return;
    this.pods.release(seed.address);
    if (seed.address6) this.pods6?.release(seed.address6);
    this.#dropSeed(id, null);
    this.#seeds.delete(id);
    this.#ipcache.setEndpoint(this.#endpoints.get(id) ?? null, null);
    this.#endpoints.delete(id);
    this.#services.removeEndpoint(id);
    this.#revision += 1;
  }

  endpoints(): Endpoint[] {
    return [...this.#endpoints.values()].sort((a, b) => a.id - b.id);
  }

  endpoint(id: number): Endpoint | null {
    return this.#endpoints.get(id) ?? null;
  }

  findEndpoint(namespace: string, name: string): Endpoint | null {
    return this.endpoints().find((each) => each.namespace === namespace && each.name === name) ?? null;
  }

  /** The host's addresses in the pods' prefixes, one for each family. */
  gateways(): Address[] {
    return this.pods6 ? [this.pods.gateway, this.pods6.gateway] : [this.pods.gateway];
  }

  #isPodAddress(address: Address): boolean {
    return [this.pods, this.pods6].some((pool) => pool !== null && prefixContains(pool.prefix, address));
  }

  /** Addresses of the host itself: identity 1. */
  setHostAddresses(addresses: readonly Address[]): void {
    this.#hostAddresses = addresses;
    this.#services.setHostAddresses(addresses, this.gateways());
    this.#ipcache.forget();
  }

  /** Of this node: those that packets leave by come first. */
  setInterfaces(interfaces: EgressState["interfaces"]): void {
    this.#interfaces = interfaces;
  }

  // ---- rows ----

  /** By which nodes what workloads send to the world leaves. */
  egress(): EgressRow[] {
    const policies = this.#options.egressGateway ? this.#documents.egress() : [];
    if (policies.length === 0) return [];
    const { nodeName: own = "", nodeLabels = {} } = this.#options;
    const known = this.nodes.own();
    const local = this.endpoints().map(({ address, address6, labels }) => {
      return { addresses: address6 ? [address, address6] : [address], labels, node: own };
    });
    return egressRows(policies, {
      workloads: [...local, ...this.nodes.workloads()],
      nodes: [
        ...this.nodes.remote(),
        { name: own, labels: { ...known?.labels, ...nodeLabels }, addresses: known?.addresses ?? this.#hostAddresses },
      ],
      own,
      interfaces: this.#interfaces,
      tunnelFamily: this.#options.tunnelFamily ?? 4,
    });
  }

  /**
   * Brings identities in line with workloads and policies: what has changed since the last time, or all where that is not known. Call before
   * rows are taken; numbers may be new afterwards.
   */
  settle(): void {
    const ids = this.#identitiesTouched.take();
    // A number that the cluster and this node give to different labels comes free when the last workload with it goes.
    if (ids === null || !this.#isSettled || this.#conflicts.length > 0) {
      this.settleWhole();
      return;
    }
    this.#isSettled = false;
    this.#settleIdentities(new Set([...ids, ...this.#settlePrefixes()]));
    this.#settleSubjects();
    this.#isSettled = true;
  }

  /** The same, whatever has changed. */
  settleWhole(): void {
    if (!this.#isSettled) this.#ipcache.forget();
    this.#isSettled = false;
    const fixed = this.nodes.identities();
    this.#fixed = new Set(fixed.map(({ id }) => id));
    // What nobody has any more is free for the cluster's numbers.
    for (const { id } of this.#identities.list()) if (this.#isUnused(id)) this.#release(id);
    this.#conflicts = fixed.filter(({ id, labels }) => !this.#identities.fix(id, labels)).map(({ id }) => id);
    this.#prefixesTouched = true;
    this.#settlePrefixes();
    this.#policy.settle(this.#identities.list(), this.#seeds.values());
    this.#subjectsTouched = true;
    this.#settleSubjects();
    this.#identitiesTouched.take();
    this.#isSettled = true;
  }

  #isUnused(id: number): boolean {
    return this.#identities.isWorkload(id) && !this.#users.has(id) && !this.#fixed.has(id);
  }

  #release(id: number): void {
    const identity = this.#identities.get(id);
    if (identity) this.#identities.release(identity);
  }

  /** Numbers of prefixes that came or went. */
  #settlePrefixes(): number[] {
    if (!this.#prefixesTouched) return [];
    const prefixes = this.#policy.repository.prefixes(this.#policy.cache);
    const fresh = prefixes.filter((prefix) => !this.#identities.hasPrefix(prefix));
    const came = fresh.map((prefix) => this.#identities.allocatePrefix(prefix));
    const gone = this.#identities.retainPrefixes(new Set(prefixes.map(formatPrefix)));
    this.#prefixesTouched = false;
    const changed = [...came, ...gone];
    if (changed.length > 0) this.#ipcache.touch(changed.flatMap(({ cidr }) => cidr ?? []));
    return changed.map(({ id }) => id);
  }

  /** New ones first: a workload's new identity is known before its old one is forgotten. */
  #settleIdentities(ids: ReadonlySet<number>): void {
    for (const id of ids) {
      const identity = this.#isUnused(id) ? null : this.#identities.get(id);
      if (identity) this.#policy.setIdentity(identity, this.#users.get(id)?.values() ?? []);
    }
    for (const id of ids) {
      if (this.#isUnused(id)) this.#release(id);
      if (!this.#identities.get(id)) this.#policy.removeIdentity(id);
    }
  }

  #settleSubjects(): void {
    if (!this.#subjectsTouched) return;
    this.#policy.retain(this.endpoints().map((endpoint) => this.#subjectOf(endpoint)));
    this.#subjectsTouched = false;
  }

  /** Numbers that the cluster has for labels which have another one here, given before the objects were read. */
  identityConflicts(): readonly number[] {
    return this.#conflicts;
  }

  identities(): ReturnType<IdentityAllocator["list"]> {
    return this.#identities.list();
  }

  identityLabels(id: number): string[] {
    const identity = this.#identities.get(id);
    return identity ? formatLabels(identity.labels) : [];
  }

  /** Which identity is behind each prefix. */
  ipcache(): IpcacheRow[] {
    return this.#ipcache.rows();
  }

  /** What is to be written to the ipcache since this was last asked for; null: all of it may be otherwise. */
  ipcacheChanges(): IpcacheChange | null {
    return this.#ipcacheOfMaps();
  }

  /** The same for one more who looks. */
  ipcacheReader(): IpcacheReader {
    return this.#ipcache.reader();
  }

  /** The workload whose address is the prefix; null where it is none's of this node. */
  endpointAt(prefix: Prefix): Endpoint | null {
    return this.#ipcache.ownerOf(prefix);
  }

  /** Of the ipcache, but for this node's workloads; of two on a prefix the later holds. */
  *#rowsOfOthers(): IterableIterator<IpcacheRow> {
    for (const prefix of WORLD) yield { prefix, identity: reservedIdentities.world };
    for (const { cidr, id } of this.#identities.prefixes()) if (cidr) yield { prefix: cidr, identity: id };
    yield* this.nodes.ipcache();
    const hosts = [...this.gateways(), ...this.#hostAddresses.filter((address) => !this.#isPodAddress(address))];
    for (const address of hosts) yield { prefix: hostPrefix(address), identity: reservedIdentities.host };
  }

  /** Frontends with their backends, by address. */
  services(): ServiceRow[] {
    return this.#services.table();
  }

  /** Rises when `services` may be otherwise. */
  get servicesVersion(): number {
    return this.#services.version;
  }

  /** For one who looks: rows of `services` that may be otherwise since it looked last. */
  serviceReader(): ServiceReader {
    return this.#services.reader();
  }

  /** Name of the service at an address, with its namespace; null where there is none. `protocol`: IANA number. */
  serviceAt(address: Address, port: number, protocol: number): string | null {
    return this.#services.balancer.serviceAt({ address, port, protocol });
  }

  /** The load balancer's tables. */
  get loadBalancer(): LoadBalancer {
    return this.#services.balancer;
  }

  /** What is to be written to the load balancer's maps since this was last asked for: steps, to be applied in turn. */
  loadBalancerChanges(): LoadBalancerChange[] {
    return this.#services.changes();
  }

  /** Of load balancers' addresses, the oldest first. */
  addressPools(): AddressPoolState[] {
    return this.#services.addressPools();
  }

  /** All that the load balancer's maps are to hold. */
  loadBalancerRows(): LoadBalancerRows {
    return this.#services.rows();
  }

  /** Every file has been read once: numbers and addresses that nobody has claimed since `restore` are free. */
  restored(): void {
    this.#services.restored();
  }

  #subjectOf(endpoint: EndpointSeed): PolicySubject {
    const identity = this.#identities.get(endpoint.identity) ?? { id: endpoint.identity, labels: endpoint.labels };
    return {
      id: endpoint.id,
      identity,
      ...(endpoint.namedPorts ? { namedPorts: endpoint.namedPorts } : {}),
      ...(endpoint.audit ? { audit: true } : {}),
    };
  }

  policyOf(endpoint: EndpointSeed): EndpointPolicy {
    return { ...this.#policy.policyOf(this.#subjectOf(endpoint)), revision: this.#revision };
  }

  /** The host's own policy, under the number `HOST_ENDPOINT`. */
  hostPolicy(): EndpointPolicy {
    return { ...this.#policy.hostPolicy(), revision: this.#revision };
  }

  /** Of the endpoint's policy: what `policyChange` is told of the one that is in force. */
  policyVersion(endpoint: EndpointSeed): number {
    return this.#policy.version(this.#subjectOf(endpoint));
  }

  /** What is to be written so that the endpoint's policy is in force; `since` is the version that is, 0 none. */
  policyChange(endpoint: EndpointSeed, since: number): PolicyChange {
    return this.#policy.change(this.#subjectOf(endpoint), since);
  }

  /** The same of the host's own policy. */
  hostPolicyChange(since: number): PolicyChange {
    return this.#policy.hostChange(since);
  }

  /** Which directions policies have closed by default. */
  enforced(endpoint: EndpointSeed): { readonly ingress: boolean; readonly egress: boolean } {
    return this.#policy.enforced(this.#subjectOf(endpoint));
  }

  /** What keeps policies and services from being in force as they are written. */
  problems(): Diagnostic[] {
    const policies = this.#policy.problems(this.endpoints().map((endpoint) => this.#subjectOf(endpoint)));
    const services = this.#services.problems((key) => this.#documents.placeOf("Service", key));
    const egress = egressProblems(this.#documents.egress(), this.egress(), this.#options.egressGateway ?? false);
    return [...policies, ...services, ...egress];
  }

  /** The rules behind a policy entry. */
  rulesOf(cookie: number): readonly RuleOrigin[] {
    return this.#policy.rulesOf(cookie);
  }

  selects(document: PolicyDocument, endpoint: Endpoint): boolean {
    const labels = new LabelSet(endpoint.labels);
    return document.rules.some((rule) => matchesLabels(rule.subject, labels));
  }

  // ---- snapshot ----

  snapshot(): WorldSnapshot {
    return {
      version: 1,
      podCidr: formatPrefix(this.#options.podCidr),
      identities: this.#identities.snapshot(),
      services: this.#services.snapshot(),
      nextAddress: this.pods.position,
      ...(this.pods6 ? { nextAddress6: this.pods6.position } : {}),
      nextEndpoint: this.#nextEndpoint,
    };
  }

  /** What has changed in the snapshot since this was asked last (`changeSnapshot`). */
  numberChanges(): NumberChange[] {
    const { frontends, backends } = this.#services.balancer.numbers;
    const next = {
      ...{ identity: this.#identities.position, endpoint: this.#nextEndpoint, address: this.pods.position },
      ...{ frontend: frontends.position, backend: backends.position },
      ...(this.pods6 ? { address6: this.pods6.position } : {}),
    };
    const moved = Object.entries(next).filter(([key, value]) => this.#positions.get(key) !== value);
    for (const [key, value] of moved) this.#positions.set(key, value);
    return [
      ...this.#identities.workloadChanges.take("identity"),
      ...this.#identities.prefixChanges.take("prefix"),
      ...this.#services.numberChanges(),
      ...moved.map(([key, value]) => ["next", key, value] as const),
    ];
  }

  restore(snapshot: WorldSnapshot): void {
    this.#identities.restore(snapshot.identities);
    this.#services.restore(snapshot.services);
    this.pods.position = snapshot.nextAddress;
    if (this.pods6 && snapshot.nextAddress6 !== undefined) this.pods6.position = snapshot.nextAddress6;
    this.#nextEndpoint = snapshot.nextEndpoint;
  }

  addressText(endpoint: Endpoint): string {
    return formatAddress(endpoint.address);
  }
}

/** How many came, changed or went. */
function changesOf(before: readonly PolicyDocument[], after: readonly PolicyDocument[]): number {
  const key = ({ kind, namespace, name }: PolicyDocument): string => `${kind} ${namespace}/${name}`;
  const left = new Map(before.map((document) => [key(document), document]));
  let changes = 0;
  for (const document of after) {
    const known = left.get(key(document));
    left.delete(key(document));
    if (known !== document && known?.text !== document.text) changes += 1;
  }
  return changes + left.size;
}
