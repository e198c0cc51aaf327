import { describe, expect, test } from "vitest";
import {
  alu32,
  alu64,
  be,
  bswap,
  call,
  exit,
  jmp,
  jmp32,
  ldx,
  le,
  mem,
  mov32,
  mov64,
  movsx32,
  movsx64,
} from "@skep/isa";
import { r0, r1, r2, r3, r4, r5, r6, r7, r8, r10, stx } from "@skep/isa";
import type { Instruction, Register } from "@skep/isa";
import { openLinux } from "@skep/linux";
import type { MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";
import { Vm } from "./vm.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");

/** A small generator of numbers, the same on every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

function object(code: readonly Instruction[]): ObjectSpec {
  const program: ProgramSpec = {
    name: "small",
    section: "tc",
    type: "sched_cls",
    flags: 0,
    linkage: "global",
    instructions: code,
    references: [],
    lines: [],
    coreRelocations: [],
  };
  return {
    license: "GPL",
    byteOrder: "little",
    maps: {},
    programs: { small: program },
    functions: {},
  };
}

const regs: readonly Register[] = [r0, r2, r3, r4, r6, r7, r8];
const ops = ["add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "mod", "xor", "arsh", "sdiv", "smod"] as const;
const jumps = ["jeq", "jne", "jgt", "jge", "jlt", "jle", "jset", "jsgt", "jsge", "jslt", "jsle"] as const;
const words = [0, 1, -1, 2, 7, 31, 32, 63, 0x7fffffff, -0x80000000, 0xffff, 0x12345678];

/** 56 bytes of the packet in registers, 40 operations with short jumps forward, everything folded into r0. */
function randomProgram(seed: number): Instruction[] {
  const next = numbers(seed);
  const pick = <T>(from: readonly T[]): T => from[next(from.length)] as T;
  const code = [mov64(r3, r10), alu64("add", r3, -64), mov64(r2, 0), mov64(r4, 64), call("skb_load_bytes")];
  regs.forEach((register, i) => code.push(ldx("u64", register, mem(r10, -64 + i * 8))));
  for (let i = 0; i < 40; i++) code.push(randomInstruction(next, pick, 39 - i));
  code.push(...regs.slice(1).map((register) => alu64("xor", r0, register)));
  code.push(stx("u64", mem(r10, -8), r0), ldx("u32", r1, mem(r10, -4)), alu64("xor", r0, r1), exit());
  return code;
}

function randomInstruction(
  next: (below: number) => number,
  pick: <T>(from: readonly T[]) => T,
  left: number,
): Instruction {
  const d = pick(regs);
  const wide = next(2) === 0;
  switch (next(8)) {
    case 0:
    case 1:
      return (wide ? jmp : jmp32)(pick(jumps), d, next(2) === 0 ? pick(regs) : pick(words), Math.min(left, next(4)));
    case 2:
      return (wide ? mov64 : mov32)(d, next(2) === 0 ? pick(regs) : pick(words));
    case 3:
      return pick([le, be, bswap])(d, pick([16, 32, 64] as const));
    case 4:
      return wide ? movsx64(d, pick(regs), pick([8, 16, 32] as const)) : movsx32(d, pick(regs), pick([8, 16] as const));
    default: {
      const op = pick(ops);
      // The kernel refuses constant counts beyond the width and divisions by the constant 0.
      const shift = op === "lsh" || op === "rsh" || op === "arsh";
      const divides = op.endsWith("div") || op.endsWith("mod");
      const word = shift ? next(wide ? 64 : 32) : pick(words.filter((each) => !divides || each !== 0));
      return (wide ? alu64 : alu32)(op, d, next(2) === 0 ? pick(regs) : word);
    }
  }
}

