import { afterEach, describe, expect, it } from "vitest";
import { findLayer, formatAddress } from "@skep/net";
import { LinuxBpf } from "@skep/linux";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import { Corpus, run, sum } from "./corpus.ts";
import {
  client,
  ethernet,
  exact,
  ip,
  ipv4,
  ipv6,
  macA,
  macB,
  number,
  packet,
  parsed,
  payload,
  server,
  tcp,
  udp,
} from "./packets.ts";
import * as arp from "./xdp-arp.bpf.ts";
import * as balancer from "./xdp-balancer.bpf.ts";
import * as chain from "./xdp-chain.bpf.ts";
import * as cookie from "./xdp-cookie.bpf.ts";
import * as count from "./xdp-count.bpf.ts";
import * as dns from "./xdp-dns.bpf.ts";
import * as dynptr from "./xdp-dynptr.bpf.ts";
import * as firewall from "./xdp-firewall.bpf.ts";
import * as frags from "./xdp-frags.bpf.ts";
import * as ipip from "./xdp-ipip.bpf.ts";
import * as ping from "./xdp-ping.bpf.ts";
import * as ports from "./xdp-ports.bpf.ts";
import * as rateLimit from "./xdp-rate-limit.bpf.ts";
import * as sampler from "./xdp-sampler.bpf.ts";
import * as vlan from "./xdp-vlan.bpf.ts";
import * as vxlan from "./xdp-vxlan.bpf.ts";

const [ABORTED, DROP, PASS, TX] = [0, 1, 2, 3];

