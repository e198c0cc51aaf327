/**
 * @module
 * Digests of functions: equal for functions that differ in nothing but where in the source they stand.
 */
import { terminatorArgs } from "./analysis/cfg.ts";
import type { Inst, IrFunction, Loc, Local, Terminator } from "./ir.ts";
import { ATTRIBUTES } from "./make.ts";

export interface Fingerprint {
  /** Of every attribute of every instruction; of places, which of them are the same one. Good within a process. */
  readonly digest: string;
  /** The places, in the order in which they are met. */
  readonly locs: readonly Loc[];
}

export function fingerprint(fn: IrFunction): Fingerprint {
  return new Reader(fn).result();
}

/** Numbers for what is no number, given out for good: so that equal ones have equal numbers in every function of the process. */
const numbers = new Map<unknown, number>();

function numberOf(value: unknown): number {
  const known = numbers.get(value);
  if (known !== undefined) return known;
  numbers.set(value, numbers.size);
  return numbers.size - 1;
}

const asText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));

class Reader {
  readonly #hash = new Hash();
  readonly #places = new Map<Loc, number>();
  readonly #locals = new Map<Local, number>();

  constructor(fn: IrFunction) {
    const { blocks, loc, ...rest } = fn;
    this.#value(asText(rest));
    this.#place(loc);
    for (const block of blocks) {
      this.#hash.add(BLOCK);
      this.#hash.add(block.id);
      for (const inst of block.insts) this.#inst(inst);
      if (block.terminator) this.#terminator(block.terminator);
    }
  }

  result(): Fingerprint {
    return { digest: this.#hash.text(), locs: [...this.#places.keys()] };
  }

  #inst(inst: Inst): void {
    this.#value(inst.op);
    this.#hash.add(inst.id);
    this.#value(inst.type);
    this.#value(inst.name);
    this.#args(inst.args);
    if (inst.loc) this.#place(inst.loc);
    if (inst.op === "local.get" || inst.op === "local.set") this.#local(inst.local);
    else if (inst.op === "phi") for (const block of inst.blocks) this.#hash.add(block.id);
    else {
      const attributes = inst as unknown as Record<string, unknown>;
      for (const key of ATTRIBUTES[inst.op]) {
        const value = attributes[key];
        this.#value(typeof value === "object" ? asText(value) : value);
      }
    }
  }

  #terminator(terminator: Terminator): void {
    this.#hash.add(TERMINATOR);
    this.#value(terminator.op);
    this.#args(terminatorArgs(terminator));
    switch (terminator.op) {
      case "jump":
        this.#hash.add(terminator.to.id);
        break;
      case "branch":
        this.#value(terminator.predicate);
        this.#value(terminator.likely);
        this.#hash.add(terminator.then.id);
        this.#hash.add(terminator.else.id);
        break;
      case "switch":
        for (const { value, to } of terminator.cases) {
          this.#value(value);
          this.#hash.add(to.id);
        }
        this.#hash.add(terminator.default.id);
        break;
      case "return":
      case "unreachable":
        break;
    }
    if (terminator.loc) this.#place(terminator.loc);
  }

  #args(args: readonly Inst[]): void {
    this.#hash.add(args.length);
    for (const arg of args) this.#hash.add(arg.id);
  }

  #value(value: unknown): void {
    if (typeof value === "number" && (value | 0) === value) {
      this.#hash.add(NUMBER);
      this.#hash.add(value);
    } else this.#hash.add(numberOf(value));
  }

  #local(local: Local): void {
    const known = this.#locals.get(local) ?? numberOf(asText(local));
    this.#locals.set(local, known);
    this.#hash.add(known);
  }

  #place(loc: Loc): void {
    const known = this.#places.get(loc) ?? this.#places.size;
    this.#places.set(loc, known);
    this.#hash.add(known);
  }
}

/** Part what could be taken for one another. */
const BLOCK = -1;
const TERMINATOR = -2;
const NUMBER = -3;

/** 128 bits of a sequence of 32-bit numbers: MurmurHash3's step in four lanes with multipliers of their own. */
class Hash {
  #a = 0x9e3779b9;
  #b = 0x85ebca6b;
  #c = 0xc2b2ae35;
  #d = 0x27d4eb2f;
  #length = 0;

  add(word: number): void {
    this.#a = mix(this.#a, word, 0xcc9e2d51);
    this.#b = mix(this.#b, word, 0x239b961b);
    this.#c = mix(this.#c, word, 0xab0e9789);
    this.#d = mix(this.#d, word, 0x38b34ae5);
    this.#length++;
  }

  text(): string {
    return [this.#a, this.#b, this.#c, this.#d, this.#length].map((word) => (word >>> 0).toString(36)).join("-");
  }
}

function mix(state: number, word: number, factor: number): number {
  let k = Math.imul(word, factor);
  k = (k << 15) | (k >>> 17);
  const h = state ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
