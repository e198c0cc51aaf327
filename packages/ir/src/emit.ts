/**
 * @module
 * A module of IR to an object: passes, selection, registers, instructions.
 */
import type { Diagnostic } from "@skep/isa";
import type { FunctionSpec, MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";
import { allocateRegisters } from "./codegen/allocate.ts";
import { hoistChoices } from "./codegen/choose.ts";
import { encodeFunction } from "./codegen/encode.ts";
import { lineInfo } from "./codegen/line-info.ts";
import { expandOperands, layoutStack, markCold, mergeEqualBlocks, orderBlocks, threadJumps } from "./codegen/finish.ts";
import { legalize, targetOf } from "./codegen/legalize.ts";
import { removeDead } from "./codegen/liveness.ts";
import { selectFunction } from "./codegen/select.ts";
import { shareSpillSlots } from "./codegen/share-slots.ts";
import { problem } from "./codes.ts";
import { cloneFunction, removeUnreachable } from "./edit.ts";
import { cacheKeys, references } from "./emit-cache.ts";
import type { CacheKey, EmittedFunction } from "./emit-cache.ts";
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
  const known = fromCache(module, options);
  const diagnostics = verifyModule(module, new Set(known.emitted.keys()));
  const records = { maps: byName(module.maps, module.data), programs: {}, functions: {} };
  const btf = module.btf.types.length > 0 ? { btf: module.btf } : {};
  const spec = { license: module.license, byteOrder, ...records, ...btf };
  if (diagnostics.length > 0) return { spec, diagnostics };

  const emitted = emitFunctions(module, options, { known, diagnostics });
  if (diagnostics.some((found) => found.severity === "error")) return { spec, diagnostics };
  const programs: Record<string, ProgramSpec> = {};
  const subprograms: Record<string, FunctionSpec> = {};
  for (const [fn, { code: bare, locs }] of emitted) {
    const lines = lineInfo(locs, { loc: fn.loc, sources: module.sources, file: module.file });
    const code: FunctionSpec = { ...bare, lines };
    if (fn.program) programs[fn.name] = { ...code, ...fn.program };
    else subprograms[fn.name] = code;
  }
  checkStack(emitted, diagnostics);
  return { spec: { ...spec, programs, functions: subprograms }, diagnostics };
}

/** Functions that were compiled before, by name, and those of them that no other looks at. */
interface Known {
  readonly keys: ReadonlyMap<IrFunction, CacheKey> | null;
  readonly emitted: Map<string, EmittedFunction>;
  readonly apart: ReadonlySet<string>;
}

function fromCache(module: IrModule, options: EmitOptions): Known {
  const { cache } = options;
  const keys = cache ? cacheKeys(module, options) : null;
  const emitted = new Map<string, EmittedFunction>();
  const apart = new Set<string>();
  for (const [fn, key] of keys ?? []) {
    const found = cache?.get(key);
    if (!found) continue;
    emitted.set(fn.name, found);
    if (key.apart) apart.add(fn.name);
  }
  return { keys, emitted, apart };
}

/** Code of the functions that the module's programs reach, in the module's order. */
function emitFunctions(
  module: IrModule,
  options: EmitOptions,
  before: { known: Known; diagnostics: Diagnostic[] },
): Map<IrFunction, EmittedFunction> {
  const { diagnostics } = before;
  const { keys, emitted: known, apart } = before.known;
  const roots = rootsOf(module.functions).map(({ name }) => name);
  if ([...reachedFrom(roots, known)].some((name) => !known.has(name))) {
    const fresh = optimizeModule(module, options, diagnostics, { known, apart });
    if (diagnostics.some((found) => found.severity === "error")) return new Map();
    const byName = new Map(module.functions.map((fn) => [fn.name, fn]));
    for (const fn of fresh) {
      const emitted = emitFunction(fn, options);
      known.set(fn.name, emitted);
      const key = keys?.get(byName.get(fn.name) as IrFunction);
      if (key) options.cache?.put(key, emitted);
    }
  }
  const live = reachedFrom(roots, known);
  const result = new Map<IrFunction, EmittedFunction>();
  for (const fn of module.functions) {
    const emitted = known.get(fn.name);
    if (!emitted || !live.has(fn.name)) continue;
    result.set(fn, emitted);
    diagnostics.push(...emitted.diagnostics);
  }
  return result;
}

/** The names, and what the code behind them refers to. */
function reachedFrom(names: readonly string[], known: ReadonlyMap<string, EmittedFunction>): Set<string> {
  const live = new Set(names);
  for (const name of live) for (const below of known.get(name)?.references ?? []) live.add(below);
  return live;
}

