import { FUNCTION_BASE } from "../code.ts";
import type { Code } from "../code.ts";
import type { Cpu, CpuOptions, Engine, HelperFunction } from "../cpu.ts";
import { Trap, VmError } from "../error.ts";
import { allocateStack } from "../interpreter/interpreter.ts";
import { FRAME_BYTES, FRAME_STRIDE, MAX_FRAMES, MAX_TAIL_CALLS, cells } from "../layout.ts";
import type { Memory, Region } from "../memory.ts";
import { wasm } from "../wasm/api.ts";
import type { WasmTable } from "../wasm/api.ts";
import type { CompiledModule } from "./compile.ts";
import { sharedModule } from "./module-cache.ts";
import type { SharedModule } from "./module-cache.ts";
import type { MapOf } from "./provenance.ts";

export interface JitOptions extends CpuOptions {
  /** Every access is held against its object, loops are counted. */
  readonly checked: boolean;
  readonly mapOf?: MapOf;
  /** Helpers by number that are the standard ones and may be compiled in line. */
  readonly inlines?: ReadonlySet<number>;
  readonly cpu?: number;
  readonly cpus?: number;
  /** Programs that tail calls reach; shared by the engines of one machine. */
  readonly table?: WasmTable;
}

/** A program in WebAssembly. */
interface Loaded {
  readonly code: Code;
  readonly module: CompiledModule;
  readonly main: () => number;
  readonly repeat: (count: number) => void;
  readonly callbacks: ReadonlyMap<number, () => number>;
  /** Its index in the table. */
  slot: number;
}

/** Thrown through the program's frames where a helper ends the run. */
class EndOfRun extends Error {}

/** Programs as WebAssembly, compiled when they first run. */
export class Jit implements Engine, Cpu {
  readonly memory: Memory;
  readonly table: WasmTable;
  private readonly options: JitOptions;
  private readonly stack: Region;
  private readonly budget: number;
  private readonly loaded = new WeakMap<Code, Loaded>();
  private current: Loaded | null = null;
  /** Instruction that called the host last; -1: none. */
  private site = -1;
  private ended = false;

  constructor(memory: Memory, options: JitOptions) {
    this.memory = memory;
    this.options = options;
    this.budget = options.budget ?? 100_000_000;
    this.stack = options.stack ?? allocateStack(memory);
    this.table = options.table ?? new wasm.Table({ element: "anyfunc", initial: 1 });
  }

  /** Those of loops, where accesses are checked; 0 otherwise. */
  get instructions(): number {
    return this.options.checked ? this.budget - (this.memory.i32[cells.fuel >>> 2] ?? 0) : 0;
  }

  get code(): Code {
    if (this.current === null) throw new Error("no program runs");
    return this.current.code;
  }

  /** Compiles the program if that was not done yet; gives its bytes. */
  compile(code: Code): Uint8Array {
    return this.load(code).module.bytes;
  }

  /** The program's index in the table that tail calls go through. */
  slotOf(code: Code): number {
    const loaded = this.load(code);
    if (loaded.slot < 0) {
      loaded.slot = this.table.grow(1);
      this.table.set(loaded.slot, this.exported(loaded.code));
    }
    return loaded.slot;
  }

  private exported(code: Code): unknown {
    return this.entryFunctions.get(code);
  }
  private readonly entryFunctions = new WeakMap<Code, unknown>();

  run(code: Code, r1: number, r2 = 0): bigint {
    return this.start(this.load(code), { r1, r2 }, (loaded) => void loaded.main());
  }

  /** Runs a program `count` times without leaving WebAssembly in between; gives the last r0. The frames are not cleared in between. */
  repeat(code: Code, count: number, r1: number): bigint {
    return this.start(this.load(code), { r1, r2: 0 }, (loaded) => loaded.repeat(count));
  }

  /** Calls a function of a program by its first instruction, with frames of its own: a timer's callback. */
  call(code: Code, entry: number, args: readonly number[]): bigint {
    return this.start(this.load(code), { r1: args[0] ?? 0, r2: args[1] ?? 0, r3: args[2] ?? 0 }, (loaded) => {
      const callback = loaded.callbacks.get(entry);
      if (callback === undefined) throw new Trap("argument", `instruction ${entry} begins no function`);
      callback();
    });
  }

  private start(
    loaded: Loaded,
    registers: { r1: number; r2: number; r3?: number },
    run: (loaded: Loaded) => void,
  ): bigint {
    const { i32, bytes } = this.memory;
    const { base, capacity } = this.stack;
    bytes.fill(0, base, base + capacity);
    i32.fill(0, cells.args >>> 2, (cells.args + 40) >>> 2);
    i32[cells.args >>> 2] = registers.r1;
    i32[(cells.args >>> 2) + 2] = registers.r2;
    i32[(cells.args >>> 2) + 4] = registers.r3 ?? 0;
    i32[cells.tailCalls >>> 2] = 0;
    i32[cells.fuel >>> 2] = i32[cells.budget >>> 2] = this.budget;
    i32[cells.depth >>> 2] = 0;
    i32[cells.tailSlot >>> 2] = 0;
    i32[cells.coarse.left >>> 2] = i32[cells.jiffies.left >>> 2] = 0;
    this.setFrame(base + (MAX_FRAMES - 1) * FRAME_STRIDE + FRAME_BYTES);
    this.current = loaded;
    this.site = -1;
    this.ended = false;
    try {
      run(loaded);
    } catch (error) {
      if (!(error instanceof EndOfRun)) throw this.explain(error);
    }
    return this.result();
  }

