/**
 * @module
 * `skep map lookup | update | delete | getnext | push | pop | peek | enqueue | dequeue | create | pin | freeze`.
 */
import { mapFlags, mapTypeNumber, mapTypes } from "@skep/isa";
import { isErrno, type LinuxMap } from "@skep/linux";
import type { MapSpec } from "@skep/object";
import { CliError, usageError } from "../errors.ts";
import { entryText, hexList } from "./map-dump.ts";
import { MapValues } from "./map-value.ts";
import { pinAt } from "./pin.ts";
import { hexBytes } from "./prog-dump.ts";
import { oneMap, oneProgram } from "./select.ts";
import type { Session } from "./session.ts";
import { toText } from "./tree.ts";

const modes = { any: "any", exist: "existing", noexist: "new" } as const;
const modeWords = Object.keys(modes) as (keyof typeof modes)[];

/** The key after the word `key`; for maps without keys it may be left out. */
function readKey(session: Session, values: MapValues, until: readonly string[]): Uint8Array {
  if (!session.words.take("key")) {
    if (values.map.info.keySize === 0) return new Uint8Array(0);
    throw session.words.isEmpty ? usageError("the key is missing: key DATA") : session.words.unexpected("key DATA");
  }
  return values.parseKey(session.words.until(until));
}

const keyText = (values: MapValues, key: Uint8Array): string =>
  values.types?.keyTypeId ? toText(values.key(key, "people")) : hexBytes(key);

/** `map lookup MAP key DATA`. */
export async function mapLookup(session: Session): Promise<number> {
  const values = new MapValues(oneMap(session));
  const key = readKey(session, values, []);
  const value = values.map.get(key);
  if (value === null) {
    await session.print(null, () => `key: ${keyText(values, key)}\nNot found\n`);
    return 1;
  }
  await session.print(values.entry(key, value), () => entryText(values, { key, value }));
  return 0;
}

/** `map getnext MAP [key DATA]`. */
export async function mapGetNext(session: Session): Promise<number> {
  const values = new MapValues(oneMap(session));
  const key = session.words.isEmpty ? null : readKey(session, values, []);
  const next = values.map.nextKey(key);
  if (next === null) throw new CliError(key === null ? "the map is empty" : "there is no further key");
  await session.print(
    { key: key === null ? null : hexList(key), next_key: hexList(next) },
    () => `key: ${key === null ? "none" : keyText(values, key)}\nnext key: ${keyText(values, next)}\n`,
  );
  return 0;
}

const holdsMaps = new Set(["array_of_maps", "hash_of_maps"]);

/** A map or a program as the value of maps that hold them. */
function referred(session: Session, { map }: MapValues): { readonly fd: number } | null {
  const isNamed = ["id", "name", "pinned", "tag"].includes(session.words.peek() ?? "");
  if (!isNamed) return null;
  if (holdsMaps.has(map.info.type)) return oneMap(session);
  return map.info.type === "prog_array" ? oneProgram(session) : null;
}

function put(values: MapValues, key: Uint8Array, what: () => void): void {
  try {
    what();
  } catch (error) {
    if (isErrno(error, "EEXIST"))
      throw new CliError(`the key ${keyText(values, key)} is there already`, 1, { cause: error });
    if (isErrno(error, "ENOENT"))
      throw new CliError(`the key ${keyText(values, key)} is not there`, 1, { cause: error });
    if (isErrno(error, "EPERM"))
      throw new CliError(`map ${values.map.info.name || values.map.info.id} is frozen or may only be read`, 1, {
        cause: error,
      });
    if (isErrno(error, "E2BIG"))
      throw new CliError(`the map is full, or the key is beyond its end`, 1, { cause: error });
    throw error;
  }
}

/** A data section takes only some of its variables: the others stay. */
function merged(values: MapValues, key: Uint8Array, words: readonly string[]): Uint8Array {
  const { types, map } = values;
  const value = values.parseValue(words);
  const type = types?.types.get(types.valueTypeId);
  if (type?.kind !== "datasec" || !types || !words.some((word) => word.includes("="))) return value;
  const before = map.get(key) ?? value;
  const names = new Set(words.map((word) => /^\w+/.exec(word)?.[0]));
  for (const each of type.variables) {
    const variable = types.types.get(each.typeId);
    const isNamed = variable?.kind === "var" && names.has(variable.name);
    if (isNamed) before.set(value.subarray(each.offset, each.offset + each.size), each.offset);
  }
  return before;
}

