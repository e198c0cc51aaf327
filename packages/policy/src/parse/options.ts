import type { TextPlace } from "../source/yaml.ts";

export interface ParseOptions {
  /** Where the text begins in its file. Default: it is the whole file. */
  readonly place?: TextPlace;
  /** Namespace of objects that name none. Default `default`. */
  readonly defaultNamespace?: string;
  /** Selectors of endpoints that name no cluster select this one alone; null (default): any cluster. */
  readonly clusterName?: string | null;
  /** The cluster that the entity `cluster` means, where `clusterName` names none. Default `default`. */
  readonly localCluster?: string;
  /** Whether fromNodes and toNodes may be used (Cilium's enable-node-selector-labels). Default true. */
  readonly nodeSelectors?: boolean;
  /** Whether protocols without ports (VRRP, GRE, ESP ...) may be used. Default true. */
  readonly extendedProtocols?: boolean;
}

export type ParseSettings = Required<Omit<ParseOptions, "place">>;

export function parseSettings(options: ParseOptions): ParseSettings {
  return {
    defaultNamespace: options.defaultNamespace ?? "default",
    clusterName: options.clusterName ?? null,
    localCluster: options.localCluster ?? "default",
    nodeSelectors: options.nodeSelectors ?? true,
    extendedProtocols: options.extendedProtocols ?? true,
  };
}
