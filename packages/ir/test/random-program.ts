/**
 * @module
 * Random well-formed modules that the kernel's verifier accepts: loops, calls, packet, map, stack and data accesses, all operations.
 */
import { FunctionBuilder } from "../src/index.ts";
import type { BinaryOp, Inst, IrModule, Local, Predicate, ValueType } from "../src/index.ts";
import { arrayMap, dataMap, hashMap, LOC, moduleOf, packetProgram } from "./harness.ts";
import type { Random } from "./random.ts";

export const PACKET_BYTES = 256;
/** What the program reads of the packet, and where it leaves its variables. */
const INPUT_BYTES = 128;

const BINARY: readonly BinaryOp[] = [
  "add",
  "add",
  "sub",
  "sub",
  "mul",
  "udiv",
  "sdiv",
  "umod",
  "smod",
  "and",
  "and",
  "or",
  "xor",
  "shl",
  "lshr",
  "ashr",
];
const PREDICATES: readonly Predicate[] = ["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge", "set"];
type Int = "i32" | "i64";
const INTS: readonly Int[] = ["i32", "i64"];
const SIZES = [1, 2, 4, 8] as const;

export interface RandomOptions {
  /** Rough number of statements of the program. */
  readonly statements: number;
  readonly callees: number;
}

/** Pure functions of integers: what is emitted as JavaScript too. */
export function randomPureFunction(random: Random, name: string, statements: number): FunctionBuilder {
  const params = Array.from({ length: 1 + random.below(4) }, (_, i) => ({
    name: `p${i}`,
    type: random.pick(INTS) as ValueType,
  }));
  const builder = new FunctionBuilder({ name, params, returns: random.pick(INTS), typeId: 0, loc: LOC });
  if (random.chance(40)) builder.function.inline = random.pick(["always", "never"]);
  const writer = new Writer(builder, random, { depth: 0 });
  builder.function.params.forEach((param, i) => {
    const local = builder.local(`v${i}`, param.type);
    builder.set(local, builder.param(i));
    writer.locals.push(local);
  });
  writer.declareLocals(2);
  writer.statements(statements);
  if (!builder.terminated) builder.return(writer.expression(builder.function.returns as Int, 3));
  return builder;
}

export function randomModule(random: Random, options: RandomOptions): IrModule {
  const callees = Array.from({ length: options.callees }, (_, i) =>
    randomPureFunction(random, `f${i}`, 2 + random.below(6)),
  );
  const { builder, data, end } = packetProgram("main", PACKET_BYTES);
  const memory: Places = {
    packet: data,
    end,
    stack: builder.stack(48, 8, "buffer"),
    key: builder.stack(8, 8, "key"),
    callees,
  };
  builder.zero(memory.stack, { bytes: 48, space: "stack", align: 8 });
  const writer = new Writer(builder, random, { depth: 0, memory });
  writer.declareLocals(4 + random.below(8));
  writer.statements(options.statements);
  if (!builder.terminated) finish(builder, writer, data);
  const contents = Uint8Array.from({ length: 64 }, () => random.below(256));
  return moduleOf([...callees.map((callee) => callee.function), builder.function], {
    maps: [arrayMap("values", 64, 4), hashMap("table", 8, 16)],
    data: [dataMap(".rodata", contents, true), dataMap(".data", contents.slice())],
  });
}

/** Leaves every variable in the packet, so that each one counts. */
function finish(builder: FunctionBuilder, writer: Writer, data: Inst): void {
  writer.locals.slice(0, 14).forEach((local, i) => {
    const value = builder.get(local);
    const wide = value.type === "i32" ? builder.zext(value) : value;
    builder.store(data, wide, { size: 8, offset: INPUT_BYTES + i * 8, space: "packet" });
  });
  builder.return(writer.expression("i32", 2));
}

interface Places {
  readonly packet: Inst;
  readonly end: Inst;
  readonly stack: Inst;
  readonly key: Inst;
  readonly callees: readonly FunctionBuilder[];
}

interface Scope {
  readonly depth: number;
  readonly memory?: Places;
}

