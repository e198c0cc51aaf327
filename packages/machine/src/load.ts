/**
 * @module
 * Loads a module of kernel programs with the types of its exports.
 */
import type { MapDescriptor, ProgramDescriptor, Type, VariableDescriptor } from "@skep/bpf";
import { findByName, type BtfTypes, type MapSpec, type ObjectSpec } from "@skep/object";
import type { App, AppOptions } from "./app.ts";
import { compareCodecs, LayoutMismatchError } from "./check.ts";
import { bytesCodec, codecOfShape, codecOfType, type ValueCodec } from "./codec/codec.ts";
import { shapeOfDescriptor } from "./codec/descriptor.ts";
import { EventStream } from "./events.ts";
import type { BpfMachine, Collection, Machine, RawMap } from "./machine.ts";
import {
  isPerCpu,
  mapOfMaps,
  perCpuMap,
  progArray,
  references,
  stackTraces,
  typedBloomFilter,
  typedMap,
  typedQueue,
} from "./typed-map.ts";
import { openVariable } from "./variables.ts";

type Descriptor = MapDescriptor | ProgramDescriptor | VariableDescriptor;

/** One thing of the object under the name that user space has for it. */
interface Export {
  readonly exportName: string;
  readonly specName: string;
  readonly descriptor?: Descriptor;
}

const kinds: ReadonlySet<string> = new Set(["map", "program", "config", "global"]);

function isDescriptor(value: unknown): value is Descriptor {
  return typeof value === "object" && value !== null && "kind" in value && kinds.has(String(value.kind));
}

/** Names of the object that the module does not export are there under their own name. */
function exportsOf(spec: ObjectSpec, module: object | undefined): Export[] {
  const exports: Export[] = Object.entries(module ?? {}).flatMap(([exportName, value]) =>
    isDescriptor(value) ? [{ exportName, specName: value.name, descriptor: value }] : [],
  );
  const named = new Set(exports.map(({ specName }) => specName));
  const taken = new Set(exports.map(({ exportName }) => exportName));
  const all = [...Object.keys(spec.maps), ...Object.keys(spec.programs), ...variableNames(spec)];
  const rest = all.filter((name) => !named.has(name) && !taken.has(name));
  return [...exports, ...rest.map((name) => ({ exportName: name, specName: name }))];
}

function variableNames(spec: ObjectSpec): string[] {
  return Object.values(spec.maps).flatMap((map) => map.data?.variables.map(({ name }) => name) ?? []);
}

// ---- codecs ----

const sideCodec = (btf: BtfTypes | undefined, typeId: number | undefined, size: number): ValueCodec<unknown> =>
  btf && typeId ? codecOfType(btf, typeId) : bytesCodec(size);

/** The object's type, which must be the module's where both are known. */
function agreed(
  subject: string,
  fromObject: ValueCodec<unknown>,
  fromModule: Type<unknown> | undefined,
): ValueCodec<unknown> {
  const difference = fromModule && compareCodecs(fromModule as ValueCodec<unknown>, fromObject);
  if (difference) throw new LayoutMismatchError(subject, difference);
  return fromObject;
}

function codecFor(
  subject: string,
  side: { readonly typeId: number | undefined; readonly size: number },
  btf: BtfTypes | undefined,
  fromModule: Type<unknown> | undefined,
): ValueCodec<unknown> {
  // Without BTF for it the module's word is the only one.
  if (fromModule && !(btf && side.typeId)) return codecOfShape(shapeOfDescriptor(fromModule));
  return agreed(subject, sideCodec(btf, side.typeId, side.size), fromModule);
}

/** The kernel keeps no types for rings: the object may name one all the same, else the struct of the module's name is looked for. */
function recordCodec(
  spec: MapSpec,
  btf: BtfTypes | undefined,
  descriptor: MapDescriptor | undefined,
): ValueCodec<unknown> | null {
  const subject = `events of ${spec.name}`;
  const fromModule = descriptor?.value;
  if (btf && spec.valueTypeId) return agreed(subject, codecOfType(btf, spec.valueTypeId), fromModule);
  const named = btf && fromModule ? findByName(btf, fromModule.name, "struct") : null;
  if (btf && named) return agreed(subject, codecOfType(btf, named.id), fromModule);
  return fromModule ? codecOfShape(shapeOfDescriptor(fromModule)) : null;
}

/** Records as they are, copied. */
const plainRecords: ValueCodec<Uint8Array> = {
  size: 0,
  encode: () => {
    throw new TypeError("records are only read");
  },
  decode: (bytes) => bytes.slice(),
};

// ---- handles ----

interface Context {
  readonly bpf: Pick<BpfMachine, "createMap">;
  readonly btf: BtfTypes | undefined;
}

const events: ReadonlySet<string> = new Set(["ringbuf", "perf_event_array"]);
const referring: ReadonlySet<string> = new Set([
  ...["devmap", "devmap_hash", "cpumap", "xskmap", "sockmap", "sockhash", "reuseport_sockarray", "cgroup_array"],
]);

/** Maps whose values are no data that can be read back, or that have no keys; null for the others. */
function specialHandle(raw: RawMap, type: string, codecs: Codecs): unknown {
  if (type === "prog_array") return progArray(raw);
  if (type === "stack_trace") return stackTraces(raw);
  if (type === "queue" || type === "stack") return typedQueue(raw, codecs.value());
  if (type === "bloom_filter") return typedBloomFilter(raw, codecs.value());
  return referring.has(type) ? references(raw, codecs.key()) : null;
}

