/**
 * @module
 * The state of lowering: what belongs to the compilation, and what to the function that is being written.
 */
import type ts from "typescript";
import type { Block, FunctionBuilder, Inst, IrFunction, Local, Predicate } from "@skep/ir";
import type { BoolT, IntT, MemoryType } from "../types.ts";
import type { KernelStruct, KernelTypes } from "../kernel-types.ts";
import type { ProblemName } from "../diagnostics.ts";
import type { Problems } from "../problems.ts";
import type { CFunction } from "./kernel-functions.ts";
import {
  Env,
  type Binding,
  type Condition,
  type ContextValue,
  type MapDecl,
  type ProgramDecl,
  type Value,
  type VariableDecl,
} from "../values.ts";

/** A place that a branch may go to. */
export class Target {
  readonly block: Block;
  reached = false;

  constructor(block: Block) {
    this.block = block;
  }
}

/** A `return` that waits for what the others return. */
export interface Site {
  block: Block;
  value: Value;
  readonly node: ts.Node;
  readonly epoch: number;
}

/** The function whose body is being lowered: inlined, or the builder's own. */
export interface Frame {
  /** null: a real return. */
  readonly sites: Site[] | null;
  readonly returns: DeclaredType | null;
  readonly name: string;
  readonly node: ts.Node;
  /** Of a helper's callback: gives 0 to go on, 1 to stop. */
  readonly callback?: boolean;
}

/** Statements that run whichever way a block is left. */
export interface Finally {
  /** What runs: statements, or what destroys an iterator. */
  readonly block: ts.Block | ((cx: Cx) => void);
  readonly env: Env;
  readonly frame: Frame | null;
  /** How many loops were around it. */
  readonly loops: number;
}

export interface Loop {
  readonly label: string | null;
  readonly breakTo: Target;
  /** null: a switch. */
  readonly continueTo: Target | null;
  /** Epochs of the packet where `break` and `continue` leave. */
  readonly breakEpochs: number[];
  readonly continueEpochs: number[];
}

/** What a type annotation says. */
export interface DeclaredType {
  readonly kind: "memory" | "context" | "void" | "other";
  readonly type?: MemoryType;
  readonly nullable: boolean;
}

/** What belongs to the whole compilation. */
export interface Unit {
  readonly checker: ts.TypeChecker;
  readonly problems: Problems;
  license: string;
  readonly maps: Map<string, MapDecl>;
  readonly variables: Map<string, VariableDecl>;
  readonly programs: Map<string, ProgramDecl>;
  /** Variables that are assigned after their declaration. */
  readonly assigned: Set<ts.Symbol>;
  /** How often each function is called by name. */
  readonly callSites: Map<ts.Symbol, number>;
  /** Names of properties that are assigned anywhere. */
  readonly assignedProperties: Set<string>;
  readonly assignedElements: Set<ts.Symbol>;
  /** The value of a declaration at the top level of a module. */
  moduleValue(symbol: ts.Symbol, use: ts.Node): Value;
  readonly kernel: KernelTypes;
  /** What TypeScript's type says about layout; null where it says nothing. */
  declaredType(type: ts.Type): DeclaredType;
  /** Text in `.rodata`, with a final zero. */
  text(text: string): { section: string; offset: number; size: number };
  /** Integers in `.rodata`; gives the place. */
  table(type: MemoryType, bytes: Uint8Array): { section: string; offset: number };
  /** Where a variable lies in its section. */
  place(variable: VariableDecl): number;
  /** What `struct(...)` and the like made, by their calls. */
  readonly declared: Map<ts.Node, Value>;
  /** Functions that were compiled as such. */
  readonly functions: IrFunction[];
  /** Subprograms by their node and the kinds of their arguments. */
  readonly subprograms: Map<string, Subprogram>;
  /** FUNC of a kernel function, by its declaration. */
  kernelFunction(node: ts.FunctionDeclaration): KernelFunction;
  /** FUNC of a kernel function that the language knows. */
  kernelPrototype(fn: CFunction): number;
  /** Kernel functions that the module asks about: they may be missing. */
  readonly optional: ReadonlySet<ts.Symbol>;
  /** BTF of a function; gives the id of its FUNC. */
  /** The type's number in the module's BTF. */
  typeId(type: MemoryType): number;
  functionType(shape: FunctionShape): number;
}

