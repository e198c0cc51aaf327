import { describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import { rules, verifierCodes, verifyLoaded } from "../src/index.ts";
import type { LoadedProgram } from "../src/index.ts";
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

describe("older kernels", () => {
  const named = (name: string) => {
    const found = cases.find((each) => each.name === name)?.accepted;
    if (found === undefined || found === null) throw new Error(`no program ${name}`);
    return fuzzLoaded(found);
  };
  const verdict = (loaded: LoadedProgram, kernel: string) => {
    const { refusal } = verifyLoaded(loaded, { kernel });
    return refusal === null ? "accepted" : `${refusal.rule}: ${refusal.reason}`;
  };
  const text = (type: string, lines: string, map?: string): LoadedProgram => {
    const { instructions, diagnostics, references } = assemble(lines, { notation: "kernel" });
    expect(diagnostics).toEqual([]);
    const maps = new Map(references.map(({ at }) => [at, { map: map ?? "", offset: null }] as const));
    return fuzzLoaded({ type, attachType: undefined, instructions, maps });
  };

  test("lack helpers and map types", () => {
    const record = named("a record that is kept");
    expect([verdict(record, "5.10"), verdict(record, "5.8")]).toEqual(["accepted", expect.stringMatching(/^too-new/)]);
    expect(verdict(record, "5.4")).toBe("too-new: map ring of type ringbuf needs kernel 5.8; this is 5.4");
  });

  test.each([
    ["sk_lookup", "5.8", "5.9"],
    ["cgroup_sockopt", "5.2", "5.3"],
    ["xdp", "4.7", "4.8"],
    ["netfilter", "6.3", "6.4"],
  ])("programs of type %s: not %s, but %s", (type, before, since) => {
    const attachType = { sk_lookup: "sk_lookup", cgroup_sockopt: "cgroup_setsockopt", netfilter: "netfilter" }[type];
    const { instructions } = assemble("r0 = 1\nexit", { notation: "kernel" });
    const loaded = fuzzLoaded({ type, attachType, instructions, maps: new Map() });
    const wanted = `too-new: a program of type ${type} needs kernel ${since}; this is ${before}`;
    expect([verdict(loaded, before), verdict(loaded, since)]).toEqual([wanted, "accepted"]);
  });

  test.each([
    ["5.2", "5.3", "r6 = 0\nr6 += 1\nif r6 < 10 goto -2\nr0 = 0\nexit", "a loop"],
    ["5.0", "5.1", "r0 = 0\nif w0 < 10 goto +0\nexit", "a 32-bit comparison"],
    [
      "5.11",
      "5.12",
      "*(u64 *)(r10 - 8) = 0\nr1 = 1\nlock *(u64 *)(r10 - 8) |= r1\nr0 = 0\nexit",
      "an atomic operation other than addition",
    ],
    ["6.5", "6.6", "r0 = 1\nr0 = (s8)r0\nexit", "a move with sign"],
  ])("instructions: not %s, but %s", (before, since, lines, what) => {
    const loaded = text("sched_cls", lines);
    expect([verdict(loaded, before), verdict(loaded, since)]).toEqual([
      `too-new: ${what} needs kernel ${since}; this is ${before}`,
      "accepted",
    ]);
  });

  test("took 4,096 instructions before 5.2", () => {
    const long = text("sched_cls", `${"r0 = 0\n".repeat(4096)}exit`);
    expect(verdict(long, "5.1")).toBe("too-many: 4097 instructions: kernel 5.1 takes 4096");
    expect(verdict(long, "5.2")).toBe("accepted");
  });
});
