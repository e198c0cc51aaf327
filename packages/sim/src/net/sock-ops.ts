/**
 * @module
 * Programs of a cgroup that are told of a connection's life (`struct bpf_sock_ops`, include/uapi/linux/bpf.h; net/ipv4/tcp_bpf callers).
 */
import { onWire, type Sock } from "./sock.ts";

/** BPF_SOCK_OPS_* */
export const OP = {
  timeoutInit: 1,
  receiveWindowInit: 2,
  connect: 3,
  activeEstablished: 4,
  passiveEstablished: 5,
  needsEcn: 6,
  timeout: 8,
  retransmit: 9,
  state: 10,
  listen: 11,
} as const;

/** Callbacks that come only when they were asked for (bpf_sock_ops_cb_flags_set). */
export const CALLBACK = { timeout: 1, retransmit: 2, state: 4, all: 0x7f } as const;

/** Numbers of a connection that programs may read, by offset in `struct bpf_sock_ops`. */
export const FACT = {
  congestionWindow: 76,
  receiveNext: 100,
  sendNext: 104,
  sendUnacknowledged: 108,
  segmentSize: 112,
  packetsOut: 128,
  totalRetransmissions: 136,
  segmentsIn: 140,
  dataSegmentsIn: 144,
  segmentsOut: 148,
  dataSegmentsOut: 152,
} as const;
export type Facts = Partial<Record<keyof typeof FACT, number>>;

const SIZE = 224;
const [ARGS, FAMILY, REMOTE4, LOCAL4, REMOTE6, LOCAL6, REMOTE_PORT, LOCAL_PORT] = [4, 20, 24, 28, 32, 48, 64, 68];
const [FULL, FLAGS, STATE, SOCKET] = [72, 84, 88, 184];
const EINVAL = 22;

/** The context, but for what the operation brings. */
function encode(sock: Sock, isFull: boolean): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(FAMILY, sock.family === 4 ? 2 : 10, true);
  putAddresses(bytes, sock, { ip4: [LOCAL4, REMOTE4], ip6: [LOCAL6, REMOTE6] });
  // Network order in the upper half of the word.
  view.setUint16(REMOTE_PORT + 2, sock.remote?.port ?? 0);
  view.setUint32(LOCAL_PORT, sock.local.port, true);
  view.setUint32(STATE, sock.state, true);
  if (!isFull) return bytes;
  view.setUint32(FULL, 1, true);
  view.setUint32(FLAGS, sock.callbacks, true);
  for (const [name, value] of Object.entries(sock.facts?.() ?? {}))
    view.setUint32(FACT[name as keyof typeof FACT], value, true);
  view.setBigUint64(SOCKET, BigInt(sock.object.address), true);
  return bytes;
}

/** Both ends of a socket at the offsets of their family's members: local, then remote. */
export function putAddresses(
  bytes: Uint8Array,
  sock: Sock,
  at: { readonly ip4: readonly [number, number]; readonly ip6: readonly [number, number] },
): void {
  for (const [which, end] of [sock.local, sock.remote].entries()) {
    if (!end) continue;
    const wire = onWire(end.address);
    const { mapped } = sock.shown(end);
    if (wire.family === 4) bytes.set(wire.bytes, at.ip4[which]);
    if (sock.family === 6) bytes.set(mapped, at.ip6[which]);
  }
}

/** Runs the programs; what they reply, -1 where one refused or none is there (include/net/tcp.h: tcp_call_bpf). */
export function runSockOps(
  sock: Sock,
  op: number,
  options: { readonly args?: readonly number[]; readonly isFull?: boolean } = {},
): number {
  const links = sock.cgroup?.effective("cgroup_sock_ops") ?? [];
  if (links.length === 0) return -1;
  const { isFull = true, args = [] } = options;
  let context = encode(sock, isFull);
  const view = new DataView(context.buffer);
  view.setUint32(0, op, true);
  for (const [index, value] of args.entries()) view.setUint32(ARGS + index * 4, value, true);
  let refused = false;
  for (const link of links) {
    const host = sock.host({ special: { sock_ops_cb_flags_set: ({ args: [, flags = 0n] }) => setFlags(sock, flags) } });
    const result = sock.namespace.network.bpf.run(link.program.program, { context, host });
    ({ context } = result);
    if ((result.returned & 1) === 0) refused = true;
  }
  return refused ? -1 : new DataView(context.buffer, context.byteOffset).getInt32(ARGS, true);
}

/** bpf_sock_ops_cb_flags_set: gives the flags that nobody knows. */
export function setFlags(sock: Sock, flags: bigint): number {
  const wanted = Number(BigInt.asIntN(32, flags));
  if (sock.kind !== "tcp") return -EINVAL;
  sock.callbacks = wanted & CALLBACK.all;
  return wanted & ~CALLBACK.all;
}

/** tcp_set_state: programs that asked for it are told, before the state is the new one. */
export function setState(sock: Sock, next: number): void {
  if (sock.state !== next && (sock.callbacks & CALLBACK.state) !== 0)
    runSockOps(sock, OP.state, { args: [sock.state, next] });
  sock.state = next;
}
