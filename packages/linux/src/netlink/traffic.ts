/**
 * @module
 * Traffic control: queueing disciplines, classes and filters (include/uapi/linux/rtnetlink.h, struct tcmsg).
 */
import { isErrno } from "../sys/index.ts";
import { attributes, bytes, type Codec, string, struct, u32, u64 } from "./codec.ts";
import { NetlinkError } from "./errors.ts";
import { present } from "./links.ts";
import { decodeBody, flags } from "./message.ts";
import type { NetlinkSocket, Request } from "./socket.ts";
import {
  bpfFilter,
  classOptions,
  type HtbClassOptions,
  type HtbOptions,
  qdiscOptions,
  type TbfOptions,
} from "./traffic-kinds.ts";

const messages = {
  qdisc: { new: 36, delete: 37, get: 38 },
  class: { new: 40, delete: 41, get: 42 },
  filter: { new: 44, delete: 45, get: 46 },
} as const;

/** TC_H_*: where things hang. A handle is `major << 16 | minor`. */
export const handles = {
  root: 0xffff_ffff,
  clsact: 0xffff_fff1,
  /** Filters at a clsact's (or ingress's) hooks. */
  ingress: 0xffff_fff2,
  egress: 0xffff_fff3,
} as const;

/** `1:30` is `handle(1, 0x30)`; `tc` writes both in hexadecimal. */
export const handle = (major: number, minor = 0): number => ((major << 16) | minor) >>> 0;

const statistics = attributes({
  basic: [1, struct({ bytes: "u64", packets: "u32" })],
  queue: [3, struct({ length: "u32", backlog: "u32", drops: "u32", requeues: "u32", overlimits: "u32" })],
  packets64: [8, u64],
});

const layout = (subject: string) => ({
  subject,
  header: struct({ family: "u8", _1: "u8", _2: "u16", index: "i32", handle: "u32", parent: "u32", info: "u32" }),
  attributes: attributes({
    kind: [1, string],
    options: [2, bytes],
    statistics: [7, statistics],
    chain: [11, u32],
  }),
});
const layouts = { qdisc: layout("qdisc"), class: layout("class"), filter: layout("filter") };
type TrafficAttributes = ReturnType<(typeof layouts.qdisc.attributes)["decode"]>;
type TrafficHeader = ReturnType<(typeof layouts.qdisc.header)["decode"]>;

/** This kernel has no such queueing discipline. */
export class UnknownQdiscError extends Error {
  override readonly name = "UnknownQdiscError";
  readonly kind: string;
  constructor(kind: string, cause: NetlinkError) {
    super(`this kernel has no queueing discipline ${kind}`, { cause });
    this.kind = kind;
  }
}

export interface TrafficStatistics {
  readonly bytes: bigint;
  readonly packets: bigint;
  readonly drops: number;
  readonly overlimits: number;
  readonly queued: number;
  readonly backlog: number;
}

function statisticsOf(found: TrafficAttributes["statistics"]): TrafficStatistics | undefined {
  if (!found?.basic) return undefined;
  const { queue } = found;
  return {
    bytes: found.basic.bytes,
    packets: found.packets64 ?? BigInt(found.basic.packets),
    drops: queue?.drops ?? 0,
    overlimits: queue?.overlimits ?? 0,
    queued: queue?.length ?? 0,
    backlog: queue?.backlog ?? 0,
  };
}

function optionsOf(
  codecs: Readonly<Record<string, Codec<unknown>>>,
  found: TrafficAttributes,
): Record<string, unknown> | undefined {
  const kind = found.kind ?? "";
  const codec = Object.hasOwn(codecs, kind) ? codecs[kind] : undefined;
  return codec && found.options ? (codec.decode(found.options) as Record<string, unknown>) : undefined;
}

interface TrafficInfo {
  /** Interface. */
  readonly index: number;
  readonly handle: number;
  readonly parent: number;
  readonly kind: string;
  readonly statistics?: TrafficStatistics;
}

function common(header: TrafficHeader, found: TrafficAttributes): TrafficInfo {
  const { index, handle, parent } = header;
  return present<TrafficInfo>({
    index,
    handle,
    parent,
    kind: found.kind ?? "",
    statistics: statisticsOf(found.statistics),
  });
}

// ---- qdiscs ----

export interface QdiscInfo extends TrafficInfo {
  /** For the kinds of `QdiscOptions`. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export type QdiscOptions =
  | { readonly kind: "htb"; readonly options?: HtbOptions }
  | { readonly kind: "tbf"; readonly options: TbfOptions }
  | { readonly kind: "pfifo" | "bfifo"; readonly options: { readonly limit: number } }
  | { readonly kind: "clsact" | "ingress" }
  | { readonly kind: "other"; readonly type: string };

export type QdiscSpec = QdiscOptions & {
  readonly index: number;
  /** Default the root; clsact and ingress have their own place. */
  readonly parent?: number;
  /** `major << 16`; default the kernel's choice. */
  readonly handle?: number;
};

