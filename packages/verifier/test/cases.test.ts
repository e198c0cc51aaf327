import { describe, expect, test } from "vitest";
import { rules, verifierCodes, verifyLoaded } from "../src/index.ts";
import { verifyWithout } from "../src/verify.ts";
import { cases } from "./cases.ts";
import { deductions } from "./deductions.ts";
import { fuzzLoaded } from "./generate.ts";

describe("each rule", () => {
  test.each(cases.map((each) => [each.rule, each.name, each] as const))(
    "%s: %s",
    (rule, _name, { refused, accepted }) => {
      const { refusal } = verifyLoaded(fuzzLoaded(refused));
      expect(refusal?.rule).toBe(rule);
      expect(refusal?.code).toBe(rules[rule][0]);
      expect(refusal?.mend).not.toBe("");
      if (accepted !== null) expect(verifyLoaded(fuzzLoaded(accepted)).refusal).toBeNull();
    },
  );

  test("taken out, is told by its program, or another stands behind it", () => {
    const untold = new Map<string, string>();
    for (const { rule, refused } of cases) {
      const { refusal } = verifyWithout([rule], fuzzLoaded(refused), { budget: 1000 });
      expect(refusal?.rule).not.toBe(rule);
      if (refusal !== null) untold.set(rule, refusal.rule);
    }
    for (const { rule, refused } of cases)
      if (verifyWithout([rule], fuzzLoaded(refused), { budget: 1000 }).refusal === null) untold.delete(rule);
    // What stands behind them; the report has programs that tell the first four.
    expect(Object.fromEntries(untold)).toEqual({
      uninitialised: "void-return",
      "jump-target": "unreachable",
      atomic: "context-access",
      "argument-constant": "reference-leak",
      "stack-variable": "stack-bounds",
      "negative-offset": "value-bounds",
      "unbounded-offset": "value-bounds",
      "infinite-loop": "too-complex",
    });
  });

  test("has a code of its own", () => {
    expect(Object.keys(verifierCodes)).toHaveLength(Object.keys(rules).length);
  });
});

describe("deductions", () => {
  test.each(deductions.map((each) => [each.name, each] as const))("%s", (_name, { accepted, refused }) => {
    expect(verifyLoaded(fuzzLoaded(accepted)).refusal).toBeNull();
    expect(verifyLoaded(fuzzLoaded(refused)).refusal).not.toBeNull();
  });
});

describe("a refusal", () => {
  const find = (name: string) => {
    const found = cases.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no case ${name}`);
    return verifyLoaded(fuzzLoaded(found.refused)).refusal;
  };

  test("names the place, the registers and values that break the rule", () => {
    const refusal = find("an index too large");
    expect(refusal).toMatchObject({
      code: "VER3006",
      instruction: 5,
      slot: 6,
      counterexample: "a variable offset of 64 in r1",
    });
    expect(refusal?.registers).toContainEqual({ register: 7, value: "number, unsigned 0 to 127" });
  });

  test("tells the path that leads there", () => {
    const refusal = find("byte 14 of 14");
    expect(refusal?.path.map((step) => [step.instruction, step.what])).toEqual([
      [0, "start"],
      [4, "not-taken"],
      [5, "end"],
    ]);
    expect(refusal?.reason).toBe("bytes 14 to 15 of the packet are read or written, 14 are known to be there");
  });
});

test("older kernels lack instructions and helpers", () => {
  const loop = cases.find((each) => each.name === "a record that is kept");
  if (loop?.accepted === undefined || loop.accepted === null) throw new Error("no program");
  expect(verifyLoaded(fuzzLoaded(loop.accepted), { kernel: "5.10" }).refusal).toBeNull();
  expect(verifyLoaded(fuzzLoaded(loop.accepted), { kernel: "5.4" }).refusal?.rule).toBe("too-new");
});
