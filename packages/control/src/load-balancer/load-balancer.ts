/**
 * @module
 * The load balancer as a state machine: Kubernetes objects, workloads and node facts in; tables, and changes of the kernel's maps, out.
 * What a change costs depends on what it touches, not on how many services there are.
 */
import { type Address, isUnspecified } from "@skep/net";
import {
  type AskedState,
  BackendStateError,
  BackendStates,
  type BackendStatesSnapshot,
  isAllowed,
  NoBackendError,
} from "./backend-states.ts";
import { ChangeBuilder } from "./change.ts";
import { DEFAULT_CONFIG, type LoadBalancerConfig } from "./config.ts";
import {
  ANY4,
  ANY6,
  frontendsOf,
  hostPortsOf,
  instancesOfSlice,
  instancesOfWorkload,
  isExposedOn,
  mergeInstances,
  serviceOf,
} from "./convert.ts";
import { Claims } from "./frontends.ts";
import { addressKey, addressText, compareText, hostKey, type SocketAddress } from "./key.ts";
import {
  type Frontend,
  type HealthCheck,
  type FrontendParams,
  INSTANCE_STATES,
  type Instance,
  type NodeAddress,
  type NodeFacts,
  type Service,
} from "./model.ts";
import type { Numbers, NumbersSnapshot } from "./numbers.ts";
import { Programmer } from "./program.ts";
import {
  REDIRECT_SUFFIX,
  redirectFrontends,
  redirectInstances,
  redirectName,
  redirectService,
  redirectSkips,
  redirectTargets,
  takesFrontend,
} from "./redirect.ts";
import type { LoadBalancerChange, LoadBalancerRows, SkipRow } from "./rows.ts";
import { isHere, selectBackends } from "./select.ts";
import {
  type EndpointSliceSpec,
  objectKey,
  REMOTE_WORKLOAD,
  type PodSpec,
  type RedirectSpec,
  type ServiceSpec,
  type WorkloadSpec,
} from "./spec.ts";
import { packed } from "../packed.ts";
import { sharedText } from "../shared-text.ts";
import { Readers, type Touched } from "../touched.ts";
import { Workloads } from "./workloads.ts";

/** Numbers that outlive a restart. Plain JSON. */
export interface LoadBalancerSnapshot {
  readonly frontends: NumbersSnapshot;
  readonly backends: NumbersSnapshot;
  /** Older versions had none. */
  readonly states?: BackendStatesSnapshot;
}

export interface FrontendPlace {
  readonly id: number;
  readonly address: Address;
  /** `SERVICE_FLAG` of rows. */
  readonly flags: number;
}

export interface FrontendStatus {
  readonly frontend: Frontend;
  /** Of its own address; 0: it is not in the maps. */
  readonly id: number;
  /** Where it is: its own address, and those of the node that it stands for. */
  readonly places: readonly FrontendPlace[];
  /** Empty: it is in the rows. */
  readonly error: string;
}

/** Backends of a service, and what they come from. */
interface Source {
  readonly source: string;
  readonly instances: readonly Instance[];
}

const EVERYWHERE = { 4: hostKey(ANY4), 6: hostKey(ANY6) } as const;

export class LoadBalancer {
  readonly config: LoadBalancerConfig;
  readonly #programmer: Programmer;
  #node: NodeFacts;
  #addresses: readonly NodeAddress[] = [];
  #local: ReadonlySet<string> = new Set();

  readonly #specs = new Map<string, ServiceSpec>();
  /** The service that each belongs to, with its namespace. */
  readonly #slices = new Map<string, string>();
  readonly #pods = new Map<string, PodSpec>();
  readonly #redirects = new Map<string, RedirectSpec>();
  readonly #workloads = new Workloads();

  /** Those of host ports and redirects: what a spec says is made of it when it is asked for. */
  readonly #services = new Map<string, Service>();
  /** Services that have health check ports. */
  readonly #checked = new Set<string>();
  readonly #claims = new Claims();
  readonly #frontends = new Map<string, Frontend>();
  /** By service, then by what they come from. */
  readonly #sources = new Map<string, readonly Source[]>();
  /** While changes are settled: most often they are those of the one source. */
  readonly #merged = new Map<string, readonly Instance[]>();
  readonly #states = new BackendStates();
  readonly #redirectsTo = new Map<string, readonly RedirectSpec[]>();
  readonly #redirectSkips = new Map<string, readonly SkipRow[]>();
  /** The addresses that a frontend has been given rows at, where they are others than its own alone, and who has each. */
  readonly #placed = new Map<string, readonly string[]>();
  readonly #owners = new Map<string, string>();
  readonly #errors = new Map<string, string>();

