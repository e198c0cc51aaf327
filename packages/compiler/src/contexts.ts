/**
 * @module
 * Members of the program contexts: offsets and sizes in the kernel's structs (include/uapi/linux/bpf.h), and which may be written
 * (`*_is_valid_access` in net/core/filter.c).
 */
import { INTS, type IntT } from "./types.ts";
import { PROGRAM_KINDS } from "@skep/bpf";
import type { ContextField } from "./values.ts";

interface FieldOptions {
  readonly size?: ContextField["size"];
  readonly type?: IntT;
  readonly order?: ContextField["order"];
  readonly writable?: boolean;
}

function field(offset: number, options: FieldOptions = {}): ContextField {
  return {
    offset,
    size: options.size ?? 4,
    type: options.type ?? INTS.u32,
    order: options.order ?? "host",
    writable: options.writable ?? false,
  };
}

const words = (offset: number, count: number, options: FieldOptions = {}): ContextField[] =>
  Array.from({ length: count }, (_, at) => field(offset + at * 4, options));

export interface PacketPlace {
  readonly data: number;
  readonly dataEnd: number;
  readonly size?: 8;
}

export interface ContextPointer {
  readonly offset: number;
  readonly to: "socket" | "flowKeys";
}

const socketAt = (offset: number): { readonly socket: ContextPointer } => ({ socket: { offset, to: "socket" } });

interface ContextShape {
  /** The kernel's struct. */
  readonly struct: string;
  readonly fields: Readonly<Record<string, ContextField>>;
  readonly arrays: Readonly<Record<string, readonly ContextField[]>>;
  /** Pointers to structures: a socket (or none), the flow's keys. */
  readonly pointers?: Readonly<Record<string, ContextPointer>>;
  /** Offset of the pointer to what XDP left before the packet. */
  readonly metadata?: number;
  /** Offsets of the packet's start and end; `size`: of each, 4 where it is not said. */
  readonly packet?: PacketPlace;
}

const SK_BUFF = {
  length: field(0),
  mark: field(8, { writable: true }),
  protocol: field(16, { type: INTS.u16, order: "be16" }),
  priority: field(32, { writable: true }),
  ingressIfindex: field(36),
  ifindex: field(40),
  hash: field(68),
} as const;

const IP6 = { order: "be32" } as const;
const IP6_WRITABLE = { order: "be32", writable: true } as const;

