import { cells } from "./layout.ts";
import type { Region } from "./memory.ts";
import type { Memory } from "./memory.ts";

/** What a redirecting helper asked for. */
export interface Redirect {
  readonly helper: "redirect" | "redirect_peer" | "redirect_neigh" | "redirect_map" | "clone_redirect";
  /** Interface, or the value of the map's entry. */
  readonly target: number;
  readonly flags: bigint;
}

/** How the context shows the packet: offsets of u32 members (include/uapi/linux/bpf.h). */
export interface ContextShape {
  readonly kind: "xdp" | "skb";
  readonly size: number;
  readonly data: number;
  readonly dataEnd: number;
  readonly dataMeta: number;
}

export const xdpShape: ContextShape = { kind: "xdp", size: 24, data: 0, dataEnd: 4, dataMeta: 8 };
/** struct __sk_buff; its first member is the length. */
export const skbShape: ContextShape = { kind: "skb", size: 192, data: 76, dataEnd: 80, dataMeta: 140 };

/** One run: packet, context, and what the program asked of its host. */
export class RunState {
  shape: ContextShape | null = null;
  redirect: Redirect | null = null;
  readonly clones: Redirect[] = [];
  readonly prints: string[] = [];
  /** Addresses of the packet's first byte and behind its last; metadata begins at `meta`. */
  data = 0;
  dataEnd = 0;
  meta = 0;
  readonly packet: Region;
  readonly context: Region;
  private readonly memory: Memory;

  constructor(memory: Memory, regions: { readonly packet: Region; readonly context: Region }) {
    this.memory = memory;
    this.packet = regions.packet;
    this.context = regions.context;
  }

  /** Writes the packet's place into the context, and what may be accessed into the region. */
  publish(): void {
    const { shape } = this;
    this.packet.start = this.meta;
    this.packet.end = this.dataEnd;
    const { view, u32 } = this.memory;
    // What `ld abs` reads.
    u32[cells.packetStart >>> 2] = shape?.kind === "skb" ? this.data : 0;
    u32[cells.packetEnd >>> 2] = this.dataEnd;
    if (shape === null) return;
    const base = this.context.base;
    view.setUint32(base + shape.data, this.data, true);
    view.setUint32(base + shape.dataEnd, this.dataEnd, true);
    view.setUint32(base + shape.dataMeta, this.meta, true);
    if (shape.kind === "skb") view.setUint32(base, this.dataEnd - this.data, true);
  }
}
