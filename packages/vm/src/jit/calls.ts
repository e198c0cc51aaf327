/** @module Calls: of the program's own functions, of helpers, and the helpers that are compiled in line. */
import { pseudoCall } from "@skep/isa";
import { MAP_BASE } from "../code.ts";
import { errno } from "../error.ts";
import {
  COARSE_READS,
  CONTROLS,
  CONTROL_BYTES,
  FRAME_STRIDE,
  MAX_LOOPS,
  MAX_MAPS,
  MAX_TAIL_CALLS,
  cells,
} from "../layout.ts";
import { control } from "../maps/shapes.ts";
import type { VmMap } from "../maps/map.ts";
import { op, valueType } from "../wasm/opcodes.ts";
import { argumentsOf, emitTrap, functionType } from "./frame.ts";
import type { Frame, ModuleContext } from "./frame.ts";
import { MAX_INLINE_KEY } from "./lookups.ts";
import type { LookupKind } from "./lookups.ts";
import { forgetBounds, placeOf } from "./memory-access.ts";
import type { Place } from "./memory-access.ts";
import { helperOf } from "./provenance.ts";
import type { State } from "./provenance.ts";

/** Helpers with a meaning that the compiler knows, by number. */
export const known = {
  lookup: 1,
  clock: 5,
  random: 7,
  cpu: 8,
  tailCall: 12,
  lock: 93,
  unlock: 94,
  loop: 181,
  jiffies: 118,
  coarseClock: 160,
} as const;

/** Helpers that neither end a run nor change anything. */
const quiet: ReadonlySet<number> = new Set([
  ...[known.clock, known.random, known.cpu, known.lock, known.unlock],
  ...[known.jiffies, known.coarseClock],
]);

/**
 * Helpers behind which every object is where it was: those that read, that write only what is there, and that leave a word for the end of the run.
 * Others move the packet, or make and free objects.
 */
const keepsObjects: ReadonlySet<number> = new Set([
  ...quiet,
  ...[known.lookup, 2, 3, 4, 9, 10, 11, 14, 15, 16, 23, 24, 26, 28, 34, 45, 46, 47, 51, 68, 69],
  ...[112, 113, 114, 115, 118, 122, 125, 152, 155, 188, 189, 190, 195, 208],
]);

const kinds: Readonly<Record<string, "array" | "handles" | LookupKind>> = {
  array: "array",
  percpu_array: "array",
  array_of_maps: "handles",
  hash: "hash",
  percpu_hash: "hash",
  hash_of_maps: "hash",
  lru_hash: "lru",
  lru_percpu_hash: "lru",
  lpm_trie: "lpm",
};

export interface InlineLookup {
  readonly kind: "array" | "handles" | LookupKind;
  readonly keySize: number;
  /** The map itself where it is known, null for one that a map of maps gave. */
  readonly map: VmMap | null;
}

/** What a call of the lookup helper can be compiled to; null where the host has to look. */
export function inlineLookup(
  frame: Pick<Frame, "code"> & { module: Pick<ModuleContext, "inlines"> },
  pc: number,
  state: State,
): InlineLookup | null {
  const id = helperOf(frame.code, pc);
  if (id !== known.lookup || !frame.module.inlines.has(id)) return null;
  const about = state[1] ?? null;
  const spec = about?.kind === "map" ? about.map.spec : about?.kind === "inner" ? about.outer.spec.inner : undefined;
  const kind = kinds[spec?.type ?? ""];
  if (spec === undefined || kind === undefined || spec.keySize > MAX_INLINE_KEY) return null;
  return { kind, keySize: spec.keySize, map: about?.kind === "map" ? about.map : null };
}

/** How many of a call's arguments may be pointers that it writes through; -1: it may write anywhere. */
export function writesOf(frame: Parameters<typeof inlineLookup>[0], pc: number): number {
  const id = helperOf(frame.code, pc);
  return id === null || !frame.module.inlines.has(id) || callingBack.has(id) ? -1 : argumentsOf(id);
}

/** A call behind which everything that was known of objects still holds. */
export function isQuiet(frame: Parameters<typeof inlineLookup>[0], pc: number, state: State): boolean {
  const id = helperOf(frame.code, pc);
  if (id === null || !frame.module.inlines.has(id)) return false;
  if (id === known.lookup) return inlineLookup(frame, pc, state) !== null;
  return quiet.has(id);
}

