// The programs of bench/compiler and what each is run with: packets, and what its maps hold.

/** Key and value; both are little-endian bytes as the maps have them. */
export type Entry = readonly [key: Uint8Array, value: Uint8Array];

export interface Twin {
  /** bench/twins/code/NAME.bpf.ts and NAME.bpf.c: one program `run` each. */
  readonly name: string;
  readonly hook: "xdp" | "tc";
  /** Run in turn; the figure is their mean. */
  readonly packets: readonly Uint8Array[];
  /** What the first packet's run gives: 1 drop, 2 pass, 3 out again for XDP. */
  readonly verdict: number;
  /** Before the first run. */
  readonly entries?: Readonly<Record<string, readonly Entry[]>>;
  /** Maps whose content must be the same after the same runs, beside verdicts and packets. */
  readonly compared: readonly string[];
  /** A ring that is emptied between batches. */
  readonly ring?: string;
  /** Program arrays to fill with the programs named, by index. */
  readonly calls?: { readonly map: string; readonly programs: readonly (string | null)[] };
}

const KEYS = new Uint8Array(4);

// ---- bytes ----

export function bytes(...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
}

const be16 = (value: number): number[] => [value >> 8, value & 0xff];
const le32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const le64 = (value: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const zeros = (count: number): Uint8Array => new Uint8Array(count);

function padded(frame: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(Math.max(length, frame.length));
  result.set(frame);
  return result;
}

// ---- packets ----

const MACS = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const [TCP, UDP, ICMP] = [6, 17, 1];
const SOURCE = [10, 1, 2, 3];
const DESTINATION = [192, 0, 2, 10];
const ethernet = (type: number, ...rest: (readonly number[] | Uint8Array)[]): Uint8Array =>
  bytes(MACS, be16(type), ...rest);

function ipv4(
  protocol: number,
  payload: Uint8Array,
  { from = SOURCE, to = DESTINATION, options = 0 } = {},
): Uint8Array {
  const size = 20 + options * 4;
  const length = be16(size + payload.length);
  const header = bytes(0x40 | (5 + options), 0, length, [0x12, 0x34, 0, 0, 64, protocol, 0x55, 0xaa], from, to);
  return bytes(header, zeros(options * 4), payload);
}

const ipv6 = (next: number, payload: Uint8Array): Uint8Array =>
  bytes([0x60, 0, 0, 0], be16(payload.length), next, 64, zeros(15), 1, zeros(15), 2, payload);

function tcp(port: number, flags: number, { from = 40_000, options = [] as readonly number[] } = {}): Uint8Array {
  const offset = (5 + options.length / 4) << 4;
  return bytes(be16(from), be16(port), zeros(8), offset, flags, [0x20, 0, 0x31, 0x41, 0, 0], options);
}

const udp = (port: number, payload: Uint8Array): Uint8Array =>
  bytes(be16(5353), be16(port), be16(8 + payload.length), [0, 0], payload);

const ACK = 0x10;
const SYN = 0x02;
const web = padded(ethernet(0x0800, ipv4(TCP, tcp(80, ACK))), 128);
const reply = padded(
  ethernet(0x0800, ipv4(TCP, tcp(40_000, ACK, { from: 80 }), { from: DESTINATION, to: SOURCE })),
  128,
);

// ---- compute kernels: 4096 bytes by a generator of pseudo-random numbers ----

function memory(isSorted: boolean): Uint8Array {
  const result = new Uint8Array(4096);
  let x = 12345;
  for (let i = 0; i < result.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    result[i] = x >>> 24;
  }
  if (isSorted) for (let i = 0; i < 256; i++) result.set(le32(i * 0x100_0000), 2048 + i * 4);
  return result;
}

const kernel = (name: string): Twin => ({
  ...{ name, hook: "xdp", packets: [zeros(96)], verdict: 2, compared: [".bss"] },
  entries: { mem: [[KEYS, memory(name === "bsearch64")]] },
});

// ---- tables ----

const RING_OF_BACKENDS = Array.from({ length: 1021 }, (_, slot): Entry => [le32(1021 + slot), le32((slot * 7) % 16)]);
const BACKENDS = Array.from({ length: 16 }, (_, n): Entry => [le32(n), bytes([10, 9, 0, n], [2, 0, 0, 9, 0, n, 0, 0])]);
const query = bytes([0x12, 0x34, 1, 0], be16(1), zeros(6), 3, name("www"), 7, name("eXample"), 3, name("org"), 0);

function name(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

/** FNV-1a of the query's name in lower case, with its lengths. */
function hashOfName(): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes(3, name("www"), 7, name("example"), 3, name("org"))) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}

/** MSS behind two no-operations and a window scale; then SACK permitted, and a timestamp. */
const SYN_OPTIONS = [1, 1, 4, 2, 1, 3, 3, 7, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 2, 4, 5, 0xb4, 0, 0];
const hopByHop = bytes(43, 0, zeros(6));
const routing = bytes(44, 2, zeros(22));
const fragment = bytes(UDP, 0, zeros(6));

// ---- the twins ----

