/**
 * @module
 * How kernels without links attach: cls_bpf instead of tcx (before 6.6), XDP through netlink (before 5.9), BPF_PROG_ATTACH for cgroups (before
 * 5.7). Nobody but the caller takes these programs off again, and they cannot be pinned.
 */
import { attachTypeNumber } from "@skep/isa";
import type { AttachTarget, Link, Program } from "@skep/machine";
import {
  addBpfFilter,
  addQdisc,
  deleteFilter,
  handles,
  listFilters,
  NetlinkSocket,
  setXdp,
  xdpFlags,
} from "../../netlink/index.ts";
import { type Descriptor, isErrno, O, openFile } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { ManualLink } from "../manual-link.ts";
import { descriptorOf } from "../map.ts";
import { NotSupportedError } from "../not-supported.ts";
import { attachTypeOf, type AttachContext } from "./common.ts";

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

function withNetlink<T>(context: AttachContext, run: (socket: NetlinkSocket) => T): T {
  return context.inHost(() => {
    const socket = NetlinkSocket.open();
    try {
      return run(socket);
    } finally {
      socket.close();
    }
  });
}

const FIRST_PRIORITY = 0x8000;

/** A priority behind the filters that are there, or before them. */
function freePriority(socket: NetlinkSocket, place: { index: number; parent: number }, isFirst: boolean): number {
  const taken = listFilters(socket, place).map((filter) => filter.priority);
  if (taken.length === 0) return FIRST_PRIORITY;
  return isFirst ? Math.min(...taken) - 1 : Math.max(...taken) + 1;
}

function addClsact(socket: NetlinkSocket, index: number): void {
  try {
    addQdisc(socket, { index, kind: "clsact" });
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** cls_bpf in direct action on a clsact qdisc, which stays when the filter is gone: others may use it. */
export function attachClsBpf(program: Program, target: TargetOf<"tcx">, context: AttachContext): Link {
  if (target.before || target.after || target.revision !== undefined)
    throw new NotSupportedError("a place next to another program", { minKernel: "6.6" });
  const place = { index: target.interface, parent: handles[target.direction] };
  const priority = withNetlink(context, (socket) => {
    addClsact(socket, target.interface);
    const chosen = freePriority(socket, place, target.order === "first");
    addBpfFilter(socket, { ...place, priority: chosen, handle: 1, fd: descriptorOf(program), name: program.name });
    return chosen;
  });
  const filter = { ...place, priority, handle: 1 };
  return new ManualLink({
    type: "tc",
    programId: program.info.id,
    replace: (next) =>
      withNetlink(context, (socket) =>
        addBpfFilter(socket, { ...filter, fd: descriptorOf(next), name: next.name }, { replace: true }),
      ),
    detach: () => void withNetlink(context, (socket) => deleteFilter(socket, filter)),
  });
}

export function attachXdpByNetlink(program: Program, target: TargetOf<"xdp">, context: AttachContext): Link {
  const mode = target.mode ? xdpFlags[target.mode === "hardware" ? "offload" : target.mode] : 0;
  const set = (fd: number, flags: number) =>
    withNetlink(context, (socket) => setXdp(socket, target.interface, { fd, flags: mode | flags }));
  set(descriptorOf(program), xdpFlags.updateIfNoExist);
  return new ManualLink({
    type: "xdp",
    programId: program.info.id,
    replace: (next) => set(descriptorOf(next), 0),
    detach: () => set(-1, 0),
  });
}

const BPF_F_ALLOW_MULTI = 2;
const BPF_F_REPLACE = 4;

/** One of several programs of the cgroup. The link holds the cgroup's folder and the program. */
export function attachCgroupByCommand(program: Program, target: TargetOf<"cgroup">): Link {
  if (target.order === "first" || target.before || target.after)
    throw new NotSupportedError("a place before another program of a cgroup", { minKernel: "6.17" });
  const name = target.attachType ?? attachTypeOf(program, "cgroup");
  const type = attachTypeNumber(name);
  if (type === null) throw new RangeError(`no such attach type: ${name}`);
  const folder: Descriptor = openFile(target.path, O.RDONLY | O.DIRECTORY, { kind: "cgroup" });
  const detail = `${program.name} to ${name} of ${target.path}`;
  let current = program;
  const argument = (each: Program) => new Attributes().u32(0, folder.fd).u32(4, descriptorOf(each)).u32(8, type);
  try {
    argument(program).u32(12, BPF_F_ALLOW_MULTI).run("prog_attach", detail);
  } catch (error) {
    folder.close();
    throw error;
  }
  return new ManualLink({
    type: "cgroup",
    programId: program.info.id,
    replace: (next) => {
      argument(next)
        .u32(12, BPF_F_ALLOW_MULTI | BPF_F_REPLACE)
        .u32(16, descriptorOf(current))
        .run("prog_attach", detail);
      current = next;
    },
    detach: () => void argument(current).run("prog_detach", detail),
    close: () => folder.close(),
  });
}