  private result(): bigint {
    return this.memory.view.getBigUint64(cells.result, true);
  }

  /** The error that the caller gets. */
  private explain(error: unknown): unknown {
    const code = this.current?.code;
    if (code === undefined) return error;
    if (error instanceof Trap) {
      const place = { program: code.name, index: this.site, source: code.source(this.site) };
      return new VmError(error.kind, error.message, place);
    }
    if (error instanceof wasm.RuntimeError) {
      // Only programs that are not checked get here: what they do is stopped by the memory's end.
      return new VmError("memory", error.message, { program: code.name, index: -1, source: null });
    }
    return error;
  }

  // ---- for helpers ----

  u32(register: number): number {
    return this.memory.u32[(cells.args >>> 2) + (register - 1) * 2] ?? 0;
  }

  s32(register: number): number {
    return this.memory.i32[(cells.args >>> 2) + (register - 1) * 2] ?? 0;
  }

  u64(register: number): bigint {
    return this.memory.view.getBigUint64(cells.args + (register - 1) * 8, true);
  }

  high(register: number): number {
    return this.memory.u32[(cells.args >>> 2) + (register - 1) * 2 + 1] ?? 0;
  }

  pointer(register: number): number {
    const { u32 } = this.memory;
    const at = (cells.args >>> 2) + (register - 1) * 2;
    if (u32[at + 1] !== 0) throw new Trap("memory", `r${register} is no address`);
    return u32[at] ?? 0;
  }

  callback(address: number, args: readonly number[]): number {
    const { current } = this;
    const callback = current?.callbacks.get((address - FUNCTION_BASE) / 8);
    if (callback === undefined) throw new Trap("argument", `0x${address.toString(16)} is no function`);
    const { i32 } = this.memory;
    const frame = this.memory.u32[cells.frame >>> 2] ?? 0;
    this.enterFrame(frame);
    const fuel = (i32[cells.fuel >>> 2] ?? 0) - 1;
    if (fuel < 0 && this.options.checked) throw new Trap("budget", `more than ${this.budget} instructions`);
    i32[cells.fuel >>> 2] = fuel;
    i32.fill(0, cells.args >>> 2, (cells.args + 40) >>> 2);
    args.forEach((value, i) => {
      i32[(cells.args >>> 2) + i * 2] = value;
    });
    const result = callback();
    this.setFrame(frame);
    this.current = current;
    return result;
  }

  tailCall(code: Code): boolean {
    const { i32 } = this.memory;
    const count = i32[cells.tailCalls >>> 2] ?? 0;
    if (count >= MAX_TAIL_CALLS) return false;
    const slot = this.slotOf(code) + 1;
    this.memory.i32[cells.tailCalls >>> 2] = count + 1;
    this.memory.i32[cells.tailSlot >>> 2] = slot;
    return true;
  }

  end(): void {
    this.ended = true;
  }

  // ---- frames ----

  private setFrame(top: number): void {
    const { u32 } = this.memory;
    u32[cells.frame >>> 2] = top;
    u32[(cells.frame >>> 2) + 1] = 0;
  }

  private enterFrame(caller: number): void {
    const top = caller - FRAME_STRIDE;
    if (top < this.stack.base + FRAME_BYTES) throw new Trap("call-depth", `more than ${MAX_FRAMES} frames`);
    this.setFrame(top);
  }

  // ---- modules ----

  private load(code: Code): Loaded {
    const known = this.loaded.get(code);
    if (known !== undefined) return known;
    const { options, memory } = this;
    const module = sharedModule(code, {
      checked: options.checked,
      mapOf: options.mapOf ?? (() => null),
      stackBase: this.stack.base,
      cpu: options.cpu ?? 0,
      cpus: options.cpus ?? 1,
      contextBytes: code.contextBytes,
      helpers: new Set(options.helpers.keys()),
      inlines: options.inlines ?? new Set(),
      isFixed: (address, size, write) => memory.allows(address, size, write),
    });
    const loaded = this.instantiate(code, module);
    this.loaded.set(code, loaded);
    return loaded;
  }

