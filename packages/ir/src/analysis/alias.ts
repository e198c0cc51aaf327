/**
 * @module
 * What memory an access means, and which accesses may touch the same.
 */
import type { Inst, IrFunction, Space } from "../ir.ts";

export interface Place {
  readonly root: Inst;
  readonly offset: number;
  /** Bytes; Infinity where unknown. */
  readonly size: number;
  readonly space: Space;
  /** The stack object or data section behind variable steps too. */
  readonly object: Inst;
}

export function placeOf(pointer: Inst, access: { offset: number; size: number; space: Space }): Place {
  let [root, offset] = [pointer, access.offset];
  while (root.op === "ptradd" && root.args[1]?.op === "const") {
    offset += Number(BigInt.asIntN(64, root.args[1].value));
    root = root.args[0] as Inst;
  }
  let object = root;
  while (object.op === "ptradd") object = object.args[0] as Inst;
  return { root, offset, size: access.size, space: access.space, object };
}

/** Places that an instruction reads and writes; calls are told apart by the caller. */
export function accesses(inst: Inst): { reads?: Place; writes?: Place } {
  const [a, b] = inst.args as [Inst, Inst];
  switch (inst.op) {
    case "load":
      return { reads: placeOf(a, inst) };
    case "store":
      return { writes: placeOf(a, inst) };
    case "zero":
      return { writes: placeOf(a, { offset: inst.offset, size: inst.bytes, space: inst.space }) };
    case "copy":
      return {
        writes: placeOf(a, { offset: inst.toOffset, size: inst.bytes, space: inst.toSpace }),
        reads: placeOf(b, { offset: inst.fromOffset, size: inst.bytes, space: inst.fromSpace }),
      };
    case "atomic": {
      const place = placeOf(a, inst);
      return { reads: place, writes: place };
    }
    default:
      return {};
  }
}

export function mayAlias(a: Place, b: Place): boolean {
  if (isConstantData(a) || isConstantData(b)) return false;
  if (a.root === b.root) return a.offset < b.offset + b.size && b.offset < a.offset + a.size;
  if (a.space !== b.space) {
    const either = (space: Space): boolean => a.space === space || b.space === space;
    return either("unknown") && !either("ctx");
  }
  if (a.object.op === "stack" && b.object.op === "stack") return a.object === b.object;
  if (a.object.op === "data" && b.object.op === "data") {
    if (a.object.section !== b.object.section) return false;
    if (a.root.op !== "data" || b.root.op !== "data") return true;
    const [x, y] = [a.root.offset + a.offset, b.root.offset + b.offset];
    return x < y + b.size && y < x + a.size;
  }
  return true;
}

/** Read-only data never changes. */
export function isConstantData(place: Place): boolean {
  return place.object.op === "data" && place.object.section.startsWith(".rodata");
}

/** Stack objects whose address goes anywhere but into accesses and arguments of calls. */
export function escapedObjects(fn: IrFunction): Set<Inst> {
  const escaped = new Set<Inst>();
  const note = (pointer: Inst | undefined): void => {
    let root = pointer;
    while (root?.op === "ptradd") root = root.args[0];
    if (root?.op === "stack") escaped.add(root);
  };
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      if (inst.op === "store") note(inst.args[1]);
      else if (inst.op === "atomic") inst.args.slice(1).forEach(note);
      else if (inst.op === "phi" || inst.op === "select" || inst.op === "local.set") inst.args.forEach(note);
      else if (inst.op === "binary" || inst.op === "ptrsub") inst.args.forEach(note);
    }
    if (block.terminator?.op === "return") note(block.terminator.args[0]);
  }
  return escaped;
}

/** Helpers that neither move packet data nor touch memory but what their arguments point to. */
const HARMLESS = new Set([
  1, 2, 3, 5, 6, 7, 8, 14, 15, 16, 23, 25, 27, 28, 35, 36, 51, 69, 80, 84, 85, 86, 87, 88, 89, 99, 118, 125, 130, 131,
  132, 133, 134, 155, 160, 177, 195,
]);

/** Of those the ones that only read what their arguments point to. */
const READERS = new Set([
  1, 2, 3, 5, 6, 7, 8, 14, 15, 23, 25, 27, 28, 35, 51, 84, 85, 86, 99, 118, 125, 130, 131, 132, 133, 134, 155, 160, 195,
]);

/** What a call may change. */
export interface CallEffect {
  /** Packet data and the context's pointers to it. */
  readonly packet: boolean;
  /** Maps, data sections and what is unknown. */
  readonly shared: boolean;
  /** What the arguments point to. */
  readonly arguments: boolean;
}

export function callEffect(inst: Inst): CallEffect {
  if (inst.op !== "helper" || !HARMLESS.has(inst.helper)) return { packet: true, shared: true, arguments: true };
  // Update and delete change map values.
  const shared = inst.helper === 2 || inst.helper === 3;
  return { packet: false, shared, arguments: !READERS.has(inst.helper) };
}

export function isCall(inst: Inst): boolean {
  return inst.op === "helper" || inst.op === "call" || inst.op === "kfunc";
}

/** Whether the call may write the place. */
export function callWrites(call: Inst, place: Place, escaped: ReadonlySet<Inst>): boolean {
  if (isConstantData(place)) return false;
  const effect = callEffect(call);
  if (place.object.op === "stack") {
    if (escaped.has(place.object)) return effect.arguments || effect.shared;
    return effect.arguments && call.args.some((arg) => objectOf(arg) === place.object);
  }
  if (place.space === "packet" || place.space === "ctx") {
    return effect.packet || (effect.arguments && place.space === "packet");
  }
  if (place.space === "stack") return effect.arguments;
  return effect.shared || (effect.arguments && call.args.some((arg) => arg.type === "ptr"));
}

/** Whether the call may read the stack object. */
export function callReads(call: Inst, object: Inst, escaped: ReadonlySet<Inst>): boolean {
  return escaped.has(object) || call.args.some((arg) => objectOf(arg) === object);
}

function objectOf(pointer: Inst): Inst {
  let object = pointer;
  while (object.op === "ptradd") object = object.args[0] as Inst;
  return object;
}
