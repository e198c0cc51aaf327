/**
 * @module
 * How a front end writes a function: blocks, instructions by typed methods, terminators.
 * Every method appends to the current block (`at`) with the current location (`loc`) and returns the instruction, which is its value.
 */
import type {
  AtomicOp,
  BinaryOp,
  Block,
  CoreAccess,
  Inst,
  IrFunction,
  Loc,
  Local,
  Predicate,
  Space,
  ValueType,
} from "./ir.ts";
import { newBlock, newInst, newTerminator, type InstBody, type TerminatorBody } from "./make.ts";

export interface FunctionOptions {
  readonly name: string;
  readonly params: IrFunction["params"];
  /** Absent: the function returns nothing. */
  readonly returns?: ValueType | undefined;
  readonly typeId: number;
  readonly linkage?: "static" | "global";
  readonly program?: IrFunction["program"];
  readonly inline?: IrFunction["inline"];
  readonly loc: Loc;
}

export interface LoadOptions {
  readonly size: 1 | 2 | 4 | 8;
  /** Of the result; by default `i64` for 8 bytes, else `i32`. */
  readonly type?: ValueType;
  /** Extends the sign to the result's width. Default false. */
  readonly signed?: boolean;
  /** Added to the pointer. Default 0. */
  readonly offset?: number;
  readonly space: Space;
  /** What the address is a multiple of. Default `size`. */
  readonly align?: number;
  readonly volatile?: boolean;
  readonly core?: CoreAccess;
}

export interface StoreOptions {
  readonly size: 1 | 2 | 4 | 8;
  readonly offset?: number;
  readonly space: Space;
  readonly align?: number;
  readonly core?: CoreAccess;
}

export interface CopyOptions {
  readonly bytes: number;
  readonly toOffset?: number;
  readonly fromOffset?: number;
  readonly toSpace: Space;
  readonly fromSpace: Space;
  /** Of both addresses. Default 1. */
  readonly align?: number;
}

export interface ZeroOptions {
  readonly bytes: number;
  readonly offset?: number;
  readonly space: Space;
  readonly align?: number;
}

export interface AtomicOptions {
  readonly size: 4 | 8;
  readonly offset?: number;
  readonly space: Space;
  /** Gives the old value. Default false; `xchg` and `cmpxchg` always do. */
  readonly fetch?: boolean;
}

const WIDTH = { i32: 32, i64: 64, ptr: 64 } as const;

/** Writes one function. Blocks may be filled in any order; a block ends with its terminator. */
export class FunctionBuilder {
  /** The function as written so far. */
  readonly function: IrFunction;
  /** Given to what is appended from now on. */
  loc: Loc | undefined;
  /** Where instructions go. */
  current: Block;
  #nextBlock = 0;
  #nextLocal = 0;
  #params: Inst[];

