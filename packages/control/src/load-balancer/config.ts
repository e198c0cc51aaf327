/**
 * @module
 * What can be set about load balancing, with the defaults.
 */
import { MAGLEV_DEFAULT_SEED, MAGLEV_DEFAULT_SIZE } from "./maglev.ts";

export interface LoadBalancerConfig {
  /** Where a service's annotation says nothing. */
  readonly algorithm: "random" | "maglev";
  /** `hybrid`: direct return for TCP, the node's address for the rest. */
  readonly mode: "snat" | "dsr" | "hybrid";
  /** Packets get to other nodes with their clients' addresses; else the node's own takes their place, whatever a service's annotation says. */
  readonly directReturn: boolean;
  /** Cluster addresses are served to clients outside of the cluster too. */
  readonly externalClusterIp: boolean;
  /** Source ranges hold for all types, not only for load balancers' addresses. */
  readonly sourceRangeAllTypes: boolean;
  /** Zone hints and `trafficDistribution` are followed. */
  readonly serviceTopology: boolean;
  readonly maglevTableSize: number;
  /** Base64 of 12 bytes; the same on all nodes. */
  readonly maglevSeed: string;
  readonly nodePortRange: readonly [first: number, last: number];
  readonly families: readonly (4 | 6)[];
  /** A frontend without a backend of its own family is served by those of the other: packets are translated (RFC 7915). */
  readonly nat46x64: boolean;
  /** The largest number that a frontend may get. */
  readonly lastFrontend: number;
  /** Zone to the number that a backend's row has, 1 to 255. */
  readonly zones: Readonly<Record<string, number>>;
}

export const DEFAULT_CONFIG: LoadBalancerConfig = {
  algorithm: "random",
  mode: "snat",
  directReturn: true,
  externalClusterIp: false,
  sourceRangeAllTypes: false,
  serviceTopology: true,
  maglevTableSize: MAGLEV_DEFAULT_SIZE,
  maglevSeed: MAGLEV_DEFAULT_SEED,
  nodePortRange: [30_000, 32_767],
  families: [4, 6],
  nat46x64: false,
  lastFrontend: 65_535,
  zones: {},
};
