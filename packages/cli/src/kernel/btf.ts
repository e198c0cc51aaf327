/**
 * @module
 * `skep btf`: types that are in the kernel, in objects, and of maps.
 */
import { btfById, ids, kernelTypes, mapById, moduleTypes, programById } from "@skep/linux";
import { basename } from "node:path";
import {
  type BtfType,
  type BtfTypes,
  type BtfView,
  eachType,
  ObjectError,
  openBtf,
  printBtf,
  printC,
  printDts,
  readBtfSection,
  viewOf,
} from "@skep/object";
import { CliError, usageError } from "../errors.ts";
import { write } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { type Holder, holdersOf } from "./holders.ts";
import { readBytes, readSpec } from "./object-file.ts";
import { oneMap, oneProgram } from "./select.ts";
import type { Session } from "./session.ts";
import { needTypes, typesById, typesOfMap, typesOfProgram } from "./types.ts";
import type { Tree } from "./tree.ts";

// ---- list ----

/** Ids of the objects that use each BTF. */
function users(kind: "program" | "map"): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const id of ids(kind)) {
    const handle = kind === "program" ? programById(id) : mapById(id);
    if (handle === null) continue;
    const { btfId } = handle.info;
    handle.close();
    if (btfId !== 0) found.set(btfId, [...(found.get(btfId) ?? []), id]);
  }
  return found;
}

interface Listed {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  readonly isKernel: boolean;
  readonly programs: readonly number[];
  readonly maps: readonly number[];
  readonly holders: readonly Holder[];
}

function listed(wanted: readonly number[]): Listed[] {
  const holders = holdersOf("btf");
  const [programs, maps] = [users("program"), users("map")];
  return wanted.flatMap((id) => {
    const found = btfById(id);
    if (found === null) return [];
    const { name, size, isKernel } = found.info;
    return [
      {
        id,
        name,
        size,
        isKernel,
        programs: programs.get(id) ?? [],
        maps: maps.get(id) ?? [],
        holders: holders.get(id) ?? [],
      },
    ];
  });
}

/** `btf list|show [id N]`. */
export async function btfList(session: Session): Promise<void> {
  const { words } = session;
  const only = words.take("id") ? words.number("the id") : null;
  words.end("id N");
  const all = listed(only === null ? [...ids("btf")] : [only]);
  if (only !== null && all.length === 0) throw new CliError(`there is no BTF with id ${only}`);
  const trees = all.map((each): Tree => ({
    id: each.id,
    size: each.size,
    prog_ids: each.programs,
    map_ids: each.maps,
    kernel: each.isKernel,
    name: each.name === "" ? undefined : each.name,
    pids: each.holders.length === 0 ? undefined : each.holders.map(({ pid, comm }) => ({ pid, comm })),
  }));
  await session.print(only === null ? trees : (trees[0] ?? null), () =>
    formatTable(
      ["ID", "NAME", "SIZE", "PROGRAMS", "MAPS", "PROCESSES"],
      all.map((each) => [
        `${each.id}`,
        each.name === "" ? "<anon>" : each.name,
        `${each.size}`,
        each.programs.join(","),
        each.maps.join(","),
        each.holders.map(({ pid, comm }) => `${comm}(${pid})`).join(" "),
      ]),
    ),
  );
}

// ---- dump ----

interface Source {
  readonly types: BtfTypes | BtfView;
  /** Only these and what they need; null: all. */
  readonly roots: readonly number[] | null;
}

const BTF_MAGIC = 0xeb9f;

function ofObject(path: string, bytes: Uint8Array): BtfTypes | null {
  try {
    return readBtfSection(bytes);
  } catch (error) {
    if (error instanceof ObjectError) throw new CliError(`${path}: ${error.message}`, 1, { cause: error });
    throw error;
  }
}

/** Raw BTF (as in /sys/kernel/btf), an object, or a module that is compiled. */
export async function typesOfFile(path: string): Promise<BtfTypes | BtfView> {
  if (path.endsWith(".ts")) return (await readSpec(path)).btf ?? { types: [] };
  const bytes = readBytes(path);
  if ((((bytes[1] ?? 0) << 8) | (bytes[0] ?? 0)) === BTF_MAGIC) {
    if (path === "/sys/kernel/btf/vmlinux") return kernelTypes();
    return path.startsWith("/sys/kernel/btf/") ? moduleTypes(basename(path)) : openBtf(bytes);
  }
  const btf = ofObject(path, bytes);
  if (btf === null) throw new CliError(`${path} has no types (BTF)`);
  return btf;
}

function mapSource(session: Session): Source {
  const map = oneMap(session);
  const types = typesOfMap(map);
  if (types === null) throw new CliError(`map ${map.info.name || map.info.id} has no types (BTF)`);
  const { keyTypeId: key, valueTypeId: value } = types;
  const which = session.words;
  const roots = which.take("key")
    ? [key]
    : which.take("value")
      ? [value]
      : which.take("all")
        ? null
        : (which.take("kv"), [key, value]);
  return { types: types.types, roots: roots?.filter((id) => id !== 0) ?? null };
}

