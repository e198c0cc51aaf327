import { parsePrefix, type Prefix } from "@skep/net";
import { describe, expect, it } from "vitest";
import {
  cidrLabel,
  equalTo,
  exists,
  labelSelector,
  lookupEntry,
  parseDocuments,
  PolicyEngine,
  prefixOfCidrKey,
  SelectorCache,
  type PeerSelector,
  type PolicyIdentity,
} from "../src/index.ts";

function prefix(text: string): Prefix {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
}

function network(id: number, text: string): PolicyIdentity {
  const cidr = prefix(text);
  return { id, cidr, labels: { [cidrLabel(cidr)]: "", "reserved:world": "" } };
}

function pod(id: number, app: string): PolicyIdentity {
  return { id, labels: { "k8s:app": app, "k8s:io.kubernetes.pod.namespace": "default" } };
}

const labels = (requirements: Parameters<typeof labelSelector>[0]): PeerSelector => ({
  kind: "labels",
  selector: labelSelector(requirements),
  span: null,
});
const app = { source: "any", key: "app" };

describe("the selector cache", () => {
  it("keeps selections as identities come, change and go", () => {
    const cache = new SelectorCache();
    const web = cache.acquire(labels([equalTo(app, "web")]));
    const any = cache.acquire(labels([exists(app)]));
    const not = cache.acquire(labels([{ key: app, operator: "NotIn", values: ["web"] }]));
    expect([...cache.upsert(pod(1, "web"))].length).toBe(2);
    cache.upsert(pod(2, "db"));
    const selections = (): number[][] => [web, any, not].map(({ selections }) => [...selections].sort());
    expect(selections()).toEqual([[1], [1, 2], [2]]);
    cache.upsert(pod(1, "db"));
    expect(selections()).toEqual([[], [1, 2], [1, 2]]);
    expect(cache.remove(2).size).toBe(2);
    expect(selections()).toEqual([[], [1], [1]]);
    expect(cache.remove(2).size).toBe(0);
  });

  it("shares equal selectors and forgets those that nobody uses", () => {
    const cache = new SelectorCache();
    const a = cache.acquire(labels([equalTo(app, "web"), exists({ source: "k8s", key: "x" })]));
    expect(cache.acquire(labels([exists({ source: "k8s", key: "x" }), equalTo(app, "web")]))).toBe(a);
    cache.release(a);
    cache.upsert({ id: 1, labels: { "k8s:app": "web", "k8s:x": "" } });
    expect([...a.selections]).toEqual([1]);
    cache.release(a);
    cache.remove(1);
    cache.upsert({ id: 1, labels: { "k8s:app": "web", "k8s:x": "" } });
    expect(cache.acquire(labels([equalTo(app, "web"), exists({ source: "k8s", key: "x" })]))).not.toBe(a);
  });

  it("matches networks by their prefix, never workloads, and minds exceptions", () => {
    const cache = new SelectorCache();
    const cidr = (text: string, ...except: string[]): PeerSelector => ({
      kind: "cidr",
      prefix: prefix(text),
      except: except.map(prefix),
      span: null,
    });
    for (const identity of [
      network(10, "10.0.0.0/8"),
      network(11, "10.1.0.0/16"),
      network(12, "fd00::/8"),
      pod(13, "web"),
    ])
      cache.upsert(identity);
    cache.upsert({ id: 2, labels: { "reserved:world": "" } });
    const selected = (peer: PeerSelector): number[] => [...cache.acquire(peer).selections].sort((a, b) => a - b);
    expect(selected(cidr("10.0.0.0/8"))).toEqual([10, 11]);
    expect(selected(cidr("10.0.0.0/8", "10.1.0.0/16"))).toEqual([10]);
    expect(selected(cidr("10.1.2.0/24"))).toEqual([]);
    expect(selected(cidr("0.0.0.0/0"))).toEqual([2, 10, 11]);
    expect(selected(cidr("::/0"))).toEqual([2, 12]);
    expect(selected(labels([exists({ source: "cidr", key: "10.0.0.0/7" })]))).toEqual([10, 11]);
  });

  it("names prefixes as Cilium's labels do", () => {
    expect(["10.0.0.0/8", "fd00::/8", "::1/128", "::/0"].map((text) => cidrLabel(prefix(text)))).toEqual([
      "cidr:10.0.0.0/8",
      "cidr:fd00--0/8",
      "cidr:0--1/128",
      "cidr:0--0/0",
    ]);
    for (const text of ["10.0.0.0/8", "fd00::/8", "::1/128"])
      expect(prefixOfCidrKey(cidrLabel(prefix(text)).slice("cidr:".length))).toEqual(prefix(text));
  });
});

