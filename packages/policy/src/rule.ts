/**
 * @module
 * Policies as they are enforced, whatever kind of object they came from.
 */
import type { Prefix } from "@skep/net";
import type { Span } from "./diagnostic.ts";
import type { LabelSelector } from "./selector.ts";
import type { SourceNode } from "./source/node.ts";

export type Direction = "ingress" | "egress";
export type Verdict = "allow" | "deny" | "pass";

export type PolicyKind =
  | "CiliumNetworkPolicy"
  | "CiliumClusterwideNetworkPolicy"
  | "NetworkPolicy"
  | "ClusterNetworkPolicy"
  | "CiliumCIDRGroup";

/** Where a rule stands. */
export interface RuleOrigin {
  readonly kind: PolicyKind | "builtin";
  /** Empty for objects of the whole cluster. */
  readonly namespace: string;
  readonly name: string;
  /** As `spec.ingress[0]`. */
  readonly path: string;
  readonly span: Span | null;
  readonly description?: string;
}

/** Tiers in the order in which they are asked, with Cilium's numbers. */
export const tiers = { Admin: 100, Normal: 200, Baseline: 250, Default: 255 } as const;
export type Tier = keyof typeof tiers;

/** One element of an ingress, egress or deny section. */
export interface Rule {
  /** Same text for the same rule of the same object, also after an edit: `CiliumNetworkPolicy/ns/name/spec.ingress[0]`. */
  readonly key: string;
  readonly origin: RuleOrigin;
  readonly subject: LabelSelector;
  /** The subject is the host, not a workload. */
  readonly node: boolean;
  readonly direction: Direction;
  readonly verdict: Verdict;
  readonly tier: Tier;
  /** Within the tier; the lower is asked first. */
  readonly priority: number;
  /** Whether the subject's direction becomes default-deny. */
  readonly defaultDeny: boolean;
  /** Null: nobody. Empty: anybody, where ports are given, and nobody where they are not. */
  readonly peers: readonly PeerSelector[] | null;
  /** Null: all ports. Empty: none. */
  readonly ports: readonly PortRule[] | null;
  readonly authentication: Authentication | null;
  /** Text that goes with the rule's events. */
  readonly log: string | null;
  /** Drops are only reported. */
  readonly audit: boolean;
}

export type PeerSelector =
  | { readonly kind: "labels"; readonly selector: LabelSelector; readonly span: Span | null; readonly entity?: string }
  | { readonly kind: "cidr"; readonly prefix: Prefix; readonly except: readonly Prefix[]; readonly span: Span | null }
  | {
      readonly kind: "cidrGroup";
      /** A name, or a selector over the labels of groups. */
      readonly group: string | LabelSelector;
      readonly except: readonly Prefix[];
      readonly span: Span | null;
    }
  | { readonly kind: "fqdn"; readonly matchName: string; readonly matchPattern: string; readonly span: Span | null }
  | {
      readonly kind: "service";
      readonly namespace: string;
      /** A name, or a selector over the labels of services. */
      readonly service: string | LabelSelector;
      readonly span: Span | null;
    }
  | { readonly kind: "group"; readonly provider: "aws"; readonly value: unknown; readonly span: Span | null };

export interface PortRule {
  /** Any of these. */
  readonly ports: readonly PortMatch[];
  readonly l7: L7Rules | null;
  /** TLS server names, which may have wildcards; empty: not looked at. */
  readonly serverNames: readonly string[];
  readonly terminatingTls: TlsContext | null;
  readonly originatingTls: TlsContext | null;
  readonly listener: Listener | null;
  readonly span: Span | null;
}

export interface PortMatch {
  /** IANA number; 0 any. */
  readonly protocol: number;
  /** A name is that of a port of the destination. 0 with `last` 65535 is any. ICMP: the type. */
  readonly port: number | string;
  /** Last of the range. */
  readonly last: number;
}

export type L7Kind = "http" | "dns" | "kafka" | "cassandra" | "memcached" | "grpc" | (string & {});

export interface L7Rules {
  readonly kind: L7Kind;
  /** As they stand in the document; the proxy of the kind reads them. Empty allows nothing. */
  readonly rules: readonly Readonly<Record<string, unknown>>[];
}

export interface TlsContext {
  readonly secret: { readonly namespace: string; readonly name: string };
  readonly trustedCa: string;
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Listener {
  readonly kind: "CiliumEnvoyConfig" | "CiliumClusterwideEnvoyConfig";
  readonly config: string;
  readonly name: string;
  /** 1 (first) to 100; 0 none given. */
  readonly priority: number;
}

export interface Authentication {
  readonly mode: "disabled" | "required" | "test-always-fail";
}

/** What a CiliumCIDRGroup holds. */
export interface CidrGroup {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly prefixes: readonly Prefix[];
}

/** One object that was read without an error. */
export interface PolicyDocument {
  readonly kind: PolicyKind;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly span: Span;
  /** The document as it was written. */
  readonly text: string;
  readonly rules: readonly Rule[];
  readonly cidrGroup: CidrGroup | null;
}

/** An object that is no policy, for others to read. */
export interface ForeignDocument {
  readonly kind: string;
  readonly apiVersion: string;
  readonly node: SourceNode;
  readonly text: string;
}

/** `CiliumNetworkPolicy/default/rule1`. */
export function documentKey({ kind, namespace, name }: Pick<PolicyDocument, "kind" | "namespace" | "name">): string {
  return `${kind}/${namespace}/${name}`;
}
