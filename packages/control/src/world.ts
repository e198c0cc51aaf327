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
  documentKey,
  formatLabels,
  hasErrors,
  LabelSet,
  matchesLabels,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  type NamedPort,
  parseDocuments,
  type PolicySubject,
  reservedIdentities,
  type Diagnostic,
  type EndpointPolicy,
  type PolicyDocument,
  type RuleOrigin,
  SERVICE_ACCOUNT_LABEL,
} from "@skep/policy";
import { AddressPool } from "./addresses.ts";
import { IdentityAllocator, type IdentitySnapshot } from "./identities.ts";
import type { Endpoint, EndpointSeed, IpcacheRow, Labels, ServiceRow } from "./model.ts";
import { type PolicyChange, type PolicySettings, PolicyState } from "./policy-state.ts";
import { parseService, type ServiceSnapshot, type ServiceSpec, ServiceTable } from "./services.ts";

export interface WorldOptions {
  readonly podCidr: Prefix;
  /** Workloads get an address of it too. */
  readonly podCidr6?: Prefix;
  readonly serviceCidr: Prefix;
  /** Default `default`. */
  readonly clusterName?: string;
  readonly policy?: PolicySettings;
  /** Of the node itself: what a nodeSelector selects. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
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

interface FileContent {
  readonly policies: readonly PolicyDocument[];
  readonly services: readonly ServiceSpec[];
}

const LAST_ENDPOINT = 65_534;
const SERVICE_KINDS = new Set(["Service"]);
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export class World {
  readonly pods: AddressPool;
  readonly pods6: AddressPool | null;
  readonly #options: WorldOptions;
  readonly #identities = new IdentityAllocator();
  readonly #services: ServiceTable;
  readonly #policy: PolicyState;
  readonly #files = new Map<string, FileContent>();
  readonly #diagnostics = new Map<string, readonly Diagnostic[]>();
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #seeds = new Map<number, EndpointSeed>();
  #hostAddresses: readonly Address[] = [];
  #nextEndpoint = 1;
  #revision = 1;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.pods = new AddressPool(options.podCidr);
    this.pods6 = options.podCidr6 ? new AddressPool(options.podCidr6) : null;
    this.#services = new ServiceTable(new AddressPool(options.serviceCidr));
    this.#policy = new PolicyState(options.policy ?? {}, options.nodeLabels ?? {});
  }

  get settings(): PolicySettings {
    return this.#policy.settings;
  }

  /** Other enforcement, for all policies at once. Call `settle` afterwards. */
  configure(settings: PolicySettings): void {
    this.#policy.configure(settings);
    this.#policy.setServices(this.#services.specs());
    this.#revision += 1;
  }

  /** Rises with every change of policy; an endpoint's policy carries the one that it was resolved at. */
  get revision(): number {
    return this.#revision;
  }

  // ---- documents ----

