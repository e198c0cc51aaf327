import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "./index.ts";

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));
const counting = (length: number) => Uint8Array.from({ length }, (_, i) => i);

describe("hashes have the results of their references", () => {
  // lookup3.c, driver5.
  test.each([
    ["", 0, 0xdeadbeef],
    ["", 0xdeadbeef, 0xbd5b7dde],
    ["Four score and seven years ago", 0, 0x17770551],
    ["Four score and seven years ago", 1, 0xcd628161],
  ])("jhash(%j, %i)", (text, seed, hash) => {
    expect(net.jhash(ascii(text), seed)).toBe(hash);
  });

  test("jhash2 is jhash of the words' bytes", () => {
    fc.assert(
      fc.property(fc.uint32Array({ maxLength: 20 }), fc.nat(), (words, seed) => {
        const bytes = new Uint8Array(words.length * 4);
        for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(i * 4, word, true);
        expect(net.jhash2(words, seed)).toBe(net.jhash(bytes, seed));
      }),
    );
  });

  test.each([
    ["", 0, 0n, 0n],
    ["", 1, 0x4610abe56eff5cb5n, 0x51622daa78f83583n],
    ["hello", 0, 0xcbd8a7b341bd9b02n, 0x5b1e906a48ae1d19n],
    ["hello, world", 0, 0x342fac623a5ebc8en, 0x4cdcbc079642414dn],
    ["The quick brown fox jumps over the lazy dog", 0, 0xe34bbc7bbc071b6cn, 0x7a433ca9c49a9347n],
  ])("murmur3x64(%j, %i)", (text, seed, h1, h2) => {
    expect(net.murmur3x64(ascii(text), seed)).toEqual({ h1, h2 });
  });

  // vectors_sip64 of the reference implementation.
  test.each([
    [0, 0x726fdb47dd0e0e31n],
    [1, 0x74f839c593dc67fdn],
    [7, 0xab0200f58b01d137n],
    [8, 0x93f5f5799a932462n],
    [15, 0xa129ca6149be45e5n],
    [63, 0x958a324ceb064572n],
  ])("siphash24 of %i bytes", (length, hash) => {
    expect(net.siphash24(counting(16), counting(length))).toBe(hash);
    expect(() => net.siphash24(counting(15), counting(length))).toThrow(RangeError);
  });

  test.each([
    ["", 0x811c9dc5, 0xcbf29ce484222325n],
    ["a", 0xe40c292c, 0xaf63dc4c8601ec8cn],
    ["foobar", 0xbf9cf968, 0x85944171f73967e8n],
  ])("FNV-1a of %j", (text, short, long) => {
    expect(net.fnv1a32(ascii(text))).toBe(short);
    expect(net.fnv1a64(ascii(text))).toBe(long);
  });

  test("CRCs, whole and in parts", () => {
    expect(net.crc32(ascii("123456789"))).toBe(0xcbf43926);
    expect(net.crc32c(ascii("123456789"))).toBe(0xe3069283);
    expect(net.crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(net.crc32c(ascii("6789"), net.crc32c(ascii("12345")))).toBe(0xe3069283);
  });
});

describe("Internet checksum", () => {
  test("RFC 1071's example, and a well-known header", () => {
    expect(net.onesSum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(0xddf2);
    const header = Uint8Array.of(
      0x45,
      0,
      0,
      0x73,
      0,
      0,
      0x40,
      0,
      0x40,
      0x11,
      0,
      0,
      0xc0,
      0xa8,
      0,
      1,
      0xc0,
      0xa8,
      0,
      0xc7,
    );
    expect(net.checksum(header)).toBe(0xb861);
  });

  // RFC 1624 section 4: the equation that RFC 1141 has gets this one wrong.
  test("RFC 1624's example", () => {
    expect(net.updateChecksum16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  const even = fc.uint8Array({ minLength: 2, maxLength: 100 }).filter((bytes) => bytes.length % 2 === 0);

  test("a sum can be taken in parts, and data with its checksum sums to 0", () => {
    fc.assert(
      fc.property(even, fc.uint8Array({ maxLength: 99 }), (first, second) => {
        const all = Uint8Array.of(...first, ...second);
        expect(net.checksum(second, net.onesSum(first))).toBe(net.checksum(all));
        const check = net.checksum(all);
        expect(net.checksum(Uint8Array.of(check >> 8, check & 0xff, ...all))).toBe(0);
      }),
    );
  });

  test("updates give what the whole sum gives", () => {
    fc.assert(
      fc.property(even, fc.nat(), fc.uint8Array({ minLength: 4, maxLength: 4 }), (data, place, value) => {
        // All-zero data has two representations of zero.
        fc.pre(data.some((byte) => byte !== 0));
        const before = Uint8Array.of(0x45, 0x11, 0x22, 0x33, ...data, 0, 1);
        const at = 2 * (place % ((before.length - 4) / 2));
        const after = before.slice();
        after.set(value, at);
        const old = new DataView(before.buffer).getUint32(at);
        const now = new DataView(after.buffer).getUint32(at);
        fc.pre(after.some((byte) => byte !== 0));
        const check = net.checksum(before);
        expect(net.updateChecksum32(check, old, now)).toBe(net.checksum(after));
        expect(net.updateChecksum(check, before.slice(at, at + 4), value)).toBe(net.checksum(after));
      }),
    );
  });

  test("more than 64 KiB does not overflow", () => {
    expect(net.checksum(new Uint8Array(300_001).fill(0xff))).toBe(net.checksum(Uint8Array.of(0xff, 0xff, 0xff)));
  });
});
