// Another program, replaced while that one runs.
import { freplace, XDP, type XdpContext } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";

export const verdict = freplace("verdict", "ping", (ctx: XdpContext) =>
  ctx.header(Ethernet, 0) ? XDP.PASS : XDP.DROP,
);
