import type { BtfTypes, BtfView, MapSpec, ObjectSpec } from "@skep/object";
import { FUNCTION_BASE, MAP_BASE } from "./code.ts";
import type { Code } from "./code.ts";
import type { Engine, EngineName, HelperFunction, HelperWatch } from "./cpu.ts";
import { LoadError, MapError, Trap, errno } from "./error.ts";
import { standardHelpers } from "./helpers/all.ts";
import { kernelFunctions } from "./helpers/kfuncs.ts";
import type { HelperMachine } from "./helpers/machine.ts";
import { hostView } from "./host-view.ts";
import type { Host } from "./host.ts";
import { Interpreter, allocateStack } from "./interpreter/interpreter.ts";
import { Jit } from "./jit/engine.ts";
import { CONTROL_BYTES, MAX_MAPS } from "./layout.ts";
import { fillSections, linkCode } from "./load.ts";
import { Heap } from "./kernel/heap.ts";
import { KernelLayout } from "./kernel/layout.ts";
import type { KernelMembers } from "./kernel/layout.ts";
import { ArrayMap } from "./maps/array.ts";
import { createMap } from "./maps/create.ts";
import { specialFields } from "./maps/fields.ts";
import type { MapHost, SpecialField, VmMap } from "./maps/map.ts";
import { ArenaMap } from "./maps/other.ts";
import { MapOfMaps, ProgramArray } from "./maps/nested.ts";
import { Memory } from "./memory.ts";
import type { Region } from "./memory.ts";
import { KernelObject } from "./object.ts";
import { RunState, shapeOf } from "./run-state.ts";
import type { Clone, ContextShape, Redirect } from "./run-state.ts";
import { runsLater, Timers } from "./timers.ts";
import { wasm } from "./wasm/api.ts";

export interface VmOptions {
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly clock: () => bigint;
  /** 32 random bits. */
  readonly random: () => number;
  /** Of per-CPU maps; default 1. */
  readonly cpus?: number;
  /** The CPU that programs run on; default 0. */
  readonly cpu?: number;
  /** Instructions of one run; default 100 million. */
  readonly budget?: number;
  /** How programs run that are not loaded otherwise; default `checked`. */
  readonly engine?: EngineName;
  /** More helpers, or others, by number. */
  readonly helpers?: ReadonlyMap<number, HelperFunction>;
  /** More kernel functions, or others, by name. */
  readonly kernelFunctions?: ReadonlyMap<string, HelperFunction>;
  /** What programs may ask of the machine around them. */
  readonly host?: Host;
  /** A kernel's types: objects are laid out by them, CO-RE relocations resolved against them where `load` is given no others. */
  readonly kernelTypes?: BtfTypes | BtfView;
  /** For those who look on. With it no helper is inlined. */
  readonly onHelper?: HelperWatch;
}

export interface VmLoadOptions {
  /** Variables of the data sections by name, set before anything runs. */
  readonly config?: Readonly<Record<string, number | bigint | boolean | Uint8Array>>;
  /** Maps to use instead of making them, by name. */
  readonly maps?: Readonly<Record<string, VmMap>>;
  /** Types that CO-RE relocations are resolved against. */
  readonly kernelTypes?: BtfTypes | BtfView;
  /** Addresses of kernel variables by name (ksyms): objects of the machine. */
  readonly kernelSymbols?: Readonly<Record<string, number>>;
  /** Default: the machine's. */
  readonly engine?: EngineName;
  /** Only these programs. Default all that the object loads by itself. */
  readonly programs?: readonly string[];
  /** Overrides of `maxEntries`. */
  readonly maxEntries?: Readonly<Record<string, number>>;
}

export interface VmProgram {
  readonly name: string;
  /** Kernel's name without prefix, such as `xdp`. */
  readonly type: string;
  readonly attachType?: string;
  /** Its number in the machine, from 1. */
  readonly id: number;
  readonly engine: EngineName;
  readonly code: Code;
}

