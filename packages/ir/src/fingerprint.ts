/**
 * @module
 * Digests of functions: equal for functions that differ in nothing but where in the source they stand.
 */
import { terminatorArgs } from "./analysis/cfg.ts";
import type { Inst, IrFunction, Loc, Local, Terminator } from "./ir.ts";
import { ATTRIBUTES } from "./make.ts";

export interface Fingerprint {
  /** Of every attribute of every instruction; of places, which of them are the same one. The same in every process. */
  readonly digest: string;
  /** The places, in the order in which they are met. */
  readonly locs: readonly Loc[];
}

export function fingerprint(fn: IrFunction): Fingerprint {
  return new Reader(fn).result();
}

/** Two words for what is no small number, by its kind and text. */
const words = new Map<unknown, readonly [number, number]>();

function wordsOf(value: unknown): readonly [number, number] {
  const known = words.get(value);
  if (known !== undefined) return known;
  const hash = new Hash();
  hash.text(typeof value);
  hash.text(String(value));
  const found = [hash.word(0), hash.word(1)] as const;
  words.set(value, found);
  return found;
}

/** Letters and digits that stand for the text. */
export function digestOf(text: string): string {
  const hash = new Hash();
  hash.text(text);
  return hash.digest();
}

const asText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? `${part}n` : part));

class Reader {
  readonly #hash = new Hash();
  readonly #places = new Map<Loc, number>();
  readonly #locals = new Map<Local, string>();

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
    return { digest: this.#hash.digest(), locs: [...this.#places.keys()] };
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
    } else {
      const [first, second] = wordsOf(value);
      this.#hash.add(first);
      this.#hash.add(second);
    }
  }

  #local(local: Local): void {
    const known = this.#locals.get(local) ?? asText(local);
    this.#locals.set(local, known);
    this.#value(known);
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

  text(text: string): void {
    this.add(text.length);
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
  }

  word(index: 0 | 1): number {
    return index === 0 ? this.#a ^ this.#c : this.#b ^ this.#d;
  }

  digest(): string {
    return [this.#a, this.#b, this.#c, this.#d, this.#length].map((word) => (word >>> 0).toString(36)).join("-");
  }
}

function mix(state: number, word: number, factor: number): number {
  let k = Math.imul(word, factor);
  k = (k << 15) | (k >>> 17);
  const h = state ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}
