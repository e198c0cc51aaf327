/**
 * @module
 * The daemon: a folder and requests into control, control into a machine. Catches only here and at the edge of a request: what fails
 * keeps its old state or denies, and is told by the status.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import {
  addressText,
  type AskedState,
  BackendStateError,
  type Endpoint,
  HOST_ENDPOINT,
  NoBackendError,
  type PolicySettings,
  type SocketAddress,
  World,
  type WorldSnapshot,
} from "@skep/control";
import { type Datapath, type DatapathOptions, openDatapath } from "@skep/datapath";
import type { Machine } from "@skep/machine";
import { type Address, formatAddress } from "@skep/net";
import { type Diagnostic, type NamedPort } from "@skep/policy";
import { Activity } from "./activity.ts";
import { Collector } from "./collector.ts";
import { Documents } from "./documents.ts";
import { errorText, type Logger } from "./log.ts";
import { type AgentOptions, type EndpointStatus, RequestError } from "./options.ts";
import { Memory } from "./memory.ts";
import { Reconciler } from "./reconciler.ts";
import { cidr, endpointOf, newRow, ownPrefixes, pick, recordOf, type Row } from "./records.ts";
import { type EndpointRecord, type SettingsRecord, StateError, StateFolder } from "./state.ts";
import { DeniedFile } from "./denied.ts";
import { forwardPackets, outerDevices, ownInterfaces } from "./devices.ts";
import { HealthPorts } from "./health-ports.ts";
import { LostSockets } from "./lost-sockets.ts";
import { NextHops } from "./next-hops.ts";
import { innerMtu, NodeRoutes, openOverlay, type Overlay } from "./nodes.ts";
import {
  acceptServices,
  createGateway,
  createWire,
  netkitMode,
  raiseWire,
  removeWire,
  type Wire,
  type WireAddress,
  wireStands,
} from "./wire.ts";

/** Between two looks for workloads that have ended. */
const REAP_MS = 1000;
/** Workloads whose cgroups are looked at in a row. */
const LOOKED_AT = 64;

export class Agent {
  readonly world: World;
  readonly datapath: Datapath;
  readonly nodeName: string;
  readonly clusterName: string;
  readonly startedAt: number;
  readonly warnings: string[] = [];
  /** Called after every attempt to bring the maps to what control says. */
  onApplied: (() => void) | null = null;
  readonly activity = new Activity();
  readonly options: AgentOptions;
  readonly #machine: Machine;
  readonly #log: Logger;
  readonly #state: StateFolder;
  #settings: SettingsRecord;
  readonly #mtu: number;
  readonly #overlay: Overlay | null;
  readonly #documents: Documents;
  readonly #maps: Reconciler;
  readonly collector: Collector;
  readonly #rows = new Map<number, Row>();
  readonly #cgroupPath: string;
  #reaper: NodeJS.Timeout | undefined;
  /** Workloads whose cgroups were empty at the last look. */
  readonly #doubtful = new Set<number>();
  #turns: Iterator<number> = this.#rows.keys();
  readonly #memory: Memory;

  readonly #netkit: ReturnType<typeof netkitMode>;
  readonly #denied: DeniedFile | null;
  readonly #health: HealthPorts | null;
  #deniedProblem = "";

