/**
 * @module
 * Programs that need not be lowered again: what lowering one made is kept with all that it read, and with what had been made before it.
 */
import ts from "typescript";
import { digestOf, type IrFunction } from "@skep/ir";
import type { BtfType } from "@skep/object";
import type { Subprogram } from "./lower/cx.ts";
import type { Module } from "./module.ts";
import { Reads } from "./reads.ts";
import { isPrelude, snapshotOf } from "./source.ts";
import type { ProgramDecl } from "./values.ts";

/** A constant of a section. */
interface Constant {
  readonly section: string;
  readonly bytes: Uint8Array;
  readonly align: number;
  readonly offset: number;
}

interface Kept {
  /** What it read. */
  readonly reads: string;
  /** What had been made before it, and with it. */
  readonly before: string;
  readonly after: string;
  readonly functions: readonly IrFunction[];
  readonly subprograms: readonly (readonly [key: string, Subprogram])[];
  /** null: an id that is defined later. */
  readonly btf: readonly (BtfType | null)[];
  readonly constants: readonly Constant[];
  /** Of the library's structures those that were met first; what they are does not change. */
  readonly structs: readonly ts.CallExpression[];
  readonly prototypes: readonly (readonly [name: string, id: number])[];
  readonly pointedTo: readonly (readonly [name: string, id: number])[];
}

/** Of one module: by program. */
export type Replays = Map<string, Kept>;

const modules = new Map<string, Replays>();
const MOST_MODULES = 16;

/** What is kept of a module's earlier compilations in this process. */
export function replaysOf(entry: string): Replays {
  const found = modules.get(entry) ?? new Map<string, Kept>();
  modules.delete(entry);
  modules.set(entry, found);
  for (const oldest of modules.keys()) {
    if (modules.size <= MOST_MODULES) break;
    modules.delete(oldest);
  }
  return found;
}

/** How much there is of all that lowering may add to. */
interface Sizes {
  readonly functions: number;
  readonly subprograms: number;
  readonly btf: number;
  readonly entries: ReadonlyMap<string, number>;
  readonly prototypes: number;
  readonly pointedTo: number;
  readonly structs: number;
  /** Of what cannot be replayed: what adds to it is lowered each time. */
  readonly rest: string;
}

function sizesOf(module: Module): Sizes {
  const { maps, variables, structOps, kernelFunctions, problems, kernel, license } = module;
  const lists = [maps, variables, structOps, kernelFunctions].map(({ size }) => size);
  return {
    functions: module.functions.length,
    subprograms: module.subprograms.size,
    btf: module.types.btf.end,
    entries: new Map([...module.sections].map(([name, { entries }]) => [name, entries.length])),
    prototypes: module.prototypes.size,
    pointedTo: kernel.pointedTo.size,
    structs: module.declared.size,
    rest: [...lists, problems.list.length, license, kernel.stamp].join("\n"),
  };
}

const NOTHING: Sizes = {
  functions: 0,
  subprograms: 0,
  btf: 1,
  entries: new Map(),
  prototypes: 0,
  pointedTo: 0,
  structs: 0,
  rest: "",
};

/** What was added; null where that cannot be replayed. */
function addedSince(module: Module, from: Sizes): Omit<Kept, "reads" | "before" | "after"> | null {
  const { types, kernel } = module;
  const constants: Constant[] = [];
  for (const [section, { entries }] of module.sections) {
    for (const { variable, ...constant } of entries.slice(from.entries.get(section) ?? 0)) {
      if (variable) return null;
      constants.push({ section, ...constant });
    }
  }
  const btf: (BtfType | null)[] = [];
  for (let id = from.btf; id < types.btf.end; id++) {
    const type = types.btf.get(id);
    btf.push(type?.kind === "fwd" && type.name === "" ? null : type);
  }
  const structs = [...module.declared.keys()].slice(from.structs);
  if (!structs.every(isOfLibrary)) return null;
  return {
    structs,
    functions: module.functions.slice(from.functions),
    subprograms: [...module.subprograms].slice(from.subprograms),
    btf,
    constants,
    prototypes: [...module.prototypes].slice(from.prototypes),
    pointedTo: [...kernel.pointedTo].slice(from.pointedTo),
  };
}

function isOfLibrary(node: ts.Node): node is ts.CallExpression {
  return ts.isCallExpression(node) && isPrelude(node.getSourceFile());
}

const asText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));

/** Text that is equal where as much had been made in the same way. */
function summary(before: string, added: Omit<Kept, "reads" | "before" | "after">, rest: string): string {
  const { functions, subprograms, btf, constants, prototypes, pointedTo } = added;
  const shapes = constants.map(({ section, offset, bytes, align }) => [section, offset, align, ...bytes]);
  const places = added.structs.map((node) => [node.getSourceFile().fileName, node.pos]);
  const names = functions.map(({ name }) => name);
  const callees = subprograms.map(([key, { name, returns, moves, linear }]) => [
    key,
    name,
    returns?.name,
    moves,
    linear,
  ]);
  return digestOf([before, rest, asText([names, callees, btf, shapes, places, prototypes, pointedTo])].join("\n"));
}