  /** All or nothing: a file with an error leaves what it said before in force. */
  applyFile(file: string, text: string): { changed: boolean; diagnostics: readonly Diagnostic[] } {
    const parsed = parseDocuments(file, text);
    const diagnostics = [...parsed.diagnostics];
    const services: ServiceSpec[] = [];
    for (const document of parsed.foreign) {
      if (!SERVICE_KINDS.has(document.kind)) {
        diagnostics.push({
          code: "SKEP6046",
          severity: "warning",
          message: `the kind ${document.kind} is not read here: the object is left out`,
          span: document.node.span,
        });
        continue;
      }
      const { service, diagnostics: found } = parseService(document, file);
      diagnostics.push(...found);
      if (service) services.push(service);
    }
    const content = { policies: parsed.documents, services };
    diagnostics.push(...this.#givenTwice(file, content));
    this.#diagnostics.set(file, diagnostics);
    if (hasErrors(diagnostics)) return { changed: false, diagnostics };
    this.#files.set(file, content);
    this.#documentsChanged();
    return { changed: true, diagnostics };
  }

  removeFile(file: string): void {
    this.#diagnostics.delete(file);
    if (this.#files.delete(file)) this.#documentsChanged();
  }

  #givenTwice(file: string, content: FileContent): Diagnostic[] {
    const found: Diagnostic[] = [];
    for (const [other, known] of this.#files) {
      if (other === file) continue;
      const policies = new Set(known.policies.map(documentKey));
      for (const document of content.policies) {
        if (!policies.has(documentKey(document))) continue;
        found.push({
          code: "SKEP6034",
          severity: "error",
          message: `${document.kind} ${document.namespace}/${document.name} stands in ${other} too`,
          span: document.span,
          hint: "give it another name, or remove one of them",
        });
      }
      const services = new Set(known.services.map((service) => `${service.namespace}/${service.name}`));
      for (const service of content.services) {
        if (!services.has(`${service.namespace}/${service.name}`)) continue;
        found.push({
          code: "SKEP6034",
          severity: "error",
          message: `Service ${service.namespace}/${service.name} stands in ${other} too`,
          span: { file, line: 1, column: 1, offset: 0, length: 0 },
          hint: "give it another name, or remove one of them",
        });
      }
    }
    return found;
  }

  #documentsChanged(): void {
    const contents = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, content]) => content);
    const documents = contents.flatMap((content) => content.policies);
    this.#policy.setDocuments(documents);
    this.#services.set(contents.flatMap((content) => content.services));
    this.#policy.setServices(this.#services.specs());
    this.#revision += 1;
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
    const identity = this.#identities.allocate(labels);
    const seed = {
      id: this.#freeEndpoint(),
      namespace,
      name,
      labels,
      identity: identity.id,
      ...this.#allocateAddresses(),
      ...(request.namedPorts && request.namedPorts.length > 0 ? { namedPorts: request.namedPorts } : {}),
    };
    this.#seeds.set(seed.id, seed);
    this.#revision += 1;
    return seed;
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
    this.#endpoints.set(endpoint.id, endpoint);
    this.#revision += 1;
  }

  /** Takes over one that was recorded. Its identity number must be known from the snapshot. */
  restoreEndpoint(endpoint: Endpoint): Endpoint {
    this.pods.claim(endpoint.address);
    if (endpoint.address6) this.pods6?.claim(endpoint.address6);
    const identity = this.#identities.allocate(endpoint.labels).id;
    const restored = { ...endpoint, identity };
    this.#seeds.set(endpoint.id, restored);
    this.setEndpoint(restored);
    return restored;
  }

  /** Whether denials at the endpoint are only told. */
  setAudit(id: number, audit: boolean): void {
    const endpoint = this.#endpoints.get(id);
    if (!endpoint || (endpoint.audit ?? false) === audit) return;
    const changed = { ...endpoint, audit };
    this.#seeds.set(id, changed);
    this.#endpoints.set(id, changed);
    this.#revision += 1;
  }

  removeEndpoint(id: number): void {
    const seed = this.#seeds.get(id);
    if (!seed) return;
    this.pods.release(seed.address);
    if (seed.address6) this.pods6?.release(seed.address6);
    this.#seeds.delete(id);
    this.#endpoints.delete(id);
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
  }

  // ---- rows ----

  /** Brings identities in line with workloads and policies. Call before rows are taken; numbers may be new afterwards. */
  settle(): void {
    const prefixes = this.#policy.repository.prefixes(this.#policy.cache);
    for (const prefix of prefixes) this.#identities.allocatePrefix(prefix);
    this.#identities.retain({
      ids: new Set([...this.#seeds.values()].map((seed) => seed.identity)),
      prefixes: new Set(prefixes.map(formatPrefix)),
    });
    const subjects = this.endpoints().map((endpoint) => this.#subjectOf(endpoint));
    this.#policy.settle(this.#identities.list(), this.#seeds.values(), subjects);
  }

  identities(): ReturnType<IdentityAllocator["list"]> {
    return this.#identities.list();
  }

  identityLabels(id: number): string[] {
    const identity = this.#identities.get(id);
    return identity ? formatLabels(identity.labels) : [];
  }

  ipcache(): IpcacheRow[] {
    const world4 = parsePrefix("0.0.0.0/0");
    const world6 = parsePrefix("::/0");
    if (!world4 || !world6) throw new Error("unreachable: constant prefixes");
    const rows: IpcacheRow[] = [];
    const add = (prefix: Prefix, identity: number): void => void rows.push({ prefix, identity });
    const named = new Set<string>();
    for (const identity of this.#identities.prefixes()) {
      if (!identity.cidr) continue;
      named.add(formatPrefix(identity.cidr));
      add(identity.cidr, identity.id);
    }
    for (const prefix of [world4, world6]) if (!named.has(formatPrefix(prefix))) add(prefix, reservedIdentities.world);
    const hosts = [...this.gateways(), ...this.#hostAddresses.filter((address) => !this.#isPodAddress(address))];
    for (const address of hosts) add(hostPrefix(address), reservedIdentities.host);
    for (const endpoint of this.endpoints()) {
      add(hostPrefix(endpoint.address), endpoint.identity);
      if (endpoint.address6) add(hostPrefix(endpoint.address6), endpoint.identity);
    }
    // The last word on a prefix wins: a host or workload is never the world that a policy names with the same prefix.
    return [...new Map(rows.map((row) => [formatPrefix(row.prefix), row])).values()];
  }

  services(): ServiceRow[] {
    return this.#services.rows(this.endpoints());
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

  /** Which directions policies have closed by default. */
  enforced(endpoint: EndpointSeed): { readonly ingress: boolean; readonly egress: boolean } {
    return this.#policy.enforced(this.#subjectOf(endpoint));
  }

  /** What keeps policies from being in force as they are written. */
  problems(): Diagnostic[] {
    return this.#policy.problems(this.endpoints().map((endpoint) => this.#subjectOf(endpoint)));
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
