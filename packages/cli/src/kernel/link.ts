/**
 * @module
 * `skep link`: attachments that are objects of their own.
 */
import { type KernelLinkInfo, type LinuxLink, netlink, programById } from "@skep/linux";
import { formatTable } from "../output/table.ts";
import { type Around, around, aroundFields, holdersText } from "./prog-list.ts";
import { pinAt } from "./pin.ts";
import { oneLink, oneProgram, selectLinks } from "./select.ts";
import type { Session } from "./session.ts";
import { plainText, type Tree } from "./tree.ts";
import { withNetlink } from "./interfaces.ts";
import { usageError } from "../errors.ts";

/** An interface's name here; null where it lives in another namespace. */
function interfaceName(index: number | undefined): string | null {
  if (index === undefined || index === 0) return null;
  return withNetlink((socket) => netlink.findLink(socket, index)?.name ?? null);
}

const families: Readonly<Record<number, string>> = { 1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6" };
const hooks = ["prerouting", "input", "forward", "output", "postrouting"] as const;

function programType(info: KernelLinkInfo): string | undefined {
  const program = programById(info.programId);
  const type = program?.info.type;
  program?.close();
  return type;
}

type Fields = { readonly [name: string]: Tree | undefined };

/** Fields of one kind of link, in the order and the names of bpftool. */
function details(info: KernelLinkInfo): Fields {
  const cookie = info.cookie === undefined || info.cookie === 0n ? {} : { cookie: info.cookie };
  const device = { devname: interfaceName(info.interface) ?? undefined, ifindex: info.interface };
  switch (info.type) {
    case "raw_tracepoint":
      return { tp_name: info.target, ...cookie };
    case "tracing":
      return {
        prog_type: programType(info),
        attach_type: info.attachType,
        target_obj_id: info.btfObjectId,
        target_btf_id: info.btfId,
        ...cookie,
      };
    case "cgroup":
      return { cgroup_id: info.cgroupId, attach_type: info.attachType };
    case "netns":
      return { netns_ino: info.namespaceInode, attach_type: info.attachType };
    case "iter":
      return { target_name: info.target, map_id: info.mapId };
    case "tcx":
    case "netkit":
      return { ...device, attach_type: info.attachType };
    case "xdp":
      return device;
    case "sockmap":
      return { map_id: info.mapId, attach_type: info.attachType };
    case "struct_ops":
      return { map_id: info.mapId };
    case "netfilter":
      return {
        pf: families[info.netfilter?.family ?? 0] ?? `${info.netfilter?.family}`,
        hook: hooks[info.netfilter?.hook ?? -1] ?? `${info.netfilter?.hook}`,
        prio: info.netfilter?.priority,
        flags: info.netfilter?.flags,
      };
    case "kprobe_multi":
      return { retprobe: info.isReturn, func_cnt: info.count, missed: info.missed };
    case "uprobe_multi":
      return { retprobe: info.isReturn, path: info.target, func_cnt: info.count, pid: info.pid };
    default:
      return { ...eventDetails(info), ...cookie };
  }
}

function eventDetails(info: KernelLinkInfo): Fields {
  const retprobe = info.event?.includes("ret");
  switch (info.event) {
    case "uprobe":
    case "uretprobe":
      return { retprobe, file: info.target, offset: info.offset };
    case "kprobe":
    case "kretprobe":
      return { retprobe, addr: info.address, func: info.target, offset: info.offset, missed: info.missed };
    case "tracepoint":
      return { tracepoint: info.target };
    case "event":
      return { event_type: info.eventType, event_config: info.eventConfig };
    default:
      return {};
  }
}

/** As `bpftool -j link show`. */
export function linkFields(link: LinuxLink, all: Around): Fields {
  const { info } = link;
  return {
    id: info.id,
    type: info.type,
    prog_id: info.type === "struct_ops" ? undefined : info.programId,
    ...details(info),
    ...aroundFields(info.id, all),
  };
}

function where(info: KernelLinkInfo): string {
  return Object.entries(details(info))
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([name, value]) => `${name}=${plainText(value ?? null)}`)
    .join(" ");
}

function listText(handles: readonly LinuxLink[], all: Around): string {
  const withPins = all.pins !== null;
  const rows = handles.map(({ info }) => [
    `${info.id}`,
    info.type,
    info.programId === 0 ? "" : `${info.programId}`,
    where(info),
    holdersText(info.id, all),
    ...(withPins ? [(all.pins?.get(info.id) ?? []).join("\n")] : []),
  ]);
  return formatTable(["ID", "TYPE", "PROGRAM", "WHERE", "PROCESSES", ...(withPins ? ["PINNED"] : [])], rows);
}

/** `link list|show`. */
export async function linkList(session: Session): Promise<void> {
  const all = around(session, "link");
  const { handles, isOne } = selectLinks(session);
  const trees = handles.map((link) => linkFields(link, all));
  await session.print(isOne ? (trees[0] ?? null) : trees, () => listText(handles, all));
}

/** `link pin LINK PATH`. */
export async function linkPin(session: Session): Promise<void> {
  const link = oneLink(session);
  const path = session.words.next("a path");
  session.words.end();
  pinAt(session, link, path);
  await session.done();
}

/** `link detach LINK`. */
export async function linkDetach(session: Session): Promise<void> {
  const link = oneLink(session);
  session.words.end();
  link.detach();
  await session.done();
}

/** `link update LINK prog PROG [expected PROG]`. */
export async function linkUpdate(session: Session): Promise<void> {
  const { words } = session;
  const link = oneLink(session);
  if (!words.take("prog")) throw usageError("what to put in its place? prog PROG");
  const program = oneProgram(session);
  const expected = words.take("expected") ? oneProgram(session) : undefined;
  words.end("expected PROG");
  link.update(program, expected ? { expected } : {});
  await session.done();
}
