/**
 * @module
 * Kernel TypeScript to an ObjectSpec.
 */
import ts from "typescript";
import type { Diagnostic } from "@skep/isa";
import {
  EmitCache,
  emitModule,
  type CompileStore,
  type EmitOptions,
  type IrModule,
  type JavaScriptExport,
} from "@skep/ir";
import type { MapSpec, ObjectSpec } from "@skep/object";
import { lowerExports, pureExports, type LoweredExports, type SkippedFunction } from "./lower/exports.ts";
import { lowering } from "./lower/lower.ts";
import { lowerProgram } from "./lower/program.ts";
import { statementName } from "./lower/statements.ts";
import { Module } from "./module.ts";
import { checkNames } from "./names.ts";
import { Problems, Refused } from "./problems.ts";
import { fill, PROBLEMS } from "./diagnostics.ts";
import { listenTo, recall, remember } from "./recompile.ts";
import { Replay, replaysOf, type Replays } from "./replay.ts";
import { checkSource, isPreludePath, type CheckedSource, type CompilerHost } from "./source.ts";
import { structOpsSpec } from "./struct-ops.ts";
import { sizeOf } from "./types.ts";
import type { MapDecl, ProgramDecl } from "./values.ts";

export interface CompileOptions extends EmitOptions {
  /** What earlier processes have compiled is taken from here, and what is compiled now goes there. */
  readonly store?: CompileStore;
}

export interface LowerOptions {
  /** Default true. */
  readonly programs?: boolean;
  /** The exported functions too, each as a function of its own. Default false. */
  readonly functions?: boolean;
}

export interface LowerResult {
  /** null where there are errors. */
  readonly module: IrModule | null;
  /** With `functions`: those that need nothing of the kernel. */
  readonly exports: readonly JavaScriptExport[];
  /** With `functions`: the others. */
  readonly skipped: readonly SkippedFunction[];
  readonly diagnostics: readonly Diagnostic[];
  /** Texts of the files that were read, by path: for showing diagnostics. */
  readonly sources: Readonly<Record<string, string>>;
}

export interface CompileResult {
  readonly spec: ObjectSpec | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: Readonly<Record<string, string>>;
}

// ---- what a module's top level may hold ----

function checkTopLevel(module: Module, file: ts.SourceFile): void {
  for (const node of file.statements) {
    switch (node.kind) {
      case ts.SyntaxKind.ImportDeclaration:
      case ts.SyntaxKind.ExportDeclaration:
      case ts.SyntaxKind.FunctionDeclaration:
      case ts.SyntaxKind.InterfaceDeclaration:
      case ts.SyntaxKind.TypeAliasDeclaration:
      case ts.SyntaxKind.EnumDeclaration:
      case ts.SyntaxKind.EmptyStatement:
      case ts.SyntaxKind.VariableStatement:
        break;
      default:
        module.problems.report(node, "topLevelStatement", [statementName(node)]);
    }
  }
}

/** Every constant is evaluated, used or not: a mistake in it is told. */
function evaluateTopLevel(module: Module, file: ts.SourceFile): void {
  for (const node of file.statements) {
    if (ts.isEnumDeclaration(node)) {
      const symbol = module.checker.getSymbolAtLocation(node.name);
      if (symbol) module.moduleValue(symbol, node.name);
    }
    if (!ts.isVariableStatement(node)) continue;
    for (const declaration of node.declarationList.declarations) {
      const symbol = module.checker.getSymbolAtLocation(declaration.name);
      if (symbol) module.moduleValue(symbol, declaration.name);
    }
  }
}

function collectExports(module: Module, entry: ts.SourceFile): void {
  const symbol = module.checker.getSymbolAtLocation(entry);
  if (!symbol) return;
  for (const exported of module.checker.getExportsOfModule(symbol)) {
    const target = exported.flags & ts.SymbolFlags.Alias ? module.checker.getAliasedSymbol(exported) : exported;
    if ((target.flags & (ts.SymbolFlags.Variable | ts.SymbolFlags.Function)) === 0) continue;
    const value = module.moduleValue(exported, target.valueDeclaration ?? entry);
    if (value.kind === "program") addProgram(module, value.program);
    if (value.kind === "structOps") {
      for (const member of value.decl.members) if ("program" in member) addProgram(module, member.program);
    }
    if (exported.name === "license" && value.kind === "string") module.license = value.text;
  }
}

