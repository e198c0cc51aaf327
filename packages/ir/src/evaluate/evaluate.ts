/**
 * @module
 * Runs IR as it is written, with locals or in SSA form: what a program means, against which code generation and passes are held.
 */
import { widthOf } from "../edit.ts";
import type { InstOf } from "../edit.ts";
import type { Block, Inst, IrFunction, IrModule, Local, Terminator } from "../ir.ts";
import { evaluatePredicate } from "../predicate.ts";
import { evaluateBinary, extend, reverseBytes } from "./arithmetic.ts";
import { Environment } from "./environment.ts";
import { EvaluationError } from "./memory.ts";

export interface EvaluateOptions {
  readonly environment?: Environment;
  /** Instructions before it is taken for an endless loop. Default 1,000,000. */
  readonly steps?: number;
  readonly byteOrder?: "little" | "big";
}

/** Runs a function on unsigned values of its parameters' widths; gives its result, or undefined. Throws `EvaluationError`. */
export function evaluate(
  module: IrModule,
  name: string,
  args: readonly bigint[],
  options: EvaluateOptions = {},
): bigint | undefined {
  const environment = options.environment ?? new Environment({ maps: module.maps, data: module.data });
  return new Evaluator(module, environment, options).call(name, args);
}

class Evaluator {
  readonly #functions: ReadonlyMap<string, IrFunction>;
  readonly #environment: Environment;
  readonly #littleEndian: boolean;
  readonly #addresses = new Map<string, bigint>();
  #steps: number;

