/**
 * @module
 * TypeScript's own parser and checker over files that a host gives: no library, Skep's prelude, imports between kernel modules.
 */
import ts from "typescript";
import type { Diagnostic, Span } from "@skep/isa";
import { fill, PROBLEMS } from "./diagnostics.ts";
import { PRELUDE } from "./prelude.ts";
import { Snapshot } from "./snapshot.ts";
import { enclosing } from "./top-level.ts";
import { hintOf, notesOf, withoutLibrary } from "./typescript-hints.ts";
import { unsupportedHint } from "./unsupported-hints.ts";

export interface CompilerHost {
  /** The file's text; undefined where there is none. Paths have `/`. */
  readFile(path: string): string | undefined;
  /** The path of a module that is neither relative nor of `@skep/bpf`; null where there is none. */
  resolve?(specifier: string, from: string): string | null;
}

export interface CheckedSource {
  readonly program: ts.Program;
  readonly checker: ts.TypeChecker;
  readonly entry: ts.SourceFile | undefined;
  /** Files of the user, in the order of the program. */
  readonly files: readonly ts.SourceFile[];
  readonly diagnostics: readonly Diagnostic[];
}

const PRELUDE_ROOT = "/@skep/bpf/";
const BPF_MODULES: Readonly<Record<string, string>> = {
  "@skep/bpf": `${PRELUDE_ROOT}kernel/index.ts`,
  "@skep/bpf/net": `${PRELUDE_ROOT}src/net.bpf.ts`,
  "@skep/bpf/hash": `${PRELUDE_ROOT}src/std/hash.bpf.ts`,
  "@skep/bpf/checksum": `${PRELUDE_ROOT}src/std/checksum.bpf.ts`,
  "@skep/bpf/stats": `${PRELUDE_ROOT}src/std/stats.bpf.ts`,
  "@skep/bpf/parse": `${PRELUDE_ROOT}src/std/parse.bpf.ts`,
  "@skep/bpf/maps": `${PRELUDE_ROOT}src/std/maps.bpf.ts`,
};

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.Preserve,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  moduleDetection: ts.ModuleDetectionKind.Force,
  strict: true,
  noUncheckedIndexedAccess: true,
  noFallthroughCasesInSwitch: false,
  allowImportingTsExtensions: true,
  isolatedModules: true,
  skipLibCheck: true,
  noLib: true,
  noEmit: true,
  types: [],
  // Modules are the host's matter alone.
  resolvePackageJsonExports: false,
  resolvePackageJsonImports: false,
};

/** Whether the path is one of `@skep/bpf`. */
export function isPreludePath(path: string | undefined): boolean {
  return path !== undefined && path.startsWith(PRELUDE_ROOT);
}

/** Whether the file is part of `@skep/bpf`. */
export function isPrelude(file: ts.SourceFile): boolean {
  return isPreludePath(file.fileName);
}

const parsedPrelude = new Map<string, ts.SourceFile>();

function preludeFile(path: string): ts.SourceFile | undefined {
  const known = parsedPrelude.get(path);
  if (known) return known;
  const text = PRELUDE.get(path.slice(PRELUDE_ROOT.length));
  if (text === undefined) return undefined;
  const file = ts.createSourceFile(path, text, { languageVersion: ts.ScriptTarget.ES2023 }, true);
  parsedPrelude.set(path, file);
  return file;
}

/** `a/b/../c` without its dots. */
export function normalizePath(path: string): string {
  const absolute = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else parts.push(part);
  }
  return `${absolute ? "/" : ""}${parts.join("/")}`;
}

function candidates(path: string): string[] {
  const list = [path];
  if (path.endsWith(".js")) list.unshift(`${path.slice(0, -3)}.ts`, `${path.slice(0, -3)}.d.ts`);
  return [...list, `${path}.ts`, `${path}.d.ts`];
}

function resolveModule(host: CompilerHost, specifier: string, from: string): string | undefined {
  const own = BPF_MODULES[specifier];
  if (own) return own;
  if (specifier.startsWith(".")) {
    const folder = from.slice(0, from.lastIndexOf("/") + 1);
    const path = normalizePath(folder + specifier);
    const known = from.startsWith(PRELUDE_ROOT)
      ? (one: string): boolean => PRELUDE.has(one.slice(PRELUDE_ROOT.length))
      : (one: string): boolean => host.readFile(one) !== undefined;
    return candidates(path).find(known);
  }
  return host.resolve?.(specifier, from) ?? undefined;
}

