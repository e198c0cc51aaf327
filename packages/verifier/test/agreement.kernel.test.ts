import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { kernelTypes } from "@skep/linux";
import { readObject } from "@skep/object";
import { verifyLoaded } from "../src/index.ts";
import type { Rule } from "../src/index.ts";
import { verifyWithout } from "../src/verify.ts";
import { cases } from "./cases.ts";
import { deductions } from "./deductions.ts";
import { Generator, fuzzLoaded, fuzzMaps } from "./generate.ts";
import { KernelVerifier } from "./kernel.ts";
import { Random } from "./random.ts";
import { TypedObject } from "./typed.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: asking the kernel's verifier needs root and BPF");

describe.skipIf(!privileged)("the kernel agrees", () => {
  const kernel = privileged ? new KernelVerifier(fuzzMaps) : null;
  const objects: TypedObject[] = [];
  afterAll(() => {
    kernel?.close();
    for (const each of objects) each.close();
  });
  const typed = (name: string): TypedObject => {
    const spec = readObject(readFileSync(new URL(`../testdata/${name}.o`, import.meta.url)));
    const object = new TypedObject(name, spec);
    objects.push(object);
    object.open();
    return object;
  };

  test.each(cases.map((each) => [each.rule, each.name, each] as const))(
    "%s: %s",
    (_rule, _name, { refused, accepted }) => {
      expect(kernel?.verdict(refused)).toBeGreaterThan(0);
      if (accepted !== null) expect(kernel?.verdict(accepted)).toBe(0);
    },
  );

  test.each(deductions.map((each) => [each.name, each] as const))("%s", (_name, { accepted, refused }) => {
    expect([kernel?.verdict(accepted), (kernel?.verdict(refused) ?? 0) > 0]).toEqual([0, true]);
  });

  test.each([
    ["seeds", []],
    ["arena", []],
    [
      "refused",
      [
        "takes_anything: unused-function",
        "takes_unknown: unused-function",
        "takes_pair: unused-function",
        "not_trusted: untrusted",
        "written: read-only",
        "behind: kernel-object",
        "timer_read: special-field",
        "pages_not_cast: not-a-pointer",
        "context_as_memory: argument-type",
        "function_is_there: not-a-pointer",
        "object_as_value: argument-type",
        "object_as_memory: argument-type",
        "one_callback_for_two: value-bounds",
        "next_of_nothing: iterator",
        "destroyed_twice: iterator",
        "made_twice: iterator",
      ],
    ],
  ] as const)("on the programs of %s as they are written", (name, expected) => {
    const { seeds } = typed(name);
    const refused = (list: readonly (typeof seeds)[number][]) => list.map((each) => each.program.name).sort();
    const ours = seeds.flatMap((seed) => {
      const { refusal } = verifyLoaded(seed.loaded(seed.original), { kernelTypes: kernelTypes() });
      return refusal === null ? [] : [`${seed.program.name}: ${refusal.rule}`];
    });
    expect(ours.sort()).toEqual([...expected].sort());
    const theirs = seeds.filter((seed) => seed.verdict(seed.original) !== 0);
    expect(refused(theirs)).toEqual([...expected].map((each) => each.split(":")[0]).sort());
  });

  test("on 600 programs that are mutated with their types, and a verifier without a rule is told", () => {
    const seeds = ["seeds", "arena", "refused"].flatMap((name) => typed(name).seeds);
    const random = new Random(20_262);
    const counts = { accepted: 0, onlyWe: 0, onlyKernel: 0 };
    const told = new Set<Rule>();
    const types = kernelTypes();
    for (let i = 0; i < 600; i++) {
      const seed = random.pick(seeds);
      // Those that are written to be refused, as they are.
      const program = i < seeds.length ? (seeds[i] ?? seed).original : seed.mutant(random);
      const theirs = program.seed.verdict(program) === 0;
      const loaded = program.seed.loaded(program);
      const { refusal } = verifyLoaded(loaded, { kernelTypes: types });
      if (theirs) counts.accepted++;
      if (refusal === null && !theirs) counts.onlyWe++;
      if (refusal !== null && theirs) counts.onlyKernel++;
      if (refusal === null || theirs || told.has(refusal.rule)) continue;
      const without = verifyWithout([refusal.rule], loaded, { kernelTypes: types, budget: 10_000 });
      if (without.refusal === null) told.add(refusal.rule);
    }
    expect(counts.onlyWe).toBe(0);
    expect(counts.onlyKernel).toBeLessThanOrEqual(counts.accepted * 0.02);
    for (const rule of ["unused-function", "untrusted", "kernel-object", "section-open", "lock-held"] as const)
      expect([...told]).toContain(rule);
  });

  test("on 800 generated programs", () => {
    if (kernel === null) throw new Error("no kernel");
    const generator = new Generator(20_261);
    const types = kernelTypes();
    const counts = { accepted: 0, onlyWe: 0, onlyKernel: 0 };
    for (let i = 0; i < 800; i++) {
      const program = generator.next();
      const theirs = kernel.verdict(program) === 0;
      const ours = verifyLoaded(fuzzLoaded(program), { kernelTypes: types }).refusal === null;
      if (theirs) counts.accepted++;
      if (ours && !theirs) counts.onlyWe++;
      if (theirs && !ours) counts.onlyKernel++;
    }
    expect(counts.onlyWe).toBe(0);
    expect(counts.onlyKernel).toBeLessThanOrEqual(counts.accepted * 0.02);
    expect(counts.accepted).toBeGreaterThan(240);
  });
});
