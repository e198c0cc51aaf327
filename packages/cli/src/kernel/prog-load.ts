import { basename, join } from "node:path";
import { programTypeOfSection } from "@skep/isa";
import { type LinuxCollection, type LinuxMap, type LinuxProgram, VerifierError } from "@skep/linux";
import type { MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";
import { CliError, usageError } from "../errors.ts";
import { interfaceOf } from "./interfaces.ts";
import { objectName, readSpec } from "./object-file.ts";
import { writeBytesTo } from "./prog-dump.ts";
import { pinAt } from "./pin.ts";
import { oneMap, oneProgram } from "./select.ts";
import type { Session } from "./session.ts";

interface LoadWords {
  readonly object: string;
  readonly path: string;
  readonly type: string | null;
  /** By the object's index or name of the map. */
  readonly maps: readonly { readonly which: number | string; readonly map: LinuxMap }[];
  readonly pinmaps: string | null;
  readonly device: string | null;
  /** Where the verifier's log of what it refuses goes. */
  readonly log: string | null;
  readonly autoattach: boolean;
}

function readWords(session: Session, what: string, canAttach: boolean): LoadWords {
  const { words } = session;
  const found = {
    object: words.next("an object"),
    path: words.next(what),
    type: null as string | null,
    maps: [] as { which: number | string; map: LinuxMap }[],
    pinmaps: null as string | null,
    device: null as string | null,
    log: null as string | null,
    autoattach: false,
  };
  while (!words.isEmpty) {
    if (words.take("type")) found.type = words.next("a program type");
    else if (words.take("log")) found.log = words.next("a file for the verifier's log");
    else if (words.take("pinmaps")) found.pinmaps = words.next("a folder");
    else if (words.take("xdpmeta_dev", "dev")) found.device = words.next("an interface");
    else if (canAttach && words.take("autoattach")) found.autoattach = true;
    else if (words.take("map")) {
      const which = words.take("idx") ? words.number("the map's index") : mapName(session);
      found.maps.push({ which, map: oneMap(session) });
    } else words.end("type TYPE", "map idx N MAP", "map name S MAP", "pinmaps DIR", "log FILE", "xdpmeta_dev NAME");
  }
  return found;
}

function mapName(session: Session): string {
  if (!session.words.take("name")) throw session.words.unexpected("idx N", "name S");
  return session.words.next("the map's name");
}

/** The object's maps in their order, those of data last, as libbpf counts them. */
function mapOrder(spec: ObjectSpec): MapSpec[] {
  const all = Object.values(spec.maps);
  return [...all.filter((map) => map.data === undefined), ...all.filter((map) => map.data !== undefined)];
}

function replacements(spec: ObjectSpec, wanted: LoadWords["maps"]): Record<string, LinuxMap> {
  const order = mapOrder(spec);
  return Object.fromEntries(
    wanted.map(({ which, map }) => {
      const found = typeof which === "number" ? order[which] : order.find(({ name }) => name === which);
      if (!found)
        throw usageError(`the object has no map ${which}: it has ${order.map(({ name }) => name).join(", ")}`);
      return [found.name, map];
    }),
  );
}

function retyped(spec: ObjectSpec, type: string | null): ObjectSpec {
  if (type === null) return spec;
  const meaning = programTypeOfSection(type);
  if (meaning === null) throw usageError(`"${type}" is no program type (see skep prog load --help)`);
  const change = (program: ProgramSpec): ProgramSpec => {
    const { attachType: _, attachTo: __, ...rest } = program;
    return {
      ...rest,
      type: meaning.type,
      flags: meaning.flags,
      ...(meaning.attachType === null ? {} : { attachType: meaning.attachType }),
      ...(meaning.attachTo === null ? {} : { attachTo: meaning.attachTo }),
    };
  };
  const programs = Object.entries(spec.programs).map(([name, program]) => [name, change(program)] as const);
  return { ...spec, programs: Object.fromEntries(programs) };
}

/** Names on a BPF file system have no dots; data sections take the object's name, as with libbpf. */
function pinName(map: MapSpec, object: string): string {
  const name = map.data !== undefined && map.name.startsWith(".") ? `${object}${map.name}` : map.name;
  return name.replaceAll(".", "_");
}

/** Where libbpf pins maps that ask for it. */
const BY_NAME = "/sys/fs/bpf";

function load(session: Session, spec: ObjectSpec, words: LoadWords, programs: readonly string[]): LinuxCollection {
  const { bpf } = session.machine;
  const hasPinned = Object.values(spec.maps).some(({ pinning }) => pinning === "by-name");
  if (hasPinned) bpf.preparePins(BY_NAME);
  const device = words.device === null ? null : interfaceOf(words.device).index;
  const maps = replacements(spec, words.maps);
  try {
    return session.keep(
      bpf.load(spec, {
        programs,
        maps,
        ...(hasPinned ? { pins: BY_NAME } : {}),
        ...(device === null ? {} : { interface: device }),
      }),
    );
  } catch (error) {
    if (error instanceof VerifierError && words.log !== null)
      writeBytesTo(words.log, new TextEncoder().encode(error.log));
    throw error;
  }
}

/** Pins one after the other; what was pinned is taken off again where a later one fails. */
class Pins {
  readonly #session: Session;
  readonly #made: string[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  put(handle: { pin(path: string): void }, path: string): void {
    pinAt(this.#session, handle, path);
    this.#made.push(path);
  }

  undo(): void {
    for (const path of this.#made) this.#session.machine.bpf.unpin(path);
  }
}

function withPins(session: Session, run: (pins: Pins) => void): void {
  const pins = new Pins(session);
  try {
    run(pins);
  } catch (error) {
    pins.undo();
    throw error;
  }
}

function pinMaps(pins: Pins, spec: ObjectSpec, collection: LinuxCollection, words: LoadWords): void {
  if (words.pinmaps === null) return;
  const object = objectName(words.object);
  for (const map of Object.values(spec.maps)) {
    const handle = collection.maps[map.name];
    if (handle) pins.put(handle, join(words.pinmaps, pinName(map, object)));
  }
}

/** `prog load OBJECT PATH [...]`: the first program. */
export async function progLoad(session: Session): Promise<void> {
  const words = readWords(session, "a path to pin it at", false);
  const spec = retyped(await readSpec(words.object), words.type);
  const [first] = Object.keys(spec.programs);
  if (first === undefined) throw new CliError(`${words.object} has no program`);
  const collection = load(session, spec, words, [first]);
  const program = collection.programs[first];
  if (!program) throw new CliError(`${words.object}: ${first} was not loaded`);
  withPins(session, (pins) => {
    pins.put(program, words.path);
    pinMaps(pins, spec, collection, words);
  });
  await session.done();
}

function pinOrAttach(session: Session, pins: Pins, program: LinuxProgram, words: LoadWords): void {
  const path = join(words.path, basename(program.name));
  const link = words.autoattach ? session.machine.bpf.attachAuto(program) : null;
  pins.put(link === null ? program : session.keep(link), path);
}

/** `prog loadall OBJECT DIR [...]`: every program. */
export async function progLoadAll(session: Session): Promise<void> {
  const words = readWords(session, "a folder to pin them in", true);
  const spec = retyped(await readSpec(words.object), words.type);
  const names = Object.values(spec.programs).flatMap((each) => (each.autoload === false ? [] : [each.name]));
  if (names.length === 0) throw new CliError(`${words.object} has no program`);
  const collection = load(session, spec, words, names);
  withPins(session, (pins) => {
    for (const program of Object.values(collection.programs)) pinOrAttach(session, pins, program, words);
    pinMaps(pins, spec, collection, words);
  });
  await session.done();
}

/** `prog pin PROG PATH`. */
export async function progPin(session: Session): Promise<void> {
  const program = oneProgram(session);
  const path = session.words.next("a path");
  session.words.end();
  withPins(session, (pins) => pins.put(program, path));
  await session.done();
}
