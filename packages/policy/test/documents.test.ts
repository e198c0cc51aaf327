import { describe, expect, it } from "vitest";
import {
  formatDiagnostic,
  lookupEntry,
  parseDocuments,
  parseValue,
  PolicyEngine,
  resolve,
  Repository,
  type PolicyIdentity,
} from "../src/index.ts";

const head = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: p }\n";

function pod(id: number, labels: Record<string, string>, namespace = "default"): PolicyIdentity {
  const own = Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value]));
  return { id, labels: { ...own, "k8s:io.kubernetes.pod.namespace": namespace } };
}
const web = pod(300, { app: "web" });
const db = pod(301, { app: "db" });
const far = pod(302, { app: "web" }, "far");
const hostIdentity: PolicyIdentity = { id: 1, labels: { "reserved:host": "" } };
const worldIdentity: PolicyIdentity = { id: 2, labels: { "reserved:world": "" } };
const all = [web, db, far, hostIdentity, worldIdentity];

/** Who of the others reaches `web` on 80/TCP. */
function reach(spec: string): string {
  const { documents, diagnostics } = parseDocuments("p.yaml", head + spec);
  expect(diagnostics.filter(({ severity }) => severity === "error").map(formatDiagnostic)).toEqual([]);
  const engine = new PolicyEngine();
  for (const identity of all) engine.upsertIdentity(identity);
  engine.update(documents);
  const policy = engine.resolve({ id: 1, identity: web });
  const names = { db: 301, far: 302, host: 1, world: 2 };
  return Object.entries(names)
    .filter(([, identity]) => {
      const entry = lookupEntry(policy, { direction: "ingress", identity, protocol: 6, port: 80 });
      return entry && !entry.deny;
    })
    .map(([name]) => name)
    .join(" ");
}

const subject = "spec:\n  endpointSelector: { matchLabels: { app: web } }\n";

describe("what is empty and what is missing (the host always reaches its workloads)", () => {
  it.each([
    ["no section for the direction: open", "  egress: [{}]", "db far host world"],
    ["an empty rule: nobody", "  ingress: [{}]", "host"],
    ["an empty list of endpoints: nobody", "  ingress: [{ fromEndpoints: [] }]", "host"],
    [
      "an empty list with ports: nobody",
      '  ingress: [{ fromEndpoints: [], toPorts: [{ ports: [{ port: "80" }] }] }]',
      "host",
    ],
    ["ports without peers: anybody", '  ingress: [{ toPorts: [{ ports: [{ port: "80" }] }] }]', "db far host world"],
    ["an empty selector: everybody of the namespace", "  ingress: [{ fromEndpoints: [{}] }]", "db host"],
    ["a rule of ports without ports: nobody", "  ingress: [{ toPorts: [{}] }]", "host"],
    ["an empty list of ports: as if missing", "  ingress: [{ fromEndpoints: [{}], toPorts: [] }]", "db host"],
    ["another port", '  ingress: [{ toPorts: [{ ports: [{ port: "81" }] }] }]', "host"],
    [
      "port 0: every port",
      '  ingress: [{ toPorts: [{ ports: [{ port: "0", protocol: TCP }] }] }]',
      "db far host world",
    ],
    ["an empty list of entities: nobody", "  ingress: [{ fromEntities: [] }]", "host"],
    ["a field without a value: as if missing", "  ingress:\n  egress: [{}]", "db far host world"],
  ])("%s", (_, spec, expected) => expect(reach(`${subject}${spec}`)).toBe(expected));
});

describe("whom selectors reach", () => {
  it.each([
    ["another namespace by its name", "{ matchLabels: { k8s:io.kubernetes.pod.namespace: far } }", "far host"],
    ["the key without a source", "{ matchLabels: { io.kubernetes.pod.namespace: far } }", "far host"],
    ["any namespace", "{ matchExpressions: [{ key: io.kubernetes.pod.namespace, operator: Exists }] }", "db far host"],
    ["a label of Kubernetes", "{ matchLabels: { k8s:app: db } }", "db host"],
    ["a label of another source", "{ matchLabels: { container:app: db } }", "host"],
    ["what is not in a list", "{ matchExpressions: [{ key: app, operator: NotIn, values: [web] }] }", "db host"],
    ["a reserved identity", "{ matchLabels: { reserved:world: '' } }", "host world"],
  ])("%s", (_, selector, expected) =>
    expect(reach(`${subject}  ingress: [{ fromEndpoints: [${selector}] }]`)).toBe(expected),
  );

  it.each([
    ["all", "db far host world"],
    ["world", "host world"],
    ["host", "host"],
    ["none", "host"],
    ["remote-node", "host"],
  ])("entity %s", (entity, expected) =>
    expect(reach(`${subject}  ingress: [{ fromEntities: [${entity}] }]`)).toBe(expected),
  );

  it("denies what a rule denies, whatever others allow, also to the host", () => {
    expect(reach(`${subject}  ingress: [{ fromEntities: [all] }]\n  ingressDeny: [{ fromEndpoints: [{}] }]`)).toBe(
      "far host world",
    );
    expect(reach(`${subject}  ingressDeny: [{ fromEntities: [host] }]`)).toBe("");
  });

  it("is open but for denials where enableDefaultDeny is off", () => {
    const open = "  enableDefaultDeny: { ingress: false }\n";
    expect(reach(`${subject}${open}  ingressDeny: [{ fromEndpoints: [{}] }]`)).toBe("far host world");
  });
});