async function readSource(session: Session): Promise<Source> {
  const { words } = session;
  if (words.take("id")) {
    const id = words.number("the id");
    const types = typesById(id);
    if (types === null) throw new CliError(`there is no BTF with id ${id}`);
    return { types, roots: null };
  }
  if (words.take("prog")) {
    const program = oneProgram(session);
    return {
      types: needTypes(typesOfProgram(program), `program ${program.info.name || program.info.id}`),
      roots: null,
    };
  }
  if (words.take("map")) return mapSource(session);
  if (words.take("file")) return { types: await typesOfFile(words.next("a file")), roots: null };
  throw words.isEmpty
    ? usageError("which types? id N, prog PROG, map MAP, file FILE")
    : words.unexpected("id N", "prog PROG", "map MAP", "file FILE");
}

const formats = ["raw", "c", "dts"] as const;

/** `btf dump SOURCE [format raw|c|dts] [root_id N]...`. */
export async function btfDump(session: Session): Promise<void> {
  const { words } = session;
  const source = await readSource(session);
  let format: (typeof formats)[number] = "raw";
  const roots: number[] = [];
  while (!words.isEmpty) {
    if (words.take("format")) format = words.choice("format", formats);
    else if (words.take("root_id")) roots.push(words.number("a type's id"));
    else words.end("format raw|c|dts", "root_id N");
  }
  const wanted = roots.length > 0 ? roots : source.roots;
  const view = viewOf(source.types);
  const beyond = wanted?.find((id) => id < 1 || id >= view.end);
  if (beyond !== undefined) throw usageError(`there is no type ${beyond}: there are ${view.end - 1}`);
  if (format !== "raw") {
    if (session.isData) throw usageError(`${format === "c" ? "C" : "TypeScript"} is text: leave -o, -j and -p out`);
    const only = wanted === null ? {} : { types: wanted };
    return write(format === "c" ? printC(view, { ...only, header: true }) : printDts(view, only));
  }
  const shown = (id: number) => wanted === null || wanted.includes(id);
  if (session.isData) {
    const types = [...eachType(view)].filter(([id]) => shown(id)).map(([id, type]) => typeTree(id, type));
    return session.print({ types }, () => "");
  }
  const text = printBtf(view);
  if (wanted === null) return write(text);
  const blocks = text.split(/^(?=\[)/m).filter((block) => shown(Number(/^\[(\d+)/.exec(block)?.[1])));
  await write(blocks.join(""));
}

const ENCODINGS = { unsigned: "(none)", signed: "SIGNED", char: "CHAR", bool: "BOOL" } as const;
const nameOf = (name: string): string => (name === "" ? "(anon)" : name);

/** As `bpftool -j btf dump`. */
function typeTree(id: number, type: BtfType): Tree {
  const head = { id, kind: type.kind.toUpperCase(), name: nameOf("name" in type ? type.name : "") };
  switch (type.kind) {
    case "int":
      return {
        ...head,
        size: type.size,
        bits_offset: type.bitOffset,
        nr_bits: type.bits,
        encoding: ENCODINGS[type.encoding],
      };
    case "array":
      return { ...head, type_id: type.typeId, index_type_id: type.indexTypeId, nr_elems: type.length };
    case "struct":
    case "union":
      return {
        ...head,
        size: type.size,
        vlen: type.members.length,
        members: type.members.map((member) => ({
          name: nameOf(member.name),
          type_id: member.typeId,
          bits_offset: member.bitOffset,
          bitfield_size: member.bitSize === 0 ? undefined : member.bitSize,
        })),
      };
    case "enum":
    case "enum64":
      return {
        ...head,
        encoding: type.signed ? "SIGNED" : "UNSIGNED",
        size: type.size,
        vlen: type.values.length,
        values: type.values.map(({ name, value }) => ({ name, val: value })),
      };
    case "fwd":
      return { ...head, fwd_kind: type.isUnion ? "union" : "struct" };
    case "func":
    case "var":
      return { ...head, type_id: type.typeId, linkage: type.linkage };
    case "func_proto":
      return {
        ...head,
        ret_type_id: type.returnTypeId,
        vlen: type.params.length,
        params: type.params.map(({ name, typeId }) => ({ name: nameOf(name), type_id: typeId })),
      };
    case "datasec":
      return {
        ...head,
        size: type.size,
        vlen: type.variables.length,
        vars: type.variables.map(({ typeId, offset, size }) => ({ type_id: typeId, offset, size })),
      };
    case "float":
      return { ...head, size: type.size };
    case "decl_tag":
      return { ...head, type_id: type.typeId, component_idx: type.componentIndex };
    default:
      return { ...head, type_id: type.typeId };
  }
}
