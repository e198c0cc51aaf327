/**
 * @module
 * Closures that the kernel calls: functions of their own, with what they capture on the caller's stack.
 */
import ts from "typescript";
import { FunctionBuilder, type Inst, type ValueType } from "@skep/ir";
import { finishFunction } from "../finish.ts";
import { BOOL, INTS, type ArrayT } from "../types.ts";
import {
  describe,
  Env,
  UNDEFINED,
  type Binding,
  type FunctionValue,
  type IntT,
  type RefValue,
  type Value,
} from "../values.ts";
import { pointerOf } from "./bindings.ts";
import { Cx, type FunctionShape } from "./cx.ts";
import { declareTarget } from "./declare.ts";
import { instOf, typed } from "./ints.ts";
import { boolInst } from "./memory.ts";
import { freeName } from "./subprograms.ts";
import { returnValue } from "./statements.ts";

/** A parameter of the callback as the kernel passes it. */
export interface CallbackParameter {
  readonly name: string;
  readonly type: ValueType;
  readonly shape: FunctionShape["params"][number]["type"];
}

export interface CallbackSpec {
  readonly parameters: readonly CallbackParameter[];
  /** Which parameter is the pointer to what is captured; null: it cannot capture (it runs later). */
  readonly captures: number | null;
  /** What is told where it cannot. */
  readonly capturesProblem?: "capturesLater" | "capturesNothing";
  /** The values for the parameters of the source, from those of the kernel. */
  bind(cx: Cx, params: readonly Inst[]): Value[];
  /** The call of the helper; `context` points to what is captured. */
  call(cx: Cx, callback: Inst, context: Inst): Value;
}

/** One captured variable: 8 bytes of the caller's stack. */
interface Slot {
  /** Before the call. */
  save(cx: Cx, base: RefValue): void;
  /** In the callback. */
  receive(cx: Cx, base: RefValue): Binding;
  /** After the call. */
  restore(cx: Cx, base: RefValue): void;
}

const SLOT = 8;

class Captures {
  readonly cx: Cx;
  readonly node: ts.Node;
  readonly slots: { slot: Slot; symbol: ts.Symbol }[] = [];
  /** What needs no slot: constants, types, functions. */
  readonly known = new Map<ts.Symbol, Binding>();
  #seen = new Set<ts.Node>();

  constructor(cx: Cx, node: ts.Node) {
    this.cx = cx;
    this.node = node;
  }