  readonly #dirtyServices = new Set<string>();
  readonly #dirtyFrontends = new Set<string>();
  readonly #dirtyRedirects = new Set<string>();
  /** Services that had or have one of the frontends that changed. */
  readonly #concerned = new Set<string>();
  /** Frontends that may be otherwise than they were last read. */
  readonly #unread = new Readers<string>();

  /** Throws MaglevSettingsError. */
  constructor(config: Partial<LoadBalancerConfig> = {}, node: NodeFacts = { name: "", labels: {} }) {
    this.config = { ...DEFAULT_CONFIG, ...config };
    this.#programmer = new Programmer(this.config);
    this.#node = node;
  }

  // ---- objects ----

  setService(spec: ServiceSpec): void {
    this.#replaceService(objectKey(spec), spec);
  }

  deleteService(key: string): void {
    this.#replaceService(key, null);
  }

  #replaceService(key: string, spec: ServiceSpec | null): void {
    const old = this.#specs.get(key) ?? null;
    if (spec) this.#specs.set(key, spec);
    else this.#specs.delete(key);
    this.#workloads.setService(old, spec);
    for (const { source } of this.#sources.get(key) ?? [])
      if (source.startsWith("workload:")) this.#setInstances(key, source, []);
    if (spec) for (const workload of this.#workloads.selectedBy(spec)) this.#select(spec, workload);
    this.#publish(key, spec);
  }

  #publish(key: string, spec: ServiceSpec | null): void {
    const here = spec !== null && this.#isServed(spec);
    this.#claim(key, here ? serviceOf(spec) : null, here ? frontendsOf(spec, this.config) : []);
  }

  #isServed(spec: ServiceSpec): boolean {
    return spec.type !== "ExternalName" && isExposedOn(spec, this.#node);
  }

  setEndpointSlice(spec: EndpointSliceSpec): void {
    const key = objectKey(spec);
    const service = sharedText(`${spec.namespace}/${spec.service}`);
    if (this.#slices.get(key) !== service) this.deleteEndpointSlice(key);
    this.#slices.set(key, service);
    this.#setInstances(service, sharedText(`slice:${key}`), instancesOfSlice(spec, this.config));
  }

  deleteEndpointSlice(key: string): void {
    const service = this.#slices.get(key);
    if (service === undefined) return;
    this.#slices.delete(key);
    this.#setInstances(service, `slice:${key}`, []);
  }

  setPod(pod: PodSpec): void {
    this.#replacePod(objectKey(pod), pod);
  }

  deletePod(key: string): void {
    this.#replacePod(key, null);
  }

  #replacePod(key: string, pod: PodSpec | null): void {
    const old = this.#pods.get(key);
    const before = new Set(old ? hostPortsOf(old, this.config).map(({ service }) => service.name) : []);
    if (pod) this.#pods.set(key, pod);
    else this.#pods.delete(key);
    for (const { service, frontends, instances } of pod ? hostPortsOf(pod, this.config) : []) {
      before.delete(service.name);
      this.#setInstances(service.name, "pod", instances);
      this.#claim(service.name, service, frontends);
    }
    for (const name of before) {
      this.#setInstances(name, "pod", []);
      this.#claim(name, null, []);
    }
    this.#touchRedirects((pod ?? old)?.namespace ?? "");
  }

  setRedirect(spec: RedirectSpec): void {
    this.deleteRedirect(objectKey(spec));
    this.#redirects.set(objectKey(spec), spec);
    this.#dirtyRedirects.add(objectKey(spec));
    this.#retarget(spec);
  }

  deleteRedirect(key: string): void {
    const old = this.#redirects.get(key);
    if (!old) return;
    this.#redirects.delete(key);
    this.#dirtyRedirects.add(key);
    this.#retarget(old);
    this.#setInstances(redirectName(old), "redirect", []);
    this.#claim(redirectName(old), null, []);
  }

