/**
 * @module
 * Programs that users without privilege may load, and beside them what breaks each rule for them. Root may load all.
 */
import { assemble } from "@skep/isa";
import type { FuzzProgram } from "./generate.ts";

export interface PrivilegeCase {
  readonly name: string;
  readonly rule: "privilege" | "address-leak" | "speculation" | "unwritten-stack";
  /** What is asked of a user with CAP_BPF too, who lacks CAP_PERFMON. */
  readonly alsoWithBpf: boolean;
  readonly refused: FuzzProgram;
  readonly accepted: FuzzProgram;
}

/** Lines of the kernel's notation; maps by the names of `fuzzMaps`. */
function program(lines: string, type = "socket_filter"): FuzzProgram {
  const { instructions, diagnostics, references } = assemble(`${lines}\nexit`, { notation: "kernel" });
  if (diagnostics.length > 0) throw new Error(diagnostics.map((each) => each.message).join("\n"));
  const maps = new Map(
    references.flatMap((each) => (each.kind === "map" ? [[each.at, { map: each.map, offset: null }]] : [])),
  );
  return { type, attachType: type === "cgroup_skb" ? "cgroup_inet_egress" : undefined, instructions, maps };
}

const lookup = `r1 = 0
*(u64 *)(r10 - 8) = r1
r2 = r10
r2 += -8
r1 = map[name:array]
call 1
if r0 != 0 goto +2
r0 = 0
exit`;

const update = `r1 = 0
${[8, 16, 24, 32, 40].map((at) => `*(u64 *)(r10 - ${at}) = r1`).join("\n")}
r2 = r10
r2 += -8
r3 = r10
r3 += -40
r1 = map[name:hash]`;

function both(
  rule: PrivilegeCase["rule"],
  name: string,
  pair: { readonly refused: string; readonly accepted: string; readonly alsoWithBpf?: boolean },
): PrivilegeCase {
  const alsoWithBpf = pair.alsoWithBpf ?? rule !== "privilege";
  return { rule, name, alsoWithBpf, refused: program(pair.refused), accepted: program(pair.accepted) };
}

