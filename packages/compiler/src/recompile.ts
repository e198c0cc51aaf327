/**
 * @module
 * What this process has compiled already, and what others before it have left in a store. A compilation is a function of what its host answers: where every answer is the same, so is the result;
 * and where files differ in comments and white space alone, only line info does.
 */
import { digestOf, wayTo, type CompileStore } from "@skep/ir";
import type { FunctionSpec, LineInfo, ObjectSpec } from "@skep/object";
import type { CompileOptions, CompileResult } from "./compile.ts";
import type { CompilerHost } from "./source.ts";
import { areSameTokens, lastUpTo, lineStarts, tokensOf, type Tokens } from "./tokens.ts";

/** What a host was asked for, and what it answered. */
interface Answers {
  readonly files: Map<string, string | undefined>;
  readonly modules: Map<string, { readonly specifier: string; readonly from: string; readonly path: string | null }>;
}

interface Kept {
  readonly answers: Answers;
  readonly result: CompileResult & { readonly spec: ObjectSpec };
  /** Of the files that were compared with others. */
  readonly tokens: Map<string, Tokens | null>;
}

/** A file whose tokens have moved. */
interface Moved {
  readonly before: Tokens;
  readonly after: Tokens;
}

const kept = new Map<string, Kept>();
const MOST_KEPT = 16;

const keyOf = (entry: string, { cpu = 3, optimize = 2, byteOrder = "little" }: CompileOptions): string =>
  [entry, cpu, optimize, byteOrder].join("\0");

const nameOf = (key: string): string => `module-${digestOf(key)}`;

/** What is kept of a compilation with these options. */
function lookUp(key: string, store: CompileStore | undefined): Kept | undefined {
  const known = kept.get(key);
  if (known || !store) return known;
  const stored = store.get(nameOf(key)) as Omit<Kept, "tokens"> | undefined;
  return stored && keep(key, { ...stored, tokens: new Map() });
}

function keep(key: string, found: Kept): Kept {
  kept.delete(key);
  kept.set(key, found);
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break;
    kept.delete(oldest);
  }
  return found;
}

/** The host, and what it has been asked for: once for each file, so that all of a compilation sees the same. */
export function listenTo(host: CompilerHost): { readonly host: CompilerHost; readonly answers: Answers } {
  const answers: Answers = { files: new Map(), modules: new Map() };
  const heard: CompilerHost = {
    readFile: (path) => {
      if (answers.files.has(path)) return answers.files.get(path);
      const text = host.readFile(path);
      answers.files.set(path, text);
      return text;
    },
    resolve: (specifier, from) => {
      const path = host.resolve?.(specifier, from) ?? null;
      answers.modules.set(`${specifier}\0${from}`, { specifier, from, path });
      return path;
    },
  };
  return { host: heard, answers };
}

/** Keeps a result without any diagnostic. */
export function remember(
  entry: string,
  options: CompileOptions,
  found: { answers: Answers; result: CompileResult },
): void {
  const { answers, result } = found;
  if (!result.spec || result.diagnostics.length > 0) return;
  const key = keyOf(entry, options);
  const { tokens: _, ...stored } = keep(key, {
    answers,
    result: { ...result, spec: copySpec(result.spec) },
    tokens: new Map(),
  });
  options.store?.put(nameOf(key), stored);
}

/** The result, where it is known but for line info; else null. */
export function recall(entry: string, host: CompilerHost, options: CompileOptions): CompileResult | null {
  const known = lookUp(keyOf(entry, options), options.store);
  const moved = known && movedFiles(known, host);
  if (!moved) return null;
  const { spec, sources } = known.result;
  const ways = new Map([...moved].map(([path, file]) => [wayTo(path, entry), new Mover(file)]));
  const fresh = copySpec(spec, (lines) => moveLines(lines, ways));
  if (!fresh) return null;
  const texts = Object.entries(sources).map(([path, text]) => [path, moved.get(path)?.after.text ?? text]);
  return { spec: fresh, diagnostics: [], sources: Object.fromEntries(texts) as Record<string, string> };
}

/** Files that differ, none of them in its tokens; null where something else differs. */
function movedFiles({ answers, tokens }: Kept, host: CompilerHost): Map<string, Moved> | null {
  for (const { specifier, from, path } of answers.modules.values()) {
    if ((host.resolve?.(specifier, from) ?? null) !== path) return null;
  }
  const moved = new Map<string, Moved>();
  for (const [path, was] of answers.files) {
    const text = host.readFile(path);
    if (text === was) continue;
    if (text === undefined || was === undefined) return null;
    const before = tokens.get(path) ?? tokensOf(was);
    tokens.set(path, before);
    const after = tokensOf(text);
    if (!before || !after || !areSameTokens(before, after)) return null;
    moved.set(path, { before, after });
  }
  return moved;
}

/** Finds places again. */
class Mover {
  readonly #file: Moved;
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  readonly #lines: readonly string[];

  constructor(file: Moved) {
    this.#file = file;
    this.#before = lineStarts(file.before.text);
    this.#after = lineStarts(file.after.text);
    this.#lines = file.after.text.split(/\r?\n/);
  }

  /** null for a place where no token starts. */
  move(info: LineInfo): LineInfo | null {
    const { before, after } = this.#file;
    const offset = (this.#before[info.line - 1] ?? -1) + info.column - 1;
    const token = lastUpTo(before.starts, offset);
    if (before.starts[token] !== offset) return null;
    const start = after.starts[token] as number;
    const line = lastUpTo(this.#after, start);
    const column = start - (this.#after[line] as number) + 1;
    return { ...info, line: line + 1, column, text: this.#lines[line] ?? "" };
  }
}

function moveLines(lines: readonly LineInfo[], ways: ReadonlyMap<string, Mover>): readonly LineInfo[] | null {
  const found: LineInfo[] = [];
  for (const info of lines) {
    const mover = ways.get(info.file);
    const moved = mover ? mover.move(info) : info;
    if (!moved) return null;
    found.push(moved);
  }
  return found;
}

type Relocate = (lines: readonly LineInfo[]) => readonly LineInfo[] | null;

function copySpec(spec: ObjectSpec): ObjectSpec;
function copySpec(spec: ObjectSpec, relocate: Relocate): ObjectSpec | null;
/** Who gets the code may change it. */
function copySpec(spec: ObjectSpec, relocate: Relocate = (lines) => lines): ObjectSpec | null {
  const programs = copyAll(spec.programs, relocate);
  const functions = copyAll(spec.functions, relocate);
  return programs && functions && { ...spec, programs, functions };
}

function copyAll<T extends FunctionSpec>(
  list: Readonly<Record<string, T>>,
  relocate: Relocate,
): Record<string, T> | null {
  const copies: Record<string, T> = {};
  for (const [name, fn] of Object.entries(list)) {
    const lines = relocate(fn.lines);
    if (!lines) return null;
    copies[name] = { ...fn, lines, instructions: fn.instructions.map((inst) => ({ ...inst })) };
  }
  return copies;
}