// ---- what an earlier compilation of this process has read and checked ----

/** Parsed files of the user by path; the oldest go first. */
const parsed = new Map<string, ts.SourceFile>();
const MOST_PARSED = 512;

/** The same object for the same path and text: what TypeScript has bound to it stays. */
function userFile(path: string, text: string): ts.SourceFile {
  const known = parsed.get(path);
  if (known?.text === text) return known;
  const file = ts.createSourceFile(path, text, { languageVersion: ts.ScriptTarget.ES2023 }, true);
  parsed.delete(path);
  parsed.set(path, file);
  shorten(parsed);
  return file;
}

function shorten(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= MOST_PARSED) break;
    map.delete(oldest);
  }
}

/** What lowering asks of an expression's type. */
export type Question = "nullable" | "boolean";

/** Answers by expression. */
type Facts = Readonly<Record<Question, Map<ts.Node, boolean>>>;

const noFacts = (): Facts => ({ nullable: new Map(), boolean: new Map() });

/** What was found in a file, and in view of which others. */
interface Checked {
  /** The files that it sees, through imports of imports too, as text that names each import's target; and the files themselves. */
  readonly links: string;
  readonly seen: readonly ts.SourceFile[];
  readonly diagnostics: readonly ts.Diagnostic[];
  readonly facts: Facts;
}

const checkedFiles = new WeakMap<ts.SourceFile, Checked>();

/** By path, the files among which one was last found without fault; the oldest go first. */
const soundIn = new Map<string, Snapshot>();

/** Of the checkers for which `checkedFiles` holds every file of the user: those files. */
const followed = new WeakMap<ts.TypeChecker, Snapshot>();

/** Of the prelude's files, and by checker of those that are not followed. */
const otherFacts = new WeakMap<ts.SourceFile | ts.TypeChecker, Facts>();

/**
 * The answers for the file's expressions, as far as that was asked: a function's body is lowered wherever it is called, and TypeScript would work
 * its types out each time. As with the file's diagnostics, what was found holds until the statement around, or what it sees, is another.
 */
export function factsOf(checker: ts.TypeChecker, file: ts.SourceFile, question: Question): Map<ts.Node, boolean> {
  const checked = followed.has(checker) ? checkedFiles.get(file) : undefined;
  if (checked) return checked.facts[question];
  const holder = isPrelude(file) ? file : checker;
  const known = otherFacts.get(holder) ?? noFacts();
  otherFacts.set(holder, known);
  return known[question];
}

function diagnosticsOf(program: ts.Program, file: ts.SourceFile, now: Snapshot): readonly ts.Diagnostic[] {
  const { text, seen } = view(now, file);
  const known = checkedFiles.get(file);
  if (known?.links === text && known.seen.length === seen.length && known.seen.every((one, i) => one === seen[i])) {
    return known.diagnostics;
  }
  const changed = changedStatements(file, now, { text, seen });
  const facts = noFacts();
  if (known && changed) keepUnchanged(known.facts, facts, changed);
  const knownGlobals = program.getGlobalDiagnostics();
  const isSound = changed !== null && findsNothing(program, file, changed);
  const newGlobals = program.getGlobalDiagnostics().filter((one) => !knownGlobals.includes(one));
  const found = isSound && newGlobals.length === 0 ? [] : allDiagnostics(program, file);
  // What concerns no file is told once: TypeScript has told it of the statements.
  const diagnostics = [...newGlobals, ...found];
  checkedFiles.set(file, { links: text, seen, diagnostics, facts });
  soundIn.delete(file.fileName);
  if (diagnostics.length === 0) soundIn.set(file.fileName, now);
  shorten(soundIn);
  return diagnostics;
}

function allDiagnostics(program: ts.Program, file: ts.SourceFile): readonly ts.Diagnostic[] {
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
}

interface View {
  /** What each file's imports lead to. */
  readonly text: string;
  readonly seen: readonly ts.SourceFile[];
}