export function decodeQdisc(payload: Uint8Array): QdiscInfo {
  const { header, attributes: found } = decodeBody(layouts.qdisc, payload);
  return present<QdiscInfo>({
    ...common(header, found),
    statistics: statisticsOf(found.statistics),
    options: optionsOf(qdiscOptions, found),
  });
}

/** Of one interface, or of all. */
export function listQdiscs(socket: NetlinkSocket, filter: { readonly index?: number } = {}): QdiscInfo[] {
  const found = socket
    .dump({ type: messages.qdisc.get, layout: layouts.qdisc })
    .map((message) => decodeQdisc(message.payload));
  return filter.index === undefined ? found : found.filter(({ index }) => index === filter.index);
}

function qdiscBody(spec: QdiscSpec) {
  const isHook = spec.kind === "clsact" || spec.kind === "ingress";
  const parent = spec.parent ?? (isHook ? handles.clsact : handles.root);
  const header = { index: spec.index, parent, handle: spec.handle ?? (isHook ? handle(0xffff) : 0) };
  const kind = spec.kind === "other" ? spec.type : spec.kind;
  return { layout: layouts.qdisc, header, attributes: { kind, options: encodeOptions(spec) } };
}

function encodeOptions(spec: QdiscSpec): Uint8Array | undefined {
  switch (spec.kind) {
    case "htb":
      return qdiscOptions.htb.encode(spec.options ?? {});
    case "tbf":
      return qdiscOptions.tbf.encode(spec.options);
    case "pfifo":
    case "bfifo":
      return qdiscOptions.pfifo.encode(spec.options);
    default:
      return undefined;
  }
}

/**
 * Throws `UnknownQdiscError` where the kernel lacks the kind. Without `replace`, EEXIST where one of the same kind is there, or with
 * `handle` any; without a handle the kernel puts the new kind in the place of another (tc_modify_qdisc, net/sched/sch_api.c).
 */
export function addQdisc(socket: NetlinkSocket, spec: QdiscSpec, options: { readonly replace?: boolean } = {}): void {
  const body = qdiscBody(spec);
  const how = options.replace ? flags.replace : flags.exclusive;
  try {
    socket.request({ type: messages.qdisc.new, flags: flags.create | how, ...body });
  } catch (error) {
    // qdisc_create answers ENOENT with these words (net/sched/sch_api.c).
    if (
      error instanceof NetlinkError &&
      error.code === "ENOENT" &&
      error.kernelMessage === "Specified qdisc kind is unknown"
    )
      throw new UnknownQdiscError(body.attributes.kind, error);
    throw error;
  }
}

/** False where there is none. */
export function deleteQdisc(
  socket: NetlinkSocket,
  where: { readonly index: number; readonly parent?: number },
): boolean {
  const header = { index: where.index, parent: where.parent ?? handles.root };
  // ENOENT: the default qdisc, which cannot be deleted; EINVAL: no clsact.
  return removed(socket, { type: messages.qdisc.delete, layout: layouts.qdisc, header }, ["ENOENT", "EINVAL"]);
}

function removed<H, A>(socket: NetlinkSocket, request: Request<H, A>, absent: readonly string[]): boolean {
  try {
    socket.request(request);
    return true;
  } catch (error) {
    if (isErrno(error, ...absent)) return false;
    throw error;
  }
}

// ---- classes ----

export interface ClassInfo extends TrafficInfo {
  /** For htb. */
  readonly options?: HtbClassOptions;
}

export interface ClassSpec {
  readonly index: number;
  readonly kind: "htb";
  /** The qdisc's handle, or a class's. */
  readonly parent: number;
  readonly handle: number;
  readonly options: HtbClassOptions;
}

export function decodeClass(payload: Uint8Array): ClassInfo {
  const { header, attributes: found } = decodeBody(layouts.class, payload);
  const options = optionsOf(classOptions, found) as HtbClassOptions | undefined;
  return present<ClassInfo>({ ...common(header, found), statistics: statisticsOf(found.statistics), options });
}

export function listClasses(socket: NetlinkSocket, index: number): ClassInfo[] {
  return socket
    .dump({ type: messages.class.get, layout: layouts.class, header: { index } })
    .map((message) => decodeClass(message.payload));
}

/** EEXIST where the class is there, unless `replace`. */
export function addClass(socket: NetlinkSocket, spec: ClassSpec, options: { readonly replace?: boolean } = {}): void {
  const how = options.replace ? flags.replace : flags.exclusive;
  const { index, parent, handle } = spec;
  const attributes = { kind: spec.kind, options: classOptions.htb.encode(spec.options) };
  const header = { index, parent, handle };
  socket.request({ type: messages.class.new, flags: flags.create | how, layout: layouts.class, header, attributes });
}

