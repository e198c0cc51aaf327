// Wireshark's eye: that it finds what is wrong, and nothing where nothing is.
import { describe, expect, it } from "vitest";
import { buildPacket, type LayerSpec, parseAddress, parsePacket, pseudoHeaderSum } from "../src/index.ts";
import { asOnTheWire, hasTshark, tsharkFindings } from "./tshark.ts";

const address = (text: string) => parseAddress(text)!;
const [client, server] = [address("10.0.0.1"), address("10.0.0.2")];
const layers: LayerSpec[] = [
  { kind: "ethernet", source: Uint8Array.of(2, 0, 0, 0, 0, 1), destination: Uint8Array.of(2, 0, 0, 0, 0, 2) },
  { kind: "ipv4", source: client, destination: server },
  { kind: "tcp", sourcePort: 40_000, destinationPort: 9999, flags: 2, window: 8192, sequence: 1 },
];
const TCP = 14 + 20;

describe.skipIf(!hasTshark())("tshark", () => {
  it("finds nothing wrong with what is right, also in tunnels", () => {
    const segment = buildPacket(layers);
    const outer = { kind: "ipv6", source: address("2001:db8::1"), destination: address("2001:db8::2") } as const;
    const tunnel: LayerSpec[] = [layers[0]!, outer, { kind: "udp", sourcePort: 1, destinationPort: 4789 }];
    const inside = buildPacket([...tunnel, { kind: "vxlan", vni: 5 }, ...layers]);
    expect(tsharkFindings([segment, inside])).toEqual([]);
  });

  it("finds a wrong checksum of each layer, and a header that is cut", () => {
    const changed = (at: number): Uint8Array => {
      const frame = buildPacket(layers);
      frame[at]! ^= 1;
      return frame;
    };
    const frames = [changed(14 + 8), changed(TCP + 4), buildPacket(layers).subarray(0, TCP + 10)];
    expect(tsharkFindings(frames).map((line) => line.split("\t")[0])).toEqual(["1", "2", "3"]);
  });

  it("sees a checksum that was left to the device as the device completes it, and only that one", () => {
    const frame = buildPacket(layers);
    const view = new DataView(frame.buffer, frame.byteOffset);
    view.setUint16(TCP + 16, pseudoHeaderSum({ source: client, destination: server }, 6, frame.length - TCP));
    expect(tsharkFindings([frame])).toHaveLength(1);
    expect(asOnTheWire(frame)).toEqual(buildPacket(layers));
    view.setUint16(TCP + 16, view.getUint16(TCP + 16) + 1);
    expect(asOnTheWire(frame)).toEqual(frame);
    expect(parsePacket(frame).error).toBeNull();
  });
});
