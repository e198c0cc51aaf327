/** @module Loads, stores and atomic operations, and the checks before them. */
import { atomicImm, insnClass, modeBits } from "@skep/isa";
import { FRAME_BYTES, NOWHERE, cells } from "../layout.ts";
import { op } from "../wasm/opcodes.ts";
import type { Cluster } from "./accesses.ts";
import { sizes } from "./accesses.ts";
import type { Frame } from "./frame.ts";
import { emitTrap } from "./frame.ts";

/** An address on the stack of WebAssembly, and what the memory instruction adds to it. */
export interface Place {
  readonly push: () => void;
  readonly offset: number;
}

/**
 * Emits the check that the plan wants before the access of `pc`, and gives how to push its address. Null: the access is always wrong and
 * a trap stands there.
 */
export function placeOf(frame: Frame, pc: number, access: { register: number; offset: number }): Place | null {
  const { body, registers } = frame;
  const plan = frame.plans.get(pc);
  if (plan?.how === "frame") {
    return { push: () => void body.get(frame.stack), offset: FRAME_BYTES + plan.offset };
  }
  if (plan?.how === "wrong") {
    const { size, offset, write } = plan.access;
    const message = `${write ? "write" : "read"} of ${size} bytes at offset ${offset}: outside of the stack frame`;
    emitTrap(frame, { pc, kind: "memory", message });
    return null;
  }
  if (plan?.how === "check") emitCheck(frame, pc, plan.cluster);
  const local = registers[access.register] ?? 0;
  const push = (): void => {
    body.get(local).op(op.i32WrapI64);
    if (access.offset < 0) body.i32(access.offset).op(op.i32Add);
  };
  return { push, offset: Math.max(0, access.offset) };
}

export function boundsKey(cluster: Cluster): string {
  const shared = `${cluster.place} ${cluster.write ? "w" : "r"}`;
  return cluster.inLoop ? `${shared} ${cluster.from} ${cluster.to}` : shared;
}

/** The object that the register pointed to last is tried first; a miss asks for the object of this address. */
function emitCheck(frame: Frame, pc: number, cluster: Cluster): void {
  const { body, module, registers } = frame;
  const bounds = frame.bounds.get(boundsKey(cluster));
  const local = registers[cluster.register] ?? 0;
  if (bounds === undefined) throw new Error(`no bounds for ${cluster.place}`);
  module.clusters.set(pc, cluster);
  body.get(local).get(bounds.low).op(op.i64Sub);
  if (cluster.inLoop) body.get(bounds.high).op(op.i64GtU).if();
  else {
    // Both distances from the object's ends have to be positive: one or of their signs.
    if (cluster.from !== 0) body.i64(cluster.from).op(op.i64Add);
    body.get(bounds.high).get(local).op(op.i64Sub).i64(cluster.to).op(op.i64Sub);
    body.op(op.i64Or).i64(0).op(op.i64LtS).if();
  }
  body.get(local).i32(cluster.from).i32(cluster.to).i32(pc);
  body.i32(cluster.write ? 1 : 0).get(registers[10] ?? 0);
  body.call(module.imports.slow).set(bounds.high).set(bounds.low);
  if (cluster.inLoop) {
    // From the least value of the register on, so many more are good.
    body
      .get(bounds.high)
      .get(bounds.low)
      .op(op.i64Sub)
      .i64(cluster.to - cluster.from)
      .op(op.i64Sub)
      .set(bounds.high);
    body.get(bounds.low).i64(cluster.from).op(op.i64Sub).set(bounds.low);
  }
  body.end();
}

/** Nothing is known of objects: at the start, and after a call, since they may have come and gone. */
export function forgetBounds(frame: Frame): void {
  const { body } = frame;
  for (const { low, high, inLoop } of frame.bounds.values()) {
    if (inLoop) body.i64(NOWHERE.low, NOWHERE.high).set(low);
    else body.i64(0).set(high);
  }
}

