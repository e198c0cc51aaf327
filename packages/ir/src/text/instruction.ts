/**
 * @module
 * Instructions and terminators from text. Operands are numbers until the whole function is read.
 */
import type { InstBody } from "../edit.ts";
import type { AtomicOp, BinaryOp, CoreAccess, Local, Predicate, Space, ValueType } from "../ir.ts";
import type { Cursor } from "./cursor.ts";

/** An instruction without its operands; `blocks` of a phi by name. */
export interface RawInst {
  readonly body: InstBody;
  readonly args: readonly number[];
  readonly blocks?: readonly string[];
}

const BINARY = new Set<string>(
  "add sub mul udiv sdiv umod smod and or xor shl lshr ashr".split(" ") satisfies string[],
);
const PREDICATES = new Set<string>("eq ne ult ule ugt uge slt sle sgt sge set".split(" "));
const SPACES = new Set<string>("stack packet ctx map data kernel arena unknown".split(" "));
const ATOMICS = new Set<string>("add and or xor xchg cmpxchg".split(" "));

export function parseId(cursor: Cursor): number {
  cursor.expect("%");
  return cursor.integer("a number");
}

/** `%1, %2` */
export function parseIds(cursor: Cursor): number[] {
  const ids: number[] = [];
  if (!cursor.text.includes("%")) return ids;
  do ids.push(parseId(cursor));
  while (cursor.accept(","));
  return ids;
}

export function parsePredicate(cursor: Cursor): Predicate {
  const name = cursor.take(/\w+/, "a predicate");
  return PREDICATES.has(name) ? (name as Predicate) : cursor.fail(`'${name}' is no predicate`);
}

export function parseType(cursor: Cursor): ValueType {
  return cursor.take(/i32|i64|ptr/, "a type") as ValueType;
}

function space(cursor: Cursor): Space {
  const name = cursor.word("a space");
  return SPACES.has(name) ? (name as Space) : cursor.fail(`'${name}' is no space`);
}

function oneOf<T extends number>(cursor: Cursor, values: readonly T[], what: string): T {
  const value = cursor.integer(what);
  return values.find((one) => one === value) ?? cursor.fail(`${value} is no ${what}`);
}

/** `u32` as bytes. */
function size(cursor: Cursor): 1 | 2 | 4 | 8 {
  return ((oneOf(cursor, [8, 16, 32, 64], "size") as number) / 8) as 1 | 2 | 4 | 8;
}

function offset(cursor: Cursor): number {
  cursor.expect("+");
  return cursor.integer("an offset");
}

function place(cursor: Cursor): { offset: number; space: Space; align: number } {
  const at = offset(cursor);
  const where = space(cursor);
  cursor.expect("align");
  return { offset: at, space: where, align: cursor.integer("an alignment") };
}

function core(cursor: Cursor): { core?: CoreAccess } {
  if (!cursor.accept("core(")) return {};
  const typeId = cursor.integer("a type's number");
  const access = cursor.word("an access");
  const local = cursor.big("a value");
  cursor.expect(")");
  return { core: { typeId, access, local } };
}

function callArguments(cursor: Cursor): number[] {
  cursor.expect("(");
  if (cursor.accept(")")) return [];
  const args = parseIds(cursor);
  cursor.expect(")");
  return args;
}

/** `name.id.type`; the same local wherever it is named. */
function local(cursor: Cursor, locals: Map<string, Local>): Local {
  const text = cursor.word("a variable");
  const parts = /^(.*)\.(\d+)\.(i32|i64|ptr)$/.exec(text);
  if (parts === null) return cursor.fail(`'${text}' is no variable`);
  const known = locals.get(text);
  const made = known ?? { id: Number(parts[2]), name: parts[1] ?? "", type: parts[3] as ValueType };
  locals.set(text, made);
  return made;
}

/** Without result and name. */
export function parseBody(cursor: Cursor, locals: Map<string, Local>): RawInst {
  const op = cursor.take(/[a-z]+/, "an instruction");
  if (BINARY.has(op)) return { body: { op: "binary", binary: op as BinaryOp }, args: parseIds(cursor) };
  switch (op) {
    case "const":
      return { body: { op, value: cursor.big("a value") }, args: [] };
    case "param":
      return { body: { op, index: cursor.integer("an index") }, args: [] };
    case "phi":
      return phi(cursor);
    case "local":
      return localInst(cursor, locals);
    case "ptradd":
    case "ptrsub":
    case "neg":
    case "trunc":
    case "select":
      return { body: { op }, args: parseIds(cursor) };
    case "bswap":
    case "hton":
      return { body: { op, bits: oneOf(cursor, [16, 32, 64], "width") }, args: parseIds(cursor) };
    case "ext": {
      cursor.expect(".");
      const signed = cursor.take(/[su]/, "a sign") === "s";
      return { body: { op, from: oneOf(cursor, [8, 16, 32], "width"), signed }, args: parseIds(cursor) };
    }
    case "cmp":
      cursor.expect(".");
      return { body: { op, predicate: parsePredicate(cursor) }, args: parseIds(cursor) };
    default:
      return memoryInst(op, cursor) ?? addressInst(op, cursor);
  }
}

