/**
 * @module
 * Light-weight tunnels on routes (include/uapi/linux/lwtunnel.h): BPF programs that a route runs.
 */
import { attributes, i32, string, u32, type Codec } from "./codec.ts";

/** LWTUNNEL_ENCAP_*. */
export const lwtTypes = { mpls: 1, ip: 2, ila: 3, ip6: 4, seg6: 5, bpf: 6, seg6local: 7 } as const;

const program = attributes({
  /** Only in requests: the kernel reports the name alone. */
  fd: [1, i32],
  name: [2, string],
});

/** `headroom`: bytes that an `xmit` program may push. */
export const bpfEncap = attributes({ in: [1, program], out: [2, program], xmit: [3, program], headroom: [4, u32] });
export type BpfEncap = typeof bpfEncap extends Codec<infer T> ? T : never;

/** SEG6_LOCAL_ACTION_END_BPF, include/uapi/linux/seg6_local.h. */
const endBpf = 15;

const segmentLocal = attributes({ action: [1, u32], bpf: [8, attributes({ fd: [1, u32], name: [2, string] })] });

/** A program of type lwt_seg6local by descriptor and name; the kernel reports the name alone. */
export interface SegmentProgram {
  readonly fd?: number;
  readonly name?: string;
}

export function encodeSegmentProgram(bpf: SegmentProgram): Uint8Array {
  return segmentLocal.encode({ action: endBpf, bpf });
}

/** Undefined where the segment's action is another. */
export function decodeSegmentProgram(bytes: Uint8Array): SegmentProgram | undefined {
  const { action, bpf } = segmentLocal.decode(bytes);
  // The kernel reports the program's id where a request has its descriptor.
  return action === endBpf && bpf?.name !== undefined ? { name: bpf.name } : undefined;
}
