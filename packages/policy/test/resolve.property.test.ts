import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lookupEntry, PolicyEngine, type EngineOptions, type PolicyMapEntry, type Rule } from "../src/index.ts";
import { documentOf, packet, rule, subjects, world, type RuleShape } from "./arbitrary.ts";
import { describeIdentity, naiveVerdict, type NaiveOptions, type NaivePacket } from "./naive.ts";

const RUNS = 800;
// Fixed, so that a run can be told from the next only by what changed in the code.
const SEED = 20261121;

function engineOf(rules: readonly Rule[], options: NaiveOptions): PolicyEngine {
  const proxyPorts: EngineOptions["proxyPorts"] = () => (options.served ? 10_000 : 0);
  const { allowLocalhost, enforcement } = options;
  const engine = new PolicyEngine({ allowLocalhost, enforcement, proxyPorts: proxyPorts ?? (() => 0) });
  for (const identity of world) engine.upsertIdentity(identity);
  engine.update([documentOf(rules)]);
  return engine;
}

function verdictOf(entry: PolicyMapEntry | null): string {
  if (!entry || entry.deny) return "deny";
  return entry.proxyPort > 0 ? "proxy" : "allow";
}

/** The verdict of the entries, with what is needed to understand a difference. */
function check(
  engine: PolicyEngine,
  rules: readonly Rule[],
  { packet, options }: { packet: NaivePacket; options: NaiveOptions },
): void {
  const { direction, subject, peer, protocol, port } = packet;
  const policy = engine.resolve({ id: 1, identity: subject });
  const found = lookupEntry(policy, { direction, identity: peer.id, protocol, port });
  const wanted = naiveVerdict(rules, packet, options);
  const say = (): string =>
    [`${describeIdentity(subject)} ${direction} ${describeIdentity(peer)} ${protocol} ${port}`, JSON.stringify(found)]
      .concat(policy.entries.filter((e) => e.direction === direction).map((e) => JSON.stringify(e)))
      .join("\n");
  if (verdictOf(found) !== wanted) expect(verdictOf(found), say()).toBe(wanted);
}

const options: fc.Arbitrary<NaiveOptions> = fc.record({
  allowLocalhost: fc.boolean(),
  enforcement: fc.constantFrom("default" as const, "default" as const, "always" as const, "never" as const),
  served: fc.boolean(),
});

const shapes: readonly (RuleShape & { readonly name: string })[] = [
  { name: "allow and deny", tiers: false, l7: false },
  { name: "allow and deny with L7, TLS and authentication", tiers: false, l7: true },
  { name: "tiers, priorities and pass", tiers: true, l7: false },
  { name: "all of it", tiers: true, l7: true },
];

describe("entries give the verdict of the rules", () => {
  for (const shape of shapes)
    it(shape.name, () => {
      const run = fc.property(
        fc.array(rule(shape), { maxLength: 7 }),
        fc.array(packet, { minLength: 40, maxLength: 40 }),
        options,
        (rules, packets, options) => {
          const engine = engineOf(rules, options);
          for (const { key, ...rest } of packets) {
            const destination = rest.direction === "ingress" ? rest.subject : rest.peer;
            const namedPorts = destination.namedPorts ?? [];
            check(engine, rules, { packet: { ...rest, protocol: key[0], port: key[1], namedPorts }, options });
          }
        },
      );
      fc.assert(run, { numRuns: RUNS, seed: SEED });
    });
});

describe("updates", () => {
  it("identities that come and go leave what a fresh engine resolves", () => {
    const step = fc.record({ identity: fc.constantFrom(...world), present: fc.boolean() });
    const run = fc.property(
      fc.array(rule({ tiers: true, l7: true }), { maxLength: 6 }),
      fc.array(step, { maxLength: 12 }),
      (rules, steps) => {
        const engine = engineOf(rules, { allowLocalhost: true, enforcement: "default", served: false });
        for (const subject of subjects) engine.resolve({ id: 1, identity: subject });
        const present = new Set(world);
        for (const { identity, present: isThere } of steps) {
          if (isThere) {
            engine.upsertIdentity(identity);
            present.add(identity);
          } else {
            engine.removeIdentity(identity.id);
            present.delete(identity);
          }
        }
        const fresh = new PolicyEngine();
        for (const identity of present) fresh.upsertIdentity(identity);
        fresh.update([documentOf(rules)]);
        for (const subject of subjects) expect(entriesOf(engine, subject.id)).toEqual(entriesOf(fresh, subject.id));
      },
    );
    fc.assert(run, { numRuns: 200, seed: SEED });
  });

  it("documents that come and go leave what a fresh engine resolves", () => {
    const sets = fc.array(fc.array(rule({ tiers: true, l7: false }), { maxLength: 4 }), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(sets, (versions) => {
        const engine = engineOf([], { allowLocalhost: true, enforcement: "default", served: false });
        for (const rules of versions) {
          engine.update([documentOf(rules)]);
          for (const subject of subjects) engine.resolve({ id: 1, identity: subject });
        }
        const last = versions.at(-1) ?? [];
        const fresh = engineOf(last, { allowLocalhost: true, enforcement: "default", served: false });
        for (const subject of subjects) expect(entriesOf(engine, subject.id)).toEqual(entriesOf(fresh, subject.id));
      }),
      { numRuns: 200, seed: SEED },
    );
  });
});

/** Entries with the names of the rules in place of their numbers, which depend on history. */
function entriesOf(engine: PolicyEngine, id: number): unknown[] {
  const identity = world.find((known) => known.id === id);
  if (!identity) throw new Error(`no identity ${id}`);
  return engine
    .resolve({ id: 1, identity })
    .entries.map(({ cookie, ...entry }) => ({
      ...entry,
      rules: engine.repository
        .rulesOf(cookie)
        .map(({ name }) => name)
        .sort(),
    }))
    .map((entry) => JSON.stringify(entry))
    .sort();
}
