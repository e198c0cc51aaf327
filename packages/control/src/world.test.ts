import { describe, expect, it } from "vitest";
import { parsePrefix, type Prefix } from "@skep/net";
import { lookupEntry, type EndpointPolicy } from "@skep/policy";
import { HOST_ENDPOINT, World, type PolicySettings } from "./index.ts";
import type { Endpoint } from "./model.ts";

const prefix = (text: string): Prefix => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};

function world(policy: PolicySettings = {}, nodeLabels: Record<string, string> = {}): World {
  return new World({ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/24"), policy, nodeLabels });
}

type Request = Parameters<World["allocateEndpoint"]>[0];

let interfaces = 100;
function join(target: World, name: string, over: Partial<Request> = {}): Endpoint {
  const seed = target.allocateEndpoint({ namespace: "default", name, labels: { app: name }, ...over });
  const wire = { interfaceName: `skep${seed.id}`, interfaceIndex: interfaces++ };
  const endpoint = { ...seed, ...wire, mac: new Uint8Array(6), hostMac: new Uint8Array(6) };
  target.setEndpoint(endpoint);
  return endpoint;
}

interface Asked {
  readonly identity: number;
  readonly port: number;
  readonly direction?: "ingress" | "egress";
}

function verdict(policy: EndpointPolicy, { identity, port, direction = "ingress" }: Asked): string {
  const entry = lookupEntry(policy, { direction, identity, protocol: 6, port });
  if (!entry) return "none";
  return entry.deny ? "deny" : entry.audit ? "audit" : "allow";
}

const policyYaml = (rest: string, name = "p"): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${name} }
spec:
${rest
  .trim()
  .split("\n")
  .map((line) => `  ${line}`)
  .join("\n")}
`;

const onlyFriends = policyYaml(`
endpointSelector: { matchLabels: { app: server } }
ingress:
  - fromEndpoints: [{ matchLabels: { app: friend } }]
`);

const service = (name: string, port: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, labels: { tier: front } }
spec:
  selector: { app: ${name} }
  ports: [{ name: web, port: 80, targetPort: ${port} }]
`;

describe("enforcement", () => {
  it("always closes what no policy selects, never opens what one closes", () => {
    const target = world({ enforcement: "always", allowLocalhost: false });
    const server = join(target, "server");
    const friend = join(target, "friend");
    target.settle();
    const asked = { identity: friend.identity, port: 80 };
    expect(verdict(target.policyOf(server), asked)).toBe("none");
    target.configure({ enforcement: "never" });
    target.settle();
    expect(verdict(target.policyOf(server), asked)).toBe("allow");
    target.configure({});
    target.applyFile("a.yaml", onlyFriends);
    target.settle();
    expect(verdict(target.policyOf(server), asked)).toBe("allow");
    expect(verdict(target.policyOf(server), { identity: server.identity, port: 80 })).toBe("none");
  });

  it("audits an endpoint, and a namespace", () => {
    const target = world();
    const server = join(target, "server");
    const stranger = join(target, "stranger");
    target.applyFile("a.yaml", onlyFriends);
    target.settle();
    const asked = { identity: stranger.identity, port: 80 };
    const now = (): string => verdict(target.policyOf(target.endpoint(server.id) ?? server), asked);
    expect(now()).toBe("none");
    target.setAudit(server.id, true);
    target.settle();
    expect(now()).toBe("audit");
    target.setAudit(server.id, false);
    target.configure({ auditNamespaces: ["default"] });
    target.settle();
    expect(now()).toBe("audit");
  });
});

describe("services in policies", () => {
  it("are selected by name and by label, with the workloads that they select", () => {
    const target = world();
    const client = join(target, "client");
    const server = join(target, "server");
    const other = join(target, "other");
    const file = policyYaml(`
endpointSelector: { matchLabels: { app: client } }
egress:
  - toServices: [{ k8sService: { serviceName: server, namespace: default } }]
`);
    target.applyFile("policy.yaml", file);
    target.applyFile("service.yaml", service("server", "8080"));
    target.settle();
    const egress = (identity: number): string =>
      verdict(target.policyOf(client), { identity, port: 8080, direction: "egress" });
    expect(egress(server.identity)).toBe("allow");
    expect(egress(other.identity)).toBe("none");
    target.removeFile("service.yaml");
    target.settle();
    expect(egress(server.identity)).toBe("none");
  });
});

describe("named ports", () => {
  it("are what the workloads call them, in policies and in services", () => {
    const target = world();
    const server = join(target, "server", { namedPorts: [{ name: "web", protocol: 6, port: 8080 }] });
    const plain = join(target, "plain", { labels: { app: "server" } });
    const friend = join(target, "friend");
    const file = policyYaml(`
endpointSelector: { matchLabels: { app: server } }
ingress:
  - toPorts: [{ ports: [{ port: web, protocol: TCP }] }]
`);
    expect(target.applyFile("policy.yaml", file).changed).toBe(true);
    expect(target.applyFile("service.yaml", service("server", "web")).changed).toBe(true);
    target.settle();
    expect(verdict(target.policyOf(server), { identity: friend.identity, port: 8080 })).toBe("allow");
    expect(verdict(target.policyOf(server), { identity: friend.identity, port: 80 })).toBe("none");
    expect(verdict(target.policyOf(plain), { identity: friend.identity, port: 8080 })).toBe("none");
    expect(target.services()[0]?.backends).toMatchObject([{ address: server.address, port: 8080 }]);
  });

  it("that are no names are refused", () => {
    const { changed, diagnostics } = world().applyFile("service.yaml", service("server", "No_Name"));
    expect(changed).toBe(false);
    expect(diagnostics.map(({ code }) => code)).toEqual(["SKEP6017"]);
  });
});

describe("changes of a policy", () => {
  it("are nothing, single entries for identities that come and go, or the whole", () => {
    const target = world();
    const server = join(target, "server");
    target.applyFile("a.yaml", onlyFriends);
    target.settle();
    const first = target.policyChange(server, 0);
    expect(first.kind).toBe("whole");
    expect(target.policyChange(server, first.version)).toEqual({ kind: "none", version: first.version });
    const friend = join(target, "friend");
    target.settle();
    const second = target.policyChange(server, first.version);
    expect(second).toMatchObject({ kind: "delta", delta: { put: [{ identity: friend.identity }], take: [] } });
    target.removeEndpoint(friend.id);
    target.settle();
    expect(target.policyChange(server, second.version)).toMatchObject({
      kind: "delta",
      delta: { put: [], take: [{ identity: friend.identity }] },
    });
    target.applyFile("a.yaml", onlyFriends.replace("friend", "foe"));
    target.settle();
    expect(target.policyChange(server, second.version).kind).toBe("whole");
  });

  it("are the whole after other settings", () => {
    const target = world();
    const server = join(target, "server");
    target.settle();
    const { version } = target.policyChange(server, 0);
    target.configure({ enforcement: "always" });
    target.settle();
    expect(target.policyChange(server, version).kind).toBe("whole");
  });
});

describe("the host's policy", () => {
  const node = `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: node }
spec:
  nodeSelector: { matchLabels: { role: edge } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: friend } }]
`;

  it("is that of a nodeSelector where the host's firewall is on", () => {
    const target = world({ hostFirewall: true }, { role: "edge" });
    const friend = join(target, "friend");
    const other = join(target, "other");
    target.applyFile("node.yaml", node);
    target.settle();
    const policy = target.hostPolicy();
    expect(policy.endpoint).toBe(HOST_ENDPOINT);
    expect(verdict(policy, { identity: friend.identity, port: 22 })).toBe("allow");
    expect(verdict(policy, { identity: other.identity, port: 22 })).toBe("none");
  });

  it("is open where it is off, or the selector selects another node", () => {
    for (const target of [world({}, { role: "edge" }), world({ hostFirewall: true }, { role: "core" })]) {
      const other = join(target, "other");
      target.applyFile("node.yaml", node);
      target.settle();
      expect(verdict(target.hostPolicy(), { identity: other.identity, port: 22 })).toBe("allow");
    }
  });
});

describe("problems", () => {
  it("name the policy that does not fit its map, once for endpoints of one identity", () => {
    const target = world({ maxEntries: 4 });
    join(target, "server");
    join(target, "second", { labels: { app: "server" } });
    const ports = Array.from({ length: 12 }, (_, i) => `{ port: "${1000 + 2 * i}", protocol: TCP }`);
    const file = policyYaml(`
endpointSelector: { matchLabels: { app: server } }
ingress:
  - toPorts: [{ ports: [${ports.join(", ")}] }]
`);
    target.applyFile("a.yaml", file);
    target.settle();
    const problems = target.problems();
    expect(problems.map(({ code }) => code)).toEqual(["SKEP6050"]);
    expect(problems[0]?.related?.[0]?.message).toContain("default/p");
  });
});

describe("the cluster's name", () => {
  it("is the workloads' label, and what the entity of policies means", () => {
    const named = new World({
      ...{ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/24"), clusterName: "kessel" },
    });
    const [server, client] = [join(named, "server"), join(named, "client")];
    expect(client.labels["k8s:io.cilium.k8s.policy.cluster"]).toBe("kessel");
    const rule = "endpointSelector: { matchLabels: { app: server } }\ningress: [{ fromEntities: [cluster] }]";
    named.applyFile("p.yaml", policyYaml(rule));
    named.settle();
    expect(verdict(named.policyOf(server), { identity: client.identity, port: 80 })).toBe("allow");
  });
});
