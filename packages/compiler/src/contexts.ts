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

interface ContextShape {
  /** The kernel's struct. */
  readonly struct: string;
  readonly fields: Readonly<Record<string, ContextField>>;
  readonly arrays: Readonly<Record<string, readonly ContextField[]>>;
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
      tcClassid: field(72, { writable: true }),
      gsoSegs: field(164),
      gsoSize: field(176),
    },
    arrays: { cb: words(48, 5, { writable: true }) },
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
    },
    arrays: { cb: words(48, 5, { writable: true }) },
    packet: { data: 76, dataEnd: 80 },
  },
  XdpContext: {
    struct: "xdp_md",
    fields: { ingressIfindex: field(12), rxQueueIndex: field(16), egressIfindex: field(20) },
    arrays: {},
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
      state: field(72),
    },
    arrays: { srcIp6: words(28, 4, IP6) },
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
    },
    arrays: { remoteIp6: words(32, 4, IP6), localIp6: words(48, 4, IP6) },
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
  },
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

/** Offsets of the arguments' registers in x86-64's struct pt_regs. */
export const KPROBE_ARGUMENTS = [112, 104, 96, 88, 72, 64] as const;