export function emitCall(frame: Frame, pc: number): void {
  const { code, module } = frame;
  const opcode = code.opcode[pc] ?? 0;
  if ((opcode & 8) !== 0) {
    emitRegisterCall(frame, pc);
    return;
  }
  const source = code.src[pc] ?? 0;
  if (source === pseudoCall.local) {
    emitLocalCall(frame, pc);
    return;
  }
  const id = source === pseudoCall.kfunc ? -1 - (code.imm[pc] ?? 0) : (code.imm[pc] ?? 0);
  if (source !== pseudoCall.kfunc && module.inlines.has(id) && emitInline(frame, pc, id)) return;
  emitHelper(frame, pc, id);
}

// ---- the program's own functions ----

function pushFuel(frame: Frame): void {
  if (frame.fuel >= 0) frame.body.i32(0).get(frame.fuel).memory(op.i32Store, cells.fuel);
}

function takeFuel(frame: Frame): void {
  if (frame.fuel >= 0) frame.body.i32(0).memory(op.i32Load, cells.fuel).set(frame.fuel);
}

/** Traps where there is no frame left. */
function emitDepthCheck(frame: Frame, pc: number): void {
  const { body, module } = frame;
  body.get(frame.stack).i32(module.stackBase).op(op.i32LeU).if();
  emitTrap(frame, { pc, kind: "call-depth", message: "more than 8 frames" });
  body.end();
}

function pushCalleeFrame(frame: Frame): void {
  frame.body
    .get(frame.registers[10] ?? 0)
    .i64(FRAME_STRIDE)
    .op(op.i64Sub);
}

function emitLocalCall(frame: Frame, pc: number): void {
  const { code, body, module, registers } = frame;
  const target = module.functions.get(code.target[pc] ?? -1);
  if (target === undefined) {
    emitTrap(frame, { pc, kind: "jump", message: "a call of no instruction" });
    return;
  }
  emitDepthCheck(frame, pc);
  pushFuel(frame);
  changeDepth(frame, 1);
  for (let i = 1; i <= 5; i++) body.get(registers[i] ?? 0);
  pushCalleeFrame(frame);
  body.call(target).set(registers[0] ?? 0);
  changeDepth(frame, -1);
  takeFuel(frame);
  forgetBounds(frame);
}

/** MAX_BPF_STACK is for all frames together; the verifier rounds each up to 32 bytes. */
function changeDepth(frame: Frame, sign: number): void {
  const { body, module } = frame;
  if (!module.checked || frame.depth === 0) return;
  body.i32(0).i32(0).memory(op.i32Load, cells.depth);
  body
    .i32(sign * frame.depth)
    .op(op.i32Add)
    .memory(op.i32Store, cells.depth);
}

/** The register holds a function's address or a helper's number: the host looks which. */
function emitRegisterCall(frame: Frame, pc: number): void {
  const { code, body, module, registers } = frame;
  const register = code.dst[pc] || (code.imm[pc] ?? 0);
  storeArguments(frame, 5);
  storeFrame(frame);
  pushFuel(frame);
  body.i32(pc).get(registers[register] ?? 0);
  body.call(module.imports.callRegister);
  takeResult(frame);
  takeFuel(frame);
  forgetBounds(frame);
}

// ---- helpers ----

function storeArguments(frame: Frame, count: number): void {
  const { body, registers } = frame;
  for (let i = 1; i <= count; i++) {
    body
      .i32(0)
      .get(registers[i] ?? 0)
      .memory(op.i64Store, cells.args + (i - 1) * 8);
  }
}

function storeFrame(frame: Frame): void {
  frame.body
    .i32(0)
    .get(frame.registers[10] ?? 0)
    .memory(op.i64Store, cells.frame);
}

function takeResult(frame: Frame): void {
  frame.body
    .i32(0)
    .memory(op.i64Load, cells.result)
    .set(frame.registers[0] ?? 0);
}

/** Helpers that call back: timers do it later, with frames of their own. */
const callingBack = new Set([164, 180, 181, 209]);

function emitHelper(frame: Frame, pc: number, id: number): void {
  const { body, module } = frame;
  const index = module.helpers.get(id);
  if (index === undefined) {
    const message = id < 0 ? "a kernel function that is not here" : `there is no helper ${id} here`;
    emitTrap(frame, { pc, kind: "helper", message });
    return;
  }
  const isOwn = module.inlines.has(id);
  const mayCallBack = !isOwn || callingBack.has(id);
  storeArguments(frame, isOwn ? argumentsOf(id) : 5);
  if (mayCallBack) {
    storeFrame(frame);
    pushFuel(frame);
    changeDepth(frame, 1);
  }
  body.i32(pc).call(index);
  if (id === known.tailCall && isOwn) {
    const slot = frame.scratch("i32");
    body.i32(0).memory(op.i32Load, cells.tailSlot).tee(slot).if();
    body.i32(0).i32(0).memory(op.i32Store, cells.tailSlot);
    emitJumpToProgram(frame, slot);
    body.end();
  }
  takeResult(frame);
  if (mayCallBack) {
    changeDepth(frame, -1);
    takeFuel(frame);
  }
  if (!isOwn || !keepsObjects.has(id)) forgetBounds(frame);
}