const SHAPES: Readonly<Record<string, ContextShape>> = {
  TcContext: {
    struct: "__sk_buff",
    fields: {
      ...SK_BUFF,
      packetType: field(4),
      queueMapping: field(12, { writable: true }),
      vlanPresent: field(20),
      vlanTag: field(24),
      vlanProtocol: field(28, { type: INTS.u16, order: "be16" }),
      tcIndex: field(44, { writable: true }),
      tcClassid: field(72, { writable: true }),
      napiId: field(84),
      timestamp: field(152, { size: 8, type: INTS.u64, writable: true }),
      wireLength: field(160),
      gsoSegs: field(164),
      gsoSize: field(176),
      hardwareTimestamp: field(184, { size: 8, type: INTS.u64 }),
    },
    arrays: { cb: words(48, 5, { writable: true }) },
    pointers: socketAt(168),
    metadata: 140,
    packet: { data: 76, dataEnd: 80 },
  },
  CgroupSkbContext: {
    struct: "__sk_buff",
    fields: {
      ...SK_BUFF,
      family: field(88),
      remoteIp4: field(92, { order: "be32" }),
      localIp4: field(96, { order: "be32" }),
      remotePort: field(132, { type: INTS.u16, order: "be32" }),
      localPort: field(136),
      timestamp: field(152, { size: 8, type: INTS.u64 }),
    },
    arrays: { cb: words(48, 5, { writable: true }), remoteIp6: words(100, 4, IP6), localIp6: words(116, 4, IP6) },
    pointers: socketAt(168),
    packet: { data: 76, dataEnd: 80 },
  },
  XdpContext: {
    struct: "xdp_md",
    fields: { ingressIfindex: field(12), rxQueueIndex: field(16), egressIfindex: field(20) },
    arrays: {},
    metadata: 8,
    packet: { data: 0, dataEnd: 4 },
  },
  SockAddrContext: {
    struct: "bpf_sock_addr",
    fields: {
      userFamily: field(0),
      userIp4: field(4, { order: "be32", writable: true }),
      userPort: field(24, { type: INTS.u16, order: "be16", writable: true }),
      family: field(28),
      type: field(32),
      protocol: field(36),
      msgSrcIp4: field(40, { order: "be32", writable: true }),
    },
    arrays: { userIp6: words(8, 4, IP6_WRITABLE), msgSrcIp6: words(44, 4, IP6_WRITABLE) },
    pointers: socketAt(64),
  },
  SockContext: {
    struct: "bpf_sock",
    fields: {
      boundDevIf: field(0, { writable: true }),
      family: field(4),
      type: field(8),
      protocol: field(12),
      mark: field(16, { writable: true }),
      priority: field(20, { writable: true }),
      srcIp4: field(24, { order: "be32" }),
      srcPort: field(44),
      dstPort: field(48, { type: INTS.u16, size: 2, order: "be16" }),
      dstIp4: field(52, { order: "be32" }),
      state: field(72),
    },
    arrays: { srcIp6: words(28, 4, IP6), dstIp6: words(56, 4, IP6) },
  },
  SockOpsContext: {
    struct: "bpf_sock_ops",
    fields: {
      op: field(0),
      reply: field(4, { writable: true }),
      family: field(20),
      remoteIp4: field(24, { order: "be32" }),
      localIp4: field(28, { order: "be32" }),
      remotePort: field(64, { type: INTS.u16, order: "be32" }),
      localPort: field(68),
      isFullsock: field(72),
      sndCwnd: field(76),
      srttUs: field(80),
      state: field(88),
      rttMin: field(92),
      segsOut: field(148),
      segsIn: field(140),
      bytesReceived: field(168, { size: 8, type: INTS.u64 }),
      bytesAcked: field(176, { size: 8, type: INTS.u64 }),
      callbackFlags: field(84),
      sndSsthresh: field(96),
      rcvNxt: field(100),
      sndNxt: field(104),
      sndUna: field(108),
      mssCache: field(112),
      ecnFlags: field(116),
      rateDelivered: field(120),
      rateIntervalUs: field(124),
      packetsOut: field(128),
      retransOut: field(132),
      totalRetrans: field(136),
      dataSegsIn: field(144),
      dataSegsOut: field(152),
      lostOut: field(156),
      sackedOut: field(160),
      packetLength: field(208),
      packetFlags: field(212),
    },
    arrays: { args: words(4, 4), remoteIp6: words(32, 4, IP6), localIp6: words(48, 4, IP6) },
    pointers: socketAt(184),
  },
  SkLookupContext: {
    struct: "bpf_sk_lookup",
    fields: {
      family: field(8),
      protocol: field(12),
      remoteIp4: field(16, { order: "be32" }),
      remotePort: field(36, { size: 2, type: INTS.u16, order: "be16" }),
      localIp4: field(40, { order: "be32" }),
      localPort: field(60),
      ingressIfindex: field(64),
    },
    arrays: { remoteIp6: words(20, 4, IP6), localIp6: words(44, 4, IP6) },
    pointers: socketAt(0),
  },
  SocketFilterContext: {
    struct: "__sk_buff",
    fields: {
      ...SK_BUFF,
      mark: field(8),
      priority: field(32),
    },
    arrays: { cb: words(48, 5, { writable: true }) },
  },
  LwtContext: {
    struct: "__sk_buff",
    fields: SK_BUFF,
    arrays: { cb: words(48, 5, { writable: true }) },
    packet: { data: 76, dataEnd: 80 },
  },
  SkSkbContext: {
    struct: "__sk_buff",
    fields: {
      length: field(0),
      protocol: field(16, { type: INTS.u16, order: "be16" }),
      priority: field(32, { writable: true }),
      family: field(88),
      remoteIp4: field(92, { order: "be32" }),
      localIp4: field(96, { order: "be32" }),
      remotePort: field(132, { type: INTS.u16, order: "be32" }),
      localPort: field(136),
    },
    arrays: {},
    packet: { data: 76, dataEnd: 80 },
  },
  SkMsgContext: {
    struct: "sk_msg_md",
    fields: {
      family: field(16),
      remoteIp4: field(20, { order: "be32" }),
      localIp4: field(24, { order: "be32" }),
      remotePort: field(60, { type: INTS.u16, order: "be32" }),
      localPort: field(64),
      size: field(68),
    },
    arrays: { remoteIp6: words(28, 4, IP6), localIp6: words(44, 4, IP6) },
    pointers: socketAt(72),
    packet: { data: 0, dataEnd: 8, size: 8 },
  },
  SkReuseportContext: {
    struct: "sk_reuseport_md",
    fields: {
      length: field(16),
      ethProtocol: field(20, { type: INTS.u16, order: "be16" }),
      ipProtocol: field(24),
      bindInany: field(28),
      hash: field(32),
    },
    arrays: {},
    pointers: { ...socketAt(40), migrating: { offset: 48, to: "socket" } },
    packet: { data: 0, dataEnd: 8, size: 8 },
  },
  CgroupDeviceContext: {
    struct: "bpf_cgroup_dev_ctx",
    fields: { accessType: field(0), major: field(4), minor: field(8) },
    arrays: {},
  },
  CgroupSysctlContext: {
    struct: "bpf_sysctl",
    fields: { write: field(0), filePos: field(4, { writable: true }) },
    arrays: {},
  },
  CgroupSockoptContext: {
    struct: "bpf_sockopt",
    fields: {
      level: field(24, { type: INTS.i32, writable: true }),
      optname: field(28, { type: INTS.i32, writable: true }),
      optlen: field(32, { type: INTS.i32, writable: true }),
      retval: field(36, { type: INTS.i32, writable: true }),
    },
    arrays: {},
    pointers: socketAt(0),
    // The option's value is checked as a packet is.
    packet: { data: 8, dataEnd: 16, size: 8 },
  },
  FlowDissectorContext: {
    struct: "__sk_buff",
    fields: {},
    arrays: {},
    pointers: { flowKeys: { offset: 144, to: "flowKeys" } },
    packet: { data: 76, dataEnd: 80 },
  },
  SyscallContext: { struct: "void", fields: {}, arrays: {} },
  ReplacedContext: { struct: "void", fields: {}, arrays: {} },
  TracedContext: { struct: "void", fields: {}, arrays: {} },
  IteratorContext: { struct: "void", fields: {}, arrays: {} },
  RawTracepointContext: { struct: "bpf_raw_tracepoint_args", fields: {}, arrays: {} },
  KprobeContext: {
    struct: "pt_regs",
    fields: {
      returned: field(80, { size: 8, type: INTS.u64 }),
      ip: field(128, { size: 8, type: INTS.u64 }),
    },
    arrays: {},
  },
  TracepointContext: { struct: "trace_entry", fields: {}, arrays: {} },
  PerfEventContext: {
    struct: "bpf_perf_event_data",
    fields: {
      samplePeriod: field(168, { size: 8, type: INTS.u64 }),
      address: field(176, { size: 8, type: INTS.u64 }),
    },
    arrays: {},
  },
};

/** What the context of a program type looks like; `program` is a key of PROGRAM_KINDS. */
export function contextShape(program: string): ContextShape | null {
  const kind = PROGRAM_KINDS[program];
  return kind ? (SHAPES[kind.context] ?? null) : null;
}

export function contextField(program: string, name: string): ContextField | null {
  return contextShape(program)?.fields[name] ?? null;
}

export function contextArray(program: string, name: string): readonly ContextField[] | null {
  return contextShape(program)?.arrays[name] ?? null;
}

export function contextPointer(program: string, name: string): ContextPointer | null {
  return contextShape(program)?.pointers?.[name] ?? null;
}

/** The program type that has a context of that interface: of several, the first. */
export function programOfContext(context: string): string | null {
  return Object.keys(PROGRAM_KINDS).find((name) => PROGRAM_KINDS[name]?.context === context) ?? null;
}

/** Offsets of the arguments' registers in x86-64's struct pt_regs. */
export const KPROBE_ARGUMENTS = [112, 104, 96, 88, 72, 64] as const;