  constructor(module: IrModule, environment: Environment, options: EvaluateOptions) {
    this.#functions = new Map(module.functions.map((fn) => [fn.name, fn]));
    this.#environment = environment;
    this.#steps = options.steps ?? 1_000_000;
    this.#littleEndian = options.byteOrder !== "big";
    environment.callFunction = (address, args) => {
      for (const [name, known] of this.#addresses) if (known === address) return this.call(name, args) ?? 0n;
      throw new EvaluationError("a call of what is no function");
    };
  }

  call(name: string, args: readonly bigint[]): bigint | undefined {
    const fn = this.#functions.get(name);
    if (fn === undefined) throw new EvaluationError(`no function ${name}`);
    const values = args.map((arg, i) => BigInt.asUintN(widthOf(fn.params[i]?.type), arg));
    return new Frame(fn, values, this).run();
  }

  step(): void {
    if (--this.#steps < 0) throw new EvaluationError("too many steps");
  }

  get environment(): Environment {
    return this.#environment;
  }

  get littleEndian(): boolean {
    return this.#littleEndian;
  }

  functionAddress(name: string): bigint {
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    const address = this.#environment.memory.allocate(0);
    this.#addresses.set(name, address);
    return address;
  }
}

class Frame {
  readonly #fn: IrFunction;
  readonly #args: readonly bigint[];
  readonly #evaluator: Evaluator;
  readonly #values = new Map<Inst, bigint>();
  readonly #locals = new Map<Local, bigint>();
  readonly #stack = new Map<Inst, bigint>();

  constructor(fn: IrFunction, args: readonly bigint[], evaluator: Evaluator) {
    this.#fn = fn;
    this.#args = args;
    this.#evaluator = evaluator;
  }

  run(): bigint | undefined {
    try {
      return this.#run();
    } finally {
      for (const address of this.#stack.values()) this.#evaluator.environment.memory.release(address);
    }
  }

  #run(): bigint | undefined {
    let block = this.#fn.blocks[0] as Block;
    let from: Block | undefined;
    for (;;) {
      this.#phis(block, from);
      for (const inst of block.insts) {
        if (inst.op === "phi") continue;
        this.#evaluator.step();
        const value = this.#inst(inst);
        if (value !== undefined && inst.type !== undefined) {
          this.#values.set(inst, BigInt.asUintN(widthOf(inst.type), value));
        }
      }
      this.#evaluator.step();
      const terminator = block.terminator as Terminator;
      if (terminator.op === "return") return terminator.args[0] && this.#value(terminator.args[0]);
      from = block;
      block = this.#next(terminator);
    }
  }

  /** All at once: a phi may read another's old value. */
  #phis(block: Block, from: Block | undefined): void {
    const found: [Inst, bigint][] = [];
    for (const inst of block.insts) {
      if (inst.op !== "phi") break;
      const index = inst.blocks.indexOf(from as Block);
      if (index < 0) throw new EvaluationError(`%${inst.id} has no value from its predecessor`);
      found.push([inst, this.#value(inst.args[index] as Inst)]);
    }
    for (const [inst, value] of found) this.#values.set(inst, value);
  }

  #value(inst: Inst): bigint {
    const value = this.#values.get(inst);
    if (value === undefined) throw new EvaluationError(`%${inst.id} of ${this.#fn.name} is read before it is computed`);
    return value;
  }

  #next(terminator: Terminator): Block {
    switch (terminator.op) {
      case "jump":
        return terminator.to;
      case "branch": {
        const [a, b] = terminator.args;
        const holds = evaluatePredicate(terminator.predicate, [this.#value(a), this.#value(b)], widthOf(a.type));
        return holds ? terminator.then : terminator.else;
      }
      case "switch": {
        const value = this.#value(terminator.args[0]);
        return terminator.cases.find((entry) => entry.value === value)?.to ?? terminator.default;
      }
      default:
        throw new EvaluationError("reached what is unreachable");
    }
  }

  #inst(inst: Inst): bigint | undefined {
    const args = inst.args.map((arg) => this.#value(arg));
    const [a, b, c] = args as [bigint, bigint, bigint];
    const bits = widthOf(inst.type);
    switch (inst.op) {
      case "const":
        return inst.value;
      case "param":
        return this.#args[inst.index] ?? 0n;
      case "local.get":
        return this.#locals.get(inst.local) ?? 0n;
      case "local.set":
        this.#locals.set(inst.local, a);
        return undefined;
      case "binary":
        return evaluateBinary(inst.binary, [a, b], bits);
      case "ptradd":
        return a + b;
      case "ptrsub":
        return a - b;
      case "neg":
        return -a;
      case "bswap":
        return reverseBytes(a, inst.bits);
      case "hton":
        return this.#evaluator.littleEndian ? reverseBytes(a, inst.bits) : BigInt.asUintN(inst.bits, a);
      case "ext":
        return extend(a, { from: inst.from, signed: inst.signed, to: bits });
      case "trunc":
        return a;
      case "cmp":
        return evaluatePredicate(inst.predicate, [a, b], widthOf(inst.args[0]?.type)) ? 1n : 0n;
      case "select":
        return a === 0n ? c : b;
      case "phi":
        return undefined;
      default:
        return this.#memory(inst, args);
    }
  }

  #memory(inst: Inst, args: readonly bigint[]): bigint | undefined {
    const { environment } = this.#evaluator;
    const memory = environment.memory;
    const [a, b] = args as [bigint, bigint];
    switch (inst.op) {
      case "load":
        return this.#load(inst, a);
      case "store":
        memory.write(wrap(a + BigInt(inst.offset)), b, inst.size);
        return undefined;
      case "copy": {
        const from = memory.bytes(wrap(b + BigInt(inst.fromOffset)), inst.bytes);
        memory.bytes(wrap(a + BigInt(inst.toOffset)), inst.bytes).set(from.slice());
        return undefined;
      }
      case "zero":
        memory.bytes(wrap(a + BigInt(inst.offset)), inst.bytes).fill(0);
        return undefined;
      case "atomic":
        return this.#atomic(inst, args);
      case "stack": {
        const known = this.#stack.get(inst) ?? memory.allocate(inst.bytes);
        this.#stack.set(inst, known);
        return known;
      }
      case "map":
        return environment.mapHandle(inst.map);
      case "data":
        return environment.dataAddress(inst.section) + BigInt(inst.offset);
      case "function":
        return this.#evaluator.functionAddress(inst.function);
      case "ksym":
        return environment.ksym(inst.symbol);
      case "helper":
        return environment.callHelper(inst.helper, args);
      case "kfunc":
        return environment.callKfunc(inst.kfunc, args);
      case "call":
        return this.#evaluator.call(inst.function, args);
      case "core":
        return inst.core.local;
      default:
        throw new EvaluationError(`${inst.op} cannot be evaluated`);
    }
  }

  #load(inst: InstOf<"load">, address: bigint): bigint {
    const { environment } = this.#evaluator;
    if (inst.type === "ptr" && inst.space === "ctx") {
      const pointer = environment.contextPointer(inst.offset);
      if (pointer !== undefined) return pointer;
    }
    const raw = environment.memory.read(wrap(address + BigInt(inst.offset)), inst.size);
    return extend(raw, { from: inst.size * 8, signed: inst.signed, to: widthOf(inst.type) });
  }

  #atomic(inst: InstOf<"atomic">, args: readonly bigint[]): bigint {
    const memory = this.#evaluator.environment.memory;
    const address = wrap((args[0] as bigint) + BigInt(inst.offset));
    const bits = inst.size === 8 ? 64 : 32;
    const old = memory.read(address, inst.size);
    const value = args[1] as bigint;
    if (inst.atomic === "cmpxchg") {
      if (old === value) memory.write(address, args[2] as bigint, inst.size);
    } else if (inst.atomic === "xchg") memory.write(address, value, inst.size);
    else memory.write(address, evaluateBinary(inst.atomic, [old, value], bits), inst.size);
    return old;
  }
}

const wrap = (address: bigint): bigint => BigInt.asUintN(64, address);
