/**
 * @module
 * `skep net`: programs of the network: XDP, tcx, netkit, tc filters, netfilter, flow dissector.
 */
import {
  attachPersistent,
  detachPersistent,
  ids,
  isErrno,
  linkById,
  type LinuxLink,
  type LinuxProgram,
  netlink,
  openLinux,
  programById,
} from "@skep/linux";
import { CliError, usageError } from "../errors.ts";
import { formatTable } from "../output/table.ts";
import { linkFields } from "./link.ts";
import { oneProgram } from "./select.ts";
import type { Session } from "./session.ts";
import { membersOf, plainText, type Tree } from "./tree.ts";

type Machine = ReturnType<typeof openLinux>;

/** The machine of a network namespace, this one by default. */
function machineOf(netns: string | null): Machine {
  return openLinux(netns === null ? {} : { netns });
}

type Row = { readonly [name: string]: Tree | undefined };

const xdpModes = { native: "driver", generic: "generic", offloaded: "offload", several: "multi" } as const;

function xdpRows(links: readonly netlink.LinkInfo[]): Row[] {
  return links.flatMap(({ name, index, xdp }) =>
    xdp ? [{ devname: name, ifindex: index, mode: xdpModes[xdp.mode], id: xdp.programId }] : [],
  );
}

function programName(id: number): string {
  const program = programById(id);
  const name = program?.info.name ?? "";
  program?.close();
  return name;
}

/** tcx and netkit in the order in which they run. */
function orderedRows(machine: Machine, { name, index, kind }: netlink.LinkInfo): Row[] {
  const queries = [
    ...(["ingress", "egress"] as const).map((direction) => ({
      what: `tcx/${direction}`,
      target: { hook: "tcx", interface: index, direction } as const,
    })),
    ...(kind === "netkit"
      ? (["primary", "peer"] as const).map((end) => ({
          what: `netkit/${end}`,
          target: { hook: "netkit", interface: index, end } as const,
        }))
      : []),
  ];
  return queries.flatMap(({ what, target }) =>
    queried(() => machine.bpf.query(target).programs).map(({ programId, linkId }) => ({
      devname: name,
      ifindex: index,
      kind: what,
      name: programName(programId),
      prog_id: programId,
      link_id: linkId,
    })),
  );
}

/** Kernels before 6.6 have no such query. */
function queried<T>(run: () => readonly T[]): readonly T[] {
  try {
    return run();
  } catch (error) {
    if (isErrno(error, "EINVAL", "EOPNOTSUPP", "ENOTSUPP")) return [];
    throw error;
  }
}

function filterRows(socket: netlink.NetlinkSocket, { name, index }: netlink.LinkInfo): Row[] {
  const qdiscs = netlink.listQdiscs(socket, { index });
  return qdiscs.flatMap((qdisc) => {
    const isClsact = qdisc.kind === "clsact" || qdisc.kind === "ingress";
    const parents = isClsact
      ? ([
          ["ingress", netlink.handles.ingress],
          ["egress", netlink.handles.egress],
        ] as const)
      : ([["", qdisc.handle]] as const);
    const wanted = qdisc.kind === "ingress" ? parents.slice(0, 1) : parents;
    return wanted.flatMap(([direction, parent]) => {
      if (parent === 0) return [];
      const kind = direction === "" ? qdisc.kind : `${qdisc.kind}/${direction}`;
      return netlink
        .listFilters(socket, { index, parent })
        .flatMap(({ bpf }) =>
          bpf ? [{ devname: name, ifindex: index, kind, name: bpf.name, id: bpf.programId }] : [],
        );
    });
  });
}

function netfilterRows(): Row[] {
  const rows: Row[] = [];
  const nobody = { holders: new Map(), pins: null };
  for (const id of ids("link")) {
    const link: LinuxLink | null = linkById(id);
    if (link?.info.type === "netfilter") rows.push(linkFields(link, nobody));
    link?.close();
  }
  return rows;
}

interface Found {
  readonly xdp: readonly Row[];
  readonly tc: readonly Row[];
  readonly dissector: readonly Row[];
  readonly netfilter: readonly Row[];
}

function look(netns: string | null, device: string | null): Found {
  const machine = machineOf(netns);
  return machine.net.host.netlink((socket) => {
    const all = netlink.listLinks(socket);
    const links = device === null ? all : all.filter(({ name }) => name === device);
    if (device !== null && links.length === 0) throw new CliError(`there is no interface ${device}`);
    const dissector = queried(() => machine.bpf.query({ hook: "flow_dissector" }).programs);
    return {
      xdp: xdpRows(links),
      tc: links.flatMap((link) => [...orderedRows(machine, link), ...filterRows(socket, link)]),
      dissector: dissector.map(({ programId }) => ({ id: programId })),
      netfilter: netfilterRows(),
    };
  });
}

/** `net list|show [dev NAME] [netns FILE]`. */
export async function netList(session: Session): Promise<void> {
  const { words } = session;
  let device: string | null = null;
  let netns: string | null = null;
  while (!words.isEmpty) {
    if (words.take("dev")) device = words.next("an interface");
    else if (words.take("netns")) netns = words.next("a namespace's file");
    else words.end("dev NAME", "netns FILE");
  }
  const { xdp, tc, dissector, netfilter } = look(netns, device);
  const tree = [{ xdp, tc, flow_dissector: dissector, ...(netfilter.length === 0 ? {} : { netfilter }) }];
  await session.print(tree, () => listText({ xdp, tc, dissector, netfilter }));
}

