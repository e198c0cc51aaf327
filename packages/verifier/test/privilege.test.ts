import { describe, expect, test } from "vitest";
import { assemble } from "@skep/isa";
import { privilegeRules, verifyLoaded } from "../src/index.ts";
import { verifyWithout } from "../src/verify.ts";
import { fuzzLoaded } from "./generate.ts";
import { privilegeCases } from "./privilege-cases.ts";

describe("without privilege", () => {
  test.each(privilegeCases.map((each) => [each.rule, each.name, each] as const))(
    "%s: %s",
    (rule, _name, { refused, accepted, alsoWithBpf }) => {
      const { refusal } = verifyLoaded(fuzzLoaded(refused), { privilege: "none" });
      expect(refusal?.rule).toBe(rule);
      expect(verifyLoaded(fuzzLoaded(accepted), { privilege: "none" }).refusal).toBeNull();
      const withBpf = verifyLoaded(fuzzLoaded(refused), { privilege: "bpf" }).refusal;
      expect(withBpf?.rule ?? null).toBe(alsoWithBpf ? rule : null);
      expect(verifyLoaded(fuzzLoaded(refused)).refusal).toBeNull();
    },
  );

  test("every rule has its programs, and is told when it is taken out", () => {
    const told = privilegeRules.filter((rule) =>
      privilegeCases.some(
        (each) =>
          each.rule === rule && verifyWithout([rule], fuzzLoaded(each.refused), { privilege: "none" }).refusal === null,
      ),
    );
    expect(told).toEqual(privilegeRules);
  });

  const filter = (lines: string, type = "socket_filter", attachType?: string) => {
    const { instructions, diagnostics } = assemble(`${lines}\nexit`, { notation: "kernel" });
    expect(diagnostics).toEqual([]);
    return fuzzLoaded({ type, attachType, instructions, maps: new Map() });
  };
  const asked = (loaded: ReturnType<typeof filter>) => verifyLoaded(loaded, { privilege: "none" }).refusal;

  test("helpers are fewer, and so are fields of the context", () => {
    expect(asked(filter("call 5\nr0 = 0"))).toBeNull();
    expect(asked(filter("call 118\nr0 = 0"))?.rule).toBe("unknown-helper");
    const packet = filter("r0 = *(u32 *)(r1 + 76)\nr0 = 1", "cgroup_skb", "cgroup_inet_egress");
    expect(asked(packet)?.rule).toBe("context-access");
    expect(verifyLoaded(packet).refusal).toBeNull();
  });

  test("numbers on the stack are forgotten, zero is not", () => {
    const index = (value: number) =>
      filter(`r1 = ${value}\n*(u64 *)(r10 - 8) = r1\nr1 = *(u64 *)(r10 - 8)\nr2 = r10\nr2 += -8\nr2 += r1\nr0 = 0`);
    expect(asked(index(4))?.rule).toBe("pointer-bounds");
    expect(verifyLoaded(index(4), { privilege: "bpf" }).refusal).toBeNull();
    expect(
      asked(filter("r1 = 0\n*(u64 *)(r10 - 8) = r1\nr1 = *(u64 *)(r10 - 8)\nr2 = r10\nr2 += -8\nr2 += r1\nr0 = 0")),
    ).toBeNull();
  });

  test("kernels before 6.17 refuse what is unsafe only where the CPU guesses wrongly", () => {
    const dead = filter("r1 = 0\nif r1 == 0 goto +1\nr0 = *(u64 *)(r1 + 0)\nr0 = 0");
    expect(verifyLoaded(dead, { privilege: "none", kernel: "6.12" }).refusal?.rule).toBe("not-a-pointer");
    expect(asked(dead)).toBeNull();
  });
});