  /** Loads or adopts the datapath and brings it to what the folder says now. Throws where that cannot be. */
  constructor(options: AgentOptions) {
    this.options = options;
    this.#machine = options.machine;
    this.#log = options.log;
    this.startedAt = options.machine.clock.now();
    this.nodeName = options.nodeName ?? hostname();
    this.clusterName = options.clusterName ?? "default";
    this.#state = new StateFolder(options.state);
    this.#settings = this.#state.readSettings();
    this.world = new World({
      ...ownPrefixes(options),
      policy: this.#policySettings(),
      nodeName: this.nodeName,
      clusterName: this.clusterName,
      ...(options.loadBalancer ? { loadBalancer: options.loadBalancer } : {}),
      ...(options.nodeLabels ? { nodeLabels: options.nodeLabels } : {}),
      ...(options.egressGateway ? { egressGateway: true } : {}),
      ...(options.tunnelFamily ? { tunnelFamily: options.tunnelFamily } : {}),
    });
    const numbers = this.#state.readNumbers();
    if (numbers) this.#restoreNumbers(numbers);
    this.#cgroupPath =
      options.cgroup === ""
        ? this.#machine.processes.cgroupRoot
        : this.#machine.processes.createCgroup(options.cgroup).path;
    createGateway(this.#machine, this.world.gateways());
    this.#netkit = netkitMode(this.#machine, options.datapathMode ?? "veth");
    const { routing = "native", tunnelFamily = 4 } = options;
    this.#mtu = innerMtu(this.#machine, options.devices ?? [], routing === "native" ? null : tunnelFamily);
    const overlay = routing === "native" ? null : openOverlay(this.#machine, routing, this.#mtu);
    this.#overlay = overlay;
    const nodeRoutes = new NodeRoutes(this.#machine, {
      overlay: overlay?.interfaceIndex ?? null,
      gateways: this.world.gateways(),
    });
    this.datapath = openDatapath(this.#machine, {
      ...(overlay ? { overlay: { ...overlay, ...this.#ownAddresses() } } : {}),
      ...(options.departureTimes ? { departureTimes: true } : {}),
      ...(this.#netkit ? { netkit: true } : {}),
      pins: options.pins,
      cgroup: this.#cgroupPath,
      loadBalancer: this.#datapathBalancing(),
      ...(options.hostFirewall ? { hostFirewall: true } : {}),
      ...(options.egressGateway ? { egressGateway: true } : {}),
      ...(options.socketSplice ? { socketSplice: true } : {}),
      ...(options.lifetimes ? { lifetimes: options.lifetimes } : {}),
      ...(options.mapEntries ? { maxEntries: options.mapEntries } : {}),
      ...(options.policyEntries === undefined ? {} : { policyEntries: options.policyEntries }),
      ...(options.verdictEvents ? { verdictEvents: true } : {}),
      ...(options.monitor ? { monitor: options.monitor } : {}),
    });
    const { prefilterFile } = options;
    this.#denied =
      prefilterFile === undefined
        ? null
        : new DeniedFile(prefilterFile, (prefixes) => this.datapath.syncDenied(prefixes));
    this.#memory = new Memory(() => this.#machine.processes.giveBackMemory());
    this.#health = options.healthCheckPorts ? new HealthPorts(options.log) : null;
    this.#maps = new Reconciler({
      ...{
        world: this.world,
        datapath: this.datapath,
        state: this.#state,
        log: this.#log,
        rows: this.#rows,
        nodeRoutes,
      },
      nextHops: (options.devices ?? []).length === 0 ? null : this.#nextHops(overlay?.interfaceIndex ?? null),
      lostSockets: this.#lostSockets(),
      hostFirewall: options.hostFirewall ?? false,
      interfaces: options.egressGateway ? () => ownInterfaces(this.#machine, options.devices ?? []) : null,
      onRegenerated: (isDone, milliseconds) => this.activity.regenerated(isDone, milliseconds),
      onApplied: () => {
        if (this.#maps.failures.size === 0) this.activity.allInForce();
        this.#health?.sync(this.world.loadBalancer.healthChecks());
        this.#memory.changed();
        this.onApplied?.();
      },
    });
    this.collector = new Collector({
      ...{ datapath: this.datapath, clock: this.#machine.clock, log: this.#log },
      onRun: (isDone, milliseconds) => this.activity.collected(isDone, milliseconds),
      ...(options.collectEachMs === undefined ? {} : { eachMs: options.collectEachMs }),
    });
    this.#documents = new Documents({
      folder: options.directory,
      ...(options.watch === false ? { watch: false } : {}),
      ...{ world: this.world, log: this.#log },
      onRead: (read) => this.activity.policiesRead(read),
      onChange: () => this.#maps.apply(),
    });
    try {
      this.#start();
    } catch (error) {
      this.#maps.close();
      this.collector.close();
      this.#documents.close();
      this.datapath.close();
      throw error;
    }
  }

  #start(): void {
    this.#lookAtAddresses();
    if (this.#overlay) this.#machine.net.host.setUp(this.#overlay.interfaceIndex, true);
    const { devices = [], nonMasqueradeCidrs = [] } = this.options;
    this.datapath.syncNonMasquerade(nonMasqueradeCidrs.map(cidr));
    if (devices.length > 0) forwardPackets(this.#machine);
    // Wrong from the start ends the start.
    this.#denied?.refresh();
    const gone = this.#adopt();
    this.#documents.start();
    this.world.restored();
    const host = this.options.hostFirewall ? [{ id: HOST_ENDPOINT, interfaceName: "" }] : [];
    this.datapath.prune([...this.world.endpoints(), ...host]);
    for (const record of gone) this.#forget(record);
    this.#maps.apply();
    for (const endpoint of this.world.endpoints()) this.datapath.attachEndpoint(endpoint);
    for (const { record } of this.#rows.values()) this.#setHome(endpointOf(record), record.netns);
    this.#maps.lookForWays();
    this.#reaper = setInterval(() => {
      this.#reap();
      this.#followAddresses();
      this.#maps.lookForWays();
      this.#refreshDenied();
    }, REAP_MS);
    this.#log.info(this.datapath.adopted.restarted ? "adopted the datapath" : "loaded the datapath", {
      endpoints: this.world.endpoints().length,
      revision: this.world.revision,
      pins: this.options.pins,
    });
  }

  #lostSockets(): LostSockets {
    const { lbTerminate = "udp" } = this.options;
    const { net } = this.#machine;
    return new LostSockets({
      ...{ datapath: this.datapath, log: this.#log },
      protocols: lbTerminate === "none" ? [] : lbTerminate === "udp" ? ["udp"] : ["udp", "tcp"],
      namespaces: () => {
        const found = [...this.#rows.values()].map(({ record }) => net.openNamespace(record.netns));
        return [net.host, ...found.filter((each) => each !== null)];
      },
    });
  }

  #nextHops(overlay: number | null): NextHops {
    return new NextHops(this.#machine, { overlay, sync: (rows) => this.datapath.syncNextHops(rows) });
  }

  /** What the file said before stays in force while it is wrong. */
  #refreshDenied(): void {
    try {
      if (this.#denied?.refresh()) this.#log.info("other prefixes are denied", {});
      this.#deniedProblem = "";
    } catch (error) {
      const text = errorText(error);
      if (text !== this.#deniedProblem) this.#log.error("the denied prefixes stay as they were", { error: text });
      this.#deniedProblem = text;
    }
  }

  /** The host's among its workloads. */
  #ownAddresses(): { address?: Address; address6?: Address } {
    const [address, address6] = [4, 6].map((family) => this.world.gateways().find((each) => each.family === family));
    return { ...(address ? { address } : {}), ...(address6 ? { address6 } : {}) };
  }

  /** What the host's addresses were when they were last looked at. */
  #addressText = "";
  #addresses: readonly Address[] = [];

  get hostAddresses(): readonly Address[] {
    return this.#addresses;
  }

  /** Whether they have changed; then control and the devices' hooks know them. Throws DeviceError. */
  #lookAtAddresses(): boolean {
    const { devices = [], masquerade = true } = this.options;
    const { host } = this.#machine.net;
    const rows = host.addresses();
    // A device that was made anew has another number.
    const numbers = devices.map((name) => host.interface(name)?.index ?? 0);
    const own = rows.map(({ index, prefix }) => `${index} ${formatAddress(prefix.address)}`);
    const text = [...numbers, ...own].join(",");
    if (text === this.#addressText) return false;
    this.datapath.setDevices(outerDevices(this.#machine, devices, { masquerade }));
    this.#addresses = rows.map(({ prefix }) => prefix.address);
    this.world.setHostAddresses(this.#addresses);
    this.#addressText = text;
    return true;
  }

  #addressProblem = "";

  #followAddresses(): void {
    try {
      if (this.#lookAtAddresses()) this.#maps.apply();
      this.#addressProblem = "";
    } catch (error) {
      const text = errorText(error);
      if (text !== this.#addressProblem)
        this.#log.error("the host's addresses have changed, and what was before stays in force", { error: text });
      this.#addressProblem = text;
    }
  }

  #datapathBalancing(): NonNullable<DatapathOptions["loadBalancer"]> {
    const { algorithm, maglevTableSize, nodePortRange } = this.world.loadBalancer.config;
    const [first, last] = nodePortRange;
    const { lbAcceleration: xdp = "disabled", lbNoBackend: noBackend, lbDispatch: dispatch, nat46x64 } = this.options;
    return {
      ...{ algorithm, maglevSize: maglevTableSize, nodePorts: { first, last } },
      ...(xdp === "disabled" ? {} : { xdp }),
      ...(noBackend ? { noBackend } : {}),
      ...(dispatch ? { dispatch } : {}),
      ...(nat46x64 ? { nat46x64 } : {}),
      ...(this.options.prefilterFile === undefined ? {} : { prefilter: true }),
    };
  }

  // ---- settings ----

  #policySettings(): PolicySettings {
    const { enforcement = this.options.enforcement ?? "default", auditNamespaces = [] } = this.#settings;
    const { hostFirewall = false, policyEntries: maxEntries } = this.options;
    return { enforcement, auditNamespaces, hostFirewall, ...(maxEntries === undefined ? {} : { maxEntries }) };
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
    this.#maps.apply();
    this.#refuseWhatFailed("the settings");
  }

  setAudit(endpoint: Endpoint, audit: boolean): EndpointStatus {
    const row = this.#rows.get(endpoint.id);
    if (!row) throw new RequestError("not-found", `no endpoint ${endpoint.id}`);
    row.record = { ...row.record, audit };
    this.#state.writeEndpoint(row.record);
    this.world.setAudit(endpoint.id, audit);
    this.#log.info(audit ? "audit on" : "audit off", { endpoint: endpoint.id, name: endpoint.name });
    this.#maps.apply();
    this.#refuseWhatFailed(`the audit of ${endpoint.namespace}/${endpoint.name}`);
    return this.#statusOf(this.world.endpoint(endpoint.id) ?? endpoint, row);
  }

  /** The services that the backend serves: it gets new connections of none of them, or of all again. */
  setBackendState(at: SocketAddress, state: AskedState): string[] {
    const services = this.#orRefuse(() => this.world.loadBalancer.setBackendState(at, state));
    this.#log.info("backend state set", { backend: addressText(at), state });
    this.#maps.apply();
    this.#refuseWhatFailed(`the state of ${addressText(at)}`);
    return services;
  }

  #orRefuse<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof NoBackendError) throw new RequestError("not-found", error.message, { cause: error });
      if (error instanceof BackendStateError) throw new RequestError("refused", error.message, { cause: error });
      throw error;
    }
  }

  /** What was asked is on record and tried again; that it is not in force yet is said. */
  #refuseWhatFailed(what: string): void {
    const [first] = this.#maps.failures;
    if (first) throw new Error(`${what} is not in force yet: ${first[0]}: ${first[1]}`);
  }

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

  /** Reads the folder again, as a change of it does. */
  rescan(): void {
    this.#documents.rescan();
  }

  /** What keeps policies from being in force as they are written. */
  problems(): Diagnostic[] {
    return this.world.problems();
  }

  get failures(): ReadonlyMap<string, string> {
    return this.#maps.failures;
  }

  /** The revision that is in force everywhere. */
  get appliedRevision(): number {
    return this.#maps.appliedRevision;
  }

  /** Resolves when the revision is in force everywhere, or at the signal. */
  waitForRevision(revision: number, signal: AbortSignal): Promise<number> {
    return this.#maps.waitForRevision(revision, signal);
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
      this.#state.keepNumbers(this.world);
      wire = createWire(this.#machine, {
        ...{ id: seed.id, netns, mtu: this.#mtu, ipv6: seed.address6 !== undefined, netkit: this.#netkit },
      });
      const cgroup = join(this.#workloadCgroups, netns);
      const cgroupPath = this.#machine.processes.createCgroup(cgroup).path;
      const endpoint: Endpoint = { ...seed, ...pick(wire) };
      const record = recordOf(endpoint, { netns, cgroup });
      this.#state.writeEndpoint(record);
      const row = newRow(record, "creating");
      this.#rows.set(endpoint.id, row);
      this.world.setEndpoint(endpoint);
      this.#maps.apply();
      const failed = this.#maps.failures.get(`endpoint ${endpoint.id}`) ?? this.#maps.failures.get("ipcache");
      if (failed !== undefined) throw new Error(failed);
      this.datapath.attachEndpoint(endpoint);
      this.#setHome(endpoint, netns);
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

  #setHome(endpoint: Pick<Endpoint, "address" | "address6" | "interfaceIndex">, netns: string): void {
    if (!this.options.socketSplice) return;
    const namespace = this.#machine.net.openNamespace(netns);
    if (namespace) this.datapath.setHome(endpoint, namespace.cookie);
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
    this.#maps.apply();
  }

  /** Its processes are ended, its connections purged, everything of it removed. */
  async removeEndpoint(endpoint: Endpoint): Promise<void> {
    const row = this.#rows.get(endpoint.id);
    if (!row || row.status.state === "disconnecting") return;
    row.status = { state: "disconnecting", reason: "" };
    this.datapath.removeEndpoint(endpoint);
    this.world.removeEndpoint(endpoint.id);
    this.#rows.delete(endpoint.id);
    this.#maps.apply();
    removeWire(this.#machine, row.record);
    await this.#machine.processes.deleteCgroup(row.record.cgroup);
    this.#state.removeEndpoint(endpoint.id);
    this.#log.info("endpoint removed", { endpoint: endpoint.id, name: `${endpoint.namespace}/${endpoint.name}` });
  }

  /** A workload whose processes are gone, and whose `skep run` did not tell, is gone. */
  #reap(): void {
    for (const id of this.#toLookAt()) {
      const row = this.#rows.get(id);
      const endpoint = this.world.endpoint(id);
      if (!row || !endpoint || row.status.state !== "ready") continue;
      const processes = this.#machine.processes.cgroupProcesses(row.record.cgroup);
      if (processes !== null && processes.length > 0) {
        row.populated = true;
        row.empty = 0;
        this.#doubtful.delete(id);
        continue;
      }
      this.#doubtful.add(id);
      row.empty += 1;
      // One that never had a process is given time to start it.
      if (row.empty < (row.populated ? 2 : 30)) continue;
      this.#log.info("the workload has ended", { endpoint: endpoint.id, name: endpoint.name });
      this.removeEndpoint(endpoint).catch((error: unknown) =>
        this.#log.error("the endpoint is not wholly removed", { endpoint: endpoint.id, error: errorText(error) }),
      );
    }
  }

  /** Those that were found empty, and some of the others in turn: what a look costs does not grow with the workloads. */
  #toLookAt(): Set<number> {
    const found = new Set(this.#doubtful);
    for (const id of found) if (!this.#rows.has(id)) this.#doubtful.delete(id);
    for (let count = 0; count < LOOKED_AT; count++) {
      const { value, done } = this.#turns.next();
      if (!done) found.add(value);
      else {
        this.#turns = this.#rows.keys();
        break;
      }
    }
    return found;
  }

  endpoints(): EndpointStatus[] {
    return this.world.endpoints().flatMap((endpoint) => {
      const row = this.#rows.get(endpoint.id);
      return row ? [this.#statusOf(endpoint, row)] : [];
    });
  }

  #statusOf(endpoint: Endpoint, row: Row): EndpointStatus {
    const { revision, version, ingressEnforced, egressEnforced, record } = row;
    return { endpoint, ...row.status, revision, version, ingressEnforced, egressEnforced, record };
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
    this.#memory.close();
    this.#health?.close();
    this.collector.close();
    this.#maps.close();
    this.#documents.close();
    this.#state.close();
    this.datapath.close();
  }
}
