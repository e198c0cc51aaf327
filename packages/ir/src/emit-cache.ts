/**
 * @module
 * Code of functions that were compiled before: a function with the same IR, lines and callees gives the same code.
 */
import type { Diagnostic } from "@skep/isa";
import type { FunctionSpec } from "@skep/object";
import { terminatorArgs } from "./analysis/cfg.ts";
import type { Block, EmitOptions, Inst, IrFunction, IrModule, Loc, Terminator } from "./ir.ts";

/** What emitting a function gave. */
export interface EmittedFunction {
  readonly code: FunctionSpec;
  readonly diagnostics: readonly Diagnostic[];
  /** Bytes of stack. */
  readonly frame: number;
  /** Names of the functions that the code refers to. */
  readonly references: readonly string[];
}

/** Keeps what was compiled last; pass the same one to several calls of `emitModule`. */
export class EmitCache {
  readonly #known = new Map<string, EmittedFunction>();
  readonly #most: number;

  constructor(most = 256) {
    this.#most = most;
  }

  get(key: string): EmittedFunction | null {
    const found = this.#known.get(key);
    if (!found) return null;
    this.#known.delete(key);
    this.#known.set(key, found);
    // Who gets the code may change it.
    return { ...found, code: { ...found.code, instructions: found.code.instructions.map((inst) => ({ ...inst })) } };
  }

  put(key: string, emitted: EmittedFunction): void {
    const instructions = emitted.code.instructions.map((inst) => ({ ...inst }));
    this.#known.set(key, { ...emitted, code: { ...emitted.code, instructions } });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#most) break;
      this.#known.delete(oldest);
    }
  }
}

export interface CacheKey {
  readonly key: string;
  /** Nothing else's code depends on how this function turns out. */
  readonly apart: boolean;
}

/**
 * A key for each function: of all that its code depends on. Whether an `auto` function is inlined depends on who else calls it: then on the
 * whole module.
 */
export function cacheKeys(module: IrModule, options: EmitOptions): Map<IrFunction, CacheKey> {
  const { cpu = 3, optimize = 2, byteOrder = "little" } = options;
  const known = new Map(module.functions.map((fn) => [fn.name, fn]));
  const own = new Map(module.functions.map((fn) => [fn, new Fingerprint(module).of(fn)]));
  const keys = new Map<IrFunction, CacheKey>();
  for (const fn of module.functions) {
    const below = new Set<IrFunction>([fn]);
    for (const one of below) {
      for (const name of references(one)) {
        const callee = known.get(name);
        if (callee) below.add(callee);
      }
    }
    const dependsOnAll = [...below].some((one) => one !== fn && one.inline === "auto" && one.linkage === "static");
    const parts = (dependsOnAll ? module.functions : [...below]).map((one) => own.get(one));
    const isInlined = !fn.program && fn.linkage === "static" && fn.inline !== "never";
    const key = [cpu, optimize, byteOrder, module.file, own.get(fn), ...parts].join(" ");
    keys.set(fn, { key, apart: !dependsOnAll && !isInlined });
  }
  return keys;
}

/** Names of the functions that it calls or takes the address of. */
export function references(fn: IrFunction): string[] {
  const names: string[] = [];
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (inst.op === "call" || inst.op === "function") names.push(inst.function);
  }
  return names;
}

/** Digests a function: every attribute of every instruction, and the source lines that line info repeats. */
class Fingerprint {
  readonly #sources: IrModule["sources"];
  readonly #places = new Map<Loc, string>();
  #text: string[] = [];

  constructor(module: IrModule) {
    this.#sources = module.sources;
  }

  of(fn: IrFunction): string {
    const { blocks, ...rest } = fn;
    this.#text = [JSON.stringify({ ...rest, source: this.#source(fn.loc) })];
    for (const block of blocks) {
      this.#text.push(`block ${block.id}`);
      for (const inst of block.insts) this.#inst(inst);
      this.#terminator(block.terminator);
    }
    return digest(this.#text.join("\n"));
  }

  #inst(inst: Inst): void {
    let line = "";
    for (const [key, value] of Object.entries(inst)) {
      if (key === "args") line += ` (${inst.args.map((arg) => arg.id).join(",")})`;
      else if (key === "loc") line += ` ${this.#place(value as Loc)}`;
      else if (key === "blocks") line += ` [${(value as Block[]).map((block) => block.id).join(",")}]`;
      else line += typeof value === "object" ? ` ${key}=${plain(value)}` : ` ${key}=${String(value)}`;
    }
    this.#text.push(line);
  }

  #terminator(terminator: Terminator | undefined): void {
    if (terminator === undefined) return;
    const args = terminatorArgs(terminator).map((arg) => arg.id);
    const blocks = JSON.stringify(terminator, (key, value: unknown) => {
      if (key === "args" || key === "loc") return undefined;
      if (typeof value === "bigint") return String(value);
      return isBlock(value) ? value.id : value;
    });
    this.#text.push(`${blocks} ${args.join(",")} ${terminator.loc ? this.#place(terminator.loc) : ""}`);
  }

  #place(loc: Loc): string {
    const known = this.#places.get(loc);
    if (known !== undefined) return known;
    const text = `@${JSON.stringify(loc)} ${this.#source(loc)}`;
    this.#places.set(loc, text);
    return text;
  }

  #source(loc: Loc): string {
    return this.#sources[loc.file]?.[loc.line - 1] ?? "";
  }
}

const isBlock = (value: unknown): value is Block =>
  typeof value === "object" && value !== null && "insts" in value && "id" in value;

const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part));

/** 128 bits of a text: four independent multiply-and-xor hashes. */
function digest(text: string): string {
  let [a, b, c, d] = [0x9e3779b9, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x5bd1e995);
    c = Math.imul(c ^ unit, 0x2c1b3c6d) + (a >>> 15);
    d = Math.imul(d ^ unit, 0x297a2d39) + (b >>> 13);
  }
  return [a, b, c, d, text.length].map((word) => (word >>> 0).toString(36)).join("-");
}
