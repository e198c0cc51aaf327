/** A test of bpf_conformance in the kernel: a function of a tc program that hands it its memory and keeps what it gives. */
import {
  CALL,
  LDDW,
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
import { type LinuxMachine, VerifierError } from "@skep/linux";
import type { FunctionSpec, MapSpec, ObjectSpec, Reference } from "@skep/object";

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

/** r0; null where the verifier refuses. */
export function runInKernel(linux: LinuxMachine, body: readonly Instruction[], memory: Uint8Array): bigint | null {
  let loaded;
  try {
    loaded = linux.bpf.load(wrapped(body, memory.length));
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
