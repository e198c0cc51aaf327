import type { AttachTarget, Link, Program } from "@skep/machine";
import { O, openFile } from "../../sys/index.ts";
import { needCapabilities } from "../capabilities.ts";
import { attachTypeOf, createLink, linkAttributes, orderAttributes } from "./common.ts";

export function attachCgroup(program: Program, target: Extract<AttachTarget, { readonly hook: "cgroup" }>): Link {
  needCapabilities("attaching to a cgroup", "CAP_NET_ADMIN");
  const folder = openFile(target.path, O.RDONLY | O.DIRECTORY, { kind: "cgroup" });
  try {
    const attachType = target.attachType ?? attachTypeOf(program, "cgroup");
    const attributes = orderAttributes(linkAttributes(program, folder.fd, attachType), target);
    return createLink(attributes, `${program.name} to ${attachType} of ${target.path}`);
  } finally {
    folder.close();
  }
}
