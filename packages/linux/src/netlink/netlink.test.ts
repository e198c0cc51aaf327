import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  attributes,
  be16,
  bytes,
  concat,
  flag,
  list,
  MalformedMessageError,
  readAttributes,
  string,
  struct,
  u16,
  u32,
  u64,
  u8,
  writeAttribute,
} from "./codec.ts";
import { InterruptedDumpError } from "./errors.ts";
import { createLink, linkLayout } from "./links.ts";
import { vxlanData } from "./link-kinds.ts";
import {
  decodeBody,
  encodeBody,
  encodeMessage,
  flags,
  type Message,
  parseAcknowledgement,
  parseDone,
  parseMessages,
} from "./message.ts";
import { type NetlinkSocket, uninterrupted } from "./socket.ts";
import { bytesOf, htb, htbClass, tbf, ticksOf } from "./traffic-kinds.ts";

const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

const inner = attributes({ flag: [1, flag], text: [2, string] });
const table = attributes({
  byte: [1, u8],
  short: [2, u16],
  word: [3, u32],
  long: [4, u64],
  port: [5, be16],
  text: [6, string],
  raw: [7, bytes],
  nested: [8, inner],
  list: [9, list(u32)],
  rows: [10, array(struct({ a: "u16", b: "u16" }))],
});

const values = fc.record(
  {
    byte: fc.integer({ min: 0, max: 255 }),
    short: fc.integer({ min: 0, max: 65_535 }),
    word: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    long: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    port: fc.integer({ min: 0, max: 65_535 }),
    text: fc.string({ unit: fc.integer({ min: 1, max: 126 }).map((code) => String.fromCharCode(code)) }),
    raw: fc.uint8Array(),
    nested: fc.record({ flag: fc.constant(true as const), text: fc.constant("x") }, { requiredKeys: [] }),
    list: fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    rows: fc.array(fc.record({ a: fc.integer({ min: 0, max: 9 }), b: fc.integer({ min: 0, max: 9 }) })),
  },
  { requiredKeys: [] },
);

describe("attributes", () => {
  test("are four-byte aligned, lengths without padding, nested ones flagged", () => {
    expect(hex(table.encode({ byte: 7 }))).toBe("0500010007000000");
    expect(hex(table.encode({ port: 80 }))).toBe("0600050000500000");
    expect(hex(table.encode({ text: "abc" }))).toBe("0800060061626300");
    expect(hex(table.encode({ nested: { flag: true } }))).toBe("0800088004000100");
    expect(hex(table.encode({ list: [1, 2] }))).toBe("1400098008000100010000000800020002000000");
  });

  test("what is written is read", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(table.decode(table.encode(value))).toEqual(value);
      }),
    );
  });

  test("unknown ones are skipped, and the flags of a type do not count", () => {
    const bits = concat([
      writeAttribute(99, Uint8Array.of(1)),
      writeAttribute(1, Uint8Array.of(5)),
      writeAttribute(3 | 0x4000, fromHex("01000000")),
    ]);
    expect(table.decode(bits)).toEqual({ byte: 5, word: 1 });
  });

  test("any bytes are read or refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          table.decode(noise);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessageError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["a length beyond the list", "0c00010007000000"],
    ["a length below the header", "0300010007000000"],
    ["too few bytes for the value", "0500020007000000"],
  ])("%s is refused", (_, text) => expect(() => table.decode(fromHex(text))).toThrow(MalformedMessageError));

  test("an offset leads to the attribute that it is in", () => {
    const bits = table.encode({ byte: 1, nested: { flag: true, text: "abc" }, word: 5 });
    const places = [...readAttributes(bits)].map(({ type, offset }) => [type, offset]);
    expect(places).toEqual([
      [1, 0],
      [3, 8],
      [8, 16],
    ]);
    expect(table.pathAt!(bits, 0)).toBe("byte");
    expect(table.pathAt!(bits, 12)).toBe("word");
    expect(table.pathAt!(bits, 16)).toBe("nested");
    expect(table.pathAt!(bits, 20)).toBe("nested.flag");
    expect(table.pathAt!(bits, 24)).toBe("nested.text");
    expect(table.pathAt!(bits, 500)).toBe("");
  });

  test("one attribute holds at most 64 KiB", () => {
    expect(() => table.encode({ raw: new Uint8Array(65_532) })).toThrow(RangeError);
  });
});

