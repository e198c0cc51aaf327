// A file that is read again by its parts says what it says when it is read as a whole.
import { describe, expect, it } from "vitest";
import { parsePrefix } from "@skep/net";
import { FileParts, markOf, splitDocuments } from "../src/file-parts.ts";
import { World } from "../src/world.ts";

const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};
const world = (): World => new World({ podCidr: prefix("10.0.0.0/24"), serviceCidr: prefix("10.96.0.0/29") });

const service = (name: string, spec: string): string => `apiVersion: v1
kind: Service
metadata: { name: ${name}, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { ${spec} }
`;
const slice = (name: string, address: string): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-x, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [{ addresses: ["${address}"] }]
ports: [{ port: 8080 }]
`;
const policy = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: all }
spec: { endpointSelector: {}, ingress: [{}] }
`;
const pool = `apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: { name: pool }
spec: { blocks: [{ cidr: 192.0.2.0/30 }] }
`;
const pod = `apiVersion: v1
kind: Pod
metadata: { name: pod, uid: u }
spec: { containers: [{ name: c, ports: [{ containerPort: 80, hostPort: 8080 }] }] }
status: { phase: Running, podIPs: [{ ip: 10.0.0.9 }] }
`;
const PORTS = "ports: [{ port: 80 }]";
const DOCUMENTS = [
  ...["a", "b", "c"].map((name, at) => service(name, `clusterIP: 10.96.0.${at + 2}, ${PORTS}`)),
  // The same address twice, and more that ask for one than there are.
  ...["d", "e"].map((name) => service(name, `clusterIP: 198.51.100.1, ${PORTS}`)),
  ...["f", "g", "h"].map((name) => service(name, PORTS)),
  service("i", `clusterIP: 10.96.0.2, ${PORTS}`),
  service("j", `type: LoadBalancer, clusterIP: 198.51.100.2, ${PORTS}`),
  ...["a", "b", "f"].flatMap((name) => ["10.0.1.1", "10.0.1.22"].map((address) => slice(name, address))),
  ...[pool, pod, policy],
  "# only a word\n",
  service("k", "clusterIP: nowhere"),
  `apiVersion: v1\nkind: List\nitems:\n- ${service("l", PORTS).replaceAll("\n", "\n  ").trimEnd()}\n`,
  "apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n",
  "kind: [",
];

/** Everything that it tells, with places. */
function told(target: World): unknown {
  return [target.services(), target.loadBalancerRows(), target.problems(), target.diagnostics(), target.addressPools()];
}

/** Numbers below `limit`, the same ones for each seed. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * limit);
  };
}

describe("a file that is read again by its parts", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed + 1))("says what it says as a whole, changes %i", (seed) => {
    const [parts, whole] = [world(), world()];
    const next = random(seed);
    const documents: string[] = [];
    for (let step = 0; step < 25; step++) {
      const at = next(documents.length + 1);
      // Most changes leave a file that is right.
      const fresh = DOCUMENTS[next(next(6) === 0 ? DOCUMENTS.length : DOCUMENTS.length - 8)] ?? "";
      const padding = "# further down\n".repeat(next(4) === 0 ? next(3) : 0);
      const has = documents.indexOf(fresh);
      if (has >= 0) documents.splice(has, 1);
      else documents.splice(at, next(3) === 0 ? 1 : 0, padding + fresh);
      const text = documents.join(next(8) === 0 ? "--- # next\n" : "---\n");
      const { changed } = parts.applyFile("a.yaml", text);
      expect(whole.applyTogether([["a.yaml", text]]).has("a.yaml")).toBe(changed);
      // A refused file's diagnostics are told where it is tried alone.
      if (!changed) documents.splice(0, documents.length, ...documents.filter((each) => each !== padding + fresh));
      if (changed) expect(told(parts), `step ${step}`).toEqual(told(whole));
    }
  });

  it("reads what has changed alone", () => {
    const target = world();
    const rest = Array.from({ length: 50 }, (_, at) => slice(`s${at}`, "10.0.1.1"));
    const text = (address: string, comment = ""): string => [comment, slice("a", address), ...rest].join("---\n");
    target.applyFile("a.yaml", text("10.0.1.1"));
    const version = target.servicesVersion;
    target.applyFile("a.yaml", text("10.0.1.22"));
    // Each object that is put counts.
    expect(target.servicesVersion).toBe(version + 1);
    target.applyFile("a.yaml", text("10.0.1.22", "# further down\n"));
    expect(target.servicesVersion).toBe(version + 1);
  });

  it("knows a part by its text, and where it stood", () => {
    const text = "a: 1\n--- # x\nb: 2\n---\nc: |\n  --- d\n  ---\n---e: 3\n";
    const parts = splitDocuments(text) ?? [];
    expect(parts.map((part) => [part.line, part.offset])).toEqual([
      [0, 0],
      [1, 5],
      [3, 18],
    ]);
    expect(parts.map((part) => part.text).join("")).toBe(text);
    const known = new FileParts(parts, [1, 0, 2]).known();
    expect(parts.map((part) => known.get(markOf(part.text)))).toEqual([
      { line: 0, offset: 0, first: 0, count: 1 },
      { line: 1, offset: 5, first: 1, count: 0 },
      { line: 3, offset: 18, first: 1, count: 2 },
    ]);
    for (const other of ["%YAML 1.2\n---\na: 1\n", "a: 1\n...\nb: 2\n", "a: 1\rb: 2\n", "\ufeffa: 1\n"])
      expect(splitDocuments(other), JSON.stringify(other)).toBeNull();
  });

  it("has marks that differ where texts do", () => {
    const texts = Array.from({ length: 5000 }, (_, at) => slice("a", `10.0.${at >> 8}.${at & 255}`));
    expect(new Set(texts.map(markOf)).size).toBe(texts.length);
  });
});