class Writer {
  readonly locals: Local[] = [];
  readonly #b: FunctionBuilder;
  readonly #random: Random;
  readonly #memory: Places | undefined;
  /** Locals that loops count in: no statement may set them. */
  readonly #counters = new Set<Local>();
  #depth: number;
  #loops = 0;

  constructor(builder: FunctionBuilder, random: Random, scope: Scope) {
    this.#b = builder;
    this.#random = random;
    this.#memory = scope.memory;
    this.#depth = scope.depth;
  }

  declareLocals(count: number): void {
    for (let i = 0; i < count; i++) {
      const type = this.#random.pick(INTS);
      const local = this.#b.local(`v${this.locals.length}`, type);
      this.#b.set(local, this.#leaf(type));
      this.locals.push(local);
    }
  }

  statements(count: number): void {
    for (let i = 0; i < count && !this.#b.terminated; i++) this.#statement();
  }

  #statement(): void {
    const random = this.#random;
    const kind = random.below(100);
    const nested = this.#depth < 3;
    if (kind < 40) this.#assign();
    else if (kind < 55 && nested) this.#if();
    else if (kind < 63 && nested && this.#loops < 2) this.#loop();
    else if (kind < 70 && nested) this.#switch();
    else if (this.#memory === undefined) this.#assign();
    else if (kind < 82) this.#store(this.#memory);
    else if (kind < 88) this.#mapValue(this.#memory);
    else if (kind < 94) this.#table(this.#memory);
    else this.#bulk(this.#memory);
  }

  #assign(): void {
    const local = this.#random.pick(this.locals.filter((known) => !this.#counters.has(known)));
    if (local === undefined) return;
    this.#b.set(local, this.expression(local.type as Int, 1 + this.#random.below(4)));
  }

  #condition(): [Predicate, [Inst, Inst]] {
    const type = this.#random.pick(INTS);
    return [this.#random.pick(PREDICATES), [this.expression(type, 2), this.expression(type, 1)]];
  }

  #inside(count: number): void {
    this.#depth++;
    this.statements(count);
    this.#depth--;
  }