// ---- helpers in line ----

function emitInline(frame: Frame, pc: number, id: number): boolean {
  const { body, registers, module } = frame;
  const result = registers[0] ?? 0;
  switch (id) {
    case known.cpu:
      body.i64(module.cpu).set(result);
      return true;
    case known.lock:
    case known.unlock:
      body.i64(0).set(result);
      return true;
    case known.coarseClock:
      return emitTicking(frame, pc, { id, cell: cells.coarse });
    case known.jiffies:
      return emitTicking(frame, pc, { id, cell: cells.jiffies });
    case known.lookup:
      return emitLookup(frame, pc);
    case known.tailCall:
      return emitTailCall(frame);
    case known.loop:
      return emitLoop(frame, pc);
    default:
      return false;
  }
}

/** A clock that ticks every few milliseconds: what the host has said is said again, so often that a loop which waits for it goes on. */
function emitTicking(
  frame: Frame,
  pc: number,
  { id, cell }: { id: number; cell: { readonly value: number; readonly left: number } },
): boolean {
  const { body, registers } = frame;
  const result = registers[0] ?? 0;
  const left = frame.scratch("i32");
  body.i32(0).memory(op.i32Load, cell.left).tee(left).op(op.i32Eqz).if();
  emitHelper(frame, pc, id);
  body.i32(0).get(result).memory(op.i64Store, cell.value);
  body.i32(COARSE_READS).set(left);
  body.end();
  body.i32(0).get(left).i32(1).op(op.i32Sub).memory(op.i32Store, cell.left);
  body.i32(0).memory(op.i64Load, cell.value).set(result);
  return true;
}

function emitLookup(frame: Frame, pc: number): boolean {
  const { body, registers } = frame;
  const how = inlineLookup(frame, pc, frame.state);
  if (how === null) return false;
  const key = placeOf(frame, pc, { register: 2, offset: 0 });
  if (key === null) return true;
  const result = registers[0] ?? 0;
  if (how.map !== null) {
    const block = CONTROLS + how.map.id * CONTROL_BYTES;
    emitFind(frame, how, { key, pushControl: () => void body.i32(block) });
    body.set(result);
    return true;
  }
  const block = frame.scratch("i32", 2);
  body
    .get(registers[1] ?? 0)
    .i64(MAP_BASE | 0, 0)
    .op(op.i64Sub, op.i32WrapI64)
    .tee(block);
  body
    .i32(MAX_MAPS * CONTROL_BYTES)
    .op(op.i32LtU)
    .if();
  body.get(block).i32(CONTROLS).op(op.i32Add).set(block);
  emitFind(frame, how, { key, pushControl: () => void body.get(block) });
  body.set(result).else();
  emitHelper(frame, pc, known.lookup);
  body.end();
  return true;
}

/** Leaves the value's address, or 0, on the stack (i64). */
function emitFind(frame: Frame, how: InlineLookup, from: { key: Place; pushControl: () => void }): void {
  const { body, module } = frame;
  if (how.kind !== "array" && how.kind !== "handles") {
    from.pushControl();
    from.key.push();
    if (from.key.offset > 0) body.i32(from.key.offset).op(op.i32Add);
    body.call(module.lookup(how.kind, how.keySize)).op(op.i64ExtendI32U);
    return;
  }
  const index = frame.scratch("i32");
  from.key.push();
  body.memory(op.i32Load, from.key.offset).tee(index);
  pushWord(frame, how, { offset: control.entries, pushControl: from.pushControl });
  body.op(op.i32LtU).if(valueType.i64);
  body.get(index);
  pushWord(frame, how, { offset: control.stride, pushControl: from.pushControl });
  body.op(op.i32Mul);
  pushWord(frame, how, { offset: control.base, pushControl: from.pushControl });
  body.op(op.i32Add);
  if (how.kind === "handles") body.memory(op.i64Load32U);
  else {
    pushWord(frame, how, { offset: control.cpuOffset, pushControl: from.pushControl });
    body.op(op.i32Add, op.i64ExtendI32U);
  }
  body.else().i64(0).end();
}

