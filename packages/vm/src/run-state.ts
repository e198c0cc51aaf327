import { cells } from "./layout.ts";
import type { VmMap } from "./maps/map.ts";
import type { Region } from "./memory.ts";
import type { Memory } from "./memory.ts";
import type { KernelObject } from "./object.ts";

/** What a redirecting helper asked for. */
export interface Redirect {
  readonly helper: "redirect" | "redirect_peer" | "redirect_neigh" | "redirect_map" | "clone_redirect" | "sk_redirect";
  /** Interface, or the value of the map's entry. With BPF_F_BROADCAST 0: every entry of the map is meant. */
  readonly target: number;
  readonly flags: bigint;
  /** redirect_map: the map, and the entry's key; its program in values of eight bytes, 0 for none. */
  readonly map?: VmMap;
  readonly key?: number;
  readonly program?: number;
  /** redirect_neigh: the bytes of `struct bpf_redir_neigh`. */
  readonly neighbour?: Uint8Array;
  /** sk_redirect (sk_skb, sk_msg): the socket. */
  readonly socket?: KernelObject;
}

/** bpf_clone_redirect: the packet as it was then. */
export interface Clone extends Redirect {
  readonly packet: Uint8Array;
}

/** How the context shows the packet: offsets of u32 members (include/uapi/linux/bpf.h). */
export interface ContextShape {
  readonly kind: "xdp" | "skb" | "msg";
  readonly size: number;
  readonly data: number;
  readonly dataEnd: number;
  /** null: it shows no metadata. */
  readonly dataMeta: number | null;
}

const xdpShape: ContextShape = { kind: "xdp", size: 24, data: 0, dataEnd: 4, dataMeta: 8 };
/** struct __sk_buff; its first member is the length. */
const skbShape: ContextShape = { kind: "skb", size: 192, data: 76, dataEnd: 80, dataMeta: 140 };

/** struct sk_msg_md: its pointers are whole, their upper halves stay zero. */
const msgShape: ContextShape = { kind: "msg", size: 80, data: 0, dataEnd: 8, dataMeta: null };

const shapes: Readonly<Record<string, ContextShape>> = {
  xdp: xdpShape,
  sched_cls: skbShape,
  sched_act: skbShape,
  cgroup_skb: skbShape,
  socket_filter: skbShape,
  lwt_in: skbShape,
  lwt_out: skbShape,
  lwt_xmit: skbShape,
  lwt_seg6local: skbShape,
  sk_skb: skbShape,
  sk_msg: msgShape,
};

/** Of programs on packets, by type; null for others. */
export function shapeOf(type: string): ContextShape | null {
  return shapes[type] ?? null;
}

/** Offsets of struct __sk_buff (include/uapi/linux/bpf.h). */
export const skb = {
  packetType: 4,
  mark: 8,
  protocol: 16,
  vlanPresent: 20,
  vlanTci: 24,
  vlanProtocol: 28,
  interface: 40,
  hash: 68,
  tstamp: 152,
  tstampType: 180,
} as const;

/** One run: packet, context, and what the program asked of its host. */
export class RunState {
  shape: ContextShape | null = null;
  redirect: Redirect | null = null;
  readonly clones: Clone[] = [];
  readonly prints: string[] = [];
  /** What bpf_seq_write and bpf_seq_printf wrote. */
  readonly written: number[] = [];
  /** Arguments of the function that a tracing program stands at; its result is behind them. */
  argumentCount = 0;
  private readonly walks: { readonly members: readonly number[]; next: number }[] = [];
  /** bpf_set_retval. */
  setReturn: number | null = null;
  /** Addresses of the packet's first byte and behind its last; metadata begins at `meta`. */
  data = 0;
  dataEnd = 0;
  meta = 0;
  readonly packet: Region;
  readonly context: Region;
  /** Kernel objects by address. */
  readonly objects: Map<number, KernelObject>;
  private readonly memory: Memory;

  constructor(
    memory: Memory,
    parts: { readonly packet: Region; readonly context: Region; readonly objects?: Map<number, KernelObject> },
  ) {
    this.memory = memory;
    this.packet = parts.packet;
    this.context = parts.context;
    this.objects = parts.objects ?? new Map<number, KernelObject>();
  }

  /** Keeps what an iterator goes through; gives its token. */
  iterate(members: readonly number[]): number {
    return this.walks.push({ members, next: 0 });
  }

  nextOf(token: number, none = 0): number {
    const walk = this.walks[token - 1];
    return walk?.members[walk.next++] ?? none;
  }

  get length(): number {
    return this.dataEnd - this.data;
  }

  /** A member of the context. */
  member(offset: number): number {
    return this.memory.view.getUint32(this.context.base + offset, true);
  }

  setMember(offset: number, value: number): void {
    this.memory.view.setUint32(this.context.base + offset, value, true);
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
    if (shape.dataMeta !== null) view.setUint32(base + shape.dataMeta, this.meta, true);
    if (shape.kind === "skb") view.setUint32(base, this.dataEnd - this.data, true);
  }
}
