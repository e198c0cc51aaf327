/**
 * @module
 * Everything that control knows, as a state machine without input or output: documents and workloads in, rows for the datapath out.
 */
import {
  formatAddress,
  formatPrefix,
  hostPrefix,
  parsePrefix,
  prefixContains,
  type Address,
  type Prefix,
} from "@skep/net";
import {
  CLUSTER_LABEL,
  formatLabels,
  hasErrors,
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
  type Span,
} from "@skep/policy";
import { bandwidthOf } from "./bandwidth.ts";
import { AddressPool } from "./addresses.ts";
import { IdentityAllocator, type IdentitySnapshot } from "./identities.ts";
import type { Endpoint, EndpointSeed, IpcacheRow, Labels, ServiceRow } from "./model.ts";
import { NO_OBJECTS, NodeTable } from "./nodes.ts";
import type { NumberChange } from "./number-changes.ts";
import { type PolicyChange, type PolicySettings, PolicyState } from "./policy-state.ts";
import type { AddressPoolState } from "./load-balancer/address-pools.ts";
import { egressProblems, type EgressRow, egressRows, type EgressState } from "./egress/egress.ts";
import type { EgressPolicySpec } from "./egress/parse.ts";
import {
  type FileContent,
  identified,
  joinContents,
  movedTogether,
  NO_CONTENT,
  placeKey,
  type ReadContent,
  readFile,
} from "./files.ts";
import { type FolderKey, type FolderObject, givenTwice } from "./folder-objects.ts";
import type { LoadBalancer } from "./load-balancer/load-balancer.ts";
import type { LoadBalancerConfig } from "./load-balancer/config.ts";
import type { LoadBalancerChange, LoadBalancerRows } from "./load-balancer/rows.ts";
import { Services, type ServiceSnapshot } from "./services.ts";
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

/** Rows to write and prefixes to take out. */
export interface IpcacheChange {
  readonly written: readonly IpcacheRow[];
  readonly removed: readonly Prefix[];
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
  readonly #files = new Map<string, FileContent>();
  /** Where each object stands, by kind and name: no two files have the same. */
  readonly #places = new Map<string, Span>();
  readonly #diagnostics = new Map<string, readonly Diagnostic[]>();
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
  /** Prefixes of the ipcache, as text. */
  readonly #addressesTouched = new Touched<string>();
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

  constructor(options: WorldOptions) {
    this.#options = options;
    this.pods = new AddressPool(options.podCidr);
    this.pods6 = options.podCidr6 ? new AddressPool(options.podCidr6) : null;
    this.nodes = new NodeTable(options.nodeName ?? "", options.tunnelFamily);
    this.#services = new Services({
      prefix: options.serviceCidr,
      node: { name: options.nodeName ?? "", labels: options.nodeLabels ?? {} },
      config: options.loadBalancer ?? {},
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

  /** All or nothing: a file with an error leaves what it said before in force. */
  applyFile(file: string, text: string): { changed: boolean; diagnostics: readonly Diagnostic[] } {
    const { content, diagnostics } = readFile(file, text);
    diagnostics.push(...this.#givenTwice(file, content));
    this.#note(file, diagnostics);
    if (hasErrors(diagnostics)) return { changed: false, diagnostics };
    this.#takeOver([{ file, content }]);
    return { changed: true, diagnostics };
  }

  /**
   * Files that refuse each other one by one, since documents change places between them: those that say nothing twice when all are taken over in one step
   * are. Which ones, each with what it is told.
   */
  applyTogether(files: readonly (readonly [file: string, text: string])[]): Map<string, readonly Diagnostic[]> {
    const read = files.map(([file, text]) => ({ file, ...readFile(file, text) }));
    const moved = movedTogether(
      read.filter(({ diagnostics }) => !hasErrors(diagnostics)),
      (key) => this.#places.get(key)?.file,
    );
    if (moved.length > 0) this.#takeOver(moved);
    for (const { file, diagnostics } of moved) this.#note(file, diagnostics);
    return new Map(moved.map(({ file, diagnostics }) => [file, diagnostics]));
  }

  #note(file: string, diagnostics: readonly Diagnostic[]): void {
    if (diagnostics.length > 0) this.#diagnostics.set(file, diagnostics);
    else this.#diagnostics.delete(file);
  }

  /** In one step: what leaves one file and comes into another stays. */
  #takeOver(files: readonly { readonly file: string; readonly content: ReadContent }[]): void {
    const before = files.map(({ file }) => this.#files.get(file) ?? NO_CONTENT);
    for (const { file, content } of files) {
      const objects = content.objects.map(({ kind, key, span }) => ({ kind, key, span }));
      this.#files.set(file, { ...content, objects });
    }
    this.#documentsChanged(joinContents(before), joinContents(files.map(({ content }) => content)));
  }

  removeFile(file: string): void {
    this.#diagnostics.delete(file);
    const before = this.#files.get(file) ?? NO_CONTENT;
    if (this.#files.delete(file)) this.#documentsChanged(before, NO_CONTENT);
  }

  #givenTwice(file: string, content: FileContent): Diagnostic[] {
    return identified(content).flatMap((object) => {
      const other = this.#places.get(placeKey(object));
      if (!other || other.file === file) return [];
      return [givenTwice(object, `stands in ${other.file} too`, other)];
    });
  }

  #setPlaces(before: FileContent, after: FileContent): void {
    for (const { kind, key } of identified(before)) this.#places.delete(placeKey({ kind, key }));
    for (const { kind, key, span } of identified(after)) this.#places.set(placeKey({ kind, key }), span);
  }

