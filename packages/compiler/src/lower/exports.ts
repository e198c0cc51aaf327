/**
 * @module
 * Functions that a module exports, as functions of their own: what user space may call, too.
 */
import ts from "typescript";
import { impurityOf, type FieldShape, type IrModule, type IntShape, type JavaScriptExport, type Shape } from "@skep/ir";
import type { Module } from "../module.ts";
import { Refused } from "../problems.ts";
import { alignOf, INTS, type IntT, type MemoryType } from "../types.ts";
import { Env, type FunctionValue } from "../values.ts";
import { Cx, type Subprogram } from "./cx.ts";
import { declaredTypeOf } from "./declare.ts";
import { typedSoft } from "./ints.ts";
import { lowering } from "./lower.ts";
import { compileBody, freeName, returnType, type Parameter } from "./subprograms.ts";

/** An exported function without JavaScript, and why. */
export interface SkippedFunction {
  readonly name: string;
  readonly reason: string;
}

export interface LoweredExports {
  readonly exports: readonly JavaScriptExport[];
  readonly skipped: readonly SkippedFunction[];
}

/** Adds the exported functions to the module's; what cannot be one is no error. */
export function lowerExports(module: Module, entry: ts.SourceFile): LoweredExports {
  const exports: JavaScriptExport[] = [];
  const skipped: SkippedFunction[] = [];
  for (const fn of exportedFunctions(module, entry)) {
    const known = { problems: module.problems.list.length, functions: module.functions.length };
    const one = lowerExport(module, fn);
    const [problem] = module.problems.list.splice(known.problems);
    const made = problem?.message ?? one;
    if (typeof made !== "string") exports.push(made);
    else {
      module.functions.length = known.functions;
      skipped.push({ name: fn.name, reason: made });
    }
  }
  return { exports, skipped };
}

/** Those that need nothing of the kernel. */
export function pureExports(module: IrModule, lowered: LoweredExports): LoweredExports {
  const skipped = [...lowered.skipped];
  const exports = lowered.exports.filter((one) => {
    const reason = impurityOf(module, one.function);
    if (reason !== null) skipped.push({ name: one.name, reason });
    return reason === null;
  });
  return { exports, skipped };
}

function exportedFunctions(module: Module, entry: ts.SourceFile): FunctionValue[] {
  const symbol = module.checker.getSymbolAtLocation(entry);
  if (!symbol) return [];
  return module.checker.getExportsOfModule(symbol).flatMap((exported) => {
    const target = exported.flags & ts.SymbolFlags.Alias ? module.checker.getAliasedSymbol(exported) : exported;
    if ((target.flags & (ts.SymbolFlags.Variable | ts.SymbolFlags.Function)) === 0) return [];
    const value = module.moduleValue(exported, target.valueDeclaration ?? entry);
    return value.kind === "function" ? [{ ...value, name: exported.name }] : [];
  });
}

/** What the function's JavaScript takes, or why it has none. */
function lowerExport(module: Module, fn: FunctionValue): JavaScriptExport | string {
  if (!fn.node.type) return "its result has no declared type";
  const cx = new Cx(module, lowering, null, new Env(fn.env));
  const parameters: Parameter[] = [];
  const params: { name: string; shape: Shape }[] = [];
  for (const node of fn.node.parameters) {
    const parameter = parameterOf(cx, node);
    if (typeof parameter === "string") return parameter;
    parameters.push(parameter.parameter);
    params.push({ name: parameter.parameter.name, shape: parameter.shape });
  }
  try {
    const returns = returnType(cx, fn, declaredTypeOf(cx, fn.node.type));
    const name = freeName(cx, fn.name);
    const subprogram: Subprogram = { name, returns, moves: false, linear: 0 };
    module.subprograms.set(`export ${name}`, subprogram);
    compileBody(cx, fn, parameters, subprogram);
    return { name: fn.name, function: name, params, returns: returns ? shapeOf(returns) : null };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return "it is refused";
  }
}

function parameterOf(cx: Cx, node: ts.ParameterDeclaration): { parameter: Parameter; shape: Shape } | string {
  const name = ts.isIdentifier(node.name) ? node.name.text : "argument";
  const pass = (): never => {
    throw new Error("an export is not called");
  };
  const element = listElement(cx, node);
  if (element) {
    const parameter: Parameter = {
      node,
      name,
      key: "list",
      pass,
      isList: true,
      type: "ptr",
      shape: { pointer: "void" },
      receive: (ptr, length) => ({ kind: "slice", ptr, length: length ?? ptr, element }),
    };
    return { shape: { kind: "list", element: intShape(element) }, parameter };
  }
  const declared = declaredTypeOf(cx, node.type);
  const type = declared?.kind === "memory" && !declared.nullable ? declared.type : undefined;
  if (!type || node.dotDotDotToken || node.initializer) return `the type of '${name}' has no layout`;
  const shape = shapeOf(type);
  const common = { node, name, key: type.name, pass };
  switch (type.kind) {
    case "int":
      return {
        shape,
        parameter: {
          ...common,
          type: type.bits === 64 ? "i64" : "i32",
          shape: type,
          receive: (inst) => typedSoft(inst, type),
        },
      };
    case "bool":
      return {
        shape,
        parameter: { ...common, type: "i32", shape: INTS.u32, receive: (inst) => ({ kind: "bool", inst }) },
      };
    case "bits":
    case "kptr":
      return `the type of '${name}' has no layout`;
    default:
      return {
        shape,
        parameter: {
          ...common,
          type: "ptr",
          shape: { to: type },
          receive: (ptr) => ({
            kind: "ref",
            type,
            ptr,
            offset: 0,
            space: "unknown",
            align: alignOf(type),
            nullable: false,
          }),
        },
      };
  }
}

/** The type of the integers of `readonly u32[]`. */
function listElement(cx: Cx, node: ts.ParameterDeclaration): IntT | null {
  const { checker } = cx.unit;
  const type = node.type ? checker.getTypeFromTypeNode(node.type) : null;
  if (!type || !checker.isArrayType(type)) return null;
  const [element] = checker.getTypeArguments(type as ts.TypeReference);
  const declared = element ? cx.unit.declaredType(element) : null;
  return declared?.type?.kind === "int" && !declared.nullable ? declared.type : null;
}

const intShape = (type: IntT): IntShape => ({
  kind: "int",
  bits: type.bits,
  signed: type.signed,
  bigEndian: type.bigEndian,
});

function shapeOf(type: MemoryType): Shape {
  switch (type.kind) {
    case "int":
      return intShape(type);
    case "bool":
      return { kind: "bool" };
    case "bits":
      return intShape(type.unit);
    case "array":
      return { kind: "array", element: shapeOf(type.element), length: type.length };
    case "kptr":
      return intShape(INTS.u64);
    default: {
      const fields = type.fields.map((field): FieldShape => {
        const place = { name: field.name, offset: field.offset, shape: shapeOf(field.type) };
        return field.type.kind === "bits" ? { ...place, bits: { shift: field.shift, width: field.type.width } } : place;
      });
      return { kind: "struct", name: type.name, size: type.size, fields };
    }
  }
}
