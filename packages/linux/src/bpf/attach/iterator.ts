import type { AttachTarget, Link, Program } from "@skep/machine";
import { Descriptor, O, openFile, readAll } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { needCapabilities } from "../capabilities.ts";
import { LinuxLink } from "../link.ts";
import { descriptorOf } from "../map.ts";
import { createLink, linkAttributes } from "./common.ts";

type Target = Extract<AttachTarget, { readonly hook: "iterator" }>;

// enum bpf_cgroup_iter_order.
const orders = { self: 1, descendants_pre: 2, descendants_post: 3, ancestors_up: 4 } as const;

/** union bpf_iter_link_info, sixteen bytes. */
function iteratorInfo(target: Target, cgroup: Descriptor | null): Uint8Array {
  const info = new DataView(new ArrayBuffer(16));
  if (target.map) info.setUint32(0, descriptorOf(target.map), true);
  if (target.cgroup && cgroup) {
    info.setUint32(0, orders[target.cgroup.order], true);
    info.setUint32(4, cgroup.fd, true);
  }
  if (target.task) {
    info.setUint32(0, target.task.tid ?? 0, true);
    info.setUint32(4, target.task.pid ?? 0, true);
  }
  return new Uint8Array(info.buffer);
}

export function attachIterator(program: Program, target: Target): Link {
  needCapabilities("attaching an iterator", "CAP_PERFMON");
  const cgroup = target.cgroup ? openFile(target.cgroup.path, O.RDONLY | O.DIRECTORY, { kind: "cgroup" }) : null;
  try {
    const attributes = linkAttributes(program, 0, "trace_iter");
    if (target.map || cgroup || target.task) attributes.pointer(16, iteratorInfo(target, cgroup)).u32(24, 16);
    return createLink(attributes, program.name);
  } finally {
    cgroup?.close();
  }
}

/** Runs an iterator once and gives what it wrote. */
export function readIterator(link: Link): Uint8Array {
  if (!(link instanceof LinuxLink)) throw new TypeError("the link belongs to another machine");
  const descriptor = new Descriptor(new Attributes().u32(0, link.fd).run("iter_create"), "iterator");
  try {
    return readAll(descriptor);
  } finally {
    descriptor.close();
  }
}