describe("files", () => {
  it("keep positions of every rule and peer", () => {
    const { documents } = parseDocuments(
      "two.yaml",
      `# first\n${head}spec:\n  endpointSelector: {}\n  ingress:\n    - fromEndpoints:\n        - matchLabels:\n            app: web\n---\n${head.replace("name: p", "name: q")}specs:\n  - endpointSelector: {}\n    egress:\n      - toCIDR:\n          - 10.0.0.0/8\n`,
    );
    expect(documents.map(({ name, span }) => [name, span.line])).toEqual([
      ["p", 2],
      ["q", 12],
    ]);
    expect(documents[0]?.rules[0]?.origin.span).toMatchObject({ line: 8, column: 7 });
    expect(documents[0]?.rules[0]?.peers?.[0]?.span).toMatchObject({ line: 9, column: 11 });
    expect(documents[1]?.rules[0]).toMatchObject({ key: "CiliumNetworkPolicy/default/q/specs[0].egress[0]" });
    expect(documents[1]?.rules[0]?.peers?.[0]?.span).toMatchObject({ line: 19, column: 13 });
    expect(documents[1]?.text.startsWith("apiVersion")).toBe(true);
  });

  it("leave other objects to others, and read lists", () => {
    const list = `apiVersion: v1\nkind: List\nitems:\n  - apiVersion: v1\n    kind: Service\n    metadata: { name: s }\n  - apiVersion: cilium.io/v2\n    kind: CiliumNetworkPolicy\n    metadata: { name: p }\n    spec: { endpointSelector: {}, ingress: [{}] }\n`;
    const { documents, foreign, diagnostics } = parseDocuments("list.yaml", list);
    expect(diagnostics).toEqual([]);
    expect(documents.map(({ name }) => name)).toEqual(["p"]);
    expect(foreign.map(({ kind }) => kind)).toEqual(["Service"]);
  });

  it("take anchors, merge keys and JSON", () => {
    const anchors = `${head}spec:\n  endpointSelector: &web { matchLabels: { app: web } }\n  ingress:\n    - fromEndpoints: [*web]\n      toPorts: [{ ports: [&http { port: "80" }, { <<: *http, port: "81" }] }]\n`;
    const { documents, diagnostics } = parseDocuments("anchors.yaml", anchors);
    expect(diagnostics).toEqual([]);
    const ports = documents[0]?.rules[0]?.ports?.[0]?.ports
      .filter(({ protocol }) => protocol === 6)
      .map(({ port }) => port);
    expect(ports).toEqual([80, 81]);
    const object = {
      apiVersion: "cilium.io/v2",
      kind: "CiliumNetworkPolicy",
      metadata: { name: "p" },
      spec: { endpointSelector: {}, ingress: [{}] },
    };
    expect(parseDocuments("a.json", JSON.stringify(object, null, 2)).documents.length).toBe(1);
    expect(parseValue("object", object).documents.length).toBe(1);
  });

  it("with empty documents and comments hold nothing", () => {
    expect(parseDocuments("empty.yaml", "---\n# nothing\n---\n")).toEqual({
      documents: [],
      foreign: [],
      diagnostics: [],
    });
    expect(parseDocuments("empty.yaml", "")).toEqual({ documents: [], foreign: [], diagnostics: [] });
  });

  it("warn of what is understood and not served, and stay closed", () => {
    const spec = `${subject}  ingress:\n    - fromEndpoints: [{}]\n      toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ path: /a }] } }]\n`;
    const { diagnostics } = parseDocuments("l7.yaml", head + spec);
    expect(diagnostics).toMatchObject([{ code: "SKEP6040", severity: "warning", span: { line: 8 } }]);
    expect(reach(spec)).toBe("host");
  });

  it("warn of a subject in another namespace, which does not count", () => {
    const spec =
      "spec:\n  endpointSelector: { matchLabels: { k8s:io.kubernetes.pod.namespace: far } }\n  ingress: [{}]\n";
    const { documents, diagnostics } = parseDocuments("p.yaml", head + spec);
    expect(diagnostics).toMatchObject([{ code: "SKEP6043", severity: "warning" }]);
    expect(documents[0]?.rules[0]?.subject.text).toBe("k8s:io.kubernetes.pod.namespace=default");
  });
});