function addProgram(module: Module, program: ProgramDecl): void {
  const known = module.programs.get(program.name);
  if (known && known !== program) module.problems.report(program.node, "duplicateName", [program.name]);
  else module.programs.set(program.name, program);
}

// ---- lowering ----

function guarded(module: Module, node: ts.Node, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof Refused) return;
    const message = error instanceof Error ? error.message : String(error);
    module.problems.report(node, "internal", [message]);
  }
}

function mapSpec(module: Module, map: MapDecl): MapSpec {
  const { key, value } = map;
  const described = DESCRIBED.has(map.type);
  return {
    name: map.name,
    type: map.type,
    keySize: key ? sizeOf(key) : 0,
    valueSize: map.type === "ringbuf" || !value ? 0 : map.type === "perf_event_array" ? 4 : sizeOf(value),
    maxEntries: map.maxEntries,
    flags: map.flags,
    ...(key && described ? { keyTypeId: module.types.idOf(key) } : {}),
    ...(value && described ? { valueTypeId: module.types.idOf(value) } : {}),
    pinning: "none",
    ...(map.inner ? { inner: mapSpec(module, map.inner) } : {}),
  };
}

/** Types of maps whose keys and values BTF describes; the others hold kernel objects, or records that the kernel does not see as values. */
const DESCRIBED: ReadonlySet<string> = new Set([
  "hash",
  "lru_hash",
  "percpu_hash",
  "lru_percpu_hash",
  "array",
  "percpu_array",
  "lpm_trie",
  "hash_of_maps",
  "array_of_maps",
  "queue",
  "stack",
  "sk_storage",
  "task_storage",
  "inode_storage",
  "cgrp_storage",
]);

/** Maps that stand alone: an inner map is a template within its outer one. */
function mapSpecs(module: Module): MapSpec[] {
  return [...module.maps.values()].map((map) => mapSpec(module, map));
}

function irModule(module: Module, source: CheckedSource, entry: string): IrModule {
  const maps = [
    ...mapSpecs(module),
    ...[...module.structOps.values()].map((decl) => structOpsSpec(decl, module.types)),
  ];
  module.kernel.finish();
  const data = [...module.sections.values()].filter((section) => !section.isEmpty);
  const sources: Record<string, readonly string[]> = {};
  for (const file of source.program.getSourceFiles()) {
    if (!file.isDeclarationFile) sources[file.fileName] = file.text.split(/\r?\n/);
  }
  return {
    file: entry,
    license: module.license,
    functions: module.functions,
    maps,
    data: data.map((section) => section.toMap((type) => module.types.idOf(type))),
    btf: module.types.btf.build(),
    sources,
  };
}

function textsOf(source: CheckedSource): Record<string, string> {
  return Object.fromEntries(source.files.map((file) => [file.fileName, file.text]));
}

/** TypeScript's complaint about a line is enough: what follows from it is not told. */
function merge(source: CheckedSource, problems: Problems): Diagnostic[] {
  const lines = new Set(source.diagnostics.map(({ span }) => `${span?.file ?? ""}:${span?.line ?? 0}`));
  const own = problems.list.filter(({ code, span }) => {
    if (source.diagnostics.length > 0 && (code === PROBLEMS.noReturn.code || isPreludePath(span?.file))) return false;
    return !lines.has(`${span?.file ?? ""}:${span?.line ?? 0}`);
  });
  return [...source.diagnostics, ...own].sort(bySpan);
}

function bySpan(a: Diagnostic, b: Diagnostic): number {
  const [left, right] = [a.span, b.span];
  if (!left || !right) return (left ? 1 : 0) - (right ? 1 : 0);
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.offset - right.offset;
}

function hasSyntaxError(source: CheckedSource): boolean {
  return source.files.some((file) => source.program.getSyntacticDiagnostics(file).length > 0);
}