describe("messages", () => {
  const message = (change: Partial<Message> = {}): Message => ({
    type: 16,
    flags: 0,
    sequence: 7,
    port: 0,
    payload: Uint8Array.of(1, 2, 3),
    ...change,
  });

  test("several in one datagram, each aligned", () => {
    const first = encodeMessage(message());
    const datagram = concat([
      first,
      Uint8Array.of(0),
      encodeMessage(message({ sequence: 8, payload: new Uint8Array(0) })),
    ]);
    expect([...parseMessages(datagram)]).toEqual([message(), message({ sequence: 8, payload: new Uint8Array(0) })]);
    expect(hex(first)).toBe("13000000100000000700000000000000010203");
  });

  test("a length beyond the datagram is refused", () => {
    const broken = encodeMessage(message());
    broken[0] = 255;
    expect(() => [...parseMessages(broken)]).toThrow(MalformedMessageError);
  });

  test("a body is a header and attributes", () => {
    const body = encodeBody(linkLayout, { index: 3 }, { name: "eth0", mtu: 1500 });
    expect(hex(body)).toBe("0000000003000000000000000000000009000300657468300000000008000400dc050000");
    expect(decodeBody(linkLayout, body)).toMatchObject({
      header: { index: 3 },
      attributes: { name: "eth0", mtu: 1500 },
    });
  });

  const header = "24000000100005000700000000000000";
  test("an acknowledgement of success", () => {
    const payload = fromHex("00000000" + header);
    expect(parseAcknowledgement(message({ type: 2, flags: flags.capped, payload }))).toEqual({ errno: 0 });
  });

  test("a refusal with words and a place, the request capped", () => {
    const words = writeAttribute(1, new TextEncoder().encode("no such thing\0"));
    const place = writeAttribute(2, fromHex("24000000"));
    const payload = concat([fromHex("eaffffff" + header), words, place]);
    expect(parseAcknowledgement(message({ type: 2, flags: flags.capped | flags.ackTlvs, payload }))).toEqual({
      errno: 22,
      message: "no such thing",
      offset: 0x24,
    });
  });

  test("a refusal that repeats the request", () => {
    const request = concat([fromHex(header), new Uint8Array(20)]);
    const payload = concat([fromHex("ffffffff"), request, writeAttribute(5, fromHex("03000000"))]);
    expect(parseAcknowledgement(message({ type: 2, flags: flags.ackTlvs, payload }))).toEqual({
      errno: 1,
      missingType: 3,
    });
  });

  test("a short acknowledgement is refused", () => {
    expect(() => parseAcknowledgement(message({ payload: new Uint8Array(8) }))).toThrow(MalformedMessageError);
  });

  test("the end of a dump may carry an error", () => {
    expect(parseDone(message({ type: 3, payload: fromHex("00000000") }))).toEqual({ errno: 0 });
    const words = writeAttribute(1, new TextEncoder().encode("gone\0"));
    const payload = concat([fromHex("feffffff"), words]);
    expect(parseDone(message({ type: 3, flags: flags.ackTlvs, payload }))).toEqual({ errno: 2, message: "gone" });
  });

  test("a dump that was interrupted is read again, and in the end given up", () => {
    let reads = 0;
    const answer = [message()];
    expect(uninterrupted("x", () => ({ messages: answer, interrupted: ++reads < 3 }))).toBe(answer);
    expect(reads).toBe(3);
    expect(() => uninterrupted("links", () => ({ messages: [], interrupted: true }))).toThrow(InterruptedDumpError);
  });
});