  #if(): void {
    const b = this.#b;
    const [yes, no, after] = [b.block(), b.block(), b.block()];
    const [predicate, args] = this.#condition();
    const likely = this.#random.pick([undefined, true, false]);
    if (this.#random.chance(30)) b.branchIf(b.cmp(predicate, ...args), [yes, no], likely);
    else b.branch(predicate, args, [yes, no], likely);
    b.at(yes);
    this.#inside(1 + this.#random.below(3));
    if (!b.terminated) b.jump(after);
    b.at(no);
    if (this.#random.chance(50)) this.#inside(1 + this.#random.below(3));
    if (!b.terminated) b.jump(after);
    b.at(after);
  }

  #loop(): void {
    const b = this.#b;
    const type = this.#random.pick(INTS);
    const counter = b.local(`i${this.locals.length}`, type);
    b.set(counter, b.const(type, 0));
    const [head, body, after] = [b.block(), b.block(), b.block()];
    b.jump(head);
    b.at(head);
    b.branch("ult", [b.get(counter), b.const(type, 1 + this.#random.below(6))], [body, after]);
    b.at(body);
    this.#counters.add(counter);
    this.locals.push(counter);
    this.#loops++;
    this.#inside(1 + this.#random.below(3));
    this.#loops--;
    b.set(counter, b.add(b.get(counter), b.const(type, 1)));
    if (this.#random.chance(25)) {
      const [predicate, args] = this.#condition();
      b.branch(predicate, args, [after, head]);
    } else b.jump(head);
    b.at(after);
  }

  #switch(): void {
    const b = this.#b;
    const random = this.#random;
    const type = random.pick(INTS);
    const value = b.and(this.expression(type, 2), b.const(type, 15));
    const after = b.block();
    const values = new Set(Array.from({ length: 1 + random.below(7) }, () => BigInt(random.below(18))));
    const blocks = [...values].map((entry) => ({ value: entry, to: b.block() }));
    const otherwise = random.chance(50) ? after : b.block();
    b.switch(value, blocks, otherwise);
    for (const to of new Set([...blocks.map((entry) => entry.to), otherwise])) {
      if (to === after) continue;
      b.at(to);
      this.#inside(1 + random.below(2));
      if (!b.terminated) b.jump(after);
    }
    b.at(after);
  }

  /** A place whose bounds are plain: pointer, offset, space and known alignment. */
  #place(places: Places, size: number) {
    const b = this.#b;
    const random = this.#random;
    switch (random.below(4)) {
      case 0: {
        const offset = random.below(INPUT_BYTES - size);
        return { pointer: places.packet, offset, space: "packet" as const, align: 1 };
      }
      case 1: {
        const index = b.and(this.expression("i64", 1), b.i64(63));
        const pointer = b.ptradd(places.packet, index);
        // A variable part makes it a new pointer, which must be checked anew.
        const [bad, good] = [b.block(), b.block()];
        b.branch("ugt", [b.ptradd(pointer, 64), places.end], [bad, good], false);
        b.at(bad).return(b.i32(1));
        b.at(good);
        return { pointer, offset: random.below(56), space: "packet" as const, align: 1 };
      }
      case 2: {
        const aligned = random.chance(70);
        const offset = aligned ? random.below(48 / size) * size : random.below(48 - size);
        return { pointer: places.stack, offset, space: "stack" as const, align: aligned ? size : 1 };
      }
      default: {
        const offset = random.below(64 - size);
        return { pointer: b.data(".data", 0), offset, space: "data" as const, align: 1 };
      }
    }
  }

  #store(places: Places): void {
    const size = this.#random.pick(SIZES);
    const value = this.expression(size === 8 ? "i64" : this.#random.pick(INTS), 2);
    const { pointer, ...rest } = this.#place(places, size);
    this.#b.store(pointer, value, { size, ...rest });
  }

  /** Looks an array entry up, checks for null, reads and writes it. */
  #mapValue(places: Places): void {
    const b = this.#b;
    const random = this.#random;
    const key = random.chance(50) ? b.i32(random.below(6)) : b.and(this.expression("i32", 1), b.i32(7));
    b.store(places.key, key, { size: 4, space: "stack" });
    const value = b.helper(1, [b.map("values"), places.key], "ptr");
    const [found, after] = [b.block(), b.block()];
    b.branch("ne", [value, b.null()], [found, after]);
    b.at(found);
    for (let i = random.below(3); i >= 0; i--) {
      const size = random.pick(SIZES);
      const offset = random.below(64 - size);
      if (random.chance(25)) {
        const wide = random.chance(50);
        const operation = random.pick(["add", "and", "or", "xor", "xchg"] as const);
        const at = { size: wide ? 8 : 4, offset: random.below(8) * 8, space: "map", fetch: random.chance(50) } as const;
        const old = b.atomic(operation, value, [this.expression(wide ? "i64" : "i32", 1)], at);
        if (old.type !== undefined) this.#setSome(old);
      } else if (random.chance(50)) {
        this.#setSome(b.load(value, { size, offset, space: "map", align: 1 }));
      } else b.store(value, this.expression("i64", 2), { size, offset, space: "map", align: 1 });
    }
    b.jump(after);
    b.at(after);
  }

  #setSome(value: Inst): void {
    const fitting = this.locals.filter((local) => local.type === value.type && !this.#counters.has(local));
    if (fitting.length > 0) this.#b.set(this.#random.pick(fitting), value);
  }