function view({ files, links }: Snapshot, file: ts.SourceFile): View {
  const paths = new Set([file.fileName]);
  const lines: string[] = [];
  for (const path of paths) {
    const targets = [...(links.get(path)?.values() ?? [])];
    lines.push(`${path}: ${targets.map((target) => target ?? "-").join(" ")}`);
    for (const target of targets) if (target !== undefined && !target.startsWith(PRELUDE_ROOT)) paths.add(target);
  }
  const seen = [...paths].flatMap((path) => files.get(path) ?? []);
  return { text: lines.join("\n"), seen };
}

/** The statements that must be checked for the file to be known as sound again; null: all. */
function changedStatements(file: ts.SourceFile, now: Snapshot, { text, seen }: View): ReadonlySet<ts.Statement> | null {
  const before = soundIn.get(file.fileName);
  const was = before?.files.get(file.fileName);
  if (!before || !was || !now.hasShapeOf(before, seen) || view(before, was).text !== text) return null;
  return now.changedSince(before);
}

/** Answers hold in a statement that means what it meant. */
function keepUnchanged(from: Facts, to: Facts, changed: ReadonlySet<ts.Statement>): void {
  for (const question of ["nullable", "boolean"] as const) {
    for (const [node, found] of from[question]) {
      const statement = enclosing(node);
      if (statement && !changed.has(statement.node)) to[question].set(node, found);
    }
  }
}

/** What a program gives besides its interface: with nodes, only these are checked. */
type CheckNodes = (file: ts.SourceFile, token: undefined, nodes: readonly ts.Node[]) => readonly ts.Diagnostic[];

function findsNothing(program: ts.Program, file: ts.SourceFile, changed: ReadonlySet<ts.Statement>): boolean {
  if (program.getSyntacticDiagnostics(file).length > 0) return false;
  if ((file as { bindDiagnostics?: readonly ts.Diagnostic[] }).bindDiagnostics?.length) return false;
  const nodes = file.statements.filter((node) => changed.has(node));
  const check: CheckNodes = program.getSemanticDiagnostics;
  return nodes.length === 0 || check(file, undefined, nodes).length === 0;
}

/** Files that say something about others which do not import them. */
const AUGMENTS = /\bdeclare\s+(?:global|module)\b/;

function typescriptHost(host: CompilerHost, links: Map<string, Map<string, string | undefined>>): ts.CompilerHost {
  const getText = (path: string): string | undefined =>
    path.startsWith(PRELUDE_ROOT) ? PRELUDE.get(path.slice(PRELUDE_ROOT.length)) : host.readFile(path);
  return {
    getSourceFile: (path) => {
      if (path.startsWith(PRELUDE_ROOT)) return preludeFile(path);
      const text = host.readFile(path);
      return text === undefined ? undefined : userFile(path, text);
    },
    getDefaultLibFileName: () => `${PRELUDE_ROOT}kernel/globals.d.ts`,
    writeFile: () => undefined,
    getCurrentDirectory: () => "",
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (path) => getText(path) !== undefined,
    readFile: getText,
    directoryExists: () => true,
    getDirectories: () => [],
    resolveModuleNameLiterals: (literals, from) => {
      const targets = literals.map((literal) => resolveModule(host, literal.text, from));
      links.set(from, new Map(literals.map(({ text }, index) => [text, targets[index]])));
      return targets.map((resolvedFileName) => {
        if (resolvedFileName === undefined) return { resolvedModule: undefined };
        const extension = resolvedFileName.endsWith(".d.ts") ? ts.Extension.Dts : ts.Extension.Ts;
        return { resolvedModule: { resolvedFileName, extension, isExternalLibraryImport: false } };
      });
    },
  };
}

/** The user's files of the checker's program; null where one of them says something about others which do not import it. */
export function snapshotOf(checker: ts.TypeChecker): Snapshot | null {
  return followed.get(checker) ?? null;
}

export function spanOf(file: ts.SourceFile, start: number, length: number): Span {
  const { line, character } = file.getLineAndCharacterOfPosition(start);
  return { file: file.fileName, line: line + 1, column: character + 1, offset: start, length };
}

export function spanOfNode(node: ts.Node): Span {
  const file = node.getSourceFile();
  const start = node.getStart(file);
  return spanOf(file, start, node.getEnd() - start);
}