function phi(cursor: Cursor): RawInst {
  const blocks: string[] = [];
  const args: number[] = [];
  while (cursor.accept("[")) {
    blocks.push(cursor.word("a block"));
    args.push(parseId(cursor));
    cursor.expect("]");
  }
  return { body: { op: "phi", blocks: [] }, args, blocks };
}

function localInst(cursor: Cursor, locals: Map<string, Local>): RawInst {
  cursor.expect(".");
  const op = cursor.take(/get|set/, "get or set") === "get" ? "local.get" : "local.set";
  return { body: { op, local: local(cursor, locals) }, args: op === "local.set" ? [parseId(cursor)] : [] };
}

function memoryInst(op: string, cursor: Cursor): RawInst | null {
  switch (op) {
    case "load": {
      cursor.expect(".");
      const signed = cursor.take(/[su]/, "a sign") === "s";
      const bytes = size(cursor);
      const args = parseIds(cursor);
      const at = place(cursor);
      const volatile = cursor.accept("volatile") ? { volatile: true } : {};
      return { body: { op, size: bytes, signed, ...at, ...volatile, ...core(cursor) }, args };
    }
    case "store": {
      cursor.expect(".u");
      const bytes = size(cursor);
      const args = parseIds(cursor);
      return { body: { op, size: bytes, ...place(cursor), ...core(cursor) }, args };
    }
    case "copy": {
      const bytes = cursor.integer("a size");
      const args = parseIds(cursor);
      const [toOffset, toSpace] = [offset(cursor), space(cursor)];
      const [fromOffset, fromSpace] = [offset(cursor), space(cursor)];
      cursor.expect("align");
      const align = cursor.integer("an alignment");
      return { body: { op, bytes, toOffset, fromOffset, toSpace, fromSpace, align }, args };
    }
    case "zero": {
      const bytes = cursor.integer("a size");
      const args = parseIds(cursor);
      return { body: { op, bytes, ...place(cursor) }, args };
    }
    case "atomic":
      return atomic(cursor);
    default:
      return null;
  }
}

function atomic(cursor: Cursor): RawInst {
  cursor.expect(".");
  const name = cursor.take(/[a-z]+/, "an operation");
  if (!ATOMICS.has(name)) cursor.fail(`'${name}' is no atomic operation`);
  const fetch = cursor.accept(".fetch");
  cursor.expect(".u");
  const bytes = oneOf(cursor, [32, 64], "size") === 32 ? 4 : 8;
  const args = parseIds(cursor);
  const at = offset(cursor);
  const body = {
    op: "atomic",
    atomic: name as AtomicOp,
    fetch,
    size: bytes,
    offset: at,
    space: space(cursor),
  } as const;
  return { body, args };
}

function addressInst(op: string, cursor: Cursor): RawInst {
  switch (op) {
    case "stack": {
      const bytes = cursor.integer("a size");
      cursor.expect("align");
      return { body: { op, bytes, align: cursor.integer("an alignment") }, args: [] };
    }
    case "map":
      return { body: { op, map: cursor.word("a map") }, args: [] };
    case "data": {
      const section = cursor.word("a section");
      return { body: { op, section, offset: offset(cursor) }, args: [] };
    }
    case "function":
      return { body: { op, function: cursor.word("a function") }, args: [] };
    case "ksym": {
      const symbol = cursor.word("a symbol");
      const weak = cursor.accept("weak");
      const typeId = cursor.accept("type") ? { typeId: cursor.integer("a type's number") } : {};
      return { body: { op, symbol, weak, ...typeId }, args: [] };
    }
    case "helper":
      return { body: { op, helper: cursor.integer("a helper's number") }, args: callArguments(cursor) };
    case "call":
      return { body: { op, function: cursor.word("a function") }, args: callArguments(cursor) };
    case "kfunc": {
      const kfunc = cursor.word("a function");
      const args = callArguments(cursor);
      cursor.expect("type");
      const typeId = cursor.integer("a type's number");
      return { body: { op, kfunc, typeId, weak: cursor.accept("weak") }, args };
    }
    case "core": {
      const kind = cursor.integer("a kind");
      const { core: access } = core(cursor);
      return access ? { body: { op, kind, core: access }, args: [] } : cursor.fail("what is relocated is missing");
    }
    default:
      return cursor.fail(`'${op}' is no instruction`);
  }
}