export function emitAccess(frame: Frame, pc: number): void {
  const { code } = frame;
  const opcode = code.opcode[pc] ?? 0;
  const kind = opcode & 7;
  const mode = opcode & 0xe0;
  const size = sizes[(opcode >> 3) & 3] ?? 4;
  const signed = mode === modeBits.memsx;
  if (kind === insnClass.ldx && (mode === modeBits.mem || signed)) {
    if (signed && size === 8) emitTrap(frame, { pc, kind: "opcode", message: "a signed load of eight bytes" });
    else emitLoad(frame, pc, { size, signed });
  } else if (kind !== insnClass.ldx && mode === modeBits.mem) emitStore(frame, pc, size);
  else if (kind === insnClass.stx && mode === modeBits.atomic) emitAtomic(frame, pc, size);
  else {
    const message = `there is no instruction 0x${opcode.toString(16).padStart(2, "0")}`;
    emitTrap(frame, { pc, kind: "opcode", message });
  }
}

const unsignedLoads: Readonly<Record<number, number>> = {
  1: op.i64Load8U,
  2: op.i64Load16U,
  4: op.i64Load32U,
  8: op.i64Load,
};
const signedLoads: Readonly<Record<number, number>> = { 1: op.i64Load8S, 2: op.i64Load16S, 4: op.i64Load32S };
const stores: Readonly<Record<number, number>> = {
  1: op.i64Store8,
  2: op.i64Store16,
  4: op.i64Store32,
  8: op.i64Store,
};

function emitLoad(frame: Frame, pc: number, how: { size: number; signed: boolean }): void {
  const { code, body, registers } = frame;
  const kind = frame.plans.get(pc)?.how;
  if (code.probes && kind !== "frame" && kind !== "wrong") {
    emitProbe(frame, pc, how);
    return;
  }
  const place = placeOf(frame, pc, { register: code.src[pc] ?? 0, offset: code.offset[pc] ?? 0 });
  if (place === null) return;
  place.push();
  body.memory((how.signed ? signedLoads : unsignedLoads)[how.size] ?? op.i64Load, place.offset);
  body.set(registers[code.dst[pc] ?? 0] ?? 0);
}

/** The host looks whether something is there. */
function emitProbe(frame: Frame, pc: number, how: { size: number; signed: boolean }): void {
  const { code, body, module, registers } = frame;
  body
    .get(registers[code.src[pc] ?? 0] ?? 0)
    .i64(code.offset[pc] ?? 0)
    .op(op.i64Add);
  body
    .i32(how.signed ? -how.size : how.size)
    .call(module.imports.probe)
    .set(registers[code.dst[pc] ?? 0] ?? 0);
}

function emitStore(frame: Frame, pc: number, size: number): void {
  const { code, body, registers } = frame;
  const place = placeOf(frame, pc, { register: code.dst[pc] ?? 0, offset: code.offset[pc] ?? 0 });
  if (place === null) return;
  place.push();
  if (((code.opcode[pc] ?? 0) & 7) === insnClass.st) body.i64(code.imm[pc] ?? 0);
  else body.get(registers[code.src[pc] ?? 0] ?? 0);
  body.memory(stores[size] ?? op.i64Store, place.offset);
}

const combining: Readonly<Record<number, number>> = {
  [atomicImm.add]: op.i64Add,
  [atomicImm.or]: op.i64Or,
  [atomicImm.and]: op.i64And,
  [atomicImm.xor]: op.i64Xor,
};