export interface VmObject {
  readonly maps: Readonly<Record<string, VmMap>>;
  readonly programs: Readonly<Record<string, VmProgram>>;
}

export interface RunInput {
  /** As the program sees it. At most 65,536 bytes. */
  readonly packet?: Uint8Array;
  /** The context's bytes. For xdp and tc programs the members that show the packet are filled in. */
  readonly context?: Uint8Array;
  /** Bytes before the packet that an xdp program left as metadata. */
  readonly metadata?: Uint8Array;
  /** Of a tracing program: what it stands at was called with. Instead of `context`. */
  readonly arguments?: readonly (bigint | number | KernelObject | null)[];
  /** What the function gave (fexit, fmod_ret). */
  readonly result?: bigint | number;
  /** What differs from the machine's host for this run. */
  readonly host?: Host;
}

export interface RunResult {
  /** The low word of r0, unsigned: the verdict. */
  readonly returned: number;
  readonly r0: bigint;
  readonly packet: Uint8Array;
  readonly context: Uint8Array;
  readonly metadata: Uint8Array;
  /** The last redirect that was asked for; in force where the verdict says so. */
  readonly redirect: Redirect | null;
  readonly clones: readonly Clone[];
  readonly prints: readonly string[];
  /** What an iterator's program wrote into its file. */
  readonly written: Uint8Array;
  /** What bpf_set_retval asked for; null where it did not. */
  readonly setReturn: number | null;
  /** All in the interpreter, those of loops in `checked`, none in `fast`. */
  readonly instructions: number;
}

/** Types of programs whose arguments are pointers to kernel objects. */
const WALKERS: ReadonlySet<string> = new Set(["tracing", "lsm", "struct_ops"]);

/** XDP_PACKET_HEADROOM */
const HEADROOM = 256;
const MAX_PACKET = 65_536;
const TAILROOM = 4096;
const MAX_CONTEXT = 4096;

/** Programs, maps and one CPU in user space. Programs of one machine share its maps. Runs do not nest. */
export class Vm {
  readonly memory = new Memory();
  private readonly options: VmOptions;
  private readonly maps: (VmMap | undefined)[] = [];
  private readonly freeIds: number[] = [];
  private readonly mapHost: MapHost;
  private readonly helpers: ReadonlyMap<number, HelperFunction>;
  private readonly functionNumbers = new Map<string, number>();
  private readonly engines: Readonly<Record<EngineName, Engine>>;
  private readonly engineOf = new WeakMap<Code, EngineName>();
  private readonly packet: Region;
  private readonly context: Region;
  private readonly machine: HelperMachine & { state: RunState; host: Host };
  private lastProgram = 0;
  private running = false;

  constructor(options: VmOptions) {
    const { memory } = this;
    this.options = options;
    this.mapHost = {
      ...{ memory, cpus: options.cpus ?? 1, cpu: options.cpu ?? 0 },
      host: () => this.machine.host,
      slotOf: (code) => this.jitOf(code).slotOf(code),
      mapById: (id) => this.maps[id] ?? null,
      empty: (address, fields) => {
        for (const { kind, offset } of fields) if (runsLater(kind)) this.machine.timers.end(address + offset);
        this.machine.heap.empty(address, fields);
      },
    };
    this.packet = memory.allocate("packet", HEADROOM + MAX_PACKET + TAILROOM);
    this.context = memory.allocate("context", MAX_CONTEXT);
    this.machine = {
      ...{ memory, cpu: this.mapHost.cpu, cpus: this.mapHost.cpus },
      state: new RunState(memory, { packet: this.packet, context: this.context }),
      scratch: memory.allocate("memory", 4096),
      host: hostView(options.host),
      timers: new Timers({
        call: (code, entry, args) => this.callBack(code, entry, args),
        host: () => this.machine.host,
      }),
      heap: new Heap(memory, {
        cpus: this.mapHost.cpus,
        letGo: (address) => this.machine.state.objects.get(address)?.release(),
      }),
      clock: (which) => this.machine.host.clock?.(which) ?? options.clock(),
      random: options.random,
      map: (handle) => this.mapOf(handle),
      engineCode: (cpu) => cpu.code,
    };
    const standard = standardHelpers(this.machine);
    const own = options.helpers ?? new Map<number, HelperFunction>();
    const { onHelper } = options;
    const inlines = new Set(onHelper ? [] : [...standard.keys()].filter((id) => !own.has(id)));
    const helpers = new Map([...standard, ...own]);
    this.addKernelFunctions(helpers);
    if (onHelper) for (const [id, run] of helpers) helpers.set(id, (cpu) => onHelper({ id, cpu, run: () => run(cpu) }));
    this.helpers = helpers;
    this.engines = this.makeEngines(helpers, inlines);
  }

