import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { findLayer } from "@skep/net";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import { Lab, nextDatagram, sendText, sockaddr, type Pair } from "../../packages/linux/test/lab.ts";
import { inNamespace, setSocketOption, SO, SOL } from "../../packages/linux/src/sys/index.ts";
import { LinuxBpf } from "@skep/linux";
import { Corpus, run, sum } from "./corpus.ts";
import {
  client,
  ethernet,
  exact,
  ip,
  ipv4,
  ipv6,
  number,
  packet,
  parsed,
  payload,
  server,
  tcp,
  udp,
} from "./packets.ts";
import * as conntrack from "./tc-conntrack.bpf.ts";
import * as dscp from "./tc-dscp.bpf.ts";
import * as mirror from "./tc-mirror.bpf.ts";
import * as nat from "./tc-nat.bpf.ts";
import * as nat46 from "./tc-nat46.bpf.ts";
import * as options from "./tc-options.bpf.ts";
import * as police from "./tc-police.bpf.ts";
import * as siphash from "./tc-siphash.bpf.ts";
import * as socket from "./tc-socket.bpf.ts";
import * as ttl from "./tc-ttl.bpf.ts";
import * as vlan from "./tc-vlan.bpf.ts";
import * as xdpCount from "./xdp-count.bpf.ts";

const [OK, SHOT] = [0, 2];
const enabled = canUseBpf();

/** struct __sk_buff with some of its words. */
function skb(words: Readonly<Record<number, number>>): Uint8Array {
  const context = new Uint8Array(192);
  for (const [offset, value] of Object.entries(words))
    new DataView(context.buffer).setUint32(Number(offset), value, true);
  return context;
}
const PRIORITY = 32;

