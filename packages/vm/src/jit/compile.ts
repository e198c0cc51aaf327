/** @module A program as one module of WebAssembly. */
import { LDDW, insnClass, jmpBits, pseudoCall } from "@skep/isa";
import { FUNCTION_BASE } from "../code.ts";
import type { Code } from "../code.ts";
import { NOWHERE, PAGE_TABLE, cells, descriptor, regionFlags } from "../layout.ts";
import { MEMORY_PAGES } from "../memory.ts";
import { Body, ModuleBuilder } from "../wasm/module.ts";
import { op, valueType } from "../wasm/opcodes.ts";
import type { Cluster } from "./accesses.ts";
import { dynamicType, faultType, functionType, helperType, probeType, slowType, trapType } from "./frame.ts";
import type { ModuleContext, Reason } from "./frame.ts";
import { compileFunction } from "./function.ts";
import { lookupBody, lookupType } from "./lookups.ts";
import type { LookupKind } from "./lookups.ts";
import type { MapOf } from "./provenance.ts";

export interface CompileOptions {
  readonly checked: boolean;
  readonly mapOf: MapOf;
  readonly stackBase: number;
  readonly cpu: number;
  readonly cpus: number;
  /** Bytes of the context that may always be read. */
  readonly contextBytes: number;
  readonly helpers: ReadonlySet<number>;
  readonly inlines: ReadonlySet<number>;
  readonly isFixed: (address: number, size: number, write: boolean) => boolean;
}

export interface CompiledModule {
  readonly bytes: Uint8Array;
  /** Why `trap` is called, by its argument. */
  readonly reasons: readonly Reason[];
  /** What is checked together, by the instruction of the check. */
  readonly clusters: ReadonlyMap<number, Cluster>;
  /** Helpers that the module imports as `h` and their number. */
  readonly helpers: readonly number[];
  /** First instructions of its functions; exported as `f` and as `c`, which takes arguments from the cells. */
  readonly entries: readonly number[];
}

/** First instructions of all functions that the program calls or takes the address of. */
function entriesOf(code: Code): number[] {
  const entries = new Set([0]);
  for (let pc = 0; pc < code.count; pc++) {
    const opcode = code.opcode[pc] ?? 0;
    const target = code.target[pc] ?? -1;
    if (isCall(opcode) && (opcode & 8) === 0 && code.src[pc] === pseudoCall.local && target >= 0) entries.add(target);
    const address = (code.imm[pc] ?? 0) >>> 0;
    if (opcode !== LDDW || address < FUNCTION_BASE || code.high[pc] !== 0) continue;
    const entry = (address - FUNCTION_BASE) / 8;
    if (Number.isInteger(entry) && entry < code.count) entries.add(entry);
  }
  return [...entries].sort((a, b) => a - b);
}

function isCall(opcode: number): boolean {
  return (opcode & 7) === insnClass.jmp && (opcode & 0xf0) === jmpBits.call;
}

/** Helpers by number; kernel functions count down from -1. */
function helpersOf(code: Code): ReadonlySet<number> {
  const found = new Set<number>();
  for (let pc = 0; pc < code.count; pc++) {
    const opcode = code.opcode[pc] ?? 0;
    if (!isCall(opcode) || (opcode & 8) !== 0) continue;
    if (code.src[pc] === pseudoCall.helper) found.add(code.imm[pc] ?? 0);
    if (code.src[pc] === pseudoCall.kfunc) found.add(-1 - (code.imm[pc] ?? 0));
  }
  return found;
}

export function compileModule(code: Code, options: CompileOptions): CompiledModule {
  const builder = new ModuleBuilder();
  const imports = {
    trap: builder.importFunction("trap", trapType),
    fault: builder.importFunction("fault", faultType),
    probe: builder.importFunction("probe", probeType),
    callRegister: builder.importFunction("register", { params: [valueType.i32, valueType.i64], results: [] }),
  };
  const dynamic = builder.importFunction("dynamic", dynamicType);
  const called = [...helpersOf(code)].filter((id) => options.helpers.has(id));
  const helpers = new Map(called.map((id) => [id, builder.importFunction(`h${id}`, helperType)]));
  const slow = builder.declare(slowType);
  builder.define(slow, slowBody(imports.fault, dynamic));
  const entries = entriesOf(code);
  const functions = new Map(entries.map((entry) => [entry, builder.declare(functionType)]));
  const lookups = new Map<string, number>();
  const reasons: Reason[] = [];
  const clusters = new Map<number, Cluster>();
  const context: ModuleContext = {
    ...{ code, builder, helpers, functions, reasons, clusters },
    ...{ checked: options.checked, mapOf: options.mapOf, stackBase: options.stackBase },
    ...{ cpu: options.cpu, cpus: options.cpus, inlines: options.inlines },
    imports: { ...imports, slow },
    lookup: (kind, keySize) => {
      const name = `${kind}${keySize}`;
      const index = lookups.get(name) ?? builder.declare(lookupType);
      if (!lookups.has(name)) builder.define(index, lookupBody(kind as LookupKind, keySize));
      lookups.set(name, index);
      return index;
    },
  };
  for (const [entry, index] of functions) {
    const contextBytes = entry === 0 ? options.contextBytes : null;
    builder.define(index, compileFunction(context, { entry, contextBytes, isFixed: options.isFixed }));
    builder.export(`f${entry}`, index);
    const callback = builder.declare({ params: [], results: [valueType.i32] });
    builder.define(callback, callbackBody(index));
    builder.export(`c${entry}`, callback);
  }
  const main = functions.get(0) ?? 0;
  const repeat = builder.declare({ params: [valueType.i32], results: [] });
  builder.define(repeat, repeatBody(main));
  builder.export("repeat", repeat);
  return { bytes: builder.encode(MEMORY_PAGES), reasons, clusters, helpers: called, entries };
}

