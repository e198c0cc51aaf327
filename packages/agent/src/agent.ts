/**
 * @module
 * The daemon: a folder and requests into control, control into a machine. Catches only here and at the edge of a request: what fails
 * keeps its old state or denies, and is told by the status.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import {
  type Endpoint,
  HOST_ENDPOINT,
  type LoadBalancerChange,
  type LoadBalancerConfig,
  type PolicySettings,
  World,
  type WorldSnapshot,
} from "@skep/control";
import { type Datapath, type DatapathOptions, openDatapath } from "@skep/datapath";
import type { Machine } from "@skep/machine";
import { formatAddress } from "@skep/net";
import { type Diagnostic, type Enforcement, formatDiagnostic, type NamedPort } from "@skep/policy";
import { type FolderChange, WatchedFolder } from "./folder.ts";
import { errorText, type Logger } from "./log.ts";
import { cidr, endpointOf, type EndpointState, newRow, pick, recordOf, type Row } from "./records.ts";
import { type EndpointRecord, type SettingsRecord, StateError, StateFolder } from "./state.ts";
import { forwardPackets, outerDevices } from "./devices.ts";
import { NextHops } from "./next-hops.ts";
import { innerMtu, NodeRoutes, openOverlay, OVERLAY_INTERFACE } from "./nodes.ts";
import {
  acceptServices,
  createGateway,
  createWire,
  raiseWire,
  removeWire,
  type Wire,
  type WireAddress,
  wireStands,
} from "./wire.ts";

export interface AgentOptions {
  readonly machine: Machine;
  /** The watched folder of YAML. */
  readonly directory: string;
  readonly run: string;
  readonly state: string;
  readonly pins: string;
  /** Below the cgroup2 root; workloads get cgroups of their own under it. Empty: the root itself is where sockets are balanced. */
  readonly cgroup: string;
  readonly podCidr: string;
  /** Workloads get an address of it too. Default: IPv4 alone. */
  readonly podCidr6?: string;
  readonly serviceCidr: string;
  /** Names of the interfaces by which packets leave the host: what workloads send out of the cluster leaves with their addresses. Default none. */
  readonly devices?: readonly string[];
  /** False: workloads keep their addresses. Default true. */
  readonly masquerade?: boolean;
  /** Destinations to which workloads keep their addresses. */
  readonly nonMasqueradeCidrs?: readonly string[];
  /** The devices' queues are fq: rates of workloads delay packets instead of dropping them. Default false. */
  readonly departureTimes?: boolean;
  /** How packets get to other nodes' workloads: over the nodes, which must be neighbours, or in tunnels. Default native. */
  readonly routing?: "native" | "vxlan";
  /** Of the other nodes' addresses that tunnels lead to; their largest packet depends on it. Default 4. */
  readonly tunnelFamily?: 4 | 6;
  readonly nodeName?: string;
  /** Of the node: what a nodeSelector selects. */
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** Policies with a nodeSelector are in force between the host and its workloads. Default false. */
  readonly hostFirewall?: boolean;
  /** Until the settings that were last set are read. Default `default`. */
  readonly enforcement?: Enforcement;
  /** False: the folder is read again only by `rescan`. Default true. */
  readonly watch?: boolean;
  readonly loadBalancer?: Partial<LoadBalancerConfig>;
  /** Whether services are forwarded before the kernel has the packet, by XDP at the devices. Default disabled: at tc. */
  readonly lbAcceleration?: "disabled" | "native" | "generic";
  /** Clients of a service without a backend are told so, or left waiting. Default reject. */
  readonly lbNoBackend?: "reject" | "drop";
  /** Every question to a policy leaves a flow. Default false. */
  readonly verdictEvents?: boolean;
  readonly log: Logger;
}

export interface EndpointStatus {
  readonly endpoint: Endpoint;
  readonly state: EndpointState;
  readonly reason: string;
  /** Of the policy in force. */
  readonly revision: number;
  readonly ingressEnforced: boolean;
  readonly egressEnforced: boolean;
  readonly record: EndpointRecord;
}

