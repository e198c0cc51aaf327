/**
 * @module
 * PROG, MAP and LINK as bpftool's users write them: `id 5`, `name count`, `tag 3b18…`, `pinned PATH`.
 */
import {
  ids,
  linkById,
  type LinuxLink,
  type LinuxMap,
  type LinuxProgram,
  mapById,
  PinKindError,
  programById,
} from "@skep/linux";
import { CliError, systemCode, usageError } from "../errors.ts";
import { fullName } from "./program-name.ts";
import type { Session } from "./session.ts";

interface Handle {
  close(): void;
}

interface Source<T extends Handle> {
  readonly what: string;
  readonly kind: "program" | "map" | "link";
  readonly open: (id: number) => T | null;
  readonly openPin: (session: Session, path: string) => T | null;
  /** What else than `id` and `pinned` finds it. */
  readonly keys: Readonly<Record<string, (handle: T, text: string) => boolean>>;
}

/** The kernel keeps fifteen bytes of a name; the rest of a program's is in its types. */
const NAME_BYTES = 15;

const programs: Source<LinuxProgram> = {
  what: "program",
  kind: "program",
  open: programById,
  openPin: (session, path) => session.machine.bpf.openProgram(path),
  keys: {
    tag: (program, text) => program.info.tag === text.toLowerCase(),
    name: (program, text) =>
      program.info.name === text.slice(0, NAME_BYTES) && (text.length < NAME_BYTES || fullName(program) === text),
  },
};

const maps: Source<LinuxMap> = {
  what: "map",
  kind: "map",
  open: mapById,
  openPin: (session, path) => session.machine.bpf.openMap(path),
  keys: { name: (map, text) => map.info.name === text.slice(0, NAME_BYTES) },
};

const links: Source<LinuxLink> = {
  what: "link",
  kind: "link",
  open: linkById,
  openPin: (session, path) => session.machine.bpf.openLink(path),
  keys: {},
};

function byPin<T extends Handle>(session: Session, source: Source<T>, path: string): T {
  try {
    const found = source.openPin(session, path);
    if (found !== null) return session.keep(found);
  } catch (error) {
    if (error instanceof PinKindError) throw new CliError(error.message, 1, { cause: error });
    if (systemCode(error) === "EACCES") throw new CliError(`${path} may not be opened`, 1, { cause: error });
    // Another file system than BPF's (bpf_obj_do_get, kernel/bpf/inode.c).
    if (systemCode(error) === "EINVAL") throw new CliError(`nothing of BPF is pinned at ${path}`, 1, { cause: error });
    throw error;
  }
  throw new CliError(`nothing is pinned at ${path}`);
}

/** Every object of a kind; each is closed again unless `wanted`. */
function every<T extends Handle>(session: Session, source: Source<T>, wanted: (handle: T) => boolean): T[] {
  const found: T[] = [];
  for (const id of ids(source.kind)) {
    const handle = source.open(id);
    if (handle === null) continue;
    if (wanted(handle)) found.push(session.keep(handle));
    else handle.close();
  }
  return found;
}

/** All that the words name; null where they name none. */
function named<T extends Handle>(session: Session, source: Source<T>): T[] | null {
  const { words } = session;
  if (words.take("id")) {
    const id = words.number(`the ${source.what}'s id`);
    const handle = source.open(id);
    if (handle === null) throw new CliError(`there is no ${source.what} with id ${id}`);
    return [session.keep(handle)];
  }
  if (words.take("pinned")) return [byPin(session, source, words.next("a path"))];
  for (const [keyword, matches] of Object.entries(source.keys)) {
    if (!words.take(keyword)) continue;
    const text = words.next(`the ${source.what}'s ${keyword}`);
    if (keyword === "tag" && !/^[\da-f]{16}$/i.test(text))
      throw usageError(`"${text}" is no tag: it has sixteen hexadecimal digits`);
    const found = every(session, source, (handle) => matches(handle, text));
    if (found.length === 0) throw new CliError(`there is no ${source.what} with ${keyword} ${text}`);
    return found;
  }
  return null;
}

function howTo<T extends Handle>(source: Source<T>): string[] {
  return ["id", ...Object.keys(source.keys), "pinned"].map(
    (key) => `${key} ${key === "pinned" ? "PATH" : key.toUpperCase()}`,
  );
}

/** What a list shows: what the words name, or everything. */
function selection<T extends Handle>(session: Session, source: Source<T>): { handles: T[]; isOne: boolean } {
  if (session.words.isEmpty) return { handles: every(session, source, () => true), isOne: false };
  const found = named(session, source);
  if (found === null) throw session.words.unexpected(...howTo(source));
  session.words.end();
  return { handles: found, isOne: found.length === 1 };
}

/** Exactly one. */
function one<T extends Handle & { readonly info: { readonly id: number } }>(session: Session, source: Source<T>): T {
  if (session.words.isEmpty) throw usageError(`which ${source.what}? ${howTo(source).join(", ")}`);
  const found = named(session, source);
  if (found === null) throw session.words.unexpected(...howTo(source));
  const [first, ...others] = found;
  if (first === undefined) throw new CliError(`there is no such ${source.what}`);
  if (others.length > 0)
    throw usageError(
      `${found.length} ${source.what}s match: choose one by its id (${found.map(({ info }) => info.id).join(", ")})`,
    );
  return first;
}

export const selectPrograms = (session: Session): { handles: LinuxProgram[]; isOne: boolean } =>
  selection(session, programs);
export const selectMaps = (session: Session): { handles: LinuxMap[]; isOne: boolean } => selection(session, maps);
export const selectLinks = (session: Session): { handles: LinuxLink[]; isOne: boolean } => selection(session, links);
export const oneProgram = (session: Session): LinuxProgram => one(session, programs);
export const oneMap = (session: Session): LinuxMap => one(session, maps);
export const oneLink = (session: Session): LinuxLink => one(session, links);
/** Null where the words name no map. */
export const maybeMaps = (session: Session): LinuxMap[] | null => named(session, maps);
