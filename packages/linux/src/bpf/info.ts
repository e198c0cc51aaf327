/**
 * @module
 * BPF_OBJ_GET_INFO_BY_FD: what the kernel says about a map, a program, a link or BTF.
 */
import { attachTypeName, linkTypeName, mapTypeName, programTypeName } from "@skep/isa";
import type { MapInfo } from "@skep/machine";
import { fromCString, withPinned } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";

export interface KernelMapInfo extends MapInfo {
  readonly mapExtra: bigint;
  /** 0 where the map has no BTF. */
  readonly btfId: number;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
  /** BTF id in the kernel's BTF: for struct_ops. */
  readonly kernelValueTypeId: number;
  /** The BTF that this one is of: the kernel's or a module's. */
  readonly kernelBtfId: number;
  readonly interface: number;
}

export interface KernelProgramInfo {
  readonly id: number;
  readonly type: string;
  /** Sixteen hexadecimal digits. */
  readonly tag: string;
  readonly name: string;
  readonly gplCompatible: boolean;
  readonly btfId: number;
  readonly mapIds: readonly number[];
  /** Nanoseconds since boot. */
  readonly loadTime: bigint;
  readonly uid: number;
  /** Bytes. */
  readonly translatedSize: number;
  readonly jitedSize: number;
  /** Only counted while statistics are on. */
  readonly runTime: bigint;
  readonly runCount: bigint;
  readonly recursionMisses: bigint;
  readonly verifiedInstructions: number;
  readonly attachBtfObjectId: number;
  readonly attachBtfId: number;
  readonly interface: number;
}

/** Fills `out` and gives how much of it the kernel wrote. */
export function readInfo(fd: number, out: Uint8Array, detail?: string): number {
  const attributes = new Attributes().u32(0, fd).u32(4, out.byteLength).pointer(8, out);
  attributes.run("obj_get_info_by_fd", detail);
  return attributes.readU32(4);
}

/** As `readInfo`, with arrays that the kernel fills too: `pointer` and `count` are offsets in the info. */
export function readInfoWith(
  fd: number,
  out: Uint8Array,
  arrays: readonly {
    readonly pointer: number;
    readonly count: number;
    readonly array: Uint8Array;
    readonly entries: number;
  }[],
): void {
  const view = new DataView(out.buffer, out.byteOffset);
  withPinned(
    arrays.map((each) => each.array),
    (...addresses) => {
      for (const [at, { pointer, count, entries }] of arrays.entries()) {
        view.setBigUint64(pointer, addresses[at] as bigint, true);
        view.setUint32(count, entries, true);
      }
      readInfo(fd, out);
    },
  );
}

const unknown = (number: number): string => `type_${number}`;

/** struct bpf_map_info as the kernel gives it, for printing by the kernel's own type of it. */
export function mapInfoBytes(map: { readonly fd: number }): Uint8Array {
  const out = new Uint8Array(104);
  readInfo(map.fd, out, "of a map");
  return out;
}

export function mapInfo(fd: number): KernelMapInfo {
  const out = mapInfoBytes({ fd });
  const view = new DataView(out.buffer);
  const u32 = (offset: number) => view.getUint32(offset, true);
  return {
    id: u32(4),
    type: mapTypeName(u32(0)) ?? unknown(u32(0)),
    name: fromCString(out.subarray(24, 40)),
    keySize: u32(8),
    valueSize: u32(12),
    maxEntries: u32(16),
    flags: u32(20),
    interface: u32(40),
    kernelValueTypeId: u32(44),
    kernelBtfId: u32(76),
    btfId: u32(64),
    keyTypeId: u32(68),
    valueTypeId: u32(72),
    mapExtra: view.getBigUint64(80, true),
  };
}

const PROGRAM_INFO = 232;

