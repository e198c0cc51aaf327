import { attachTypeNumber } from "@skep/isa";
import { currentNamespace, O, openFile, openNamespaceFile, SyscallError } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";
import type { AttachContext } from "./attach/common.ts";
import { needCapabilities } from "./capabilities.ts";

/** Where programs are looked for. */
export type QueryTarget =
  | { readonly hook: "tcx"; readonly interface: number; readonly direction: "ingress" | "egress" }
  | { readonly hook: "netkit"; readonly interface: number; readonly end?: "primary" | "peer" }
  /** `effective`: also what parent cgroups add. */
  | { readonly hook: "cgroup"; readonly path: string; readonly attachType: string; readonly effective?: boolean }
  | { readonly hook: "sk_lookup"; readonly namespace?: string }
  | { readonly hook: "flow_dissector"; readonly namespace?: string };

export interface Attached {
  readonly programId: number;
  /** Where the kernel tells it, and the program was attached by a link. */
  readonly linkId?: number;
}

export interface QueryResult {
  /** In the order in which they run. */
  readonly programs: readonly Attached[];
  /** BPF_F_* that the programs were attached with (cgroups: 1 override, 2 multi). */
  readonly flags: number;
  /** Grows with each change; for `Order.revision`. 0 where the hook has none. */
  readonly revision: bigint;
}

interface Request {
  readonly target: number;
  readonly attachType: string;
  readonly flags: number;
}

const BPF_F_QUERY_EFFECTIVE = 1;
const ENOSPC = 28;

function runQuery(request: Request, capacity: number): QueryResult {
  const type = attachTypeNumber(request.attachType);
  if (type === null) throw new RangeError(`no such attach type: ${request.attachType}`);
  const programs = new Uint32Array(capacity);
  const links = new Uint32Array(capacity);
  const bytes = (array: Uint32Array) => new Uint8Array(array.buffer);
  // Links are only told by hooks with an order of their own; the others refuse the field.
  const wantsLinks = /^(tcx|netkit)/.test(request.attachType);
  const attributes = new Attributes()
    .u32(0, request.target)
    .u32(4, type)
    .u32(8, request.flags)
    .pointer(16, bytes(programs))
    .u32(24, capacity)
    .pointer(40, wantsLinks ? bytes(links) : null);
  try {
    attributes.run("prog_query", request.attachType);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ENOSPC) return runQuery(request, capacity * 4);
    throw error;
  }
  const count = attributes.readU32(24);
  return {
    programs: [...programs.subarray(0, count)].map((programId, at) => {
      const linkId = links[at] ?? 0;
      return linkId === 0 ? { programId } : { programId, linkId };
    }),
    flags: attributes.readU32(12),
    revision: attributes.readU64(56),
  };
}

const CAPACITY = 64;

/** What is attached to a hook, in order (BPF_PROG_QUERY). */
export function queryPrograms(target: QueryTarget, context: AttachContext): QueryResult {
  needCapabilities("querying attached programs", "CAP_NET_ADMIN");
  const query = (number: number, attachType: string, flags = 0) =>
    runQuery({ target: number, attachType, flags }, CAPACITY);
  switch (target.hook) {
    case "tcx":
      return context.inHost(() => query(target.interface, `tcx_${target.direction}`));
    case "netkit":
      return context.inHost(() => query(target.interface, `netkit_${target.end ?? "primary"}`));
    case "cgroup": {
      const folder = openFile(target.path, O.RDONLY | O.DIRECTORY, { kind: "cgroup" });
      try {
        return query(folder.fd, target.attachType, target.effective ? BPF_F_QUERY_EFFECTIVE : 0);
      } finally {
        folder.close();
      }
    }
    case "sk_lookup":
    case "flow_dissector": {
      const namespace = target.namespace ? openNamespaceFile(target.namespace) : context.inHost(currentNamespace);
      try {
        return query(namespace.fd, target.hook);
      } finally {
        namespace.close();
      }
    }
  }
}