  private addKernelFunctions(helpers: Map<number, HelperFunction>): void {
    const all = new Map([...kernelFunctions(this.machine), ...(this.options.kernelFunctions ?? [])]);
    let number = 0;
    for (const [name, run] of all) {
      this.functionNumbers.set(name, number);
      helpers.set(-1 - number, run);
      number++;
    }
  }

  private makeEngines(
    helpers: ReadonlyMap<number, HelperFunction>,
    inlines: ReadonlySet<number>,
  ): Readonly<Record<EngineName, Engine>> {
    const { memory, options } = this;
    const stack = allocateStack(memory);
    const table = new wasm.Table({ element: "anyfunc", initial: 1 });
    const shared = { helpers, stack, ...(options.budget === undefined ? {} : { budget: options.budget }) };
    const { cpu, cpus } = this.mapHost;
    const jit = (checked: boolean): Jit =>
      new Jit(memory, { ...shared, inlines, table, cpu, cpus, checked, mapOf: (handle) => this.findMap(handle) });
    return { interpreter: new Interpreter(memory, shared), checked: jit(true), fast: jit(false) };
  }

  /** The engine whose compiled form tail calls use. */
  private jitOf(code: Code): Jit {
    const { checked, fast } = this.engines;
    const wanted = this.engineOf.get(code) === "fast" ? fast : checked;
    if (!(wanted instanceof Jit)) throw new Error("no compiler");
    return wanted;
  }

  private findMap(handle: number): VmMap | null {
    return this.maps[(handle - MAP_BASE) / CONTROL_BYTES] ?? null;
  }

  private mapOf(handle: number): VmMap {
    const map = this.findMap(handle);
    if (map === null) throw new Trap("argument", `0x${handle.toString(16)} is no map`);
    return map;
  }

  /** Names of the kernel functions that programs may call here. */
  get kernelFunctionNames(): readonly string[] {
    return [...this.functionNumbers.keys()];
  }

  /** A kernel object that programs may be handed a pointer to. `kind`: the struct's name. */
  createObject(kind: string, bytes: Uint8Array): KernelObject {
    const object = new KernelObject(this.memory, kind, bytes);
    this.machine.state.objects.set(object.address, object);
    object.whenClosed(() => this.machine.state.objects.delete(object.address));
    return object;
  }

  /**
   * A kernel object by the members of its struct, laid out as `VmOptions.kernelTypes` say; the rest is zero. Throws `RangeError` for a struct or
   * member that the types do not have.
   */
  makeObject(kind: string, members: KernelMembers): KernelObject {
    return this.createObject(kind, this.layout.bytesOf(kind, members));
  }

  /** Sets members of such an object. */
  setMembers(object: KernelObject, members: KernelMembers): void {
    const bytes = object.read();
    this.layout.write(bytes, object.kind, members);
    object.write(0, bytes);
  }

  /** Objects of their own that programs made and nobody dropped. */
  get ownObjects(): number {
    return this.machine.heap.size;
  }

  private get layout(): KernelLayout {
    const { kernelTypes } = this.options;
    if (kernelTypes === undefined) throw new RangeError("the machine was given no types of a kernel");
    return (this.layoutOfTypes ??= new KernelLayout(kernelTypes));
  }
  private layoutOfTypes: KernelLayout | null = null;

