import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lookupEntry, PolicyEngine, type PolicyMapEntry, type Rule } from "../src/index.ts";
import { documentOf, rule, subjects, world } from "./arbitrary.ts";

const key = (entry: PolicyMapEntry): string =>
  [entry.direction, entry.identity, entry.protocol, entry.port, entry.portPrefix].join(" ");

function engineOf(rules: readonly Rule[], without: ReadonlySet<number>): PolicyEngine {
  const engine = new PolicyEngine();
  for (const identity of world) if (!without.has(identity.id)) engine.upsertIdentity(identity);
  engine.update([documentOf(rules)]);
  return engine;
}

const rules = fc.array(rule({ tiers: true, l7: true }), { minLength: 1, maxLength: 6 });
const changes = fc.array(fc.record({ identity: fc.constantFrom(...world), present: fc.boolean() }), {
  minLength: 1,
  maxLength: 8,
});
const options = { numRuns: 400, seed: 20261121 };

describe("the difference of a policy", () => {
  it("brings the old entries to the new ones", () => {
    let deltas = 0;
    const run = fc.property(rules, changes, (made, steps) => {
      const engine = engineOf(made, new Set());
      const subject = { id: 1, identity: subjects[0] ?? world[0]! };
      const { version } = engine.subject(subject);
      const map = new Map(engine.resolve(subject).entries.map((entry) => [key(entry), entry]));
      for (const { identity, present } of steps) {
        if (identity.id === subject.identity.id) continue;
        if (present) engine.upsertIdentity(identity);
        else engine.removeIdentity(identity.id);
      }
      const delta = engine.delta(subject, version);
      if (!delta) return;
      deltas++;
      for (const entry of delta.put) map.set(key(entry), entry);
      for (const entry of delta.take) expect(map.delete(key(entry))).toBe(true);
      const wanted = engine.resolve(subject).entries;
      expect([...map.values()].map((entry) => JSON.stringify(entry)).sort()).toEqual(
        wanted.map((entry) => JSON.stringify(entry)).sort(),
      );
      expect(delta.version).toBe(engine.subject(subject).version);
    });
    fc.assert(run, options);
    expect(deltas).toBeGreaterThan(100);
  });

  it("allows at no moment what neither the old nor the new policy allows", () => {
    const packet = fc.record({
      direction: fc.constantFrom("ingress" as const, "egress" as const),
      protocol: fc.constantFrom(6, 17),
      port: fc.constantFrom(1, 53, 80, 81, 1024, 8080),
    });
    const run = fc.property(
      rules,
      fc.constantFrom(...world),
      fc.boolean(),
      fc.array(packet, { minLength: 8, maxLength: 8 }),
      (made, changed, comes, packets) => {
        const engine = engineOf(made, new Set(comes ? [changed.id] : []));
        const subject = { id: 1, identity: subjects.find(({ id }) => id !== changed.id) ?? world[0]! };
        const { version } = engine.subject(subject);
        const old = engine.resolve(subject).entries;
        if (comes) engine.upsertIdentity(changed);
        else engine.removeIdentity(changed.id);
        const delta = engine.delta(subject, version);
        if (!delta) return;
        const allows = (entries: readonly PolicyMapEntry[], at: (typeof packets)[number]): boolean => {
          const entry = lookupEntry({ entries }, { ...at, identity: changed.id });
          return entry !== null && !entry.deny;
        };
        const fresh = engine.resolve(subject).entries;
        const map = new Map(old.map((entry) => [key(entry), entry]));
        const steps = [
          ...delta.put.map((entry) => () => map.set(key(entry), entry)),
          ...delta.take.map((entry) => () => map.delete(key(entry))),
        ];
        for (const step of steps) {
          step();
          for (const at of packets)
            if (allows([...map.values()], at))
              expect(allows(old, at) || allows(fresh, at), JSON.stringify(at)).toBe(true);
        }
      },
    );
    fc.assert(run, options);
  });

  it("is none where the rules changed", () => {
    const engine = engineOf([], new Set());
    const subject = { id: 1, identity: subjects[0] ?? world[0]! };
    const { version } = engine.subject(subject);
    const [made] = fc.sample(
      rules.filter((list) => list.some(({ subject }) => subject.requirements.length === 0)),
      { numRuns: 1, seed: 3 },
    );
    engine.update([documentOf(made ?? [])]);
    expect(engine.delta(subject, version)).toBeNull();
  });
});
