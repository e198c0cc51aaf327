/**
 * @module
 * Programs of sockmaps (net/core/skmsg.c, sock_map.c): what a socket in such a map sends (sk_msg) and receives (sk_skb).
 */
import type { Redirect, RunInput } from "@skep/vm";
import type { ProgramObject } from "../bpf/objects.ts";
import { SimError } from "../error.ts";
import { putSocket } from "./cgroup-skb.ts";
import { putAddresses } from "./sock-ops.ts";
import type { Sock } from "./sock.ts";

const SK_PASS = 1;
/** BPF_F_INGRESS */
const INGRESS = 1n;
const MSG_SIZE = 80;
const MSG = {
  ...{ family: 16, remote4: 20, local4: 24, remote6: 28, local6: 44, remotePort: 60, localPort: 64, size: 68 },
  socket: 72,
} as const;

/** Where data goes on: to this socket, nowhere, or by another socket's sending or receiving side. */
export type Way =
  | { readonly kind: "pass"; readonly data: Uint8Array }
  | { readonly kind: "drop" }
  | { readonly kind: "send" | "receive"; readonly data: Uint8Array; readonly sock: Sock };

/** What becomes of data that the socket sends. Throws EACCES where the program drops it. */
export function messageWay(sock: Sock, data: Uint8Array): Way {
  const program = sock.programs.get("sk_msg_verdict");
  if (!program) return { kind: "pass", data };
  const context = new Uint8Array(MSG_SIZE);
  const view = new DataView(context.buffer);
  view.setUint32(MSG.family, sock.family === 4 ? 2 : 10, true);
  putAddresses(context, sock, { ip4: [MSG.local4, MSG.remote4], ip6: [MSG.local6, MSG.remote6] });
  view.setUint16(MSG.remotePort + 2, sock.remote?.port ?? 0);
  view.setUint32(MSG.localPort, sock.local.port, true);
  view.setUint32(MSG.size, data.length, true);
  view.setBigUint64(MSG.socket, BigInt(sock.object.address), true);
  const way = run(sock, program, { packet: data, context });
  if (way.kind === "drop") throw new SimError("EACCES", "sending is refused by a program");
  return way;
}

/** What becomes of data that came for the socket; bytes of a message that is not whole yet stay in `held`. */
export function streamWays(sock: Sock, data: Uint8Array, held: { bytes: Uint8Array }): Way[] {
  const verdict = sock.programs.get("sk_skb_stream_verdict") ?? sock.programs.get("sk_skb_verdict");
  if (!verdict) return [{ kind: "pass", data }];
  const parser = sock.programs.get("sk_skb_stream_parser");
  if (!parser) return [run(sock, verdict, { packet: data, context: skbContext(sock, data) })];
  const ways: Way[] = [];
  let rest = joined(held.bytes, data);
  while (rest.length > 0) {
    const input = { packet: rest, context: skbContext(sock, rest), host: sock.host() };
    // The parser says how long the message is; 0 or more than there is: it waits (net/strparser/strparser.c).
    const size = sock.namespace.network.bpf.run(parser.program, input).returned | 0;
    if (size <= 0 || size > rest.length) break;
    const message = rest.slice(0, size);
    rest = rest.slice(size);
    ways.push(run(sock, verdict, { packet: message, context: skbContext(sock, message) }));
  }
  held.bytes = rest;
  return ways;
}

function skbContext(sock: Sock, data: Uint8Array): Uint8Array {
  const context = new Uint8Array(192);
  new DataView(context.buffer).setUint32(0, data.length, true);
  putSocket(context, sock);
  return context;
}

function run(sock: Sock, program: ProgramObject, input: RunInput): Way {
  const { network } = sock.namespace;
  const result = network.bpf.run(program.program, { ...input, host: sock.host() });
  if (result.returned !== SK_PASS) return { kind: "drop" };
  const { packet: data, redirect } = result;
  const target = redirect && targetOf(redirect, (object) => network.sockets.get(object) ?? null);
  if (!redirect) return { kind: "pass", data };
  if (!target) return { kind: "drop" };
  return { kind: (redirect.flags & INGRESS) === 0n ? "send" : "receive", data, sock: target };
}

function targetOf(redirect: Redirect, find: (object: NonNullable<Redirect["socket"]>) => Sock | null): Sock | null {
  return redirect.helper === "sk_redirect" && redirect.socket ? find(redirect.socket) : null;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
