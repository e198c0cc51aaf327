import { parseAddress, type Address } from "@skep/net";
import type { DatapathEvent } from "@skep/datapath";
import type { EndpointInfo, FlowContext } from "../src/index.ts";

export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`no address: ${text}`);
  return parsed;
}

export function event(change: Partial<DatapathEvent> = {}): DatapathEvent {
  return {
    time: 1_000_000_000n,
    type: 4,
    reason: 0,
    direction: "ingress",
    reply: false,
    fromHost: false,
    established: false,
    related: false,
    sourceIdentity: 21001,
    destinationIdentity: 21002,
    endpoint: 2,
    sourceEndpoint: 1,
    destinationEndpoint: 2,
    interfaceIndex: 7,
    length: 74,
    source: address("10.0.1.11"),
    destination: address("10.0.1.22"),
    sourcePort: 41000,
    destinationPort: 80,
    protocol: 6,
    tcpFlags: 2,
    icmpType: 0,
    icmpCode: 0,
    cookie: 5,
    egressCookie: 6,
    ethertype: 0x0800,
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    ...change,
  };
}

export function endpoint(change: Partial<EndpointInfo> & { readonly podName: string }): EndpointInfo {
  return {
    id: 1,
    identity: 21001,
    namespace: "default",
    labels: [`k8s:app=${change.podName}`, "k8s:io.kubernetes.pod.namespace=default"],
    workloads: [{ name: change.podName, kind: "Pod" }],
    clusterName: "default",
    ...change,
  };
}

export function context(change: Partial<FlowContext> = {}): FlowContext {
  let flows = 0;
  const endpoints = [endpoint({ id: 1, podName: "xwing" }), endpoint({ id: 2, identity: 21002, podName: "deathstar" })];
  return {
    nodeName: "default/endor",
    nodeLabels: [],
    wallTime: (monotonic) => 1_700_000_000_000_000_000n + monotonic,
    endpoint: (id) => endpoints.find((each) => each.id === id) ?? null,
    peer: (identity) => ({
      id: 0,
      identity,
      namespace: "",
      labels: ["reserved:world"],
      podName: "",
      workloads: [],
      clusterName: "",
    }),
    service: () => null,
    names: () => [],
    policies: ({ cookie, direction }) =>
      cookie === 0
        ? []
        : [
            {
              kind: "CiliumNetworkPolicy",
              namespace: "default",
              name: `${direction}-${cookie}`,
              labels: [],
              revision: 3n,
            },
          ],
    matchType: ({ cookie }) => (cookie === 0 ? 0 : 2),
    interfaceName: (index) => `veth${index}`,
    uuid: () => `uuid-${++flows}`,
    ...change,
  };
}
