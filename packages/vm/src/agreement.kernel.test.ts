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
  ldxs,
  atomic,
  atomicFetch,
  cmpxchg,
  xchg,
  sizeBytes,
  st,
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
import { openLinux, VerifierError } from "@skep/linux";
import type { ObjectSpec, ProgramSpec } from "@skep/object";
import type { EngineName } from "./cpu.ts";
import { numbers } from "./testing-numbers.ts";
import { Vm } from "./vm.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");

/** A tc program of these instructions. */
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

interface Random {
  readonly next: (below: number) => number;
  readonly pick: <T>(from: readonly T[]) => T;
}

/** 56 bytes of the packet in registers, 40 operations with short jumps, loops and memory between, everything folded into r0. */
function randomProgram(seed: number): Instruction[] {
  const next = numbers(seed);
  const random: Random = { next, pick: <T>(from: readonly T[]): T => from[next(from.length)] as T };
  const code = [mov64(r3, r10), alu64("add", r3, -64), mov64(r2, 0), mov64(r4, 64), call("skb_load_bytes")];
  regs.forEach((register, i) => code.push(ldx("u64", register, mem(r10, -64 + i * 8))));
  code.push(mov64(r5, 1));
  const body: Instruction[] = [];
  while (body.length < 40) body.push(...randomPiece(random, 39 - body.length));
  code.push(...body.slice(0, 40), ...regs.slice(1).map((register) => alu64("xor", r0, register)));
  for (let at = -64; at < 0; at += 8) code.push(ldx("u64", r1, mem(r10, at)), alu64("xor", r0, r1));
  code.push(stx("u64", mem(r10, -8), r0), ldx("u32", r1, mem(r10, -4)), alu64("xor", r0, r1), exit());
  return code;
}

/** Of at most `left` + 1 instructions. */
function randomPiece(random: Random, left: number): Instruction[] {
  const { next, pick } = random;
  const kind = next(12);
  if (kind === 0 && left >= 6) {
    // r5 counts down, at most four rounds; a jump into the middle finds it at 1 or below.
    const body = Array.from({ length: 3 }, () => randomArithmetic(random));
    return [mov64(r5, 1 + next(4)), ...body, alu64("sub", r5, 1), jmp("jsgt", r5, 0, -5)];
  }
  if (kind < 3) return [randomAccess(random)];
  if (kind < 5) {
    const jump = next(2) === 0 ? jmp : jmp32;
    return [jump(pick(jumps), pick(regs), next(2) === 0 ? pick(regs) : pick(words), Math.min(left, next(4)))];
  }
  return [randomArithmetic(random)];
}

/** On the 64 bytes of stack that hold the packet's. */
function randomAccess({ next, pick }: Random): Instruction {
  const size = pick(["u8", "u16", "u32", "u64"] as const);
  const bytes = sizeBytes[size];
  const place = mem(r10, -64 + next(64 / bytes) * bytes);
  const register = pick(regs);
  switch (next(5)) {
    case 0:
      return stx(size, place, register);
    case 1:
      return st(size, place, pick(words));
    case 2:
      return size === "u64" ? ldx(size, register, place) : ldxs(size, register, place);
    case 3: {
      if (size !== "u32" && size !== "u64") return ldx(size, register, place);
      const how = pick([atomic, atomicFetch, () => xchg(size, place, register), () => cmpxchg(size, place, register)]);
      return how(pick(["add", "or", "and", "xor"] as const), size, place, register);
    }
    default:
      return ldx(size, register, place);
  }
}

function randomArithmetic({ next, pick }: Random): Instruction {
  const d = pick(regs);
  const wide = next(2) === 0;
  switch (next(6)) {
    case 0:
      return (wide ? mov64 : mov32)(d, next(2) === 0 ? pick(regs) : pick(words));
    case 1:
      return pick([le, be, bswap])(d, pick([16, 32, 64] as const));
    case 2:
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

const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];

/** Null where the kernel's verifier refuses the program. */
function loaded<T>(load: () => T): T | null {
  try {
    return load();
  } catch (error) {
    if (error instanceof VerifierError) return null;
    throw error;
  }
}

describe.skipIf(!privileged)("vm and kernel agree", () => {
  const linux = privileged ? openLinux() : null;
  const vms = engines.map((engine) => new Vm({ clock: () => 0n, random: () => 0, engine }));

  test("on 300 random programs, four packets each, in every engine", () => {
    if (linux === null) throw new Error("no machine");
    const results = new Set<number>();
    let refused = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const spec = object(randomProgram(seed));
      const kernel = loaded(() => linux.bpf.load(spec));
      if (kernel === null) {
        refused++;
        continue;
      }
      try {
        const theirs = kernel.programs["small"];
        const mine = vms.map((vm) => ({ vm, program: vm.load(spec).programs["small"] }));
        if (theirs === undefined) throw new Error("no program");
        const next = numbers(seed * 7919);
        for (let round = 0; round < 4; round++) {
          const data = Uint8Array.from({ length: 64 }, () => (next(4) === 0 ? 0xff * next(2) : next(256)));
          const wanted = theirs.test({ data }).returned >>> 0;
          const got = mine.map(({ vm, program }) => (program ? vm.run(program, { packet: data }).returned : null));
          expect({ seed, round, got }).toEqual({ seed, round, got: engines.map(() => wanted) });
          results.add(wanted);
        }
      } finally {
        kernel.close();
      }
    }
    // Programs that all gave the same, or that the kernel refused, would prove nothing.
    expect(results.size).toBeGreaterThan(500);
    expect(refused).toBeLessThan(60);
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
      const mine = vms.map((vm) => ({ vm, program: vm.load(spec).programs["small"] }));
      const theirs = kernel.programs["small"];
      if (theirs === undefined) throw new Error("no program");
      const next = numbers(5);
      for (let round = 0; round < 50; round++) {
        const data = Uint8Array.from({ length: 64 }, () => next(256));
        const got = mine.map(({ vm, program }) => (program ? vm.run(program, { packet: data }).returned : null));
        expect(got).toEqual(engines.map(() => theirs.test({ data }).returned >>> 0));
      }
    } finally {
      kernel.close();
    }
  });
});
