/**
 * @module
 * Kubernetes `Service` objects, and the frontends and backends that they become.
 */
import { type Address, formatAddress, parseAddress } from "@skep/net";
import { type Diagnostic, type ForeignDocument, parseMetadata, Reader, type Field, type Fields } from "@skep/policy";
import type { AddressPool } from "./addresses.ts";
import type { BackendRow, Endpoint, ServiceRow } from "./model.ts";

export interface ServicePort {
  readonly name: string;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  /** A number, or the name that each workload gives one. */
  readonly targetPort: number | string;
}

export interface ServiceSpec {
  readonly namespace: string;
  readonly name: string;
  /** Null: one is given from the service prefix. */
  readonly clusterIp: Address | null;
  /** No address at all: names only. */
  readonly headless: boolean;
  /** Of the object itself: what a policy's service selector selects. */
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
  readonly file: string;
}

const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] as const;

/** Fields of core/v1 ServiceSpec; those that this version does not serve are reported, not refused. */
const SPEC_FIELDS = [
  ...[
    "type",
    "clusterIP",
    "clusterIPs",
    "selector",
    "ports",
    "ipFamilies",
    "ipFamilyPolicy",
    "sessionAffinity",
    "sessionAffinityConfig",
  ],
  ...[
    "externalIPs",
    "externalName",
    "externalTrafficPolicy",
    "internalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
  ],
  ...["loadBalancerSourceRanges", "publishNotReadyAddresses", "allocateLoadBalancerNodePorts", "trafficDistribution"],
];
const UNSERVED = ["externalIPs", "loadBalancerSourceRanges", "sessionAffinityConfig"];

export function parseService(
  document: ForeignDocument,
  file: string,
): { service: ServiceSpec | null; diagnostics: readonly Diagnostic[] } {
  const reader = new Reader();
  const service = readService(reader, document, file);
  const failed = reader.diagnostics.some((diagnostic) => diagnostic.severity === "error");
  return { service: failed ? null : service, diagnostics: reader.diagnostics };
}

function readService(reader: Reader, document: ForeignDocument, file: string): ServiceSpec | null {
  const root = { node: document.node, path: "" };
  const object = reader.fields(root, ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = object && parseMetadata(reader, object, "default");
  const specField = object?.require("spec");
  const spec = specField && reader.fields(specField, SPEC_FIELDS);
  if (!metadata || !spec) return null;
  for (const name of UNSERVED) {
    const field = spec.get(name);
    if (field) reader.warn("SKEP6037", field, "not served yet: the service works without it");
  }
  const type = spec.get("type");
  const kind = type ? reader.oneOf(type, TYPES) : "ClusterIP";
  if (kind === "ExternalName") return null;
  if (type && (kind === "NodePort" || kind === "LoadBalancer"))
    reader.warn("SKEP6037", type, `${kind} is served at its cluster address only`);
  const address = spec.get("clusterIP");
  const headless = address?.node.kind === "scalar" && address.node.value === "None";
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    clusterIp: address && !headless ? readAddress(reader, address) : null,
    headless,
    labels: metadata.labels,
    selector: readSelector(reader, spec.get("selector")),
    ports: (spec.list("ports") ?? []).flatMap((field) => readPort(reader, field)),
    file,
  };
}

function readAddress(reader: Reader, field: Field): Address | null {
  const text = reader.string(field);
  if (text === null || text === "") return null;
  const address = parseAddress(text);
  if (!address) reader.report("SKEP6013", field, `${JSON.stringify(text)} is no IP address`);
  else if (address.family === 6) reader.report("SKEP6037", field, "services have IPv4 addresses in this version");
  return address;
}

function readSelector(reader: Reader, field: Field | null): Record<string, string> {
  const node = field && reader.map(field);
  const selector: Record<string, string> = {};
  for (const [key, entry] of node?.entries ?? []) {
    const text = reader.string({ node: entry.value, path: `${field?.path ?? ""}.${key}` });
    if (text !== null) selector[key] = text;
  }
  return selector;
}

function readPort(reader: Reader, at: Field): ServicePort[] {
  const port = reader.fields(at, ["name", "protocol", "port", "targetPort", "nodePort", "appProtocol"]);
  const number = port?.require("port");
  if (!port || !number) return [];
  const value = reader.integer(number, 1, 65_535);
  const protocolField = port.get("protocol");
  const protocol = protocolField
    ? reader.oneOf(protocolField, Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[], "SKEP6019")
    : "TCP";
  if (protocolField && protocol !== null && protocol !== "TCP")
    reader.warn("SKEP6037", protocolField, `${protocol} services are not served yet: only TCP is`);
  const target = readTarget(reader, port, value ?? 0);
  if (value === null || protocol === null || target === null) return [];
  return [{ name: port.string("name") ?? "", protocol: PROTOCOLS[protocol], port: value, targetPort: target }];
}

function readTarget(reader: Reader, port: Fields, otherwise: number): number | string | null {
  const field = port.get("targetPort");
  if (!field) return otherwise;
  if (field.node.kind === "scalar" && typeof field.node.value === "string") return readName(reader, field);
  return reader.integer(field, 1, 65_535);
}

