/**
 * @module
 * A cluster's identities and policies at scale.
 */
import type { PolicyIdentity } from "@skep/policy";

export const IDENTITIES = 10_000;
export const POLICIES = 1_000;
export const ENDPOINTS = 50;
const NAMESPACES = 50;
const TEAMS = 400;

export function identity(i: number): PolicyIdentity {
  return {
    id: 256 + i,
    labels: {
      "k8s:app": `app-${Math.floor(i / NAMESPACES)}`,
      "k8s:team": `team-${i % TEAMS}`,
      "k8s:tier": ["front", "back", "data"][i % 3] ?? "",
      "k8s:io.kubernetes.pod.namespace": `ns-${i % NAMESPACES}`,
    },
  };
}

/** Nine in ten are about one app of a namespace; the others are about every workload of the cluster. */
export function policy(i: number): string {
  const port = 1024 + (i % 500);
  const ports = `toPorts: [{ ports: [{ port: "${port}", protocol: TCP }, { port: "9000", endPort: 9099, protocol: TCP }] }]`;
  if (i % 10 === 0)
    return `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: cluster-${i} }
spec:
  endpointSelector: { matchExpressions: [{ key: tier, operator: In, values: [front, back, data] }] }
  ingress:
    - fromEndpoints: [{ matchLabels: { team: team-${i % TEAMS} } }, { matchLabels: { team: team-${(i + 7) % TEAMS} } }]
      ${ports}
`;
  return `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: app-${i}, namespace: ns-${i % NAMESPACES} }
spec:
  endpointSelector: { matchLabels: { app: app-${i % 5} } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: app-${i % 200} } }, { matchLabels: { tier: front } }]
      ${ports}
  egress:
    - toEndpoints: [{ matchLabels: { app: app-${(i + 1) % 200}, k8s:io.kubernetes.pod.namespace: ns-${(i + 3) % NAMESPACES} } }]
  ${i % 4 === 0 ? "ingressDeny: [{ fromEndpoints: [{ matchLabels: { team: team-9 } }] }]" : ""}
`;
}
