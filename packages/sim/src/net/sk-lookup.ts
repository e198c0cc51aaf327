/**
 * @module
 * Programs of a namespace that choose the socket of a packet that belongs to no connection (`struct bpf_sk_lookup`;
 * include/linux/filter.h: BPF_PROG_SK_LOOKUP_RUN_ARRAY).
 */
import type { KernelObject } from "@skep/vm";
import { type Endpoint, onWire, type Sock, STATE } from "./sock.ts";
import type { SimNamespace } from "./namespace.ts";

const SIZE = 72;
const [FAMILY, PROTOCOL, REMOTE4, REMOTE6, REMOTE_PORT, LOCAL4, LOCAL6, LOCAL_PORT, DEVICE] = [
  8, 12, 16, 20, 36, 40, 44, 60, 64,
];
const SK_PASS = 1;
/** BPF_SK_LOOKUP_F_REPLACE, BPF_SK_LOOKUP_F_NO_REUSEPORT */
const [REPLACE, NO_REUSEPORT] = [1n, 2n];
const [EEXIST, EINVAL, EPROTOTYPE, ESOCKTNOSUPPORT, EAFNOSUPPORT] = [17, 22, 91, 94, 97];

export interface LookupQuery {
  readonly protocol: number;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly device: number;
}

/** The socket that the programs chose; null: as without them; "drop": nobody's. */
export function runSkLookup(namespace: SimNamespace, query: LookupQuery): Sock | "drop" | null {
  const { network } = namespace;
  let chosen: Sock | null = null;
  let dropped = false;
  for (const link of [...namespace.skLookup.links]) {
    let mine: Sock | null = chosen;
    const assign = (object: KernelObject | null, flags: bigint): number => {
      if ((flags & ~(REPLACE | NO_REUSEPORT)) !== 0n) return -EINVAL;
      const sock = object && (network.sockets.get(object) ?? null);
      const wrong = sock ? unfit(sock, query) : 0;
      if (wrong !== 0) return -wrong;
      if (mine && (flags & REPLACE) === 0n) return -EEXIST;
      mine = sock;
      return 0;
    };
    const host = { ...network.hostOf(namespace), assignSocket: assign };
    const result = network.bpf.run(link.program.program, { context: encode(query, chosen), host });
    if (result.returned === SK_PASS) chosen = mine;
    else dropped = true;
  }
  return chosen ?? (dropped ? "drop" : null);
}

/** bpf_sk_lookup_assign: why a socket cannot take the packet; 0 where it can. */
function unfit(sock: Sock, { protocol, local }: LookupQuery): number {
  if (sock.kind === "tcp" && sock.state !== STATE.listen) return ESOCKTNOSUPPORT;
  if (sock.protocol !== protocol) return EPROTOTYPE;
  return sock.family === 4 && local.address.family === 6 ? EAFNOSUPPORT : 0;
}

function encode(query: LookupQuery, chosen: Sock | null): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  const local = onWire(query.local.address);
  const remote = onWire(query.remote.address);
  if (chosen) view.setBigUint64(0, BigInt(chosen.object.address), true);
  view.setUint32(FAMILY, local.family === 4 ? 2 : 10, true);
  view.setUint32(PROTOCOL, query.protocol, true);
  bytes.set(remote.bytes, remote.family === 4 ? REMOTE4 : REMOTE6);
  view.setUint16(REMOTE_PORT, query.remote.port);
  bytes.set(local.bytes, local.family === 4 ? LOCAL4 : LOCAL6);
  view.setUint32(LOCAL_PORT, query.local.port, true);
  view.setUint32(DEVICE, query.device, true);
  return bytes;
}