  /** The variables that the function and the local functions it calls use from outside. */
  collect(fn: FunctionValue): void {
    if (this.#seen.has(fn.node)) return;
    this.#seen.add(fn.node);
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node)) this.#identifier(node, fn.env);
      ts.forEachChild(node, visit);
    };
    visit(fn.node);
  }

  #identifier(node: ts.Identifier, env: Env): void {
    const { checker } = this.cx.unit;
    const symbol = ts.isShorthandPropertyAssignment(node.parent)
      ? checker.getShorthandAssignmentValueSymbol(node.parent)
      : checker.getSymbolAtLocation(node);
    if (!symbol || this.known.has(symbol) || this.slots.some((one) => one.symbol === symbol)) return;
    const binding = env.lookup(symbol);
    if (binding) this.#add(symbol, binding, node);
  }

  #add(symbol: ts.Symbol, binding: Binding, node: ts.Identifier): void {
    const slot = this.#slotOf(binding, node);
    if (slot) this.slots.push({ slot, symbol });
    else this.known.set(symbol, binding);
    if (binding.kind === "value" && binding.value.kind === "function") this.collect(binding.value);
  }

  /** null where the binding is known at compile time. */
  #slotOf(binding: Binding, node: ts.Identifier): Slot | null {
    const offset = this.slots.length * SLOT;
    switch (binding.kind) {
      case "int":
        return variableSlot(binding.local, binding.type, { offset, node });
      case "bool":
        return variableSlot(binding.local, BOOL, { offset, node });
      case "memory":
        return referenceSlot(
          (cx) => cx.emit(node).ptradd(binding.base.ptr, binding.base.offset + binding.offset),
          (ptr) => ({ ...binding, base: { ...binding.base, ptr, offset: 0 }, offset: 0 }),
          { offset, node },
        );
      case "ref": {
        const { shape, local } = binding;
        if (this.#assigns(node)) return this.cx.refuse(node, "capturedReference", [node.text]);
        return referenceSlot(
          (cx) => cx.emit(node).get(local),
          (ptr) => ({ kind: "value", value: { kind: "ref", ...shape, ptr, offset: 0, ...freshen(shape.epoch) } }),
          { offset, node },
        );
      }
      case "kernel": {
        const { shape, local } = binding;
        if (this.#assigns(node)) return this.cx.refuse(node, "capturedReference", [node.text]);
        return referenceSlot(
          (cx) => cx.emit(node).get(local),
          (ptr) => ({ kind: "value", value: { ...shape, ptr } }),
          { offset, node },
        );
      }
      default:
        return this.#valueSlot(binding.value, { offset, node });
    }
  }

  #assigns(node: ts.Identifier): boolean {
    const { parent } = node;
    return (
      ts.isBinaryExpression(parent) && parent.left === node && parent.operatorToken.kind === ts.SyntaxKind.EqualsToken
    );
  }

  #valueSlot(value: Value, place: { offset: number; node: ts.Identifier }): Slot | null {
    const { node } = place;
    switch (value.kind) {
      case "int": {
        if (value.const !== undefined) return null;
        const type = value.type ?? (value.big ? INTS.u64 : INTS.u32);
        return valueSlot(
          (cx) => instOf(cx, value, type, node),
          type,
          (inst) => typed(inst, type, value),
          place,
        );
      }
      case "bool":
        if (value.const !== undefined) return null;
        return valueSlot(
          (cx) => boolInst(cx, value, node),
          INTS.u32,
          (inst) => ({ kind: "bool", inst }),
          place,
        );
      case "ref": {
        const { present: _present, ...rest } = value;
        return referenceSlot(
          (cx) => pointerOf(cx, value, node),
          (ptr) => ({ kind: "value", value: { ...rest, ptr, offset: 0, ...freshen(value.epoch) } }),
          place,
        );
      }
      case "kernel":
        return referenceSlot(
          () => value.ptr,
          (ptr) => ({ kind: "value", value: { ...value, ptr } }),
          place,
        );
      case "context":
        return referenceSlot(
          () => value.ptr,
          (ptr) => ({ kind: "value", value: { ...value, ptr } }),
          place,
        );
      case "map": {
        const { inst } = value;
        if (!inst) return null;
        return referenceSlot(
          () => inst,
          (ptr) => ({ kind: "value", value: { ...value, inst: ptr } }),
          place,
        );
      }
      case "record":
      case "list":
      case "maybe":
      case "contextArray":
        return this.cx.refuse(node, "captured", [`'${node.text}' (${describe(value)})`]);
      default:
        return null;
    }
  }
}

/** In the callback the packet's layout is new: what was valid outside is so inside until something moves it. */
function freshen(epoch: number | undefined): { epoch?: number } {
  return epoch === undefined ? {} : { epoch: 0 };
}

interface Place {
  readonly offset: number;
  readonly node: ts.Node;
}

function slotOptions(base: RefValue, place: Place, size: 1 | 2 | 4 | 8) {
  return { size, offset: base.offset + place.offset, space: base.space, align: 8 } as const;
}

function valueSlot(inst: (cx: Cx) => Inst, type: IntT, value: (inst: Inst) => Value, place: Place): Slot {
  const size = type.bits === 64 ? 8 : 4;
  return {
    save: (cx, base) => cx.emit(place.node).store(base.ptr, inst(cx), slotOptions(base, place, size)),
    receive: (cx, base) => {
      const loaded = cx.emit(place.node).load(base.ptr, slotOptions(base, place, size));
      return { kind: "value", value: value(loaded) };
    },
    restore: () => undefined,
  };
}

function referenceSlot(pointer: (cx: Cx) => Inst, binding: (ptr: Inst) => Binding, place: Place): Slot {
  return {
    save: (cx, base) => cx.emit(place.node).store(base.ptr, pointer(cx), slotOptions(base, place, 8)),
    receive: (cx, base) => binding(cx.emit(place.node).load(base.ptr, { ...slotOptions(base, place, 8), type: "ptr" })),
    restore: () => undefined,
  };
}

/** A variable lives in its slot while the callback may run. */
function variableSlot(local: Parameters<FunctionBuilder["get"]>[0], type: IntT | typeof BOOL, place: Place): Slot {
  const size = type.kind === "bool" ? 1 : ((type.bits / 8) as 1 | 2 | 4 | 8);
  return {
    save: (cx, base) => {
      const b = cx.emit(place.node);
      b.store(base.ptr, b.get(local), slotOptions(base, place, size));
    },
    receive: (_cx, base) => ({ kind: "memory", base, offset: place.offset, type }),
    restore: (cx, base) => {
      const b = cx.emit(place.node);
      const signed = type.kind === "int" && type.signed;
      b.set(local, b.load(base.ptr, { ...slotOptions(base, place, size), signed }));
    },
  };
}

