/**
 * @module
 * What an expression means while a function is lowered: constants, integers in the IR, references into memory, and what exists at compile
 * time alone (types, maps, functions, objects without a layout).
 */
import type ts from "typescript";
import type { Inst, Local, Predicate, Space } from "@skep/ir";
import type { KernelFieldType, KernelStruct } from "./kernel-types.ts";
import type { Cx } from "./lower/cx.ts";
import type { ArrayT, BitsT, BoolT, IntT, MemoryType, StructT } from "./types.ts";

/** A test that is written where it is used, so that the verifier sees the compare and the branch together. */
export interface Condition {
  readonly predicate: Predicate;
  readonly a: Inst;
  readonly b: Inst;
}

export interface IntValue {
  readonly kind: "int";
  /** null: a literal, or what only literals made; it takes the type of what it meets. */
  readonly type: IntT | null;
  /** Of a literal: written with `n`. */
  readonly big: boolean;
  /** Exactly one of `const` and `inst` is given. */
  readonly const?: bigint;
  readonly inst?: Inst;
  /** All values lie in here. */
  readonly min: bigint;
  readonly max: bigint;
  /** The verifier does not know `min` and `max`: it loses them over a division. */
  readonly soft?: boolean;
}

export interface BoolValue {
  readonly kind: "bool";
  readonly const?: boolean;
  /** i32, 0 or 1. */
  readonly inst?: Inst;
}

export interface RefValue {
  readonly kind: "ref";
  readonly type: StructT | ArrayT;
  readonly ptr: Inst;
  /** Added to `ptr`. */
  readonly offset: number;
  readonly space: Space;
  /** Of `ptr + offset`. */
  readonly align: number;
  readonly nullable: boolean;
  /** How to tell that it is not null; without it: `ptr != 0`. */
  readonly present?: Condition;
  /** Of a packet: which layout of the packet it belongs to. */
  readonly epoch?: number;
  readonly readOnly?: boolean;
  /** Of a dynptr: it is of a packet, whose views are stale when it has moved. */
  readonly ofPacket?: boolean;
}

/** An integer or boolean that may be absent. */
export interface MaybeValue {
  readonly kind: "maybe";
  readonly present: Condition;
  readonly value: Value;
}

/** An object literal without a layout: its fields are values. */
export interface RecordValue {
  readonly kind: "record";
  readonly fields: Map<string, Binding>;
  readonly node: ts.Node;
}

export interface ListValue {
  readonly kind: "list";
  readonly elements: readonly Value[];
}

/** Integers in memory, as many as run time says: a parameter of an exported function. */
export interface SliceValue {
  readonly kind: "slice";
  readonly ptr: Inst;
  /** i32 */
  readonly length: Inst;
  readonly element: IntT;
}

export interface MapDecl {
  readonly name: string;
  readonly type: string;
  readonly key: MemoryType | null;
  readonly value: MemoryType | null;
  readonly maxEntries: number;
  readonly flags: number;
  readonly inner: MapDecl | null;
  readonly node: ts.Node;
}

export interface MapValue {
  readonly kind: "map";
  readonly map: MapDecl;
  /** An inner map, found at run time; may be null. */
  readonly inst?: Inst;
}

export interface VariableDecl {
  readonly name: string;
  readonly section: ".rodata" | ".data" | ".bss" | ".kconfig";
  readonly type: MemoryType;
  readonly initial: Uint8Array;
  readonly node: ts.Node;
  /** Of the kernel's configuration: 0 where it has no such setting. */
  readonly weak?: boolean;
}

export interface ProgramDecl {
  readonly name: string;
  /** Key of PROGRAM_KINDS. */
  readonly kind: string;
  readonly target: string | null;
  readonly run: FunctionValue;
  readonly flags: number;
  readonly node: ts.Node;
  /** Of a system call: what it is given. */
  readonly argument?: MemoryType;
}

/** A kernel structure whose functions are programs. */
export interface StructOpsDecl {
  readonly name: string;
  readonly typeName: string;
  readonly members: readonly StructOpsMember[];
  readonly node: ts.Node;
}

export type StructOpsMember = { readonly name: string } & (
  { readonly program: ProgramDecl } | { readonly type: MemoryType; readonly bytes: Uint8Array }
);

export interface FunctionValue {
  readonly kind: "function";
  readonly node: ts.FunctionLikeDeclaration;
  readonly env: Env;
  readonly name: string;
  /** Compiled as a function of its own. */
  readonly subprogram?: boolean;
}

export interface ContextValue {
  readonly kind: "context";
  /** Key of PROGRAM_KINDS. */
  readonly program: string;
  readonly ptr: Inst;
}

/** A place in a kernel structure, or a pointer to one (`path` is empty then). */
export interface KernelValue {
  readonly kind: "kernel";
  readonly ptr: Inst;
  /** What `ptr` points to. */
  readonly root: KernelStruct;
  /** Indices of members and elements from there. */
  readonly path: readonly number[];
  /** Offset of the path in the local type. */
  readonly local: number;
  readonly type: KernelFieldType;
  /** The verifier knows the pointer: it is read by loads. */
  readonly trusted: boolean;
  readonly nullable: boolean;
}

