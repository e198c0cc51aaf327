import type { Interface, TunnelProtocol } from "@skep/machine";
import type { Mac } from "@skep/net";
import { HookList, HookSlot } from "../bpf/hooks.ts";
import type { SimNamespace } from "./namespace.ts";

/** What a wire does to frames. */
export interface WireQuality {
  /** Milliseconds that a frame is under way. Default 0. */
  readonly delay?: number;
  /** Share of frames that are lost, 0 to 1. Default 0. */
  readonly loss?: number;
}

/** A frame that passed an interface, as a capture sees it. */
export interface SeenFrame {
  readonly bytes: Uint8Array;
  readonly direction: "in" | "out";
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly at: bigint;
}

export class Device {
  readonly index: number;
  readonly name: string;
  readonly mac: Mac;
  readonly kind: "veth" | "netkit" | "loopback" | TunnelProtocol;
  readonly namespace: SimNamespace;
  mtu: number;
  up = false;
  peer: Device | null = null;
  quality: WireQuality = {};
  /** `fq`: frames leave at the time that a program gave them (`skb->tstamp`), as net/sched/sch_fq.c lets them. */
  queue: "none" | "fq" = "none";
  /** Of tunnels: the port of its datagrams. */
  readonly tunnelPort: number | null;
  /** Of an end of a netkit pair: what judges the packets that it hands to the other, and what becomes of them where nothing does. */
  netkit: { readonly list: HookList; readonly isPrimary: boolean; readonly policy: "pass" | "drop" } | null = null;
  readonly tcx = { ingress: new HookList(), egress: new HookList() };
  readonly xdp = new HookSlot();
  readonly taps = new Set<(frame: SeenFrame) => void>();

  constructor(
    namespace: SimNamespace,
    options: {
      readonly index: number;
      readonly name: string;
      readonly mac: Mac;
      readonly mtu: number;
      readonly kind: Device["kind"];
      readonly tunnelPort?: number;
    },
  ) {
    this.namespace = namespace;
    this.index = options.index;
    this.name = options.name;
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.kind = options.kind;
    this.tunnelPort = options.tunnelPort ?? null;
  }

  get info(): Interface {
    const { index, name, mac, mtu, up, peer } = this;
    if (this.kind === "loopback") return { index, name, mac, mtu, up };
    return { index, name, mac, mtu, up, kind: this.kind, ...(peer ? { peerIndex: peer.index } : {}) };
  }

  /** Nothing is attached or listened for any more. */
  clear(): void {
    for (const list of [this.tcx.ingress, this.tcx.egress]) for (const link of [...list.links]) link.detach();
    for (const link of [...(this.netkit?.list.links ?? [])]) link.detach();
    this.xdp.link?.detach();
    this.taps.clear();
  }
}
