/**
 * @module
 * The scenarios of Cilium's connectivity test that this version covers, under Cilium's names (cilium-cli, connectivity/builder): policies, who
 * asks whom, and what must come of it.
 */
import {
  EGRESS,
  EXTERNAL,
  EXTERNAL6,
  EXTERNAL_OTHER,
  FRONT,
  FRONT6,
  FRONT_PORT,
  HTTP,
  METADATA,
  NAMESPACE,
  NODE,
  NODE6,
  OTHER_HTTP,
  OTHER_NAMESPACE,
  SERVICE,
  TRANSLATED,
  ZONE,
} from "./ground.ts";

/** What comes of a probe: an answer, or a drop for a reason in a direction. */
export type Expectation = "ok" | Refusal;
export type Refusal = "egress denied" | "ingress denied" | "egress deny rule" | "ingress deny rule";

export interface Probe {
  /** An actor's name. */
  readonly from: string;
  /** An actor's name, or an address. */
  readonly to: string;
  /** TCP port of an HTTP request; null: an ICMP echo. */
  readonly port: number | null;
  readonly expect: Expectation;
  /** A datagram, no connection. */
  readonly udp?: true;
  /** Bytes of the answer; default a line. */
  readonly size?: number;
  /** By which the other end sees it: an actor's name, or an address. */
  readonly seenAs?: string;
  /** The actor that is to answer; default any. */
  readonly by?: string;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** Documents; in the place of `<NAME address>` and `<NAME address6>` comes the actor's. */
  readonly policies: readonly string[];
  readonly probes: readonly Probe[];
  /** What is held besides. */
  readonly also?: "metrics" | "restart";
}

const ECHO = "echo-same-node";
const CLIENTS = ["client", "client2"];

const to =
  (target: string, port: number | null, expect: (from: string) => Expectation) =>
  (from: string): Probe => ({
    ...{ from, to: target, port },
    expect: expect(from),
  });

const always = (expectation: Expectation) => () => expectation;
const ok = always("ok");
const only = (allowed: string, otherwise: Refusal) => (from: string) => (from === allowed ? "ok" : otherwise);

/** Cilium's scenario kinds. */
const podToPod = (expect: (from: string) => Expectation, port = HTTP): Probe[] => CLIENTS.map(to(ECHO, port, expect));
const podToService = (expect: (from: string) => Expectation): Probe[] => CLIENTS.map(to(SERVICE, HTTP, expect));
const podToWorld = (expect: (from: string) => Expectation, target = EXTERNAL): Probe[] =>
  CLIENTS.map(to(target, HTTP, expect));
const podToHost = (expect: (from: string) => Expectation): Probe[] => CLIENTS.map(to(NODE, HTTP, expect));
const hostToPod = (expectation: Expectation): Probe => to(ECHO, HTTP, always(expectation))("host");
const outsideToPod = (expect: (from: string) => Expectation): Probe[] =>
  ["external", "external-other"].map(to(ECHO, HTTP, expect));
/** Echoes between clients: both directions of every pair with `client`. */
const clientToClient = (expect: (from: string, target: string) => Expectation): Probe[] =>
  [
    ["client2", "client"],
    ["client3", "client"],
    ["client", "client2"],
  ].map(([from = "", target = ""]) => ({ from, to: target, port: null, expect: expect(from, target) }));

const everything = (expectation: Expectation): Probe[] => [
  ...podToPod(always(expectation)),
  ...podToService(always(expectation)),
  ...podToWorld(always(expectation)),
  ...podToHost(always(expectation)),
];

// ---- policies ----

/** `spec` is the text below it, two blanks deep. */
function document(options: { kind: string; name: string; spec: string; namespace?: string }): string {
  const { kind, name, spec, namespace } = options;
  const api = kind === "NetworkPolicy" ? "networking.k8s.io/v1" : "cilium.io/v2";
  const where = namespace === undefined ? "" : `  namespace: ${namespace}\n`;
  return `apiVersion: ${api}\nkind: ${kind}\nmetadata:\n  name: ${name}\n${where}spec:\n${spec}`;
}

const cnp = (name: string, spec: string, namespace = NAMESPACE): string =>
  document({ kind: "CiliumNetworkPolicy", name, spec, namespace });
