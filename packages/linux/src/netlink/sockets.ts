/**
 * @module
 * Sockets of a namespace: SOCK_DIAG_BY_FAMILY (include/uapi/linux/inet_diag.h).
 */
import type { Address } from "@skep/net";
import { isErrno } from "../sys/index.ts";
import { attributes, struct } from "./codec.ts";
import { families } from "./ip.ts";
import { decodeBody } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

const byFamily = 20;
const destroy = 21;

/** Ports and addresses in network order; the cookie is what bpf_get_socket_cookie gives. */
const id = {
  sourcePort: "be16",
  destinationPort: "be16",
  source0: "be32",
  source1: "be32",
  source2: "be32",
  source3: "be32",
  destination0: "be32",
  destination1: "be32",
  destination2: "be32",
  destination3: "be32",
  interface: "u32",
  cookie: "u64",
} as const;

const requestHeader = struct({ family: "u8", protocol: "u8", extensions: "u8", _pad: "u8", states: "u32", ...id });
const answerHeader = struct({
  family: "u8",
  state: "u8",
  timer: "u8",
  retransmits: "u8",
  ...id,
  expires: "u32",
  receiveQueue: "u32",
  sendQueue: "u32",
  uid: "u32",
  inode: "u32",
});
const none = attributes({});
const requestLayout = { subject: "socket", header: requestHeader, attributes: none };
const answerLayout = { subject: "socket", header: answerHeader, attributes: none };

/** TCP_* of include/net/tcp_states.h. */
export const socketStates = {
  established: 1,
  synSent: 2,
  synReceived: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  closing: 11,
} as const;
export type SocketState = keyof typeof socketStates;
const stateNames = new Map(
  Object.entries(socketStates).map(([name, number]) => [number as number, name as SocketState]),
);

export const transport = { tcp: 6, udp: 17 } as const;

/** INET_DIAG_NOCOOKIE: any. */
const anyCookie = 0xffff_ffff_ffff_ffffn;

export interface SocketInfo {
  readonly protocol: keyof typeof transport;
  readonly state: SocketState | number;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
  /** 0: not bound to an interface. */
  readonly interface: number;
  readonly cookie: bigint;
  readonly uid: number;
  readonly inode: number;
  /** Bytes. */
  readonly receiveQueue: number;
  readonly sendQueue: number;
}

type Words = readonly [number, number, number, number];

function addressOf(family: number, words: Words): Address {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  words.forEach((word, at) => view.setUint32(at * 4, word));
  return family === families.inet ? { family: 4, bytes: bytes.slice(0, 4) } : { family: 6, bytes };
}

function wordsOf(address: Address): Words {
  const bytes = new Uint8Array(16);
  bytes.set(address.bytes);
  const view = new DataView(bytes.buffer);
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}

function toSocket(payload: Uint8Array, protocol: keyof typeof transport): SocketInfo {
  const { header } = decodeBody(answerLayout, payload);
  const { family, state, sourcePort, destinationPort, cookie, uid, inode, receiveQueue, sendQueue } = header;
  return {
    protocol,
    state: stateNames.get(state) ?? state,
    source: addressOf(family, [header.source0, header.source1, header.source2, header.source3]),
    sourcePort,
    destination: addressOf(family, [
      header.destination0,
      header.destination1,
      header.destination2,
      header.destination3,
    ]),
    destinationPort,
    interface: header.interface,
    cookie,
    uid,
    inode,
    receiveQueue,
    sendQueue,
  };
}

/** The socket is one of `protocols.sockDiag`, opened in the namespace whose sockets are meant. Default: every state, both families. */
export function listSockets(
  socket: NetlinkSocket,
  filter: {
    readonly protocol: keyof typeof transport;
    readonly states?: readonly SocketState[];
    readonly family?: 4 | 6;
  },
): SocketInfo[] {
  const states = filter.states?.reduce((bits, state) => bits | (1 << socketStates[state]), 0) ?? 0xfff;
  const wanted = [families.inet, families.inet6].filter(
    (family) => filter.family === undefined || family === (filter.family === 4 ? families.inet : families.inet6),
  );
  return wanted.flatMap((family) => {
    const header = { family, protocol: transport[filter.protocol], states };
    return socket
      .dump({ type: byFamily, layout: requestLayout, header })
      .map((message) => toSocket(message.payload, filter.protocol));
  });
}

/**
 * Ends a socket from outside, as `ss -K` does: its owner gets ECONNABORTED. False where it is gone. Throws EOPNOTSUPP where the kernel
 * was built without it (CONFIG_INET_DIAG_DESTROY).
 */
export function destroySocket(socket: NetlinkSocket, which: SocketInfo): boolean {
  const [source, destination] = [wordsOf(which.source), wordsOf(which.destination)];
  const header = {
    family: which.source.family === 4 ? families.inet : families.inet6,
    protocol: transport[which.protocol],
    states: 0xfff,
    sourcePort: which.sourcePort,
    destinationPort: which.destinationPort,
    source0: source[0],
    source1: source[1],
    source2: source[2],
    source3: source[3],
    destination0: destination[0],
    destination1: destination[1],
    destination2: destination[2],
    destination3: destination[3],
    interface: which.interface,
    cookie: which.cookie === 0n ? anyCookie : which.cookie,
  };
  try {
    socket.request({ type: destroy, layout: requestLayout, header });
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