/** IANA service names (RFC 6335), as Kubernetes has them. */
function readName(reader: Reader, field: Field): string | null {
  const name = reader.string(field);
  if (name === null || (/^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(name) && /[a-z]/.test(name))) return name;
  reader.report(
    "SKEP6017",
    field,
    `${JSON.stringify(name)} is no port`,
    "write a number, or the name of a workload's port",
  );
  return null;
}

export interface ServiceSnapshot {
  readonly frontends: readonly (readonly [key: string, id: number])[];
  readonly backends: readonly (readonly [key: string, id: number])[];
  readonly addresses: readonly (readonly [service: string, address: string])[];
}

/** Stable numbers for frontends and backends: 1 to 65535, and the lowest free one first. */
class Numbers {
  readonly #ids = new Map<string, number>();
  readonly #used = new Set<number>();

  of(key: string): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    let id = 1;
    while (this.#used.has(id)) id += 1;
    this.set(key, id);
    return id;
  }

  set(key: string, id: number): void {
    this.#ids.set(key, id);
    this.#used.add(id);
  }

  retain(keys: ReadonlySet<string>): void {
    for (const [key, id] of this.#ids) {
      if (keys.has(key)) continue;
      this.#ids.delete(key);
      this.#used.delete(id);
    }
  }

  entries(): (readonly [string, number])[] {
    return [...this.#ids];
  }
}

export class ServiceTable {
  readonly #pool: AddressPool;
  readonly #specs = new Map<string, ServiceSpec>();
  readonly #addresses = new Map<string, Address>();
  readonly #frontends = new Numbers();
  readonly #backends = new Numbers();

  constructor(pool: AddressPool) {
    this.#pool = pool;
  }

  /** The services of all files, at once. Two services on one address are both reported by `conflict`. */
  set(specs: readonly ServiceSpec[]): void {
    this.#specs.clear();
    for (const spec of specs) this.#specs.set(`${spec.namespace}/${spec.name}`, spec);
    for (const [key, address] of this.#addresses) {
      const spec = this.#specs.get(key);
      if (spec && !spec.headless && !spec.clusterIp) continue;
      this.#pool.release(address);
      this.#addresses.delete(key);
    }
  }

  #addressOf(key: string, spec: ServiceSpec): Address | null {
    if (spec.headless) return null;
    if (spec.clusterIp) return spec.clusterIp;
    const given = this.#addresses.get(key) ?? this.#pool.allocate();
    this.#addresses.set(key, given);
    return given;
  }

  specs(): readonly ServiceSpec[] {
    return [...this.#specs.values()];
  }

  /** Frontends with the backends that `endpoints` give: those whose labels the selector finds, in the service's namespace. */
  rows(endpoints: readonly Endpoint[]): ServiceRow[] {
    const rows: ServiceRow[] = [];
    const frontends = new Set<string>();
    const backends = new Set<string>();
    for (const [key, spec] of this.#specs) {
      const address = this.#addressOf(key, spec);
      if (!address) continue;
      const selected = endpoints.filter((endpoint) => selects(spec, endpoint));
      for (const port of spec.ports) {
        const frontend = `${formatAddress(address)}:${port.port}/${port.protocol}`;
        frontends.add(frontend);
        rows.push({
          id: this.#frontends.of(frontend),
          namespace: spec.namespace,
          name: spec.name,
          portName: port.name,
          type: "ClusterIP",
          address,
          port: port.port,
          protocol: port.protocol,
          backends: selected.flatMap((endpoint) => this.#backend(endpoint, port, backends)),
        });
      }
    }
    this.#frontends.retain(frontends);
    this.#backends.retain(backends);
    return rows.sort((a, b) => a.id - b.id);
  }

  #backend(endpoint: Endpoint, port: ServicePort, used: Set<string>): BackendRow[] {
    const target = targetOf(endpoint, port);
    // A workload that has no port of that name is no backend, as in Kubernetes.
    if (target === null) return [];
    const key = `${formatAddress(endpoint.address)}:${target}/${port.protocol}`;
    used.add(key);
    const id = this.#backends.of(key);
    return [{ id, address: endpoint.address, port: target, protocol: port.protocol, state: "active" }];
  }

  snapshot(): ServiceSnapshot {
    return {
      frontends: this.#frontends.entries(),
      backends: this.#backends.entries(),
      addresses: [...this.#addresses].map(([key, address]) => [key, formatAddress(address)] as const),
    };
  }

  restore(snapshot: ServiceSnapshot): void {
    for (const [key, id] of snapshot.frontends) this.#frontends.set(key, id);
    for (const [key, id] of snapshot.backends) this.#backends.set(key, id);
    for (const [key, text] of snapshot.addresses) {
      const address = parseAddress(text);
      if (!address) continue;
      this.#pool.claim(address);
      this.#addresses.set(key, address);
    }
  }
}

function selects(spec: ServiceSpec, endpoint: Endpoint): boolean {
  const wanted = Object.entries(spec.selector);
  if (wanted.length === 0 || endpoint.namespace !== spec.namespace) return false;
  return wanted.every(([key, value]) => endpoint.labels[`k8s:${key}`] === value);
}

function targetOf({ namedPorts = [] }: Endpoint, { targetPort, protocol }: ServicePort): number | null {
  if (typeof targetPort === "number") return targetPort;
  return namedPorts.find((each) => each.name === targetPort && each.protocol === protocol)?.port ?? null;
}