const knp = (name: string, spec: string): string =>
  document({ kind: "NetworkPolicy", name, spec, namespace: NAMESPACE });
const ccnp = (name: string, spec: string): string => document({ kind: "CiliumClusterwideNetworkPolicy", name, spec });

const select = (labels: string): string => `  endpointSelector: {matchLabels: {${labels}}}\n`;
const EVERY = "  endpointSelector: {}\n";
const CLIENT = select("kind: client");
const SERVER = select("kind: echo");

const allowAll = cnp("allow-all", `${EVERY}  ingress: [{fromEntities: [all]}]\n  egress: [{toEntities: [all]}]\n`);
const clientEgress =
  '  egress: [{toEndpoints: [{matchLabels: {kind: echo}}], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]\n';
const echoIngress =
  '  ingress: [{fromEndpoints: [{matchLabels: {name: client}}], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]\n';
const cidrGroup = `apiVersion: cilium.io/v2alpha1
kind: CiliumCIDRGroup
metadata:
  name: outside
  labels: {scope: outside}
spec:
  externalCIDRs: [${EXTERNAL_OTHER}/32]
`;

// ---- scenarios ----

const open: readonly Scenario[] = [
  {
    name: "no-policies",
    summary: "without a policy everybody reaches everybody",
    policies: [],
    probes: [...everything("ok"), ...podToPod(ok, OTHER_HTTP), ...clientToClient(ok), hostToPod("ok")],
  },
  {
    name: "no-policies-from-outside",
    summary: "without a policy the world reaches workloads",
    policies: [],
    probes: outsideToPod(ok),
  },
  {
    name: "allow-all-with-metrics-check",
    summary: "what is forwarded is counted",
    policies: [allowAll],
    probes: podToPod(ok),
    also: "metrics",
  },
  {
    name: "allow-all-except-world",
    summary: "every entity but the world",
    policies: [cnp("allow", `${EVERY}  ingress: [{fromEntities: [cluster]}]\n  egress: [{toEntities: [cluster]}]\n`)],
    probes: [
      ...podToPod(ok),
      ...podToService(ok),
      ...podToHost(ok),
      ...clientToClient(ok),
      ...podToWorld(always("egress denied")),
    ],
  },
  {
    name: "pod-to-itself-via-service",
    summary: "a workload reaches itself through its service",
    policies: [],
    probes: [{ from: ECHO, to: SERVICE, port: HTTP, expect: "ok" }],
  },
  {
    name: "no-interrupted-connections",
    summary: "a connection outlives the agent",
    policies: [allowAll],
    probes: podToService(ok),
    also: "restart",
  },
];

/** Served by the world, until a policy has a workload serve it. */
const metadataService = `apiVersion: v1
kind: Service
metadata: {name: metadata, namespace: ${NAMESPACE}}
spec: {clusterIP: ${METADATA}, ports: [{port: ${HTTP}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metadata-1, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: metadata}}
addressType: IPv4
endpoints: [{addresses: [${EXTERNAL}]}]
ports: [{port: ${HTTP}}]
`;

const redirectTo = (frontend: string, skip = false): string =>
  document({
    ...{ kind: "CiliumLocalRedirectPolicy", name: "redirect", namespace: NAMESPACE },
    spec: `  redirectFrontend: {${frontend}}
  redirectBackend: {localEndpointSelector: {matchLabels: {kind: echo}}, toPorts: [{port: "${OTHER_HTTP}", protocol: TCP}]}
  skipRedirectFromBackend: ${skip}
`,
  });
const toAddress = `addressMatcher: {ip: ${EXTERNAL}, toPorts: [{port: "${HTTP}", protocol: TCP}]}`;
const toService = `serviceMatcher: {serviceName: metadata, namespace: ${NAMESPACE}}`;
const answered = (by: string, from: string, target: string): Probe => ({
  ...{ from, to: target, port: HTTP, expect: "ok", by },
});
const clientsBy = (by: string, target: string): Probe[] => CLIENTS.map((from) => answered(by, from, target));