describe.skipIf(!canUseBpf())("XDP programs", () => {
  const corpus = new Corpus(new LinuxBpf());
  afterEach(() => corpus.closeAll());

  it("xdp-firewall: blocks networks, with exceptions", () => {
    const app = corpus.load("xdp-firewall", firewall);
    app.maps.networks.set({ length: 8, address: number("10.0.0.0") }, 1);
    app.maps.networks.set({ length: 32, address: number("10.1.2.3") }, 0);
    const from = (address: string) => run(app.programs.firewall, packet(ethernet(), ipv4(address), udp(53))).returned;
    expect([from("10.9.9.9"), from("10.1.2.3"), from("11.0.0.1")]).toEqual([DROP, PASS, PASS]);
    expect(run(app.programs.firewall, packet(ethernet(), ipv6(), udp(53))).returned).toBe(PASS);
    expect([0, 1].map((at) => sum(app.maps.counts.get(at)))).toEqual([2n, 1n]);
  });

  it("xdp-ports: only open ports", () => {
    const app = corpus.load("xdp-ports", ports);
    app.maps.open.set({ port: 443, protocol: 6 }, 1);
    const verdict = (layer: Parameters<typeof packet>[0]) =>
      run(app.programs.ports, packet(ethernet(), ipv4(), layer)).returned;
    expect([verdict(tcp(443)), verdict(udp(443)), verdict(tcp(22))]).toEqual([PASS, DROP, DROP]);
    expect(verdict({ kind: "icmp", type: 8, code: 0, rest: 0 })).toBe(PASS);
    expect(run(app.programs.ports, packet(ethernet(), ipv6(), tcp(22))).returned).toBe(PASS);
  });

  it("xdp-rate-limit: a burst, and then no more", () => {
    const app = corpus.load("xdp-rate-limit", rateLimit, { config: { rate: 1n, burst: 3n } });
    const from = (address: string) => run(app.programs.limit, packet(ethernet(), ipv4(address), udp(53))).returned;
    expect([1, 2, 3, 4, 5].map(() => from("10.0.0.1"))).toEqual([PASS, PASS, PASS, DROP, DROP]);
    expect(from("10.0.0.2")).toBe(PASS);
    expect(app.maps.buckets.get({ address: number("10.0.0.1") })?.tokens).toBe(0n);
  });

  it("xdp-balancer: spreads flows over backends, with right checksums", () => {
    const app = corpus.load("xdp-balancer", balancer);
    const address = number(server);
    app.maps.services.set({ address, port: 80, padding: 0 }, { first: 4, count: 3 });
    for (const at of [4, 5, 6]) {
      app.maps.backends.set(at, { address: number(`10.0.0.${at}`), mac: [2, 0, 0, 0, 1, at], padding: 0 });
    }
    const chosen = new Map<string, number>();
    for (let port = 1000; port < 1060; port++) {
      const sent = packet(ethernet(), ipv4(), tcp(80, { sourcePort: port }));
      const { returned, data } = run(app.programs.balance, sent);
      expect(returned).toBe(TX);
      expect(run(app.programs.balance, sent).data).toEqual(data);
      const seen = parsed(data);
      const to = formatAddress(findLayer(seen, "ipv4")?.destination ?? ip("0.0.0.0"));
      expect(findLayer(seen, "ethernet")).toMatchObject({
        source: macB,
        destination: Uint8Array.of(2, 0, 0, 0, 1, Number(to.slice(7))),
      });
      chosen.set(to, (chosen.get(to) ?? 0) + 1);
    }
    expect([...chosen.keys()].sort()).toEqual(["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    for (const flows of chosen.values()) expect(flows).toBeGreaterThan(8);
    expect(run(app.programs.balance, packet(ethernet(), ipv4(), tcp(81))).returned).toBe(PASS);
  });

  it("xdp-ipip: wraps the packet for a backend", () => {
    const app = corpus.load("xdp-ipip", ipip, { config: { own: number("10.0.0.1") } });
    app.maps.targets.set(0, { address: number("10.9.0.1") });
    const inner = [ipv4(), tcp(80), payload("data")];
    const { returned, data } = run(app.programs.tunnel, exact(ethernet(), ...inner));
    expect(returned).toBe(TX);
    const wanted = exact(
      { kind: "ethernet", source: macB, destination: macA },
      ipv4("10.0.0.1", "10.9.0.1", { identification: 0, dontFragment: false, ttl: 64 }),
      ...inner,
    );
    expect(data).toEqual(wanted);
  });

  it("xdp-vlan: takes the tag off", () => {
    const app = corpus.load("xdp-vlan", vlan);
    const tagged = exact(ethernet(), { kind: "vlan", id: 42, priority: 0, dropEligible: false }, ipv4(), udp(53));
    const plain = exact(ethernet(), ipv4(), udp(53));
    const untagged = run(app.programs.untag, tagged);
    expect(untagged.returned).toBe(PASS);
    // A test run shows what lies in front of the packet as well.
    expect([...untagged.data]).toEqual([42, 0, 0, 0, ...plain]);
    expect([...run(app.programs.untag, plain).data]).toEqual([...plain]);
  });

  it("xdp-ping: answers, with a right checksum", () => {
    const app = corpus.load("xdp-ping", ping);
    const echo = (type: number) => ({ kind: "icmp", type, code: 0, rest: 0x0001_0002 }) as const;
    const { returned, data } = run(app.programs.ping, packet(ethernet(), ipv4(), echo(8), payload("hello")));
    expect(returned).toBe(TX);
    const seen = parsed(data);
    expect(findLayer(seen, "icmp")).toMatchObject({ type: 0, rest: 0x0001_0002 });
    expect(findLayer(seen, "ipv4")).toMatchObject({ source: ip(server), destination: ip(client) });
    expect(run(app.programs.ping, packet(ethernet(), ipv4(), echo(0))).returned).toBe(PASS);
  });

  it("xdp-arp: answers for others", () => {
    const app = corpus.load("xdp-arp", arp, { config: { mac: [2, 0, 0, 0, 0, 0x77] } });
    app.maps.ours.set({ ip: number(server) }, 1);
    const ask = (address: string) =>
      run(
        app.programs.answer,
        packet(
          { kind: "ethernet", source: macA, destination: new Uint8Array(6).fill(255) },
          {
            kind: "arp",
            operation: 1,
            senderMac: macA,
            senderAddress: ip(client),
            targetMac: new Uint8Array(6),
            targetAddress: ip(address),
          },
        ),
      );
    const { returned, data } = ask(server);
    expect(returned).toBe(TX);
    const seen = parsed(data);
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x77);
    expect(findLayer(seen, "ethernet")).toMatchObject({ source: mac, destination: macA });
    expect(findLayer(seen, "arp")).toMatchObject({
      operation: 2,
      senderMac: mac,
      senderAddress: ip(server),
      targetMac: macA,
      targetAddress: ip(client),
    });
    expect(ask("198.51.100.8").returned).toBe(PASS);
  });

  it("xdp-count: by protocol, behind extension headers too", () => {
    const app = corpus.load("xdp-count", count);
    for (const bytes of [
      packet(ethernet(), ipv4(), udp(53)),
      exact(ethernet(), ipv6(), { kind: "ipv6-options", place: "destination", options: [] }, udp(53), payload("x")),
      exact(ethernet(), ipv6(), tcp(80)),
    ]) {
      expect(run(app.programs.count, bytes).returned).toBe(PASS);
    }
    const total = (protocol: number) => {
      const values = app.maps.protocols.get(protocol) ?? [];
      return [sum(values.map((one) => one.packets)), sum(values.map((one) => one.bytes))];
    };
    expect(total(17)).toEqual([2n, 60n + 14n + 40n + 8n + 8n + 1n]);
    expect(total(6)).toEqual([1n, 14n + 40n + 20n]);
  });

  /** FNV-1a of a name's labels, as RFC draft-eastlake-fnv has it. */
  function fnv(name: string): bigint {
    let hash = 0xcbf29ce484222325n;
    for (const label of name.split(".")) {
      for (const byte of [label.length, ...new TextEncoder().encode(label)]) {
        hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
      }
    }
    return hash;
  }

  it("xdp-dns: drops questions for blocked names, whatever their case", () => {
    const app = corpus.load("xdp-dns", dns);
    app.maps.blocked.set({ hash: fnv("bad.example") }, 0n);
    const question = (name: string) => {
      const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
      const message = Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1);
      return run(app.programs.names, packet(ethernet(), ipv4(), udp(53), payload(message))).returned;
    };
    expect([question("bad.example"), question("BAD.Example"), question("good.example")]).toEqual([DROP, DROP, PASS]);
    expect(app.maps.blocked.get({ hash: fnv("bad.example") })).toBe(2n);
  });

  it("xdp-chain: stages by tail calls, replaced while it runs", () => {
    const app = corpus.load("xdp-chain", chain);
    const send = (layer: Parameters<typeof packet>[0]) =>
      run(app.programs.ethernet, packet(ethernet(), ipv4(), layer)).returned;
    expect(send(tcp(80))).toBe(PASS);
    app.maps.stages.set(chain.STAGE.IPV4, app.programs.ipv4);
    expect(send(tcp(80))).toBe(DROP);
    app.maps.stages.set(chain.STAGE.TCP, app.programs.tcp);
    app.maps.stages.set(chain.STAGE.UDP, app.programs.udp);
    expect([send(tcp(80)), send(tcp(23)), send(udp(53))]).toEqual([PASS, DROP, PASS]);
    expect([0, 1, 2, 3].map((at) => app.maps.seen.get(at))).toEqual([4n, 2n, 1n, 1n]);
  });

  it("xdp-cookie: cookies that the kernel knows again", () => {
    const app = corpus.load("xdp-cookie", cookie);
    const send = (more: Parameters<typeof tcp>[1]) =>
      run(app.programs.cookies, packet(ethernet(), ipv4(), tcp(80, more))).returned;
    expect(send({ flags: 2, sequence: 1000 })).toBe(DROP);
    const made = Number(app.maps.counts.get(3));
    const answer = { flags: 16, sequence: 1001 };
    expect(send({ ...answer, acknowledgment: (made + 1) >>> 0 })).toBe(PASS);
    expect(send({ ...answer, acknowledgment: (made + 0x1001) >>> 0 })).toBe(DROP);
    expect([0, 1, 2].map((at) => app.maps.counts.get(at))).toEqual([1n, 1n, 1n]);
  });

  it("xdp-frags: reaches the end of a packet of many pages", () => {
    const app = corpus.load("xdp-frags", frags);
    const long = new Uint8Array(9000);
    long.set([1, 2, 3, 4], 8996);
    const result = app.programs.turn.test({ data: long, outputSize: 9000 });
    expect(result.returned).toBe(PASS);
    expect([...result.data.subarray(8996)]).toEqual([4, 3, 2, 1]);
    expect(app.maps.lengths.get(0)).toBe(9000n);
  });

  it("xdp-dynptr: reads and writes without bounds", () => {
    const app = corpus.load("xdp-dynptr", dynptr);
    const first = run(app.programs.expire, packet(ethernet(), ipv4(), udp(53)));
    expect([first.returned, first.data[22]]).toEqual([PASS, 1]);
    expect(run(app.programs.expire, first.data).returned).toBe(DROP);
    expect(run(app.programs.expire, packet(ethernet(), ipv6(), udp(53))).returned).toBe(PASS);
    expect(ABORTED).toBe(0);
  });

  it("xdp-sampler: records of the packet's own size", () => {
    const app = corpus.load("xdp-sampler", sampler);
    const records: Uint8Array[] = [];
    const ring = corpus.keep(app.collection.maps["samples"]!.readRing((record) => records.push(record.slice())));
    const sent = packet(ethernet(), ipv4(), udp(53));
    expect(run(app.programs.sample, sent).returned).toBe(PASS);
    expect(ring.drain()).toBe(1);
    const [record] = records;
    const view = new DataView(record!.buffer);
    expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([60, 48]);
    expect(record!.subarray(8, 56)).toEqual(sent.subarray(0, 48));
  });

  it("xdp-vxlan: ends a tunnel", () => {
    const app = corpus.load("xdp-vxlan", vxlan);
    const inner = [ethernet(), ipv4("10.0.0.1", "10.0.0.2"), tcp(80)] as const;
    const wrapped = (vni: number) => exact(ethernet(), ipv4(), udp(4789), { kind: "vxlan", vni }, ...inner);
    expect(run(app.programs.end, wrapped(42))).toMatchObject({ returned: PASS, data: exact(...inner) });
    expect(run(app.programs.end, wrapped(43)).returned).toBe(DROP);
  });

  it("has run every program that it loaded", () => {
    expect(corpus.neverRun()).toEqual([]);
  });
});
