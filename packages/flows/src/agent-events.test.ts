import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import {
  agentStarted,
  endpointCreated,
  endpointDeleted,
  endpointRegenerated,
  ipcacheChanged,
  jsonLine,
  policyChanged,
  serviceDeleted,
  serviceUpserted,
} from "./index.ts";

const xwing = { id: 3, namespace: "default", name: "xwing", labels: ["k8s:org=alliance"] };

describe("agent events", () => {
  it.each([
    [
      agentStarted(1_700_000_000_000_000_000n),
      { type: "AGENT_STARTED", agent_start: { time: "2023-11-14T22:13:20Z" } },
    ],
    [
      policyChanged({ labels: ["k8s:a=b"], revision: 4, rules: 2 }),
      { type: "POLICY_UPDATED", policy_update: { labels: ["k8s:a=b"], revision: "4", rule_count: "2" } },
    ],
    [
      policyChanged({ labels: [], revision: 5, rules: 0, deleted: true }),
      { type: "POLICY_DELETED", policy_update: { revision: "5" } },
    ],
    [
      endpointCreated(xwing),
      {
        type: "ENDPOINT_CREATED",
        endpoint_update: { id: "3", labels: ["k8s:org=alliance"], pod_name: "xwing", namespace: "default" },
      },
    ],
    [
      endpointDeleted({ ...xwing, labels: [] }),
      { type: "ENDPOINT_DELETED", endpoint_update: { id: "3", pod_name: "xwing", namespace: "default" } },
    ],
    [
      endpointRegenerated(xwing),
      { type: "ENDPOINT_REGENERATE_SUCCESS", endpoint_regenerate: { id: "3", labels: ["k8s:org=alliance"] } },
    ],
    [
      endpointRegenerated(xwing, "full"),
      {
        type: "ENDPOINT_REGENERATE_FAILURE",
        endpoint_regenerate: { id: "3", labels: ["k8s:org=alliance"], error: "full" },
      },
    ],
    [
      ipcacheChanged({ prefix: "10.0.0.3/32", identity: 700, oldIdentity: 0, podName: "xwing" }),
      {
        type: "IPCACHE_UPSERTED",
        ipcache_update: { cidr: "10.0.0.3/32", identity: 700, old_identity: 0, pod_name: "xwing" },
      },
    ],
    [
      ipcacheChanged({ prefix: "10.0.0.3/32", identity: 700, deleted: true }),
      { type: "IPCACHE_DELETED", ipcache_update: { cidr: "10.0.0.3/32", identity: 700 } },
    ],
    [
      serviceUpserted({
        ...{ id: 4, namespace: "default", name: "web", type: "ClusterIP", address: "10.96.0.9", port: 80 },
        ...{ backends: [{ address: "10.0.0.3", port: 8080 }], isExternalLocal: false, isInternalLocal: true },
      }),
      {
        type: "SERVICE_UPSERTED",
        service_upsert: {
          ...{ id: 4, type: "ClusterIP", traffic_policy: "Cluster", name: "web", namespace: "default" },
          frontend_address: { ip: "10.96.0.9", port: 80 },
          backend_addresses: [{ ip: "10.0.0.3", port: 8080 }],
          ...{ ext_traffic_policy: "Cluster", int_traffic_policy: "Local" },
        },
      },
    ],
    [serviceDeleted(4), { type: "SERVICE_DELETED", service_delete: { id: 4 } }],
  ])("%#", (event, expected) => {
    expect(JSON.parse(jsonLine(flow.AgentEventSchema, event))).toEqual(expected);
  });
});