  /** Update, lookup and delete of the hash table. */
  #table(places: Places): void {
    const b = this.#b;
    const random = this.#random;
    b.store(places.key, b.and(this.expression("i64", 1), b.i64(3)), { size: 8, space: "stack" });
    switch (random.below(3)) {
      case 0:
        this.#setSome(b.helper(2, [b.map("table"), places.key, b.ptradd(places.stack, 8), b.i64(0)], "i64"));
        return;
      case 1:
        this.#setSome(b.helper(3, [b.map("table"), places.key], "i64"));
        return;
      default: {
        const value = b.helper(1, [b.map("table"), places.key], "ptr");
        const [none, found, after] = [b.block(), b.block(), b.block()];
        b.branch("eq", [value, b.null()], [none, found]);
        b.at(found);
        this.#setSome(b.load(value, { size: 8, offset: 8, space: "map" }));
        b.jump(after);
        b.at(none);
        this.#inside(1);
        if (!b.terminated) b.jump(after);
        b.at(after);
      }
    }
  }

  #bulk(places: Places): void {
    const b = this.#b;
    const random = this.#random;
    const bytes = 1 + random.below(24);
    const at = random.below(24);
    if (random.chance(30)) b.zero(places.stack, { bytes, offset: at, space: "stack" });
    else if (random.chance(50)) {
      const from = { fromOffset: random.below(64), fromSpace: "packet" } as const;
      b.copy(places.stack, places.packet, { bytes, toOffset: at, toSpace: "stack", ...from });
    } else {
      const to = { toOffset: random.below(64), toSpace: "packet" } as const;
      b.copy(places.packet, places.stack, { bytes, fromOffset: at, fromSpace: "stack", ...to });
    }
  }

  #leaf(type: Int): Inst {
    const b = this.#b;
    const random = this.#random;
    const fitting = this.locals.filter((local) => local.type === type);
    const kind = random.below(10);
    if (kind < 5 && fitting.length > 0) return b.get(random.pick(fitting));
    if (kind < 8 || this.#memory === undefined) return b.const(type, random.value());
    return this.#load(this.#memory, type);
  }

  #load(places: Places, type: Int): Inst {
    const size = this.#random.pick(type === "i64" ? SIZES : ([1, 2, 4] as const));
    const signed = this.#random.chance(30);
    if (this.#random.chance(20)) {
      const offset = this.#random.below(64 - size);
      return this.#b.load(this.#b.data(".rodata", 0), { size, type, signed, offset, space: "data", align: 1 });
    }
    const { pointer, ...rest } = this.#place(places, size);
    return this.#b.load(pointer, { size, type, signed, ...rest });
  }

  expression(type: Int, depth: number): Inst {
    const b = this.#b;
    const random = this.#random;
    if (depth <= 0) return this.#leaf(type);
    const operand = (of: Int = type): Inst => this.expression(of, depth - 1 - random.below(2));
    switch (random.below(12)) {
      case 0:
        return this.#leaf(type);
      case 1:
        return random.chance(50) ? b.neg(operand()) : b.not(operand());
      case 2:
        return b.bswap(operand(), random.pick(type === "i64" ? ([16, 32, 64] as const) : ([16, 32] as const)));
      case 3:
        return b.hton(operand(), random.pick(type === "i64" ? ([16, 32, 64] as const) : ([16, 32] as const)));
      case 4: {
        const from = random.pick([8, 16, 32] as const);
        return b.ext(operand(random.pick(INTS)), { from, signed: random.chance(50), to: type });
      }
      case 5:
        if (type === "i32") return random.chance(50) ? b.trunc(operand("i64")) : b.cmp(...this.#compare());
        return b.zext(operand("i32"));
      case 6:
        return b.select(b.cmp(...this.#compare()), operand(), operand());
      case 7:
        return b.select(operand("i32"), operand(), operand());
      case 8:
        if (this.#memory && random.chance(50)) return this.#call(this.#memory, type) ?? operand();
        return b.binary(random.pick(BINARY), operand(), b.const(type, random.value()));
      default:
        return b.binary(random.pick(BINARY), operand(), operand());
    }
  }

  #compare(): [Predicate, Inst, Inst] {
    const [predicate, [a, b]] = this.#condition();
    return [predicate, a, b];
  }

  #call(places: Places, type: Int): Inst | null {
    const fitting = places.callees.filter((callee) => callee.function.returns === type);
    if (fitting.length === 0) return null;
    const callee = this.#random.pick(fitting).function;
    const args = callee.params.map((param) => this.expression(param.type as Int, 1));
    return this.#b.call(callee.name, args, type);
  }
}
