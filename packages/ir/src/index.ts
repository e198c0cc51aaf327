export * from "./builder.ts";
export * from "./codes.ts";
export * from "./emit.ts";
export { EmitCache, type CompileStore } from "./emit-cache.ts";
export { digestOf } from "./fingerprint.ts";
export { wayTo } from "./codegen/line-info.ts";
export {
  Environment,
  type EnvironmentOptions,
  type EvaluatedMap,
  type HelperFunction,
} from "./evaluate/environment.ts";
export { evaluate, type EvaluateOptions } from "./evaluate/evaluate.ts";
export { EvaluationError, Memory } from "./evaluate/memory.ts";
export * from "./print.ts";
export { parseFunction, parseFunctions, type ParseResult } from "./text/parse.ts";
export { constructSsa } from "./passes/ssa.ts";
export * from "./verify.ts";
export type * from "./ir.ts";
export {
  emitJavaScript,
  impurityOf,
  type JavaScriptExport,
  type JavaScriptModule,
  type JavaScriptOptions,
} from "./javascript/emit-javascript.ts";
export {
  declareShape,
  sizeOfShape,
  type FieldShape,
  type IntShape,
  type Shape,
  type StructShape,
} from "./javascript/shape.ts";