export const privilegeCases: readonly PrivilegeCase[] = [
  { ...both("privilege", "a type", { refused: "r0 = 0", accepted: "r0 = 0" }), refused: program("r0 = 0", "xdp") },
  both("privilege", "a loop", {
    refused: "r1 = 0\nr1 += 1\nif r1 < 4 goto -2\nr0 = 0",
    accepted: "r1 = 0\nr1 += 1\nif r1 < 4 goto +0\nr0 = 0",
    alsoWithBpf: true,
  }),
  both("privilege", "a function of its own", {
    refused: "call pc+1\nexit\nr0 = 0",
    accepted: "r0 = 0",
  }),
  both("privilege", "4,097 instructions", {
    refused: `${"r0 = 0\n".repeat(4096)}`,
    accepted: `${"r0 = 0\n".repeat(4095)}`,
  }),
  both("address-leak", "returned", { refused: "r0 = r1", accepted: "r0 = *(u32 *)(r1 + 0)" }),
  both("address-leak", "into a map's value", {
    refused: `${lookup}\n*(u64 *)(r0 + 0) = r10\nr0 = 0`,
    accepted: `${lookup}\nr1 = 7\n*(u64 *)(r0 + 0) = r1\nr0 = 0`,
  }),
  both("address-leak", "into the context", {
    refused: "*(u32 *)(r1 + 48) = r10\nr0 = 0",
    accepted: "r2 = 7\n*(u32 *)(r1 + 48) = r2\nr0 = 0",
  }),
  both("address-leak", "given to a helper as a number", {
    refused: `${update}\nr4 = r10\ncall 2\nr0 = 0`,
    accepted: `${update}\nr4 = 0\ncall 2\nr0 = 0`,
  }),
  both("address-leak", "compared with a number", {
    refused: "r0 = 0\nif r1 == 7 goto +0",
    accepted: "r0 = 0\nif r0 == 7 goto +0",
  }),
  both("address-leak", "compared with another", {
    refused: "r0 = 0\nif r1 == r10 goto +0",
    accepted: "r0 = 0\nr1 = 3\nif r1 == r0 goto +0",
  }),
  both("address-leak", "subtracted from another", {
    refused: "r2 = r10\nr2 -= r1\nr0 = 0",
    accepted: "r2 = r10\nr2 += -8\nr0 = 0",
  }),
  both("address-leak", "negated", { refused: "r2 = r10\nr2 = -r2\nr0 = 0", accepted: "r2 = 1\nr2 = -r2\nr0 = 0" }),
  both("address-leak", "turned round", {
    refused: "r2 = r10\nr2 = be64 r2\nr0 = 0",
    accepted: "r2 = 1\nr2 = be64 r2\nr0 = 0",
  }),
  both("address-leak", "its low half", { refused: "w0 = w1", accepted: "r1 = 5\nw0 = w1" }),
  both("address-leak", "its low half subtracted", {
    refused: "r2 = r10\nw2 -= 1\nr0 = 0",
    accepted: "r2 = 4\nw2 -= 1\nr0 = 0",
  }),
  both("address-leak", "a spilled one in part overwritten", {
    refused: "*(u64 *)(r10 - 8) = r1\nr0 = 0\n*(u32 *)(r10 - 8) = r0\nr0 = 0",
    accepted: "*(u64 *)(r10 - 8) = r1\nr0 = 0\n*(u64 *)(r10 - 8) = r0\nr0 = 0",
  }),
  both("address-leak", "a spilled one as a key", {
    refused: "*(u64 *)(r10 - 8) = r1\nr2 = r10\nr2 += -8\nr1 = map[name:array]\ncall 1\nr0 = 0",
    accepted: "r1 = 0\n*(u64 *)(r10 - 8) = r1\nr2 = r10\nr2 += -8\nr1 = map[name:array]\ncall 1\nr0 = 0",
  }),
  both("address-leak", "added by an atomic operation", {
    refused: "r0 = 0\n*(u64 *)(r10 - 8) = r0\nlock *(u64 *)(r10 - 8) += r1\nr0 = 0",
    accepted: "r0 = 0\n*(u64 *)(r10 - 8) = r0\nlock *(u64 *)(r10 - 8) += r0\nr0 = 0",
  }),
  both("speculation", "the stack by a variable number", {
    refused: "r2 = *(u32 *)(r1 + 0)\nr2 &= 7\nr3 = r10\nr3 += -16\nr3 += r2\nr0 = 0",
    accepted: "r2 = 7\nr3 = r10\nr3 += -16\nr3 += r2\nr0 = 0",
  }),
  both("speculation", "out of the stack, unused", {
    refused: "r3 = r10\nr3 += 8\nr0 = 0",
    accepted: "r3 = r10\nr3 += -8\nr0 = 0",
  }),
  both("speculation", "out of a map's value, unused", {
    refused: `${lookup}\nr0 += 4096\nr0 = 0`,
    accepted: `${lookup}\nr0 += 8\nr0 = 0`,
  }),
  both("speculation", "by a number of either sign", {
    refused: `r6 = *(u32 *)(r1 + 0)\n${lookup}\nr6 &= 7\nr6 -= 3\nr0 += 4\nr0 += r6\nr0 = 0`,
    accepted: `r6 = *(u32 *)(r1 + 0)\n${lookup}\nr6 &= 7\nr0 += 4\nr0 += r6\nr0 = 0`,
  }),
  both("speculation", "differently on two paths", {
    refused: `r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\n${lookup}\nif r7 == 1 goto +2\nr6 &= 3\ngoto +1\nr6 &= 7\nr0 += r6\nr0 = *(u8 *)(r0 + 0)`,
    accepted: `r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\n${lookup}\nif r7 == 1 goto +2\nr6 &= 7\ngoto +1\nr6 &= 7\nr0 += r6\nr0 = *(u8 *)(r0 + 0)`,
  }),
  both("speculation", "the context", {
    refused: "r2 = 0\nr1 += r2\nr0 = 0",
    accepted: "r1 += 0\nr0 = 0",
  }),
  both("unwritten-stack", "by a load", {
    refused: "r0 = *(u64 *)(r10 - 8)",
    accepted: "r0 = 0\n*(u64 *)(r10 - 8) = r0\nr0 = *(u64 *)(r10 - 8)",
  }),
  both("unwritten-stack", "by a helper", {
    refused: "r2 = r10\nr2 += -8\nr1 = map[name:array]\ncall 1\nr0 = 0",
    accepted: "r1 = 0\n*(u64 *)(r10 - 8) = r1\nr2 = r10\nr2 += -8\nr1 = map[name:array]\ncall 1\nr0 = 0",
  }),
  both("unwritten-stack", "written on one path only", {
    refused: "r2 = *(u32 *)(r1 + 0)\nif r2 == 1 goto +2\nr0 = 0\n*(u64 *)(r10 - 8) = r0\nr0 = *(u64 *)(r10 - 8)",
    accepted: "r2 = *(u32 *)(r1 + 0)\nr0 = 0\n*(u64 *)(r10 - 8) = r0\nif r2 == 1 goto +0\nr0 = *(u64 *)(r10 - 8)",
  }),
];
