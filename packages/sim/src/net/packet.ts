import type { TunnelKey } from "@skep/vm";
import type { PacketMarks } from "./context.ts";
import type { Sock } from "./sock.ts";

/** A frame under way, with what the kernel carries beside its bytes. */
export interface Packet {
  readonly frame: Uint8Array;
  readonly marks: PacketMarks;
  readonly hops: number;
  /** The socket that sent it, as long as it stays in the socket's namespace. */
  readonly sock: Sock | null;
  /** The tunnel that it came by or is to take. */
  readonly tunnel?: TunnelKey | null;
}

export const NO_MARKS: PacketMarks = { mark: 0, priority: 0, hash: 0 };

export const packetOf = (frame: Uint8Array, sock: Sock | null = null): Packet => ({
  frame,
  marks: sock ? { mark: sock.mark, priority: sock.priority, hash: 0 } : NO_MARKS,
  hops: 0,
  sock,
});
