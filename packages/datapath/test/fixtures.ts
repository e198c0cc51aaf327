/** @module Who the suites of packets have in common: a workload, clients and backends of both families, the hops to the host and on. */
import type { DatapathEndpoint } from "../src/index.ts";
import { ip } from "./addresses.ts";
import { ELSEWHERE, HERE, mac, type Hop } from "./packet-ground.ts";

/** What programs at tc give. */
export const [OK, SHOT, REDIRECT] = [0, 2, 7];
/** What programs at XDP give. */
export const [DROP, PASS, TX] = [1, 2, 3];

/** The workload that asks. */
export const client: DatapathEndpoint = {
  ...{ id: 11, identity: 1001, address: ip("10.9.0.2"), address6: ip("fd00::2") },
  ...{ interfaceName: "one", interfaceIndex: HERE, mac: mac(1, 1), hostMac: mac(1, 2) },
};
/** The workload that serves: `local` of its family. */
export const server: DatapathEndpoint = {
  ...{ id: 12, identity: 1002, address: ip("10.9.0.3"), address6: ip("fd00::3") },
  ...{ interfaceName: "two", interfaceIndex: ELSEWHERE, mac: mac(2, 1), hostMac: mac(2, 2) },
};

/** By family: somebody outside, this node, a service's address, and its backends, here and on another node. */
export const ADDRESSES: Readonly<
  Record<4 | 6, Readonly<Record<"client" | "node" | "vip" | "local" | "remote", string>>>
> = {
  4: { client: "203.0.113.5", node: "192.0.2.1", vip: "198.51.100.10", local: "10.9.0.3", remote: "10.8.0.3" },
  6: { client: "2001:db8:5::5", node: "2001:db8::1", vip: "2001:db8:a::10", local: "fd00::3", remote: "fd08::3" },
};

/** From the workload that asks to its host. */
export const up: Hop = { source: mac(1, 1), destination: mac(1, 2) };
/** From the router to the host; and on to the next one. */
export const inward: Hop = { source: mac(9, 1), destination: mac(9, 2) };
export const onward: Hop = { source: mac(9, 2), destination: mac(8, 1) };
