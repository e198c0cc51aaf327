import { linkProgram, relocate } from "@skep/object";
import type { BtfTypes, LinkedProgram, MapSpec, ObjectSpec } from "@skep/object";
import { MAP_BASE, prepare } from "./code.ts";
import type { Code } from "./code.ts";
import type { HelperFunction } from "./cpu.ts";
import { Interpreter } from "./interpreter/interpreter.ts";
import { LoadError, MapError, Trap, errno } from "./error.ts";
import { CONTROL_BYTES } from "./layout.ts";
import type { Host } from "./host.ts";
import { KernelObject } from "./object.ts";
import { coreHelpers } from "./helpers/core.ts";
import type { HelperMachine } from "./helpers/machine.ts";
import { mapHelpers } from "./helpers/maps.ts";
import { packetHelpers } from "./helpers/packet.ts";
import { ArrayMap } from "./maps/array.ts";
import { createMap } from "./maps/create.ts";
import type { MapHost, VmMap } from "./maps/map.ts";
import { MapOfMaps, ProgramArray } from "./maps/nested.ts";
import { Memory } from "./memory.ts";
import type { Region } from "./memory.ts";
import { RunState, skbShape, xdpShape } from "./run-state.ts";
import type { ContextShape, Redirect } from "./run-state.ts";

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
  /** More helpers, or others, by number. */
  readonly helpers?: ReadonlyMap<number, HelperFunction>;
  /** What programs may ask of the machine around them. */
  readonly host?: Host;
}

export interface VmLoadOptions {
  /** Variables of the data sections by name, set before anything runs. */
  readonly config?: Readonly<Record<string, number | bigint | boolean | Uint8Array>>;
  /** Maps to use instead of making them, by name. */
  readonly maps?: Readonly<Record<string, VmMap>>;
  /** Types that CO-RE relocations are resolved against. */
  readonly kernelTypes?: BtfTypes;
}

export interface VmProgram {
  readonly name: string;
  /** Kernel's name without prefix, such as `xdp`. */
  readonly type: string;
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
  /** What differs from the machine's host for this run. */
  readonly host?: Host;
}

export interface RunResult {
  /** The low word of r0, unsigned: the verdict. */
  readonly returned: number;
  readonly r0: bigint;
  readonly packet: Uint8Array;
  readonly context: Uint8Array;
  /** The last redirect that was asked for; in force where the verdict says so. */
  readonly redirect: Redirect | null;
  readonly clones: readonly Redirect[];
  readonly prints: readonly string[];
  readonly instructions: number;
}

/** XDP_PACKET_HEADROOM */
const HEADROOM = 256;
const MAX_PACKET = 65_536;
const TAILROOM = 4096;
const MAX_CONTEXT = 4096;

/** Programs, maps and one CPU in user space. Programs of one machine share its maps. */
export class Vm {
  readonly memory = new Memory();
  private readonly options: VmOptions;
  private readonly maps: VmMap[] = [];
  private readonly host: MapHost;
  private readonly processor: Interpreter;
  private readonly packet: Region;
  private readonly context: Region;
  private readonly machine: HelperMachine & { state: RunState };

  constructor(options: VmOptions) {
    const { memory } = this;
    this.options = options;
    this.host = { memory, cpus: options.cpus ?? 1, cpu: options.cpu ?? 0 };
    this.packet = memory.allocate("packet", HEADROOM + MAX_PACKET + TAILROOM);
    this.context = memory.allocate("context", MAX_CONTEXT);
    this.machine = {
      memory,
      cpu: this.host.cpu,
      state: new RunState(memory, { packet: this.packet, context: this.context }),
      scratch: memory.allocate("memory", 4096),
      clock: options.clock,
      random: options.random,
      map: (handle) => this.mapOf(handle),
    };
    const helpers = new Map<number, HelperFunction>([
      ...coreHelpers(this.machine),
      ...mapHelpers(this.machine),
      ...packetHelpers(this.machine),
      ...(options.helpers ?? []),
    ]);
    this.processor = new Interpreter(memory, {
      helpers,
      ...(options.budget === undefined ? {} : { budget: options.budget }),
    });
  }

