// load PINS FILE [OUT], whole PINS FILE, link OUT FILE...: does with Skep what loader.c does with libbpf, and prints the same lines; what was
// read of the object is written to OUT.
import { readFileSync, writeFileSync } from "node:fs";
import { mapTypes, programTypeNumber } from "@skep/isa";
import { openLinux, programCode, type LinuxCollection, type LinuxMap, type LinuxProgram } from "@skep/linux";
import { linkObjects, readObject, writeObject, type MapSpec, type ObjectSpec } from "@skep/object";

const { bpf } = openLinux();

function print(...fields: readonly (string | number | bigint)[]): void {
  process.stdout.write(`${fields.join("\t")}\n`);
}

/** The number of the kernel's refusal, or null where it was not asked. */
function errnoOf(error: unknown): number | null {
  for (let at = error; at instanceof Error; at = at.cause) if ("errno" in at) return Number(at.errno);
  return null;
}

/** What failed goes to stderr in one line. */
function outcome(error: unknown): [number, string] {
  if (!(error instanceof Error)) throw error;
  process.stderr.write(`${error.name}: ${error.message.split("\n", 1)[0]}\n`);
  const errno = errnoOf(error);
  return errno === null ? [-1, "library"] : [errno, "kernel"];
}

/** FNV-1a. */
function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

function printProgram(name: string, program: LinuxProgram): void {
  const { info } = program;
  const code = programCode(program);
  print(
    ...["program", name, programTypeNumber(info.type) ?? -1, info.tag, info.translatedSize, info.mapIds.length],
    ...[code.functions.length, code.lines.length, info.attachBtfId, Number(info.gplCompatible)],
  );
}

function printMap(spec: MapSpec, map: LinuxMap): void {
  const { info } = map;
  const isData = info.type === "array" && spec.name.startsWith(".");
  const contents = isData ? map.get(new Uint8Array(4)) : null;
  print(
    ...["map", spec.name, mapTypes[info.type as keyof typeof mapTypes], info.keySize, info.valueSize],
    ...[info.maxEntries, info.flags, info.mapExtra, Number(info.keyTypeId !== 0), Number(info.valueTypeId !== 0)],
    (contents ? hash(contents) : 0).toString(16),
  );
}

function load(spec: ObjectSpec, pins: string, programs?: readonly string[]): LinuxCollection {
  return bpf.load(spec, { pins, ...(programs ? { programs } : {}) });
}

function loadWhole(file: string, pins: string): ObjectSpec | null {
  let spec: ObjectSpec;
  try {
    spec = readObject(readFileSync(file));
  } catch (error) {
    print("open", outcome(error)[0]);
    return null;
  }
  print("open", 0);
  try {
    const loaded = load(spec, pins);
    print("load", 0, "library");
    for (const [name, program] of Object.entries(loaded.programs)) printProgram(name, program);
    for (const [name, map] of Object.entries(loaded.maps)) printMap({ ...spec.maps[name], name } as MapSpec, map);
    loaded.close();
  } catch (error) {
    print("load", ...outcome(error));
  }
  return spec;
}

function loadSingle(spec: ObjectSpec, pins: string, name: string): void {
  try {
    load(spec, pins, [name]).close();
    print("single", name, 0, "library");
  } catch (error) {
    print("single", name, ...outcome(error));
  }
}

const [mode = "", place = "", ...files] = process.argv.slice(2);
const [file = "", copy] = files;
if (mode === "link")
  writeFileSync(place, writeObject(linkObjects(files.map((each) => readObject(readFileSync(each))))));
else {
  const spec = loadWhole(file, place);
  if (spec && copy !== undefined) writeFileSync(copy, writeObject(spec));
  if (spec && mode === "load") for (const name of Object.keys(spec.programs)) loadSingle(spec, place, name);
}