const PROGRAMS: readonly Twin[] = [
  {
    ...{ name: "parse", hook: "xdp", verdict: 2, compared: ["protocols"] },
    packets: [
      web,
      padded(ethernet(0x88a8, be16(7), be16(0x8100), be16(9), be16(0x0800), ipv4(UDP, udp(53, zeros(20)))), 96),
      padded(ethernet(0x86dd, ipv6(TCP, tcp(443, ACK))), 96),
      padded(ethernet(0x0800, ipv4(TCP, tcp(53, ACK), { options: 3 })), 96),
    ],
  },
  {
    ...{ name: "firewall", hook: "xdp", verdict: 1, compared: ["hits"] },
    packets: [
      web,
      padded(ethernet(0x0800, ipv4(TCP, tcp(25, SYN), { from: [198, 51, 100, 7] })), 96),
      padded(ethernet(0x0800, ipv4(UDP, udp(4000, zeros(8)), { from: [198, 51, 100, 7] })), 96),
    ],
    entries: {
      sources: [
        [bytes(le32(8), [10, 0, 0, 0]), bytes(le32(2), le32(3))],
        [bytes(le32(16), [10, 1, 0, 0]), bytes(le32(1), le32(4))],
      ],
      services: [[bytes(be16(25), TCP, 0), bytes(le32(1), le32(5))]],
    },
  },
  {
    ...{ name: "conntrack", hook: "xdp", verdict: 2, compared: ["connections"], packets: [web, reply] },
    entries: {
      connections: [[bytes(SOURCE, DESTINATION, be16(40_000), be16(80)), bytes(zeros(32), le32(1), le32(0))]],
    },
  },
  {
    ...{ name: "balancer", hook: "xdp", verdict: 3, compared: ["stats"], packets: [web] },
    entries: {
      vips: [[bytes(DESTINATION, be16(80), TCP, 0), bytes(le32(1), le32(0))]],
      ...{ table: RING_OF_BACKENDS, backends: BACKENDS },
    },
  },
  {
    ...{ name: "nat", hook: "xdp", verdict: 3, compared: [], packets: [web] },
    entries: { translations: [[bytes(DESTINATION, be16(80), 0, 0), bytes([10, 9, 8, 7], be16(8080), 0, 0)]] },
  },
  {
    ...{ name: "router", hook: "xdp", verdict: 3, compared: ["ports"], packets: [web] },
    entries: { routes: [[bytes(le32(24), [192, 0, 2, 0]), bytes(le32(3), [2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2])]] },
  },
  {
    ...{ name: "vlan", hook: "xdp", verdict: 3, compared: ["tags"] },
    packets: [padded(ethernet(0x8100, be16(0x2064), be16(0x0800), ipv4(TCP, tcp(80, ACK))), 128)],
  },
  {
    ...{ name: "echo", hook: "xdp", verdict: 3, compared: [] },
    packets: [padded(ethernet(0x0800, ipv4(ICMP, bytes([8, 0, 0xf7, 0x10, 0, 1, 0, 2]))), 128)],
  },
  {
    ...{ name: "counter", hook: "tc", verdict: 0, compared: ["counters"] },
    packets: [web, padded(ethernet(0x86dd), 96)],
  },
  { ...{ name: "sampler", hook: "xdp", verdict: 2, compared: ["seen"], packets: [web], ring: "samples" } },
  {
    ...{ name: "tcp-options", hook: "xdp", verdict: 2, compared: ["sizes"] },
    packets: [padded(ethernet(0x0800, ipv4(TCP, tcp(80, SYN, { options: SYN_OPTIONS }))), 96)],
  },
  {
    ...{ name: "ipv6-ext", hook: "xdp", verdict: 1, compared: ["carried"] },
    packets: [padded(ethernet(0x86dd, ipv6(0, bytes(hopByHop, routing, fragment, udp(53, zeros(12))))), 160)],
  },
  {
    ...{ name: "dns", hook: "xdp", verdict: 1, compared: ["blocked"] },
    packets: [padded(ethernet(0x0800, ipv4(UDP, udp(53, query))), 120)],
    entries: { blocked: [[le32(hashOfName()), le64(0)]] },
  },
  {
    ...{ name: "token-bucket", hook: "xdp", verdict: 2, compared: [], packets: [web] },
    entries: { buckets: [[bytes(SOURCE), bytes(le64(0), le64(1_000_000))]] },
  },
  { ...{ name: "histogram", hook: "tc", verdict: 0, compared: ["lengths"], packets: [web, padded(web, 1400)] } },
  {
    ...{ name: "tail-calls", hook: "xdp", verdict: 3, compared: ["passed"], packets: [web] },
    calls: { map: "stages", programs: [null, "network", "transport"] },
  },
  {
    ...{ name: "loop", hook: "xdp", verdict: 2, compared: ["total"], packets: [zeros(96)] },
    entries: { entries: Array.from({ length: 64 }, (_, n): Entry => [le32(n), bytes(le32(n % 3), le32(n * 11))]) },
  },
];

export const TWINS: readonly Twin[] = [
  ...["sum1500", "csum1500", "jhash64", "maglev64", "crc32", "siphash64", "sieve"].map(kernel),
  ...["copy1024", "bits128", "bsearch64", "collatz"].map(kernel),
  ...PROGRAMS,
];
