/** The instruction tests on the kernel: what it takes has to give the same as here. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  CALL,
  LDDW,
  assemble,
  call,
  callLocal,
  exit,
  jmp,
  ldMap,
  mem,
  mov64,
  pseudoCall,
  r0,
  r1,
  r2,
  r6,
  r10,
  alu64,
  slots,
  st,
  stx,
} from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { openLinux, VerifierError } from "@skep/linux";
import type { FunctionSpec, MapSpec, ObjectSpec, Reference } from "@skep/object";
import { blocks, hexBytes } from "./testing-conformance.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../../shared/data/bpf_conformance/tests");
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");
if (!existsSync(folder)) console.warn(`skipped: bpf_conformance is not beside the repository (${folder})`);

const array = (name: string, valueSize: number): MapSpec => ({
  ...{ name, type: "array", keySize: 4, valueSize, maxEntries: 1, flags: 0, pinning: "none" },
});

const MEMORY = 1024;

/** The test as functions, from one call target to the next. */
function functionsOf(body: readonly Instruction[]): Record<string, FunctionSpec> {
  const places = new Map<number, number>();
  let slot = 0;
  const after = body.map((insn, index) => {
    places.set(slot, index);
    return (slot += slots(insn));
  });
  const isCall = (insn: Instruction): boolean => insn.opcode === CALL && insn.src === pseudoCall.local;
  const targetOf = (insn: Instruction, at: number): number => places.get((after[at] ?? 0) + insn.imm) ?? -1;
  const targets = body.flatMap((insn, at) => (isCall(insn) ? [targetOf(insn, at)] : []));
  const entries = [...new Set([0, ...targets])].sort((a, b) => a - b);
  const made = entries.map((entry, i): [string, FunctionSpec] => {
    const instructions = body.slice(entry, entries[i + 1]);
    const references = instructions.flatMap((insn, at): Reference[] =>
      isCall(insn) ? [{ at, kind: "call", function: `f${targetOf(insn, entry + at)}` }] : [],
    );
    const name = `f${entry}`;
    return [name, { name, linkage: "static", instructions, references, lines: [], coreRelocations: [] }];
  });
  return Object.fromEntries(made);
}

/** A tc program that calls the test with the map's value in r1, and stores what it gives into another map. */
function wrapped(body: readonly Instruction[], size: number): ObjectSpec {
  const key = [st("u32", mem(r10, -4), 0), mov64(r2, r10), alu64("add", r2, -4)];
  const before = [...key, ldMap(r1, 0), call("map_lookup_elem")];
  const run = [mov64(r1, size === 0 ? 0 : r0), mov64(r2, size), callLocal(0), mov64(r6, r0)];
  const store = [stx("u64", mem(r0, 0), r6), mov64(r0, 0), exit()];
  const second = [...before, jmp("jeq", r0, 0, 1), ...store];
  // A value that is not there skips to the program's end.
  const skip = [...run, ...second].reduce((sum, insn) => sum + slots(insn), 0) - 2;
  const instructions = [...before, jmp("jeq", r0, 0, skip), ...run, ...second];
  const first = instructions.findIndex((insn) => insn.src === 1 && insn.opcode === LDDW);
  const last = instructions.findLastIndex((insn) => insn.src === 1 && insn.opcode === LDDW);
  const references: Reference[] = [
    { at: first, kind: "map", map: "memory" },
    { at: last, kind: "map", map: "result" },
    { at: before.length + 3, kind: "call", function: "f0" },
  ];
  return {
    license: "GPL",
    byteOrder: "little",
    maps: { memory: array("memory", MEMORY), result: array("result", 8) },
    functions: functionsOf(body),
    programs: {
      run: {
        ...{ name: "run", section: "tc", type: "sched_cls", flags: 0, linkage: "global" },
        ...{ instructions, references, lines: [], coreRelocations: [] },
      },
    },
  };
}

describe.skipIf(!privileged || !existsSync(folder))("bpf_conformance on the kernel", () => {
  test("gives what the files say wherever the verifier takes the program", () => {
    const linux = openLinux();
    const refused: string[] = [];
    const passed = new Map<string, number>();
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".data"))) {
      const parts = blocks(readFileSync(join(folder, file), "utf8"));
      const result = parts.get("result");
      const { instructions, diagnostics } = assemble(parts.get("asm") ?? "", { notation: "conformance" });
      if (result === undefined) throw new Error(`${file} has no result`);
      expect(diagnostics).toEqual([]);
      const memory = hexBytes(parts.get("mem") ?? "");
      const r0Wanted = BigInt(result.replace(/#.*/g, "").trim());
      const got = runInKernel(linux, wrapped(instructions, memory.length), memory);
      if (got === null) {
        refused.push(file);
        continue;
      }
      expect({ file, r0: `0x${got.toString(16)}` }).toEqual({ file, r0: `0x${r0Wanted.toString(16)}` });
      const group = file.split(/[-_.]/)[0] ?? file;
      passed.set(group, (passed.get(group) ?? 0) + 1);
    }
    const sum = [...passed.values()].reduce((a, b) => a + b, 0);
    console.info(
      `bpf_conformance, kernel: ${sum} passed; the verifier refuses ${refused.length}: ${refused.join(", ")}`,
    );
    expect(sum).toBeGreaterThan(270);
  });
});

/** r0; null where the verifier refuses. */
function runInKernel(linux: ReturnType<typeof openLinux>, spec: ObjectSpec, memory: Uint8Array): bigint | null {
  let loaded;
  try {
    loaded = linux.bpf.load(spec);
  } catch (error) {
    if (error instanceof VerifierError) return null;
    throw error;
  }
  try {
    const key = new Uint8Array(4);
    const whole = new Uint8Array(MEMORY);
    whole.set(memory);
    loaded.maps["memory"]?.set(key, whole);
    loaded.programs["run"]?.test({ data: new Uint8Array(64) });
    const value = loaded.maps["result"]?.get(key);
    if (!value) throw new Error("no result");
    return new DataView(value.buffer).getBigUint64(0, true);
  } finally {
    loaded.close();
  }
}
