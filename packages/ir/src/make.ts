/**
 * @module
 * Where instructions, blocks and terminators come from. Each of them has all attributes that any of its kind may have, set or not, in one
 * order: engines then know one layout of object where passes look at whatever comes, and need not look it up.
 */
import type { Block, Inst, IrFunction, Loc, Terminator, ValueType } from "./ir.ts";

type Body<I> = I extends Inst ? Omit<I, "id" | "type" | "args" | "loc" | "name"> : never;
export type InstBody = Body<Inst>;

type TerminatorParts<T> = T extends Terminator ? Omit<T, "loc"> : never;
export type TerminatorBody = TerminatorParts<Terminator>;

type KeysOf<T> = T extends unknown ? keyof T : never;
type ValueOf<T, K extends PropertyKey> = T extends unknown ? (K extends keyof T ? T[K] : never) : never;
/** Every attribute of every member of a union; none need be set. */
type Whole<T> = { -readonly [K in KeysOf<T>]: ValueOf<T, K> | undefined };

/** An instruction without anything but its number. */
function blank(id: number, type: ValueType | undefined, args: Inst[]): Whole<Inst> {
  return {
    id,
    type,
    args,
    op: undefined,
    loc: undefined,
    name: undefined,
    value: undefined,
    binary: undefined,
    predicate: undefined,
    blocks: undefined,
    size: undefined,
    signed: undefined,
    offset: undefined,
    space: undefined,
    align: undefined,
    from: undefined,
    bits: undefined,
    local: undefined,
    index: undefined,
    bytes: undefined,
    helper: undefined,
    map: undefined,
    function: undefined,
    section: undefined,
    volatile: undefined,
    core: undefined,
    toOffset: undefined,
    fromOffset: undefined,
    toSpace: undefined,
    fromSpace: undefined,
    atomic: undefined,
    fetch: undefined,
    symbol: undefined,
    weak: undefined,
    typeId: undefined,
    kfunc: undefined,
    kind: undefined,
  };
}

/** The attributes of each operation. */
export const ATTRIBUTES: { readonly [Op in Inst["op"]]: readonly KeysOf<Extract<InstBody, { op: Op }>>[] } = {
  const: ["value"],
  param: ["index"],
  phi: ["blocks"],
  "local.get": ["local"],
  "local.set": ["local"],
  binary: ["binary"],
  ptradd: [],
  ptrsub: [],
  neg: [],
  bswap: ["bits"],
  hton: ["bits"],
  ext: ["from", "signed"],
  trunc: [],
  cmp: ["predicate"],
  select: [],
  load: ["size", "signed", "offset", "space", "align", "volatile", "core"],
  store: ["size", "offset", "space", "align", "core"],
  copy: ["bytes", "toOffset", "fromOffset", "toSpace", "fromSpace", "align"],
  zero: ["bytes", "offset", "space", "align"],
  atomic: ["atomic", "fetch", "size", "offset", "space"],
  stack: ["bytes", "align"],
  map: ["map"],
  data: ["section", "offset"],
  function: ["function"],
  ksym: ["symbol", "weak", "typeId"],
  helper: ["helper"],
  call: ["function"],
  kfunc: ["kfunc", "typeId", "weak"],
  core: ["kind", "core"],
};

function fill(inst: Whole<Inst>, body: InstBody): void {
  const { op } = body;
  inst.op = op;
  const [to, from] = [inst as Record<string, unknown>, body as unknown as Record<string, unknown>];
  for (const key of ATTRIBUTES[op]) to[key] = from[key];
}

/** An instruction that is in no block yet. */
export function newInst(
  id: number,
  type: ValueType | undefined,
  parts: { args: Inst[]; body: InstBody; loc?: Loc | undefined; name?: string | undefined },
): Inst {
  const inst = blank(id, type, parts.args);
  inst.loc = parts.loc;
  inst.name = parts.name;
  fill(inst, parts.body);
  return inst as Inst;
}

/** Makes another operation of an instruction: it stays the same value of the same type, so that its users need no change. */
export function become(inst: Inst, args: Inst[], body: InstBody): void {
  const whole = inst as Whole<Inst> & Record<string, unknown>;
  for (const key of ATTRIBUTES[inst.op]) whole[key] = undefined;
  whole.args = args;
  fill(whole, body);
}

/** A copy with a number of its own; it shares its operands' list with the original. */
export function copyInst(inst: Inst, id: number, args: Inst[]): Inst {
  const from = inst as Whole<Inst>;
  return {
    id,
    type: from.type,
    args,
    op: from.op,
    loc: from.loc,
    name: from.name,
    value: from.value,
    binary: from.binary,
    predicate: from.predicate,
    blocks: from.blocks,
    size: from.size,
    signed: from.signed,
    offset: from.offset,
    space: from.space,
    align: from.align,
    from: from.from,
    bits: from.bits,
    local: from.local,
    index: from.index,
    bytes: from.bytes,
    helper: from.helper,
    map: from.map,
    function: from.function,
    section: from.section,
    volatile: from.volatile,
    core: from.core,
    toOffset: from.toOffset,
    fromOffset: from.fromOffset,
    toSpace: from.toSpace,
    fromSpace: from.fromSpace,
    atomic: from.atomic,
    fetch: from.fetch,
    symbol: from.symbol,
    weak: from.weak,
    typeId: from.typeId,
    kfunc: from.kfunc,
    kind: from.kind,
  } as Whole<Inst> as Inst;
}

/** A block that is in no function yet. */
export function newBlock(id: number, name?: string): Block {
  return { id, name, insts: [], terminator: undefined } as Block;
}

export function newTerminator(body: TerminatorBody, loc?: Loc): Terminator {
  const from = body as Whole<TerminatorBody>;
  const whole: Whole<Terminator> = {
    op: from.op,
    loc,
    args: from.args,
    to: from.to,
    predicate: from.predicate,
    // oxlint-disable-next-line unicorn/no-thenable -- a block's name, never awaited
    then: from.then,
    else: from.else,
    likely: from.likely,
    cases: from.cases,
    default: from.default,
  };
  return whole as Terminator;
}

export const newJump = (to: Block, loc?: Loc): Terminator => newTerminator({ op: "jump", to }, loc);

/** An instruction of `fn` that is not in a block yet. */
export function makeInst(
  fn: IrFunction,
  type: ValueType | undefined,
  parts: { args: Inst[]; body: InstBody; loc?: Loc | undefined },
): Inst {
  return newInst(fn.nextId++, type, parts);
}
