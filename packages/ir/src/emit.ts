/**
 * @module
 * A module of IR to an object: passes, selection, registers, instructions.
 */
import type { Diagnostic } from "@skep/isa";
import type { FunctionSpec, MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";
import { allocateRegisters } from "./codegen/allocate.ts";
import { encodeFunction } from "./codegen/encode.ts";
import { expandOperands, layoutStack, markCold, mergeEqualBlocks, orderBlocks, threadJumps } from "./codegen/finish.ts";
import { legalize, targetOf } from "./codegen/legalize.ts";
import { removeDead } from "./codegen/liveness.ts";
import { selectFunction } from "./codegen/select.ts";
import { shareSpillSlots } from "./codegen/share-slots.ts";
import { problem } from "./codes.ts";
import { cloneModule, removeUnreachable } from "./edit.ts";
import type { EmitOptions, IrFunction, IrModule } from "./ir.ts";
import { inlineCalls } from "./passes/inline.ts";
import { shareStack } from "./passes/share-stack.ts";
import { cleanUp, optimizeFunction } from "./passes/optimize.ts";
import { constructSsa } from "./passes/ssa.ts";
import { verifyModule } from "./verify.ts";

export interface EmitResult {
  readonly spec: ObjectSpec;
  readonly diagnostics: Diagnostic[];
}

/** Bytes of stack of a chain of calls (MAX_BPF_STACK). */
const MOST_STACK = 512;

/**
 * Compiles the module; it stays as it is. The object holds what its programs reach, or, without programs, what its global functions reach.
 * With an error among the diagnostics the object is not fit for loading.
 */
export function emitModule(module: IrModule, options: EmitOptions = {}): EmitResult {
  const byteOrder = options.byteOrder ?? "little";
  const diagnostics = verifyModule(module);
  const records = { maps: byName(module.maps, module.data), programs: {}, functions: {} };
  const btf = module.btf.types.length > 0 ? { btf: module.btf } : {};
  const spec = { license: module.license, byteOrder, ...records, ...btf };
  if (diagnostics.length > 0) return { spec, diagnostics };

  const functions = optimizeModule(module, options, diagnostics);
  if (diagnostics.some((found) => found.severity === "error")) return { spec, diagnostics };
  const frames = new Map<string, number>();
  const programs: Record<string, ProgramSpec> = {};
  const subprograms: Record<string, FunctionSpec> = {};
  for (const fn of functions) {
    const code = emitFunction(fn, { options, module, diagnostics, frames });
    if (fn.program) programs[fn.name] = { ...code, ...fn.program };
    else subprograms[fn.name] = code;
  }
  checkStack(functions, frames, diagnostics);
  return { spec: { ...spec, programs, functions: subprograms }, diagnostics };
}

function byName(...lists: (readonly MapSpec[])[]): Record<string, MapSpec> {
  return Object.fromEntries(lists.flat().map((map) => [map.name, map]));
}

/** The functions to emit, in SSA form and after all passes. */
export function optimizeModule(module: IrModule, options: EmitOptions, diagnostics: Diagnostic[]): IrFunction[] {
  const { functions } = cloneModule(module);
  const level = options.optimize ?? 2;
  const passes = { byteOrder: options.byteOrder ?? "little" };
  for (const fn of functions) {
    removeUnreachable(fn);
    constructSsa(fn);
    // A callee's size is known only when it is tidy.
    if (level === 2) cleanUp(fn, passes);
  }
  diagnostics.push(...inlineCalls(functions, { auto: level === 2 }));
  if (diagnostics.length > 0) return functions;
  const kept = reachable(functions);
  for (const fn of kept) {
    if (level > 0) optimizeFunction(fn, passes);
    shareStack(fn);
  }
  return kept;
}

function reachable(functions: readonly IrFunction[]): IrFunction[] {
  const known = new Map(functions.map((fn) => [fn.name, fn]));
  const programs = functions.filter((fn) => fn.program);
  const live = new Set(programs.length > 0 ? programs : functions.filter((fn) => fn.linkage === "global"));
  for (const fn of live) {
    for (const name of references(fn)) {
      const callee = known.get(name);
      if (callee) live.add(callee);
    }
  }
  return functions.filter((fn) => live.has(fn));
}

function references(fn: IrFunction): string[] {
  return fn.blocks.flatMap((block) =>
    block.insts.flatMap((inst) => (inst.op === "call" || inst.op === "function" ? [inst.function] : [])),
  );
}

interface EmitContext {
  readonly options: EmitOptions;
  readonly module: IrModule;
  readonly diagnostics: Diagnostic[];
  readonly frames: Map<string, number>;
}

function emitFunction(fn: IrFunction, context: EmitContext): FunctionSpec {
  const target = targetOf(context.options);
  legalize(fn, target);
  const { code, diagnostics } = selectFunction(fn, target);
  context.diagnostics.push(...diagnostics);
  markCold(code);
  removeDead(code);
  allocateRegisters(code);
  shareSpillSlots(code);
  context.frames.set(fn.name, layoutStack(code));
  expandOperands(code);
  threadJumps(code);
  if ((context.options.optimize ?? 2) > 0) mergeEqualBlocks(code);
  orderBlocks(code);
  const { sources } = context.module;
  const encoded = encodeFunction(code, { cpu: target.cpu, loc: fn.loc, sources, diagnostics: context.diagnostics });
  return { name: fn.name, ...(fn.typeId > 0 ? { typeId: fn.typeId } : {}), linkage: fn.linkage, ...encoded };
}

/** Frames add up along calls, each rounded up to 16 bytes (kernel: round_up_stack_depth with a JIT). */
function checkStack(functions: readonly IrFunction[], frames: ReadonlyMap<string, number>, diagnostics: Diagnostic[]) {
  const known = new Map(functions.map((fn) => [fn.name, fn]));
  const depths = new Map<string, number>();
  const depth = (fn: IrFunction): number => {
    const before = depths.get(fn.name);
    if (before !== undefined) return before;
    depths.set(fn.name, 0);
    const below = references(fn).map((name) => {
      const callee = known.get(name);
      return callee ? depth(callee) : 0;
    });
    const total = ((Math.max(frames.get(fn.name) ?? 0, 1) + 15) & ~15) + Math.max(0, ...below);
    depths.set(fn.name, total);
    return total;
  };
  for (const fn of functions) {
    const own = frames.get(fn.name) ?? 0;
    const total = depth(fn);
    if (own <= MOST_STACK && (total <= MOST_STACK || !fn.program)) continue;
    const what =
      own > MOST_STACK
        ? `${fn.name} needs ${own} bytes of stack`
        : `${fn.name} and what it calls need ${total} bytes of stack`;
    diagnostics.push(
      problem("SKEP2002", `${what}; the kernel gives ${MOST_STACK}`, {
        loc: fn.loc,
        hint: "keep large values in a per-CPU array map",
      }),
    );
  }
}