export interface Subprogram {
  readonly name: string;
  readonly returns: MemoryType | null;
  moves: boolean;
  linear: number;
}

export interface KernelFunction {
  readonly typeId: number;
  readonly parameters: readonly (IntT | BoolT | "pointer")[];
  readonly returns: IntT | BoolT | KernelStruct | "void" | "pointer";
  readonly nullable: boolean;
}

export interface FunctionShape {
  readonly name: string;
  readonly params: readonly {
    readonly name: string;
    readonly type: MemoryType | { readonly pointer: string } | { readonly to: MemoryType };
  }[];
  readonly returns: MemoryType | null;
  readonly linkage: "static" | "global";
}

export interface Lower {
  value(cx: Cx, node: ts.Expression, expected?: MemoryType): Value;
  condition(cx: Cx, node: ts.Expression, whenTrue: Target, whenFalse: Target): void;
  statements(cx: Cx, nodes: readonly ts.Statement[]): void;
  call(cx: Cx, node: ts.CallExpression, known?: Value): Value;
  inline(cx: Cx, fn: Extract<Value, { kind: "function" }>, args: readonly Value[], node: ts.Node): Value;
}

interface Slot {
  readonly ptr: Inst;
  readonly bytes: number;
}

/**
 * Room on the stack of one function. What an inlined function used is free again when it returns, unless a reference to it may have been
 * kept.
 */
export class StackSlots {
  #free: Slot[] = [];
  #frames: { slots: Slot[]; kept: boolean }[] = [];