  #documentsChanged(before: FileContent, after: ReadContent): void {
    this.#setPlaces(before, after);
    if (after.policies.length > 0 || before.policies.length > 0) {
      const contents = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, content]) => content);
      this.#policy.setDocuments(contents.flatMap((content) => content.policies));
      this.#prefixesTouched = true;
    }
    if (after.cluster !== NO_OBJECTS || before.cluster !== NO_OBJECTS) {
      this.nodes.set([...this.#files.values()].map((content) => content.cluster));
      this.#services.setRemoteWorkloads(this.nodes.workloads());
      this.#identitiesTouched.addAll();
      this.#forgetIpcache();
    }
    this.#objectsChanged(before.objects, after.objects);
    this.#revision += 1;
  }

  #objectsChanged(before: readonly FolderKey[], after: readonly FolderObject[]): void {
    const kept = new Set(after.map(({ kind, key }) => `${kind}/${key}`));
    for (const object of before) if (!kept.has(`${object.kind}/${object.key}`)) this.#services.take(object);
    for (const object of after) this.#services.put(object);
    const { changed, gone } = this.#services.changedPeers();
    if (changed.length + gone.length === 0) return;
    this.#policy.changeServices(changed, gone);
    this.#prefixesTouched = true;
  }

  /** What the files have been told, errors and warnings. */
  diagnostics(): Diagnostic[] {
    return [...this.#diagnostics.values()].flat();
  }

  documents(): PolicyDocument[] {
    return [...this.#files.values()].flatMap((content) => content.policies);
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
    this.#setOwnRows(before, endpoint);
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
    this.#setOwnRows(this.#endpoints.get(id), null);
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
    this.#forgetIpcache();
  }

  /** Of this node: those that packets leave by come first. */
  setInterfaces(interfaces: EgressState["interfaces"]): void {
    this.#interfaces = interfaces;
  }

  // ---- rows ----

  #egressPolicies(): EgressPolicySpec[] {
    return [...this.#files.values()].flatMap((content) => content.egress);
  }

  /** By which nodes what workloads send to the world leaves. */
  egress(): EgressRow[] {
    const policies = this.#options.egressGateway ? this.#egressPolicies() : [];
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
    if (!this.#isSettled) this.#forgetIpcache();
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
    if (changed.length > 0) this.#ipcacheBase = null;
    for (const { cidr } of changed) if (cidr) this.#addressesTouched.add(formatPrefix(cidr));
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
    // The last word on a prefix wins: a host or workload is never the world that a policy names with the same prefix.
    return [...new Map([...this.#baseRows(), ...this.#ownRows]).values()];
  }

  /** What is to be written to the ipcache since this was last asked for; null: all of it may be otherwise. */
  ipcacheChanges(): IpcacheChange | null {
    const touched = this.#addressesTouched.take();
    if (touched === null) return null;
    const written: IpcacheRow[] = [];
    const removed: Prefix[] = [];
    for (const text of touched) {
      const row = this.#ownRows.get(text) ?? this.#baseRows().get(text);
      const prefix = row?.prefix ?? parsePrefix(text);
      if (row) written.push(row);
      else if (prefix) removed.push(prefix);
    }
    return { written, removed };
  }

  /** Of this node's workloads, by prefix. */
  readonly #ownRows = new Map<string, IpcacheRow>();
  /** Rows of all but this node's workloads, by prefix; null: to be made again. */
  #ipcacheBase: ReadonlyMap<string, IpcacheRow> | null = null;

  #forgetIpcache(): void {
    this.#ipcacheBase = null;
    this.#addressesTouched.addAll();
  }

  #setOwnRows(before: Endpoint | undefined, after: Endpoint | null): void {
    for (const [text] of before ? endpointRows(before) : []) {
      this.#ownRows.delete(text);
      this.#addressesTouched.add(text);
    }
    for (const [text, row] of after ? endpointRows(after) : []) {
      this.#ownRows.set(text, row);
      this.#addressesTouched.add(text);
    }
  }

  #baseRows(): ReadonlyMap<string, IpcacheRow> {
    if (this.#ipcacheBase) return this.#ipcacheBase;
    const rows = new Map<string, IpcacheRow>();
    const add = (row: IpcacheRow): void => void rows.set(formatPrefix(row.prefix), row);
    for (const prefix of WORLD) add({ prefix, identity: reservedIdentities.world });
    for (const { cidr, id } of this.#identities.prefixes()) if (cidr) add({ prefix: cidr, identity: id });
    for (const row of this.nodes.ipcache()) add(row);
    const hosts = [...this.gateways(), ...this.#hostAddresses.filter((address) => !this.#isPodAddress(address))];
    for (const address of hosts) add({ prefix: hostPrefix(address), identity: reservedIdentities.host });
    this.#ipcacheBase = rows;
    return rows;
  }

  /** Frontends with their backends, by address. */
  services(): ServiceRow[] {
    return this.#services.table();
  }

  /** Rises when `services` may be otherwise. */
  get servicesVersion(): number {
    return this.#services.version;
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
    const egress = egressProblems(this.#egressPolicies(), this.egress(), this.#options.egressGateway ?? false);
    return [...policies, ...this.#services.problems(), ...egress];
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

function endpointRows({ address, address6, identity }: Endpoint): [prefix: string, row: IpcacheRow][] {
  const prefixes = (address6 ? [address, address6] : [address]).map(hostPrefix);
  return prefixes.map((prefix) => [formatPrefix(prefix), { prefix, identity }]);
}
