/**
 * @module
 * The other nodes of a cluster and what runs on them: CiliumNode, CiliumEndpoint and CiliumIdentity objects (cilium.io/v2).
 */
import { type Address, addressAt, hostPrefix, parseAddress, parsePrefix, type Prefix, prefixContains } from "@skep/net";
import { type Diagnostic, type ForeignDocument, parseLabels, reservedIdentities, toValue } from "@skep/policy";
import { REMOTE_WORKLOAD, type WorkloadSpec } from "./load-balancer/spec.ts";
import type { IpcacheRow, Labels } from "./model.ts";

export interface NodeRow {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly Address[];
  readonly podCidrs: readonly Prefix[];
}

/** A workload of another node. */
export interface RemoteEndpoint {
  readonly namespace: string;
  readonly name: string;
  readonly identity: number;
  readonly labels: Labels;
  readonly addresses: readonly Address[];
  readonly namedPorts: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
  /** An address of its node, where the object names it. */
  readonly node: Address | null;
}

/** A number that the whole cluster has for a set of labels. */
export interface ClusterIdentity {
  readonly id: number;
  readonly labels: Labels;
}

export interface ClusterObjects {
  readonly nodes: readonly NodeRow[];
  readonly endpoints: readonly RemoteEndpoint[];
  readonly identities: readonly ClusterIdentity[];
}

export const NO_OBJECTS: ClusterObjects = { nodes: [], endpoints: [], identities: [] };

/** Of all documents of a file; `NO_OBJECTS` where there is none. */
export function joinObjects(objects: readonly ClusterObjects[]): ClusterObjects {
  if (objects.length === 0) return NO_OBJECTS;
  return {
    nodes: objects.flatMap(({ nodes }) => nodes),
    endpoints: objects.flatMap(({ endpoints }) => endpoints),
    identities: objects.flatMap(({ identities }) => identities),
  };
}

export const CLUSTER_KINDS: ReadonlySet<string> = new Set(["CiliumNode", "CiliumEndpoint", "CiliumIdentity"]);

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

type Json = Readonly<Record<string, unknown>>;
const object = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

function strings(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(object(value)).map(([key, each]) => [key, text(each)]));
}

/** What the document says; a part that cannot be read is named and leaves the whole object out. */
export function parseClusterObject(document: ForeignDocument): ClusterObjects & { diagnostics: readonly Diagnostic[] } {
  const value = object(toValue(document.node));
  const wrong: string[] = [];
  const nothing = { nodes: [], endpoints: [], identities: [], diagnostics: [] };
  const found =
    document.kind === "CiliumNode"
      ? { nodes: [readNode(value, wrong)] }
      : document.kind === "CiliumEndpoint"
        ? { endpoints: [readEndpoint(value, wrong)] }
        : { identities: [readIdentity(value, wrong)] };
  if (wrong.length === 0) return { ...nothing, ...found };
  const diagnostics = wrong.map((message): Diagnostic => {
    return { code: "SKEP6013", severity: "error", message: `${document.kind}: ${message}`, span: document.node.span };
  });
  return { ...nothing, diagnostics };
}

function address(value: unknown, wrong: string[]): Address[] {
  const parsed = parseAddress(text(value));
  if (!parsed) wrong.push(`${JSON.stringify(value)} is no IP address`);
  return parsed ? [parsed] : [];
}

function nameOf(value: Json, wrong: string[]): { name: string; namespace: string } {
  const metadata = object(value["metadata"]);
  const name = text(metadata["name"]);
  if (name === "") wrong.push("metadata.name is missing");
  return { name, namespace: text(metadata["namespace"]) || "default" };
}

function readNode(value: Json, wrong: string[]): NodeRow {
  const spec = object(value["spec"]);
  const cidrs = list(object(spec["ipam"])["podCIDRs"]).flatMap((each) => {
    const parsed = parsePrefix(text(each));
    if (!parsed) wrong.push(`${JSON.stringify(each)} is no prefix`);
    return parsed ? [parsed] : [];
  });
  const addresses = list(spec["addresses"])
    .map(object)
    .filter(({ type }) => type === "InternalIP" || type === "ExternalIP")
    .flatMap(({ ip }) => address(ip, wrong));
  if (addresses.length === 0) wrong.push("spec.addresses has no InternalIP");
  return {
    name: nameOf(value, wrong).name,
    labels: strings(object(value["metadata"])["labels"]),
    ...{ addresses, podCidrs: cidrs },
  };
}

