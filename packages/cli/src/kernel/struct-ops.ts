/**
 * @module
 * `skep struct-ops`: kernel structs whose functions are programs.
 */
import { join } from "node:path";
import { ids, kernelTypes, type LinuxMap, mapById, mapInfoBytes, programById } from "@skep/linux";
import { findByName } from "@skep/object";
import { CliError, usageError } from "../errors.ts";
import { note } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { readSpec } from "./object-file.ts";
import { fullName } from "./program-name.ts";
import { functionType } from "./proto.ts";
import { pinAt } from "./pin.ts";
import type { Session } from "./session.ts";
import { toText, type Tree } from "./tree.ts";
import { typesOfMap } from "./types.ts";
import { readerOf, type Style } from "./values/decode.ts";

const WRAPPER = "bpf_struct_ops_";

/** The kernel's struct, such as tcp_congestion_ops. */
function structOf(map: LinuxMap): string {
  const types = typesOfMap(map);
  const type = types?.types.get(types.valueTypeId);
  return type?.kind === "struct" ? type.name.replace(WRAPPER, "") : "";
}

/** All struct_ops maps, or those that the words name. */
function selected(session: Session): { readonly maps: LinuxMap[]; readonly isOne: boolean } {
  const { words } = session;
  const id = words.take("id") ? words.number("the map's id") : null;
  const name = id === null && words.take("name") ? words.next("the map's name") : null;
  words.end("id N", "name S");
  const maps: LinuxMap[] = [];
  for (const each of ids("map")) {
    if (id !== null && each !== id) continue;
    const map = mapById(each);
    if (map?.info.type === "struct_ops" && (name === null || map.info.name === name.slice(0, 15)))
      maps.push(session.keep(map));
    else map?.close();
  }
  if (maps.length === 0 && (id !== null || name !== null))
    throw new CliError(`there is no struct_ops ${id === null ? `with name ${name}` : `with id ${id}`}`);
  return { maps, isOne: id !== null };
}

const fields = (map: LinuxMap): Tree => ({ id: map.info.id, name: map.info.name, kernel_struct_ops: structOf(map) });

/** `struct-ops list|show [id N | name S]`. */
export async function structOpsList(session: Session): Promise<void> {
  const { maps, isOne } = selected(session);
  const trees = maps.map(fields);
  await session.print(isOne ? (trees[0] ?? null) : trees, () =>
    formatTable(
      ["ID", "NAME", "STRUCT", "STATE"],
      maps.map((map) => [`${map.info.id}`, map.info.name, structOf(map), stateOf(map)]),
    ),
  );
}

/** The value by its type in the kernel; null where it has not been set. */
function valueOf(map: LinuxMap, style: Style): Tree {
  const types = typesOfMap(map);
  const value = map.get(new Uint8Array(4));
  if (types === null || value === null) return null;
  const functionPointer = (protoId: number, id: bigint): Tree => {
    const name = id === 0n ? null : programName(Number(id));
    if (style === "people") return id === 0n ? null : `${name ?? ""}(${id})`;
    return `${functionType(types.types, protoId) ?? ""} ${id === 0n ? "0" : `${name ?? ""}/prog_id:${id}`}`;
  };
  const read = readerOf(types.types, types.valueTypeId, { style, functionPointer });
  return read(new DataView(value.buffer, value.byteOffset), 0);
}

/** The kernel holds numbers of programs where functions stand. */
function programName(id: number): string | null {
  const program = programById(id);
  const name = program && fullName(program);
  program?.close();
  return name;
}

function memberOf(tree: Tree, name: string): Tree | undefined {
  if (tree === null || typeof tree !== "object" || !("entries" in tree) || typeof tree.entries === "function")
    return undefined;
  const entries = tree.entries as readonly (readonly [string, Tree])[];
  return entries.find(([each]) => each === name)?.[1];
}