  private mapOf(handle: number): VmMap {
    const map = this.maps[(handle - MAP_BASE) / CONTROL_BYTES];
    if (map === undefined) throw new Trap("argument", `0x${handle.toString(16)} is no map`);
    return map;
  }

  /** A kernel object that programs may be handed a pointer to. `kind`: the struct's name. */
  createObject(kind: string, bytes: Uint8Array): KernelObject {
    return new KernelObject(this.memory, kind, bytes);
  }

  /** Throws `LoadError`. */
  createMap(spec: MapSpec): VmMap {
    const map = createMap(this.host, spec, this.maps.length);
    this.maps.push(map);
    return map;
  }

  /**
   * Makes the maps of an object and makes its programs ready. Throws `LoadError` for what this machine cannot have, `ObjectError` for an
   * object that does not hold together.
   */
  load(spec: ObjectSpec, options: VmLoadOptions = {}): VmObject {
    if (spec.byteOrder !== "little") throw new LoadError("the machine is little-endian, the object is not");
    const maps: Record<string, VmMap> = {};
    const sections = fillSections(spec, options.config ?? {});
    for (const [name, map] of Object.entries(spec.maps)) {
      const made = options.maps?.[name] ?? this.createMap(map);
      maps[name] = made;
      const contents = sections.get(name);
      if (contents !== undefined && options.maps?.[name] === undefined) this.fill(made, contents, map);
    }
    const programs: Record<string, VmProgram> = {};
    for (const [name, program] of Object.entries(spec.programs)) {
      programs[name] = { name, type: program.type, code: linkCode(spec, { name, maps, options }) };
    }
    putInitialValues(spec, maps, programs);
    return { maps, programs };
  }

  private fill(map: VmMap, contents: Uint8Array, spec: MapSpec): void {
    if (!(map instanceof ArrayMap)) throw new LoadError(`map ${spec.name} has contents and is no array`);
    this.memory.bytes.set(contents, map.base);
    const region = this.memory.regionAt(map.base);
    if (region !== null && spec.data?.readOnly === true) region.writable = false;
  }

  /** For program arrays. Throws `MapError` (E2BIG) behind its end. */
  setProgram(map: VmMap, index: number, program: VmProgram): void {
    if (!(map instanceof ProgramArray)) throw new MapError("setProgram", map.spec.name, errno.EINVAL);
    map.put(index, program.code);
  }

  /** For maps of maps. Throws `MapError`. */
  setMap(map: VmMap, key: Uint8Array, inner: VmMap): void {
    const result = map instanceof MapOfMaps ? map.put(key, inner) : -errno.EINVAL;
    if (result < 0) throw new MapError("setMap", map.spec.name, -result);
  }

  /** Runs a program once. Throws `VmError` where it does what no verified program does. */
  run(program: VmProgram, input: RunInput): RunResult {
    const shape = shapes[program.type] ?? null;
    const given = input.context ?? new Uint8Array(0);
    const size = Math.max(given.length, shape?.size ?? 0);
    const packet = input.packet ?? new Uint8Array(0);
    if (packet.length > MAX_PACKET) throw new RangeError(`a packet of ${packet.length} bytes`);
    if (size > MAX_CONTEXT) throw new RangeError(`a context of ${size} bytes`);
    const state = new RunState(this.memory, { packet: this.packet, context: this.context });
    this.machine.state = state;
    const { bytes } = this.memory;
    bytes.fill(0, this.context.base, this.context.base + size);
    bytes.set(given, this.context.base);
    this.context.end = this.context.base + size;
    this.context.writable = shape?.kind !== "xdp";
    this.placePacket(state, packet, shape);
    if (shape?.kind === "skb" && input.context === undefined)
      bytes.set(packet.subarray(12, 14), this.context.base + 16);
    const r0 = this.processor.run(program.code, this.context.base, 0);
    return {
      returned: Number(r0 & 0xffff_ffffn),
      r0,
      packet: this.memory.bytes.slice(state.data, state.dataEnd),
      context: this.memory.bytes.slice(this.context.base, this.context.base + size),
      redirect: state.redirect,
      clones: state.clones,
      prints: state.prints,
      instructions: this.processor.instructions,
    };
  }

