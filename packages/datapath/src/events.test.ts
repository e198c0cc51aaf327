import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeAddress } from "./encode.ts";
import { decodeEvent, decodeEventAt, EVENT_SIZE } from "./events.ts";
import { Event } from "./bpf/maps.bpf.ts";

/** By the schema that the kernel program shares. */
function bySchema(record: Uint8Array): unknown {
  const { direction, flags, ifindex, source, destination, sourceMac, destinationMac, pad, ...same } =
    Event.decode(record);
  expect(pad).toBeDefined();
  return {
    ...same,
    direction: direction === 1 ? "ingress" : "egress",
    reply: (flags & 1) !== 0,
    fromHost: (flags & 2) !== 0,
    established: (flags & 4) !== 0,
    related: (flags & 8) !== 0,
    interfaceIndex: ifindex,
    source: decodeAddress(source),
    destination: decodeAddress(destination),
    sourceMac: Uint8Array.from(Array.from(sourceMac.bytes)),
    destinationMac: Uint8Array.from(Array.from(destinationMac.bytes)),
  };
}

const bytes = fc.uint8Array({ minLength: EVENT_SIZE, maxLength: EVENT_SIZE });

describe("an event's record", () => {
  it("is read as the schema says, also within a view", () => {
    fc.assert(
      fc.property(bytes, fc.boolean(), (record, isV4) => {
        if (isV4) record.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255], 40);
        expect(decodeEvent(record)).toEqual(bySchema(record));
        const around = new Uint8Array(EVENT_SIZE + 16);
        around.set(record, 8);
        expect(decodeEventAt(new DataView(around.buffer, 4), 4)).toEqual(bySchema(record));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it("is refused where it is too short", () => {
    expect(() => decodeEvent(new Uint8Array(EVENT_SIZE - 1))).toThrow(RangeError);
  });
});