/** Checks and lowers a module and what it imports: the IR of its programs. */
export function lowerModule(entry: string, host: CompilerHost, options: LowerOptions = {}): LowerResult {
  return lowerWith(entry, host, { ...options, replays: null });
}

/** The same, but what earlier calls for this entry made is taken where nothing that it was made from has changed. The functions are frozen. */
export function lowerAgain(entry: string, host: CompilerHost): LowerResult {
  return lowerWith(entry, host, { replays: replaysOf(entry) });
}

function lowerWith(
  entry: string,
  host: CompilerHost,
  options: LowerOptions & { readonly replays: Replays | null },
): LowerResult {
  const source = checkSource(entry, host);
  const sources = textsOf(source);
  const nothing: LoweredExports = { exports: [], skipped: [] };
  const { programs = true, functions = false } = options;
  if (!source.entry || hasSyntaxError(source)) {
    return { module: null, ...nothing, diagnostics: source.diagnostics, sources };
  }
  const problems = new Problems();
  const module = new Module(source, problems, lowering);
  const entryFile = source.entry;
  for (const file of source.files) {
    checkTopLevel(module, file);
    guarded(module, file, () => evaluateTopLevel(module, file));
  }
  guarded(module, entryFile, () => collectExports(module, entryFile));
  if (programs && problems.list.length === 0 && source.diagnostics.length === 0) checkNotEmpty(module, entryFile);
  for (const variable of module.variables.values()) module.place(variable);
  const isSound = (): boolean => problems.list.length === 0 && source.diagnostics.length === 0;
  const replay = new Replay(module, options.replays ?? new Map(), options.replays !== null && isSound());
  for (const program of programs ? module.programs.values() : []) {
    const lower = (): void => lowerProgram(module, lowering, program);
    guarded(module, program.node, () => replay.lower(program, lower));
  }
  const sound = isSound();
  const lowered = functions && sound ? lowerExports(module, entryFile) : nothing;
  checkNames(module);
  const diagnostics = merge(source, problems);
  const failed = diagnostics.some(({ severity }) => severity === "error");
  if (failed) return { module: null, ...nothing, diagnostics, sources };
  const ir = irModule(module, source, entry);
  return { module: ir, ...pureExports(ir, lowered), diagnostics, sources };
}

function checkNotEmpty(module: Module, entry: ts.SourceFile): void {
  if (module.programs.size > 0 || module.maps.size > 0) return;
  const { code, message, hint } = PROBLEMS.noPrograms;
  const span = { file: entry.fileName, line: 1, column: 1, offset: 0, length: 1 };
  module.problems.add({ code, severity: "error", message: fill(message, []), hint, span });
}

/** What this process has compiled: of a module that is compiled again, what has not changed is taken from there. */
const emittedBefore = new EmitCache();

const caches = new WeakMap<CompileStore, EmitCache>();

function cacheOn(store: CompileStore): EmitCache {
  const cache = caches.get(store) ?? new EmitCache(256, store);
  caches.set(store, cache);
  return cache;
}

/** Compiles a kernel module. `entry` is a path that the host reads; nothing is run, nothing else is read. */
export function compile(entry: string, host: CompilerHost, options: CompileOptions = {}): CompileResult {
  const known = recall(entry, host, options);
  if (known) return known;
  const { host: heard, answers } = listenTo(host);
  const result = compileAnew(entry, heard, options);
  remember(entry, options, { answers, result });
  return result;
}

function compileAnew(entry: string, host: CompilerHost, options: CompileOptions): CompileResult {
  const { module, diagnostics, sources } = lowerAgain(entry, host);
  if (!module) return { spec: null, diagnostics, sources };
  const { store, ...rest } = options;
  const emitted = emitModule(module, { cache: store ? cacheOn(store) : emittedBefore, ...rest });
  const all = [...diagnostics, ...emitted.diagnostics];
  const failed = all.some(({ severity }) => severity === "error");
  return { spec: failed ? null : emitted.spec, diagnostics: all, sources };
}