/** What the caller asked for cannot be. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly kind: "not-found" | "exists" | "invalid" | "exhausted";
  constructor(kind: RequestError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Between two looks for workloads that have ended. */
const REAP_MS = 1000;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 10_000;

export class Agent {
  readonly world: World;
  readonly datapath: Datapath;
  readonly nodeName: string;
  readonly startedAt: number;
  readonly warnings: string[] = [];
  /** Called after every attempt to bring the maps to what control says. */
  onApplied: (() => void) | null = null;
  readonly options: AgentOptions;
  readonly #machine: Machine;
  readonly #log: Logger;
  readonly #state: StateFolder;
  #settings: SettingsRecord;
  #hostApplied = "";
  /** The load balancer's maps are as control last said. */
  #balanced = false;
  readonly #folder: WatchedFolder;
  readonly #mtu: number;
  readonly #nodeRoutes: NodeRoutes;
  readonly #nextHops: NextHops;
  readonly #rows = new Map<number, Row>();
  readonly #cgroupPath: string;
  #applied = 0;
  #waiting: (() => void)[] = [];
  #retry: NodeJS.Timeout | undefined;
  #retryMs = RETRY_FIRST_MS;
  #reaper: NodeJS.Timeout | undefined;
  #failures = new Map<string, string>();

