/**
 * @module
 * Code of functions that were compiled before: a function with the same IR and callees gives the same code. Where in the source it stands does
 * not count: passes carry places along and never look at them, so that the code's lines are found anew.
 */
import type { Diagnostic } from "@skep/isa";
import type { FunctionSpec } from "@skep/object";
import { digestOf, fingerprint, type Fingerprint } from "./fingerprint.ts";
import type { EmitOptions, IrFunction, IrModule, Loc } from "./ir.ts";

/** What emitting a function gave. */
export interface EmittedFunction {
  readonly code: Omit<FunctionSpec, "lines">;
  /** Where each instruction comes from. */
  readonly locs: readonly (Loc | undefined)[];
  readonly diagnostics: readonly Diagnostic[];
  /** Bytes of stack. */
  readonly frame: number;
  /** Names of the functions that the code refers to. */
  readonly references: readonly string[];
}

interface Kept {
  readonly emitted: EmittedFunction;
  /** By instruction, which of the key's places it comes from; -1: none. */
  readonly places: Int32Array;
}

/**
 * Where results outlive the process. Values are what a structured clone can copy; a name is of letters, digits and `-`. One version of the compiler
 * must not be given what another has put.
 */
export interface CompileStore {
  get(name: string): unknown;
  put(name: string, value: unknown): void;
}

/** Keeps what was compiled last; pass the same one to several calls of `emitModule`. */
export class EmitCache {
  readonly #known = new Map<string, Kept>();
  readonly #most: number;
  readonly #store: CompileStore | null;

  /** `store`: what was compiled by earlier processes. */
  constructor(most = 256, store: CompileStore | null = null) {
    this.#most = most;
    this.#store = store;
  }

  get({ key, places: table }: CacheKey): EmittedFunction | null {
    const found = this.#known.get(key) ?? (this.#store?.get(nameOf(key)) as Kept | undefined);
    if (!found) return null;
    this.#keep(key, found);
    const { emitted, places } = found;
    const locs = table();
    return { ...copy(emitted), locs: Array.from(places, (place) => (place < 0 ? undefined : locs[place])) };
  }

  put({ key, places: table }: CacheKey, emitted: EmittedFunction): void {
    const places = placesOf(emitted, table());
    if (places === null) return;
    const kept = { emitted: { ...copy(emitted), locs: [] }, places };
    this.#keep(key, kept);
    this.#store?.put(nameOf(key), kept);
  }

  #keep(key: string, kept: Kept): void {
    this.#known.delete(key);
    this.#known.set(key, kept);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#most) break;
      this.#known.delete(oldest);
    }
  }
}

const nameOf = (key: string): string => `function-${digestOf(key)}`;

/** Who gets the code may change it. */
function copy(emitted: EmittedFunction): EmittedFunction {
  const instructions = emitted.code.instructions.map((inst) => ({ ...inst }));
  return { ...emitted, code: { ...emitted.code, instructions } };
}

/** null where what was emitted speaks of places that cannot be found again. */
function placesOf({ locs, diagnostics }: EmittedFunction, table: readonly Loc[]): Int32Array | null {
  if (diagnostics.length > 0) return null;
  const index = new Map<Loc, number>();
  // A place that two functions share may be two in the next compilation.
  for (const [i, loc] of table.entries()) index.set(loc, index.has(loc) ? SHARED : i);
  const places = new Int32Array(locs.length).fill(-1);
  for (const [at, loc] of locs.entries()) {
    if (loc === undefined) continue;
    const place = index.get(loc) ?? SHARED;
    if (place === SHARED) return null;
    places[at] = place;
  }
  return places;
}

const SHARED = -2;

export interface CacheKey {
  readonly key: string;
  /** Nothing else's code depends on how this function turns out. */
  readonly apart: boolean;
  /** The places in all that the code depends on, in an order that equal keys share. */
  readonly places: () => readonly Loc[];
}

/**
 * A key for each function: of all that its code depends on, which is itself and what may be inlined into it. Whether an `auto` function is inlined
 * depends on who else calls it: then on the whole module.
 */
export function cacheKeys(module: IrModule, options: EmitOptions): Map<IrFunction, CacheKey> {
  const { cpu = 3, optimize = 2, byteOrder = "little" } = options;
  const inlined = new Map(module.functions.filter(mayBeInlined).map((fn) => [fn.name, fn]));
  const own = new Map(module.functions.map((fn) => [fn, fingerprintOf(fn)]));
  const keys = new Map<IrFunction, CacheKey>();
  for (const fn of module.functions) {
    const below = new Set<IrFunction>([fn]);
    if (inlined.size > 0) for (const one of below) for (const name of references(one)) addTo(below, inlined.get(name));
    const dependsOnAll = [...below].some((one) => one !== fn && one.inline === "auto");
    const others = (dependsOnAll ? module.functions : [...below]).filter((one) => one !== fn);
    const parts = [fn, ...others].map((one) => own.get(one) as Fingerprint);
    const key = [cpu, optimize, byteOrder, ...parts.map(({ digest }) => digest)].join(" ");
    keys.set(fn, { key, apart: !dependsOnAll && !mayBeInlined(fn), places: () => parts.flatMap(({ locs }) => locs) });
  }
  return keys;
}

const fingerprints = new WeakMap<IrFunction, Fingerprint>();

/** A frozen function is one that stays as it is: what was found of it holds. */
function fingerprintOf(fn: IrFunction): Fingerprint {
  if (!Object.isFrozen(fn)) return fingerprint(fn);
  const found = fingerprints.get(fn) ?? fingerprint(fn);
  fingerprints.set(fn, found);
  return found;
}

function addTo<T>(set: Set<T>, value: T | undefined): void {
  if (value !== undefined) set.add(value);
}

/** Whether its body may come to stand in its callers. */
export function mayBeInlined({ program, inline, linkage }: IrFunction): boolean {
  return !program && (inline === "always" || (inline === "auto" && linkage === "static"));
}

/** Names of the functions that it calls or takes the address of. */
export function references(fn: IrFunction): string[] {
  const names: string[] = [];
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (inst.op === "call" || inst.op === "function") names.push(inst.function);
  }
  return names;
}