const redirects: readonly Scenario[] = [
  {
    name: "local-redirect-policy",
    summary: "an address of the world is served here, also for who serves it",
    policies: [redirectTo(toAddress)],
    probes: [
      ...[...clientsBy(ECHO, EXTERNAL), ...clientsBy("external", EXTERNAL_OTHER)],
      answered(ECHO, ECHO, EXTERNAL),
    ],
  },
  {
    name: "local-redirect-policy-skip-backend",
    summary: "who serves it reaches the address itself",
    policies: [redirectTo(toAddress, true)],
    probes: [...clientsBy(ECHO, EXTERNAL), answered("external", ECHO, EXTERNAL)],
  },
  {
    name: "local-redirect-policy-service",
    summary: "a service is served here, whoever serves it elsewhere",
    policies: [metadataService, redirectTo(toService)],
    probes: [...clientsBy(ECHO, METADATA), answered(ECHO, ECHO, METADATA)],
  },
  {
    name: "local-redirect-policy-no-backend",
    summary: "without a workload here the service is its own",
    policies: [metadataService, redirectTo(toService).replace("kind: echo", "kind: nobody")],
    probes: [...clientsBy("external", METADATA), answered("external", ECHO, METADATA)],
  },
];

/** A service beside the workloads': `endpoints` are an endpoint slice's. */
const mixed = (spec: string, endpoints: readonly string[]): string => `apiVersion: v1
kind: Service
metadata: {name: mixed, namespace: ${NAMESPACE}}
spec: {clusterIP: ${METADATA}, ports: [{port: ${HTTP}}]${spec}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mixed-1, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: mixed}}
addressType: IPv4
endpoints: [${endpoints.join(", ")}]
ports: [{port: ${HTTP}}]
`;
/** A choice between two backends would give another one among so many. */
const thrice = (by: string): Probe[] => [1, 2, 3].flatMap(() => clientsBy(by, METADATA));
const outsideWith = (rest: string): string => `{addresses: [${EXTERNAL}]${rest}}`;
const nodeWith = (rest: string): string => `{addresses: [${NODE}]${rest}}`;

const services: readonly Scenario[] = [
  {
    name: "service-internal-traffic-policy",
    summary: "Local: the backends of this node alone",
    policies: [mixed(", selector: {kind: echo}, internalTrafficPolicy: Local", [outsideWith(", nodeName: elsewhere")])],
    probes: thrice(ECHO),
  },
  {
    name: "service-topology-hints",
    summary: "the backends that are meant for this zone",
    policies: [
      mixed(", trafficDistribution: PreferClose", [
        outsideWith(`, hints: {forZones: [{name: ${ZONE}}]}`),
        nodeWith(", hints: {forZones: [{name: elsewhere}]}"),
      ]),
    ],
    probes: thrice("external"),
  },
  {
    name: "service-terminating-backends",
    summary: "who ends gets no new connection",
    policies: [
      mixed("", [outsideWith(""), nodeWith(", conditions: {ready: false, serving: true, terminating: true}")]),
    ],
    probes: thrice("external"),
  },
  {
    name: "service-all-backends-terminating",
    summary: "who ends and still serves, where there is nobody else",
    policies: [
      mixed("", [
        outsideWith(", conditions: {ready: false, serving: false, terminating: true}"),
        nodeWith(", conditions: {ready: false, serving: true, terminating: true}"),
      ]),
    ],
    probes: thrice("host"),
  },
  {
    name: "service-maintenance",
    summary: "who is not ready takes no part",
    policies: [mixed("", [outsideWith(", conditions: {ready: false}"), nodeWith("")])],
    probes: thrice("host"),
  },
];

