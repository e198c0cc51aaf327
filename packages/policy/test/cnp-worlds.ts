/**
 * @module
 * The recorded worlds of policies with the verdicts of Cilium's own engine.
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parsePrefix } from "@skep/net";
import {
  cidrLabel,
  parseLabels,
  parseValue,
  type NamedPort,
  type PolicyDocument,
  type PolicyIdentity,
} from "../src/index.ts";
import { sharedData } from "./data.ts";

export const path = sharedData("cnp/cases-a.jsonl.gz");

export interface RawIdentity {
  id: number;
  labels?: string[];
  cidr?: string;
  tcpNamedPorts?: Record<string, number>;
  udpNamedPorts?: Record<string, number>;
}
export interface Side {
  verdict: "allowed" | "denied";
  redirect?: boolean;
  found: boolean;
}
export interface Case {
  id: string;
  identities: RawIdentity[];
  policies: unknown[];
  queries: { from: number; to: number; proto: string; dport: number }[];
  answers: { verdict: string; egress: Side | null; ingress: Side | null }[];
  parseErrors?: string[];
}

export const protocols: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58 };

export function identityOf(raw: RawIdentity): PolicyIdentity {
  const labels = { ...parseLabels(raw.labels ?? []) };
  const cidr = raw.cidr === undefined ? null : parsePrefix(raw.cidr);
  if (cidr) {
    labels[cidrLabel(cidr)] = "";
    labels[`reserved:world-ipv${cidr.address.family}`] = "";
  }
  const named = (ports: Record<string, number> | undefined, protocol: number): NamedPort[] =>
    Object.entries(ports ?? {}).map(([name, port]) => ({ name, protocol, port }));
  return {
    id: raw.id,
    labels,
    ...(cidr ? { cidr } : {}),
    namedPorts: [...named(raw.tcpNamedPorts, 6), ...named(raw.udpNamedPorts, 17)],
  };
}

/**
 * Objects that the engine took and the API server does not: a toFQDNs without a name (the schema wants one) and the label key `-a`
 * (no key of Kubernetes). We refuse them; for the verdicts they are replaced by what they mean: a name and a label that nobody has.
 */
const refusedBySchema = new Set("0348:0 0384:1 0475:2 0552:2 0710:0 0739:2 0956:1 0986:0".split(" "));

function mend(policy: unknown): unknown {
  const text = JSON.stringify(policy);
  return JSON.parse(
    text.replace('"toFQDNs":[{}]', '"toFQDNs":[{"matchName":"nobody.invalid"}]').replace('"-a":', '"nobody":'),
  );
}

export const isRefusedBySchema = (world: Case, i: number): boolean => refusedBySchema.has(`${world.id.slice(3)}:${i}`);

/** As the recording engine was set. */
export const parseOptions = { clusterName: null, nodeSelectors: false, extendedProtocols: false };
export const engineOptions = { allowLocalhost: false, hostFirewall: true, dualStack: true, proxyPorts: () => 10_000 };

export function readCases(): Case[] {
  if (!path) return [];
  const lines = gunzipSync(readFileSync(path)).toString().trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Case);
}

/** The policies of a world that are in force. */
export function documentsOf(world: Case): PolicyDocument[] {
  const policies = world.policies.map((policy, i) => (isRefusedBySchema(world, i) ? mend(policy) : policy));
  return policies.flatMap((policy) => parseValue("policy", policy, parseOptions).documents);
}
