// The kernel is asked as a user with CAP_BPF who lacks CAP_PERFMON: addresses, guesses and unwritten stack are guarded then. A user with neither may
// load nothing where /proc/sys/kernel/unprivileged_bpf_disabled is not 0.
import { afterAll, describe, expect, test } from "vitest";
import { Scratch, effectiveCapabilities, keepUntilHere, syscall } from "../../linux/src/sys/index.ts";
import { verifyLoaded } from "../src/index.ts";
import { Generator, fuzzLoaded, fuzzMaps } from "./generate.ts";
import type { FuzzProgram } from "./generate.ts";
import { KernelVerifier } from "./kernel.ts";
import { privilegeCases } from "./privilege-cases.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: asking the kernel's verifier without CAP_PERFMON needs root and BPF");

// include/uapi/linux/capability.h
const VERSION_3 = 0x20080522;
const capability = { netAdmin: 1n << 12n, bpf: 1n << 39n };

/** Puts capabilities of this thread, which it keeps the right to, in force. */
function putInForce(bits: bigint): void {
  const header = new Scratch(8);
  const sets = new Scratch(24);
  header.view.setUint32(0, VERSION_3, true);
  syscall("capget", header.address, sets.address);
  sets.view.setUint32(0, Number(bits & 0xffff_ffffn), true);
  sets.view.setUint32(12, Number(bits >> 32n), true);
  syscall("capset", header.address, sets.address);
  keepUntilHere([header, sets]);
}

function withoutPerfmon<T>(use: () => T): T {
  const before = effectiveCapabilities();
  putInForce(capability.bpf | capability.netAdmin);
  try {
    return use();
  } finally {
    putInForce(before);
  }
}

describe.skipIf(!privileged)("the kernel agrees without CAP_PERFMON", () => {
  const kernel = privileged ? new KernelVerifier(fuzzMaps) : null;
  afterAll(() => kernel?.close());
  const verdict = (program: FuzzProgram): number => {
    // Maps are made by one who may.
    kernel?.verdict(program);
    return withoutPerfmon(() => kernel?.verdict(program) ?? -1);
  };

  test.each(privilegeCases.map((each) => [each.rule, each.name, each] as const))(
    "%s: %s",
    (_rule, _name, { refused, accepted, alsoWithBpf }) => {
      expect(kernel?.verdict(refused)).toBe(0);
      expect(verdict(refused) > 0).toBe(alsoWithBpf);
      expect(verdict(accepted)).toBe(0);
    },
  );

  test("on generated programs without loops and functions", () => {
    const generator = new Generator(20_262);
    const counts = { asked: 0, accepted: 0, guarded: 0, onlyWe: 0, onlyKernel: 0 };
    const others: string[] = [];
    for (let i = 0; i < 900; i++) {
      const program = generator.next();
      const shape = verifyLoaded(fuzzLoaded({ ...program, type: "socket_filter", attachType: undefined }), {
        privilege: "none",
      });
      if (shape.refusal?.rule === "privilege") continue;
      counts.asked++;
      const theirs = verdict(program) === 0;
      const { refusal } = verifyLoaded(fuzzLoaded(program), { privilege: "bpf" });
      if (theirs) counts.accepted++;
      if (refusal?.code.startsWith("VER8") === true && !theirs) counts.guarded++;
      if (theirs && refusal !== null) counts.onlyKernel++;
      if (theirs || refusal !== null) continue;
      counts.onlyWe++;
      others.push(
        withoutPerfmon(() => kernel?.reason(program) ?? "")
          .split("\n")
          .slice(-3)
          .join(" "),
      );
    }
    console.log(`without CAP_PERFMON: ${JSON.stringify(counts)}`);
    expect(others).toEqual([]);
    expect(counts.onlyKernel).toBeLessThanOrEqual(counts.accepted * 0.02);
    expect(counts.accepted).toBeGreaterThan(100);
    expect(counts.guarded).toBeGreaterThan(50);
  });
});