  /** Throws `MapError` with the kernel's errno for what BPF_MAP_CREATE refuses. */
  createMap(spec: MapSpec, fields: readonly SpecialField[] = []): VmMap {
    const id = this.freeIds.pop() ?? this.maps.length;
    if (id >= MAX_MAPS) throw new MapError("create", spec.name, errno.ENOSPC);
    const map = createMap(this.mapHost, spec, { id, fields });
    this.maps[id] = map;
    return map;
  }

  /** The map of an id; null where there is none. */
  mapById(id: number): VmMap | null {
    return this.maps[id] ?? null;
  }

  /** Gives a map's memory back. No program that names it may run afterwards. */
  closeMap(map: VmMap): void {
    if (this.maps[map.id] !== map) return;
    this.maps[map.id] = undefined;
    this.freeIds.push(map.id);
    map.close();
  }

  /**
   * Makes the maps of an object and makes its programs ready. Throws `LoadError` for what this machine cannot have (`UnsupportedError` for a
   * helper or kernel function), `MapError` for a map that the kernel refuses, `ObjectError` for an object that does not hold together.
   */
  load(spec: ObjectSpec, options: VmLoadOptions = {}): VmObject {
    if (spec.byteOrder !== "little") throw new LoadError("the machine is little-endian, the object is not");
    const maps = this.loadMaps(spec, options);
    const programs: Record<string, VmProgram> = {};
    for (const [name, program] of Object.entries(spec.programs)) {
      if (options.programs?.includes(name) ?? program.autoload !== false) {
        programs[name] = this.loadProgram(spec, name, { maps, options });
      }
    }
    putInitialValues(spec, maps, programs);
    return { maps, programs };
  }

  private loadMaps(spec: ObjectSpec, options: VmLoadOptions): Readonly<Record<string, VmMap>> {
    const maps: Record<string, VmMap> = {};
    const sections = fillSections(spec, options.config ?? {});
    for (const [name, map] of Object.entries(spec.maps)) {
      const given = options.maps?.[name];
      const maxEntries = options.maxEntries?.[name] ?? this.entriesOf(map);
      const made = given ?? this.createMap({ ...map, maxEntries }, specialFields(map, spec.btf));
      maps[name] = made;
      const contents = sections.get(name);
      if (contents !== undefined && given === undefined) this.fill(made, contents, map);
    }
    return maps;
  }

  /** Of maps whose size the loader chooses: one entry per CPU, a page of ring. */
  private entriesOf(map: MapSpec): number {
    if (map.type === "ringbuf" || map.type === "user_ringbuf") return ringSize(map.maxEntries);
    if (map.maxEntries !== 0) return map.maxEntries;
    if (map.type === "perf_event_array") return this.mapHost.cpus;
    return map.type === "struct_ops" ? 1 : 0;
  }

  private loadProgram(
    spec: ObjectSpec,
    name: string,
    how: { maps: Readonly<Record<string, VmMap>>; options: VmLoadOptions },
  ): VmProgram {
    const program = spec.programs[name];
    if (program === undefined) throw new LoadError(`the object has no program ${name}`);
    const { type, attachType } = program;
    const code = linkCode(spec, {
      ...{ name, maps: how.maps, kernelTypes: how.options.kernelTypes ?? this.options.kernelTypes },
      ...{ contextBytes: shapeOf(type)?.size ?? 0, packetMembers: packetMembersOf(type) },
      probes: WALKERS.has(type),
      hasHelper: (id) => this.helpers.has(id),
      kernelFunction: (each) => this.functionNumbers.get(each) ?? null,
      kernelSymbol: (each) => how.options.kernelSymbols?.[each] ?? null,
    });
    const engine = how.options.engine ?? this.options.engine ?? "checked";
    this.engineOf.set(code, engine);
    return { name, type, ...(attachType === undefined ? {} : { attachType }), id: ++this.lastProgram, engine, code };
  }

