import { type LinuxMap, mapById, programById, SyscallError } from "@skep/linux";
import { note } from "../output/print.ts";
import { hexBytes } from "./prog-dump.ts";
import { MapValues } from "./map-value.ts";
import { selectMaps } from "./select.ts";
import type { Session } from "./session.ts";
import { HexBytes, toText, type Tree } from "./tree.ts";

/** Types whose entries cannot be gone through without taking them out. */
const withoutKeys = new Set(["queue", "stack", "ringbuf", "user_ringbuf", "bloom_filter", "arena"]);
/** Types whose values user space cannot read, or not all of them. */
const withErrors = new Set([
  "sockmap",
  "sockhash",
  "perf_event_array",
  "cgroup_array",
  "xskmap",
  "reuseport_sockarray",
  "prog_array",
  "array_of_maps",
  "hash_of_maps",
  "struct_ops",
]);

export interface Entry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
  /** Why there is no value. */
  readonly error?: string;
}

/** Every entry; where the kernel refuses to give a value, why. */
export function* entriesOf(map: LinuxMap): Generator<Entry> {
  if (withoutKeys.has(map.info.type)) return;
  if (!withErrors.has(map.info.type)) {
    for (const [key, value] of map.entries()) yield { key, value };
    return;
  }
  for (const key of map.keys()) {
    try {
      const value = map.get(key);
      if (value !== null) yield { key, value };
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      yield { key, value: null, error: error.code };
    }
  }
}

export const hexList = (bytes: Uint8Array): HexBytes => new HexBytes(bytes);

export function entryTree(values: MapValues, { key, value, error }: Entry): Tree {
  return value === null ? { key: hexList(key), value: { error: error ?? "" } } : values.entry(key, value);
}

const u32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** What a value that is an id stands for. */
function referred(map: LinuxMap, value: Uint8Array): string | null {
  const { type } = map.info;
  const isMaps = type === "array_of_maps" || type === "hash_of_maps";
  if (!isMaps && type !== "prog_array") return null;
  const id = u32(value);
  const handle = isMaps ? mapById(id) : programById(id);
  const name = handle?.info.name ?? "";
  handle?.close();
  return `${isMaps ? "map" : "program"} ${id}${name === "" ? "" : ` ${name}`}`;
}

function valueText(values: MapValues, value: Uint8Array): string {
  if (values.isPerCpu) {
    const each = values.split(value);
    const lines = each.map(
      (one, cpu) => `\n  cpu ${cpu}: ${values.types ? toText(values.value(one, "people"), 1) : hexBytes(one)}`,
    );
    return lines.join("");
  }
  const id = referred(values.map, value);
  if (id !== null) return ` ${id}`;
  if (!values.types) return ` ${hexBytes(value)}`;
  return ` ${toText(values.value(value, "people"))}`;
}

/** One entry for people. */
export function entryText(values: MapValues, { key, value, error }: Entry): string {
  const isTyped = Boolean(values.types?.keyTypeId);
  const keyText = key.length === 0 ? "" : `key: ${isTyped ? toText(values.key(key, "people")) : hexBytes(key)}`;
  const text = value === null ? ` (${error})` : valueText(values, value);
  const isShort = !keyText.includes("\n") && !text.includes("\n") && keyText.length + text.length < 100;
  if (keyText === "") return `value:${text}\n`;
  return `${keyText}${isShort ? "  " : "\n"}value:${text}\n`;
}

/** Variables of a data section, one a line. */
function sectionText(values: MapValues, entries: readonly Entry[]): string | null {
  const { types } = values;
  const type = types ? types.types.get(types.valueTypeId) : null;
  if (type?.kind !== "datasec") return null;
  return entries
    .flatMap(({ value }) => {
      const tree = value === null ? null : values.value(value, "people");
      const [first] = tree === null ? [] : variablesIn(tree);
      return (first ?? []).map(([name, each]) => `${name} = ${toText(each)}\n`);
    })
    .join("");
}

/** `{ ".bss": [{ a: 1 }, { b: 2 }] }` as pairs. */
function variablesIn(tree: Tree): (readonly (readonly [string, Tree])[])[] {
  if (tree === null || typeof tree !== "object" || !("entries" in tree) || typeof tree.entries === "function")
    return [];
  const sections = tree.entries as readonly (readonly [string, Tree])[];
  return sections.map(([, list]) =>
    (list as readonly Tree[]).flatMap((each) => (each as { entries: readonly (readonly [string, Tree])[] }).entries),
  );
}

function dumpText(values: MapValues, entries: readonly Entry[]): string {
  const section = sectionText(values, entries);
  if (section !== null) return section;
  const count = entries.filter(({ value }) => value !== null).length;
  return `${entries.map((each) => entryText(values, each)).join("")}Found ${count} ${count === 1 ? "element" : "elements"}\n`;
}

/** `map dump MAP`. */
export async function mapDump(session: Session): Promise<void> {
  const { handles } = selectMaps(session);
  const dumps = handles.map((map) => {
    const values = new MapValues(map);
    return { map, values, entries: [...entriesOf(map)] };
  });
  for (const { map } of dumps) {
    if (withoutKeys.has(map.info.type) && !session.isData)
      note(`a ${map.info.type} has no keys: its values cannot be read without taking them out (map peek, map pop)`);
  }
  const trees = dumps.map(({ map, values, entries }) => ({
    map,
    elements: entries.map((each) => entryTree(values, each)),
  }));
  const [only] = trees;
  const tree =
    trees.length === 1
      ? (only?.elements ?? [])
      : trees.map(({ map, elements }) => ({ id: map.info.id, name: map.info.name, elements }));
  await session.print(tree, () =>
    dumps
      .map(({ map, values, entries }) => {
        const head = dumps.length === 1 ? "" : `${map.info.id} ${map.info.name}:\n`;
        return `${head}${dumpText(values, entries)}`;
      })
      .join("\n"),
  );
}