describe("kinds", () => {
  test("addresses of a vxlan have their own length", () => {
    const address = { family: 4, bytes: Uint8Array.of(10, 0, 0, 1) } as const;
    expect(hex(vxlanData.encode({ id: 5, group: address, port: 4789 }))).toBe(
      "0800010005000000080002000a00000106000f0012b50000",
    );
    expect(() => vxlanData.decode(writeAttribute(2, new Uint8Array(3)))).toThrow(MalformedMessageError);
  });

  test("ticks are 64 ns, and back", () => {
    // 1,600 bytes at 100 Mbit/s take 128 us: 2,000 ticks.
    expect(ticksOf(1600, 12_500_000)).toBe(2000);
    expect(bytesOf(2000, 12_500_000)).toBe(1600);
    expect(ticksOf(1, 0)).toBe(0);
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 1_000_000 }),
        fc.integer({ min: 10_000, max: 12_500_000 }),
        (amount, rate) => {
          // A tick is less than a byte at these rates.
          expect(Math.abs(bytesOf(ticksOf(amount, rate), rate) - amount)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  test("shapers give back what was asked for", () => {
    expect(htb.decode(htb.encode({ defaultClass: 0x30 }))).toEqual({ defaultClass: 0x30, rateToQuantum: 10 });
    const slow = { rate: 12_500_000, ceil: 25_000_000, burst: 1600, ceilBurst: 1600, priority: 3, quantum: 3000 };
    expect(htbClass.decode(htbClass.encode(slow))).toEqual(slow);
    expect(htbClass.decode(htbClass.encode({ rate: 12_500_000_000 })).rate).toBe(12_500_000_000);
    const bucket = { rate: 1_250_000, burst: 5000, limit: 20_000 };
    expect(tbf.decode(tbf.encode(bucket))).toEqual(bucket);
  });
});

describe("a netkit pair", () => {
  /** The request that would make it, without its header. */
  function message(mode: "l2" | "l3"): string {
    let body: Uint8Array | undefined;
    const socket = {
      request: (asked: { header: Parameters<typeof encodeBody>[1]; attributes: Parameters<typeof encodeBody>[2] }) => {
        body = encodeBody(linkLayout, asked.header, asked.attributes);
      },
    };
    const peer = { name: "eth0", mtu: 1450, namespaceFd: 9 };
    const pair = { mode, policy: "pass", peerPolicy: "drop" } as const;
    createLink(socket as unknown as NetlinkSocket, { kind: "netkit-pair", name: "skep7", mtu: 1450, pair, peer });
    if (!body) throw new Error("nothing was asked");
    return hex(body);
  }

  // include/uapi/linux/if_link.h: struct ifinfomsg, then IFLA_IFNAME 3, IFLA_MTU 4, IFLA_LINKINFO 18 with IFLA_INFO_KIND 1 and IFLA_INFO_DATA 2: in it
  // IFLA_NETKIT_PEER_INFO 1 (a whole link message), POLICY 3, PEER_POLICY 4, MODE 5.
  test.each([
    ["l2", "00000000"],
    ["l3", "01000000"],
  ] as const)("%s, byte for byte", (mode, number) => {
    const header = "00".repeat(16);
    const textOf = (text: string): string => Buffer.from(`${text}\0`).toString("hex");
    const name = `0a000300${textOf("skep7")}0000`;
    const mtu = "08000400aa050000";
    const peer = `${header}09000300${textOf("eth0")}000000${mtu}08001c0009000000`;
    const data = `30000100${peer}080003000000000008000400${"02000000"}08000500${number}`;
    const info = `0b000100${textOf("netkit")}004c000280${data}`;
    expect(message(mode)).toBe(header + name + mtu + "5c001280" + info);
  });
});
