/**
 * @module
 * Packets for the tests, built by @skep/net: what the kernel programs are held against.
 */
import { buildPacket, parseAddress, parsePacket, verifyChecksums, type Address, type LayerSpec } from "@skep/net";

export const macA = Uint8Array.of(2, 0, 0, 0, 0, 0xa);
export const macB = Uint8Array.of(2, 0, 0, 0, 0, 0xb);

export function ip(text: string): Address {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is no address`);
  return address;
}

/** The four bytes as a number. */
export function number(text: string): number {
  return new DataView(Uint8Array.from(ip(text).bytes).buffer).getUint32(0);
}

export const client = "192.0.2.1";
export const server = "198.51.100.7";

export const ethernet = (etherType?: number): LayerSpec => ({
  kind: "ethernet",
  source: macA,
  destination: macB,
  ...(etherType === undefined ? {} : { etherType }),
});

export type More<K> = Partial<Extract<LayerSpec, { readonly kind: K }>>;

export const ipv4 = (from = client, to = server, more: More<"ipv4"> = {}): LayerSpec => ({
  kind: "ipv4",
  source: ip(from),
  destination: ip(to),
  ...more,
});

export const ipv6 = (from = "2001:db8::1", to = "2001:db8::2", more: More<"ipv6"> = {}): LayerSpec => ({
  kind: "ipv6",
  source: ip(from),
  destination: ip(to),
  ...more,
});

export const tcp = (port: number, more: More<"tcp"> = {}): LayerSpec => ({
  kind: "tcp",
  sourcePort: 40_000,
  destinationPort: port,
  sequence: 1000,
  acknowledgment: 0,
  flags: 2,
  ...more,
});

export const udp = (port: number, more: More<"udp"> = {}): LayerSpec => ({
  kind: "udp",
  sourcePort: 40_000,
  destinationPort: port,
  ...more,
});

export const payload = (bytes: Uint8Array | string): LayerSpec => ({
  kind: "payload",
  bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes,
});

export function packet(...layers: LayerSpec[]): Uint8Array {
  return buildPacket(layers, { minLength: 60 });
}

/** The same without a frame's padding. */
export function exact(...layers: LayerSpec[]): Uint8Array {
  return buildPacket(layers);
}

/** The packet's layers by kind. Throws where a checksum in it is wrong. */
export function parsed(bytes: Uint8Array): ReturnType<typeof parsePacket> {
  const found = parsePacket(bytes);
  const wrong = verifyChecksums(found).find((one) => one.state === "wrong");
  if (wrong) throw new Error(`the checksum of layer ${wrong.layer} (${found.layers[wrong.layer]?.kind}) is wrong`);
  return found;
}