  /** Loads or adopts the datapath and brings it to what the folder says now. Throws where that cannot be. */
  constructor(options: AgentOptions) {
    this.options = options;
    this.#machine = options.machine;
    this.#log = options.log;
    this.startedAt = options.machine.clock.now();
    this.nodeName = options.nodeName ?? hostname();
    this.#state = new StateFolder(options.state);
    this.#settings = this.#state.readSettings();
    this.world = new World({
      podCidr: cidr(options.podCidr),
      ...(options.podCidr6 === undefined ? {} : { podCidr6: cidr(options.podCidr6) }),
      serviceCidr: cidr(options.serviceCidr),
      policy: this.#policySettings(),
      nodeName: this.nodeName,
      ...(options.loadBalancer ? { loadBalancer: options.loadBalancer } : {}),
      ...(options.nodeLabels ? { nodeLabels: options.nodeLabels } : {}),
    });
    const numbers = this.#state.readNumbers() as WorldSnapshot | null;
    if (numbers) this.#restoreNumbers(numbers);
    this.#cgroupPath =
      options.cgroup === ""
        ? this.#machine.processes.cgroupRoot
        : this.#machine.processes.createCgroup(options.cgroup).path;
    createGateway(this.#machine, this.world.gateways());
    const isTunnelled = options.routing === "vxlan";
    this.#mtu = innerMtu(this.#machine, options.devices ?? [], isTunnelled ? (options.tunnelFamily ?? 4) : null);
    const overlay = isTunnelled ? openOverlay(this.#machine, this.#mtu) : null;
    this.#nodeRoutes = new NodeRoutes(this.#machine, {
      overlay: overlay?.interfaceIndex ?? null,
      gateways: this.world.gateways(),
    });
    this.datapath = openDatapath(this.#machine, {
      ...(overlay ? { overlay } : {}),
      ...(options.departureTimes ? { departureTimes: true } : {}),
      pins: options.pins,
      cgroup: this.#cgroupPath,
      loadBalancer: this.#datapathBalancing(),
      ...(options.hostFirewall ? { hostFirewall: true } : {}),
      ...(options.verdictEvents ? { verdictEvents: true } : {}),
    });
    this.#nextHops = new NextHops(this.#machine, {
      overlay: overlay?.interfaceIndex ?? null,
      sync: (rows) => this.datapath.syncNextHops(rows),
    });
    this.#folder = new WatchedFolder({
      folder: options.directory,
      ...(options.watch === false ? { watch: false } : {}),
      onChange: (changes) => this.#documents(changes),
      onError: (error) =>
        this.#log.error("the policy folder cannot be read: what is in force stays", {
          folder: options.directory,
          error: errorText(error),
        }),
    });
    try {
      this.#start();
    } catch (error) {
      this.#folder.close();
      this.datapath.close();
      throw error;
    }
  }

  #start(): void {
    this.world.setHostAddresses(this.#machine.net.host.addresses().map(({ prefix }) => prefix.address));
    if (this.options.routing === "vxlan") this.#machine.net.host.setUp(this.#overlayIndex(), true);
    const { devices = [], nonMasqueradeCidrs = [] } = this.options;
    this.datapath.syncNonMasquerade(nonMasqueradeCidrs.map(cidr));
    this.datapath.setDevices(outerDevices(this.#machine, devices, { masquerade: this.options.masquerade ?? true }));
    if (devices.length > 0) forwardPackets(this.#machine);
    const gone = this.#adopt();
    this.#starting = true;
    this.#folder.start();
    this.#starting = false;
    this.world.restored();
    const host = this.options.hostFirewall ? [{ id: HOST_ENDPOINT, interfaceName: "" }] : [];
    this.datapath.prune([...this.world.endpoints(), ...host]);
    for (const record of gone) this.#forget(record);
    this.#apply();
    for (const endpoint of this.world.endpoints()) this.datapath.attachEndpoint(endpoint);
    this.#lookForWays();
    this.#reaper = setInterval(() => {
      this.#reap();
      this.#lookForWays();
    }, REAP_MS);
    this.#log.info(this.datapath.adopted.restarted ? "adopted the datapath" : "loaded the datapath", {
      endpoints: this.world.endpoints().length,
      revision: this.world.revision,
      pins: this.options.pins,
    });
  }

  #overlayIndex(): number {
    const found = this.#machine.net.host.interface(OVERLAY_INTERFACE);
    if (!found) throw new Error(`the interface ${OVERLAY_INTERFACE} is gone`);
    return found.index;
  }

  #datapathBalancing(): NonNullable<DatapathOptions["loadBalancer"]> {
    const { algorithm, maglevTableSize, nodePortRange } = this.world.loadBalancer.config;
    const [first, last] = nodePortRange;
    const { lbAcceleration: xdp = "disabled", lbNoBackend: noBackend } = this.options;
    return {
      ...{ algorithm, maglevSize: maglevTableSize, nodePorts: { first, last } },
      ...(xdp === "disabled" ? {} : { xdp }),
      ...(noBackend ? { noBackend } : {}),
    };
  }

  #waysProblem = "";

  /** The programs' ways for what comes in for a service. What cannot be said to them stays as it was. */
  #lookForWays(): void {
    if ((this.options.devices ?? []).length === 0) return;
    try {
      this.#nextHops.refresh(new Set(this.world.endpoints().map(({ interfaceIndex }) => interfaceIndex)));
      this.#waysProblem = "";
    } catch (error) {
      const text = errorText(error);
      if (text !== this.#waysProblem)
        this.#log.error("the host's routes are not in force for services", { error: text });
      this.#waysProblem = text;
    }
  }

  // ---- settings ----

  #policySettings(): PolicySettings {
    const { enforcement = this.options.enforcement ?? "default", auditNamespaces = [] } = this.#settings;
    return { enforcement, auditNamespaces, hostFirewall: this.options.hostFirewall ?? false };
  }

  get settings(): Required<SettingsRecord> {
    const { enforcement = "default", auditNamespaces = [] } = this.#policySettings();
    return { enforcement, auditNamespaces };
  }

  /** On disk first: a later agent enforces in the same way. */
  configure(change: SettingsRecord): void {
    this.#settings = { ...this.#settings, ...change };
    this.#state.writeSettings(this.#settings);
    this.world.configure(this.#policySettings());
    const { enforcement, auditNamespaces } = this.settings;
    this.#log.info("settings changed", { enforcement, auditNamespaces: auditNamespaces.join(",") });
    this.#apply();
    this.#refuseWhatFailed("the settings");
  }

  setAudit(endpoint: Endpoint, audit: boolean): EndpointStatus {
    const row = this.#rows.get(endpoint.id);
    if (!row) throw new RequestError("not-found", `no endpoint ${endpoint.id}`);
    row.record = { ...row.record, audit };
    this.#state.writeEndpoint(row.record);
    this.world.setAudit(endpoint.id, audit);
    this.#log.info(audit ? "audit on" : "audit off", { endpoint: endpoint.id, name: endpoint.name });
    this.#apply();
    this.#refuseWhatFailed(`the audit of ${endpoint.namespace}/${endpoint.name}`);
    return this.#statusOf(this.world.endpoint(endpoint.id) ?? endpoint, row);
  }

  /** What was asked is on record and tried again; that it is not in force yet is said. */
  #refuseWhatFailed(what: string): void {
    const [first] = this.#failures;
    if (first) throw new Error(`${what} is not in force yet: ${first[0]}: ${first[1]}`);
  }

  /** While the first documents are read nothing is written: the maps go from what they held to what the folder says in one step. */
  #starting = false;

  #restoreNumbers(numbers: WorldSnapshot): void {
    if (numbers.version !== 1)
      throw new StateError(this.options.state, new Error(`version ${String(numbers.version)} is not known`));
    const known = numbers.podCidr;
    if (known !== this.options.podCidr) {
      this.warnings.push(
        `the pod prefix was ${known} before: endpoints keep their addresses only inside ${this.options.podCidr}`,
      );
    }
    this.world.restore(numbers);
  }

  /** Endpoints on record that still stand; the others are returned, to be taken away. */
  #adopt(): EndpointRecord[] {
    const gone: EndpointRecord[] = [];
    for (const record of this.#state.readEndpoints()) {
      const endpoint = endpointOf(record);
      if (!wireStands(this.#machine, record)) {
        gone.push(record);
        continue;
      }
      acceptServices(this.#machine, record.interfaceName);
      const restored = this.world.restoreEndpoint(endpoint);
      this.#rows.set(restored.id, { ...newRow(record, "ready"), populated: true });
    }
    return gone;
  }

  #forget(record: EndpointRecord): void {
    removeWire(this.#machine, record);
    this.datapath.removeEndpoint(endpointOf(record));
    this.#state.removeEndpoint(record.id);
    void this.#machine.processes
      .deleteCgroup(record.cgroup)
      .catch((error: unknown) => this.#log.warn("a cgroup stays", { cgroup: record.cgroup, error: errorText(error) }));
    this.#log.info("removed an endpoint that is gone", { endpoint: record.id, name: record.name });
  }

  // ---- documents ----

  /** Reads the folder again, as a change of it does. */
  rescan(): void {
    this.#folder.look();
  }

  /** Texts that were refused, by file: another file's change may be what they wait for, as where a document moves between files. */
  readonly #refused = new Map<string, string>();

  #documents(changes: readonly FolderChange[]): void {
    for (const { file, text } of changes) {
      if (text !== null) continue;
      this.#refused.delete(file);
      this.world.removeFile(file);
      this.#log.info("file removed", { file });
    }
    const told = changes.flatMap(({ file, text }) => (text === null ? [] : [[file, text] as const]));
    for (const [file] of told) this.#refused.delete(file);
    const failed = this.#applyFiles([...told, ...this.#refused]);
    for (const [file, diagnostics] of failed) {
      if (!told.some(([each]) => each === file)) continue;
      this.#tell(diagnostics);
      this.#log.error("the file is not applied: what it said before stays in force", { file });
    }
    if (!this.#starting) this.#apply();
  }

  /** Again and again while one of them succeeds: in which order they came does not matter. */
  #applyFiles(files: readonly (readonly [file: string, text: string])[]): Map<string, readonly Diagnostic[]> {
    const failed = new Map<string, readonly Diagnostic[]>();
    let waiting = files;
    for (let before = Infinity; waiting.length > 0 && waiting.length < before;) {
      before = waiting.length;
      waiting = waiting.filter(([file, text]) => {
        const { changed, diagnostics } = this.world.applyFile(file, text);
        if (changed) {
          failed.delete(file);
          this.#refused.delete(file);
          this.#tell(diagnostics);
          this.#log.info("file applied", { file, revision: this.world.revision });
        } else {
          failed.set(file, diagnostics);
          this.#refused.set(file, text);
        }
        return !changed;
      });
    }
    return failed;
  }

  #tell(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) {
      const line = formatDiagnostic(diagnostic);
      if (diagnostic.severity === "error") this.#log.error(line);
      else this.#log.warn(line);
    }
  }

  // ---- rows into maps ----

  /** Brings the maps to what control says. What fails is retried; its row says why. */
  #apply(): void {
    clearTimeout(this.#retry);
    this.world.settle();
    const changes = this.world.loadBalancerChanges();
    this.#state.writeNumbers(this.world.snapshot());
    const failures = new Map<string, string>();
    const attempt = (what: string, run: () => void): void => {
      try {
        run();
      } catch (error) {
        failures.set(what, errorText(error));
      }
    };
    const revision = this.world.revision;
    this.#swapPolicies();
    // A new identity is in the policies before an address has it; a gone one leaves its address first.
    if (this.options.hostFirewall) attempt("the host's policy", () => this.#applyHost());
    for (const endpoint of this.world.endpoints())
      attempt(`endpoint ${endpoint.id}`, () => this.#applyEndpoint(endpoint));
    attempt("the routes to other nodes", () => {
      if (this.#nodeRoutes.sync(this.world.nodes.remote())) this.#lookForWays();
    });
    attempt("ipcache", () => void this.datapath.syncIpcache(this.world.ipcache()));
    attempt("services", () => this.#applyLoadBalancer(changes));
    this.#settleFailures(failures);
    this.onApplied?.();
    if (failures.size > 0) return;
    this.#applied = revision;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Step by step; after a start, or a step that failed, the whole. */
  #applyLoadBalancer(changes: readonly LoadBalancerChange[]): void {
    if (this.#balanced) {
      this.#balanced = false;
      for (const change of changes) this.datapath.syncLoadBalancer(change);
    } else this.datapath.replaceLoadBalancer(this.world.loadBalancerRows());
    this.#balanced = true;
  }

  /** Policies that change as a whole, all at once: the kernel is waited for once. What fails here is tried one by one. */
  #swapPolicies(): void {
    const changed = this.world.endpoints().flatMap((endpoint) => {
      const row = this.#rows.get(endpoint.id);
      if (!row) return [];
      const change = this.world.policyChange(endpoint, row.version);
      return change.kind === "whole" ? [{ row, change }] : [];
    });
    if (changed.length < 2) return;
    for (const { row } of changed) row.version = 0;
    try {
      this.datapath.setPolicies(changed.map(({ change }) => change.policy));
    } catch (error) {
      this.#log.warn("policies are written one by one", { error: errorText(error) });
      return;
    }
    for (const { row, change } of changed) row.version = change.version;
  }

  #applyEndpoint(endpoint: Endpoint): void {
    const row = this.#rows.get(endpoint.id);
    if (!row) return;
    try {
      const change = this.world.policyChange(endpoint, row.version);
      // Half a change is none: until it is whole the next try writes everything.
      row.version = 0;
      if (change.kind === "whole") this.datapath.setPolicy(change.policy);
      if (change.kind === "delta") this.datapath.updatePolicy(endpoint.id, change.delta);
      this.datapath.setEndpoint(endpoint);
      row.version = change.version;
      row.revision = this.world.revision;
      const enforced = this.world.enforced(endpoint);
      row.ingressEnforced = enforced.ingress;
      row.egressEnforced = enforced.egress;
      if (row.status.state === "not-ready") row.status = { state: "ready", reason: "" };
    } catch (error) {
      // The old policy stays in force, or none: then nothing passes.
      row.status = { state: "not-ready", reason: errorText(error) };
      throw error;
    }
  }

  /** The host's endpoint stands under interface 0. */
  #applyHost(): void {
    const policy = this.world.hostPolicy();
    const text = JSON.stringify(policy.entries);
    if (text === this.#hostApplied) return;
    this.datapath.setPolicy(policy);
    const nobody = new Uint8Array(6);
    this.datapath.setEndpoint({
      ...{ id: HOST_ENDPOINT, identity: 1, address: this.world.pods.gateway },
      ...{ interfaceName: "", interfaceIndex: 0, mac: nobody, hostMac: nobody },
    });
    this.#hostApplied = text;
  }

  /** What keeps policies from being in force as they are written. */
  problems(): Diagnostic[] {
    return this.world.problems();
  }

  #settleFailures(failures: Map<string, string>): void {
    for (const [what, error] of failures) {
      if (this.#failures.get(what) !== error)
        this.#log.error(`not in force: ${what}; what was before stays`, { error });
    }
    this.#failures = failures;
    if (failures.size === 0) {
      this.#retryMs = RETRY_FIRST_MS;
      return;
    }
    this.#retry = setTimeout(() => this.#apply(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
  }

  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /** The revision that is in force everywhere. */
  get appliedRevision(): number {
    return this.#applied;
  }

  /** Resolves when the revision is in force everywhere, or at the signal. */
  async waitForRevision(revision: number, signal: AbortSignal): Promise<number> {
    while (this.#applied < revision && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.#applied;
  }

  // ---- endpoints ----

  /** A workload's namespace with its wire, up only after its programs and policy are in force. */
  createEndpoint(request: {
    namespace: string;
    name: string;
    labels: Readonly<Record<string, string>>;
    namedPorts?: readonly NamedPort[];
    annotations?: Readonly<Record<string, string>>;
  }): EndpointStatus {
    const seed = this.#seed(request);
    const netns = `${seed.namespace}-${seed.name}`;
    let wire: Wire | undefined;
    try {
      // The numbers are on disk before a map knows them.
      this.#state.writeNumbers(this.world.snapshot());
      wire = createWire(this.#machine, { id: seed.id, netns, mtu: this.#mtu, ipv6: seed.address6 !== undefined });
      const cgroup = join(this.#workloadCgroups, netns);
      const cgroupPath = this.#machine.processes.createCgroup(cgroup).path;
      const endpoint: Endpoint = { ...seed, ...pick(wire) };
      const record = recordOf(endpoint, { netns, cgroup });
      this.#state.writeEndpoint(record);
      const row = newRow(record, "creating");
      this.#rows.set(endpoint.id, row);
      this.world.setEndpoint(endpoint);
      this.#apply();
      const failed = this.#failures.get(`endpoint ${endpoint.id}`) ?? this.#failures.get("ipcache");
      if (failed !== undefined) throw new Error(failed);
      this.datapath.attachEndpoint(endpoint);
      raiseWire(this.#machine, wire, this.#wireAddresses(endpoint));
      row.status = { state: "ready", reason: "" };
      this.#log.info("endpoint created", {
        endpoint: endpoint.id,
        name: `${endpoint.namespace}/${endpoint.name}`,
        address: formatAddress(endpoint.address),
        identity: endpoint.identity,
        cgroup: cgroupPath,
      });
      return this.#statusOf(endpoint, row);
    } catch (error) {
      this.#undo(seed.id, wire);
      throw error;
    }
  }

  #wireAddresses({ address, address6 }: Endpoint): WireAddress[] {
    const { pods, pods6 } = this.world;
    const first = { address, gateway: pods.gateway };
    return address6 && pods6 ? [first, { address: address6, gateway: pods6.gateway }] : [first];
  }

  #seed(request: {
    namespace: string;
    name: string;
    labels: Readonly<Record<string, string>>;
    namedPorts?: readonly NamedPort[];
    annotations?: Readonly<Record<string, string>>;
  }): ReturnType<World["allocateEndpoint"]> {
    try {
      return this.world.allocateEndpoint(request);
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      if (name === "EndpointNameError")
        throw new RequestError(errorText(error).includes("already") ? "exists" : "invalid", errorText(error), {
          cause: error,
        });
      if (name === "BandwidthError") throw new RequestError("invalid", errorText(error), { cause: error });
      if (name.endsWith("ExhaustedError")) throw new RequestError("exhausted", errorText(error), { cause: error });
      throw error;
    }
  }

  #undo(id: number, wire: Wire | undefined): void {
    const endpoint = this.world.endpoint(id);
    this.world.removeEndpoint(id);
    const row = this.#rows.get(id);
    this.#rows.delete(id);
    if (endpoint) this.datapath.removeEndpoint(endpoint);
    if (wire) removeWire(this.#machine, wire);
    this.#state.removeEndpoint(id);
    if (row)
      void this.#machine.processes
        .deleteCgroup(row.record.cgroup)
        .catch((error: unknown) => this.#log.warn("a cgroup stays", { error: errorText(error) }));
    this.#apply();
  }

  /** Its processes are ended, its connections purged, everything of it removed. */
  async removeEndpoint(endpoint: Endpoint): Promise<void> {
    const row = this.#rows.get(endpoint.id);
    if (!row || row.status.state === "disconnecting") return;
    row.status = { state: "disconnecting", reason: "" };
    this.datapath.removeEndpoint(endpoint);
    this.world.removeEndpoint(endpoint.id);
    this.#rows.delete(endpoint.id);
    this.#apply();
    removeWire(this.#machine, row.record);
    await this.#machine.processes.deleteCgroup(row.record.cgroup);
    this.#state.removeEndpoint(endpoint.id);
    this.#log.info("endpoint removed", { endpoint: endpoint.id, name: `${endpoint.namespace}/${endpoint.name}` });
  }

  /** A workload whose processes are gone, and whose `skep run` did not tell, is gone. */
  #reap(): void {
    for (const endpoint of this.world.endpoints()) {
      const row = this.#rows.get(endpoint.id);
      if (!row || row.status.state !== "ready") continue;
      const processes = this.#machine.processes.cgroupProcesses(row.record.cgroup);
      if (processes !== null && processes.length > 0) {
        row.populated = true;
        row.empty = 0;
        continue;
      }
      row.empty += 1;
      // One that never had a process is given time to start it.
      if (row.empty < (row.populated ? 2 : 30)) continue;
      this.#log.info("the workload has ended", { endpoint: endpoint.id, name: endpoint.name });
      this.removeEndpoint(endpoint).catch((error: unknown) =>
        this.#log.error("the endpoint is not wholly removed", { endpoint: endpoint.id, error: errorText(error) }),
      );
    }
  }

  endpoints(): EndpointStatus[] {
    return this.world.endpoints().flatMap((endpoint) => {
      const row = this.#rows.get(endpoint.id);
      return row ? [this.#statusOf(endpoint, row)] : [];
    });
  }

  #statusOf(endpoint: Endpoint, row: Row): EndpointStatus {
    const { revision, ingressEnforced, egressEnforced, record } = row;
    return { endpoint, ...row.status, revision, ingressEnforced, egressEnforced, record };
  }

  /** Where sockets are balanced at the root, workloads still have a cgroup of their own to live under. */
  get #workloadCgroups(): string {
    return this.options.cgroup === "" ? "skep" : this.options.cgroup;
  }

  /** Absolute path of an endpoint's cgroup. */
  cgroupPath(record: EndpointRecord): string {
    return join(this.#machine.processes.cgroupRoot, record.cgroup);
  }

  netnsPath(record: EndpointRecord): string {
    return this.#machine.net.openNamespace(record.netns)?.path ?? "";
  }

  /** Ends the agent; the datapath stays in force. */
  close(): void {
    clearInterval(this.#reaper);
    clearTimeout(this.#retry);
    this.#folder.close();
    this.datapath.close();
  }
}
