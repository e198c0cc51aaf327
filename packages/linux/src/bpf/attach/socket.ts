import type { AttachTarget, Link, Program } from "@skep/machine";
import { attachTypeNumber } from "@skep/isa";
import {
  currentNamespace,
  type Descriptor,
  isErrno,
  openNamespaceFile,
  setSocketOption,
  SO,
  SOL,
} from "../../sys/index.ts";
import { Attributes, bpfChecked } from "../attributes.ts";
import { needCapabilities } from "../capabilities.ts";
import { ManualLink } from "../manual-link.ts";
import { descriptorOf } from "../map.ts";
import { attachTypeOf, createLink, linkAttributes, linkOf, type AttachContext } from "./common.ts";

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

// enum nf_inet_hooks, include/uapi/linux/netfilter.h.
const points = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const NFPROTO = { 4: 2, 6: 10 } as const;
const BPF_F_NETFILTER_IP_DEFRAG = 1;

export function attachNetfilter(program: Program, target: TargetOf<"netfilter">, context: AttachContext): Link {
  needCapabilities("attaching to netfilter", "CAP_NET_ADMIN");
  const attributes = linkAttributes(program, 0, "netfilter")
    .u32(16, NFPROTO[target.family])
    .u32(20, points[target.point])
    .i32(24, target.priority)
    .u32(28, target.defragment ? BPF_F_NETFILTER_IP_DEFRAG : 0);
  return context.inHost(() => createLink(attributes, `${program.name} to netfilter ${target.point}`));
}

/** Programs of a network namespace. */
export function attachNamespace(
  program: Program,
  target: TargetOf<"sk_lookup"> | TargetOf<"flow_dissector">,
  context: AttachContext,
): Link {
  needCapabilities("attaching to a network namespace", "CAP_NET_ADMIN");
  const namespace = target.namespace === undefined ? hostNamespace(context) : openNamespaceFile(target.namespace);
  try {
    return createLink(linkAttributes(program, namespace.fd, target.hook), `${program.name} to ${target.hook}`);
  } finally {
    namespace.close();
  }
}

function hostNamespace(context: AttachContext): Descriptor {
  return context.inHost(currentNamespace);
}

/** Links of sockmaps are of 6.10; before, programs are attached to the map itself. */
export function attachSockmap(program: Program, target: TargetOf<"sockmap">): Link {
  needCapabilities("attaching to a sockmap", "CAP_NET_ADMIN");
  const attachType = target.attachType ?? attachTypeOf(program, "sockmap");
  const map = descriptorOf(target.map);
  const result = linkAttributes(program, map, attachType).try("link_create");
  if (result === -22) return attachToMap(program, map, attachType);
  return linkOf(bpfChecked("link_create", result, `${program.name} to ${attachType}`));
}

function attachToMap(program: Program, map: number, attachType: string): Link {
  const type = attachTypeNumber(attachType) ?? 0;
  const attributes = () => new Attributes().u32(0, map).u32(4, descriptorOf(program)).u32(8, type);
  attributes().run("prog_attach", `${program.name} to ${attachType}`);
  return new ManualLink({
    type: "sockmap",
    programId: program.info.id,
    detach: () => void attributes().run("prog_detach", `${program.name} from ${attachType}`),
  });
}

/** A socket filter, or the choice of a reuseport group. The socket keeps the program after both descriptors are closed. */
export function attachSocket(program: Program, target: TargetOf<"socket">): Link {
  const isReuseport = program.info.type === "sk_reuseport";
  const set = (each: Program) =>
    setSocketOption(
      target.descriptor,
      { level: SOL.SOCKET, option: isReuseport ? SO.ATTACH_REUSEPORT_EBPF : SO.ATTACH_BPF },
      descriptorOf(each),
    );
  set(program);
  return new ManualLink({
    type: isReuseport ? "reuseport" : "socket",
    programId: program.info.id,
    replace: set,
    detach: () => detachSocket(target.descriptor, isReuseport),
  });
}

function detachSocket(fd: number, isReuseport: boolean): void {
  const option = isReuseport ? SO.DETACH_REUSEPORT_BPF : SO.DETACH_BPF;
  try {
    setSocketOption(fd, { level: SOL.SOCKET, option }, 0);
  } catch (error) {
    // The socket was closed first, or lost the program otherwise.
    if (!isErrno(error, "EBADF", "ENOENT", "ENOTSOCK")) throw error;
  }
}