interface Codecs {
  key(): ValueCodec<unknown>;
  value(): ValueCodec<unknown>;
}

const mapsOfMaps: ReadonlySet<string> = new Set(["hash_of_maps", "array_of_maps"]);

/** What user space works with: see `MapHandle`. */
function mapHandle(raw: RawMap, spec: MapSpec, descriptor: MapDescriptor | undefined, context: Context): unknown {
  const subject = `map ${spec.name}`;
  const key = () =>
    codecFor(`${subject}, key`, { typeId: spec.keyTypeId, size: spec.keySize }, context.btf, descriptor?.key);
  const side = { typeId: spec.valueTypeId, size: spec.valueSize };
  const value = () => codecFor(`${subject}, value`, side, context.btf, descriptor?.value);
  const special = specialHandle(raw, spec.type, { key, value });
  if (special !== null) return special;
  const { inner } = spec;
  if (mapsOfMaps.has(spec.type) && inner) {
    const typed = (each: RawMap) => mapHandle(each, inner, descriptor?.inner, context);
    return mapOfMaps<unknown, unknown>(raw, { key: key(), inner, bpf: context.bpf, typed });
  }
  const types = { key: key(), value: value() };
  return isPerCpu(spec.type) ? perCpuMap(raw, types) : typedMap(raw, types);
}

/** An unknown name is a mistake that `undefined` would hide until later. */
function strict<T extends object>(what: string, values: T, hint: string): T {
  return new Proxy(values, {
    get(target, name, receiver): unknown {
      if (typeof name === "string" && !(name in target) && name !== "then" && name !== "toJSON")
        throw new TypeError(`the object has no ${what} ${name}${hint}`);
      return Reflect.get(target, name, receiver);
    },
  });
}

type ConfigValue = number | bigint | boolean | Uint8Array;

function configValue(name: string, value: unknown, descriptor: Descriptor | undefined): ConfigValue {
  if (descriptor && descriptor.kind !== "config")
    throw new TypeError(`${name} is no config() but a ${descriptor.kind}`);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return value;
  if (value instanceof Uint8Array) return value;
  if (!descriptor) throw new TypeError(`the value of ${name} needs the module for its type`);
  return descriptor.type.encode(value as never) as Uint8Array;
}

/** Values for `.rodata` by the object's names: integers as they are, other types as bytes. */
function configOf(exports: readonly Export[], config: Readonly<Record<string, unknown>>): Record<string, ConfigValue> {
  const values: Record<string, ConfigValue> = {};
  for (const [name, value] of Object.entries(config)) {
    if (value === undefined) continue;
    const found = exports.find(({ exportName }) => exportName === name);
    values[found?.specName ?? name] = configValue(name, value, found?.descriptor);
  }
  return values;
}

interface Handles {
  readonly maps: Record<string, unknown>;
  readonly events: Record<string, EventStream<unknown>>;
  readonly programs: Record<string, unknown>;
  readonly globals: Record<string, unknown>;
}

function build(parts: {
  spec: ObjectSpec;
  collection: Collection;
  exports: readonly Export[];
  context: Context;
  options: AppOptions<object>;
}): Handles {
  const { spec, collection, exports, context, options } = parts;
  const handles: Handles = { maps: {}, events: {}, programs: {}, globals: {} };
  for (const { exportName, specName, descriptor } of exports) {
    const map = spec.maps[specName];
    const raw = collection.maps[specName];
    const program = collection.programs[specName];
    if (map && raw && map.data === undefined) {
      const mapDescriptor = descriptor?.kind === "map" ? descriptor : undefined;
      if (events.has(map.type)) {
        const codec = recordCodec(map, context.btf, mapDescriptor) ?? plainRecords;
        handles.events[exportName] = new EventStream<unknown>(raw, codec, options.events);
      } else handles.maps[exportName] = mapHandle(raw, map, mapDescriptor, context);
    } else if (program) handles.programs[exportName] = program;
    else {
      const variable = openVariable(spec, collection, specName);
      if (variable) handles.globals[exportName] = variable;
    }
  }
  return handles;
}

/**
 * Loads `spec` and gives its maps, events and programs the types of the module `M` (`typeof import("./count.bpf.ts")`). Pass the module
 * itself as `options.module` where its exports have other names than what they declare; then its types are checked, too: throws
 * `LayoutMismatchError` where the object was compiled from other ones.
 */
export function load<M extends object>(
  machine: Pick<Machine, "bpf">,
  spec: ObjectSpec,
  options: AppOptions<M> = {},
): App<M> {
  const { module, config, events: _, ...rest } = options;
  const exports = exportsOf(spec, module);
  const collection = machine.bpf.load(spec, { ...rest, ...(config ? { config: configOf(exports, config) } : {}) });
  const hint = module ? "" : "; its names are those in the object unless the module is given";
  try {
    const context = { bpf: machine.bpf, btf: spec.btf };
    const handles = build({ spec, collection, exports, context, options: options as AppOptions<object> });
    return {
      maps: strict("map", handles.maps, hint),
      events: strict("ring buffer", handles.events, hint),
      programs: strict("program", handles.programs, hint),
      globals: strict("variable", handles.globals, hint),
      collection,
      attach: (program, target) => machine.bpf.attach(program, target),
      close() {
        for (const stream of Object.values(handles.events)) stream.close();
        collection.close();
      },
    } as App<M>;
  } catch (error) {
    collection.close();
    throw error;
  }
}
