/**
 * @module
 * Where several ways meet (`?:`, `&&`, `??`, the returns of an inlined function): one value out of what each brings.
 */
import type ts from "typescript";
import type { Local } from "@skep/ir";
import { INTS, type IntT, type MemoryType } from "../types.ts";
import {
  constInt,
  describe,
  UNDEFINED,
  type Binding,
  type IntValue,
  type KernelValue,
  type RefValue,
  type Value,
} from "../values.ts";
import { pointerOf, readBinding } from "./bindings.ts";
import { coerce, convert, defaultType, instOf, typed } from "./ints.ts";
import { boolInst } from "./memory.ts";
import { conditionInst, type Cx, type Site } from "./cx.ts";

/** How the values of all sites become one. */
interface Plan {
  /** Sets the locals, at the end of the site's block. */
  assign(value: Value, node: ts.Node): void;
  result(): Value;
}

const isAbsent = (value: Value): boolean => value.kind === "null" || value.kind === "undefined";

/** A type for all: literals take the type of the others. */
function commonInt(cx: Cx, values: readonly IntValue[], expected: IntT | null, node: ts.Node): IntT {
  if (expected) return expected;
  const [first, ...rest] = values;
  if (!first) return INTS.u32;
  return defaultType(rest.reduce((best, value) => moreGeneral(cx, best, value, node), first));
}

function moreGeneral(cx: Cx, a: IntValue, b: IntValue, node: ts.Node): IntValue {
  if (a.type === null && b.type === null) {
    const [min, max] = [a.min < b.min ? a.min : b.min, a.max > b.max ? a.max : b.max];
    return { kind: "int", type: null, big: a.big || b.big, min, max };
  }
  if (a.type === null) return b;
  return b.type === null || b.type === a.type ? a : wider(cx, a, b, node);
}

function wider(cx: Cx, a: IntValue, b: IntValue, node: ts.Node): IntValue {
  const [left, right] = [defaultType(a), defaultType(b)];
  if ((left.bits === 64) !== (right.bits === 64)) cx.refuse(node, "mixedKinds", [left.name, right.name]);
  if (left.signed === right.signed) return left.bits >= right.bits ? a : b;
  const [signed, unsigned] = left.signed ? [a, b] : [b, a];
  if (defaultType(signed).bits > defaultType(unsigned).bits) return signed;
  return cx.refuse(node, "mixedSigns", [left.name, right.name]);
}

function planInt(cx: Cx, values: readonly IntValue[], expected: IntT | null, node: ts.Node): Plan {
  const literal = expected === null && values.every((value) => value.type === null);
  const type = commonInt(cx, values, expected, node);
  const local = cx.emit(node).local("value", type.bits === 64 ? "i64" : "i32");
  const min = values.map((value) => value.min).reduce((a, b) => (a < b ? a : b));
  const max = values.map((value) => value.max).reduce((a, b) => (a > b ? a : b));
  return {
    assign: (value, at) => {
      const int = coerce(cx, value as IntValue, type, at);
      cx.emit(at).set(local, instOf(cx, int, type, at));
    },
    result: () => {
      const value = typed(cx.emit(node).get(local), type, { min, max, soft: true });
      // Literals alone stay without a type of their own.
      return literal ? { ...value, type: null } : value;
    },
  };
}

function planBool(cx: Cx, node: ts.Node): Plan {
  const local = cx.emit(node).local("flag", "i32");
  return {
    assign: (value, at) => {
      if (value.kind !== "bool") cx.refuse(at, "wantsType", [describe(value), "bool"]);
      cx.emit(at).set(local, boolInst(cx, value, at));
    },
    result: () => ({ kind: "bool", inst: cx.emit(node).get(local) }),
  };
}

function planRef(cx: Cx, values: readonly Value[], node: ts.Node): Plan {
  const refs = values.filter((value): value is RefValue => value.kind === "ref");
  const [first] = refs;
  if (!first) throw new Error("no reference among the references");
  const other = refs.find((ref) => ref.type !== first.type);
  if (other) cx.refuse(node, "cannotJoin", [describe(first), describe(other)]);
  const local = cx.emit(node).local("reference", "ptr");
  const space = refs.every((ref) => ref.space === first.space) ? first.space : "unknown";
  const epochs = refs.flatMap((ref) => (ref.epoch === undefined ? [] : [ref.epoch]));
  return {
    assign: (value, at) => {
      const ptr = value.kind === "ref" ? pointerOf(cx, value, at) : cx.emit(at).null();
      cx.emit(at).set(local, ptr);
    },
    result: () => ({
      kind: "ref",
      type: first.type,
      ptr: cx.emit(node).get(local),
      offset: 0,
      space,
      align: Math.min(...refs.map((ref) => ref.align)),
      nullable: values.some((value) => value.kind !== "ref" || value.nullable),
      ...(epochs.length > 0 ? { epoch: Math.min(...epochs) } : {}),
      ...(refs.some((ref) => ref.readOnly) ? { readOnly: true } : {}),
    }),
  };
}