function listText({ xdp, tc, dissector, netfilter }: Found): string {
  const cell = (row: Row, name: string) => plainText(row[name] ?? "");
  const rows = [
    ...xdp.map((row) => [
      cell(row, "devname"),
      `xdp/${cell(row, "mode")}`,
      cell(row, "id"),
      programName(Number(row["id"])),
      "",
    ]),
    ...tc.map((row) => [
      cell(row, "devname"),
      cell(row, "kind"),
      cell(row, "prog_id") || cell(row, "id"),
      cell(row, "name"),
      cell(row, "link_id"),
    ]),
    ...dissector.map((row) => ["", "flow_dissector", cell(row, "id"), programName(Number(row["id"])), ""]),
    ...netfilter.map((row) => [
      "",
      `netfilter/${(membersOf(row) ?? []).flatMap(([name, value]) => (["pf", "hook", "prio"].includes(name) ? [plainText(value)] : [])).join("/")}`,
      cell(row, "prog_id"),
      programName(Number(row["prog_id"])),
      cell(row, "id"),
    ]),
  ];
  return formatTable(["INTERFACE", "WHERE", "PROGRAM", "NAME", "LINK"], rows);
}

// ---- attach and detach ----

const attachTypes = ["xdp", "xdpgeneric", "xdpdrv", "xdpoffload", "tcx_ingress", "tcx_egress"] as const;
type AttachType = (typeof attachTypes)[number];

const modes: Readonly<Partial<Record<AttachType, number>>> = {
  xdp: 0,
  xdpgeneric: netlink.xdpFlags.generic,
  xdpdrv: netlink.xdpFlags.native,
  xdpoffload: netlink.xdpFlags.offload,
};

interface Where {
  readonly device: string;
  readonly machine: Machine;
  readonly overwrite: boolean;
}

function readWhere(session: Session): Where {
  const { words } = session;
  if (!words.take("dev")) throw words.isEmpty ? usageError("which interface? dev NAME") : words.unexpected("dev NAME");
  const device = words.next("an interface");
  let overwrite = false;
  let netns: string | null = null;
  while (!words.isEmpty) {
    if (words.take("overwrite")) overwrite = true;
    else if (words.take("netns")) netns = words.next("a namespace's file");
    else words.end("overwrite", "netns FILE");
  }
  return { device, overwrite, machine: machineOf(netns) };
}

function withInterface<T>({ device, machine }: Where, use: (socket: netlink.NetlinkSocket, index: number) => T): T {
  return machine.net.host.netlink((socket) => {
    const found = netlink.findLink(socket, device);
    if (found === null) throw new CliError(`there is no interface ${device}`);
    return use(socket, found.index);
  });
}

/** `net attach TYPE PROG dev NAME [overwrite]`. */
export async function netAttach(session: Session): Promise<void> {
  const type = session.words.choice("attach type", attachTypes);
  const program = oneProgram(session);
  const where = readWhere(session);
  const mode = modes[type];
  if (mode === undefined) {
    const index = withInterface(where, (_, found) => found);
    where.machine.net.host.run(() => attachPersistent(program, { interface: index, attachType: type }));
  } else attachXdp(program, where, mode);
  await session.done();
}

function attachXdp(program: LinuxProgram, where: Where, mode: number): void {
  const flags = mode | (where.overwrite ? 0 : netlink.xdpFlags.updateIfNoExist);
  try {
    withInterface(where, (socket, index) => netlink.setXdp(socket, index, { fd: program.fd, flags }));
  } catch (error) {
    if (isErrno(error, "EBUSY", "EEXIST"))
      throw new CliError(`${where.device} has an XDP program already: overwrite replaces it`, 1, { cause: error });
    if (isErrno(error, "EOPNOTSUPP"))
      throw new CliError(`the driver of ${where.device} has no XDP: use xdpgeneric`, 1, { cause: error });
    throw error;
  }
}

/** `net detach TYPE [PROG] dev NAME`. */
export async function netDetach(session: Session): Promise<void> {
  const type = session.words.choice("attach type", attachTypes);
  const program = session.words.peek() === "dev" ? null : oneProgram(session);
  const where = readWhere(session);
  const mode = modes[type];
  if (mode === undefined) detachTcx(session, type as "tcx_ingress" | "tcx_egress", { ...where, program });
  else withInterface(where, (socket, index) => netlink.setXdp(socket, index, { fd: -1, flags: mode }));
  await session.done();
}

/** The program that is named, or the only one that stands there without a link. */
function detachTcx(
  session: Session,
  type: "tcx_ingress" | "tcx_egress",
  where: Where & { readonly program: LinuxProgram | null },
): void {
  const { machine } = where;
  const index = withInterface(where, (_, found) => found);
  const direction = type === "tcx_ingress" ? "ingress" : "egress";
  const there = machine.bpf.query({ hook: "tcx", interface: index, direction }).programs;
  const free = there.filter(({ linkId }) => linkId === undefined);
  if (where.program === null && free.length !== 1) {
    const found = free.length === 0 ? "none" : free.map(({ programId }) => programId).join(", ");
    const links = there.length > free.length ? "; those of links: skep link detach" : "";
    throw usageError(`which program? at ${type} of ${where.device} without a link: ${found}${links}`);
  }
  const only = free[0] === undefined ? null : programById(free[0].programId);
  const program = where.program ?? (only && session.keep(only));
  if (program === null) throw new CliError("the program is gone");
  machine.net.host.run(() => detachPersistent(program, { interface: index, attachType: type }));
}