describe("resolve", () => {
  it("gives one endpoint's entries, each with the rules behind it", () => {
    const { documents } = parseDocuments("p.yaml", `${head}${subject}  ingress: [{ fromEndpoints: [{}] }]\n`);
    const repository = new Repository();
    const revision = repository.set(documents);
    const policy = resolve(repository, all, { id: 7, identity: web });
    expect(policy).toMatchObject({ endpoint: 7, revision, ingressEnforced: true, egressEnforced: false });
    const own = policy.entries.find(({ identity }) => identity === 301);
    expect(own).toMatchObject({ direction: "ingress", protocol: 0, port: 0, portPrefix: 0, deny: false, proxyPort: 0 });
    expect(repository.rulesOf(own?.cookie ?? 0)).toMatchObject([{ name: "p", span: { file: "p.yaml", line: 6 } }]);
    const open = policy.entries.filter(({ direction }) => direction === "egress");
    expect(open).toMatchObject([{ identity: 0, protocol: 0, portPrefix: 0, deny: false }]);
    expect(repository.rulesOf(open[0]?.cookie ?? 0)).toMatchObject([{ kind: "builtin", name: "policy-not-enforced" }]);
    expect(policy.entries.every(({ cookie }) => cookie > 0)).toBe(true);
  });

  it("keeps the number of a rule over edits, and counts revisions", () => {
    const engine = new PolicyEngine();
    for (const identity of all) engine.upsertIdentity(identity);
    const read = (text: string) => parseDocuments("p.yaml", text).documents;
    const spec = `${subject}  ingress: [{ fromEndpoints: [{ matchLabels: { app: db } }] }]\n`;
    const first = engine.update(read(head + spec));
    const cookie =
      engine.resolve({ id: 1, identity: web }).entries.find(({ identity }) => identity === 301)?.cookie ?? 0;
    const second = engine.update(read(`# a line more\n${head}${spec}`));
    expect(second).toBe(first + 1);
    expect(engine.resolve({ id: 1, identity: web }).entries.find(({ identity }) => identity === 301)?.cookie).toBe(
      cookie,
    );
    expect(engine.repository.rulesOf(cookie)[0]?.span?.line).toBe(7);
    engine.update([], ["CiliumNetworkPolicy/default/p"]);
    expect(engine.resolve({ id: 1, identity: web }).ingressEnforced).toBe(false);
    expect(engine.repository.rulesOf(cookie)[0]?.name).toBe("p");
    expect(engine.repository.rulesOf(9999)).toEqual([]);
  });

  it("merges ranges into few prefixes", () => {
    const { documents } = parseDocuments(
      "p.yaml",
      `${head}${subject}  ingress: [{ toPorts: [{ ports: [{ port: "1024", endPort: 65535, protocol: TCP }] }] }]\n`,
    );
    const entries = resolve(withDocuments(documents), all, { id: 1, identity: web }).entries.filter(
      (e) => e.protocol === 6,
    );
    expect(entries.map(({ port, portPrefix }) => `${port}/${portPrefix}`)).toEqual([
      "32768/1",
      "16384/2",
      "8192/3",
      "4096/4",
      "2048/5",
      "1024/6",
    ]);
  });

  it("leaves out what broader entries say already", () => {
    const rules = `  ingress: [{ fromEntities: [all] }, { fromEndpoints: [{}], toPorts: [{ ports: [{ port: "80" }] }] }]\n`;
    const { documents } = parseDocuments("p.yaml", `${head}${subject}${rules}`);
    const entries = resolve(withDocuments(documents), all, { id: 1, identity: web }).entries.filter(
      (e) => e.direction === "ingress",
    );
    expect(entries.map(({ identity, protocol }) => [identity, protocol])).toEqual([[0, 0]]);
  });

  it.each([
    ["never", false, "allowed"],
    ["always", true, "denied"],
    ["default", false, "allowed"],
  ] as const)("enforcement %s without a policy", (enforcement, enforced, verdict) => {
    const policy = resolve(new Repository(), all, { id: 1, identity: web }, { enforcement });
    expect(policy.ingressEnforced).toBe(enforced);
    const entry = lookupEntry(policy, { direction: "ingress", identity: 301, protocol: 6, port: 80 });
    expect(entry && !entry.deny ? "allowed" : "denied").toBe(verdict);
    const fromHost = lookupEntry(policy, { direction: "ingress", identity: 1, protocol: 6, port: 80 });
    expect(fromHost?.deny).toBe(false);
  });

  it("enforces endpoints that have no labels yet", () => {
    const policy = resolve(new Repository(), all, { id: 1, identity: { id: 5, labels: { "reserved:init": "" } } });
    expect(policy.ingressEnforced && policy.egressEnforced).toBe(true);
  });
});

function withDocuments(documents: Parameters<Repository["set"]>[0]): Repository {
  const repository = new Repository();
  repository.set(documents);
  return repository;
}