  /** The policies that redirect a service, in the order in which they have a say. */
  #retarget({ namespace, frontend }: RedirectSpec): void {
    if (frontend.kind !== "service") return;
    const target = `${namespace}/${frontend.service}`;
    const all = [...this.#redirects.values()].filter(
      (each) =>
        each.namespace === namespace && each.frontend.kind === "service" && each.frontend.service === frontend.service,
    );
    all.sort((a, b) => compareText(a.created || "~", b.created || "~") || compareText(a.name, b.name));
    if (all.length > 0) this.#redirectsTo.set(target, all);
    else this.#redirectsTo.delete(target);
    this.#dirtyServices.add(target);
  }

  #touchRedirects(namespace: string): void {
    for (const [key, spec] of this.#redirects) if (spec.namespace === namespace) this.#dirtyRedirects.add(key);
  }

  // ---- workloads and the node ----

  setWorkload(workload: WorkloadSpec): void {
    this.deleteWorkload(workload.id);
    this.#workloads.set(workload.id, workload);
    for (const spec of this.#workloads.servicesOf(workload)) this.#select(spec, workload);
    this.#touchRedirects(workload.namespace);
  }

  deleteWorkload(id: string): void {
    const old = this.#workloads.get(id);
    if (!old) return;
    for (const spec of this.#workloads.servicesOf(old)) this.#setInstances(objectKey(spec), `workload:${id}`, []);
    this.#workloads.set(id, null);
    this.#touchRedirects(old.namespace);
  }

  workloadIds(): string[] {
    return this.#workloads.ids();
  }

  #select(spec: ServiceSpec, workload: WorkloadSpec): void {
    const instances = instancesOfWorkload(spec, workload, this.#node);
    const fitting = instances.filter(({ address }) => this.config.families.includes(address.family));
    this.#setInstances(objectKey(spec), `workload:${workload.id}`, fitting);
  }

  /** Other labels (a zone, what node selectors ask for): everything that asks for them is looked at again. The name stays. */
  setNodeLabels(labels: Readonly<Record<string, string>>): void {
    this.#node = { ...this.#node, labels };
    for (const [key, spec] of this.#specs) this.#publish(key, spec);
  }

  setNodeAddresses(addresses: readonly NodeAddress[]): void {
    this.#addresses = addresses;
    this.#local = new Set(addresses.map(({ address }) => hostKey(address)));
    for (const key of this.#frontends.keys()) this.#dirtyFrontends.add(key);
  }

  // ---- what follows from them ----

  #claim(name: string, service: Service | null, wanted: readonly FrontendParams[]): void {
    if (service && !this.#specs.has(name)) this.#services.set(name, service);
    else this.#services.delete(name);
    if (service?.externalLocal && service.healthCheckNodePort !== 0) this.#checked.add(name);
    else this.#checked.delete(name);
    this.#dirtyServices.add(name);
    for (const key of this.#claims.set(name, service, wanted)) this.#dirtyFrontends.add(key);
  }

  #setInstances(service: string, source: string, instances: readonly Instance[]): void {
    const others = (this.#sources.get(service) ?? []).filter((each) => each.source !== source);
    if (instances.length > 0) others.push({ source, instances });
    if (others.length > 0) this.#sources.set(service, packed(others));
    else this.#sources.delete(service);
    this.#merged.delete(service);
    this.#dirtyServices.add(service);
  }

  spec(key: string): ServiceSpec | null {
    return this.#specs.get(key) ?? null;
  }

  /** With its namespace; null where the slice is not known. */
  serviceOfSlice(key: string): string | null {
    return this.#slices.get(key) ?? null;
  }

  /**
   * Takes a backend out of what new connections get, or back into it, for all services that it serves, until none has it any more. Gives the
   * services. Throws NoBackendError, BackendStateError.
   */
  setBackendState(at: SocketAddress, state: AskedState): string[] {
    const key = addressKey(at);
    const services = [...this.#sources.keys()].filter((name) =>
      this.instancesOf(name).some((each) => each.key === key),
    );
    const states = services.flatMap((name) => this.instancesOf(name).filter((each) => each.key === key));
    const [now] = states.map((each) => INSTANCE_STATES.indexOf(each.state)).sort((a, b) => a - b);
    const known = now === undefined ? undefined : INSTANCE_STATES[now];
    if (known === undefined) throw new NoBackendError(`no service has the backend ${addressText(at)}`);
    if (!isAllowed(known, state)) throw new BackendStateError(addressText(at), known, state);
    this.#states.set(key, state, services);
    for (const name of services) {
      this.#merged.delete(name);
      this.#dirtyServices.add(name);
      for (const spec of this.#redirectsOf(name)) this.#dirtyServices.add(spec);
    }
    return services.sort(compareText);
  }

  /** The service whose frontends the workloads of a redirect serve. */
  #redirectsOf(name: string): string[] {
    if (!name.endsWith(REDIRECT_SUFFIX)) return [];
    const frontend = this.#redirects.get(name.slice(0, -REDIRECT_SUFFIX.length))?.frontend;
    return frontend?.kind === "service" ? [`${name.slice(0, name.indexOf("/"))}/${frontend.service}`] : [];
  }

  /** The backends of a service, each address once. */
  instancesOf(service: string): readonly Instance[] {
    const sources = this.#sources.get(service) ?? [];
    const isSliced = sources.some(({ source }) => source.startsWith("slice:"));
    const heard = sources.filter(({ source }) => !isSliced || !source.startsWith(`workload:${REMOTE_WORKLOAD}`));
    const said = mergeInstances(
      heard.map(({ instances }) => instances),
      INSTANCE_STATES,
    );
    return this.#states.apply(said);
  }

  /** The same, for several frontends of one service that are looked at in a row. */
  #mergedOf(service: string): readonly Instance[] {
    const known = this.#merged.get(service);
    if (known) return known;
    const merged = this.instancesOf(service);
    this.#merged.set(service, merged);
    return merged;
  }

  /** What is to be written since the last `commit`. */
  commit(): LoadBalancerChange {
    const change = new ChangeBuilder();
    for (const key of this.#dirtyRedirects) this.#settleRedirect(key);
    this.#states.settle(this.#dirtyServices, (name) => this.instancesOf(name));
    for (const key of this.#errors.keys()) this.#dirtyFrontends.add(key);
    for (const name of this.#dirtyServices) for (const key of this.#claims.keysOf(name)) this.#dirtyFrontends.add(key);
    const dirty = [...this.#dirtyFrontends];
    for (const key of dirty) this.#refresh(key);
    for (const key of dirty) this.#touchExpansion(key);
    const sorted = [...this.#dirtyFrontends].sort(compareText);
    for (const key of sorted) this.#place(change, key);
    for (const key of sorted) this.#displace(change, key);
    for (const key of sorted) this.#unread.add(key);
    // What was short of a number may have one now.
    for (const key of [...this.#errors.keys()]) this.#place(change, key);
    for (const key of this.#skipsTouched()) this.#settleSkips(change, key);
    this.#programmer.backends.settle(change);
    this.#merged.clear();
    this.#concerned.clear();
    this.#dirtyServices.clear();
    this.#dirtyFrontends.clear();
    this.#dirtyRedirects.clear();
    return change.build();
  }

  #settleRedirect(key: string): void {
    const spec = this.#redirects.get(key);
    if (!spec) return;
    const targets = this.#targetsOf(spec);
    const name = redirectName(spec);
    this.#setInstances(name, "redirect", redirectInstances(spec, targets, this.config.families));
    // Without a workload the address is whose it was before.
    this.#claim(name, redirectService(spec), targets.length > 0 ? redirectFrontends(spec) : []);
    if (spec.frontend.kind === "service") this.#dirtyServices.add(`${spec.namespace}/${spec.frontend.service}`);
  }

  #targetsOf(spec: RedirectSpec): ReturnType<typeof redirectTargets> {
    return redirectTargets(spec, this.#pods.values(), { workloads: this.#workloads.values(), node: this.#node });
  }

  #refresh(key: string): void {
    const params = this.#claims.holder(key);
    for (const name of [this.#frontends.get(key)?.service, params?.service]) if (name) this.#concerned.add(name);
    const service = params && this.service(params.service);
    if (!params || !service) {
      this.#frontends.delete(key);
      return;
    }
    const redirectTo = this.#redirectOf(params);
    const instances = this.#mergedOf(redirectTo ?? params.service);
    const selected = selectBackends(instances, {
      ...{ params, service, redirected: redirectTo !== null, node: this.#node, config: this.config },
    });
    const backends = selected === instances ? instances : packed(selected);
    const { address, port, protocol, service: name, scope, type, portName, servicePort } = params;
    // prettier-ignore
    const frontend = { address, port, protocol, service: name, scope, type, portName, servicePort, key, redirectTo, backends };
    this.#frontends.set(key, frontend);
  }

  /** The first policy that takes the frontend and has somebody to serve it. */
  #redirectOf(params: FrontendParams): string | null {
    const names = (this.#redirectsTo.get(params.service) ?? [])
      .filter((spec) => takesFrontend(spec, params))
      .map(redirectName);
    return names.find((name) => this.#sources.has(name)) ?? null;
  }

  /** Who has an address of the node decides whether a node port is there too. */
  #touchExpansion(key: string): void {
    const host = key.slice(0, 32);
    if (!this.#local.has(host)) return;
    for (const everywhere of Object.values(EVERYWHERE)) {
      const expanded = everywhere + key.slice(32);
      if (this.#frontends.has(expanded)) this.#dirtyFrontends.add(expanded);
    }
  }

  /** A frontend of every address is one for each of the node's, but for those that have an own one. */
  #placesOf(frontend: Frontend): readonly (readonly [key: string, address: Address])[] {
    const own = [frontend.key, frontend.address] as const;
    if (!isUnspecified(frontend.address)) return [own];
    const family = frontend.address.family;
    const others = this.#addresses
      .filter(({ address, nodePort }) => nodePort && address.family === family)
      .map(({ address }) => [addressKey({ ...frontend, address }, frontend.scope), address] as const)
      .filter(([key]) => !this.#frontends.has(key));
    return [own, ...others];
  }

  #place(change: ChangeBuilder, key: string): void {
    const frontend = this.#frontends.get(key);
    const service = frontend && this.service(frontend.service);
    if (!frontend || !service) return;
    this.#errors.delete(key);
    for (const [at, address] of this.#placesOf(frontend)) {
      this.#owners.set(at, key);
      const placement = { frontend, service, address };
      if (!this.#programmer.update(change, placement, this.#local.has(hostKey(address))))
        this.#errors.set(key, `all ${this.config.lastFrontend} numbers of frontends are in use`);
    }
  }

  /** Takes away what the frontend had before and nobody has now. */
  #displace(change: ChangeBuilder, key: string): void {
    const frontend = this.#frontends.get(key);
    const now = frontend ? this.#placesOf(frontend).map(([at]) => at) : [];
    for (const at of this.#placesBefore(key)) {
      if (now.includes(at) || this.#owners.get(at) !== key) continue;
      this.#owners.delete(at);
      this.#programmer.remove(change, at);
    }
    if (now.length > 1) this.#placed.set(key, now);
    else this.#placed.delete(key);
    if (now.length === 0) this.#errors.delete(key);
  }

  /** Most are at their own address alone: of them nothing is kept but whose it is. */
  #placesBefore(key: string): readonly string[] {
    return this.#placed.get(key) ?? (this.#owners.get(key) === key ? [key] : []);
  }

  #skipsTouched(): Set<string> {
    const touched = new Set(this.#dirtyRedirects);
    for (const name of this.#concerned) {
      for (const spec of this.#redirectsTo.get(name) ?? []) touched.add(objectKey(spec));
      if (name.endsWith(REDIRECT_SUFFIX)) touched.add(name.slice(0, -REDIRECT_SUFFIX.length));
    }
    return touched;
  }

  #settleSkips(change: ChangeBuilder, key: string): void {
    const spec = this.#redirects.get(key);
    const rows = spec ? redirectSkips(spec, this.#targetsOf(spec), this.#frontendsOfRedirect(spec)) : [];
    for (const row of this.#redirectSkips.get(key) ?? []) change.put("skips", row, null);
    for (const row of rows) change.put("skips", null, row);
    if (rows.length > 0) this.#redirectSkips.set(key, rows);
    else this.#redirectSkips.delete(key);
  }

  #frontendsOfRedirect(spec: RedirectSpec): Frontend[] {
    const name = redirectName(spec);
    const owner = spec.frontend.kind === "service" ? `${spec.namespace}/${spec.frontend.service}` : name;
    return [...this.#claims.keysOf(owner)].flatMap((key) => {
      const frontend = this.#frontends.get(key);
      return frontend?.service === owner && (owner === name || frontend.redirectTo === name) ? [frontend] : [];
    });
  }

  // ---- tables ----

  services(): Service[] {
    const specs = [...this.#specs.values()].filter((spec) => this.#isServed(spec));
    return [...this.#services.values(), ...specs.map(serviceOf)].sort((a, b) => compareText(a.name, b.name));
  }

  service(name: string): Service | null {
    const spec = this.#specs.get(name);
    if (!spec) return this.#services.get(name) ?? null;
    return this.#isServed(spec) ? serviceOf(spec) : null;
  }

  specs(): ServiceSpec[] {
    return [...this.#specs.values()];
  }

  frontends(): FrontendStatus[] {
    return [...this.#frontends.values()]
      .sort((a, b) => compareText(a.key, b.key))
      .map((frontend) => this.#statusOf(frontend));
  }

  #statusOf(frontend: Frontend): FrontendStatus {
    return {
      frontend,
      id: this.#programmer.id(frontend.key) ?? 0,
      places: this.#placesBefore(frontend.key).flatMap((key) => this.#programmer.place(key) ?? []),
      error: this.#errors.get(frontend.key) ?? "",
    };
  }

  /** Of a frontend as `commit` left it; null: it is gone. */
  frontend(key: string): FrontendStatus | null {
    const frontend = this.#frontends.get(key);
    return frontend ? this.#statusOf(frontend) : null;
  }

  /** For one who looks: keys of the frontends that may be otherwise since it looked last. */
  reader(): Touched<string> {
    return this.#unread.reader();
  }

  /** Name of the service that is served at an address; null where none is. */
  serviceAt(at: SocketAddress): string | null {
    const owner = this.#owners.get(addressKey(at)) ?? this.#owners.get(addressKey(at, 1));
    return (owner !== undefined && this.#frontends.get(owner)?.service) || null;
  }

  /** Of the backend's address; null where no frontend uses it. */
  backendId(key: string): number | null {
    return this.#programmer.backends.numbers.get(key);
  }

  /** Ports at which the node tells whether it has backends of a service whose policy for traffic from outside is Local; how many are active. */
  healthChecks(): HealthCheck[] {
    const services = [...this.#checked].sort(compareText).flatMap((name) => this.service(name) ?? []);
    return services.map(({ name, healthCheckNodePort: port }) => {
      const active = this.instancesOf(name).filter((each) => each.state === "active" && isHere(each, this.#node));
      return { service: name, port, localEndpoints: new Set(active.map(({ address }) => hostKey(address))).size };
    });
  }

  /** Every backend of every service, whether a frontend uses it or not, by address, with the services that it serves. */
  backends(): { readonly instance: Instance; readonly service: string }[] {
    const all = [...this.#sources.keys()].flatMap((service) =>
      this.instancesOf(service).map((instance) => ({ instance, service })),
    );
    return all.sort((a, b) => compareText(a.instance.key, b.instance.key) || compareText(a.service, b.service));
  }

  /** Addresses that two services claim: the one that lost, and who has it. */
  conflicts(): ReturnType<Claims["losers"]> {
    return this.#claims.losers();
  }

  rows(): LoadBalancerRows {
    return { ...this.#programmer.rows(), skips: [...this.#redirectSkips.values()].flat() };
  }

  // ---- numbers ----

  snapshot(): LoadBalancerSnapshot {
    const { numbers, backends } = this.#programmer;
    return {
      frontends: numbers.snapshot(),
      backends: backends.numbers.snapshot(),
      states: this.#states.snapshot(),
    };
  }

  /** Of the snapshot's `states`. */
  get stateChanges(): BackendStates["changes"] {
    return this.#states.changes;
  }

  /** Where they are given. */
  get numbers(): { readonly frontends: Numbers; readonly backends: Numbers } {
    return { frontends: this.#programmer.numbers, backends: this.#programmer.backends.numbers };
  }

  /** Before anything is set: who had a number gets it again. */
  restore({ frontends, backends, states = [] }: LoadBalancerSnapshot): void {
    this.#states.restore(states);
    this.#programmer.numbers.restore(frontends);
    this.#programmer.backends.numbers.restore(backends);
  }

  /** All sources have been read: numbers that nobody has claimed are free. */
  restored(): void {
    this.#states.restored();
    this.#programmer.numbers.forget();
    this.#programmer.backends.numbers.forget();
  }
}