  /** Starts with the entry block as the current one, all parameters in it. */
  constructor(options: FunctionOptions) {
    this.function = {
      name: options.name,
      params: options.params,
      returns: options.returns,
      typeId: options.typeId,
      linkage: options.linkage ?? (options.program ? "global" : "static"),
      ...(options.program ? { program: options.program } : {}),
      inline: options.inline ?? "auto",
      blocks: [],
      nextId: 0,
      loc: options.loc,
    };
    this.loc = options.loc;
    this.current = this.block("entry");
    this.#params = options.params.map((param, index) => {
      const inst = this.#append(param.type, [], { op: "param", index });
      inst.name = param.name;
      return inst;
    });
  }

  /** A new, empty block, last in the order; the current block stays. */
  block(name?: string): Block {
    const block = newBlock(this.#nextBlock++, name);
    this.function.blocks.push(block);
    return block;
  }

  /** Continues at the end of `block`. */
  at(block: Block): this {
    this.current = block;
    return this;
  }

  /** Whether the current block has its terminator: what follows would be unreachable. */
  get terminated(): boolean {
    return this.current.terminator !== undefined;
  }

  // Values

  /** A constant, wrapped to the type's width. Negative values are allowed. */
  const(type: ValueType, value: bigint | number): Inst {
    return this.#append(type, [], { op: "const", value: BigInt.asUintN(WIDTH[type], BigInt(value)) });
  }

  i32(value: bigint | number): Inst {
    return this.const("i32", value);
  }

  i64(value: bigint | number): Inst {
    return this.const("i64", value);
  }

  null(): Inst {
    return this.const("ptr", 0n);
  }

  param(index: number): Inst {
    const inst = this.#params[index];
    if (inst === undefined) throw new RangeError(`${this.function.name} has no parameter ${index}`);
    return inst;
  }

  phi(type: ValueType, incoming: readonly (readonly [Block, Inst])[]): Inst {
    const args = incoming.map(([, value]) => value);
    return this.#append(type, args, { op: "phi", blocks: incoming.map(([block]) => block) });
  }

  /** A variable; reading it before any `set` gives an unspecified value. */
  local(name: string, type: ValueType): Local {
    return { id: this.#nextLocal++, name, type };
  }

  get(local: Local): Inst {
    return this.#append(local.type, [], { op: "local.get", local });
  }

  set(local: Local, value: Inst): void {
    this.#append(undefined, [value], { op: "local.set", local });
  }

  // Arithmetic: operands and result have one type

  binary(binary: BinaryOp, a: Inst, b: Inst): Inst {
    return this.#append(a.type, [a, b], { op: "binary", binary });
  }

  add(a: Inst, b: Inst): Inst {
    return this.binary("add", a, b);
  }

  sub(a: Inst, b: Inst): Inst {
    return this.binary("sub", a, b);
  }

  mul(a: Inst, b: Inst): Inst {
    return this.binary("mul", a, b);
  }

  and(a: Inst, b: Inst): Inst {
    return this.binary("and", a, b);
  }

  or(a: Inst, b: Inst): Inst {
    return this.binary("or", a, b);
  }

  xor(a: Inst, b: Inst): Inst {
    return this.binary("xor", a, b);
  }

  shl(a: Inst, b: Inst): Inst {
    return this.binary("shl", a, b);
  }

  lshr(a: Inst, b: Inst): Inst {
    return this.binary("lshr", a, b);
  }

  ashr(a: Inst, b: Inst): Inst {
    return this.binary("ashr", a, b);
  }

  neg(a: Inst): Inst {
    return this.#append(a.type, [a], { op: "neg" });
  }

  /** All bits flipped. */
  not(a: Inst): Inst {
    return this.xor(a, this.const(a.type ?? "i32", -1));
  }

  /** A pointer moved by an `i64`, which must not be negative unless it is a constant. */
  ptradd(pointer: Inst, offset: Inst | bigint | number): Inst {
    const by = typeof offset === "object" ? offset : this.i64(offset);
    return this.#append("ptr", [pointer, by], { op: "ptradd" });
  }

  /** a - b in bytes. */
  ptrsub(a: Inst, b: Inst): Inst {
    return this.#append("i64", [a, b], { op: "ptrsub" });
  }

  bswap(a: Inst, bits: 16 | 32 | 64): Inst {
    return this.#append(a.type, [a], { op: "bswap", bits });
  }

  /** Host to network order, or back. */
  hton(a: Inst, bits: 16 | 32 | 64): Inst {
    return this.#append(a.type, [a], { op: "hton", bits });
  }

  /** Extends the low `from` bits of `a` to `to`; a result of `a`'s own type normalises it. */
  ext(a: Inst, options: { from: 8 | 16 | 32; signed: boolean; to: "i32" | "i64" }): Inst {
    return this.#append(options.to, [a], { op: "ext", from: options.from, signed: options.signed });
  }

  /** i32 to i64 without sign. */
  zext(a: Inst): Inst {
    return this.ext(a, { from: 32, signed: false, to: "i64" });
  }

  /** i32 to i64 with sign. */
  sext(a: Inst): Inst {
    return this.ext(a, { from: 32, signed: true, to: "i64" });
  }

  /** i64 to i32. */
  trunc(a: Inst): Inst {
    return this.#append("i32", [a], { op: "trunc" });
  }

  /** 0 or 1 as `i32`. */
  cmp(predicate: Predicate, a: Inst, b: Inst): Inst {
    return this.#append("i32", [a, b], { op: "cmp", predicate });
  }

  /** `a` where the `i32` condition is not 0, else `b`. */
  select(condition: Inst, a: Inst, b: Inst): Inst {
    return this.#append(a.type, [condition, a, b], { op: "select" });
  }

  // Memory

  load(pointer: Inst, options: LoadOptions): Inst {
    return this.#append(options.type ?? (options.size === 8 ? "i64" : "i32"), [pointer], {
      op: "load",
      size: options.size,
      signed: options.signed ?? false,
      offset: options.offset ?? 0,
      space: options.space,
      align: options.align ?? options.size,
      ...(options.volatile ? { volatile: true } : {}),
      ...(options.core ? { core: options.core } : {}),
    });
  }

  /** Stores the low `size` bytes of `value`. */
  store(pointer: Inst, value: Inst, options: StoreOptions): void {
    this.#append(undefined, [pointer, value], {
      op: "store",
      size: options.size,
      offset: options.offset ?? 0,
      space: options.space,
      align: options.align ?? options.size,
      ...(options.core ? { core: options.core } : {}),
    });
  }

  /** Copies bytes between places that do not overlap. */
  copy(to: Inst, from: Inst, options: CopyOptions): void {
    this.#append(undefined, [to, from], {
      op: "copy",
      bytes: options.bytes,
      toOffset: options.toOffset ?? 0,
      fromOffset: options.fromOffset ?? 0,
      toSpace: options.toSpace,
      fromSpace: options.fromSpace,
      align: options.align ?? 1,
    });
  }

  zero(to: Inst, options: ZeroOptions): void {
    this.#append(undefined, [to], {
      op: "zero",
      bytes: options.bytes,
      offset: options.offset ?? 0,
      space: options.space,
      align: options.align ?? 1,
    });
  }

  /** The old value (of the operand's type) where `fetch`, `xchg` or `cmpxchg`; `operands` is [value] or, for cmpxchg, [expected, value]. */
  atomic(atomic: AtomicOp, pointer: Inst, operands: readonly Inst[], options: AtomicOptions): Inst {
    const fetch = (options.fetch ?? false) || atomic === "xchg" || atomic === "cmpxchg";
    return this.#append(fetch ? (options.size === 8 ? "i64" : "i32") : undefined, [pointer, ...operands], {
      op: "atomic",
      atomic,
      fetch,
      size: options.size,
      offset: options.offset ?? 0,
      space: options.space,
    });
  }

  // Addresses

  /** An object on the stack, one for the whole function wherever it is written. */
  stack(bytes: number, align = 8, name?: string): Inst {
    const inst = this.#append("ptr", [], { op: "stack", bytes, align });
    if (name !== undefined) inst.name = name;
    return inst;
  }

  map(map: string): Inst {
    return this.#append("ptr", [], { op: "map", map });
  }

  /** A place in a data section, such as `.rodata`. */
  data(section: string, offset = 0): Inst {
    return this.#append("ptr", [], { op: "data", section, offset });
  }

  /** The address of a function of the module, for callbacks. */
  functionAddress(name: string): Inst {
    return this.#append("ptr", [], { op: "function", function: name });
  }

  ksym(symbol: string, options: { weak?: boolean; typeId?: number } = {}): Inst {
    return this.#append("ptr", [], {
      op: "ksym",
      symbol,
      weak: options.weak ?? false,
      ...(options.typeId === undefined ? {} : { typeId: options.typeId }),
    });
  }

  // Calls

  /** A helper by its number; `type` of the result, absent where it gives none. */
  helper(helper: number, args: readonly Inst[], type?: ValueType): Inst {
    return this.#append(type, [...args], { op: "helper", helper });
  }

  call(name: string, args: readonly Inst[], type?: ValueType): Inst {
    return this.#append(type, [...args], { op: "call", function: name });
  }

  kfunc(
    kfunc: string,
    args: readonly Inst[],
    options: { typeId: number; weak?: boolean; type?: ValueType | undefined },
  ): Inst {
    return this.#append(options.type, [...args], {
      op: "kfunc",
      kfunc,
      typeId: options.typeId,
      weak: options.weak ?? false,
    });
  }

  /** A constant that a CO-RE relocation of `kind` (enum bpf_core_relo_kind) patches at load. */
  core(kind: number, core: CoreAccess, type: ValueType = "i64"): Inst {
    return this.#append(type, [], { op: "core", kind, core });
  }

  // Terminators

  jump(to: Block): void {
    this.#terminate({ op: "jump", to });
  }

  /** Compares `args` and goes on at `targets[0]` where it holds, else at `targets[1]`; `likely`: which way is usual. */
  branch(
    predicate: Predicate,
    args: readonly [Inst, Inst],
    targets: readonly [whenTrue: Block, whenFalse: Block],
    likely?: boolean,
  ): void {
    this.#terminate({
      op: "branch",
      predicate,
      args: [args[0], args[1]],
      // oxlint-disable-next-line unicorn/no-thenable -- a block's name, never awaited
      then: targets[0],
      else: targets[1],
      ...(likely === undefined ? {} : { likely }),
    });
  }

  /** `branch` on a value of any type that is not 0. */
  branchIf(condition: Inst, targets: readonly [whenTrue: Block, whenFalse: Block], likely?: boolean): void {
    this.branch("ne", [condition, this.const(condition.type ?? "i32", 0)], targets, likely);
  }

  switch(value: Inst, cases: readonly { readonly value: bigint; readonly to: Block }[], otherwise: Block): void {
    const bits = WIDTH[value.type ?? "i32"];
    this.#terminate({
      op: "switch",
      args: [value],
      cases: cases.map(({ value, to }) => ({ value: BigInt.asUintN(bits, value), to })),
      default: otherwise,
    });
  }

  return(value?: Inst): void {
    this.#terminate({ op: "return", args: value === undefined ? [] : [value] });
  }

  unreachable(): void {
    this.#terminate({ op: "unreachable" });
  }

  #append(type: ValueType | undefined, args: Inst[], body: InstBody): Inst {
    if (this.terminated) {
      throw new Error(`block ${this.current.id} of ${this.function.name} is terminated; ${body.op} cannot follow`);
    }
    const inst = newInst(this.function.nextId++, type, { args, body, loc: this.loc });
    this.current.insts.push(inst);
    return inst;
  }

  #terminate(body: TerminatorBody): void {
    if (this.terminated) throw new Error(`block ${this.current.id} of ${this.function.name} has a terminator`);
    this.current.terminator = newTerminator(body, this.loc);
  }
}
