/**
 * @module
 * Packets that nobody would send on purpose, and those that come before and after them: seeded, so that several machines are given the same. What one
 * machine has made of a packet comes back as its answer, or quoted in an error.
 */
import { SERVICE_FLAG, type LoadBalancerRows } from "@skep/control";
import type { LayerSpec } from "@skep/net";
import { Device } from "../src/bpf/device.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { ip } from "./addresses.ts";
import { ADDRESSES, reset, type Ends } from "./drop-fixtures.ts";
import { inward, onward, up } from "./fixtures.ts";
import { FLAG, frame, HERE, network, payload, segment, type Hop, type PacketGround } from "./packet-ground.ts";
import { allRows, backend, serviceRows } from "./socket-suite.ts";

const [ETHERNET, IPV4, IPV6] = [14, 20, 40];
const KINDS = ["tcp", "udp", "sctp"] as const;
const NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;
const PROGRAMS = ["skep_from_ep", "skep_to_ep", "skep_from_net", "skep_to_net", "skep_to_ovl", "skep_xdp"] as const;

/** Draws below a bound. */
export type Draw = (below: number) => number;

/** Seeded (mulberry32). */
export function draws(seed: number): Draw {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function oneOf<T>(draw: Draw, of: readonly T[]): T {
  const found = of[draw(of.length)];
  if (found === undefined) throw new RangeError("nothing to draw from");
  return found;
}

export interface Sent {
  readonly program: (typeof PROGRAMS)[number];
  readonly data: Uint8Array;
}

// ---- the datapath ----

const BASE = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE;
/** By port of the outer address: where its backend is, and how it is reached. */
const OUTSIDE = [
  { port: 80, to: "remote", flags: 0 },
  { port: 81, to: "remote", flags: SERVICE_FLAG.DSR },
  { port: 82, to: "local", flags: 0 },
  { port: 83, to: null, flags: 0 },
  { port: 84, to: "remote", flags: SERVICE_FLAG.SOURCE_RANGE },
  { port: 85, to: "other", flags: SERVICE_FLAG.NAT_46X64 },
] as const;
const INSIDE = [
  { port: 80, to: "local" },
  { port: 81, to: "remote" },
  { port: 82, to: "pod" },
  { port: 83, to: null },
] as const;

function services(): LoadBalancerRows {
  const parts: LoadBalancerRows[] = [];
  let id = 0;
  for (const family of [4, 6] as const)
    for (const kind of KINDS) {
      const ends = ADDRESSES[family];
      const protocol = NUMBERS[kind];
      const others = ADDRESSES[family === 4 ? 6 : 4];
      const add = (at: { address: string; port: number }, to: string | null, flags: number): void => {
        id += 1;
        const address = to === "other" ? others.remote : to === null ? null : ends[to as "local"];
        const backends = address === null ? [] : [backend(id, { address, port: 8080 }, protocol)];
        parts.push(serviceRows({ id, at, protocol, backends, flags }));
      };
      for (const { port, to, flags } of OUTSIDE) add({ address: ends.external, port }, to, BASE | flags);
      for (const { port, to } of INSIDE) add({ address: ends.vip, port }, to, 0);
    }
  return allRows(...parts);
}

/** Two workloads, services of every sort, ways to everywhere. */
export function furnish(ground: PacketGround): void {
  reset({ ground });
  for (const name of ["skep_flow4", "skep_flow6"]) ground.clear(name);
  const device = { address: encodeAddress(ip(ADDRESSES[4].node)), address6: encodeAddress(ip(ADDRESSES[6].node)) };
  ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
  ground.datapath.replaceLoadBalancer(services());
  const any = ["0.0.0.0", "::"].map((each) => ({ address: ip(each), length: 0 }));
  const macs = { source: onward.source, destination: onward.destination };
  ground.datapath.syncNextHops(any.map((prefix) => ({ prefix, interfaceIndex: HERE, mtu: 1500, macs })));
  ground.datapath.syncIpcache(
    ([4, 6] as const).map((family) => ({
      prefix: { address: ip(ADDRESSES[family].remote), length: family === 4 ? 32 : 128 },
      identity: 300,
      tunnel: ip("192.0.2.8"),
    })),
  );
}

// ---- packets ----

const FLAGS = [FLAG.SYN, FLAG.ACK, FLAG.SYN | FLAG.ACK, FLAG.FIN | FLAG.ACK, FLAG.RST, 0, 0xff];
const port = (draw: Draw): number => 40_000 + draw(4);

function transport(draw: Draw, ports: readonly [number, number]): LayerSpec[] {
  const kind = oneOf(draw, KINDS);
  if (kind !== "tcp") return [segment(kind, ports)];
  const head = segment(kind, ports, oneOf(draw, FLAGS));
  const options = [{ kind: "mss", value: 1460 }, { kind: "nop" }, { kind: "window-scale", shift: 7 }] as const;
  return [draw(3) === 0 ? ({ ...head, options } as LayerSpec) : head];
}

function echo(draw: Draw, family: 4 | 6): LayerSpec[] {
  const type = family === 4 ? oneOf(draw, [8, 0, 13, 5]) : oneOf(draw, [128, 129, 135, 134, 137, 143]);
  return [{ kind: family === 4 ? "icmp" : "icmpv6", type, rest: 0x1000_0000 * draw(3) + draw(3) }];
}

/** What stands between the IP header and the transport's. */
function extensions(draw: Draw, family: 4 | 6): LayerSpec[] {
  if (family === 4 || draw(4) !== 0) return [];
  return Array.from({ length: 1 + draw(7) }, (): LayerSpec => {
    const which = draw(6);
    if (which === 0) return { kind: "ipv6-routing", routingType: 0, segmentsLeft: 0, data: new Uint8Array(4) };
    if (which === 1) return { kind: "ah", spi: 1, sequence: 1, icv: new Uint8Array(12) };
    if (which === 2)
      return { kind: "ipv6-fragment", fragmentOffset: 8 * draw(2), moreFragments: draw(2) === 0, identification: 9 };
    return { kind: "ipv6-options", place: which === 3 ? "hop-by-hop" : "destination" };
  });
}

/** Over the IPv4 header: fragments, options, among them what another node has asked. */
function over4(draw: Draw): object {
  const which = draw(8);
  if (which === 0) return { moreFragments: true, fragmentOffset: 0 };
  if (which === 1) return { moreFragments: draw(2) === 0, fragmentOffset: 8 * draw(3) };
  if (which === 2) return { options: [{ type: 0x9a, data: Uint8Array.of(80, 0, 10, 100, 51, 198) }] };
  if (which === 3) return { options: [{ type: 0x94, data: Uint8Array.of(0, 0) }] };
  return {};
}

interface Road {
  readonly program: Sent["program"];
  readonly hop: Hop;
  readonly from: keyof Ends;
  readonly to: keyof Ends;
}
const ROADS: readonly Road[] = [
  { program: "skep_from_ep", hop: up, from: "pod", to: "local" },
  { program: "skep_from_ep", hop: up, from: "pod", to: "vip" },
  { program: "skep_from_ep", hop: up, from: "pod", to: "vip" },
  { program: "skep_from_ep", hop: up, from: "pod", to: "world" },
  { program: "skep_from_ep", hop: up, from: "pod", to: "remote" },
  { program: "skep_to_ep", hop: up, from: "world", to: "pod" },
  { program: "skep_to_ep", hop: up, from: "remote", to: "pod" },
  { program: "skep_to_net", hop: inward, from: "pod", to: "world" },
  { program: "skep_to_net", hop: inward, from: "node", to: "world" },
  { program: "skep_to_ovl", hop: inward, from: "node", to: "remote" },
  { program: "skep_from_net", hop: inward, from: "world", to: "external" },
  { program: "skep_from_net", hop: inward, from: "world", to: "external" },
  { program: "skep_from_net", hop: inward, from: "world", to: "node" },
  { program: "skep_from_net", hop: inward, from: "world", to: "local" },
  { program: "skep_xdp", hop: inward, from: "world", to: "external" },
  { program: "skep_xdp", hop: inward, from: "world", to: "external" },
  { program: "skep_xdp", hop: inward, from: "remote", to: "node" },
];

function made(draw: Draw): Sent {
  const family = oneOf(draw, [4, 6] as const);
  const ends = ADDRESSES[family];
  const { program, hop, from, to } = oneOf(draw, ROADS);
  const hops = draw(12) === 0 ? draw(2) : 64;
  const inner = draw(6) === 0 ? echo(draw, family) : transport(draw, [port(draw), 80 + draw(7)]);
  const head = network(ends[from], ends[to], hops, family === 4 ? over4(draw) : {});
  const layers = [head, ...extensions(draw, family), ...inner, payload(draw(40))];
  if (draw(12) !== 0 || program !== "skep_from_net") return { program, data: frame(hop, ...layers) };
  return { program, data: tunnelled(draw, layers) };
}

/** As another node's client would be sent to a workload of this one. */
function tunnelled(draw: Draw, layers: readonly LayerSpec[]): Uint8Array {
  const options = Array.from({ length: draw(10) }, () => {
    const asked = draw(2) === 0;
    const data = Uint8Array.from({ length: oneOf(draw, [0, 4, 8, 20, 20]) }, () => draw(256));
    return asked ? { class: 0x014b, type: 0x81, data } : { class: draw(3), type: draw(256), data };
  });
  return frame(
    inward,
    network(ADDRESSES[4].world, ADDRESSES[4].node),
    { kind: "udp", sourcePort: 50_000, destinationPort: 6081, checksum: 0 },
    { kind: "geneve", vni: 2, options },
    { kind: "ethernet", ...inward },
    ...layers,
  );
}

const isIpv4 = (data: Uint8Array): boolean => data[12] === 0x08 && data[13] === 0;

/** The whole IP header is there. */
function isWhole(data: Uint8Array): boolean {
  const type = (data[12] ?? 0) * 256 + (data[13] ?? 0);
  if (type === 0x0800) return data.length >= ETHERNET + IPV4;
  return type === 0x86dd ? data.length >= ETHERNET + IPV6 : data.length > ETHERNET;
}

/** The same packet from its other end: addresses and ports exchanged. */
function answerTo(data: Uint8Array): Uint8Array {
  const copy = data.slice();
  const size = isIpv4(data) ? 4 : 16;
  const at = ETHERNET + (isIpv4(data) ? 12 : 8);
  copy.copyWithin(at, at + size, at + 2 * size);
  copy.set(data.subarray(at, at + size), at + size);
  const ports = ETHERNET + (isIpv4(data) ? ((data[ETHERNET] ?? 0) & 15) * 4 : IPV6);
  if (ports + 4 > data.length) return copy;
  copy.copyWithin(ports, ports + 2, ports + 4);
  copy.set(data.subarray(ports, ports + 2), ports + 2);
  return copy;
}

/** An error about the packet, from who had it: it quotes what may be cut anywhere. */
function errorAbout(draw: Draw, data: Uint8Array): Uint8Array {
  const is4 = isIpv4(data);
  const about = is4 ? 4 : 6;
  const at = ETHERNET + (is4 ? 12 : 8);
  const size = is4 ? 4 : 16;
  const source = { family: about, bytes: data.slice(at, at + size) } as const;
  const router = ip(draw(2) === 0 ? ADDRESSES[about].remote : ADDRESSES[about].world);
  const quoted = data.subarray(ETHERNET, draw(3) === 0 ? ETHERNET + draw(80) : data.length);
  const type = is4 ? oneOf(draw, [3, 11, 12, 5]) : oneOf(draw, [1, 2, 3, 4, 100]);
  const ends = is4
    ? { kind: "ipv4", source: router, destination: source, ttl: 60 }
    : { kind: "ipv6", source: router, destination: source, hopLimit: 60 };
  const error = { kind: is4 ? "icmp" : "icmpv6", type, code: draw(5), rest: 1400 };
  return frame(inward, ends as LayerSpec, error as LayerSpec, { kind: "payload", bytes: quoted });
}

const filler = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at);

