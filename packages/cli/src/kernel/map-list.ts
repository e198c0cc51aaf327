import { programTypeName } from "@skep/isa";
import { fdInfo, type LinuxMap, memoryOf } from "@skep/linux";
import { formatTable } from "../output/table.ts";
import { type Around, around, aroundFields, bytesText, holdersText } from "./prog-list.ts";
import { selectMaps } from "./select.ts";
import type { Session } from "./session.ts";
import type { Tree } from "./tree.ts";

/** As `bpftool -j map show`. */
export function mapFields(map: LinuxMap, all: Around): { readonly [name: string]: Tree | undefined } {
  const { info } = map;
  const kernel = fdInfo(map.fd);
  const owner = kernel["owner_prog_type"];
  return {
    id: info.id,
    type: info.type,
    name: info.name === "" ? undefined : info.name,
    flags: info.flags,
    ifindex: info.interface === 0 ? undefined : info.interface,
    bytes_key: info.keySize,
    bytes_value: info.valueSize,
    max_entries: info.maxEntries,
    bytes_memlock: memoryOf(map.fd) ?? undefined,
    owner_prog_type: owner === undefined ? undefined : (programTypeName(owner) ?? `type_${owner}`),
    owner_jited: kernel["owner_jited"] === undefined ? undefined : kernel["owner_jited"] !== 0,
    frozen: kernel["frozen"] ?? 0,
    btf_id: info.btfId === 0 ? undefined : info.btfId,
    ...aroundFields(info.id, all),
  };
}

function listText(handles: readonly LinuxMap[], all: Around): string {
  const withPins = all.pins !== null;
  const header = ["ID", "TYPE", "NAME", "KEY", "VALUE", "ENTRIES", "FLAGS", "MEMORY", "FROZEN", "PROCESSES"];
  const rows = handles.map((map) => {
    const { info } = map;
    const kernel = fdInfo(map.fd);
    return [
      `${info.id}`,
      info.type,
      info.name,
      `${info.keySize}`,
      `${info.valueSize}`,
      `${info.maxEntries}`,
      `0x${info.flags.toString(16)}`,
      bytesText(kernel["memlock"] ?? 0),
      kernel["frozen"] ? "yes" : "",
      holdersText(info.id, all),
      ...(withPins ? [(all.pins?.get(info.id) ?? []).join("\n")] : []),
    ];
  });
  return formatTable([...header, ...(withPins ? ["PINNED"] : [])], rows);
}

/** `map list|show`. */
export async function mapList(session: Session): Promise<void> {
  const all = around(session, "map");
  const { handles, isOne } = selectMaps(session);
  const trees = handles.map((map) => mapFields(map, all));
  await session.print(isOne ? (trees[0] ?? null) : trees, () => listText(handles, all));
}
