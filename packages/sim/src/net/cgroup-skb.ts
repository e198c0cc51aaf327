/**
 * @module
 * The cgroup hooks of packets: what a socket's cgroup lets out (net/ipv4/ip_output.c: ip_finish_output) and in (net/core/filter.c:
 * sk_filter_trim_cap). Programs see the packet from its network header on.
 */
import { contextOf } from "./context.ts";
import type { Device } from "./device.ts";
import { putAddresses } from "./sock-ops.ts";
import type { Sock } from "./sock.ts";

const [FAMILY, REMOTE4, LOCAL4, REMOTE6, LOCAL6, REMOTE_PORT, LOCAL_PORT, SOCKET] = [
  88, 92, 96, 100, 116, 132, 136, 168,
];
const ETHERNET = 14;

/** The members of `struct __sk_buff` that tell of the packet's socket. */
export function putSocket(bytes: Uint8Array, sock: Sock): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(FAMILY, sock.family === 4 ? 2 : 10, true);
  putAddresses(bytes, sock, { ip4: [LOCAL4, REMOTE4], ip6: [LOCAL6, REMOTE6] });
  view.setUint16(REMOTE_PORT + 2, sock.remote?.port ?? 0);
  view.setUint32(LOCAL_PORT, sock.local.port, true);
  view.setBigUint64(SOCKET, BigInt(sock.object.address), true);
}

/** Whether the packet may go on. `frame`: with its Ethernet header. */
export function runCgroupSkb(
  sock: Sock,
  of: { readonly direction: "ingress" | "egress"; readonly frame: Uint8Array; readonly device: Device },
): boolean {
  const { frame, device, direction } = of;
  let passes = true;
  for (const link of sock.cgroup?.effective(`cgroup_inet_${direction}`) ?? []) {
    const marks = { mark: sock.mark, priority: sock.priority, hash: 0 };
    const context = contextOf(device, { direction, frame, marks });
    const packet = frame.slice(ETHERNET);
    new DataView(context.buffer).setUint32(0, packet.length, true);
    putSocket(context, sock);
    const result = sock.namespace.network.bpf.run(link.program.program, { packet, context, host: sock.host() });
    // Bit 1 of egress asks for congestion to be told.
    if ((result.returned & 1) === 0) passes = false;
  }
  return passes;
}
