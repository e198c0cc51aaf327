import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import * as net from "../src/index.ts";
import type { LayerSpec } from "../src/index.ts";

const missing = spawnSync("tcpdump", ["--version"]).status !== 0;
if (missing) console.warn("tcpdump is not installed: the comparison with it is skipped");

/** What tcpdump says about the file, link layer and checksums included. */
function tcpdump(file: Uint8Array): string {
  const { stdout, stderr, status } = spawnSync("tcpdump", ["-nn", "-e", "-vvv", "-tt", "-r", "-"], {
    input: file,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

const address = (text: string): net.Address => {
  const parsed = net.parseAddress(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};
const ethernet: LayerSpec = {
  kind: "ethernet",
  destination: Uint8Array.of(2, 0, 0, 0, 0, 2),
  source: Uint8Array.of(2, 0, 0, 0, 0, 1),
};
const ipv4: LayerSpec = {
  kind: "ipv4",
  source: address("192.0.2.1"),
  destination: address("198.51.100.2"),
  identification: 7,
};
const ipv6: LayerSpec = { kind: "ipv6", source: address("2001:db8::1"), destination: address("2001:db8::2") };
const data: LayerSpec = { kind: "payload", bytes: Uint8Array.of(1, 2, 3, 4, 5) };
const dns = net.buildDnsMessage({
  id: 99,
  response: true,
  questions: [{ name: "www.example.com", type: 1, class: 1 }],
  answers: [
    { name: "www.example.com", type: 5, class: 1, ttl: 60, data: { kind: "CNAME", name: "edge.example.com" } },
    { name: "edge.example.com", type: 1, class: 1, ttl: 30, data: { kind: "A", address: address("203.0.113.9") } },
    {
      name: "_sip._udp.example.com",
      type: 33,
      class: 1,
      ttl: 30,
      data: { kind: "SRV", priority: 1, weight: 2, port: 5060, target: "sip.example.com" },
    },
    {
      name: "example.com",
      type: 15,
      class: 1,
      ttl: 30,
      data: { kind: "MX", preference: 10, exchange: "mx.example.com" },
    },
    {
      name: "example.com",
      type: 16,
      class: 1,
      ttl: 30,
      data: { kind: "TXT", strings: [Uint8Array.from("v=spf1", (c) => c.charCodeAt(0))] },
    },
    { name: "example.com", type: 28, class: 1, ttl: 30, data: { kind: "AAAA", address: address("2001:db8::9") } },
  ],
});

// Layers, and what tcpdump has to say about them.
const packets: readonly { readonly layers: readonly LayerSpec[]; readonly says: readonly string[] }[] = [
  {
    layers: [
      ethernet,
      ipv4,
      {
        kind: "tcp",
        sourcePort: 1234,
        destinationPort: 80,
        sequence: 7,
        flags: net.tcpFlags.syn,
        options: [
          { kind: "mss", value: 1460 },
          { kind: "sack-permitted" },
          { kind: "timestamps", value: 5, echo: 6 },
          { kind: "nop" },
          { kind: "window-scale", shift: 7 },
        ],
      },
    ],
    says: [
      "192.0.2.1.1234 > 198.51.100.2.80: Flags [S], cksum 0x",
      "(correct), seq 7, win 65535, options [mss 1460,sackOK,TS val 5 ecr 6,nop,wscale 7], length 0",
    ],
  },
  {
    layers: [
      ethernet,
      { kind: "vlan", id: 42, priority: 3 },
      ipv6,
      { kind: "udp", sourcePort: 1000, destinationPort: 2000 },
      data,
    ],
    says: ["vlan 42, p 3", "[udp sum ok] UDP, length 5"],
  },
  {
    layers: [ethernet, ipv4, { kind: "icmp", type: 8, rest: net.echoRest(3, 4) }, data],
    says: ["ICMP echo request, id 3, seq 4, length 13"],
  },
  {
    layers: [ethernet, ipv6, { kind: "icmpv6", type: 129, rest: net.echoRest(3, 4) }, data],
    says: ["[icmp6 sum ok] ICMP6, echo reply, id 3, seq 4"],
  },
  {
    layers: [
      ethernet,
      {
        kind: "arp",
        operation: 2,
        senderMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
        senderAddress: address("10.0.0.1"),
        targetMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
        targetAddress: address("10.0.0.2"),
      },
    ],
    says: ["Reply 10.0.0.1 is-at 02:00:00:00:00:01"],
  },
  {
    layers: [
      ethernet,
      { ...ipv6, hopLimit: 255 },
      ...net.neighborLayers({
        kind: "advertisement",
        target: address("2001:db8::1"),
        mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
        router: false,
        solicited: true,
        override: true,
      }),
    ],
    says: [
      "neighbor advertisement, length 32, tgt is 2001:db8::1, Flags [solicited, override]",
      "destination link-address option (2), length 8 (1): 02:00:00:00:00:01",
    ],
  },
  {
    layers: [
      ethernet,
      ipv4,
      { kind: "udp", sourcePort: 5555 },
      { kind: "vxlan", vni: 4242 },
      ethernet,
      ipv6,
      { kind: "tcp", sourcePort: 1, destinationPort: 2, flags: net.tcpFlags.rst | net.tcpFlags.ack },
    ],
    says: ["VXLAN, flags [I] (0x08), vni 4242", "Flags [R.], cksum 0x"],
  },
  {
    layers: [
      ethernet,
      ipv6,
      { kind: "udp", sourcePort: 5555 },
      { kind: "geneve", vni: 77, options: [{ class: 0x102, type: 0x80, data: Uint8Array.of(1, 2, 3, 4) }] },
      ethernet,
      ipv4,
      { kind: "udp", sourcePort: 1, destinationPort: 2 },
    ],
    says: ["Geneve, Flags [C], vni 0x4d", "proto TEB (0x6558), options [class Open Virtual Networking", "type 0x80(C)"],
  },
  {
    layers: [
      ethernet,
      ipv4,
      { kind: "gre", key: 9, sequence: 3, checksum: "compute" },
      { ...ipv4, ttl: 3 },
      { kind: "udp", sourcePort: 1, destinationPort: 2 },
    ],
    says: ["GREv0, Flags [checksum present, key present, sequence# present]", "key=0x9", "seq 3", "[udp sum ok]"],
  },
  {
    layers: [ethernet, ipv4, { ...ipv4, ttl: 3 }, { kind: "udp", sourcePort: 1, destinationPort: 2 }],
    says: ["proto IPIP (4)", "[udp sum ok]"],
  },
  {
    layers: [
      ethernet,
      ipv4,
      {
        kind: "sctp",
        sourcePort: 1,
        destinationPort: 2,
        verificationTag: 5,
        chunks: [
          { type: 4, flags: 0, data: Uint8Array.of(0, 1, 0, 5, 9) },
          { type: 11, flags: 0, data: new Uint8Array(0) },
        ],
      },
    ],
    says: ["1) [HB REQ]", "2) [COOKIE ACK]"],
  },
  {
    layers: [
      ethernet,
      ipv6,
      { kind: "ipv6-options", place: "hop-by-hop", options: [{ type: 5, data: Uint8Array.of(0, 0) }] },
      { kind: "ipv6-options", place: "destination" },
      { kind: "ipv6-fragment", fragmentOffset: 0, moreFragments: false, identification: 9 },
      { kind: "udp", sourcePort: 1, destinationPort: 2 },
    ],
    says: ["HBH (rtalert: 0x0000)", "DSTOPT", "frag (0x00000009:0|8)"],
  },
  {
    layers: [
      ethernet,
      ipv6,
      {
        kind: "ipv6-routing",
        routingType: 4,
        segmentsLeft: 0,
        data: Uint8Array.of(0, 0, 0, 0, ...address("2001:db8::2").bytes),
      },
      { kind: "tcp", sourcePort: 1, destinationPort: 2 },
    ],
    says: ["RT6 (len=2, type=4, segleft=0", "(correct)"],
  },
  {
    layers: [
      ethernet,
      { ...ipv4, options: [{ type: 148, data: Uint8Array.of(0, 0) }], dscp: 46, ecn: 1, dontFragment: true },
      { kind: "udp", sourcePort: 53, destinationPort: 4000 },
      { kind: "payload", bytes: dns },
    ],
    says: [
      "tos 0xb9,ECT(1)",
      "flags [DF]",
      "options (RA)",
      'www.example.com. [1m] CNAME edge.example.com., edge.example.com. [30s] A 203.0.113.9, _sip._udp.example.com. [30s] SRV sip.example.com.:5060 1 2, example.com. [30s] MX mx.example.com. 10, example.com. [30s] TXT "v=spf1", example.com. [30s] AAAA 2001:db8::9',
    ],
  },
];

describe.skipIf(missing)("tcpdump reads what we build", () => {
  test.each(packets)("$says", ({ layers, says }) => {
    const bytes = net.buildPacket(layers, { minLength: 60 });
    const packet = { timestamp: 1_700_000_000_123_456_789n, data: bytes, originalLength: bytes.length };
    const parsed = net.parsePacket(bytes);
    expect(parsed.error).toBeNull();
    for (const { state } of net.verifyChecksums(parsed)) expect(state).toBe("right");
    const text = tcpdump(net.writePcap([packet]));
    expect(text).toBe(tcpdump(net.writePcapng([packet], [{ linkType: net.linkTypes.ethernet, snapLength: 0 }])));
    for (const say of says) expect(text).toContain(say);
    expect(text).toContain("1700000000.123456");
    for (const bad of ["bad ", "incorrect", "wrong", "[|", "malformed", "truncated", "invalid"])
      expect(text).not.toContain(bad);
  });
});
