/**
 * @module
 * Functions that are functions of the program too: compiled once for each kind of memory that they are called with.
 */
import ts from "typescript";
import { FunctionBuilder, type Inst, type ValueType } from "@skep/ir";
import { contextShape } from "../contexts.ts";
import { finishFunction } from "../finish.ts";
import { alignOf, INTS, type MemoryType } from "../types.ts";
import { describe, Env, UNDEFINED, type FunctionValue, type Value } from "../values.ts";
import { pointerOf, variableBinding } from "./bindings.ts";
import { Cx, type DeclaredType, type FunctionShape, type Subprogram } from "./cx.ts";
import { declaredTypeOf, declareTarget, fitDeclared, isAssigned } from "./declare.ts";
import { convert, instOf, typedSoft } from "./ints.ts";
import { asBool, asInt, boolInst, present } from "./memory.ts";
import { returnValue } from "./statements.ts";

const MAX_PARAMETERS = 5;

/** One parameter, by the argument that it is first called with. */
export interface Parameter {
  readonly node: ts.ParameterDeclaration;
  readonly name: string;
  readonly type: ValueType;
  readonly shape: FunctionShape["params"][number]["type"];
  /** What tells two compilations apart. */
  readonly key: string;
  /** The argument, evaluated in the caller. */
  pass(cx: Cx): Inst;
  /** A list's: its length is a second parameter of the function. */
  readonly isList?: boolean;
  /** The value that the body sees. */
  receive(inst: Inst, length?: Inst): Value;
}

function parameterOf(cx: Cx, node: ts.ParameterDeclaration, given: Value, at: ts.Node): Parameter {
  const declared = declaredTypeOf(cx, node.type);
  const name = ts.isIdentifier(node.name) ? node.name.text : "argument";
  const value = fitDeclared(cx, given, declared, at);
  const shown = present(value);
  switch (shown.kind) {
    case "int": {
      const type = declared?.type?.kind === "int" ? declared.type : (shown.type ?? (shown.big ? INTS.u64 : INTS.u32));
      return {
        node,
        name,
        type: type.bits === 64 ? "i64" : "i32",
        shape: type,
        key: type.name,
        pass: (from) => instOf(from, convert(from, asInt(from, shown, at), type, at), type, at),
        receive: (inst) => typedSoft(inst, type),
      };
    }
    case "bool":
      return {
        node,
        name,
        type: "i32",
        shape: INTS.u32,
        key: "bool",
        pass: (from) => boolInst(from, asBool(from, shown, at), at),
        receive: (inst) => ({ kind: "bool", inst }),
      };
    case "context":
      return {
        node,
        name,
        type: "ptr",
        shape: { pointer: contextShape(shown.program)?.struct ?? "void" },
        key: shown.program,
        pass: () => shown.ptr,
        receive: (inst) => ({ ...shown, ptr: inst }),
      };
    case "ref": {
      const align = Math.min(shown.align, alignOf(shown.type));
      const { present: _present, ...rest } = shown;
      return {
        node,
        name,
        type: "ptr",
        shape: { to: shown.type },
        key: `${shown.type.name} ${shown.space} ${shown.nullable} ${align}`,
        pass: (from) => pointerOf(from, shown, at),
        receive: (inst) => ({
          ...rest,
          ptr: inst,
          offset: 0,
          align,
          ...(shown.epoch === undefined ? {} : { epoch: 0 }),
        }),
      };
    }
    default:
      return cx.refuse(at, "subprogramParameter", [describe(value)]);
  }
}

export function returnType(cx: Cx, fn: FunctionValue, declared: DeclaredType | null): MemoryType | null {
  if (!declared || declared.kind === "void") return null;
  const { type } = declared;
  if (type && (type.kind === "int" || type.kind === "bool")) return type;
  return cx.refuse(fn.node, "subprogramParameter", ["a result that is no integer or boolean"]);
}

function valueType(type: MemoryType | null): ValueType | undefined {
  if (type === null) return undefined;
  return type.kind === "int" && type.bits === 64 ? "i64" : "i32";
}