  private placePacket(state: RunState, packet: Uint8Array, shape: ContextShape | null): void {
    this.memory.bytes.fill(0, this.packet.base, this.packet.base + HEADROOM);
    this.memory.bytes.set(packet, this.packet.base + HEADROOM);
    state.shape = shape;
    state.data = this.packet.base + HEADROOM;
    state.meta = state.data;
    state.dataEnd = state.data + packet.length;
    state.publish();
  }
}

const shapes: Readonly<Record<string, ContextShape>> = {
  xdp: xdpShape,
  sched_cls: skbShape,
  sched_act: skbShape,
  cgroup_skb: skbShape,
  socket_filter: skbShape,
};

/** The data sections' bytes with the variables of `config` set, by map. */
function fillSections(spec: ObjectSpec, config: NonNullable<VmLoadOptions["config"]>): ReadonlyMap<string, Uint8Array> {
  const contents = new Map<string, Uint8Array>();
  const places = new Map<string, { bytes: Uint8Array; offset: number; size: number }>();
  for (const [name, map] of Object.entries(spec.maps)) {
    if (map.data === undefined) continue;
    const bytes = map.data.contents.slice();
    contents.set(name, bytes);
    for (const { name: variable, offset, size } of map.data.variables) places.set(variable, { bytes, offset, size });
  }
  for (const [variable, value] of Object.entries(config)) {
    const place = places.get(variable);
    if (place === undefined) throw new LoadError(`config ${variable}: the object has no such variable`);
    place.bytes.set(variableBytes(variable, value, place.size), place.offset);
  }
  return contents;
}

function variableBytes(name: string, value: number | bigint | boolean | Uint8Array, size: number): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length !== size) throw new LoadError(`config ${name}: ${value.length} bytes instead of ${size}`);
    return value;
  }
  const whole = BigInt(value);
  const limit = 1n << BigInt(size * 8);
  if (size > 8 || whole < -(limit / 2n) || whole >= limit) {
    throw new LoadError(`config ${name}: ${value} does not fit ${size} bytes`);
  }
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, BigInt.asUintN(64, whole), true);
  return new Uint8Array(out.buffer, 0, size);
}

interface LinkPlace {
  readonly name: string;
  readonly maps: Readonly<Record<string, VmMap>>;
  readonly options: VmLoadOptions;
}

function linkCode(spec: ObjectSpec, place: LinkPlace): Code {
  const linked = relocated(spec, linkProgram(spec, place.name), place.options.kernelTypes);
  const addresses = new Map<number, number>();
  for (const reference of linked.references) {
    if (reference.kind === "kfunc") continue;
    if (reference.kind === "ksym") {
      if (!reference.weak) throw new LoadError(`${place.name} needs the kernel's symbol ${reference.name}`);
      addresses.set(reference.at, 0);
      continue;
    }
    const map = place.maps[reference.map];
    if (map === undefined)
      throw new LoadError(`${place.name} needs map ${reference.map}, which the object does not have`);
    if (reference.kind === "map") addresses.set(reference.at, map.handle);
    else if (map instanceof ArrayMap) addresses.set(reference.at, map.base + reference.offset);
    else throw new LoadError(`${place.name}: map ${reference.map} has no values at fixed addresses`);
  }
  return prepare(linked.instructions, { name: place.name, addresses, lines: linked.lines });
}

function relocated(spec: ObjectSpec, linked: LinkedProgram, target: BtfTypes | undefined): LinkedProgram {
  if (linked.coreRelocations.length === 0) return linked;
  if (target === undefined || spec.btf === undefined) {
    throw new LoadError(`${linked.name} has CO-RE relocations: give the kernel's types`);
  }
  return relocate(linked, { local: spec.btf, target });
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
      if (outer instanceof ProgramArray && program !== undefined) outer.put(index, program.code);
      else if (outer instanceof MapOfMaps && inner !== undefined) {
        const result = outer.put(new Uint8Array(Uint32Array.of(index).buffer), inner);
        if (result < 0) throw new LoadError(`map ${name} does not take ${value} (errno ${-result})`);
      } else throw new LoadError(`map ${name} names ${value}, which it cannot hold`);
    }
  }
}
