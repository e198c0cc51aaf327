import { prefixCovers, type Prefix } from "@skep/net";
import { CLUSTER_LABEL, LabelSet, type LabelKey, type Labels } from "./labels.ts";
import { equalTo, exists, labelSelector, type LabelSelector } from "./selector.ts";

/** Cilium's reserved identities (pkg/identity/numericidentity.go). */
export const reservedIdentities = {
  unknown: 0,
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  "remote-node": 6,
  "kube-apiserver": 7,
  ingress: 8,
  "world-ipv4": 9,
  "world-ipv6": 10,
} as const;
export type ReservedName = keyof typeof reservedIdentities;

/** A named port of a workload. */
export interface NamedPort {
  readonly name: string;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
}

/** What policy knows of a peer: a number for a set of labels, or for a prefix. */
export interface PolicyIdentity {
  readonly id: number;
  readonly labels: Labels;
  /** Of a CIDR identity. */
  readonly cidr?: Prefix;
  /** Of all workloads with the identity. */
  readonly namedPorts?: readonly NamedPort[];
}

/** Labels that a reserved identity has. */
export function reservedLabels(name: Exclude<ReservedName, "unknown">): Labels {
  if (name === "kube-apiserver") return { "reserved:kube-apiserver": "", "reserved:remote-node": "" };
  return { [`reserved:${name}`]: "" };
}

/** An identity prepared for matching. */
export class Peer {
  readonly id: number;
  readonly identity: PolicyIdentity;
  readonly labels: LabelSet;
  readonly cidr: Prefix | null;
  /** 4 or 6 where only addresses of that family have the identity; null: either, or not of the world. */
  readonly family: 4 | 6 | null;
  readonly isWorld: boolean;

  constructor(identity: PolicyIdentity) {
    this.id = identity.id;
    this.identity = identity;
    this.labels = new LabelSet(identity.labels);
    this.cidr = identity.cidr ?? null;
    const v4 = this.labels.has("reserved:world-ipv4");
    const v6 = this.labels.has("reserved:world-ipv6");
    this.isWorld = v4 || v6 || this.labels.has("reserved:world");
    this.family = this.cidr?.address.family ?? (v4 ? 4 : v6 ? 6 : null);
  }
}

/** A subject or peer by its labels alone. */
export function peerOf(id: number, labels: Labels): Peer {
  return new Peer({ id, labels });
}

export interface CidrMatching {
  /** The world is two identities, world-ipv4 (9) and world-ipv6 (10), and not one (2). Default false. */
  readonly dualStack?: boolean;
  /** Prefixes match workloads by their address, which their identities then hold (Cilium's policy-cidr-match-mode). Default false. */
  readonly cidrMatchesPods?: boolean;
}

/**
 * Whether an identity of the world lies in the prefix. Workloads and nodes have identities of their own, which CIDR rules do not
 * match unless asked to; a prefix of length 0 is all of the world of its family.
 */
export function matchesCidr(peer: Peer, prefix: Prefix, { dualStack, cidrMatchesPods }: CidrMatching): boolean {
  if (!peer.isWorld && !(cidrMatchesPods && peer.cidr)) return false;
  // With two worlds, one for each family, the one without a family is none of them.
  if (prefix.length === 0) return peer.family === null ? !dualStack : peer.family === prefix.address.family;
  return peer.cidr !== null && prefixCovers(prefix, peer.cidr);
}

const reserved = (key: string): LabelKey => ({ source: "reserved", key });
const one = (key: string): LabelSelector => labelSelector([exists(reserved(key))]);
const clusterParts = ["host", "remote-node", "init", "ingress", "health", "unmanaged", "kube-apiserver"].map(one);

/** Entities of policies and the selectors that they stand for; `cluster` depends on the cluster's name. */
export const entities = [
  "all",
  "world",
  "world-ipv4",
  "world-ipv6",
  "cluster",
  "cluster-mesh",
  "host",
  "init",
  "ingress",
  "unmanaged",
  "remote-node",
  "health",
  "none",
  "kube-apiserver",
] as const;
export type Entity = (typeof entities)[number];

export function entitySelectors(entity: Entity, clusterName: string): readonly LabelSelector[] {
  switch (entity) {
    case "all":
      return [labelSelector([])];
    case "world":
      return ["world", "world-ipv4", "world-ipv6"].map(one);
    case "cluster":
      return [...clusterParts, labelSelector([equalTo({ source: "k8s", key: CLUSTER_LABEL }, clusterName)])];
    case "cluster-mesh":
      return [...clusterParts, labelSelector([exists({ source: "k8s", key: CLUSTER_LABEL })])];
    default:
      return [one(entity)];
  }
}
