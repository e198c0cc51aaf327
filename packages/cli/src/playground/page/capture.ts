/**
 * @module
 * A capture to begin with: what a small host might hear in a second.
 */
import { type Address, buildPacket, type CapturedPacket, type LayerSpec, parseAddress, tcpFlags } from "@skep/net";

/** The host that the packets are for: the simulated one has these addresses. */
export const HOST = { address: "10.0.0.1", mac: Uint8Array.of(2, 0, 0, 0, 0, 1), prefix: 24 } as const;

function ip(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new Error(`${text} is no address`);
  return address;
}

const peerMac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);

function frame(from: number, ...inner: readonly LayerSpec[]): Uint8Array {
  return buildPacket([{ kind: "ethernet", destination: HOST.mac, source: peerMac(from) }, ...inner], { minLength: 60 });
}

function fromPeer(from: number, ...inner: readonly LayerSpec[]): Uint8Array {
  const source = ip(`10.0.0.${from}`);
  return frame(from, { kind: "ipv4", source, destination: ip(HOST.address) }, ...inner);
}

const tcp = (sourcePort: number, destinationPort: number): LayerSpec => ({
  ...{ kind: "tcp", sourcePort, destinationPort, sequence: sourcePort * 1000, flags: tcpFlags.syn },
});

const text = (words: string): LayerSpec => ({ kind: "payload", bytes: new TextEncoder().encode(words) });

function arp(from: number): Uint8Array {
  const request: LayerSpec = {
    ...{ kind: "arp", operation: 1, senderMac: peerMac(from), senderAddress: ip(`10.0.0.${from}`) },
    ...{ targetMac: new Uint8Array(6), targetAddress: ip(HOST.address) },
  };
  const destination = new Uint8Array(6).fill(0xff);
  return buildPacket([{ kind: "ethernet", destination, source: peerMac(from) }, request], { minLength: 60 });
}

/** One millisecond between packets. */
export function builtInCapture(): CapturedPacket[] {
  const frames = [
    arp(2),
    fromPeer(2, { kind: "icmp", type: 8, rest: 0x0001_0001 }, text("a question")),
    fromPeer(2, tcp(40_001, 80)),
    fromPeer(3, tcp(40_002, 23)),
    fromPeer(3, tcp(40_003, 23)),
    fromPeer(3, { kind: "udp", sourcePort: 5353, destinationPort: 53 }, text("who is it")),
    fromPeer(4, { kind: "udp", sourcePort: 4000, destinationPort: 9 }, text("discard this")),
    fromPeer(2, tcp(40_004, 443)),
  ];
  return frames.map((data, i) => ({ timestamp: BigInt(i) * 1_000_000n, data, originalLength: data.length }));
}
