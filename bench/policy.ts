// Policy at scale: 10,000 identities, 1,000 policies, 50 endpoints. Full resolution, one identity added, and what it weighs.
import { parseDocuments, parseSuites, PolicyEngine, runSuite, type PolicySubject } from "@skep/policy";
import { median, print } from "./_lines.ts";
import { ENDPOINTS, IDENTITIES, identity, POLICIES, policy } from "./_policies.ts";

function milliseconds(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}

const text = Array.from({ length: POLICIES }, (_, i) => policy(i)).join("---");
const started = performance.now();
const { documents, diagnostics } = parseDocuments("policies.yaml", text);
if (diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics[0]));
const line = { bench: "policy", peer: null, peerName: null };
print({ ...line, case: `${POLICIES} policies parsed`, unit: "ms", skep: performance.now() - started });

const subjects: PolicySubject[] = Array.from({ length: ENDPOINTS }, (_, i) => ({
  id: i + 1,
  identity: identity(i * 3),
}));
const engine = new PolicyEngine();
globalThis.gc?.();
const before = process.memoryUsage().rss;
const load = milliseconds(() => {
  for (let i = 0; i < IDENTITIES; i++) engine.upsertIdentity(identity(i));
  engine.update(documents);
});
print({ ...line, case: `${IDENTITIES} identities, ${POLICIES} policies loaded`, unit: "ms", skep: load });
let entries = 0;
const full = milliseconds(() => {
  entries = 0;
  for (const subject of subjects) entries += engine.resolve(subject).entries.length;
});
print({ ...line, case: `${ENDPOINTS} endpoints resolved (${entries} entries)`, unit: "ms", skep: full });
globalThis.gc?.();
print({ ...line, case: "resident memory of it", unit: "MiB", skep: (process.memoryUsage().rss - before) / 2 ** 20 });

const added: number[] = [];
const toDelta: number[] = [];
const toMap: number[] = [];
for (let i = 0; i < 50; i++) {
  // One that every endpoint's policy selects.
  const labels = {
    ...identity(i).labels,
    "k8s:team": `team-${(i % 40) * 10}`,
    "k8s:tier": "front",
    "k8s:fresh": `${i}`,
  };
  const fresh = { id: 40_000 + i, labels };
  const versions = subjects.map((subject) => engine.subject(subject).version);
  added.push(milliseconds(() => engine.upsertIdentity(fresh)));
  toDelta.push(
    milliseconds(() => {
      for (const [k, subject] of subjects.entries()) engine.delta(subject, versions[k] ?? 0);
    }),
  );
  toMap.push(
    milliseconds(() => {
      for (const [k, subject] of subjects.entries())
        if (engine.subject(subject).version !== versions[k]) engine.resolve(subject);
    }),
  );
}
print({ ...line, case: `one identity added, rows of ${ENDPOINTS} endpoints`, unit: "ms", skep: median(added) });
print({ ...line, case: "and the difference of their policies", unit: "ms", skep: median(toDelta) });
print({ ...line, case: "or their whole policies", unit: "ms", skep: median(toMap) });
const edited = parseDocuments("policies.yaml", policy(1)).documents;
print({
  ...line,
  case: `one policy edited, ${ENDPOINTS} endpoints resolved`,
  unit: "ms",
  skep: milliseconds(() => {
    engine.update(edited);
    for (const subject of subjects) engine.resolve(subject);
  }),
});

const suiteText = `apiVersion: skep.io/v1
kind: PolicyTest
name: bench
workloads:
${Array.from({ length: 20 }, (_, i) => `  - { name: w${i}, namespace: ns-${i}, labels: { app: app-${i % 5}, tier: front, team: team-${i} } }`).join("\n")}
tests:
${Array.from({ length: 100 }, (_, i) => `  - { from: ns-${i % 20}/w${i % 20}, to: ns-${(i * 7) % 20}/w${(i * 7) % 20}, port: ${1024 + i}/TCP, verdict: denied }`).join("\n")}
`;
const { suites } = parseSuites("bench.yaml", suiteText);
print({
  ...line,
  case: `100 tests of ${POLICIES} policies, read and run`,
  unit: "ms",
  skep: milliseconds(() => {
    const parsed = parseDocuments("policies.yaml", text);
    for (const suite of suites) runSuite(suite, parsed);
  }),
});
print({
  ...line,
  case: "100 tests of 10 policies, read and run",
  unit: "ms",
  skep: milliseconds(() => {
    const parsed = parseDocuments("policies.yaml", text.split("---").slice(0, 10).join("---"));
    for (const suite of suites) runSuite(suite, parsed);
  }),
});