/** In front of one backend of the other family. */
const across = (family: 4 | 6, backend: string): string => `apiVersion: v1
kind: Service
metadata: {name: front, namespace: ${NAMESPACE}}
spec:
  type: NodePort
  ipFamilies: [IPv${family}]
  clusterIP: ${family === 4 ? "10.96.0.60" : "fd00:96::60"}
  externalIPs: ["${family === 4 ? FRONT : FRONT6}"]
  ports:
  - {name: tcp, port: ${HTTP}, nodePort: ${FRONT_PORT}, protocol: TCP}
  - {name: udp, port: ${HTTP}, nodePort: ${FRONT_PORT}, protocol: UDP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: front-1, namespace: ${NAMESPACE}, labels: {kubernetes.io/service-name: front}}
addressType: IPv${family === 4 ? 6 : 4}
endpoints: [{addresses: ["${backend}"]}]
ports: [{name: tcp, port: ${HTTP}, protocol: TCP}, {name: udp, port: ${HTTP}, protocol: UDP}]
`;
const LARGE = 300_000;
/** Datagrams that fit in either family, in one but not in the other, and in none. */
const DATAGRAMS = [1400, 1472, 4000];
const allWays = (from: string, target: string, port: number, by: string): Probe[] => [
  ...[{}, { size: LARGE }, { udp: true as const }, ...DATAGRAMS.map((size) => ({ udp: true as const, size }))].map(
    (over) => ({
      ...{ from, to: target, port, by, ...over },
      expect: "ok" as const,
    }),
  ),
];
const acrossOf = (client: 4 | 6, by: string): Probe[] => [
  ...allWays("external", client === 4 ? FRONT : FRONT6, HTTP, by),
  ...allWays("external-other", client === 4 ? NODE : NODE6, FRONT_PORT, by),
];

const families: readonly Scenario[] = [
  {
    name: "service-ipv4-to-ipv6-backend",
    summary: "IPv4 clients are served by a workload that has IPv6",
    policies: [across(4, `<${ECHO} address6>`)],
    probes: acrossOf(4, ECHO),
  },
  {
    name: "service-ipv6-to-ipv4-backend",
    summary: "IPv6 clients are served by a workload that has IPv4",
    policies: [across(6, `<${ECHO} address>`)],
    probes: acrossOf(6, ECHO),
  },
  {
    name: "service-ipv4-to-ipv6-backend-outside",
    summary: "IPv4 clients are served by a host that has IPv6",
    policies: [across(4, EXTERNAL6)],
    probes: acrossOf(4, "external"),
  },
  {
    name: "service-ipv6-to-ipv4-backend-outside",
    summary: "IPv6 clients are served by a host that has IPv4",
    policies: [across(6, EXTERNAL)],
    probes: acrossOf(6, "external"),
  },
  {
    name: "nat64-gateway",
    summary: "a workload's IPv6 reaches an IPv4 host of the world",
    policies: [],
    probes: CLIENTS.flatMap((from) => allWays(from, `${TRANSLATED}${EXTERNAL}`, HTTP, "external")),
  },
];