function captureArea(cx: Cx, count: number, node: ts.Node): RefValue {
  const type: ArrayT = { kind: "array", name: "captures", element: INTS.u64, length: count };
  const ptr = cx.emit(node).stack(count * SLOT, 8, "captures");
  return { kind: "ref", type, ptr, offset: 0, space: "stack", align: 8, nullable: false };
}

interface Compiled {
  readonly name: string;
  readonly captures: Captures;
}

function compileCallback(cx: Cx, fn: FunctionValue, spec: CallbackSpec, node: ts.Node): Compiled {
  if (cx.inlining.includes(fn.node)) cx.refuse(node, "recursion", [fn.name]);
  const captures = new Captures(cx, node);
  captures.collect(fn);
  const [first] = captures.slots;
  if (first && spec.captures === null) cx.refuse(node, spec.capturesProblem ?? "capturesLater", [first.symbol.name]);
  const name = freeName(cx, fn.name === "callback" ? `${cx.emit(node).function.name}_callback` : fn.name);
  const file = fn.node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(fn.node.getStart(file));
  const typeId = cx.unit.functionType({
    name,
    params: spec.parameters.map((one) => ({ name: one.name, type: one.shape })),
    returns: INTS.i64,
    linkage: "static",
  });
  const builder = new FunctionBuilder({
    name,
    params: spec.parameters.map((one) => ({ name: one.name, type: one.type })),
    returns: "i64",
    typeId,
    inline: "never",
    loc: { file: file.fileName, line: line + 1, column: character + 1 },
  });
  cx.unit.subprograms.set(`callback ${name}`, { name, returns: INTS.i64, moves: false, linear: 0 });
  lowerCallback(cx, fn, { spec, captures, builder });
  return { name, captures };
}

/** Local functions see the captured variables in their slots, too. */
function captureEnv(inner: Cx, parts: { spec: CallbackSpec; captures: Captures }): Env {
  const { spec, captures } = parts;
  const env = new Env(null);
  for (const [symbol, binding] of captures.known) {
    const { kind } = binding;
    const isFunction = kind === "value" && binding.value.kind === "function";
    env.declare(symbol, isFunction ? { kind, value: { ...(binding.value as FunctionValue), env } } : binding);
  }
  if (spec.captures !== null && captures.slots.length > 0) {
    const ptr = inner.emit(captures.node).param(spec.captures);
    const type: ArrayT = { kind: "array", name: "captures", element: INTS.u64, length: captures.slots.length };
    const base: RefValue = { kind: "ref", type, ptr, offset: 0, space: "stack", align: 8, nullable: false };
    for (const { slot, symbol } of captures.slots) env.declare(symbol, slot.receive(inner, base));
  }
  return env;
}

function lowerCallback(
  cx: Cx,
  fn: FunctionValue,
  parts: { spec: CallbackSpec; captures: Captures; builder: FunctionBuilder },
): void {
  const { spec, builder } = parts;
  const entry = builder.current;
  const inner = new Cx(cx.unit, cx.lower, builder, new Env(null));
  inner.program = cx.program;
  inner.inlining = [...cx.inlining, fn.node];
  inner.frame = { sites: null, returns: null, name: fn.name, node: fn.node, callback: true };
  builder.at(builder.block("body"));
  const start = builder.current;
  inner.env = new Env(captureEnv(inner, parts));
  const params = spec.parameters.map((_, index) => builder.param(index));
  const values = spec.bind(inner, params);
  fn.node.parameters.forEach((parameter, index) => {
    declareTarget(inner, parameter.name, values[index] ?? UNDEFINED, null);
  });
  const { body } = fn.node;
  if (body && ts.isBlock(body)) {
    inner.lower.statements(inner, body.statements);
    if (!inner.dead) returnValue(inner, UNDEFINED, body);
  } else if (body) {
    const value = inner.lower.value(inner, body);
    if (!inner.dead) returnValue(inner, value.kind === "bool" ? value : UNDEFINED, body);
  }
  builder.at(entry).jump(start);
  cx.linear = Math.max(cx.linear, inner.linear);
  if (inner.moves) cx.movePacket(fn.name);
  cx.unit.functions.push(finishFunction(builder));
}

/** Calls a helper with a closure. */
export function withCallback(cx: Cx, fn: FunctionValue, spec: CallbackSpec, node: ts.Node): Value {
  const { name, captures } = compileCallback(cx, fn, spec, node);
  const b = cx.emit(node);
  const count = captures.slots.length;
  const area = count > 0 ? captureArea(cx, count, node) : null;
  if (area) for (const { slot } of captures.slots) slot.save(cx, area);
  const result = spec.call(cx, b.functionAddress(name), area ? area.ptr : b.null());
  if (area) for (const { slot } of captures.slots) slot.restore(cx, area);
  return result;
}