function pushCells(body: Body): void {
  for (let i = 0; i < 5; i++) body.i32(0).memory(op.i64Load, cells.args + i * 8);
  body.i32(0).memory(op.i64Load, cells.frame);
}

/** Arguments and frame from the cells, the result into one; gives its low word. */
function callbackBody(index: number): Body {
  const body = new Body(0);
  const result = body.local(valueType.i64);
  pushCells(body);
  body.call(index).set(result);
  body.i32(0).get(result).memory(op.i64Store, cells.result);
  body.get(result).op(op.i32WrapI64);
  return body;
}

/** Runs the program so many times in a row. Calls of helpers use the cells, so the arguments are taken before. */
function repeatBody(index: number): Body {
  const body = new Body(1);
  const [result, first, second, frame] = [0, 1, 2, 3].map(() => body.local(valueType.i64)) as [
    number,
    number,
    number,
    number,
  ];
  body.i32(0).memory(op.i64Load, cells.args).set(first);
  body
    .i32(0)
    .memory(op.i64Load, cells.args + 8)
    .set(second);
  body.i32(0).memory(op.i64Load, cells.frame).set(frame);
  body.loop();
  body.i32(0).i32(0).memory(op.i32Store, cells.tailCalls);
  body.i32(0).i32(0).memory(op.i32Load, cells.budget).memory(op.i32Store, cells.fuel);
  body.get(first).get(second).i64(0).i64(0).i64(0).get(frame);
  body.call(index).set(result);
  body.get(0).i32(1).op(op.i32Sub).tee(0).brIf(0);
  body.end();
  body.i32(0).get(result).memory(op.i64Store, cells.result);
  return body;
}

/** The object of an address, from the table of pages: `Memory.allows` in WebAssembly. */
function slowBody(fault: number, dynamic: number): Body {
  const body = new Body(6);
  const [register, from, to, pc, write, top] = [0, 1, 2, 3, 4, 5];
  const [wide, address, region, start, end, size, offset] = [
    body.local(valueType.i64),
    ...Array.from({ length: 6 }, () => body.local(valueType.i32)),
  ] as [number, number, number, number, number, number, number];
  body.block();
  body.get(register).get(from).op(op.i64ExtendI32S, op.i64Add).tee(wide).i64(31).op(op.i64ShrU, op.i64Eqz, op.i32Eqz);
  body.brIf(0);
  body.get(to).get(from).op(op.i32Sub).set(size);
  body.get(wide).op(op.i32WrapI64).tee(address).i32(12).op(op.i32ShrU).i32(2).op(op.i32Shl);
  body.memory(op.i32Load, PAGE_TABLE).tee(region).op(op.i32Eqz).brIf(0);
  body.get(address).get(region).memory(op.i32Load, descriptor.start).tee(start).op(op.i32LtU).brIf(0);
  body.get(address).get(size).op(op.i32Add).get(region).memory(op.i32Load, descriptor.end).tee(end);
  body.op(op.i32GtU).brIf(0);
  const flag = (bit: number): void => void body.get(region).memory(op.i32Load, descriptor.flags).i32(bit).op(op.i32And);
  flag(regionFlags.stack);
  body.if().get(address).get(top).op(op.i32WrapI64).i32(512).op(op.i32Sub, op.i32LtU).brIf(0).end();
  body.get(write).if();
  flag(regionFlags.writable);
  body.op(op.i32Eqz).brIf(0).end();
  flag(regionFlags.dynamic);
  body.if();
  body.get(address).get(size).get(write).call(dynamic).op(op.i32Eqz).brIf(0);
  body.i32(0).memory(op.i64Load, cells.objectStart).i32(0).memory(op.i64Load, cells.objectEnd).op(op.return).end();
  body.get(region).memory(op.i32Load, descriptor.stride).if();
  body.get(address).get(start).op(op.i32Sub).get(region).memory(op.i32Load, descriptor.stride).op(op.i32RemU);
  body.tee(offset).get(size).op(op.i32Add).get(region).memory(op.i32Load, descriptor.size).op(op.i32GtU).brIf(0);
  body.get(address).get(offset).op(op.i32Sub).tee(start).get(region).memory(op.i32Load, descriptor.size);
  body.op(op.i32Add).set(end).end();
  body.get(start).op(op.i64ExtendI32U).get(end).op(op.i64ExtendI32U, op.return);
  body.end();
  // Each access is good, only not all in one object: nothing to remember.
  body.get(pc).get(register).get(top).call(fault);
  body.i64(NOWHERE.low, NOWHERE.high).i64(NOWHERE.low, NOWHERE.high);
  body.get(to).get(from).op(op.i32Sub, op.i64ExtendI32U, op.i64Add);
  return body;
}
