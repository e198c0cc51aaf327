/**
 * @module
 * Captures of what passes the interfaces of a simulated machine, and captures played into one, in their own time.
 */
import { linkTypes, readCapture, writePcap, writePcapng, type CapturedPacket } from "@skep/net";
import type { Device } from "./net/device.ts";
import { packetOf } from "./net/packet.ts";

export interface DeviceCapture {
  readonly packets: readonly CapturedPacket[];
  /** A pcap file; of captures of several devices in the order of time. */
  pcap(): Uint8Array;
  /** A pcapng file, which also says by which device and in which direction each packet went. */
  pcapng(): Uint8Array;
  /** Captures no more. What was captured stays. */
  stop(): void;
}

/** Captures what comes in (behind XDP) and goes out (behind the egress programs) by the devices, as `tcpdump` sees it. */
export function capture(devices: readonly Device[]): DeviceCapture {
  const packets: CapturedPacket[] = [];
  const stops = devices.map((device, interfaceIndex) => {
    const { clock } = device.namespace.network.simulation;
    const tap = ({ bytes, direction }: { bytes: Uint8Array; direction: "in" | "out" }): void => {
      packets.push({
        ...{ timestamp: clock.epochNanoseconds(), data: bytes, originalLength: bytes.length, interfaceIndex },
        direction: direction === "in" ? "inbound" : "outbound",
      });
    };
    device.taps.add(tap);
    return () => device.taps.delete(tap);
  });
  const faces = devices.map(({ name, namespace }) => ({
    ...{ linkType: linkTypes.ethernet, snapLength: 0, name: devices.length > 1 ? `${namespace.name}/${name}` : name },
  }));
  return {
    packets,
    pcap: () => writePcap(packets),
    pcapng: () => writePcapng(packets, faces),
    stop: () => {
      for (const stop of stops) stop();
    },
  };
}

export interface ReplayOptions {
  /** `in`: the frames arrive at the device. `out`: they are sent by it. Default `in`. */
  readonly side?: "in" | "out";
  /** How much faster than they were captured. Default 1; Infinity: all at once, in their order. */
  readonly speed?: number;
}

/**
 * Plays a capture (pcap or pcapng, Ethernet) into a device: the first frame now, the others after the time that lay between them. Gives how
 * many there are. Throws RangeError for a file that is no capture, or of another link type.
 */
export function replay(device: Device, file: Uint8Array, options: ReplayOptions = {}): number {
  const { packets, interfaces, error } = readCapture(file);
  if (error) throw new RangeError(`the capture: ${error.message}`);
  const { network } = device.namespace;
  const { clock } = network.simulation;
  const { side = "in", speed = 1 } = options;
  const start = clock.monotonic();
  const first = packets[0]?.timestamp ?? 0n;
  for (const { timestamp, data, interfaceIndex = 0 } of packets) {
    if (interfaces[interfaceIndex]?.linkType !== linkTypes.ethernet)
      throw new RangeError(`the capture: link type ${interfaces[interfaceIndex]?.linkType} is not Ethernet`);
    // A capture may go back in time a little where several processors wrote it.
    const offset = timestamp > first ? BigInt(Math.round(Number(timestamp - first) / speed)) : 0n;
    clock.at(start + offset, () => {
      if (!device.up) return;
      if (side === "in") network.receive(device, packetOf(data.slice()));
      else network.transmit(device, packetOf(data.slice()));
    });
  }
  return packets.length;
}