  private fill(map: VmMap, contents: Uint8Array, spec: MapSpec): void {
    if (map instanceof ArenaMap) {
      map.fill(contents);
      return;
    }
    if (!(map instanceof ArrayMap)) throw new LoadError(`map ${spec.name} has contents and is no array`);
    this.memory.bytes.set(contents, map.base);
    if (spec.data?.readOnly !== true) return;
    const region = this.memory.regionAt(map.base);
    if (region !== null) region.writable = false;
    map.freeze();
  }

  /** For program arrays. Throws `MapError` (E2BIG) behind its end. */
  setProgram(map: VmMap, index: number, program: VmProgram): void {
    if (!(map instanceof ProgramArray)) throw new MapError("setProgram", map.spec.name, errno.EINVAL);
    map.put(index, program.code, program.id);
  }

  /** For maps of maps. Throws `MapError`. */
  setMap(map: VmMap, key: Uint8Array, inner: VmMap): void {
    const result = map instanceof MapOfMaps ? map.put(key, inner) : -errno.EINVAL;
    if (result < 0) throw new MapError("setMap", map.spec.name, -result);
  }

  // ---- running ----

  /** Runs a program once. Throws `VmError` where it does what no verified program does. */
  run(program: VmProgram, input: RunInput = {}): RunResult {
    return this.guarded(() => {
      const size = this.prepare(program, input);
      const engine = this.engines[program.engine];
      return this.resultOf(engine, engine.run(program.code, this.context.base, 0), size);
    });
  }

  /**
   * Runs an iterator's program on each row and once more without one, as reading its file does; gives the file's text. `target`: what is gone
   * through, such as `task`; a row: members of its `struct bpf_iter__task` beside `meta`.
   */
  iterate(program: VmProgram, target: string, rows: readonly KernelMembers[], host?: Host): string {
    const struct = `bpf_iter__${target}`;
    const meta = this.makeObject("bpf_iter_meta", { session_id: 1 });
    const file = this.makeObject("seq_file", {});
    try {
      const texts = [...rows, {}].map((row, index) => {
        this.setMembers(meta, { seq: file, seq_num: index });
        const context = this.layout.bytesOf(struct, { meta, ...row });
        return this.run(program, { context, ...(host === undefined ? {} : { host }) }).written;
      });
      return texts.map((bytes) => new TextDecoder().decode(bytes)).join("");
    } finally {
      file.close();
      meta.close();
    }
  }

  /**
   * Runs a compiled program `count` times on the same packet and context, which stay as each run leaves them; gives the last r0. For
   * measuring: nothing leaves WebAssembly in between. Throws `VmError`.
   */
  repeat(program: VmProgram, count: number, input: RunInput = {}): bigint {
    return this.guarded(() => {
      this.prepare(program, input);
      return this.jitOf(program.code).repeat(program.code, count, this.context.base);
    });
  }

  /** A timer's callback, with frames of its own. */
  private callBack(code: Code, address: number, args: readonly number[]): void {
    this.guarded(() => {
      this.machine.state = this.newState();
      this.engines[this.engineOf.get(code) ?? "checked"].call(code, (address - FUNCTION_BASE) / 8, args);
    });
  }

  private guarded<T>(run: () => T): T {
    if (this.running) throw new Error("a program of this machine runs already: runs do not nest");
    this.running = true;
    try {
      return run();
    } finally {
      this.running = false;
    }
  }

  private newState(): RunState {
    const { objects } = this.machine.state;
    return new RunState(this.memory, { packet: this.packet, context: this.context, objects });
  }