/** One thread runs programs, so a load and a store are as good. */
function emitAtomic(frame: Frame, pc: number, size: number): void {
  const { code, body, registers } = frame;
  const imm = code.imm[pc] ?? 0;
  const isLoad = imm === atomicImm.loadAcquire;
  const [d, s] = [code.dst[pc] ?? 0, code.src[pc] ?? 0];
  const isMove = isLoad || imm === atomicImm.storeRelease;
  const combine = combining[imm & ~atomicImm.fetch];
  if (!isMove && size < 4) {
    emitTrap(frame, { pc, kind: "opcode", message: `an atomic operation of ${size} bytes` });
    return;
  }
  if (!isMove && combine === undefined && imm !== atomicImm.xchg && imm !== atomicImm.cmpxchg) {
    emitTrap(frame, { pc, kind: "opcode", message: `there is no atomic operation 0x${imm.toString(16)}` });
    return;
  }
  if (isLoad && code.probes) {
    emitProbe(frame, pc, { size, signed: false });
    return;
  }
  const place = placeOf(frame, pc, { register: isLoad ? s : d, offset: code.offset[pc] ?? 0 });
  if (place === null) return;
  const load = unsignedLoads[size] ?? op.i64Load;
  const store = stores[size] ?? op.i64Store;
  const source = registers[s] ?? 0;
  if (isLoad) {
    place.push();
    body.memory(load, place.offset).set(registers[d] ?? 0);
    return;
  }
  if (imm === atomicImm.storeRelease) {
    place.push();
    body.get(source).memory(store, place.offset);
    return;
  }
  const old = frame.scratch("i64");
  place.push();
  body.memory(load, place.offset).set(old);
  if (imm === atomicImm.cmpxchg) {
    exchangeIfEqual(frame, { place, size, old, source });
    return;
  }
  place.push();
  if (combine === undefined) body.get(source);
  else body.get(old).get(source).op(combine);
  body.memory(store, place.offset);
  if ((imm & atomicImm.fetch) !== 0) body.get(old).set(source);
}

function exchangeIfEqual(frame: Frame, how: { place: Place; size: number; old: number; source: number }): void {
  const { body, registers } = frame;
  const result = registers[0] ?? 0;
  body.get(how.old).get(result);
  if (how.size === 4) body.op(op.i32WrapI64, op.i64ExtendI32U);
  body.op(op.i64Eq).if();
  how.place.push();
  body
    .get(how.source)
    .memory(stores[how.size] ?? op.i64Store, how.place.offset)
    .end();
  body.get(how.old).set(result);
}

/** `ld abs` and `ld ind`: the packet's bytes in network order; past its end the function ends with 0. */
export function emitPacketLoad(frame: Frame, pc: number): void {
  const { code, body, registers } = frame;
  const opcode = code.opcode[pc] ?? 0;
  const mode = opcode & 0xe0;
  const size = sizes[(opcode >> 3) & 3] ?? 4;
  if ((mode !== modeBits.abs && mode !== modeBits.ind) || size === 8) {
    const message = `there is no instruction 0x${opcode.toString(16).padStart(2, "0")}`;
    emitTrap(frame, { pc, kind: "opcode", message });
    return;
  }
  const offset = frame.scratch("i32");
  const start = frame.scratch("i32", 1);
  body.i32(0).memory(op.i32Load, cells.packetStart).tee(start).op(op.i32Eqz).if();
  emitTrap(frame, { pc, kind: "opcode", message: "a packet load without a packet" });
  body.end();
  body.i32(code.imm[pc] ?? 0);
  if (mode === modeBits.ind) body.get(registers[code.src[pc] ?? 0] ?? 0).op(op.i32WrapI64, op.i32Add);
  body.tee(offset).i32(0).op(op.i32LtS);
  // In 64 bits, so that a great offset does not wrap.
  body.get(start).op(op.i64ExtendI32U).get(offset).op(op.i64ExtendI32U, op.i64Add).i64(size).op(op.i64Add);
  body.i32(0).memory(op.i64Load32U, cells.packetEnd).op(op.i64GtU, op.i32Or);
  body.if().i64(0).op(op.return).end();
  body.get(start).get(offset).op(op.i32Add).set(start);
  reversed(frame, start, size);
  body.op(op.i64ExtendI32U).set(registers[0] ?? 0);
}

/** Leaves the bytes at the address on the stack, in network order. */
function reversed(frame: Frame, address: number, size: number): void {
  const { body } = frame;
  for (let i = 0; i < size; i++) {
    body.get(address).memory(op.i32Load8U, i);
    const left = (size - 1 - i) * 8;
    if (left > 0) body.i32(left).op(op.i32Shl);
    if (i > 0) body.op(op.i32Or);
  }
}
