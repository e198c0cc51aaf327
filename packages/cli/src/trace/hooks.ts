/**
 * @module
 * Where the datapath's programs are in force, as its pinned links say, and the contexts that they are given.
 */
import type { BpfMachine } from "@skep/machine";
import type { Address } from "@skep/net";

export type HookName = "ingress" | "egress" | "xdp";

/** Programs of links whose names do not say them. */
const ENDPOINT_LINKS: Readonly<Record<string, string>> = { tcx_ingress: "skep_from_ep", tcx_egress: "skep_to_ep" };

export interface Hooks {
  /** The program at an interface; null: none of the datapath's. */
  at(interfaceName: string, hook: HookName): string | null;
  /** Whether a program at the sockets of workloads is in force. */
  socket(program: string): boolean;
}

function hookOf(link: string, program: string): HookName {
  if (program === "skep_xdp") return "xdp";
  return link === "tcx_ingress" || program.startsWith("skep_from_") ? "ingress" : "egress";
}

export function readHooks(bpf: BpfMachine, pins: string): Hooks {
  const found = new Map<string, string>();
  const sockets = new Set<string>();
  for (const name of bpf.pins(`${pins}/links`)) {
    const at = name.indexOf("-");
    const [link, place] = [name.slice(0, at), name.slice(at + 1)];
    const program = ENDPOINT_LINKS[link] ?? link;
    const isAtInterface = link in ENDPOINT_LINKS || /^skep_(xdp|from_\w+|to_\w+)$/.test(program);
    if (isAtInterface) found.set(`${hookOf(link, program)} ${place}`, program);
    else sockets.add(program);
  }
  return {
    at: (interfaceName, hook) => found.get(`${hook} ${interfaceName}`) ?? null,
    socket: (program) => sockets.has(program),
  };
}

/** struct __sk_buff (include/uapi/linux/bpf.h). */
export function skbContext(frame: Uint8Array, of: { mark: number; interface: number; hook: HookName }): Uint8Array {
  const context = new Uint8Array(192);
  const view = new DataView(context.buffer);
  view.setUint32(8, of.mark, true);
  context.set(frame.subarray(12, 14), 16);
  view.setUint32(36, of.hook === "ingress" ? of.interface : 0, true);
  view.setUint32(40, of.interface, true);
  return context;
}

export const markOf = (context: Uint8Array): number =>
  new DataView(context.buffer, context.byteOffset).getUint32(8, true);

/** struct xdp_md. */
export function xdpContext(index: number): Uint8Array {
  const context = new Uint8Array(24);
  new DataView(context.buffer).setUint32(12, index, true);
  return context;
}

const AF_INET = 2;
const AF_INET6 = 10;
const ADDRESS = { 4: 4, 6: 8 } as const;
const PORT = 24;

/** struct bpf_sock_addr of a connect. */
export function connectContext(to: { address: Address; port: number; protocol: number; stream: boolean }): Uint8Array {
  const context = new Uint8Array(72);
  const view = new DataView(context.buffer);
  const family = to.address.family === 4 ? AF_INET : AF_INET6;
  view.setUint32(0, family, true);
  context.set(to.address.bytes, ADDRESS[to.address.family]);
  view.setUint16(PORT, to.port);
  view.setUint32(28, family, true);
  view.setUint32(32, to.stream ? 1 : 2, true);
  view.setUint32(36, to.protocol, true);
  return context;
}

/** Where the socket connects in the end. */
export function connectedTo(context: Uint8Array, family: 4 | 6): { address: Address; port: number } {
  const at = ADDRESS[family];
  const bytes = context.slice(at, at + (family === 4 ? 4 : 16));
  return { address: { family, bytes }, port: new DataView(context.buffer, context.byteOffset).getUint16(PORT) };
}