const ingress: readonly Scenario[] = [
  {
    name: "client-ingress",
    summary: "client takes from client2 alone",
    policies: [
      cnp("client", `${select("name: client")}  ingress: [{fromEndpoints: [{matchLabels: {other: client}}]}]\n`),
    ],
    probes: clientToClient((from, target) => (target !== "client" || from === "client2" ? "ok" : "ingress denied")),
  },
  {
    name: "client-ingress-knp",
    summary: "the same, as a NetworkPolicy",
    policies: [
      knp(
        "client",
        "  podSelector: {matchLabels: {name: client}}\n  ingress: [{from: [{podSelector: {matchLabels: {other: client}}}]}]\n",
      ),
    ],
    probes: clientToClient((from, target) => (target !== "client" || from === "client2" ? "ok" : "ingress denied")),
  },
  {
    name: "client-ingress-icmp",
    summary: "echo requests of client2, nothing else",
    policies: [
      cnp(
        "client",
        `${select("name: client")}  ingress: [{fromEndpoints: [{matchLabels: {other: client}}], icmps: [{fields: [{type: 8, family: IPv4}]}]}]\n`,
      ),
    ],
    probes: clientToClient((from, target) => (target !== "client" || from === "client2" ? "ok" : "ingress denied")),
  },
  {
    name: "client-ingress-from-other-client-icmp-deny",
    summary: "echo requests of client2 are denied",
    policies: [
      allowAll,
      cnp(
        "client",
        `${select("name: client")}  ingressDeny: [{fromEndpoints: [{matchLabels: {other: client}}], icmps: [{fields: [{type: 8, family: IPv4}]}]}]\n`,
      ),
    ],
    probes: clientToClient((from) => (from === "client2" ? "ingress deny rule" : "ok")),
  },
  {
    name: "echo-ingress",
    summary: "echo takes from client alone, on one port",
    policies: [cnp("echo", `${SERVER}${echoIngress}`)],
    probes: [
      ...podToPod(only("client", "ingress denied")),
      ...podToPod(always("ingress denied"), OTHER_HTTP),
      ...podToService(only("client", "ingress denied")),
    ],
  },
  {
    name: "echo-ingress-knp",
    summary: "the same, as a NetworkPolicy",
    policies: [
      knp(
        "echo",
        "  podSelector: {matchLabels: {kind: echo}}\n  ingress: [{from: [{podSelector: {matchLabels: {name: client}}}], ports: [{port: 80, protocol: TCP}]}]\n",
      ),
    ],
    probes: [...podToPod(only("client", "ingress denied")), ...podToPod(always("ingress denied"), OTHER_HTTP)],
  },
  {
    name: "echo-ingress-from-other-client-deny",
    summary: "what is denied wins over what is allowed",
    policies: [
      cnp(
        "echo",
        `${SERVER}  ingress: [{fromEndpoints: [{matchLabels: {kind: client}}]}]\n  ingressDeny: [{fromEndpoints: [{matchLabels: {other: client}}]}]\n`,
      ),
    ],
    probes: podToPod(only("client", "ingress deny rule")),
  },
  {
    name: "echo-ingress-from-outside",
    summary: "echo takes from the world alone",
    policies: [cnp("echo", `${SERVER}  ingress: [{fromEntities: [world]}]\n`)],
    probes: [...outsideToPod(ok), ...podToPod(always("ingress denied"))],
  },
  {
    name: "client-ingress-to-echo-named-port-deny",
    summary: "a port that the workload names is denied",
    policies: [
      allowAll,
      cnp(
        "named",
        `${CLIENT}  egressDeny: [{toEndpoints: [{matchLabels: {kind: echo}}], toPorts: [{ports: [{port: http-8080, protocol: TCP}]}]}]\n`,
      ),
    ],
    probes: [...podToPod(ok), ...podToPod(always("egress deny rule"), OTHER_HTTP)],
  },
  {
    name: "all-ingress-deny",
    summary: "nobody gets in but the host",
    policies: [cnp("deny", `${EVERY}  ingress: [{}]\n`)],
    probes: [...podToPod(always("ingress denied")), hostToPod("ok")],
  },
  {
    name: "all-ingress-deny-knp",
    summary: "the same, as a NetworkPolicy",
    policies: [knp("deny", "  podSelector: {}\n  policyTypes: [Ingress]\n")],
    probes: [...podToPod(always("ingress denied")), hostToPod("ok")],
  },
  {
    name: "all-ingress-deny-from-outside",
    summary: "nobody gets in from the world",
    policies: [cnp("deny", `${EVERY}  ingress: [{}]\n`)],
    probes: outsideToPod(always("ingress denied")),
  },
  {
    name: "ingress-from-specific-namespace-ccnp",
    summary: "echo takes from another namespace alone, clusterwide",
    policies: [
      ccnp(
        "echo",
        `${SERVER}  ingress: [{fromEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": ${OTHER_NAMESPACE}}}]}]\n`,
      ),
    ],
    probes: [
      { from: "client-ccnp", to: ECHO, port: HTTP, expect: "ok" },
      { from: "client", to: ECHO, port: HTTP, expect: "ingress denied" },
    ],
  },
];

