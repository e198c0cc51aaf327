// Documents of a large cluster: services with three backends each, identities, and policies that select them.
export interface Scale {
  readonly services: number;
  readonly identities: number;
  readonly endpoints: number;
}

const PER_FILE = 100;
const IDENTITIES_PER_FILE = 500;
const POLICIES = 10;

const byte = (value: number): number => value & 0xff;
export const serviceAddress = (at: number): string => `10.97.${byte(at >> 8)}.${byte(at)}`;
const backendAddress = (at: number, backend: number): string => `10.${100 + backend}.${byte(at >> 8)}.${byte(at)}`;

function service(at: number, change: number): string {
  return serviceText(
    at,
    [0, 1, 2].map((backend) => backendAddress(at, backend === 2 ? 2 + (change % 3) : backend)),
  );
}

/** A service with its endpoint slice. */
export function serviceText(at: number, backends: readonly string[]): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: service-${at}
  namespace: default
  creationTimestamp: "2026-01-01T00:00:00Z"
  labels:
    app: service-${at}
spec:
  type: ClusterIP
  clusterIP: ${serviceAddress(at)}
  ports:
    - name: http
      protocol: TCP
      port: 80
      targetPort: 8080
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-${at}-x
  namespace: default
  labels:
    kubernetes.io/service-name: service-${at}
addressType: IPv4
endpoints:
${backends.map((each) => `  - addresses: ["${each}"]\n    conditions: { ready: true }\n    nodeName: node-${at % 50}\n`).join("")}ports:
  - name: http
    protocol: TCP
    port: 8080
`;
}

/** The file of a hundred services; `change` says which backends they have. */
export function serviceFile(file: number, change = 0, count = PER_FILE): { name: string; text: string } {
  const services = Array.from({ length: count }, (_, at) => service(file * PER_FILE + at, change));
  return { name: `services-${file}.yaml`, text: services.join("---\n") };
}

function identity(at: number): string {
  return `apiVersion: cilium.io/v2
kind: CiliumIdentity
metadata:
  name: "${20_000 + at}"
security-labels:
  k8s:app: other-${at % 100}
  k8s:instance: "${at}"
  k8s:io.kubernetes.pod.namespace: default
  k8s:io.cilium.k8s.policy.cluster: default
  k8s:io.cilium.k8s.policy.serviceaccount: default
`;
}

function policy(at: number): string {
  return `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: policy-${at}
  namespace: default
spec:
  endpointSelector:
    matchLabels:
      app: app-${at}
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: other-${at}
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
`;
}

/** Name and text of each file. */
export function* documentsOf({ services, identities, endpoints }: Scale): Generator<readonly [string, string]> {
  for (let first = 0; first < services; first += PER_FILE) {
    const { name, text } = serviceFile(first / PER_FILE, 0, Math.min(PER_FILE, services - first));
    yield [name, text];
  }
  for (let first = 0; first < identities; first += IDENTITIES_PER_FILE) {
    const count = Math.min(IDENTITIES_PER_FILE, identities - first);
    const texts = Array.from({ length: count }, (_, at) => identity(first + at));
    yield [`identities-${first}.yaml`, texts.join("---\n")];
  }
  if (endpoints > 0) yield ["policies.yaml", Array.from({ length: POLICIES }, (_, at) => policy(at)).join("---\n")];
}