export function programInfo(fd: number): KernelProgramInfo {
  const first = new Uint8Array(PROGRAM_INFO);
  readInfo(fd, first, "of a program");
  const maps = new Uint32Array(new DataView(first.buffer).getUint32(52, true));
  // The second call asks for the ids: the kernel fills arrays whose address and length it is given.
  const out = new Uint8Array(PROGRAM_INFO);
  const view = new DataView(out.buffer);
  if (maps.length === 0) out.set(first);
  else readInfoWith(fd, out, [{ count: 52, pointer: 56, array: new Uint8Array(maps.buffer), entries: maps.length }]);
  const u32 = (offset: number) => view.getUint32(offset, true);
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  return {
    id: u32(4),
    type: programTypeName(u32(0)) ?? unknown(u32(0)),
    tag: [...out.subarray(8, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    jitedSize: u32(16),
    translatedSize: u32(20),
    loadTime: u64(40),
    uid: u32(48),
    mapIds: [...maps.subarray(0, Math.min(u32(52), maps.length))],
    name: fromCString(out.subarray(64, 80)),
    interface: u32(80),
    gplCompatible: (u32(84) & 1) === 1,
    btfId: u32(128),
    runTime: u64(192),
    runCount: u64(200),
    recursionMisses: u64(208),
    verifiedInstructions: u32(216),
    attachBtfObjectId: u32(220),
    attachBtfId: u32(224),
  };
}

export interface KernelLinkInfo {
  readonly id: number;
  readonly programId: number;
  /** Kernel's name, such as `tcx`. */
  readonly type: string;
  /** What the link is attached to, as far as the kernel says it. */
  readonly attachType?: string;
  readonly interface?: number;
  readonly cgroupId?: bigint;
  readonly namespaceInode?: number;
  readonly target?: string;
  readonly cookie?: bigint;
  readonly mapId?: number;
  readonly btfObjectId?: number;
  readonly btfId?: number;
  readonly netfilter?: {
    readonly family: number;
    readonly hook: number;
    readonly priority: number;
    readonly flags: number;
  };
  readonly count?: number;
  readonly missed?: bigint;
  readonly pid?: number;
  /** Probes: of the function's end. */
  readonly isReturn?: boolean;
  /** `perf_event`: what the event is. */
  readonly event?: "uprobe" | "uretprobe" | "kprobe" | "kretprobe" | "tracepoint" | "event";
  /** `perf_event`: in the file, or in the function. */
  readonly offset?: number;
  /** `perf_event` of a kernel function, where the kernel shows addresses. */
  readonly address?: bigint;
  /** `perf_event` of other kinds: PERF_TYPE_* and its number. */
  readonly eventType?: number;
  readonly eventConfig?: bigint;
}

const LINK_INFO = 64;

export function linkInfo(fd: number): KernelLinkInfo {
  const out = new Uint8Array(LINK_INFO);
  readInfo(fd, out, "of a link");
  const view = new DataView(out.buffer);
  const number = view.getUint32(0, true);
  const type = linkTypeName(number) ?? unknown(number);
  return { id: view.getUint32(4, true), programId: view.getUint32(8, true), type, ...linkDetails(fd, type, view) };
}

type Details = Omit<KernelLinkInfo, "id" | "programId" | "type">;

function attachName(number: number): Details {
  return { attachType: attachTypeName(number) ?? unknown(number) };
}

function linkDetails(fd: number, type: string, view: DataView): Details {
  const u32 = (offset: number) => view.getUint32(offset, true);
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  switch (type) {
    case "tcx":
    case "netkit":
      return { interface: u32(16), ...attachName(u32(20)) };
    case "xdp":
      return { interface: u32(16) };
    case "cgroup":
      return { cgroupId: u64(16), ...attachName(u32(24)) };
    case "netns":
      return { namespaceInode: u32(16), ...attachName(u32(20)) };
    case "raw_tracepoint":
      return { target: linkText(fd, 16, 24), cookie: u64(32) };
    case "tracing":
      return { ...attachName(u32(16)), btfObjectId: u32(20), btfId: u32(24), cookie: u64(32) };
    case "struct_ops":
      return { mapId: u32(16) };
    case "sockmap":
      return { mapId: u32(16), ...attachName(u32(20)) };
    case "iter": {
      const target = linkText(fd, 16, 24);
      return target.startsWith("bpf_map") || target.startsWith("bpf_sk_storage")
        ? { target, mapId: u32(32) }
        : { target };
    }
    case "netfilter":
      return { netfilter: { family: u32(16), hook: u32(20), priority: view.getInt32(24, true), flags: u32(28) } };
    case "kprobe_multi":
      return { count: u32(24), isReturn: (u32(28) & 1) === 1, missed: u64(32) };
    case "uprobe_multi":
      return { target: linkText(fd, 16, 48), count: u32(52), isReturn: (u32(56) & 1) === 1, pid: u32(60) };
    case "perf_event":
      return perfDetails(fd, view);
    default:
      return {};
  }
}

// enum bpf_perf_event_type
const perfEvents = ["", "uprobe", "uretprobe", "kprobe", "kretprobe", "tracepoint", "event"] as const;

function perfDetails(fd: number, view: DataView): Details {
  const u32 = (offset: number) => view.getUint32(offset, true);
  const u64 = (offset: number) => view.getBigUint64(offset, true);
  const event = perfEvents[u32(16)];
  switch (event) {
    case "uprobe":
    case "uretprobe":
      return { event, target: linkText(fd, 24, 32), offset: u32(36), cookie: u64(40) };
    case "kprobe":
    case "kretprobe":
      return {
        event,
        target: linkText(fd, 24, 32),
        offset: u32(36),
        address: u64(40),
        missed: u64(48),
        cookie: u64(56),
      };
    case "tracepoint":
      return { event, target: linkText(fd, 24, 32), cookie: u64(40) };
    case "event":
      return { event, eventConfig: u64(24), eventType: u32(32), cookie: u64(40) };
    default:
      return {};
  }
}

/** A text that the kernel writes where the info points to. A kernel that does not tell it leaves it empty. */
function linkText(fd: number, pointer: number, length: number): string {
  const out = new Uint8Array(LINK_INFO);
  const text = new Uint8Array(4096);
  readInfoWith(fd, out, [{ pointer, count: length, array: text, entries: text.byteLength }]);
  return fromCString(text);
}

export interface KernelBtfInfo {
  readonly id: number;
  /** `vmlinux`, a module's name, or empty for BTF of programs. */
  readonly name: string;
  readonly isKernel: boolean;
  /** Bytes of the blob. */
  readonly size: number;
}

export function btfInfo(fd: number): KernelBtfInfo {
  const out = new Uint8Array(32);
  const name = new Uint8Array(64);
  readInfoWith(fd, out, [{ pointer: 16, count: 24, array: name, entries: name.byteLength }]);
  const view = new DataView(out.buffer);
  return {
    size: view.getUint32(8, true),
    id: view.getUint32(12, true),
    name: fromCString(name),
    isKernel: view.getUint32(28, true) !== 0,
  };
}

/** The blob of BTF that is in the kernel. */
export function btfBytes(fd: number): Uint8Array {
  const bytes = new Uint8Array(btfInfo(fd).size);
  readInfoWith(fd, new Uint8Array(32), [{ pointer: 0, count: 8, array: bytes, entries: bytes.byteLength }]);
  return bytes;
}
