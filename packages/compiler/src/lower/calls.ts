/**
 * @module
 * Calls: conversions, methods, builtins, and functions, which are inlined where they are called.
 */
import ts from "typescript";
import { PROGRAM_KINDS } from "@skep/bpf";
import { KPROBE_ARGUMENTS } from "../contexts.ts";
import { declareBuiltin, isDeclaration } from "../declarations.ts";
import { INTS, sizeOf, type MemoryType } from "../types.ts";
import { describe, Env, UNDEFINED, type ContextValue, type FunctionValue, type Value } from "../values.ts";
import { callAtomic, isAtomic } from "./atomics.ts";
import { variableBinding } from "./bindings.ts";
import { excerpt, type Cx, type Frame, type Site } from "./cx.ts";
import { declaredTypeOf, declareTarget, fitDeclared, isAssigned } from "./declare.ts";
import { callHelper, isHelper } from "./helpers.ts";
import { convert, typed } from "./ints.ts";
import { joinSites } from "./join.ts";
import { callbackBuiltin, drainRing, forEachElement } from "./loops.ts";
import { kernelBuiltin } from "./kernel.ts";
import { symbolBuiltin } from "./kernel-variables.ts";
import { callKfunc } from "./kfuncs.ts";
import { dynptrBuiltin, dynptrMethod, isDynptr } from "./dynptr.ts";
import { guardBuiltin } from "./guards.ts";
import { iteratorBuiltin } from "./iterators.ts";
import { mapMethod } from "./maps.ts";
import { objectBuiltin } from "./objects.ts";
import { printerBuiltin } from "./printk.ts";
import { asInt, stackRef, zeroRef } from "./memory.ts";
import { header, metadata } from "./packet.ts";
import { isOutlined } from "./outline.ts";
import { callSubprogram } from "./subprograms.ts";

// ---- functions ----

/** The value of a parameter: the argument, or its default. */
function parameterValue(cx: Cx, parameter: ts.ParameterDeclaration, given: Value | undefined): Value {
  if (given !== undefined && given.kind !== "undefined") return given;
  if (parameter.initializer) return cx.lower.value(cx, parameter.initializer);
  return UNDEFINED;
}

function bindParameters(cx: Cx, fn: FunctionValue, args: readonly Value[], node: ts.Node): void {
  fn.node.parameters.forEach((parameter, index) => {
    if (parameter.dotDotDotToken) {
      declareTarget(cx, parameter.name, { kind: "list", elements: args.slice(index) }, null);
      return;
    }
    const declared = declaredTypeOf(cx, parameter.type);
    const at = ts.isCallExpression(node) ? (node.arguments[index] ?? node) : node;
    const value = fitDeclared(cx, parameterValue(cx, parameter, args[index]), declared, at);
    if (ts.isIdentifier(parameter.name) && isAssigned(cx, parameter.name)) {
      cx.declare(parameter.name, variableBinding(cx, parameter.name.text, value, at, declared?.type));
    } else declareTarget(cx, parameter.name, value, null);
  });
}

/** Lowers a body; every return ends in a site. */
function lowerBody(cx: Cx, fn: FunctionValue, frame: Frame): void {
  const { body } = fn.node;
  if (!body) return cx.refuse(fn.node, "notCallable", [describe(fn)]);
  if (ts.isBlock(body)) {
    cx.lower.statements(cx, body.statements);
    if (!cx.dead) frame.sites?.push({ block: cx.emit(body).current, value: UNDEFINED, node: body, epoch: cx.epoch });
    return;
  }
  cx.at(body);
  const value = fitDeclared(cx, cx.lower.value(cx, body, frame.returns?.type), frame.returns, body);
  if (!cx.dead) frame.sites?.push({ block: cx.emit(body).current, value, node: body, epoch: cx.epoch });
}