function readEndpoint(value: Json, wrong: string[]): RemoteEndpoint {
  const status = object(value["status"]);
  const identity = object(status["identity"]);
  const networking = object(status["networking"]);
  const id = Number(identity["id"]);
  if (!Number.isInteger(id) || id < 1) wrong.push("status.identity.id is no identity");
  const addresses = list(networking["addressing"])
    .map(object)
    .flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].filter((each) => each !== undefined && each !== ""))
    .flatMap((each) => address(each, wrong));
  const namedPorts = list(status["named-ports"])
    .map(object)
    .map(({ name, port, protocol }) => ({
      ...{ name: text(name), port: Number(port), protocol: PROTOCOLS[text(protocol) || "TCP"] ?? 0 },
    }));
  const node = networking["node"] === undefined ? [] : address(networking["node"], wrong);
  return {
    ...nameOf(value, wrong),
    ...{ identity: id, labels: parseLabels(list(identity["labels"]).map(text)), addresses, namedPorts },
    node: node[0] ?? null,
  };
}

function readIdentity(value: Json, wrong: string[]): ClusterIdentity {
  const id = Number(nameOf(value, wrong).name);
  if (!Number.isInteger(id) || id < 256 || id > 65_535) wrong.push("metadata.name is no number from 256 to 65535");
  return { id, labels: strings(value["security-labels"]) };
}

/** The other nodes: addresses, and what is behind each. */
export class NodeTable {
  #nodes: readonly NodeRow[] = [];
  #endpoints: readonly RemoteEndpoint[] = [];
  #identities: readonly ClusterIdentity[] = [];
  readonly #own: string;
  readonly #tunnelFamily: 4 | 6;

  /** `own`: the name of this node, whose object is not another's. `tunnelFamily`: of the addresses that tunnels lead to. */
  constructor(own: string, tunnelFamily: 4 | 6 = 4) {
    this.#own = own;
    this.#tunnelFamily = tunnelFamily;
  }

  #tunnelOf(addresses: readonly Address[]): { tunnel?: Address } {
    const tunnel = tunnelEnd(addresses, this.#tunnelFamily);
    return tunnel ? { tunnel } : {};
  }

  set(objects: readonly ClusterObjects[]): void {
    this.#nodes = objects.flatMap(({ nodes }) => nodes);
    this.#endpoints = objects.flatMap(({ endpoints }) => endpoints);
    this.#identities = objects.flatMap(({ identities }) => identities);
  }

  /** Workloads of other nodes. */
  endpoints(): readonly RemoteEndpoint[] {
    return this.#endpoints;
  }

  all(): readonly NodeRow[] {
    return this.#nodes;
  }

  remote(): NodeRow[] {
    return this.#nodes.filter(({ name }) => name !== this.#own);
  }

  own(): NodeRow | null {
    return this.#nodes.find(({ name }) => name === this.#own) ?? null;
  }

  /** Numbers that are the cluster's, those of remote workloads included. */
  identities(): ClusterIdentity[] {
    return [...this.#identities, ...this.#endpoints.map(({ identity, labels }) => ({ id: identity, labels }))];
  }

  #nodeOf(endpoint: RemoteEndpoint, at: Address): NodeRow | null {
    const named = endpoint.node;
    const isAt = (node: NodeRow): boolean =>
      named === null
        ? node.podCidrs.some((prefix) => prefixContains(prefix, at))
        : node.addresses.some((each) => each.bytes.every((byte, index) => byte === named.bytes[index]));
    return this.remote().find(isAt) ?? null;
  }

  /** Workloads whose nodes are known, as services select them. */
  workloads(): WorkloadSpec[] {
    return this.#endpoints.flatMap((endpoint) => {
      const { namespace, name, labels, addresses, namedPorts } = endpoint;
      const [first] = addresses;
      const node = first ? this.#nodeOf(endpoint, first) : null;
      if (!node) return [];
      return [
        {
          ...{ id: `${REMOTE_WORKLOAD}${namespace}/${name}`, namespace, labels, addresses, namedPorts },
          ...{ node: node.name, terminating: false },
        },
      ];
    });
  }

  /** Nodes are `remote-node`; an address of their prefixes that no object names is `unmanaged`. Tunnels lead to a node's first address. */
  ipcache(): IpcacheRow[] {
    const rows: IpcacheRow[] = [];
    for (const { addresses, podCidrs } of this.remote()) {
      const tunnel = this.#tunnelOf(addresses);
      for (const prefix of podCidrs) {
        rows.push({ prefix, identity: reservedIdentities.unmanaged, ...tunnel });
        const gateway = addressAt(prefix, 1n);
        if (gateway) rows.push({ prefix: hostPrefix(gateway), identity: reservedIdentities["remote-node"], ...tunnel });
      }
      for (const each of addresses)
        rows.push({ prefix: hostPrefix(each), identity: reservedIdentities["remote-node"] });
    }
    for (const endpoint of this.#endpoints) {
      for (const each of endpoint.addresses) {
        const node = this.#nodeOf(endpoint, each);
        if (node)
          rows.push({ prefix: hostPrefix(each), identity: endpoint.identity, ...this.#tunnelOf(node.addresses) });
      }
    }
    return rows;
  }
}

/** Where a node's tunnel ends: at its first address of the family, else at its first. */
export function tunnelEnd(addresses: readonly Address[], family: 4 | 6): Address | undefined {
  return addresses.find((each) => each.family === family) ?? addresses[0];
}