function fromTypeScript(diagnostic: ts.Diagnostic): Diagnostic {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n");
  const [first = "", ...rest] = text.split("\n").map(withoutLibrary);
  const { file, start } = diagnostic;
  const hint = hintOf(text);
  const notes = notesOf(rest);
  return {
    code: `TS${diagnostic.code}`,
    severity: "error",
    message: first,
    ...(hint === null ? {} : { hint }),
    ...(file && start !== undefined ? { span: spanOf(file, start, diagnostic.length ?? 1) } : {}),
    ...(notes.length > 0 ? { related: notes.map((line) => ({ message: line.trim() })) } : {}),
  };
}

/** A callback's parameter without a type, and a name or a method that is not there. */
const UNTYPED: ReadonlySet<number> = new Set([7006, 7031]);
const ABSENT: ReadonlySet<number> = new Set([2304, 2339, 2550, 2583, 2584, 2693]);
const NO_GLOBAL_TYPE = 2318;

/** A callback's parameters have no types where the method is not there: the method is told. */
function follows(one: ts.Diagnostic, found: readonly ts.Diagnostic[]): boolean {
  if (one.code === NO_GLOBAL_TYPE) return true;
  if (!UNTYPED.has(one.code)) return false;
  return found.some(({ file, code, start = 0, length = 0 }) => {
    if (!file || file !== one.file || !ABSENT.has(code) || start > (one.start ?? 0)) return false;
    return !file.text.slice(start + length, one.start).includes(";");
  });
}

/** TypeScript says of `async` only that there is no Promise, and not where. */
function asynchronous(files: readonly ts.SourceFile[]): Diagnostic[] {
  const { code, message } = PROBLEMS.unsupported;
  const hint = unsupportedHint("async");
  const found: Diagnostic[] = [];
  const visit = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AsyncKeyword) {
      const diagnostic = {
        code,
        severity: "error",
        message: fill(message, ["async"]),
        span: spanOfNode(node),
      } as const;
      found.push({ ...diagnostic, ...(hint === null ? {} : { hint }) });
    }
    ts.forEachChild(node, visit);
  };
  files.forEach(visit);
  return found;
}

function missingEntry(entry: string): Diagnostic {
  const { code, message } = PROBLEMS.noFile;
  return { code, severity: "error", message: fill(message, [entry]) };
}

/** Parses and checks the entry and what it imports. */
export function checkSource(entry: string, host: CompilerHost): CheckedSource {
  const links = new Map<string, Map<string, string | undefined>>();
  const program = ts.createProgram([`${PRELUDE_ROOT}kernel/index.ts`, entry], OPTIONS, typescriptHost(host, links));
  const files = program.getSourceFiles().filter((file) => !isPrelude(file));
  const entryFile = program.getSourceFile(entry);
  const augments = files.some((file) => !ts.isExternalModule(file) || AUGMENTS.test(file.text));
  const snapshot = new Snapshot(files, links);
  const found = [
    ...program.getGlobalDiagnostics(),
    ...files.flatMap((file) => (augments ? allDiagnostics(program, file) : diagnosticsOf(program, file, snapshot))),
  ].filter((diagnostic) => diagnostic.category === ts.DiagnosticCategory.Error);
  const diagnostics = found.filter((one) => !follows(one, found)).map(fromTypeScript);
  if (found.some(({ code }) => code === NO_GLOBAL_TYPE)) diagnostics.push(...asynchronous(files));
  if (!entryFile) diagnostics.unshift(missingEntry(entry));
  const checker = program.getTypeChecker();
  if (!augments) followed.set(checker, snapshot);
  return { program, checker, entry: entryFile, files, diagnostics };
}

/** The same program for another purpose, such as to write declarations. */
export function programOf(entry: string, host: CompilerHost, options: ts.CompilerOptions): ts.Program {
  const roots = [`${PRELUDE_ROOT}kernel/index.ts`, entry];
  return ts.createProgram(roots, { ...OPTIONS, ...options }, typescriptHost(host, new Map()));
}

/** Path and text of each module of the standard library that has code. */
export function* libraryTexts(): Generator<readonly [path: string, text: string]> {
  for (const [path, text] of PRELUDE) if (path.endsWith(".bpf.ts")) yield [`${PRELUDE_ROOT}${path}`, text];
}
