import { expect } from "vitest";
import { hasErrors, parseDocuments, PolicyModel, readForeign, type ModelOptions } from "../src/index.ts";

/** A model of the policies and the objects beside them in a YAML text; errors fail the test. */
export function modelOf(text: string, options: ModelOptions = {}): PolicyModel {
  const { documents, foreign, diagnostics } = parseDocuments("test.yaml", text);
  expect(diagnostics.filter((each) => hasErrors([each]))).toEqual([]);
  const model = new PolicyModel(options);
  const { workloads, namespaces, services } = readForeign(foreign);
  for (const namespace of namespaces) model.addNamespace(namespace);
  for (const workload of workloads) model.addWorkload(workload);
  model.setServices(services);
  model.setDocuments(documents);
  return model;
}

/** The workloads of the Star Wars example. */
export const galaxy = `
apiVersion: v1
kind: Pod
metadata: { name: deathstar, labels: { org: empire, class: deathstar } }
spec: { containers: [{ ports: [{ name: http, containerPort: 80 }] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: tiefighter, labels: { org: empire, class: tiefighter } }
---
apiVersion: v1
kind: Pod
metadata: { name: xwing, labels: { org: alliance, class: xwing } }
`;

export const empireOnly = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: rule1 }
spec:
  endpointSelector:
    matchLabels: { org: empire, class: deathstar }
  ingress:
    - fromEndpoints:
        - matchLabels: { org: empire }
      toPorts:
        - ports: [{ port: "80", protocol: TCP }]
`;

export const landingOnly = empireOnly.replace(
  /\n$/,
  `
          rules: { http: [{ method: POST, path: /v1/request-landing }] }
`,
);