const policy = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: out }
spec:
  endpointSelector: { matchLabels: { app: web } }
  egress:
    - toCIDRSet: [{ cidrGroupRef: partners, except: [10.9.0.0/16] }]
    - toCIDRSet: [{ cidrGroupSelector: { matchLabels: { trust: low } } }]
      toPorts: [{ ports: [{ port: "443", protocol: TCP }] }]
    - toServices: [{ k8sService: { serviceName: db, namespace: default } }, { k8sServiceSelector: { selector: { matchLabels: { tier: cache } } } }]
`;
const group = (name: string, labelsText: string, cidrs: string): string =>
  `---\napiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: { name: ${name}, labels: ${labelsText} }\nspec: { externalCIDRs: [${cidrs}] }\n`;

describe("groups of networks and services", () => {
  const engine = new PolicyEngine();
  const identities = [
    pod(300, "web"),
    pod(301, "db"),
    pod(302, "redis"),
    network(500, "10.0.0.0/8"),
    network(501, "10.9.0.0/16"),
    network(502, "198.51.100.0/24"),
  ];
  for (const identity of identities) engine.upsertIdentity(identity);
  engine.update(parseDocuments("out.yaml", policy).documents);
  const web = identities[0] ?? pod(300, "web");
  const reaches = (identity: number, port: number): boolean => {
    const entry = lookupEntry(engine.resolve({ id: 1, identity: web }), {
      direction: "egress",
      identity,
      protocol: 6,
      port,
    });
    return entry !== null && !entry.deny;
  };
  const read = (text: string) => parseDocuments("groups.yaml", text).documents;

  it("select what the groups hold now", () => {
    expect([500, 501, 502].map((id) => reaches(id, 80))).toEqual([false, false, false]);
    engine.update(read(group("partners", "{}", "10.0.0.0/8") + group("others", "{ trust: low }", "198.51.100.0/24")));
    expect([500, 501, 502].map((id) => reaches(id, 80))).toEqual([true, false, false]);
    expect([500, 502].map((id) => reaches(id, 443))).toEqual([true, true]);
    expect(engine.repository.prefixes(engine.cache).length).toBe(3);
    engine.update(read(group("partners", "{ trust: low }", "203.0.113.0/24")), ["CiliumCIDRGroup//others"]);
    expect([500, 502].map((id) => reaches(id, 443))).toEqual([false, false]);
    const late = network(503, "203.0.113.0/24");
    engine.upsertIdentity(late);
    expect(reaches(503, 443)).toBe(true);
  });

  it("select what serves a service", () => {
    expect(reaches(301, 5432)).toBe(false);
    const service = (name: string, own: string, tier: string) => ({
      namespace: "default",
      name,
      labels: { tier },
      selector: labelSelector([equalTo({ source: "k8s", key: "app" }, own)]),
      prefixes: [],
    });
    engine.setServices([service("db", "db", "data"), service("redis", "redis", "cache")]);
    expect([301, 302].map((id) => reaches(id, 5432))).toEqual([true, true]);
    engine.setServices([service("db", "db", "data")]);
    expect([301, 302].map((id) => reaches(id, 5432))).toEqual([true, false]);
  });
});
