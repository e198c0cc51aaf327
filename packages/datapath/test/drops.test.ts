// Every drop code of the table, without a kernel.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LayerSpec } from "@skep/net";
import { openSim } from "@skep/sim";
import { ADDRESSES, reset } from "./drop-fixtures.ts";
import { dropsSuite } from "./drops-suite.ts";
import { frame, mac, network, PacketGround, segment, type PacketMachine } from "./packet-ground.ts";

const open = (): PacketMachine => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined });

describe("drop codes, simulated", () => dropsSuite(open));

// The kernel's test runs take no packets of this length.
describe("extension headers that are long, simulated", () => {
  let ground: PacketGround;
  beforeAll(() => {
    const under = open();
    ground = new PacketGround(under, { cgroup: under.machine.processes.createCgroup("skep-drops-long").path });
    reset({ ground });
  }, 300_000);
  afterAll(() => ground?.close());

  test.each([
    [3, 0],
    [4, 156],
  ])("%i of 2048 bytes each: %i", (count, wanted) => {
    const data = new Uint8Array(2044);
    const long: LayerSpec = {
      ...{ kind: "ipv6-options", place: "destination" },
      options: [
        ...Array.from({ length: 7 }, () => ({ type: 0x1e, data: data.subarray(0, 250) })),
        { type: 0x1e, data: data.subarray(0, 2046 - 7 * 252 - 2) },
      ],
    };
    const { pod, local } = ADDRESSES[6];
    const hop = { source: mac(1, 1), destination: mac(1, 2) };
    const layers = Array.from({ length: count }, () => long);
    const packet = frame(hop, network(pod, local), ...layers, segment("tcp", [40_000, 80]));
    expect(packet).toHaveLength(14 + 40 + count * 2048 + 20);
    const { events } = ground.send("skep_from_ep", packet);
    expect(events.find(({ type }) => type === 1)?.reason ?? 0).toBe(wanted);
  });
});