/** Kernels since 6.9 keep refcount and state in a struct of their own. */
function stateOf(map: LinuxMap): string {
  const value = valueOf(map, "people");
  const state = memberOf(value, "state") ?? memberOf(memberOf(value, "common") ?? null, "state");
  return typeof state === "string" ? state.replace("BPF_STRUCT_OPS_STATE_", "").toLowerCase() : "";
}

/** The map's own information by the kernel's type of it, as bpftool prints it. */
function infoTree(map: LinuxMap): Tree {
  const type = findByName(kernelTypes(), "bpf_map_info", "struct");
  if (type === null) return null;
  // A kernel may know more than it was asked for.
  const bytes = new Uint8Array(Math.max(type.type.size, 128));
  bytes.set(mapInfoBytes(map));
  return readerOf(kernelTypes(), type.id, "bpftool")(new DataView(bytes.buffer), 0);
}

/** `struct-ops dump [id N | name S]`. */
export async function structOpsDump(session: Session): Promise<void> {
  const { maps } = selected(session);
  // Two values for each map, as bpftool has them.
  const trees = maps.flatMap((map): Tree[] => [
    { bpf_map_info: infoTree(map) },
    { [`${WRAPPER}${structOf(map)}`]: valueOf(map, "bpftool") },
  ]);
  await session.print(trees, () =>
    maps.map((map) => `${map.info.id} ${map.info.name}: ${structOf(map)} ${toText(valueOf(map, "people"))}\n`).join(""),
  );
}

/** `struct-ops register OBJECT [DIR]`: structs of `.struct_ops.link` stay as long as their links, which are pinned in DIR. */
export async function structOpsRegister(session: Session): Promise<void> {
  const { words } = session;
  const object = words.next("an object");
  const folder = words.isEmpty ? null : words.next("a folder for links");
  words.end();
  const spec = await readSpec(object);
  const wanted = Object.values(spec.maps).filter(({ structOps }) => structOps !== undefined);
  if (wanted.length === 0) throw new CliError(`${object} has no struct_ops (section .struct_ops)`);
  const needsFolder = wanted.filter(({ structOps }) => structOps?.section.endsWith(".link"));
  if (needsFolder.length > 0 && folder === null)
    throw usageError(
      `${needsFolder.map(({ name }) => name).join(", ")} is registered by a link, which ends with this command: name a folder to pin it in`,
    );
  const { bpf } = session.machine;
  const collection = session.keep(bpf.load(spec));
  const done: { readonly map: LinuxMap; readonly pin: string | null }[] = [];
  for (const { name, structOps } of wanted) {
    const map = collection.maps[name];
    if (!map) continue;
    const pin =
      structOps?.section.endsWith(".link") && folder !== null ? join(folder, name.replaceAll(".", "_")) : null;
    // Without a link it stays when the command ends: nothing is closed.
    const link = bpf.attachStructOps(map);
    if (pin !== null) pinAt(session, session.keep(link), pin);
    done.push({ map, pin });
  }
  await session.print(
    done.map(({ map }) => fields(map)),
    () =>
      done
        .map(
          ({ map, pin }) =>
            `Registered ${structOf(map)} ${map.info.name} id ${map.info.id}${pin === null ? "" : `, link pinned at ${pin}`}\n`,
        )
        .join(""),
  );
}

/** `struct-ops unregister id N | name S`. */
export async function structOpsUnregister(session: Session): Promise<void> {
  if (session.words.isEmpty) throw usageError("which one? id N, name S");
  const { maps } = selected(session);
  for (const map of maps) {
    if (stateOf(map) === "ready" || (map.info.flags & LINK) !== 0)
      throw new CliError(`${map.info.name} is registered by a link: detach that (skep link list)`);
    const isGone = map.delete(new Uint8Array(4));
    if (!isGone) throw new CliError(`${map.info.name} is not registered`);
    if (!session.isData) note(`unregistered ${structOf(map)} ${map.info.name} id ${map.info.id}`);
  }
  await session.print(maps.map(fields), () => "");
}

/** BPF_F_LINK. */
const LINK = 1 << 13;