const egress: readonly Scenario[] = [
  {
    name: "client-egress",
    summary: "clients reach echo on one port, nothing else",
    policies: [cnp("client", `${CLIENT}${clientEgress}`)],
    probes: [...podToPod(ok), ...podToPod(always("egress denied"), OTHER_HTTP), ...podToWorld(always("egress denied"))],
  },
  {
    name: "client-egress-knp",
    summary: "the same, as a NetworkPolicy",
    policies: [
      knp(
        "client",
        "  podSelector: {matchLabels: {kind: client}}\n  policyTypes: [Egress]\n  egress: [{to: [{podSelector: {matchLabels: {kind: echo}}}], ports: [{port: 80, protocol: TCP}]}]\n",
      ),
    ],
    probes: [...podToPod(ok), ...podToPod(always("egress denied"), OTHER_HTTP), ...podToWorld(always("egress denied"))],
  },
  {
    name: "all-egress-deny",
    summary: "nobody gets out",
    policies: [cnp("deny", `${EVERY}  egress: [{}]\n`)],
    probes: everything("egress denied"),
  },
  {
    name: "all-egress-deny-knp",
    summary: "the same, as a NetworkPolicy",
    policies: [knp("deny", "  podSelector: {}\n  policyTypes: [Egress]\n")],
    probes: everything("egress denied"),
  },
  {
    name: "all-entities-deny",
    summary: "every entity is denied by a rule",
    policies: [cnp("deny", `${EVERY}  egressDeny: [{toEntities: [all]}]\n  ingressDeny: [{fromEntities: [all]}]\n`)],
    probes: everything("egress deny rule"),
  },
  {
    name: "cluster-entity",
    summary: "the cluster and nothing beyond it",
    policies: [cnp("client", `${CLIENT}  egress: [{toEntities: [cluster]}]\n`)],
    probes: [...podToPod(ok), ...podToWorld(always("egress denied"))],
  },
  {
    name: "host-entity-egress",
    summary: "the host and nobody else",
    policies: [cnp("client", `${CLIENT}  egress: [{toEntities: [host]}]\n`)],
    probes: [...podToHost(ok), ...podToPod(always("egress denied"))],
  },
  {
    name: "host-entity-ingress",
    summary: "from the host and nobody else",
    policies: [cnp("echo", `${SERVER}  ingress: [{fromEntities: [host]}]\n`)],
    probes: [hostToPod("ok"), ...podToPod(always("ingress denied"))],
  },
  {
    name: "to-cidr-external",
    summary: "one address of the world",
    policies: [cnp("client", `${CLIENT}  egress: [{toCIDR: [${EXTERNAL}/32]}]\n`)],
    probes: [...podToWorld(ok), ...podToWorld(always("egress denied"), EXTERNAL_OTHER)],
  },
  {
    name: "to-cidr-external-knp",
    summary: "a prefix but for one address, as a NetworkPolicy",
    policies: [
      knp(
        "client",
        `  podSelector: {matchLabels: {kind: client}}\n  policyTypes: [Egress]\n  egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24, except: [${EXTERNAL_OTHER}/32]}}]}]\n`,
      ),
    ],
    probes: [...podToWorld(ok), ...podToWorld(always("egress denied"), EXTERNAL_OTHER)],
  },
  {
    name: "client-egress-to-cidr-deny",
    summary: "everything but one address of the world",
    policies: [allowAll, cnp("deny", `${CLIENT}  egressDeny: [{toCIDR: [${EXTERNAL_OTHER}/32]}]\n`)],
    probes: [...podToWorld(ok), ...podToWorld(always("egress deny rule"), EXTERNAL_OTHER)],
  },
  {
    name: "client-egress-to-cidr-deny-default",
    summary: "a deny rule alone denies the rest by default",
    policies: [cnp("deny", `${CLIENT}  egressDeny: [{toCIDR: [${EXTERNAL_OTHER}/32]}]\n`)],
    probes: [...podToWorld(always("egress denied")), ...podToWorld(always("egress deny rule"), EXTERNAL_OTHER)],
  },
  {
    name: "client-egress-to-cidrgroup-deny",
    summary: "addresses of a group are denied",
    policies: [allowAll, cidrGroup, cnp("deny", `${CLIENT}  egressDeny: [{toCIDRSet: [{cidrGroupRef: outside}]}]\n`)],
    probes: [...podToWorld(ok), ...podToWorld(always("egress deny rule"), EXTERNAL_OTHER)],
  },
  {
    name: "client-egress-to-cidrgroup-deny-by-label",
    summary: "the same, the group found by its labels",
    policies: [
      allowAll,
      cidrGroup,
      cnp("deny", `${CLIENT}  egressDeny: [{toCIDRSet: [{cidrGroupSelector: {matchLabels: {scope: outside}}}]}]\n`),
    ],
    probes: [...podToWorld(ok), ...podToWorld(always("egress deny rule"), EXTERNAL_OTHER)],
  },
  {
    name: "from-cidr-host-netns",
    summary: "echo takes from one address of the world",
    policies: [cnp("echo", `${SERVER}  ingress: [{fromCIDR: [${EXTERNAL}/32]}]\n`)],
    probes: [...outsideToPod(only("external", "ingress denied")), ...podToPod(always("ingress denied"))],
  },
  {
    name: "pod-to-node-cidrpolicy",
    summary: "a CIDR does not select a node",
    policies: [cnp("client", `${CLIENT}  egress: [{toCIDR: [192.0.2.0/24]}]\n`)],
    probes: [...podToHost(always("egress denied")), ...podToWorld(ok)],
  },
  {
    name: "egress-to-specific-namespace-ccnp",
    summary: "clients reach one namespace alone, clusterwide",
    policies: [
      ccnp(
        "clients",
        `${CLIENT}  egress: [{toEndpoints: [{matchLabels: {"k8s:io.kubernetes.pod.namespace": ${OTHER_NAMESPACE}}}]}]\n`,
      ),
    ],
    probes: [
      { from: "client", to: "client-ccnp", port: null, expect: "ok" },
      { from: "client", to: "client2", port: null, expect: "egress denied" },
      ...podToPod(always("egress denied")),
    ],
  },
  {
    name: "policy-local-cluster-egress",
    summary: "workloads of this cluster, named by its label",
    policies: [
      cnp(
        "client",
        `${CLIENT}  egress: [{toEndpoints: [{matchLabels: {"k8s:io.cilium.k8s.policy.cluster": default, kind: echo}}]}]\n`,
      ),
    ],
    probes: [...podToPod(ok), ...podToWorld(always("egress denied"))],
  },
];

