/**
 * @module
 * `struct __sk_buff` for a packet at a hook (include/uapi/linux/bpf.h).
 */
import type { Device } from "./device.ts";

/** What the kernel carries beside a packet's bytes. */
export interface PacketMarks {
  readonly mark: number;
  readonly priority: number;
  readonly hash: number;
  /** `skb->tstamp`: when it is to leave, in nanoseconds of CLOCK_MONOTONIC; absent: now. */
  readonly departure?: bigint;
}

const SIZE = 192;
const [LENGTH, MARK, PROTOCOL, PRIORITY, INGRESS_INTERFACE, INTERFACE, HASH, TIME] = [0, 8, 16, 32, 36, 40, 68, 152];

export function contextOf(
  device: Device,
  of: { readonly direction: "ingress" | "egress"; readonly frame: Uint8Array; readonly marks: PacketMarks },
): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(LENGTH, of.frame.length, true);
  view.setUint32(MARK, of.marks.mark, true);
  // Network order in memory, as the frame has it.
  bytes.set(of.frame.subarray(12, 14), PROTOCOL);
  view.setUint32(PRIORITY, of.marks.priority, true);
  view.setUint32(INGRESS_INTERFACE, of.direction === "ingress" ? device.index : 0, true);
  view.setUint32(INTERFACE, device.index, true);
  view.setUint32(HASH, of.marks.hash, true);
  view.setBigUint64(TIME, of.marks.departure ?? 0n, true);
  return bytes;
}

export function readMarks(context: Uint8Array): PacketMarks {
  const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
  const departure = view.getBigUint64(TIME, true);
  return {
    mark: view.getUint32(MARK, true),
    priority: view.getUint32(PRIORITY, true),
    hash: view.getUint32(HASH, true),
    ...(departure === 0n ? {} : { departure }),
  };
}