export type Value =
  | IntValue
  | BoolValue
  | RefValue
  | KernelValue
  | MaybeValue
  | RecordValue
  | ListValue
  | SliceValue
  | MapValue
  | FunctionValue
  | ContextValue
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "null" }
  | { readonly kind: "undefined" }
  | { readonly kind: "type"; readonly type: MemoryType }
  | { readonly kind: "variable"; readonly variable: VariableDecl }
  | { readonly kind: "program"; readonly program: ProgramDecl }
  | { readonly kind: "builtin"; readonly name: string }
  /** A function of the kernel that a `.d.ts` declares. */
  | { readonly kind: "kfunc"; readonly node: ts.FunctionDeclaration; readonly name: string }
  /** A variable of the kernel, one for each CPU, that a `declare const` names. */
  | {
      readonly kind: "kernelVariable";
      readonly name: string;
      readonly type: KernelStruct | IntT | BoolT;
      readonly node: ts.VariableDeclaration;
    }
  | { readonly kind: "method"; readonly object: Value; readonly name: string }
  | { readonly kind: "contextArray"; readonly context: ContextValue; readonly name: string }
  /** An iterator of the kernel that is not started yet; `item` is what a pointer that it gives stands for. */
  | {
      readonly kind: "iterator";
      readonly name: string;
      readonly args: readonly Inst[];
      readonly item: (cx: Cx, ptr: Inst, node: ts.Node) => Value;
    }
  /** Where a template goes: `seqPrint(ctx)`, `format(buffer)`. */
  | { readonly kind: "printer"; readonly to: "seq" | "text"; readonly ptr: Inst; readonly size: number }
  | { readonly kind: "structOps"; readonly decl: StructOpsDecl }
  | { readonly kind: "range"; readonly from: IntValue; readonly to: IntValue }
  /** A declaration that was refused: using it says nothing more. */
  | { readonly kind: "poison" };

/** What a name stands for. */
export type Binding =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "int"; readonly local: Local; readonly type: IntT }
  | { readonly kind: "bool"; readonly local: Local }
  /** A variable of the function around a callback: it lies on that one's stack. */
  | { readonly kind: "memory"; readonly base: RefValue; readonly offset: number; readonly type: IntT | BoolT }
  /** A pointer to a kernel structure. */
  | { readonly kind: "kernel"; readonly local: Local; shape: Omit<KernelValue, "ptr"> }
  | RefBinding;

/** A variable that refers to memory. `shape` is what all its values share. */
export interface RefBinding {
  readonly kind: "ref";
  readonly local: Local;
  shape: Omit<RefValue, "ptr" | "offset" | "present" | "kind">;
}

/** Names in reach, innermost first. */
export class Env {
  readonly parent: Env | null;
  #names = new Map<ts.Symbol, Binding>();

  /** Nothing but top levels is seen from here. */
  get isTop(): boolean {
    return this.parent === null && this.#names.size === 0;
  }

  constructor(parent: Env | null) {
    this.parent = parent;
  }

  declare(symbol: ts.Symbol, binding: Binding): void {
    this.#names.set(symbol, binding);
  }

  lookup(symbol: ts.Symbol): Binding | undefined {
    return this.#names.get(symbol) ?? this.parent?.lookup(symbol);
  }
}

/** Where an assignment goes, or a read comes from. */
export type Place =
  | {
      readonly kind: "memory";
      readonly base: RefValue;
      readonly type: MemoryType;
      readonly shift: number;
      readonly node: ts.Node;
    }
  | {
      readonly kind: "binding";
      readonly binding: Binding;
      readonly name: string;
      readonly set: (next: Binding) => void;
    }
  | { readonly kind: "context"; readonly context: ContextValue; readonly field: ContextField; readonly name: string }
  /** A member of a kernel structure. */
  | { readonly kind: "kernel"; readonly place: KernelValue };

/** A member of a program's context. */
export interface ContextField {
  readonly offset: number;
  readonly size: 1 | 2 | 4 | 8;
  readonly type: IntT;
  /** How memory holds it: `be16`/`be32` are swapped to host order. */
  readonly order: "host" | "be16" | "be32";
  readonly writable: boolean;
}

export type { ArrayT, BitsT, BoolT, IntT, StructT };

export const NULL: Value = { kind: "null" };
export const UNDEFINED: Value = { kind: "undefined" };
export const POISON: Value = { kind: "poison" };

export function constInt(value: bigint, type: IntT | null, big = type?.bits === 64): IntValue {
  return { kind: "int", type, big, const: value, min: value, max: value };
}

export function constBool(value: boolean): BoolValue {
  return { kind: "bool", const: value };
}

/** A noun for messages. */
export function describe(value: Value): string {
  switch (value.kind) {
    case "int":
      if (value.const !== undefined) return String(value.const);
      return value.type ? `a value of type ${value.type.name}` : "a literal";
    case "bool":
      return "a boolean";
    case "ref":
      return value.nullable ? `${value.type.name} | null` : value.type.name;
    case "maybe":
      return `${describe(value.value)} that may be absent`;
    case "record":
      return "an object";
    case "list":
    case "slice":
      return "a list";
    case "map":
      return `the map ${value.map.name}`;
    case "function":
      return `the function ${value.name}`;
    case "context":
      return "the context";
    case "string":
      return "a string";
    case "type":
      return `the type ${value.type.name}`;
    case "variable":
      return `the variable ${value.variable.name}`;
    case "program":
      return `the program ${value.program.name}`;
    case "kernel":
      return value.root.name === "" ? "a kernel structure" : `the kernel's ${value.root.name}`;
    case "kfunc":
      return `the kernel function ${value.name}`;
    case "kernelVariable":
      return `the kernel's variable ${value.name}`;
    case "builtin":
    case "method":
      return value.name;
    case "contextArray":
      return value.name;
    case "range":
      return "a range";
    case "iterator":
      return "an iterator of the kernel";
    case "structOps":
      return `the structure ${value.decl.name}`;
    default:
      return value.kind;
  }
}