function planKernel(cx: Cx, values: readonly Value[], node: ts.Node): Plan {
  const pointers = values.filter((value): value is KernelValue => value.kind === "kernel");
  const [first] = pointers;
  if (!first) throw new Error("no pointer among the pointers");
  const other = pointers.find((one) => one.root !== first.root || one.path.length > 0);
  if (other) cx.refuse(node, "cannotJoin", [describe(first), describe(other)]);
  const local = cx.emit(node).local("pointer", "ptr");
  return {
    assign: (value, at) => {
      const b = cx.emit(at);
      b.set(local, value.kind === "kernel" ? value.ptr : b.null());
    },
    result: () => ({
      ...first,
      ptr: cx.emit(node).get(local),
      trusted: pointers.every((one) => one.trusted),
      nullable: values.some((value) => value.kind !== "kernel" || value.nullable),
    }),
  };
}

/** Integers or booleans of which some may be absent. */
function planMaybe(cx: Cx, values: readonly Value[], expected: IntT | null, node: ts.Node): Plan {
  const inner = values.flatMap((value) => (isAbsent(value) ? [] : [value.kind === "maybe" ? value.value : value]));
  const plan = makePlan(cx, inner, expected, node);
  const flag: Local = cx.emit(node).local("present", "i32");
  const filler = fillerOf(inner);
  return {
    assign: (value, at) => {
      const b = cx.emit(at);
      if (value.kind === "maybe") b.set(flag, conditionInst(cx, value.present, at));
      else b.set(flag, b.i32(isAbsent(value) ? 0 : 1));
      plan.assign(isAbsent(value) ? filler : value.kind === "maybe" ? value.value : value, at);
    },
    result: () => {
      const b = cx.emit(node);
      return { kind: "maybe", present: { predicate: "ne", a: b.get(flag), b: b.i32(0) }, value: plan.result() };
    },
  };
}

/** What stands in a variable while its value is absent. */
function fillerOf(values: readonly Value[]): Value {
  const [first] = values;
  if (first?.kind === "bool") return { kind: "bool", const: false };
  if (first?.kind === "int") return constInt(0n, first.type, first.big);
  return UNDEFINED;
}

function planRecord(cx: Cx, values: readonly Value[], node: ts.Node): Plan {
  const records = values.map((value) => {
    if (value.kind !== "record") return cx.refuse(node, "cannotJoin", ["an object", describe(value)]);
    return value;
  });
  const [first] = records;
  if (!first) throw new Error("no object among the objects");
  const names = [...first.fields.keys()];
  const plans = names.map((name) => {
    const bindings = records.map(
      (record) => record.fields.get(name) ?? cx.refuse(node, "noMember", ["an object", name]),
    );
    return makePlan(
      cx,
      bindings.map((binding) => peek(binding)),
      null,
      node,
    );
  });
  return {
    assign: (value, at) => {
      if (value.kind !== "record") return;
      names.forEach((name, index) => {
        const binding = value.fields.get(name);
        if (binding) plans[index]?.assign(readBinding(cx, binding, at), at);
      });
    },
    result: () => ({
      kind: "record",
      node: first.node,
      fields: new Map(
        names.map((name, index): [string, Binding] => [
          name,
          { kind: "value", value: plans[index]?.result() ?? UNDEFINED },
        ]),
      ),
    }),
  };
}

/** Lists of one length, such as the tuples that a function gives. */
function planList(cx: Cx, values: readonly Value[], node: ts.Node): Plan {
  const lists = values.flatMap((value) => (value.kind === "list" ? [value] : []));
  const [first] = lists;
  const other = lists.find((list) => list.elements.length !== first?.elements.length);
  if (!first || other) return cx.refuse(node, "cannotJoin", ["a list", "a list of another length"]);
  const plans = first.elements.map((_, at) =>
    makePlan(
      cx,
      lists.map((list) => list.elements[at] ?? UNDEFINED),
      null,
      node,
    ),
  );
  return {
    assign: (value, at) => {
      if (value.kind === "list") value.elements.forEach((one, index) => plans[index]?.assign(one, at));
    },
    result: () => ({ kind: "list", elements: plans.map((plan) => plan.result()) }),
  };
}

