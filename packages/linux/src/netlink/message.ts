/**
 * @module
 * Netlink messages (include/uapi/linux/netlink.h): framing, acknowledgements, and bodies of a fixed header with attributes.
 */
import { align, attributes, concat, MalformedMessageError, string, struct, u32, type Codec } from "./codec.ts";

export const messageTypes = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

/** NLM_F_*. The same bits mean different things in requests that get, make and delete. */
export const flags = {
  request: 0x01,
  multi: 0x02,
  ack: 0x04,
  echo: 0x08,
  dumpInterrupted: 0x10,
  /** For gets: root and match. */
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  /** In acknowledgements. */
  capped: 0x100,
  ackTlvs: 0x200,
} as const;

export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Whom it is for or from; 0 is the kernel. */
  readonly port: number;
  readonly payload: Uint8Array;
}

const header = struct({ length: "u32", type: "u16", flags: "u16", sequence: "u32", port: "u32" });
export const messageHeaderSize = header.size;

export function encodeMessage(message: Omit<Message, "port">): Uint8Array {
  const { type, flags, sequence, payload } = message;
  return concat([header.encode({ length: header.size + payload.length, type, flags, sequence, port: 0 }), payload]);
}

/** The messages of one datagram; payloads are views into it. */
export function* parseMessages(datagram: Uint8Array): IterableIterator<Message> {
  for (let at = 0; at + header.size <= datagram.length;) {
    const { length, type, flags, sequence, port } = header.decode(datagram.subarray(at));
    if (length < header.size || at + length > datagram.length)
      throw new MalformedMessageError(`message of ${length} bytes at ${at} of ${datagram.length}`);
    yield { type, flags, sequence, port, payload: datagram.subarray(at + header.size, at + length) };
    at += align(length);
  }
}

/** What follows a message's header: a struct of the family, then attributes. */
export interface Layout<H, A> {
  /** Such as `link`: names the requests in errors. */
  readonly subject: string;
  readonly header: HeaderCodec<H>;
  readonly attributes: Codec<A>;
}

interface HeaderCodec<H> extends Codec<H> {
  readonly size: number;
  encode(value: Partial<H>): Uint8Array;
}

export function encodeBody<H, A>(layout: Layout<H, A>, header: Partial<H>, attributes?: A): Uint8Array {
  const head = layout.header.encode(header);
  const padding = new Uint8Array(align(head.length) - head.length);
  return concat(attributes === undefined ? [head] : [head, padding, layout.attributes.encode(attributes)]);
}

export function decodeBody<H, A>(layout: Layout<H, A>, payload: Uint8Array): { header: H; attributes: A } {
  const rest = payload.subarray(align(layout.header.size));
  return { header: layout.header.decode(payload), attributes: layout.attributes.decode(rest) };
}

// ---- acknowledgements ----

const extendedAck = attributes({
  message: [1, string],
  /** From the start of the request. */
  offset: [2, u32],
  missingType: [5, u32],
  missingNest: [6, u32],
});

export interface Acknowledgement {
  /** 0 is success; else an errno, positive. */
  readonly errno: number;
  /** The kernel's words; a warning where errno is 0. */
  readonly message?: string | undefined;
  /** Of the attribute that the kernel refuses, from the start of the request message. */
  readonly offset?: number | undefined;
  /** Type of a required attribute that was not there. */
  readonly missingType?: number | undefined;
}

/** Reads the payload of an `error` message (struct nlmsgerr). */
export function parseAcknowledgement(message: Message): Acknowledgement {
  const data = new DataView(message.payload.buffer, message.payload.byteOffset, message.payload.byteLength);
  if (data.byteLength < 4 + header.size) throw new MalformedMessageError("short acknowledgement");
  const errno = 0 - data.getInt32(0, true);
  if (!(message.flags & flags.ackTlvs)) return { errno };
  const request = message.flags & flags.capped ? header.size : data.getUint32(4, true);
  return { errno, ...extendedAck.decode(message.payload.subarray(4 + align(request))) };
}

/** Reads the payload of a `done` message: an errno and, since 5.x, an extended ack. */
export function parseDone(message: Message): Acknowledgement {
  const data = new DataView(message.payload.buffer, message.payload.byteOffset, message.payload.byteLength);
  const errno = data.byteLength >= 4 ? 0 - data.getInt32(0, true) : 0;
  if (!(message.flags & flags.ackTlvs)) return { errno };
  return { errno, ...extendedAck.decode(message.payload.subarray(4)) };
}
