export {
  compile,
  lowerModule,
  type CompileOptions,
  type CompileResult,
  type LowerOptions,
  type LowerResult,
} from "./compile.ts";
export { compileJavaScript, type JavaScriptResult } from "./javascript.ts";
export { formatDiagnostic, type FormatOptions } from "./format.ts";
export { PROBLEMS, type Problem, type ProblemName } from "./diagnostics.ts";
export type { CompilerHost } from "./source.ts";
export type { CompileStore } from "@skep/ir";
export { userSide, type CompiledFunctions } from "./user-side.ts";
export { declarationsOf } from "./declaration-file.ts";
export { functionPlaces, type FunctionCall, type FunctionPlace, type FunctionPlaces } from "./function-places.ts";
export { irText, type IrTextResult } from "./ir-text.ts";
export { refusalDiagnostic, type Refusal } from "./refusal.ts";
