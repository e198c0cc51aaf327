/**
 * @module
 * What a connectivity test plays on: an agent on a host of its own, workloads, and two addresses of the world outside.
 */
import type { DatapathEvent } from "@skep/datapath";
import type { Answer } from "../demo/workload.ts";

/** Somebody who can ask: a workload, the host, or an address outside. */
export interface Actor {
  readonly name: string;
  readonly address: string;
  /** Of IPv6. */
  readonly address6: string;
  /** An HTTP request on a connection of its own. */
  request(host: string, options: Question): Promise<Answer>;
  /** A datagram and its answer. */
  datagram(host: string, options: Question): Promise<Answer>;
  /** An ICMP echo; null: this actor has no way to send one. */
  readonly ping: ((host: string, timeout: number) => Promise<boolean>) | null;
}

export interface Question {
  readonly port: number;
  readonly timeout: number;
  /** Bytes of the answer; default a line. */
  readonly size?: number;
}

export type Drop = Pick<
  DatapathEvent,
  "reason" | "direction" | "source" | "sourcePort" | "destination" | "destinationPort" | "tcpFlags"
>;

/** One name for both directions of a connection. */
export function connectionName(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}

export interface Ground {
  readonly machine: "linux" | "sim";
  actor(name: string): Actor;
  /** In place of all that were there; in force when it returns. Throws where one is refused. */
  setPolicies(texts: readonly string[]): void;
  /** Drops that were told since it was asked last. */
  takeDrops(): Drop[];
  /** `connectionName` of those that the datapath knows; an end is an address and a port. */
  connections(): Set<string>;
  /** Packets that were forwarded since the datapath was loaded. */
  forwarded(): bigint;
  /** Lines that the agent logged as errors. */
  readonly errors: readonly string[];
  /** Ends the agent and starts another one on what the first has left. */
  restartAgent(): void;
  /** Listens at both ends of every wire from now on; what it gives ends that, and is a pcapng file of the frames. */
  capture(): () => Uint8Array;
  /** Milliseconds that a packet which is dropped may be waited for. */
  readonly patience: number;
  /** Bytes of the longest answer that its stacks can send across IP families to a client of this one; `udp`: in a datagram. */
  readonly longest: { readonly 4: number; readonly 6: number; readonly udp: number };
  sleep(ms: number): Promise<void>;
  /** Lets time go on until the play is over. */
  run<T>(play: Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A workload of the test; names and labels are those of Cilium's own connectivity test. */
export interface CastMember {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const NAMESPACE = "connectivity-test";
export const OTHER_NAMESPACE = "connectivity-test-2";
export const HTTP = 80;
export const OTHER_HTTP = 8080;

export const CAST: readonly CastMember[] = [
  { name: "client", namespace: NAMESPACE, labels: { kind: "client", name: "client" } },
  { name: "client2", namespace: NAMESPACE, labels: { kind: "client", name: "client2", other: "client" } },
  { name: "client3", namespace: NAMESPACE, labels: { kind: "client", name: "client3", other: "client-other" } },
  { name: "echo-same-node", namespace: NAMESPACE, labels: { kind: "echo", name: "echo-same-node", other: "echo" } },
  { name: "client-ccnp", namespace: OTHER_NAMESPACE, labels: { kind: "client", name: "client-ccnp" } },
];

/** The world: the first is allowed by tests that allow a CIDR, the second lies beside it. */
export const EXTERNAL = "192.0.2.2";
export const EXTERNAL_OTHER = "192.0.2.3";
export const NODE = "192.0.2.1";
export const EXTERNAL6 = "2001:db8::2";
export const EXTERNAL6_OTHER = "2001:db8::3";
export const NODE6 = "2001:db8::1";
/** The node's services for the outside, which sends to them by the node. */
export const FRONT = "198.51.100.50";
export const FRONT6 = "2001:db8:50::1";
export const FRONT_PORT = 31_080;
/** IPv4 hosts behind the node's gateway (RFC 6052). */
export const TRANSLATED = "64:ff9b::";
/** Of the host too: what an egress gateway gives. */
export const EGRESS = "192.0.2.10";
export const SERVICE = "10.96.0.50";
export const METADATA = "10.96.0.51";
/** The node's. */
export const ZONE = "zone-a";

export const SERVICE_DOCUMENT = `apiVersion: v1
kind: Service
metadata:
  name: echo-same-node
  namespace: ${NAMESPACE}
  labels:
    kind: echo
spec:
  clusterIP: ${SERVICE}
  selector:
    name: echo-same-node
  ports:
    - name: http
      protocol: TCP
      port: ${HTTP}
      targetPort: ${HTTP}
`;
