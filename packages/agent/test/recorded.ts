/**
 * @module
 * Everything that arrives at the ends of a ground's wires, for Wireshark to look at when the suite is over.
 */
import { describe, expect, it } from "vitest";
import { parsePacket } from "@skep/net";
import { asOnTheWire, hasTshark, tsharkFindings } from "../../net/test/tshark.ts";
import type { ClusterGround } from "./cluster-lab.ts";
import type { Port } from "./packet-lab.ts";

export class Recorder {
  readonly frames: Uint8Array[] = [];
  readonly #isWanted: (frame: Uint8Array) => boolean;

  constructor(isWanted: (frame: Uint8Array) => boolean = () => true) {
    this.#isWanted = isWanted;
  }

  /** The ground, listened to. */
  of(ground: ClusterGround): ClusterGround {
    return { ...ground, port: (...of) => this.#listen(ground.port(...of)) };
  }

  #listen(port: Port): Port {
    const read = (): Uint8Array[] => {
      const frames = port.read();
      this.frames.push(...frames.filter(this.#isWanted));
      return frames;
    };
    const close = (): void => {
      read();
      port.close();
    };
    return { read, close, write: (frame) => port.write(frame) };
  }
}

/** To stand behind the suite. `least`: frames that must have been seen. */
export function tsharkSuite({ frames }: Recorder, least: number): void {
  describe.skipIf(!hasTshark())("Wireshark", () => {
    it("finds no malformed packet and no wrong checksum in what the wires carried", () => {
      expect(frames.length).toBeGreaterThan(least);
      expect(tsharkFindings(frames.map(asOnTheWire))).toEqual([]);
    });
  });
}

const RST = 4;
const NEXT_HEADER = 6;
const IPV6_HEADER = 40;
const TCP_FLAGS = 13;

/**
 * An ICMPv6 error that quotes a reset. The kernel leaves the checksum of its resets to the device (net/ipv6/tcp_ipv6.c, tcp_v6_send_response): on a virtual
 * wire it is not made yet when a router quotes the packet, and stays so in the quote, which nobody finishes.
 */
export function quotesReset6(frame: Uint8Array): boolean {
  const { layers } = parsePacket(frame);
  return layers.some((layer, at) => {
    if (layer.kind !== "payload" || layers[at - 1]?.kind !== "icmpv6") return false;
    return layer.bytes[NEXT_HEADER] === 6 && ((layer.bytes[IPV6_HEADER + TCP_FLAGS] ?? 0) & RST) !== 0;
  });
}
