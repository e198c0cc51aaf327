import { helperById } from "@skep/isa";
import type { VmErrorKind } from "../error.ts";
import type { Code } from "../code.ts";
import { op, valueType } from "../wasm/opcodes.ts";
import type { Body, FunctionType, ModuleBuilder } from "../wasm/module.ts";
import type { Cluster, Plan } from "./accesses.ts";
import type { MapOf, State } from "./provenance.ts";

const { i32, i64 } = valueType;

/** Every function of a program: r1 to r5 and the frame's top; gives r0. */
export const functionType: FunctionType = { params: [i64, i64, i64, i64, i64, i64], results: [i64] };
/** Reason; does not return. */
export const trapType: FunctionType = { params: [i32], results: [] };
/** Instruction, what the register holds, the frame's top; returns only where no single access is at fault. */
export const faultType: FunctionType = { params: [i32, i64, i64], results: [] };
/** Instruction; arguments and result stand in the cells. */
export const helperType: FunctionType = { params: [i32], results: [] };
/** Register, first byte and the one behind the last from it, instruction, write, the frame's top; gives where the object begins and ends. */
export const slowType: FunctionType = { params: [i64, i32, i32, i32, i32, i64], results: [i64, i64] };
/** Address, bytes (negative: signed): what is there, 0 where nothing is. */
export const probeType: FunctionType = { params: [i64, i32], results: [i64] };
/** Address, bytes, write: whether the host found the object; where it is stands in the cells. */
export const dynamicType: FunctionType = { params: [i32, i32, i32], results: [i32] };

export interface Reason {
  readonly pc: number;
  readonly kind: VmErrorKind;
  readonly message: string;
}

/** What the functions of one module share. */
export interface ModuleContext {
  readonly code: Code;
  readonly builder: ModuleBuilder;
  readonly checked: boolean;
  readonly mapOf: MapOf;
  /** Lowest byte of the stack region. */
  readonly stackBase: number;
  /** The CPU that programs run on, and how many there are. */
  readonly cpu: number;
  readonly cpus: number;
  /** Helpers that are compiled in line instead of being called. */
  readonly inlines: ReadonlySet<number>;
  readonly imports: {
    readonly trap: number;
    readonly fault: number;
    readonly slow: number;
    readonly callRegister: number;
    readonly probe: number;
  };
  /** Indexes by helper number; absent: there is no such helper. */
  readonly helpers: ReadonlyMap<number, number>;
  /** Indexes by first instruction. */
  readonly functions: ReadonlyMap<number, number>;
  readonly reasons: Reason[];
  readonly clusters: Map<number, Cluster>;
  /** The function that looks a key up in maps of this one's shape: control block and key's address give the value's address or 0. */
  lookup(kind: string, keySize: number): number;
}

/** One function while it is emitted. */
export interface Frame {
  readonly module: ModuleContext;
  readonly code: Code;
  readonly body: Body;
  readonly plans: ReadonlyMap<number, Plan>;
  /** What is known before the instruction that is being emitted. */
  state: State;
  /** Locals of r0 to r10. */
  readonly registers: readonly number[];
  /** i32: the lowest byte of the frame. */
  readonly stack: number;
  /** Locals that hold the bounds of the last object seen through a register, by `boundsKey`. */
  readonly bounds: ReadonlyMap<string, { readonly low: number; readonly high: number; readonly inLoop: boolean }>;
  /** i32 local: instructions left; -1 where they are not counted. */
  readonly fuel: number;
  /** i32 local: rounds of `may_goto` that were taken; -1 where there are none. */
  readonly rounds: number;
  /** Deepest byte of the frame that is certain to be used. */
  readonly depth: number;
  scratch(type: "i32" | "i64", number?: number): number;
}

/** Arguments that a helper reads: its parameters, five where that is not known. */
export function argumentsOf(id: number): number {
  const helper = helperById(id);
  return helper === null || helper.variadic ? 5 : helper.parameters.length;
}

/** Ends the program for a reason that is known now. */
export function emitTrap(frame: Frame, reason: Reason): void {
  const { module, body } = frame;
  module.reasons.push(reason);
  body.i32(module.reasons.length - 1);
  body.call(module.imports.trap);
  body.op(op.unreachable);
}