describe.skipIf(!enabled)("tc programs", () => {
  let lab: Lab;
  let corpus: Corpus;
  let pairs: [Pair, Pair];

  beforeAll(() => {
    lab = new Lab("corpustc");
    corpus = new Corpus(lab.bpf);
    pairs = [lab.pair(1), lab.pair(2)];
  });
  afterEach(() => {
    corpus.closeAll();
    lab.reset();
  });
  afterAll(() => {
    if (enabled) lab.close();
  });

  it("tc-nat: there and back, with right checksums", () => {
    const config = { inside: number("10.0.0.2"), outside: number("198.51.100.1") };
    const app = corpus.load("tc-nat", nat, { config });
    const ask = exact(ethernet(), ipv4("10.0.0.2", server), udp(53, { sourcePort: 5000 }), payload("question?"));
    const gone = run(app.programs.out, ask);
    expect(gone).toMatchObject({ returned: OK });
    expect([...gone.data]).toEqual([
      ...exact(ethernet(), ipv4("198.51.100.1", server), udp(53, { sourcePort: 5000 }), payload("question?")),
    ]);
    const answer = (port: number) =>
      run(
        app.programs.back,
        exact(ethernet(), ipv4(server, "198.51.100.1"), udp(port, { sourcePort: 53 }), payload("yes")),
      );
    const came = answer(5000);
    expect(came.returned).toBe(OK);
    expect(findLayer(parsed(came.data), "ipv4")?.destination).toEqual(ip("10.0.0.2"));
    expect(answer(5001).returned).toBe(SHOT);
    expect([...app.maps.flows].map(([, replies]) => replies)).toEqual([1n]);
  });

  it("tc-conntrack: states follow the flags", () => {
    const app = corpus.load("tc-conntrack", conntrack);
    const out = (flags: number) => run(app.programs.egress, packet(ethernet(), ipv4(), tcp(80, { flags }))).returned;
    const back = (flags: number, port = 40_000) =>
      run(app.programs.ingress, packet(ethernet(), ipv4(server, client), tcp(port, { sourcePort: 80, flags })))
        .returned;
    const key = { source: number(client), destination: number(server), sourcePort: 40_000, destinationPort: 80 };
    const state = () => app.maps.connections.get(key)?.state;
    expect([back(0x12), out(0x10)]).toEqual([SHOT, SHOT]);
    expect([out(0x02), state()]).toEqual([OK, conntrack.STATE.NEW]);
    expect([back(0x12), state()]).toEqual([OK, conntrack.STATE.ESTABLISHED]);
    expect(back(0x12, 40_001)).toBe(SHOT);
    expect([out(0x11), state()]).toEqual([OK, conntrack.STATE.CLOSING]);
    expect(app.maps.connections.get(key)).toMatchObject({ packets: 2n, replies: 1n });
  });

  it("tc-dscp: marks the packet and its priority", () => {
    const app = corpus.load("tc-dscp", dscp);
    app.maps.classes.set(5060, { dscp: 46, priority: 6 });
    const result = app.programs.classify.test({ data: packet(ethernet(), ipv4(), udp(5060)), context: skb({}) });
    expect(result.returned).toBe(OK);
    expect(findLayer(parsed(result.data), "ipv4")).toMatchObject({ dscp: 46 });
    expect(new DataView(result.context.buffer).getUint32(PRIORITY, true)).toBe(6);
    const other = packet(ethernet(), ipv4(), udp(53));
    expect([...run(app.programs.classify, other).data]).toEqual([...other]);
  });

  it("tc-vlan: tags by the mark, and back", () => {
    const app = corpus.load("tc-vlan", vlan, { config: { base: 100 } });
    const [from] = pairs;
    corpus.keep(app.attach(app.programs.tag, { hook: "tcx", interface: from.near.index, direction: "egress" }));
    const socket = lab.udp(lab.host);
    setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO.MARK }, 7);
    const receiver = lab.udp(from.namespace, from.farAddress, 7002);
    const arrives = () => {
      sendText(socket, "tagged", sockaddr(from.farAddress, 7002));
      return nextDatagram(receiver)?.text ?? null;
    };
    // Without an interface for the VLAN the kernel drops what is tagged.
    expect(arrives()).toBeNull();
    const there = new Corpus(new LinuxBpf({ netns: from.namespace.path }), corpus);
    corpus.keep({ close: () => there.closeAll() });
    const far = there.load("tc-vlan", vlan, { config: { base: 100 } });
    there.keep(far.attach(far.programs.untag, { hook: "tcx", interface: from.far.index, direction: "ingress" }));
    expect(arrives()).toBe("tagged");
  });

  it("tc-ttl: one hop less, with a right checksum", () => {
    const app = corpus.load("tc-ttl", ttl);
    const result = run(app.programs.hop, packet(ethernet(), ipv4(client, server, { ttl: 9 }), udp(53)));
    expect(findLayer(parsed(result.data), "ipv4")?.ttl).toBe(8);
    const six = run(app.programs.hop, packet(ethernet(), ipv6(undefined, undefined, { hopLimit: 5 }), udp(53)));
    expect(findLayer(parsed(six.data), "ipv6")?.hopLimit).toBe(4);
    expect(run(app.programs.hop, packet(ethernet(), ipv4(client, server, { ttl: 1 }), udp(53))).returned).toBe(SHOT);
    expect(app.maps.expired.get(0)).toBe(1n);
  });

  it("tc-police: a burst, and then no more", () => {
    const app = corpus.load("tc-police", police, { config: { rate: 1n, burst: 250n } });
    const frame = new Uint8Array(100);
    const verdicts = [1, 2, 3, 4].map(() => run(app.programs.police, frame).returned);
    expect(verdicts).toEqual([OK, OK, OK, SHOT]);
  });

  it("tc-mirror: a copy on another interface", () => {
    const [from, to] = pairs;
    const app = corpus.load("tc-mirror", mirror, { config: { port: 7001, to: to.near.index } });
    const there = new Corpus(new LinuxBpf({ netns: to.namespace.path }), corpus);
    const counter = there.load("xdp-count", xdpCount);
    corpus.keep({ close: () => there.closeAll() });
    there.keep(counter.attach(counter.programs.count, { hook: "xdp", interface: to.far.index, mode: "native" }));
    corpus.keep(app.attach(app.programs.mirror, { hook: "tcx", interface: from.near.index, direction: "egress" }));
    const receiver = lab.udp(from.namespace, from.farAddress, 7001);
    sendText(lab.udp(lab.host), "seen twice", sockaddr(from.farAddress, 7001));
    expect(nextDatagram(receiver)?.text).toBe("seen twice");
    expect(sum((counter.maps.protocols.get(17) ?? []).map((one) => one.packets))).toBe(1n);
  });

  it("tc-options: clamps the segment size", () => {
    const app = corpus.load("tc-options", options);
    const syn = (value: number, flags = 2) =>
      exact(
        ethernet(),
        ipv4(),
        tcp(80, { flags, options: [{ kind: "nop" }, { kind: "mss", value }, { kind: "sack-permitted" }] }),
      );
    const size = (bytes: Uint8Array) => {
      const { returned, data } = run(app.programs.clamp, bytes);
      expect(returned).toBe(OK);
      return findLayer(parsed(data), "tcp")?.options.find((one) => one.kind === "mss");
    };
    expect(size(syn(1460))).toEqual({ kind: "mss", value: 1400 });
    expect(size(syn(1300))).toEqual({ kind: "mss", value: 1300 });
    expect(size(syn(1460, 16))).toEqual({ kind: "mss", value: 1460 });
  });

  it("tc-socket: what nobody waits for is dropped", () => {
    const app = corpus.load("tc-socket", socket);
    lab.udp(lab.host, [127, 0, 0, 1], 7009);
    const verdict = (port: number) =>
      inNamespace(
        lab.host.path,
        () => run(app.programs.wanted, packet(ethernet(), ipv4(client, "127.0.0.1"), udp(port))).returned,
      );
    expect([verdict(7009), verdict(7010)]).toEqual([OK, SHOT]);
  });

  it("tc-siphash: one number for both directions", () => {
    const app = corpus.load("tc-siphash", siphash);
    const number = (bytes: Uint8Array) => {
      run(app.programs.number, bytes);
      return app.maps.last.get(0);
    };
    const there = number(packet(ethernet(), ipv4(), udp(53)));
    const back = number(packet(ethernet(), ipv4(server, client), udp(40_000, { sourcePort: 53 })));
    expect(there).toBe(back);
    expect(number(packet(ethernet(), ipv4(), udp(54)))).not.toBe(there);
  });

  it("tc-nat46: IPv4 becomes IPv6", () => {
    const app = corpus.load("tc-nat46", nat46);
    const { returned, data } = run(
      app.programs.translate,
      exact(ethernet(), ipv4(client, server, { ttl: 7 }), udp(53), payload("question")),
    );
    expect(returned).toBe(OK);
    expect(findLayer(parsed(data.slice(0, 14)), "ethernet")?.etherType).toBe(0x86dd);
    const header = data.subarray(14, 54);
    expect([...header.subarray(0, 8)]).toEqual([0x60, 0, 0, 0, 0, 16, 17, 7]);
    expect([...header.subarray(8, 24)]).toEqual([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ...ip(client).bytes]);
    expect([...header.subarray(24)]).toEqual([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ...ip(server).bytes]);
  });

  it("has run every program that it loaded", () => {
    expect(corpus.neverRun()).toEqual([]);
  });
});