  private instantiate(code: Code, { compiled: module, module: shared }: SharedModule): Loaded {
    const callbacks = new Map<number, () => number>();
    const imports: Record<string, unknown> = { memory: this.memory.wasm, table: this.table };
    const holder: { loaded: Loaded | null } = { loaded: null };
    const enter = (pc: number): void => {
      this.current = holder.loaded;
      this.site = pc;
    };
    imports["trap"] = (index: number): never => {
      const reason = module.reasons[index];
      enter(reason?.pc ?? -1);
      throw new Trap(reason?.kind ?? "opcode", reason?.message ?? "");
    };
    imports["fault"] = (pc: number, value: bigint, top: bigint): void => {
      enter(pc);
      this.fault(module, { pc, value: BigInt.asUintN(64, value), top: Number(top) });
    };
    imports["probe"] = (address: bigint, size: number): bigint => this.probe(address, size);
    imports["dynamic"] = (address: number, size: number, write: number): number =>
      this.findDynamic(address, size, write !== 0) ? 1 : 0;
    imports["register"] = (pc: number, value: bigint): void => {
      enter(pc);
      this.callRegister(BigInt.asUintN(64, value));
    };
    for (const id of module.helpers) {
      const helper = this.options.helpers.get(id);
      if (helper === undefined) continue;
      imports[`h${id}`] = (pc: number): void => {
        enter(pc);
        this.callHelper(helper);
      };
    }
    const { exports } = new wasm.Instance(shared, { e: imports as Record<string, never> });
    for (const entry of module.entries) callbacks.set(entry, exports[`c${entry}`] as () => number);
    this.entryFunctions.set(code, exports["f0"]);
    const main = callbacks.get(0) ?? (() => 0);
    const repeat = exports["repeat"] as (count: number) => void;
    holder.loaded = { code, module, main, repeat, callbacks, slot: -1 };
    return holder.loaded;
  }

  private callHelper(helper: HelperFunction): void {
    const result = helper(this);
    if (typeof result === "number") {
      const { i32 } = this.memory;
      const at = cells.result >>> 2;
      i32[at] = result;
      i32[at + 1] = Math.floor(result / 0x1_0000_0000);
    } else this.memory.view.setBigInt64(cells.result, result, true);
    if (this.ended) throw new EndOfRun();
  }

  /** `callx`: a function's address, or a helper's number. */
  private callRegister(value: bigint): void {
    if (value > 0xffff_ffffn) throw new Trap("memory", "the register of a call is no address");
    const address = Number(value);
    if (address < FUNCTION_BASE) {
      const helper = this.options.helpers.get(address);
      if (helper === undefined) throw new Trap("helper", `there is no helper ${address} here`);
      this.callHelper(helper);
      return;
    }
    const callback = this.current?.callbacks.get((address - FUNCTION_BASE) / 8);
    if (callback === undefined) throw new Trap("jump", "a call of no instruction");
    const { current } = this;
    const frame = this.memory.u32[cells.frame >>> 2] ?? 0;
    this.enterFrame(frame);
    callback();
    this.setFrame(frame);
    this.current = current;
  }

  /** Finds the access that is wrong. Returns where each for itself is right and only all of them are not in one object. */
  private fault(module: CompiledModule, at: { pc: number; value: bigint; top: number }): void {
    for (const access of module.clusters.get(at.pc)?.accesses ?? []) {
      const wide = at.value + BigInt(access.offset);
      this.site = access.pc;
      if (at.value > 0xffff_ffffn || wide < 0n) {
        throw new Trap("memory", `r${access.register} is no address: 0x${at.value.toString(16)} + ${access.offset}`);
      }
      const address = Number(wide);
      const { base, end } = this.stack;
      if (address >= base && address < end && address < at.top - FRAME_BYTES) {
        throw new Trap("stack", "access to a frame that has ended");
      }
      this.memory.check(address, access.size, access.write);
    }
  }

  /** A load that may miss. `size`: negative for a signed one. */
  private probe(address: bigint, size: number): bigint {
    const [at, bytes] = [Number(BigInt.asUintN(64, address)), Math.abs(size)];
    const { memory } = this;
    if (at > 0xffff_ffff || !memory.allows(at, bytes, false)) return 0n;
    const value = bytes === 8 ? memory.view.getBigUint64(at, true) : BigInt(unsignedAt(memory.view, at, bytes));
    return size < 0 ? BigInt.asIntN(bytes * 8, value) : value;
  }

  /** Where a region's objects come and go. */
  private findDynamic(address: number, size: number, write: boolean): boolean {
    if (!this.memory.allows(address, size, write)) return false;
    const { u32 } = this.memory;
    // Only these bytes: the next access asks again.
    const [first, behind] = this.memory.regionAt(address)?.objectAt?.(address) ?? [address, address + size];
    u32[cells.objectStart >>> 2] = first;
    u32[(cells.objectStart >>> 2) + 1] = 0;
    u32[cells.objectEnd >>> 2] = behind;
    u32[(cells.objectEnd >>> 2) + 1] = 0;
    return true;
  }
}

function unsignedAt(view: DataView, at: number, size: number): number {
  if (size === 4) return view.getUint32(at, true);
  return size === 2 ? view.getUint16(at, true) : view.getUint8(at);
}