/** False where there is none. */
export function deleteClass(
  socket: NetlinkSocket,
  where: { readonly index: number; readonly handle: number },
): boolean {
  return removed(socket, { type: messages.class.delete, layout: layouts.class, header: where }, ["ENOENT"]);
}

// ---- filters ----

/** ETH_P_ALL. */
const allProtocols = 3;

export interface FilterInfo extends TrafficInfo {
  /** Lower runs first. */
  readonly priority: number;
  /** Ethertype; 3 is all. */
  readonly protocol: number;
  readonly chain: number;
  /** For kind `bpf`. */
  readonly bpf?: {
    readonly programId: number;
    readonly name: string;
    readonly tag: Uint8Array;
    readonly directAction: boolean;
    readonly classId?: number;
  };
}

/** A BPF program as a filter, without a link: it stays when the caller ends. */
export interface BpfFilterSpec {
  readonly index: number;
  /** `handles.ingress` or `handles.egress` of a clsact, or a qdisc's handle. */
  readonly parent: number;
  /** Descriptor of a program of type sched_cls. */
  readonly fd: number;
  /** What `tc` shows. */
  readonly name: string;
  /** 1 to 65,535; lower runs first. Default the kernel's choice. */
  readonly priority?: number;
  readonly handle?: number;
  /** Ethertype; default all. */
  readonly protocol?: number;
  /** The program's result is the verdict; default true. Without it the result is a class. */
  readonly directAction?: boolean;
  readonly classId?: number;
}

const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >> 8);
/** The priority above, the ethertype in network order below. */
const infoOf = (priority: number, protocol: number): number => ((priority << 16) | swap16(protocol)) >>> 0;

function bpfOf(found: TrafficAttributes): FilterInfo["bpf"] {
  if (found.kind !== "bpf" || !found.options) return undefined;
  const options = bpfFilter.decode(found.options);
  return present<NonNullable<FilterInfo["bpf"]>>({
    programId: options.id ?? 0,
    name: options.name ?? "",
    tag: options.tag ?? new Uint8Array(0),
    directAction: ((options.flags ?? 0) & 1) !== 0,
    classId: options.classId,
  });
}

export function decodeFilter(payload: Uint8Array): FilterInfo {
  const { header, attributes: found } = decodeBody(layouts.filter, payload);
  return present<FilterInfo>({
    ...common(header, found),
    statistics: statisticsOf(found.statistics),
    priority: header.info >>> 16,
    protocol: swap16(header.info & 0xffff),
    chain: found.chain ?? 0,
    bpf: bpfOf(found),
  });
}

/** Classifiers themselves have no handle: only what is in them is listed. */
export function listFilters(
  socket: NetlinkSocket,
  where: { readonly index: number; readonly parent: number },
): FilterInfo[] {
  return socket
    .dump({ type: messages.filter.get, layout: layouts.filter, header: where })
    .map((message) => decodeFilter(message.payload))
    .filter((filter) => filter.handle !== 0);
}

/** EEXIST where the handle and priority are taken, unless `replace`, which changes the program between two packets. */
export function addBpfFilter(
  socket: NetlinkSocket,
  spec: BpfFilterSpec,
  options: { readonly replace?: boolean } = {},
): void {
  const { index, parent, fd, name, classId, directAction = true } = spec;
  const how = options.replace ? flags.replace : flags.exclusive;
  const header = {
    index,
    parent,
    handle: spec.handle ?? 0,
    info: infoOf(spec.priority ?? 0, spec.protocol ?? allProtocols),
  };
  const filter = bpfFilter.encode({ fd, name, classId, flags: directAction ? 1 : undefined });
  const attributes = { kind: "bpf", options: filter };
  socket.request({ type: messages.filter.new, flags: flags.create | how, layout: layouts.filter, header, attributes });
}

/** Deletes one filter, or without `handle` all of that priority; false where there is none. */
export function deleteFilter(
  socket: NetlinkSocket,
  where: {
    readonly index: number;
    readonly parent: number;
    readonly priority: number;
    readonly handle?: number;
    readonly protocol?: number;
  },
): boolean {
  const { index, parent, priority, protocol = allProtocols } = where;
  const header = { index, parent, handle: where.handle ?? 0, info: infoOf(priority, protocol) };
  const attributes = { kind: where.handle === undefined ? undefined : "bpf" };
  return removed(socket, { type: messages.filter.delete, layout: layouts.filter, header, attributes }, [
    "ENOENT",
    "EINVAL",
  ]);
}