describe.skipIf(!privileged)("vm and kernel agree", () => {
  const linux = privileged ? openLinux() : null;
  const vm = new Vm({ clock: () => 0n, random: () => 0 });

  test("on 300 random programs, four packets each", () => {
    if (linux === null) throw new Error("no machine");
    const results = new Set<number>();
    for (let seed = 1; seed <= 300; seed++) {
      const spec = object(randomProgram(seed));
      const kernel = linux.bpf.load(spec);
      try {
        const mine = vm.load(spec).programs["small"];
        const theirs = kernel.programs["small"];
        if (mine === undefined || theirs === undefined) throw new Error("no program");
        const next = numbers(seed * 7919);
        for (let round = 0; round < 4; round++) {
          const data = Uint8Array.from({ length: 64 }, () => (next(4) === 0 ? 0xff * next(2) : next(256)));
          const wanted = theirs.test({ data }).returned >>> 0;
          expect({ seed, round, returned: vm.run(mine, { packet: data }).returned }).toEqual({
            seed,
            round,
            returned: wanted,
          });
          results.add(wanted);
        }
      } finally {
        kernel.close();
      }
    }
    // Programs that all gave the same would prove nothing.
    expect(results.size).toBeGreaterThan(600);
  });

  const shapes: readonly (Partial<MapSpec> & { readonly type: string })[] = [
    { type: "hash", keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: "array", keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: "lpm_trie", keySize: 8, valueSize: 12, maxEntries: 6, flags: 1 },
  ];
  test.each(shapes)("on 600 operations on a map of type $type", (shape) => {
    if (linux === null) throw new Error("no machine");
    const spec: MapSpec = {
      name: "agreement",
      keySize: 4,
      valueSize: 8,
      maxEntries: 4,
      flags: 0,
      pinning: "none",
      ...shape,
    };
    const theirs = linux.bpf.createMap(spec);
    try {
      const mine = vm.createMap(spec);
      const next = numbers(99);
      const seen = new Set<string>();
      for (let i = 0; i < 600; i++) {
        const key = randomKey(spec, next);
        const value = Uint8Array.from({ length: spec.valueSize }, () => next(256));
        const what = next(4);
        const mode = (["any", "new", "existing"] as const)[next(3)] ?? "any";
        const run = (map: typeof theirs | typeof mine) =>
          outcome(() => (what === 0 ? map.delete(key) : what === 1 ? map.get(key) : map.set(key, value, mode)));
        const wanted = run(theirs);
        expect({ i, what, mode, result: run(mine) }).toEqual({ i, what, mode, result: wanted });
        seen.add(`${what} ${wanted.length < 12 ? wanted : "value"}`);
      }
      const sorted = (map: typeof theirs | typeof mine) => [...map.entries()].map(String).sort();
      expect(sorted(mine)).toEqual(sorted(theirs));
      expect(seen.size).toBeGreaterThan(4);
    } finally {
      theirs.close();
    }
  });

  /** bpf_csum_diff over the packet's first bytes, by every kind of call. */
  test.each([
    [0, 20],
    [20, 0],
    [16, 24],
    [8, 8],
  ])("on checksums of %i bytes to %i", (fromSize, toSize) => {
    if (linux === null) throw new Error("no machine");
    const code = [
      ...[mov64(r3, r10), alu64("add", r3, -64), mov64(r2, 0), mov64(r4, 64), call("skb_load_bytes")],
      ...[mov64(r1, r10), alu64("add", r1, -64), mov64(r2, fromSize), mov64(r3, r10), alu64("add", r3, -32)],
      ...[mov64(r4, toSize), mov64(r5, 0x1234), call("csum_diff"), exit()],
    ];
    const spec = object(code);
    const kernel = linux.bpf.load(spec);
    try {
      const mine = vm.load(spec).programs["small"];
      const theirs = kernel.programs["small"];
      if (mine === undefined || theirs === undefined) throw new Error("no program");
      const next = numbers(5);
      for (let round = 0; round < 50; round++) {
        const data = Uint8Array.from({ length: 64 }, () => next(256));
        expect(vm.run(mine, { packet: data }).returned).toBe(theirs.test({ data }).returned >>> 0);
      }
    } finally {
      kernel.close();
    }
  });
});

function randomKey(spec: MapSpec, next: (below: number) => number): Uint8Array {
  if (spec.type !== "lpm_trie") return new Uint8Array(Uint32Array.of(next(8)).buffer);
  const key = new Uint8Array(8);
  key[0] = [0, 8, 9, 16, 31, 32, 33][next(7)] ?? 0;
  key.set([10, next(2) * 128, next(2), next(2)], 4);
  return key;
}

/** What an operation gives, or the code that it fails with. */
function outcome(run: () => unknown): string {
  try {
    const result = run();
    return result instanceof Uint8Array ? [...result].join(" ") : String(result);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