/** What a field holds, as far as planning needs it, without reading it. */
function peek(binding: Binding): Value {
  if (binding.kind === "value") return binding.value;
  if (binding.kind === "bool") return { kind: "bool" };
  if (binding.kind === "memory")
    return binding.type.kind === "bool" ? { kind: "bool" } : { ...constInt(0n, binding.type), min: -1n, max: 1n };
  if (binding.kind === "int") return { ...constInt(0n, binding.type), min: -1n, max: 1n };
  throw new Error("a reference in an object that joins");
}

function makePlan(cx: Cx, values: readonly Value[], expected: IntT | null, node: ts.Node): Plan {
  const some = values.filter((value) => !isAbsent(value));
  const [first] = some;
  if (first === undefined) {
    const value = values[0] ?? UNDEFINED;
    return { assign: () => undefined, result: () => value };
  }
  if (some.every((value) => value.kind === "ref")) return planRef(cx, values, node);
  if (some.every((value) => value.kind === "kernel")) return planKernel(cx, values, node);
  if (some.length < values.length || some.some((value) => value.kind === "maybe")) {
    return planMaybe(cx, values, expected, node);
  }
  if (some.every((value) => value.kind === "int")) return planInt(cx, some as IntValue[], expected, node);
  if (some.every((value) => value.kind === "bool")) return planBool(cx, node);
  if (some.every((value) => value.kind === "record")) return planRecord(cx, some, node);
  if (some.every((value) => value.kind === "list")) return planList(cx, some, node);
  if (some.every((value) => value === first || sameConstant(value, first))) {
    return { assign: () => undefined, result: () => first };
  }
  const other = some.find((value) => value.kind !== first.kind) ?? some[1] ?? first;
  return cx.refuse(node, "cannotJoin", [describe(first), describe(other)]);
}

function sameConstant(a: Value, b: Value): boolean {
  if (a.kind === "map" && b.kind === "map") return a.map === b.map && a.inst === undefined && b.inst === undefined;
  return a.kind === "string" && b.kind === "string" && a.text === b.text;
}

/**
 * Goes on where all sites meet, with their common value. Each site's block is open; after a single one the code just goes on there.
 */
export function joinSites(cx: Cx, sites: readonly Site[], options: { node: ts.Node; expected?: MemoryType }): Value {
  const { node } = options;
  const b = cx.emit(node);
  const [only] = sites;
  if (only === undefined) {
    cx.dead = true;
    b.at(b.block("never"));
    return UNDEFINED;
  }
  joinEpochs(cx, sites);
  cx.dead = false;
  if (sites.length === 1) {
    b.at(only.block);
    const { value } = only;
    if (options.expected?.kind === "int" && value.kind === "int")
      return convertIfTyped(cx, value, options.expected, node);
    return value;
  }
  const expected = options.expected?.kind === "int" ? options.expected : null;
  const plan = makePlan(
    cx,
    sites.map((site) => site.value),
    expected,
    node,
  );
  const join = b.block("join");
  for (const site of sites) {
    b.at(site.block);
    plan.assign(site.value, site.node);
    b.jump(join);
  }
  b.at(join);
  return plan.result();
}

function convertIfTyped(cx: Cx, value: IntValue, type: IntT, node: ts.Node): IntValue {
  const fitting = coerce(cx, value, type, node);
  return fitting.const === undefined ? convert(cx, fitting, type, node) : fitting;
}

/** The packet has moved after the join where it has moved on any of the ways. */
function joinEpochs(cx: Cx, sites: readonly { readonly epoch: number }[]): void {
  mergeEpochs(
    cx,
    sites.map((site) => site.epoch),
  );
}

export function mergeEpochs(cx: Cx, epochs: readonly number[]): void {
  const [first] = epochs;
  if (first === undefined) return;
  const last = Math.max(...epochs);
  if (epochs.every((epoch) => cx.isFresh(epoch, last))) cx.epoch = last;
  // What was good before the ways parted, and on each of them, is good behind them.
  else cx.newEpoch(cx.commonEpoch(epochs));
}