/** The function's code in the caller's place. */
export function inlineFunction(cx: Cx, fn: FunctionValue, args: readonly Value[], node: ts.Node): Value {
  if (cx.inlining.includes(fn.node)) return cx.refuse(node, "recursion", [fn.name]);
  const sites: Site[] = [];
  const returns = declaredTypeOf(cx, fn.node.type);
  const frame: Frame = { sites, returns, name: fn.name, node: fn.node };
  const outer = {
    env: cx.env,
    frame: cx.frame,
    loops: cx.loops,
    finallies: cx.finallies,
    outerFinallies: cx.outerFinallies,
    loc: cx.builder?.loc,
  };
  cx.outerFinallies = [...cx.outerFinallies, ...cx.finallies];
  cx.env = new Env(fn.env);
  cx.loops = [];
  cx.finallies = [];
  cx.inlining.push(fn.node);
  cx.stack.enter();
  let keeps = true;
  try {
    bindParameters(cx, fn, args, node);
    cx.frame = frame;
    if (cx.builder === null) return constantCall(cx, fn, node);
    lowerBody(cx, fn, frame);
    keeps = sites.some((site) => mayRefer(site.value));
  } finally {
    cx.stack.leave(keeps);
    cx.inlining.pop();
    cx.env = outer.env;
    cx.frame = outer.frame;
    cx.loops = outer.loops;
    cx.finallies = outer.finallies;
    cx.outerFinallies = outer.outerFinallies;
    if (cx.builder) cx.builder.loc = outer.loc;
  }
  const type = returns?.kind === "memory" ? returns.type : undefined;
  return joinSites(cx, sites, type ? { node, expected: type } : { node });
}

/** Whether a value may be a reference to the stack, or hold one. */
function mayRefer(value: Value): boolean {
  switch (value.kind) {
    case "int":
    case "bool":
    case "null":
    case "undefined":
    case "maybe":
      return false;
    case "ref":
      return value.space !== "map" && value.space !== "packet" && value.space !== "data";
    default:
      return true;
  }
}

/** At the top level a function is one expression. */
function constantCall(cx: Cx, fn: FunctionValue, node: ts.Node): Value {
  const { body } = fn.node;
  if (body && !ts.isBlock(body)) return cx.lower.value(cx, body);
  const [only] = body && ts.isBlock(body) ? body.statements : [];
  if (only && ts.isReturnStatement(only) && only.expression) return cx.lower.value(cx, only.expression);
  return cx.refuse(node, "notConstant", [excerpt(node)]);
}

function callFunction(cx: Cx, fn: FunctionValue, node: ts.CallExpression): Value {
  const args = argumentValues(cx, fn, node);
  if (cx.dead) return UNDEFINED;
  const called = cx.builder !== null && (fn.subprogram || isOutlined(cx, fn, args));
  return called ? callSubprogram(cx, fn, args, node) : inlineFunction(cx, fn, args, node);
}

function argumentValues(cx: Cx, fn: FunctionValue, node: ts.CallExpression): Value[] {
  const values: Value[] = [];
  node.arguments.forEach((argument, index) => {
    if (ts.isSpreadElement(argument)) {
      const list = cx.lower.value(cx, argument.expression);
      if (list.kind !== "list") cx.refuse(argument, "notIterable", [describe(list)]);
      values.push(...list.elements);
      return;
    }
    const parameter = fn.node.parameters[index];
    const declared = parameter ? declaredTypeOf(cx, parameter.type) : null;
    values.push(cx.lower.value(cx, argument, declared?.kind === "memory" ? declared.type : undefined));
  });
  return values;
}

// ---- conversions and methods ----

/** `u32(x)`: cut or widened. */
function conversion(cx: Cx, type: MemoryType, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  if (type.kind !== "int" || !argument) return cx.refuse(node, "notCallable", [`the type ${type.name}`]);
  const host = type.bigEndian ? HOST[type.bits] : type;
  return convert(cx, asInt(cx, cx.lower.value(cx, argument), argument), host, node);
}

const HOST = { 8: INTS.u8, 16: INTS.u16, 32: INTS.u32, 64: INTS.u64 } as const;

/** `T.zero()`: a value of zeros on the stack. */
function zero(cx: Cx, type: MemoryType, node: ts.CallExpression): Value {
  if (type.kind !== "struct" && type.kind !== "union") return cx.refuse(node, "notCallable", ["zero"]);
  const ref = stackRef(cx, type, node);
  zeroRef(cx, ref, node);
  return ref;
}

function constantIndex(cx: Cx, node: ts.Expression | undefined, call: ts.Node): number {
  if (!node) return cx.refuse(call, "notConstant", ["the index"]);
  const value = asInt(cx, cx.lower.value(cx, node), node);
  if (value.const === undefined) return cx.refuse(node, "notConstant", [excerpt(node)]);
  return Number(value.const);
}

