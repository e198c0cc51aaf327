/**
 * @module
 * Where a frame goes that an XDP program redirects (net/core/filter.c: xdp_do_redirect, kernel/bpf/devmap.c, kernel/bpf/cpumap.c).
 */
import type { Redirect } from "@skep/vm";
import type { Device } from "./device.ts";
import type { Packet } from "./packet.ts";

/** include/uapi/linux/bpf.h: enum xdp_action. */
export const XDP = { aborted: 0, drop: 1, pass: 2, tx: 3, redirect: 4 } as const;

/** BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS */
const [BROADCAST, EXCLUDE_INGRESS] = [1n << 3n, 1n << 4n];
/** A map's value says so where it has no program. */
const NO_PROGRAM = 0xffff_ffff;
/** A frame's Ethernet header, and a tag of a virtual network. */
const LINK_HEADER = 18;

/** `struct xdp_md`: the interface that the frame came in by, and of programs of a device map the one that it leaves by. */
export function xdpContext(ingress: number, egress = 0): Uint8Array {
  const context = new Uint8Array(24);
  const view = new DataView(context.buffer);
  view.setUint32(12, ingress, true);
  view.setUint32(20, egress, true);
  return context;
}

export interface XdpPaths {
  /** Where the frame came in. */
  readonly device: Device;
  send(target: Device, packet: Packet): void;
  /** A program of a map's entry, by its number; null where there is none. */
  run(
    id: number,
    packet: Packet,
    egress: number,
  ): { readonly returned: number; readonly redirect: Redirect | null; readonly packet: Packet } | null;
  /** On in the stack of the same interface, on another CPU. */
  toStack(packet: Packet): void;
  /** The frame was dropped by a program, or found no way. */
  drop(): void;
  lose(): void;
}

export function redirectXdp(paths: XdpPaths, redirect: Redirect, packet: Packet): void {
  const type = redirect.map?.spec.type ?? "";
  if (redirect.map === undefined) sendTo(paths, { index: redirect.target, program: NO_PROGRAM }, packet);
  else if (type === "cpumap") toCpu(paths, redirect, packet);
  else if (!type.startsWith("devmap")) paths.lose();
  else if ((redirect.flags & BROADCAST) === 0n)
    sendTo(paths, { index: redirect.target, program: redirect.program ?? NO_PROGRAM }, packet);
  else {
    const isOut = (redirect.flags & EXCLUDE_INGRESS) !== 0n;
    for (const entry of entriesOf(redirect.map.entries())) {
      const device = paths.device.namespace.device(entry.index);
      // dev_map_redirect_multi leaves out what cannot send.
      if (device?.up === true && !(isOut && device === paths.device)) sendTo(paths, entry, packet);
    }
  }
}

interface Entry {
  readonly index: number;
  readonly program: number;
}

function* entriesOf(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Generator<Entry> {
  for (const [, value] of entries) {
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    yield { index: view.getUint32(0, true), program: value.length >= 8 ? view.getUint32(4, true) : NO_PROGRAM };
  }
}

const hasProgram = (program: number | undefined): program is number =>
  program !== undefined && program !== NO_PROGRAM && program !== 0;

/** Out by a device, past the entry's program (dev_map_bpf_prog_run). */
function sendTo(paths: XdpPaths, { index, program }: Entry, packet: Packet): void {
  const target = paths.device.namespace.device(index);
  if (!target?.up || packet.frame.length > target.mtu + LINK_HEADER) {
    paths.lose();
    return;
  }
  const result = hasProgram(program) ? paths.run(program, packet, index) : null;
  if (result !== null && result.returned !== XDP.pass) paths.drop();
  else paths.send(target, result?.packet ?? packet);
}

function toCpu(paths: XdpPaths, { program }: Redirect, packet: Packet): void {
  const result = hasProgram(program) ? paths.run(program, packet, 0) : null;
  if (result === null) paths.toStack(packet);
  else if (result.returned === XDP.pass) paths.toStack(result.packet);
  else if (result.returned === XDP.redirect && result.redirect) redirectXdp(paths, result.redirect, result.packet);
  else paths.drop();
}
