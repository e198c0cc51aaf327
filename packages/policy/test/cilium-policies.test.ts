import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import {
  explainSide,
  formatExplanation,
  hasErrors,
  lookupEntry,
  parseDocuments,
  parseValue,
  PolicyEngine,
  reservedLabels,
  type PolicyIdentity,
  type Rule,
} from "../src/index.ts";
import { sharedData } from "./data.ts";
import { violations, type Schema } from "./schema.ts";

const folder = sharedData("cilium/policies");
const crds = sharedData("cilium/crds");
const cnp = sharedData("cnp/cases-a.jsonl.gz");

interface Crd {
  spec: {
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

function schemas(): Map<string, Schema> {
  const found = new Map<string, Schema>();
  for (const name of crds ? readdirSync(crds) : [])
    for (const document of parseAllDocuments(readFileSync(join(crds ?? "", name), "utf8"))) {
      const crd = document.toJS() as Crd | null;
      for (const version of crd?.spec.versions ?? [])
        found.set(`cilium.io/${version.name} ${crd?.spec.names.kind}`, version.schema.openAPIV3Schema);
    }
  return found;
}

function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

/** What the schema says of each object of a kind that it knows. */
function schemaErrors(objects: readonly unknown[], known: ReadonlyMap<string, Schema>): string[] {
  return objects.flatMap((object) => {
    const { apiVersion, kind } = object as { apiVersion: string; kind: string };
    const schema = known.get(`${apiVersion} ${kind}`);
    // Metadata is the API server's own.
    return schema
      ? violations(schema, { ...(object as object), metadata: undefined }).filter((v) => !v.startsWith(".metadata"))
      : [];
  });
}

const bad: Readonly<Record<string, RegExp>> = {
  "auth/auth.yaml": /spec\.egress\[0\]\.auth: unknown field/,
  "l3/requires/requires.yaml": /specs\[0\]\.ingress\[0\]\.fromRequires: this field was removed/,
};
const withoutPolicy = ["kubernetes/namespace/demo-pods.yaml", "kubernetes/serviceaccount/demo-pods.yaml"];

describe.skipIf(!folder)("Cilium's example policies", () => {
  const known = schemas();
  const files = folder ? filesOf(folder) : [];

  it("are all there", () => expect(files.length).toBe(58));

  for (const path of files) {
    const name = relative(folder ?? "", path);
    it(name, () => {
      const text = readFileSync(path, "utf8");
      const { documents, diagnostics } = parseDocuments(name, text);
      const errors = diagnostics.filter(({ severity }) => severity === "error");
      const objects = parseAllDocuments(text).map((document): unknown => document.toJS());
      expect(schemaErrors(objects.filter(Boolean), known).length > 0, "the schema agrees").toBe(errors.length > 0);
      const expected = bad[name];
      if (expected) {
        expect(errors.map(({ message }) => message).join("\n")).toMatch(expected);
        expect(errors[0]?.span?.line).toBeGreaterThan(1);
        return;
      }
      expect(errors).toEqual([]);
      expect(documents.length === 0).toBe(withoutPolicy.includes(name));
      for (const document of documents) for (const rule of document.rules) checkRule(document.rules, rule);
      const rules = documents.flatMap((document) => document.rules);
      expect(
        diagnostics.some(({ code }) => code === "SKEP6040"),
        "says what waits for a proxy",
      ).toBe(needsProxy(rules));
    });
  }
});

function needsProxy(rules: readonly Rule[]): boolean {
  return rules.some((rule) =>
    rule.ports?.some(({ l7, serverNames, listener }) => l7 ?? listener ?? serverNames.length > 0),
  );
}

/** A subject that has every label that the rule asks for, among peers that have none. */
function checkRule(rules: readonly Rule[], rule: Rule): void {
  const labels: Record<string, string> = rule.node ? { ...reservedLabels("host") } : {};
  for (const { key, operator, values } of rule.subject.requirements)
    if (operator === "In" || operator === "Exists")
      labels[`${key.source === "any" ? "k8s" : key.source}:${key.key}`] = values[0] ?? "";
  const subject: PolicyIdentity = { id: rule.node ? 1 : 300, labels };
  const stranger: PolicyIdentity = {
    id: 301,
    labels: { "k8s:who": "stranger", "k8s:io.kubernetes.pod.namespace": "far" },
  };
  const engine = new PolicyEngine({ hostFirewall: true });
  for (const identity of [subject, stranger]) engine.upsertIdentity(identity);
  const document = {
    kind: "CiliumNetworkPolicy",
    apiVersion: "",
    namespace: "",
    name: "",
    text: "",
    cidrGroup: null,
  } as const;
  engine.update([{ ...document, span: { file: "", line: 1, column: 1, offset: 0, length: 0 }, rules }]);
  const policy = engine.resolve({ id: 1, identity: subject });
  expect(policy[rule.direction === "ingress" ? "ingressEnforced" : "egressEnforced"]).toBe(true);
  for (const protocol of [6, 17, 1]) {
    const query = {
      direction: rule.direction,
      subject: { id: 1, identity: subject },
      peer: stranger,
      protocol,
      port: 9,
    };
    const explanation = explainSide(engine, query);
    const entry = lookupEntry(policy, { direction: rule.direction, identity: stranger.id, protocol, port: 9 });
    expect(explanation.verdict === "denied").toBe(entry === null || entry.deny);
    expect(formatExplanation(explanation)).toContain(explanation.verdict);
  }
}

describe.skipIf(!crds || !cnp)("the schemas of Cilium's resources", () => {
  it("refuse nothing that the parser takes", () => {
    const known = schemas();
    const differences: string[] = [];
    let compared = 0;
    const lines = cnp ? gunzipSync(readFileSync(cnp)).toString().trim().split("\n") : [];
    for (const line of lines) {
      const world = JSON.parse(line) as { id: string; policies: unknown[] };
      for (const [i, policy] of world.policies.entries()) {
        // The engine takes world-ipv4 and world-ipv6; the schema's list of entities lacks them.
        const theirs = schemaErrors([policy], known).filter((text) => !/"world-ipv[46]" is not in the enum/.test(text));
        const ours = parseValue("policy", policy).diagnostics;
        compared++;
        if (theirs.length > 0 && !hasErrors(ours)) differences.push(`${world.id} ${i}: ${theirs[0] ?? ""}`);
      }
    }
    expect(compared).toBe(3337);
    expect(differences.slice(0, 20)).toEqual([]);
  });
});

/** A value of the schema with one field and what it needs around it, for each field: its path and the value. */
function samples(schema: Schema, path: string): { path: string; value: unknown }[] {
  if (schema.items) {
    const inner = samples(schema.items, `${path}[]`);
    return inner.length > 0
      ? inner.map(({ path: at, value }) => ({ path: at, value: [value] }))
      : [{ path, value: [scalar(schema.items)] }];
  }
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return schema.type === "object" ? [{ path, value: {} }] : [];
  return fields.flatMap(([name, child]) => {
    const inner = samples(child, `${path}.${name}`);
    const values = inner.length > 0 ? inner : [{ path: `${path}.${name}`, value: scalar(child) }];
    return values.map(({ path: at, value }) => ({ path: at, value: { [name]: value } }));
  });
}

function scalar(schema: Schema): unknown {
  if (schema.enum) return schema.enum[0];
  if (schema.type === "boolean") return true;
  if (schema.type === "integer") return schema.minimum ?? 0;
  return "x";
}

describe.skipIf(!crds)("every field of the schemas", () => {
  const known = schemas();
  it.each(["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup"])("of %s is known", (kind) => {
    const spec = known.get(`cilium.io/v2 ${kind}`)?.properties?.["spec"];
    const all = spec ? samples(spec, "spec") : [];
    expect(all.length).toBeGreaterThan(kind === "CiliumCIDRGroup" ? 0 : 200);
    const unknown = all.flatMap(({ path, value }) => {
      const object = { apiVersion: "cilium.io/v2", kind, metadata: { name: "p" }, spec: value };
      const { diagnostics } = parseValue("field", object);
      return diagnostics
        .filter(({ code }) => code === "SKEP6003" || code === "SKEP6037")
        .map(({ message }) => `${path}: ${message}`);
    });
    expect(unknown).toEqual([]);
  });
});