function contextMethod(cx: Cx, context: ContextValue, name: string, node: ts.CallExpression): Value {
  if (name === "header") return header(cx, context, node);
  if (name === "metadata") return metadata(cx, context, node);
  const b = cx.emit(node);
  if (name === "arg") {
    const index = constantIndex(cx, node.arguments[0], node);
    const isProbe = PROGRAM_KINDS[context.program]?.context === "KprobeContext";
    const offset = isProbe ? KPROBE_ARGUMENTS[index] : index * 8;
    if (offset === undefined || index < 0)
      return cx.refuse(node, "outOfRange", [String(index), String(KPROBE_ARGUMENTS.length)]);
    return typed(b.load(context.ptr, { size: 8, offset, space: "ctx" }), INTS.u64);
  }
  if (name === "read") {
    const [typeNode, offsetNode] = node.arguments;
    const type = typeNode ? cx.lower.value(cx, typeNode) : UNDEFINED;
    if (type.kind !== "type" || type.type.kind !== "int") return cx.refuse(node, "wantsInteger", ["the type"]);
    const offset = constantIndex(cx, offsetNode, node);
    const size = sizeOf(type.type) as 1 | 2 | 4 | 8;
    return typed(b.load(context.ptr, { size, signed: type.type.signed, offset, space: "ctx" }), type.type);
  }
  return cx.refuse(node, "noMember", ["the context", name]);
}

function method(cx: Cx, target: Extract<Value, { kind: "method" }>, node: ts.CallExpression): Value {
  const { object, name } = target;
  if (object.kind === "map")
    return name === "forEach"
      ? forEachElement(cx, object, node)
      : name === "drain"
        ? drainRing(cx, object, node)
        : mapMethod(cx, object, name, node);
  if (object.kind === "context") return contextMethod(cx, object, name, node);
  if (object.kind === "ref" && isDynptr(object)) return dynptrMethod(cx, object, name, node);
  if (object.kind === "type" && name === "zero") return zero(cx, object.type, node);
  return cx.refuse(node, "notCallable", [name]);
}

// ---- builtins ----

function range(cx: Cx, node: ts.CallExpression): Value {
  const ints = node.arguments.map((argument) => asInt(cx, cx.lower.value(cx, argument, INTS.u32), argument));
  const [first, second] = ints;
  if (!first) return cx.refuse(node, "wantsInteger", ["range()"]);
  const start = { kind: "int", type: null, big: false, const: 0n, min: 0n, max: 0n } as const;
  return second ? { kind: "range", from: first, to: second } : { kind: "range", from: start, to: first };
}

function subprogramOf(cx: Cx, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const run = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (run.kind !== "function") return cx.refuse(node, "notCallable", [describe(run)]);
  const { parent } = node;
  const name = ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name) ? parent.name.text : run.name;
  return { ...run, name, subprogram: true };
}

function builtin(cx: Cx, name: string, node: ts.CallExpression): Value {
  if (isDeclaration(name)) {
    if (cx.builder !== null) return cx.refuse(node, "programPlace", [name]);
    return declareBuiltin(cx, name, node);
  }
  if (isHelper(name)) return callHelper(cx, name, node);
  if (isAtomic(name)) return callAtomic(cx, name, node);
  const calling =
    callbackBuiltin(name) ??
    objectBuiltin(name) ??
    symbolBuiltin(name) ??
    kernelBuiltin(name) ??
    dynptrBuiltin(name) ??
    iteratorBuiltin(name) ??
    printerBuiltin(name) ??
    guardBuiltin(name);
  if (calling) return calling(cx, node);
  if (name === "range") return range(cx, node);
  if (name === "subprogram") return subprogramOf(cx, node);
  return cx.refuse(node, "notCallableSo", [name]);
}

/** `known`: what is called, where that was found out already. */
export function lowerCall(cx: Cx, node: ts.CallExpression, known?: Value): Value {
  const callee = known ?? cx.lower.value(cx, node.expression);
  switch (callee.kind) {
    case "function":
      return callFunction(cx, callee, node);
    case "builtin":
      return builtin(cx, callee.name, node);
    case "kfunc":
      return callKfunc(cx, callee, node);
    case "type":
      return conversion(cx, callee.type, node);
    case "method":
      return method(cx, callee, node);
    case "poison":
      return callee;
    default:
      return cx.refuse(node, "notCallable", [describe(callee)]);
  }
}