const ODD = [0, 1, 4, 5, 6, 17, 44, 51, 58, 59, 60, 132, 0x45, 0x46, 0x4f, 0x60, 0x7f, 0x80, 0xff];

/** Changed somewhere, cut, or lengthened. */
function mutated(draw: Draw, data: Uint8Array): Uint8Array {
  let copy = data.slice();
  for (let left = draw(4); left > 0; left--) {
    const at = draw(Math.min(copy.length, 120));
    switch (draw(6)) {
      case 0:
        copy = copy.slice(0, Math.max(ETHERNET, draw(copy.length + 1)));
        break;
      case 1:
        copy = Uint8Array.from([...copy, ...filler(draw(30))]);
        break;
      case 2:
        copy[ETHERNET + draw(Math.max(1, Math.min(IPV4, copy.length - ETHERNET)))] = oneOf(draw, ODD);
        break;
      case 3:
        copy[at] = oneOf(draw, ODD);
        break;
      default:
        copy[at] = (copy[at] ?? 0) ^ (1 << draw(8));
    }
  }
  return copy.length > ETHERNET ? copy : data;
}

/** Packets without end. `note`: what became of the last one. */
export class Traffic {
  readonly #draw: Draw;
  readonly #past: Uint8Array[] = [];

  constructor(seed: number) {
    this.#draw = draws(seed);
  }

  next(): Sent {
    const draw = this.#draw;
    const past = this.#past.length > 0 && draw(3) !== 0 ? oneOf(draw, this.#past) : null;
    const { program, data } = past ? this.#after(past) : made(draw);
    const other = draw(3) === 0 ? data : mutated(draw, data);
    // The kernel runs no tests of shorter ones.
    return isWhole(other) ? { program, data: other } : this.next();
  }

  #after(past: Uint8Array): Sent {
    const draw = this.#draw;
    const program = oneOf(draw, PROGRAMS);
    const which = draw(4);
    if (which === 0) return { program, data: past };
    if (which === 1) return { program, data: errorAbout(draw, past) };
    return { program, data: answerTo(past) };
  }

  note(data: Uint8Array): void {
    if (data.length < ETHERNET + IPV6) return;
    if (this.#past.length < 64) this.#past.push(data);
    else this.#past[this.#draw(64)] = data;
  }
}