/** A word of an array's control block: a constant where the map is known, since arrays do not change. */
function pushWord(frame: Frame, how: InlineLookup, word: { offset: number; pushControl: () => void }): void {
  if (how.map !== null) {
    frame.body.i32(how.map.controlWord(word.offset) | 0);
    return;
  }
  word.pushControl();
  frame.body.memory(op.i32Load, word.offset);
}

function emitTailCall(frame: Frame): boolean {
  const { body, registers } = frame;
  const about = frame.state[2] ?? null;
  if (about?.kind !== "map" || about.map.spec.type !== "prog_array") return false;
  const { map } = about;
  const slot = frame.scratch("i32");
  const count = frame.scratch("i32", 1);
  body
    .get(registers[3] ?? 0)
    .op(op.i32WrapI64)
    .tee(slot)
    .i32(map.controlWord(control.entries))
    .op(op.i32LtU)
    .if();
  body.i32(0).memory(op.i32Load, cells.tailCalls).tee(count).i32(MAX_TAIL_CALLS).op(op.i32LtU).if();
  body.get(slot).i32(2).op(op.i32Shl).memory(op.i32Load, map.controlWord(control.base)).tee(slot).if();
  body.i32(0).get(count).i32(1).op(op.i32Add).memory(op.i32Store, cells.tailCalls);
  emitJumpToProgram(frame, slot);
  body.end().end().end();
  body.i64(-errno.ENOENT).set(registers[0] ?? 0);
  return true;
}

/** Runs the program of the slot (one more than its index) in this frame and returns what it gives. */
function emitJumpToProgram(frame: Frame, slot: number): void {
  const { body, registers, module } = frame;
  pushFuel(frame);
  body
    .get(registers[1] ?? 0)
    .i64(0)
    .i64(0)
    .i64(0)
    .i64(0)
    .get(registers[10] ?? 0);
  body.get(slot).i32(1).op(op.i32Sub);
  body.callIndirect(module.builder.type(functionType)).op(op.return);
}

/** bpf_loop (kernel/bpf/bpf_iter.c) of a function that is known: r0 is how many rounds were begun. */
function emitLoop(frame: Frame, pc: number): boolean {
  const { body, registers, module } = frame;
  const about = frame.state[2] ?? null;
  const target = about?.kind === "function" ? module.functions.get(about.entry) : undefined;
  if (target === undefined) return false;
  const [rounds, round] = [frame.scratch("i32"), frame.scratch("i32", 1)];
  const result = registers[0] ?? 0;
  emitDepthCheck(frame, pc);
  pushFuel(frame);
  changeDepth(frame, 1);
  body
    .get(registers[4] ?? 0)
    .op(op.i64Eqz, op.i32Eqz)
    .if(valueType.i64)
    .i64(-errno.EINVAL)
    .else();
  body
    .get(registers[1] ?? 0)
    .op(op.i32WrapI64)
    .tee(rounds)
    .i32(MAX_LOOPS)
    .op(op.i32GtU);
  body.if(valueType.i64).i64(-errno.E2BIG).else();
  body.i32(0).set(round);
  const level = body.depth;
  body.block().loop();
  body.get(round).get(rounds).op(op.i32GeU).brIf(level);
  if (module.checked) emitRoundFuel(frame, pc);
  body
    .get(round)
    .op(op.i64ExtendI32U)
    .get(registers[3] ?? 0)
    .i64(0)
    .i64(0)
    .i64(0);
  pushCalleeFrame(frame);
  body.call(target);
  body.get(round).i32(1).op(op.i32Add).set(round);
  body.op(op.i32WrapI64, op.i32Eqz).brIf(level + 1);
  body.end().end();
  body.get(round).op(op.i64ExtendI32U).end().end();
  body.set(result);
  changeDepth(frame, -1);
  takeFuel(frame);
  forgetBounds(frame);
  return true;
}

function emitRoundFuel(frame: Frame, pc: number): void {
  const { body } = frame;
  const left = frame.scratch("i32", 2);
  body.i32(0).i32(0).memory(op.i32Load, cells.fuel).i32(1).op(op.i32Sub).tee(left).memory(op.i32Store, cells.fuel);
  body.get(left).i32(0).op(op.i32LtS).if();
  emitTrap(frame, { pc, kind: "budget", message: "more instructions than the budget allows" });
  body.end();
}