/** `map update MAP [key DATA] value VALUE [any|exist|noexist]`. */
export async function mapUpdate(session: Session): Promise<void> {
  const { words } = session;
  const values = new MapValues(oneMap(session));
  const { map } = values;
  const key = isSection(values) && words.peek() === "value" ? new Uint8Array(4) : readKey(session, values, ["value"]);
  if (!words.take("value")) throw usageError("the value is missing: value VALUE");
  const handle = referred(session, values);
  const bytes = handle === null ? merged(values, key, words.until(modeWords)) : null;
  const mode = words.isEmpty ? "any" : modes[words.choice("update flag", modeWords)];
  words.end(...modeWords);
  put(values, key, () => {
    if (handle !== null) map.setDescriptor(key, handle.fd, mode);
    else if (bytes !== null && map.info.keySize === 0) map.push(bytes);
    else if (bytes !== null) map.set(key, bytes, mode);
  });
  await session.done();
}

function isSection({ types }: MapValues): boolean {
  return types?.types.get(types.valueTypeId)?.kind === "datasec";
}

/** `map delete MAP key DATA`. */
export async function mapDelete(session: Session): Promise<void> {
  const values = new MapValues(oneMap(session));
  const key = readKey(session, values, []);
  let isGone = false;
  put(values, key, () => {
    isGone = values.map.delete(key);
  });
  if (!isGone) throw new CliError(`the key ${keyText(values, key)} is not there`);
  await session.done();
}

/** `map push|enqueue MAP value VALUE`. */
export async function mapPush(session: Session): Promise<void> {
  const values = new MapValues(oneMap(session));
  if (!session.words.take("value")) throw usageError("the value is missing: value VALUE");
  const value = values.parseValue(session.words.rest());
  put(values, new Uint8Array(0), () => values.map.push(value));
  await session.done();
}

function taken(read: (map: LinuxMap) => Uint8Array | null): (session: Session) => Promise<number> {
  return async (session) => {
    const values = new MapValues(oneMap(session));
    session.words.end();
    const value = read(values.map);
    if (value === null) {
      if (!session.isData) throw new CliError("the map is empty");
      await session.print(null, () => "");
      return 1;
    }
    await session.print({ key: [], value: hexList(value) }, () => entryText(values, { key: new Uint8Array(0), value }));
    return 0;
  };
}

/** `map peek MAP`. */
export const mapPeek = taken((map) => map.peek());
/** `map pop|dequeue MAP`. */
export const mapPop = taken((map) => map.take());

/** `map freeze MAP`. */
export async function mapFreeze(session: Session): Promise<void> {
  const map = oneMap(session);
  session.words.end();
  map.freeze();
  await session.done();
}

/** `map pin MAP PATH`. */
export async function mapPin(session: Session): Promise<void> {
  const map = oneMap(session);
  const path = session.words.next("a path");
  session.words.end();
  pinAt(session, map, path);
  await session.done();
}

/** A map of the same shape: the kernel takes it as a model of inner maps. */
function specOf({ info }: LinuxMap): MapSpec {
  const { name, type, keySize, valueSize, maxEntries, flags } = info;
  return { name, type, keySize, valueSize, maxEntries, flags, pinning: "none" };
}

function readSpec(session: Session): MapSpec {
  const { words } = session;
  const spec = { name: "", type: "", keySize: 0, valueSize: 0, maxEntries: 0, flags: 0, pinning: "none" as const };
  let inner: MapSpec | null = null;
  while (!words.isEmpty) {
    if (words.take("type")) {
      spec.type = words.next("a map type");
      if (mapTypeNumber(spec.type) === null)
        throw usageError(`"${spec.type}" is no map type: ${Object.keys(mapTypes).slice(1).join(", ")}`);
    } else if (words.take("key")) spec.keySize = words.number("the key's size");
    else if (words.take("value")) spec.valueSize = words.number("the value's size");
    else if (words.take("entries")) spec.maxEntries = words.number("how many entries");
    else if (words.take("name")) spec.name = words.next("a name");
    else if (words.take("flags")) spec.flags = readFlags(words.next("flags"));
    else if (words.take("inner_map")) inner = specOf(oneMap(session));
    else words.end("type TYPE", "key SIZE", "value SIZE", "entries N", "name NAME", "flags FLAGS", "inner_map MAP");
  }
  if (spec.type === "") throw usageError("the type is missing: type TYPE");
  return inner === null ? spec : { ...spec, inner };
}

/** A number, or names: `no_prealloc,mmapable`. */
function readFlags(text: string): number {
  if (/^(\d+|0x[\da-f]+)$/i.test(text)) return Number(text);
  return text.split(",").reduce((sum, name) => {
    const flag = (mapFlags as Readonly<Record<string, number>>)[name.toLowerCase().replace(/^bpf_f_/, "")];
    if (flag === undefined) throw usageError(`"${name}" is no flag: ${Object.keys(mapFlags).join(", ")}`);
    return sum | flag;
  }, 0);
}

/** `map create PATH type TYPE key SIZE value SIZE entries N name NAME [...]`. */
export async function mapCreate(session: Session): Promise<void> {
  const path = session.words.next("a path to pin it at");
  const map = session.keep(session.machine.bpf.createMap(readSpec(session)));
  pinAt(session, map, path);
  await session.done();
}