export function freeName(cx: Cx, wanted: string): string {
  const taken = new Set(cx.unit.functions.map((one) => one.name));
  for (const program of cx.unit.programs.values()) taken.add(program.name);
  for (const known of cx.unit.subprograms.values()) taken.add(known.name);
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}_${count}`;
  return name;
}

/** Compiles the body behind `known`. */
export function compileBody(cx: Cx, fn: FunctionValue, parameters: readonly Parameter[], known: Subprogram): void {
  const declared = declaredTypeOf(cx, fn.node.type);
  const file = fn.node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(fn.node.getStart(file));
  const flat = parameters.flatMap((one): readonly Pick<Parameter, "name" | "type" | "shape">[] =>
    one.isList ? [one, { name: `${one.name}Length`, type: "i32", shape: INTS.u32 }] : [one],
  );
  const typeId = cx.unit.functionType({
    name: known.name,
    params: flat.map((parameter) => ({ name: parameter.name, type: parameter.shape })),
    returns: known.returns,
    linkage: "static",
  });
  const builder = new FunctionBuilder({
    name: known.name,
    params: flat.map((parameter) => ({ name: parameter.name, type: parameter.type })),
    returns: valueType(known.returns),
    typeId,
    inline: "never",
    loc: { file: file.fileName, line: line + 1, column: character + 1 },
  });
  const entry = builder.current;
  const start = builder.block("body");
  const inner = new Cx(cx.unit, cx.lower, builder, new Env(fn.env));
  inner.program = cx.program;
  inner.inlining = [...cx.inlining, fn.node];
  inner.frame = { sites: null, returns: declared, name: fn.name, node: fn.node };
  builder.at(start);
  let next = 0;
  parameters.forEach((parameter) => {
    const inst = builder.param(next++);
    const value = parameter.isList ? parameter.receive(inst, builder.param(next++)) : parameter.receive(inst);
    if (value.kind === "context") inner.context = value;
    const { name } = parameter.node;
    if (ts.isIdentifier(name) && isAssigned(inner, name)) {
      inner.declare(name, variableBinding(inner, name.text, value, name));
    } else declareTarget(inner, name, value, null);
  });
  const { body } = fn.node;
  if (!body) return cx.refuse(fn.node, "notCallable", [describe(fn)]);
  if (ts.isBlock(body)) {
    inner.lower.statements(inner, body.statements);
    if (!inner.dead) returnValue(inner, UNDEFINED, body);
  } else {
    const value = fitDeclared(inner, inner.lower.value(inner, body, declared?.type), declared, body);
    if (!inner.dead) returnValue(inner, value, body);
  }
  builder.at(entry).jump(start);
  known.moves = inner.moves;
  known.linear = inner.linear;
  cx.unit.functions.push(finishFunction(builder));
}

/** Tells functions apart; stays the same where what stands before changes its length alone. */
function placeOf(node: ts.Node): string {
  const file = node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file));
  return `${file.fileName}:${line}:${character}`;
}

export function callSubprogram(cx: Cx, fn: FunctionValue, args: readonly Value[], node: ts.CallExpression): Value {
  if (cx.inlining.includes(fn.node)) return cx.refuse(node, "recursion", [fn.name]);
  if (fn.node.parameters.length > MAX_PARAMETERS) {
    return cx.refuse(fn.node, "tooManyArguments", [fn.name, String(MAX_PARAMETERS)]);
  }
  const parameters = fn.node.parameters.map((parameter, index) => {
    const value = args[index] ?? (parameter.initializer ? cx.lower.value(cx, parameter.initializer) : UNDEFINED);
    return parameterOf(cx, parameter, value, node.arguments[index] ?? node);
  });
  const key = [placeOf(fn.node), ...parameters.map((parameter) => parameter.key)].join("|");
  let known = cx.unit.subprograms.get(key);
  if (!known) {
    const returns = returnType(cx, fn, declaredTypeOf(cx, fn.node.type));
    known = { name: freeName(cx, fn.name), returns, moves: false, linear: 0 };
    cx.unit.subprograms.set(key, known);
    compileBody(cx, fn, parameters, known);
  }
  const insts = parameters.map((parameter) => parameter.pass(cx));
  const inst = cx.emit(node).call(known.name, insts, valueType(known.returns));
  cx.linear = Math.max(cx.linear, known.linear);
  if (known.moves) cx.movePacket(fn.name);
  if (known.returns === null) return UNDEFINED;
  return known.returns.kind === "int" ? typedSoft(inst, known.returns) : { kind: "bool", inst };
}
