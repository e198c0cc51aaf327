import { afterAll, describe, expect, test } from "vitest";
import { kernelTypes } from "@skep/linux";
import { verifyLoaded } from "../src/index.ts";
import { cases } from "./cases.ts";
import { Generator, fuzzLoaded, fuzzMaps } from "./generate.ts";
import { KernelVerifier } from "./kernel.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: asking the kernel's verifier needs root and BPF");

describe.skipIf(!privileged)("the kernel agrees", () => {
  const kernel = privileged ? new KernelVerifier(fuzzMaps) : null;
  afterAll(() => kernel?.close());

  test.each(cases.map((each) => [each.rule, each.name, each] as const))(
    "%s: %s",
    (_rule, _name, { refused, accepted }) => {
      expect(kernel?.verdict(refused)).toBeGreaterThan(0);
      if (accepted !== null) expect(kernel?.verdict(accepted)).toBe(0);
    },
  );

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
