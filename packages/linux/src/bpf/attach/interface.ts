import type { AttachTarget, Link, Program } from "@skep/machine";
import { isErrno } from "../../sys/index.ts";
import { needCapabilities } from "../capabilities.ts";
import { NotSupportedError } from "../not-supported.ts";
import { createLink, linkAttributes, orderAttributes, type AttachContext } from "./common.ts";

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

export function attachTcx(program: Program, target: TargetOf<"tcx">, context: AttachContext): Link {
  needCapabilities("attaching to an interface", "CAP_NET_ADMIN");
  const attributes = orderAttributes(linkAttributes(program, target.interface, `tcx_${target.direction}`), target);
  const detail = `${program.name} to tcx ${target.direction} of interface ${target.interface}`;
  return context.inHost(() => createLink(attributes, detail));
}

export function attachNetkit(program: Program, target: TargetOf<"netkit">, context: AttachContext): Link {
  needCapabilities("attaching to an interface", "CAP_NET_ADMIN");
  const attributes = linkAttributes(program, target.interface, `netkit_${target.end ?? "primary"}`);
  orderAttributes(attributes, target);
  const detail = `${program.name} to netkit ${target.end ?? "primary"} of interface ${target.interface}`;
  return context.inHost(() => createLink(attributes, detail));
}

// XDP_FLAGS_*, include/uapi/linux/if_link.h.
const xdpModes = { native: 4, generic: 2, hardware: 8 } as const;

export function attachXdp(program: Program, target: TargetOf<"xdp">, context: AttachContext): Link {
  needCapabilities("attaching to an interface", "CAP_NET_ADMIN");
  const attributes = linkAttributes(program, target.interface, "xdp");
  attributes.u32(12, target.mode ? xdpModes[target.mode] : 0);
  const mode = target.mode ? ` (${target.mode})` : "";
  const detail = `${program.name} to XDP of interface ${target.interface}${mode}`;
  try {
    return context.inHost(() => createLink(attributes, detail));
  } catch (cause) {
    // dev_xdp_attach (net/core/dev.c): a program that was not loaded for the card.
    if (target.mode === "hardware" && isErrno(cause, "EINVAL"))
      throw new NotSupportedError(`XDP on the card of interface ${target.interface}`, {
        detail: "it takes programs of its own alone: use mode native or generic",
        cause,
      });
    if (!isErrno(cause, "EOPNOTSUPP")) throw cause;
    throw new NotSupportedError(`XDP in the driver of interface ${target.interface}`, {
      detail: "use mode generic",
      cause,
    });
  }
}
