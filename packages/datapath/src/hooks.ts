/**
 * @module
 * Which program runs where, by name.
 */
import * as maps from "./bpf/maps.bpf.ts";
import { XDP_DIRECT, XDP_FORWARD, XDP_NAT_46X64, XDP_NAT_46X64_REPLY, XDP_REPLY, XDP_TUNNEL } from "./bpf/xdp.bpf.ts";

export interface TcHook {
  readonly program: string;
  readonly direction: "ingress" | "egress";
}

/** At workloads' devices. */
export const ENDPOINT_HOOKS: readonly [TcHook, TcHook] = [
  { program: "skep_from_ep", direction: "ingress" },
  { program: "skep_to_ep", direction: "egress" },
];
/** At the host's outer interfaces. */
export const DEVICE_HOOKS: readonly TcHook[] = [
  { program: "skep_from_net", direction: "ingress" },
  { program: "skep_to_net", direction: "egress" },
];
/** At the device of tunnels. */
export const OVERLAY_HOOKS: readonly TcHook[] = [
  { program: "skep_from_ovl", direction: "ingress" },
  { program: "skep_to_ovl", direction: "egress" },
];
export const XDP_PROGRAM = "skep_xdp";
export const SOCKET_PROGRAMS: readonly string[] = [
  ...["skep_connect4", "skep_sendmsg4", "skep_recvmsg4", "skep_getpeer4", "skep_bind4"],
  ...["skep_connect6", "skep_sendmsg6", "skep_recvmsg6", "skep_getpeer6", "skep_bind6"],
  "skep_release",
];

/** Programs that others go on in, by their places in `skep_calls`. */
export const CALLED = [
  [maps.CALL_REFUSE, "skep_refuse"],
  [maps.CALL_NODEPORT, "skep_nodeport"],
  [maps.CALL_NODEPORT_REPLY, "skep_nodeport_r"],
  [maps.CALL_NODEPORT_REFUSE, "skep_nodeport_x"],
  [maps.CALL_NODEPORT_TUNNEL, "skep_nodeport_t"],
  [maps.CALL_TOO_LONG, "skep_ep_long"],
  [maps.CALL_NAT_46X64, "skep_46x64"],
  [maps.CALL_NAT_46X64_REPLY, "skep_46x64_r"],
  [maps.CALL_NAT_46X64_TOO_LONG, "skep_46x64_long"],
  [maps.CALL_NAT_46X64_ON, "skep_46x64_on"],
  [maps.CALL_DIRECT, "skep_direct"],
  [maps.CALL_DIRECT_ARRIVED, "skep_direct_in"],
  [maps.CALL_DIRECT_TOO_LONG, "skep_direct_long"],
  [maps.CALL_DIRECT_TUNNEL, "skep_direct_tun"],
  [maps.CALL_DIRECT_TUNNELLED, "skep_direct_out"],
] as const;
/** And in `skep_xdp_calls`. */
export const XDP_CALLED = [
  [XDP_FORWARD, "skep_xdp_lb"],
  [XDP_REPLY, "skep_xdp_reply"],
  [XDP_DIRECT, "skep_xdp_direct"],
  [XDP_TUNNEL, "skep_xdp_tun"],
  [XDP_NAT_46X64, "skep_xdp_46x64"],
  [XDP_NAT_46X64_REPLY, "skep_xdp_46x64r"],
] as const;
