import { afterAll, describe, expect, it } from "vitest";
import { buildPacket, findLayer, parseAddress, parsePacket, type LayerSpec } from "@skep/net";
import { start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const mac = (last: number) => Uint8Array.of(2, 0, 0, 0, 0, last);
const ip = (text: string) => parseAddress(text)!;
const ethernet: LayerSpec = { kind: "ethernet", source: mac(1), destination: mac(2) };
const outer: LayerSpec = { kind: "ipv4", source: ip("10.0.0.1"), destination: ip("10.0.0.2") };
const inside: LayerSpec = { kind: "ipv4", source: ip("192.0.2.1"), destination: ip("192.0.2.2"), ttl: 33 };
const udp = (port: number, more: object = {}): LayerSpec => ({
  kind: "udp",
  sourcePort: 1234,
  destinationPort: port,
  ...more,
});
const end: LayerSpec = { kind: "payload", bytes: new Uint8Array(24).fill(7) };

/** Where the nth layer of a kind stands, as @skep/net sees it. */
function offsetOf(packet: Uint8Array, kind: string, nth = 0): number {
  const parsed = parsePacket(packet);
  const at = parsed.layers.flatMap((layer, index) => (layer.kind === kind ? [index] : []))[nth] ?? -1;
  return parsed.spans[at]?.offset ?? -1;
}

const HEAD = `
import { array, be32, hash, hashOfMaps, lruHash, struct, u16, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Arp, Dns, Ethernet, ETHERTYPE, Geneve, GeneveOption, Gre, Gue, Icmp, Icmpv6, Ipv4, Ipv6, PROTOCOL, Sctp, SctpChunk, Tcp, Udp, Vlan, Vxlan } from "@skep/bpf/net";
import { dnsQuestion, findGeneveOption, findIpv4Option, findTcpOption, innerOf, skipIpv6Extensions, skipVlans } from "@skep/bpf/parse";
import { internetChecksum, replaceIpv6Address, replaceLong, replaceWord, udpChecksum } from "@skep/bpf/checksum";
import { crc32c, jhash, murmur3, sipHash } from "@skep/bpf/hash";
import { countLinear, countLog2, getIn, getOrAdd, increment } from "@skep/bpf/maps";
const Answer = struct("Answer", { a: u32, b: u32, c: u32, d: u64 });
export const answers = array("answers", { value: Answer, maxEntries: 1 });
`;

describe.skipIf(!canUseBpf())("headers of the standard library, against @skep/net", () => {
  const open: Running[] = [];
  afterAll(() => open.forEach((one) => one.close()));
  /** Runs a body that fills in `out`; what it gave and filled in. */
  function compile(body: string, top = "") {
    const running = start(`${HEAD}${top}
      export const main = xdp("main", (ctx) => {
        const out = answers.get(0);
        if (!out) return XDP.ABORTED;
        ${body}
      });`);
    open.push(running);
    return (packet: Uint8Array) => {
      const zero = new Uint8Array(24);
      running.collection.maps["answers"]!.set(new Uint8Array(4), zero);
      const { returned } = running.run(packet);
      const view = new DataView(running.collection.maps["answers"]!.get(new Uint8Array(4))!.buffer);
      return {
        returned,
        a: view.getUint32(0, true),
        b: view.getUint32(4, true),
        c: view.getUint32(8, true),
        d: view.getBigUint64(16, true),
      };
    };
  }

  it("skips VLAN tags, one and two", () => {
    const run = compile(`
      const ethernet = ctx.header(Ethernet, 0);
      if (!ethernet) return 1;
      const network = skipVlans(ctx, ethernet.type, Ethernet.size);
      if (!network) return 1;
      out.a = network.type; out.b = network.offset; out.c = network.vlan; out.d = u64(network.outer);
      return 2;`);
    const tag = (id: number): LayerSpec => ({ kind: "vlan", priority: 0, dropEligible: false, id });
    for (const tags of [[], [tag(7)], [tag(7), tag(9)]]) {
      const packet = buildPacket([ethernet, ...tags, outer, udp(5), end]);
      const last = tags.at(-1);
      expect(run(packet)).toMatchObject({
        returned: 2,
        a: 0x0800,
        b: offsetOf(packet, "ipv4"),
        c: last?.kind === "vlan" ? last.id : 0,
        d: tags.length === 2 ? 7n : 0n,
      });
    }
  });

  it("finds IPv4 options", () => {
    const run = compile("const at = findIpv4Option(ctx, 14, 148); if (at === null) return 1; out.a = at; return 2;");
    const option = (type: number, ...data: number[]) => ({ type, data: Uint8Array.from(data) });
    const options = [option(1), option(7, 4, 0, 0, 0, 0), option(148, 0, 0)];
    expect(run(buildPacket([ethernet, { ...outer, options } as LayerSpec, udp(5), end]))).toMatchObject({
      returned: 2,
      a: 14 + 20 + 1 + 7,
    });
    expect(
      run(buildPacket([ethernet, { ...outer, options: options.slice(0, 2) } as LayerSpec, udp(5), end])).returned,
    ).toBe(1);
    expect(run(buildPacket([ethernet, outer, udp(5), end])).returned).toBe(1);
  });

  const TUNNEL = `
    const ip = ctx.header(Ipv4, Ethernet.size);
    if (!ip) return 0;
    const inner = innerOf(ctx, ip.protocol, Ethernet.size + ip.ihl * 4);
    if (!inner) return 1;
    out.a = inner.type; out.b = inner.offset; out.c = inner.id;
    const at = inner.type === ETHERTYPE.BRIDGED ? inner.offset + Ethernet.size : inner.offset;
    const second = ctx.header(Ipv4, at);
    out.d = second && inner.type !== ETHERTYPE.IPV6 ? u64(second.ttl) : 0n;
    return 2;`;

  it("looks into tunnels: IPIP, IPv6 in IP, GRE, VXLAN, Geneve, GUE", () => {
    const run = compile(TUNNEL);
    const six: LayerSpec = { kind: "ipv6", source: ip("2001:db8::1"), destination: ip("2001:db8::2") };
    const wrapped = (...layers: LayerSpec[]) => buildPacket([ethernet, outer, ...layers, udp(5), end]);
    const expectInner = (
      packet: Uint8Array,
      wanted: { type: number; id: number; ttl?: bigint; kind?: string; nth?: number },
    ) =>
      expect(run(packet)).toMatchObject({
        returned: 2,
        a: wanted.type,
        b: offsetOf(packet, wanted.kind ?? "ipv4", wanted.nth ?? 1),
        c: wanted.id,
        d: wanted.ttl ?? 33n,
      });
    expectInner(wrapped(inside), { type: 0x0800, id: 0 });
    expectInner(wrapped(six), { type: 0x86dd, id: 0, ttl: 0n, kind: "ipv6", nth: 0 });
    for (const more of [
      {},
      { key: 99 },
      { checksum: "compute", key: 99, sequence: 5 },
      { checksum: "compute" },
    ] as const) {
      const gre = { kind: "gre", checksum: null, key: null, sequence: null, ...more } as LayerSpec;
      expectInner(wrapped(gre, inside), { type: 0x0800, id: "key" in more ? 99 : 0 });
    }
    expectInner(wrapped(udp(4789), { kind: "vxlan", vni: 0x123456 }, ethernet, inside), {
      type: 0x6558,
      id: 0x123456,
      kind: "ethernet",
    });
    const options = [{ class: 0x102, type: 5, data: new Uint8Array(8) }];
    expectInner(wrapped(udp(6081), { kind: "geneve", vni: 77, options }, inside), { type: 0x0800, id: 77 });
    const gue: LayerSpec = { kind: "payload", bytes: Uint8Array.of(1, 4, 0, 0, 1, 2, 3, 4) };
    const bytes = buildPacket([inside, udp(5), end]);
    const packet = buildPacket([ethernet, outer, udp(6080), gue, { kind: "payload", bytes }]);
    expect(run(packet)).toMatchObject({ returned: 2, a: 0x0800, b: 14 + 20 + 8 + 8, c: 0, d: 33n });
    expect(run(buildPacket([ethernet, outer, udp(53), end])).returned).toBe(1);
    expect(run(buildPacket([ethernet, { ...outer, protocol: 132 } as LayerSpec, end])).returned).toBe(1);
  });

  it("finds Geneve options", () => {
    const run = compile(
      "const at = findGeneveOption(ctx, 14 + 20 + 8, { class: 0x102, type: 9 }); if (at === null) return 1; out.a = at; return 2;",
    );
    const option = (type: number, bytes: number) => ({ class: 0x102, type, data: new Uint8Array(bytes) });
    const wrapped = (...options: ReturnType<typeof option>[]) =>
      buildPacket([ethernet, outer, udp(6081), { kind: "geneve", vni: 1, options }, inside, udp(5), end]);
    expect(run(wrapped(option(5, 8), option(9, 4)))).toMatchObject({ returned: 2, a: 42 + 8 + 12 });
    expect(run(wrapped(option(5, 8))).returned).toBe(1);
  });

  it("reads DNS questions", () => {
    const run = compile(
      "const question = dnsQuestion(ctx, 14 + 20 + 8); if (!question) return 1; out.a = question.type; out.d = question.name; return 2;",
    );
    const fnv = (bytes: readonly number[]) =>
      bytes.reduce((hash, byte) => BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n);
    const labels = (name: string) =>
      name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
    const message = (name: string, count = 1) => ({
      kind: "payload" as const,
      bytes: Uint8Array.of(0, 1, 1, 0, 0, count, 0, 0, 0, 0, 0, 0, ...labels(name), 0, 0, 28, 0, 1),
    });
    const ask = (name: string, count = 1) => run(buildPacket([ethernet, outer, udp(53), message(name, count)]));
    expect(ask("www.Example.org")).toMatchObject({ returned: 2, a: 28, d: fnv(labels("www.example.org")) });
    expect(ask("x".repeat(60) + ".org").returned).toBe(1);
    expect(ask("example.org", 0).returned).toBe(1);
  });

  it("goes over every extension of IPv6, and stops in later fragments", () => {
    const run = compile(`
      const found = skipIpv6Extensions(ctx, Ethernet.size);
      if (!found) return 1;
      out.a = found.protocol; out.b = found.offset; out.c = found.fragment ? 1 : 0;
      if (found.fragment) return 2;
      const at = findTcpOption(ctx, found.offset, 8);
      if (at !== null) out.d = u64(at);
      return 2;`);
    const six: LayerSpec = { kind: "ipv6", source: ip("2001:db8::1"), destination: ip("2001:db8::2") };
    const tcp: LayerSpec = {
      ...{ kind: "tcp", sourcePort: 1, destinationPort: 2, sequence: 77, acknowledgment: 0, flags: 0x12, window: 512 },
      options: [
        { kind: "mss", value: 1400 },
        { kind: "nop" },
        { kind: "nop" },
        { kind: "timestamps", value: 1, echo: 2 },
      ],
    } as LayerSpec;
    const options = (place: string, length: number) =>
      ({ kind: "ipv6-options", place, options: [{ type: 1, data: new Uint8Array(length) }] }) as LayerSpec;
    const routing = { kind: "ipv6-routing", routingType: 4, segmentsLeft: 0, data: new Uint8Array(20) } as LayerSpec;
    const ah = { kind: "ah", spi: 5, sequence: 6, icv: new Uint8Array(12) } as LayerSpec;
    const fragment = (fragmentOffset: number) =>
      ({ kind: "ipv6-fragment", fragmentOffset, moreFragments: true, identification: 9 }) as LayerSpec;
    const chains = [[], [options("hop-by-hop", 4)], [options("hop-by-hop", 12), routing, fragment(0), ah]];
    for (const chain of [...chains, [ah], [routing, options("destination", 4)]]) {
      const packet = buildPacket([ethernet, six, ...chain, tcp, end]);
      const offset = offsetOf(packet, "tcp");
      expect(offset).toBeGreaterThan(0);
      expect(run(packet)).toMatchObject({ returned: 2, a: 6, b: offset, c: 0, d: BigInt(offset + 20 + 4 + 2) });
    }
    const later = buildPacket([ethernet, six, { ...fragment(16), nextHeader: 60 } as LayerSpec, end]);
    expect(run(later)).toMatchObject({ returned: 2, a: 60, b: 14 + 40 + 8, c: 1 });
  });

  it("mends the checksums of TCP and UDP, and sums SCTP, as the builder does", () => {
    const from = ["2001:db8::1", "2001:db8::2"] as const;
    const packet = (source: string, port: number, kind: "tcp" | "udp") =>
      buildPacket([
        ethernet,
        { kind: "ipv6", source: ip(source), destination: ip(from[1]) },
        kind === "udp"
          ? udp(port)
          : { kind, sourcePort: 1, destinationPort: port, sequence: 1, acknowledgment: 0, flags: 2, window: 9 },
        end,
      ] as LayerSpec[]);
    const run = compile(`
      const six = ctx.header(Ipv6, Ethernet.size);
      if (!six) return 1;
      const to = { w0: 0x20010db8, w1: 0xffff, w2: 0x12345678, w3: 0xfe };
      if (six.nextHeader === PROTOCOL.UDP) {
        const udp = ctx.header(Udp, Ethernet.size + Ipv6.size);
        if (!udp) return 1;
        const moved = replaceIpv6Address(udp.checksum, six.source, to);
        out.a = udpChecksum(udp.checksum, replaceWord(moved, udp.destination, 4444));
        return 2;
      }
      const tcp = ctx.header(Tcp, Ethernet.size + Ipv6.size);
      if (!tcp) return 1;
      const moved = replaceIpv6Address(tcp.checksum, six.source, to);
      out.a = replaceWord(moved, tcp.destination, 4444);
      return 2;`);
    for (const kind of ["udp", "tcp"] as const) {
      const wanted = findLayer(parsePacket(packet("2001:db8:0:ffff:1234:5678:0:fe", 4444, kind)), kind)!.checksum;
      expect(run(packet(from[0], 80, kind))).toMatchObject({ returned: 2, a: wanted });
    }

    const sum = compile(
      `
      const all = ctx.header(Whole, 34);
      if (!all) return 1;
      const sctp = ctx.header(Sctp, 34);
      if (!sctp) return 1;
      out.a = sctp.checksum;
      sctp.checksum = 0;
      out.b = crc32c(all.bytes);
      return 2;`,
      'const Whole = struct("Whole", { bytes: array(u8, 32) });',
    );
    const sctp = buildPacket([
      ethernet,
      outer,
      {
        kind: "sctp",
        sourcePort: 1,
        destinationPort: 2905,
        verificationTag: 0xdeadbeef,
        chunks: [{ type: 0, flags: 3, data: Uint8Array.from({ length: 16 }, (_, at) => at) }],
      } as LayerSpec,
    ]);
    const { returned, a, b } = sum(sctp);
    expect([returned, b]).toEqual([2, a]);
    expect(a).not.toBe(0);
  });

  it("hashes and sums bytes to the published values", () => {
    const run = compile(
      `
      const text = ctx.header(Text, 0);
      if (!text) return 0;
      out.a = jhash(text.bytes, 1);
      out.b = murmur3(text.bytes, 0x9747b28c);
      out.c = internetChecksum(text.bytes);
      out.d = sipHash(text.bytes, 0x0706050403020100n, 0x0f0e0d0c0b0a0908n);
      return 2;`,
      'const Text = struct("Text", { bytes: array(u8, 30) });',
    );
    const text = new Uint8Array(64);
    text.set(new TextEncoder().encode("Four score and seven years ago"));
    // lookup3.c itself; the others by independent implementations (OpenSSL for SipHash).
    expect(run(text)).toMatchObject({ returned: 2, a: 0xcd628161, b: 0xdf1e2d22, c: 0x539a, d: 0xac22aec7d4734d35n });
  });

  it("lays out ARP, ICMP, ICMPv6, SCTP and TCP as they are on the wire", () => {
    const run = compile(`
      const ethernet = ctx.header(Ethernet, 0);
      if (!ethernet) return 0;
      if (ethernet.type === ETHERTYPE.ARP) {
        const arp = ctx.header(Arp, Ethernet.size);
        if (!arp) return 0;
        out.a = arp.operation; out.b = arp.senderIp; out.c = arp.targetIp; out.d = u64(arp.senderMac[5]);
        return 2;
      }
      if (ethernet.type === ETHERTYPE.IPV6) {
        const six = ctx.header(Ipv6, Ethernet.size);
        const icmp = ctx.header(Icmpv6, Ethernet.size + Ipv6.size);
        if (!six || !icmp) return 0;
        out.a = icmp.type; out.b = icmp.identifier; out.c = six.destination.w3; out.d = u64(icmp.checksum);
        return 2;
      }
      const ip = ctx.header(Ipv4, Ethernet.size);
      if (!ip) return 0;
      const at = Ethernet.size + ip.ihl * 4;
      if (ip.protocol === PROTOCOL.ICMP) {
        const icmp = ctx.header(Icmp, at);
        if (!icmp) return 0;
        out.a = icmp.type; out.b = icmp.identifier; out.c = icmp.sequence; out.d = u64(icmp.checksum);
        return 2;
      }
      if (ip.protocol === PROTOCOL.SCTP) {
        const sctp = ctx.header(Sctp, at);
        const chunk = ctx.header(SctpChunk, at + Sctp.size);
        if (!sctp || !chunk) return 0;
        out.a = sctp.destination; out.b = sctp.tag; out.c = chunk.type; out.d = u64(chunk.length);
        return 2;
      }
      const tcp = ctx.header(Tcp, at);
      if (!tcp) return 0;
      out.a = tcp.sequence; out.b = tcp.flags; out.c = tcp.window; out.d = u64(tcp.offset);
      return 2;`);
    const arp: LayerSpec = {
      kind: "arp",
      operation: 1,
      senderMac: mac(9),
      senderAddress: ip("1.2.3.4"),
      targetMac: mac(0),
      targetAddress: ip("5.6.7.8"),
    };
    expect(run(buildPacket([{ ...ethernet, etherType: 0x0806 } as LayerSpec, arp, end]))).toMatchObject({
      a: 1,
      b: 0x01020304,
      c: 0x05060708,
      d: 9n,
    });
    const six = buildPacket([
      ethernet,
      { kind: "ipv6", source: ip("::1"), destination: ip("::9") },
      { kind: "icmpv6", type: 128, code: 0, rest: 0x0007_0008 },
      end,
    ]);
    expect(run(six)).toMatchObject({ a: 128, b: 7, c: 9, d: BigInt(findLayer(parsePacket(six), "icmpv6")!.checksum) });
    const four = buildPacket([ethernet, outer, { kind: "icmp", type: 8, code: 0, rest: 0x0007_0008 }, end]);
    expect(run(four)).toMatchObject({ a: 8, b: 7, c: 8, d: BigInt(findLayer(parsePacket(four), "icmp")!.checksum) });
    const sctp = buildPacket([
      ethernet,
      outer,
      {
        kind: "sctp",
        sourcePort: 1,
        destinationPort: 2905,
        verificationTag: 0xdeadbeef,
        chunks: [{ type: 10, flags: 0, data: new Uint8Array(4) }],
      } as LayerSpec,
    ]);
    expect(run(sctp)).toMatchObject({ a: 2905, b: 0xdeadbeef, c: 10, d: 8n });
    const tcp = buildPacket([
      ethernet,
      outer,
      {
        kind: "tcp",
        sourcePort: 1,
        destinationPort: 2,
        sequence: 77,
        acknowledgment: 0,
        flags: 0x12,
        window: 512,
        options: [{ kind: "mss", value: 1400 }],
      },
      end,
    ]);
    expect(run(tcp)).toMatchObject({ a: 77, b: 0x12, c: 512, d: 6n });
  });

  it("does with maps what one does with them", () => {
    const run = compile(
      `const ip = ctx.header(Ipv4, Ethernet.size);
       if (!ip) return 0;
       const value = getOrAdd(flows, { address: ip.source }, { packets: 10n });
       if (!value) return 0;
       value.packets += 1n;
       increment(totals, 1, 5n);
       increment(totals, 1, 5n);
       countLog2(histogram, value.packets, 4);
       countLinear(linear, value.packets, { min: 10n, step: 2n, slots: 4 });
       out.a = u32(value.packets);
       out.b = u32(totals.get(1) ?? 0n);
       out.c = u32((histogram.get(3) ?? 0n) * 100n + (linear.get(1) ?? 0n) * 10n + (linear.get(2) ?? 0n));
       out.d = getIn(tenants, 1, { address: 7 })?.packets ?? 42n;
       return 2;`,
      `const Flow = struct("Flow", { address: be32 });
       const Use = struct("Use", { packets: u64 });
       export const flows = lruHash("flows", { key: Flow, value: Use, maxEntries: 64 });
       export const totals = hash("totals", { key: u32, value: u64, maxEntries: 4 });
       export const histogram = array("histogram", { value: u64, maxEntries: 4 });
       export const linear = array("linear", { value: u64, maxEntries: 6 });
       export const tenants = hashOfMaps("tenants", { key: u32, inner: flows, maxEntries: 4 });`,
    );
    const packet = buildPacket([ethernet, outer, udp(5), end]);
    expect(run(packet)).toMatchObject({ returned: 2, a: 11, b: 10, c: 110, d: 42n });
    expect(run(packet)).toMatchObject({ returned: 2, a: 12, b: 20, c: 211, d: 42n });
    // The inner map is there, then its element too.
    const { flows, tenants } = open.at(-1)!.collection.maps;
    tenants!.setMap(Uint8Array.of(1, 0, 0, 0), flows!);
    expect(run(packet)).toMatchObject({ returned: 2, d: 42n });
    flows!.set(Uint8Array.of(0, 0, 0, 7), Uint8Array.of(99, 0, 0, 0, 0, 0, 0, 0));
    expect(run(packet)).toMatchObject({ returned: 2, d: 99n });
  });
});