function byName(...lists: (readonly MapSpec[])[]): Record<string, MapSpec> {
  return Object.fromEntries(lists.flat().map((map) => [map.name, map]));
}

/** What need not be compiled again. */
interface Compiled {
  readonly known: ReadonlyMap<string, EmittedFunction>;
  readonly apart: ReadonlySet<string>;
}

/** The functions to emit, in SSA form and after all passes; without those that are compiled already. */
export function optimizeModule(
  module: IrModule,
  options: EmitOptions,
  diagnostics: Diagnostic[],
  { known, apart }: Compiled = { known: new Map(), apart: new Set() },
): IrFunction[] {
  const isDone = ({ name }: IrFunction): boolean => known.has(name) && apart.has(name);
  const functions = module.functions.filter((fn) => !isDone(fn)).map(cloneFunction);
  const level = options.optimize ?? 2;
  const passes = { byteOrder: options.byteOrder ?? "little" };
  const clean = new Set<IrFunction>();
  for (const fn of functions) {
    removeUnreachable(fn);
    constructSsa(fn);
    // A callee's size is known only when it is tidy.
    if (level === 2 && cleanUp(fn, passes)) clean.add(fn);
  }
  const onInlined = (into: IrFunction): unknown => clean.delete(into);
  const others = module.functions.filter(isDone);
  diagnostics.push(...inlineCalls(functions, { auto: level === 2, others, onInlined }));
  if (diagnostics.length > 0) return functions;
  const asked = others.flatMap(({ name }) => known.get(name)?.references ?? []);
  const kept = reachable(functions, asked).filter((fn) => !known.has(fn.name));
  for (const fn of kept) {
    if (level > 0) optimizeFunction(fn, passes, clean.has(fn));
    shareStack(fn);
  }
  return kept;
}

function rootsOf(functions: readonly IrFunction[]): IrFunction[] {
  const programs = functions.filter((fn) => fn.program);
  return programs.length > 0 ? programs : functions.filter((fn) => fn.linkage === "global");
}

/** What the roots reach, and what others reach that are not among the functions: those ask for names. */
function reachable(functions: readonly IrFunction[], asked: readonly string[]): IrFunction[] {
  const known = new Map(functions.map((fn) => [fn.name, fn]));
  const live = new Set([...rootsOf(functions), ...asked.flatMap((name) => known.get(name) ?? [])]);
  for (const fn of live) {
    for (const name of references(fn)) {
      const callee = known.get(name);
      if (callee) live.add(callee);
    }
  }
  return functions.filter((fn) => live.has(fn));
}

function emitFunction(fn: IrFunction, options: EmitOptions): EmittedFunction {
  const target = targetOf(options);
  legalize(fn, target);
  const { code, diagnostics } = selectFunction(fn, target);
  markCold(code);
  hoistChoices(code);
  removeDead(code);
  allocateRegisters(code);
  shareSpillSlots(code);
  const frame = layoutStack(code);
  expandOperands(code);
  threadJumps(code);
  if ((options.optimize ?? 2) > 0) mergeEqualBlocks(code);
  orderBlocks(code);
  const { locs, ...encoded } = encodeFunction(code, { cpu: target.cpu, diagnostics });
  const { name, typeId, linkage } = fn;
  return {
    code: { name, ...(typeId > 0 ? { typeId } : {}), linkage, ...encoded },
    ...{ locs, diagnostics, frame, references: references(fn) },
  };
}

/** Frames add up along calls, each rounded up to 16 bytes (kernel: round_up_stack_depth with a JIT). */
function checkStack(emitted: ReadonlyMap<IrFunction, EmittedFunction>, diagnostics: Diagnostic[]): void {
  const known = new Map([...emitted.keys()].map((fn) => [fn.name, fn]));
  const frameOf = (fn: IrFunction): number => emitted.get(fn)?.frame ?? 0;
  const depths = new Map<string, number>();
  const depth = (fn: IrFunction): number => {
    const before = depths.get(fn.name);
    if (before !== undefined) return before;
    depths.set(fn.name, 0);
    const below = (emitted.get(fn)?.references ?? []).map((name) => {
      const callee = known.get(name);
      return callee ? depth(callee) : 0;
    });
    const total = ((Math.max(frameOf(fn), 1) + 15) & ~15) + Math.max(0, ...below);
    depths.set(fn.name, total);
    return total;
  };
  for (const fn of emitted.keys()) {
    const own = frameOf(fn);
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
