/** Bits of a TCP header (RFC 9293). */
export const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

export interface Segment {
  readonly flags: number;
  /** 32 bits. */
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly data: Uint8Array;
}