  /** The smallest free room that is large enough; null where there is none. */
  take(bytes: number): Inst | null {
    let best: Slot | null = null;
    for (const slot of this.#free) if (slot.bytes >= bytes && (!best || slot.bytes < best.bytes)) best = slot;
    if (!best) return null;
    this.#free.splice(this.#free.indexOf(best), 1);
    this.#frames.at(-1)?.slots.push(best);
    return best.ptr;
  }

  add(ptr: Inst, bytes: number): void {
    this.#frames.at(-1)?.slots.push({ ptr, bytes });
  }

  enter(): void {
    this.#frames.push({ slots: [], kept: false });
  }

  /** `keeps`: what the function gave may refer to its room. */
  leave(keeps: boolean): void {
    const frame = this.#frames.pop();
    if (!frame) return;
    if (keeps || frame.kept) this.#frames.at(-1)?.slots.push(...frame.slots);
    else this.#free.push(...frame.slots);
  }

  /** A reference to the stack went into a variable: all room that is in use stays so. */
  keep(): void {
    for (const frame of this.#frames) frame.kept = true;
  }
}

/** What belongs to one IR function, or to the evaluation of a top level (then without a builder). */
export class Cx {
  readonly unit: Unit;
  readonly lower: Lower;
  readonly builder: FunctionBuilder | null;
  env: Env;
  frame: Frame | null = null;
  loops: Loop[] = [];
  finallies: Finally[] = [];
  /** Those of the functions into which this one is inlined. */
  outerFinallies: Finally[] = [];
  /** Something here was refused: complaints that follow from it are not told. */
  refused = false;
  /** After a return, break or continue: what follows is not lowered. */
  dead = false;
  /** Grows with each call that moves packet data. */
  epoch = 0;
  /** Name of the call that moved the packet, for the message. */
  movedBy = "";
  /** Functions that are being inlined. */
  inlining: ts.Node[] = [];
  /** Key of PROGRAM_KINDS; "" while a top level is evaluated. */
  program = "";
  /** Bytes from the packet's start that must be linear (tc). */
  linear = 0;
  /** The packet's start and end as the function's entry has them. */
  packet: { readonly data: Local; readonly end: Local } | null = null;
  /** The program's context, where this function has it. */
  context: ContextValue | null = null;
  /** Pointers of a typed context, read at the entry, by their access. */
  readonly contextLoads = new Map<string, Inst>();
  usesPacket = false;
  readonly stack = new StackSlots();
  /** Whether anything here moves packet data. */
  moves = false;
  /** Uses of packet references so far, for loops to judge. */
  readonly packetUses: { readonly node: ts.Node; readonly epoch: number }[] = [];
  /** Per epoch: an older one whose references are still good in it. */
  #parents: (number | undefined)[] = [undefined];

  constructor(unit: Unit, lower: Lower, builder: FunctionBuilder | null, env: Env) {
    this.unit = unit;
    this.lower = lower;
    this.builder = builder;
    this.env = env;
  }

  /** `hint` is told in place of the problem's own. */
  refuse(node: ts.Node, name: ProblemName, values: readonly string[] = [], hint?: string): never {
    return this.unit.problems.refuse(node, name, values, hint);
  }

  /** The builder, for `node`; refused where the compiler evaluates a top level. */
  emit(node: ts.Node): FunctionBuilder {
    if (this.builder === null) return this.refuse(node, "notConstant", [excerpt(node)]);
    return this.builder;
  }

  target(name: string, node: ts.Node): Target {
    return new Target(this.emit(node).block(name));
  }

  /** A number for the packet's layout that no reference has yet; `parent`: references of that one are still good. */
  newEpoch(parent?: number): number {
    this.epoch = this.#parents.length;
    this.#parents.push(parent);
    return this.epoch;
  }

  /** A call moved packet data: older headers are stale. */
  movePacket(by: string): void {
    this.newEpoch();
    this.movedBy = by;
    this.moves = true;
  }

  /** Whether references of `old` are good while the packet's layout is `epoch`. */
  isFresh(old: number, epoch = this.epoch): boolean {
    for (let at: number | undefined = epoch; at !== undefined; at = this.#parents[at]) if (at === old) return true;
    return false;
  }

  /** The youngest epoch whose references are good in all of these. */
  commonEpoch(epochs: readonly number[]): number | undefined {
    const [first, ...rest] = epochs;
    let at: number | undefined = first;
    while (at !== undefined && !rest.every((epoch) => this.isFresh(at as number, epoch))) at = this.#parents[at];
    return at;
  }

  /** From here on instructions belong to `node`'s line. */
  at(node: ts.Node): void {
    if (this.builder === null) return;
    const file = node.getSourceFile();
    const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file));
    this.builder.loc = { file: file.fileName, line: line + 1, column: character + 1 };
  }

  scope<T>(run: () => T): T {
    const outer = this.env;
    this.env = new Env(outer);
    try {
      return run();
    } finally {
      this.env = outer;
    }
  }

  declare(name: ts.Identifier, binding: Binding): void {
    const symbol = this.unit.checker.getSymbolAtLocation(name);
    if (symbol) this.env.declare(symbol, binding);
  }
}

export function excerpt(node: ts.Node): string {
  const text = node.getText().replace(/\s+/g, " ");
  return text.length > 40 ? `'${text.slice(0, 37)}...'` : `'${text}'`;
}

export function jump(cx: Cx, to: Target, node: ts.Node): void {
  to.reached = true;
  cx.emit(node).jump(to.block);
}

export function branch(
  cx: Cx,
  condition: Condition | boolean,
  targets: readonly [Target, Target],
  node: ts.Node,
): void {
  if (typeof condition === "boolean") {
    jump(cx, condition ? targets[0] : targets[1], node);
    return;
  }
  targets[0].reached = true;
  targets[1].reached = true;
  cx.emit(node).branch(condition.predicate, [condition.a, condition.b], [targets[0].block, targets[1].block]);
}

const NEGATED: Readonly<Record<Exclude<Predicate, "set">, Predicate>> = {
  eq: "ne",
  ne: "eq",
  ult: "uge",
  ule: "ugt",
  ugt: "ule",
  uge: "ult",
  slt: "sge",
  sle: "sgt",
  sgt: "sle",
  sge: "slt",
};

export function negate(condition: Condition | boolean): Condition | boolean {
  if (typeof condition === "boolean") return !condition;
  if (condition.predicate === "set") throw new Error("a test of bits has no opposite");
  return { ...condition, predicate: NEGATED[condition.predicate] };
}

/** A condition as 0 or 1. */
export function conditionInst(cx: Cx, condition: Condition, node: ts.Node): Inst {
  return cx.emit(node).cmp(condition.predicate, condition.a, condition.b);
}
