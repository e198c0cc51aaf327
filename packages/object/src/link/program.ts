import { CALL, LDDW, pseudo, pseudoCall, slotCount, slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { ObjectError } from "../errors.ts";
import { ownOf } from "../records.ts";
import type { CoreRelocation, FunctionSpec, LineInfo, ObjectSpec, Reference } from "../spec.ts";

/** What is left for the loader to fill in: `map`, `data`, `kfunc` and `ksym`. */
export type LoadReference = Exclude<Reference, { readonly kind: "call" | "function" | "extern" }>;

/** A function's place in a linked program. */
export interface LinkedFunction {
  readonly name: string;
  /** BTF id of the FUNC, in the object's BTF. */
  readonly typeId?: number;
  /** First instruction, and how many, as indexes of `instructions`. */
  readonly at: number;
  readonly count: number;
  /** First slot. */
  readonly slot: number;
}

export interface LinkedLine extends Omit<LineInfo, "at"> {
  readonly slot: number;
}

/**
 * A program with all that it reaches: what BPF_PROG_LOAD takes, but for what only a kernel knows. `references` and `coreRelocations`
 * index `instructions`.
 */
export interface LinkedProgram {
  readonly name: string;
  /** The program itself first. Calls of subprograms and addresses of callbacks are resolved. */
  readonly instructions: readonly Instruction[];
  readonly references: readonly LoadReference[];
  readonly functions: readonly LinkedFunction[];
  /** One per function, ascending; empty where one of them has no type (the kernel wants all or none). */
  readonly funcInfo: readonly { readonly slot: number; readonly typeId: number }[];
  /** Ascending, one at every function's start; empty where a function has none. */
  readonly lines: readonly LinkedLine[];
  readonly coreRelocations: readonly CoreRelocation[];
}

/**
 * Puts a program and every subprogram that it reaches, each once, one after the other (in the order in which calls are met, as libbpf
 * does), and resolves calls and function addresses. Throws `ObjectError`: `program` for an unknown program, `symbol` for a call of what
 * the object does not define.
 */
export function linkProgram(spec: ObjectSpec, program: string): LinkedProgram {
  const main = ownOf(spec.programs, program);
  if (main === undefined) throw new ObjectError("program", `there is no program ${program}`);
  const order = reachable(spec, main);
  const functions: LinkedFunction[] = [];
  const starts = new Map<string, number>();
  let at = 0;
  let slot = 0;
  for (const fn of order) {
    functions.push({
      name: fn.name,
      ...(fn.typeId === undefined ? {} : { typeId: fn.typeId }),
      at,
      count: fn.instructions.length,
      slot,
    });
    starts.set(fn.name, slot);
    at += fn.instructions.length;
    slot += slotCount(fn.instructions);
  }
  const instructions: Instruction[] = [];
  const references: LoadReference[] = [];
  order.forEach((fn, index) => appendCode(fn, { place: functions[index], starts, instructions, references }));
  return {
    name: program,
    instructions,
    references,
    functions,
    funcInfo: linkedFuncInfo(functions),
    lines: linkedLines(order, functions),
    coreRelocations: order.flatMap((fn, index) => {
      const start = functions[index]?.at ?? 0;
      return fn.coreRelocations.map((relocation) => ({ ...relocation, at: relocation.at + start }));
    }),
  };
}

/** The function of this name: a subprogram, or a program that others call. */
export function findFunction(spec: ObjectSpec, name: string): FunctionSpec | null {
  return ownOf(spec.functions, name) ?? ownOf(spec.programs, name) ?? null;
}

/** The program first, then depth first in the order of the calls; an exception callback last. */
function reachable(spec: ObjectSpec, main: FunctionSpec): FunctionSpec[] {
  const order: FunctionSpec[] = [];
  const seen = new Set<string>();
  const pending = [main.name];
  const exceptionCallback = exceptionCallbackOf(spec, main);
  if (exceptionCallback !== null) pending.unshift(exceptionCallback);
  while (pending.length > 0) {
    const name = pending.pop() ?? "";
    if (seen.has(name)) continue;
    seen.add(name);
    const fn = name === main.name ? main : findFunction(spec, name);
    if (fn === null)
      throw new ObjectError("symbol", `${main.name} needs function ${name}, which the object does not define`);
    order.push(fn);
    const callees = fn.references.flatMap((ref) => (ref.kind === "call" || ref.kind === "function" ? [ref] : []));
    callees.sort((a, b) => b.at - a.at);
    pending.push(...callees.map((ref) => ref.function));
  }
  return order;
}

/** The function that a declaration tag `exception_callback:NAME` of the program names. */
function exceptionCallbackOf(spec: ObjectSpec, main: FunctionSpec): string | null {
  if (main.typeId === undefined) return null;
  for (const type of spec.btf?.types ?? []) {
    if (type.kind !== "decl_tag" || type.typeId !== main.typeId) continue;
    if (type.name.startsWith("exception_callback:")) return type.name.slice("exception_callback:".length);
  }
  return null;
}

interface CodeTarget {
  readonly place: LinkedFunction | undefined;
  /** First slots by function. */
  readonly starts: ReadonlyMap<string, number>;
  readonly instructions: Instruction[];
  readonly references: LoadReference[];
}

function appendCode(fn: FunctionSpec, target: CodeTarget): void {
  const byIndex = new Map(fn.references.map((reference) => [reference.at, reference]));
  let slot = target.place?.slot ?? 0;
  fn.instructions.forEach((insn, index) => {
    const reference = byIndex.get(index);
    if (reference === undefined) checkPlain(fn, insn, index);
    else if (reference.kind === "extern") {
      throw new ObjectError("symbol", `${fn.name} needs variable ${reference.name}, which the object does not define`);
    } else if (reference.kind !== "call" && reference.kind !== "function") {
      target.references.push({ ...reference, at: target.instructions.length });
    }
    target.instructions.push(
      reference === undefined ? insn : resolved(insn, reference, { slot, fn, starts: target.starts }),
    );
    slot += slots(insn);
  });
}

function checkPlain(fn: FunctionSpec, insn: Instruction, index: number): void {
  const isCall = insn.opcode === CALL && insn.src === pseudoCall.local;
  const isAddress = insn.opcode === LDDW && insn.src === pseudo.func;
  if (isCall || isAddress)
    throw new ObjectError("program", `${fn.name}: instruction ${index} calls a function without a reference`);
}

function resolved(
  insn: Instruction,
  reference: Reference,
  context: { slot: number; fn: FunctionSpec; starts: ReadonlyMap<string, number> },
): Instruction {
  const wanted = reference.kind === "call" || reference.kind === "kfunc" ? CALL : LDDW;
  if (insn.opcode !== wanted) {
    throw new ObjectError(
      "program",
      `${context.fn.name}: a ${reference.kind} reference at instruction ${reference.at}, which cannot hold one`,
    );
  }
  switch (reference.kind) {
    case "call":
    case "function": {
      const imm = (context.starts.get(reference.function) ?? 0) - context.slot - 1;
      return reference.kind === "call"
        ? { ...insn, src: pseudoCall.local, imm }
        : { ...insn, src: pseudo.func, imm, immHigh: 0 };
    }
    case "map":
      return { ...insn, src: pseudo.mapFd, imm: 0, immHigh: 0 };
    case "data":
      return { ...insn, src: pseudo.mapValue, imm: 0, immHigh: reference.offset | 0 };
    case "kfunc":
      return { ...insn, src: pseudoCall.kfunc, offset: 0, imm: 0 };
    case "extern":
      return insn;
    case "ksym":
      return { ...insn, src: reference.typeId === undefined ? 0 : pseudo.btfId, imm: 0, immHigh: 0 };
  }
}

function linkedFuncInfo(functions: readonly LinkedFunction[]): LinkedProgram["funcInfo"] {
  const info = functions.flatMap(({ slot, typeId }) => (typeId === undefined ? [] : [{ slot, typeId }]));
  return info.length === functions.length ? info : [];
}

/** check_btf_line (kernel/bpf/verifier.c) wants ascending slots and one record at every function's start. */
function linkedLines(order: readonly FunctionSpec[], functions: readonly LinkedFunction[]): LinkedLine[] {
  if (order.some((fn) => fn.lines.length === 0)) return [];
  return order.flatMap((fn, index) => functionLines(fn, functions[index]?.slot ?? 0));
}

function functionLines(fn: FunctionSpec, start: number): LinkedLine[] {
  const slotOf: number[] = [];
  let slot = start;
  for (const insn of fn.instructions) {
    slotOf.push(slot);
    slot += slots(insn);
  }
  const bySlot = new Map<number, LinkedLine>();
  const sorted = [...fn.lines].sort((a, b) => a.at - b.at);
  for (const { at, ...line } of sorted) {
    const place = slotOf[at];
    if (place === undefined)
      throw new ObjectError(
        "program",
        `${fn.name}: line information for instruction ${at}, there are ${slotOf.length}`,
      );
    bySlot.set(place, { slot: place, ...line });
  }
  const lines = [...bySlot.values()];
  const first = lines[0];
  if (first !== undefined && first.slot !== start) lines.unshift({ ...first, slot: start });
  return lines;
}