/** What every program's lowering may look at in all files. */
function globals(module: Module): string {
  const placed = (symbol: ts.Symbol): string =>
    `${symbol.valueDeclaration?.getSourceFile().fileName ?? ""} ${symbol.name}`;
  return [
    module.license,
    [...module.programs.keys()].join(" "),
    [...module.assignedProperties].sort().join(" "),
    [...module.assignedElements].map(placed).sort().join(" "),
    [...module.optional].map(placed).sort().join(" "),
  ].join("\n");
}

/** All that the top levels have made. */
function startOf(module: Module): string {
  const { btf } = module.types;
  const types = Array.from({ length: btf.end - 1 }, (_, index) => btf.get(index + 1));
  const entries = [...module.sections].map(([name, section]) => [
    name,
    section.entries.map(({ offset, bytes, variable }) => [offset, bytes.length, variable?.name ?? [...bytes]]),
  ]);
  const { prototypes, kernel, subprograms } = module;
  const rest = [...prototypes, ...kernel.pointedTo, ...subprograms.keys(), module.declared.size, sizesOf(module).rest];
  return digestOf([globals(module), asText([types, entries, rest])].join("\n"));
}

/** One compilation's use of what is kept. */
export class Replay {
  readonly #module: Module;
  readonly #known: Replays;
  readonly #reads: Reads | null;
  #isOn: boolean;
  #state: string;

  /** `sound`: nothing was found wrong so far. */
  constructor(module: Module, known: Replays, sound: boolean) {
    this.#module = module;
    this.#known = known;
    const snapshot = snapshotOf(module.checker);
    this.#reads = snapshot && new Reads(snapshot.names, (node) => callsOf(module, node));
    this.#isOn = sound && snapshot !== null;
    this.#state = this.#isOn ? startOf(module) : "";
  }

  /** Lowers the program, or does what lowering it did. */
  lower(program: ProgramDecl, lower: () => void): void {
    const reads = this.#isOn ? this.#readsOf(program) : null;
    const known = this.#known.get(program.name);
    if (known && known.reads === reads && known.before === this.#state && declare(this.#module, known)) {
      apply(this.#module, known);
      this.#state = known.after;
      return;
    }
    const wasOn = this.#isOn;
    const from = wasOn ? sizesOf(this.#module) : NOTHING;
    // Where lowering throws, what it has made is not all of it.
    this.#isOn = false;
    lower();
    this.#isOn = wasOn && this.#module.problems.list.length === 0;
    if (this.#isOn) this.#keep(program, reads, from);
  }

  #readsOf({ name, kind, target, flags, argument, run, node }: ProgramDecl): string | null {
    if (!run.env.isTop) return null;
    const key = this.#reads?.key([node, run.node]) ?? null;
    return key && [name, kind, target, flags, argument?.name, run.name, key].join(" ");
  }

  #keep(program: ProgramDecl, reads: string | null, from: Sizes): void {
    const { rest } = sizesOf(this.#module);
    const added = addedSince(this.#module, from);
    const before = this.#state;
    // What follows is not replayed either.
    if (!added) this.#state = `${before} ${program.name} ${unique++}`;
    else this.#state = summary(before, added, rest);
    if (!added || reads === null || rest !== from.rest) return;
    for (const fn of added.functions) Object.freeze(fn);
    this.#known.set(program.name, { reads, before, after: this.#state, ...added });
  }
}

let unique = 0;

/** How often a function is called decides whether it is inlined. */
function callsOf(module: Module, node: ts.Statement): string {
  const symbol =
    ts.isFunctionDeclaration(node) && node.name ? module.checker.getSymbolAtLocation(node.name) : undefined;
  return symbol ? String(module.callSites.get(symbol) ?? 0) : "";
}

/** Whether the library's structures are what they were, and in the same order. */
function declare(module: Module, { structs }: Kept): boolean {
  const before = module.declared.size;
  for (const node of structs) if (!module.structOf(node)) return false;
  const now = [...module.declared.keys()].slice(before);
  return now.length === structs.length && now.every((node, index) => node === structs[index]);
}

function apply(module: Module, known: Kept): void {
  const { btf } = module.types;
  for (const type of known.btf) {
    const next = btf.end;
    const id = type === null ? btf.reserve() : btf.add(type);
    if (id !== next) throw new Error(`BTF type ${id} where ${next} was expected`);
  }
  for (const { section, bytes, align, offset } of known.constants) {
    const at = module.section(section).constant(bytes, align);
    if (at !== offset) throw new Error(`a constant of ${section} at ${at} where ${offset} was expected`);
  }
  for (const [name, id] of known.prototypes) module.prototypes.set(name, id);
  module.kernel.bring(known.pointedTo);
  for (const [key, subprogram] of known.subprograms) module.subprograms.set(key, { ...subprogram });
  module.functions.push(...known.functions);
}