const NODES = '  nodeSelector: {matchLabels: {"kubernetes.io/hostname": node1}}\n';

const host: readonly Scenario[] = [
  {
    name: "host-firewall-ingress",
    summary: "the host takes from client alone",
    policies: [ccnp("host", `${NODES}  ingress: [{fromEndpoints: [{matchLabels: {"k8s:name": client}}]}]\n`)],
    probes: podToHost(only("client", "ingress denied")),
  },
  {
    name: "host-firewall-egress",
    summary: "the host reaches clients, not echo",
    policies: [ccnp("host", `${NODES}  egress: [{toEndpoints: [{matchLabels: {"k8s:kind": client}}]}]\n`)],
    probes: [hostToPod("egress denied")],
  },
];

const gateway = (excluded: string): string =>
  document({
    kind: "CiliumEgressGatewayPolicy",
    name: "client",
    spec: `  selectors: [{podSelector: {matchLabels: {name: client}}}]
  destinationCIDRs: ["0.0.0.0/0"]
${excluded}  egressGateway:
    nodeSelector: {matchLabels: {"kubernetes.io/hostname": node1}}
    egressIP: ${EGRESS}
`,
  });
const seen = (from: string, target: string, seenAs: string): Probe => ({
  ...{ from, to: target, port: HTTP, expect: "ok", seenAs },
});

const gateways: readonly Scenario[] = [
  {
    name: "egress-gateway",
    summary: "client leaves with the gateway's address, client2 with its own",
    policies: [gateway("")],
    probes: [
      seen("client", EXTERNAL, EGRESS),
      seen("client", EXTERNAL_OTHER, EGRESS),
      seen("client2", EXTERNAL, "client2"),
      seen("client", ECHO, "client"),
    ],
  },
  {
    name: "egress-gateway-excluded-cidrs",
    summary: "to prefixes that are excluded client goes as itself",
    policies: [gateway(`  excludedCIDRs: [${EXTERNAL_OTHER}/32]\n`)],
    probes: [seen("client", EXTERNAL, EGRESS), seen("client", EXTERNAL_OTHER, "client")],
  },
];

export const scenarios: readonly Scenario[] = [
  ...open,
  ...redirects,
  ...services,
  ...families,
  ...ingress,
  ...egress,
  ...host,
  ...gateways,
];