  /** Puts packet and context in place; gives the context's size. */
  private prepare(program: VmProgram, input: RunInput): number {
    const shape = shapeOf(program.type);
    const given = input.context ?? argumentBytes(input);
    const size = Math.max(given.length, shape?.size ?? 0);
    const packet = input.packet ?? new Uint8Array(0);
    if (packet.length > MAX_PACKET) throw new RangeError(`a packet of ${packet.length} bytes`);
    if (size > MAX_CONTEXT) throw new RangeError(`a context of ${size} bytes`);
    this.machine.host = hostView(this.options.host, input.host);
    this.machine.state = this.newState();
    this.machine.state.argumentCount = input.arguments?.length ?? 0;
    const { bytes } = this.memory;
    bytes.fill(0, this.context.base, this.context.base + size);
    bytes.set(given, this.context.base);
    this.context.end = this.context.base + size;
    this.context.writable = shape?.kind !== "xdp";
    this.placePacket(packet, { shape, metadata: input.metadata ?? new Uint8Array(0) });
    if (shape?.kind === "skb" && input.context === undefined)
      bytes.set(packet.subarray(12, 14), this.context.base + 16);
    return size;
  }

  private placePacket(packet: Uint8Array, how: { shape: ContextShape | null; metadata: Uint8Array }): void {
    const { state } = this.machine;
    this.memory.bytes.fill(0, this.packet.base, this.packet.base + HEADROOM);
    this.memory.bytes.set(packet, this.packet.base + HEADROOM);
    state.shape = how.shape;
    state.data = this.packet.base + HEADROOM;
    state.meta = state.data - how.metadata.length;
    this.memory.bytes.set(how.metadata, state.meta);
    state.dataEnd = state.data + packet.length;
    state.publish();
  }

  private resultOf(engine: Engine, r0: bigint, size: number): RunResult {
    const { state } = this.machine;
    return {
      returned: Number(r0 & 0xffff_ffffn),
      r0,
      packet: this.memory.bytes.slice(state.data, state.dataEnd),
      context: this.memory.bytes.slice(this.context.base, this.context.base + size),
      metadata: this.memory.bytes.slice(state.meta, state.data),
      ...{ redirect: state.redirect, clones: state.clones, prints: state.prints, setReturn: state.setReturn },
      written: Uint8Array.from(state.written),
      instructions: engine.instructions,
    };
  }
}

function packetMembersOf(type: string): number[] {
  const shape = shapeOf(type);
  // Those of sk_msg are words of eight bytes.
  if (shape === null || shape.kind === "msg") return [];
  return [shape.data, shape.dataEnd, ...(shape.dataMeta === null ? [] : [shape.dataMeta])];
}

/** Words of eight bytes, as a trampoline puts them on its stack; the result behind the arguments. */
function argumentBytes(input: RunInput): Uint8Array {
  const values = [...(input.arguments ?? []), ...(input.result === undefined ? [] : [input.result])];
  const words = values.map((each) => BigInt(each instanceof KernelObject ? each.address : (each ?? 0)));
  return new Uint8Array(BigInt64Array.from(words, (word) => BigInt.asIntN(64, word)).buffer);
}

/** A power of two of pages: loaders round up (libbpf: adjust_ringbuf_sz). */
function ringSize(wanted: number): number {
  return Math.max(4096, 2 ** Math.ceil(Math.log2(Math.max(1, wanted))));
}

/** What the object says is in its maps of maps and program arrays. */
function putInitialValues(
  spec: ObjectSpec,
  maps: Readonly<Record<string, VmMap>>,
  programs: Readonly<Record<string, VmProgram>>,
): void {
  for (const [name, map] of Object.entries(spec.maps)) {
    for (const { index, name: value } of map.values ?? []) {
      const outer = maps[name];
      const inner = maps[value];
      const program = programs[value];
      if (outer instanceof ProgramArray && program !== undefined) outer.put(index, program.code, program.id);
      else if (outer instanceof MapOfMaps && inner !== undefined) {
        const result = outer.put(new Uint8Array(Uint32Array.of(index).buffer), inner);
        if (result < 0) throw new LoadError(`map ${name} does not take ${value} (errno ${-result})`);
      } else if (spec.programs[value] !== undefined) continue;
      else if (outer !== undefined) throw new LoadError(`map ${name} names ${value}, which it cannot hold`);
    }
  }
}
