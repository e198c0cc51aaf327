import { isIP } from "node:net";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "./index.ts";
import type { Address } from "./index.ts";

const must = <T>(value: T | null): T => {
  if (value === null) throw new Error("null");
  return value;
};
const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Runs of zeros are what makes formatting hard.
  fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
);
const asAddress = address.map((bytes) => net.addressOf(bytes));

describe("addresses", () => {
  // RFC 5952 sections 4 and 5.
  test.each([
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:DB8::ABCD", "2001:db8::abcd"],
    ["::ffff:192.0.2.128", "::ffff:192.0.2.128"],
    ["::ffff:c000:280", "::ffff:192.0.2.128"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["255.255.255.255", "255.255.255.255"],
    ["0.0.0.0", "0.0.0.0"],
  ])("%s is %s", (text, canonical) => {
    expect(net.formatAddress(must(net.parseAddress(text)))).toBe(canonical);
  });

  test.each([
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "256.1.1.1",
    "1.2.3.-4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.0x4",
    "1..2.3",
    ":",
    ":::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "::ffff:1.2.3.256",
    "1:2:3:4:5:6:7:1.2.3.4",
    ":1::2",
    "1:",
    ":1",
  ])("%j is no address", (text) => {
    expect(net.parseAddress(text)).toBeNull();
  });

  test("what Node calls an address is one, and nothing else", () => {
    const text = fc
      .array(fc.constantFrom("0", "1", "25", "fF", ":", "::", "."), { maxLength: 14 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (candidate) => {
        expect(net.parseAddress(candidate)?.family ?? 0).toBe(isIP(candidate));
      }),
      { numRuns: 5000 },
    );
  });

  test("format and parse are inverse, and numbers too", () => {
    fc.assert(
      fc.property(asAddress, (a) => {
        expect(net.parseAddress(net.formatAddress(a))).toEqual(a);
        expect(net.addressFromBigInt(a.family, net.addressToBigInt(a))).toEqual(a);
        const mapped = net.mappedBytes(a);
        expect(mapped.length).toBe(16);
        if (a.family === 4 || !net.formatAddress(a).startsWith("::ffff:"))
          expect(net.fromMappedBytes(mapped)).toEqual(a);
      }),
    );
  });

  test("order is by family, then by value", () => {
    fc.assert(
      fc.property(asAddress, asAddress, (a, b) => {
        const expected =
          a.family === b.family ? net.addressToBigInt(a) - net.addressToBigInt(b) : BigInt(a.family - b.family);
        expect(Math.sign(net.compareAddresses(a, b))).toBe(expected < 0n ? -1 : expected > 0n ? 1 : 0);
        expect(net.sameAddress(a, b)).toBe(expected === 0n);
      }),
    );
  });

  test("kinds", () => {
    const is = (check: (a: Address) => boolean, text: string) => check(must(net.parseAddress(text)));
    expect(is(net.isLoopback, "127.3.4.5") && is(net.isLoopback, "::1") && !is(net.isLoopback, "::2")).toBe(true);
    expect(
      is(net.isMulticast, "224.0.0.1") && is(net.isMulticast, "ff02::1") && !is(net.isMulticast, "223.0.0.1"),
    ).toBe(true);
    expect(
      is(net.isLinkLocal, "169.254.1.1") && is(net.isLinkLocal, "febf::1") && !is(net.isLinkLocal, "fec0::1"),
    ).toBe(true);
    expect(is(net.isUnspecified, "::") && !is(net.isUnspecified, "0.0.0.1")).toBe(true);
  });
});

describe("prefixes", () => {
  test.each([
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3/32"],
    ["2001:db8:ffff::1/33", "2001:db8:8000::/33"],
    ["::/0", "::/0"],
    ["0.0.0.0/0", "0.0.0.0/0"],
  ])("%s is %s", (text, canonical) => {
    expect(net.formatPrefix(must(net.parsePrefix(text)))).toBe(canonical);
  });

  test.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "/8", "::/129", "10.0.0.0/8/8", "a/8"])(
    "%j is no prefix",
    (text) => {
      expect(net.parsePrefix(text)).toBeNull();
    },
  );

  const prefix = asAddress.chain((a) =>
    fc.integer({ min: 0, max: net.familyBits(a.family) }).map((length) => net.networkOf({ address: a, length })),
  );

  test("contains is arithmetic on numbers", () => {
    fc.assert(
      fc.property(prefix, asAddress, fc.boolean(), (p, other, near) => {
        // Half of the time an address that shares the prefix's bits.
        const shift = BigInt(net.familyBits(p.address.family) - p.length);
        const a =
          near && other.family === p.address.family
            ? net.addressFromBigInt(
                other.family,
                net.addressToBigInt(p.address) | (net.addressToBigInt(other) & ((1n << shift) - 1n)),
              )
            : other;
        const expected =
          a.family === p.address.family && net.addressToBigInt(a) >> shift === net.addressToBigInt(p.address) >> shift;
        expect(net.prefixContains(p, a)).toBe(expected);
        const mapped = net.mappedPrefix(p);
        if (a.family === p.address.family) {
          expect(net.prefixContains(mapped, { family: 6, bytes: net.mappedBytes(a) })).toBe(expected);
        }
      }),
    );
  });

  test("covers, overlaps and the range agree", () => {
    fc.assert(
      fc.property(prefix, prefix, (p, q) => {
        const a = net.prefixRange(p);
        const b = net.prefixRange(q);
        const covers = net.compareAddresses(a.first, b.first) <= 0 && net.compareAddresses(b.last, a.last) <= 0;
        expect(net.prefixCovers(p, q)).toBe(covers && p.address.family === q.address.family);
        expect(net.prefixesOverlap(p, q)).toBe(net.prefixCovers(p, q) || net.prefixCovers(q, p));
        expect(net.addressAt(p, 0n)).toEqual(a.first);
        expect(net.addressAt(p, net.prefixSize(p) - 1n)).toEqual(a.last);
        expect(net.addressAt(p, net.prefixSize(p))).toBeNull();
        expect(net.rangeToPrefixes(a.first, a.last)).toEqual([p]);
      }),
    );
  });

  test("a range is cut into prefixes that hold it exactly", () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(byte, byte, (a, b) => {
        const [first, last] = a < b ? [a, b] : [b, a];
        const list = net.rangeToPrefixes(net.ipv4(first), net.ipv4(last));
        for (let i = 0; i < 300; i++) {
          const hits = list.filter((p) => net.prefixContains(p, net.ipv4(i))).length;
          expect(hits).toBe(i >= first && i <= last ? 1 : 0);
        }
      }),
    );
  });

  test("netmask", () => {
    expect(net.formatAddress(net.netmask(4, 20))).toBe("255.255.240.0");
    expect(net.formatAddress(net.netmask(6, 0))).toBe("::");
    expect(net.formatAddress(net.netmask(6, 65))).toBe("ffff:ffff:ffff:ffff:8000::");
  });
});

describe("MACs, ports, endpoints", () => {
  test("MACs", () => {
    expect(net.parseMac("02:42:AC:11:00:02")).toEqual(Uint8Array.of(2, 0x42, 0xac, 0x11, 0, 2));
    expect(net.formatMac(must(net.parseMac("02-42-ac-11-00-0f")))).toBe("02:42:ac:11:00:0f");
    for (const text of [
      "",
      "02:42:ac:11:00",
      "02:42:ac:11:00:02:03",
      "02:42-ac:11:00:02",
      "2:42:ac:11:00:02",
      "0g:42:ac:11:00:02",
    ]) {
      expect(net.parseMac(text)).toBeNull();
    }
    expect(net.isGroupMac(Uint8Array.of(1, 0, 0x5e, 0, 0, 1))).toBe(true);
    expect(net.sameMac(Uint8Array.of(1, 2, 3, 4, 5, 6), Uint8Array.of(1, 2, 3, 4, 5, 7))).toBe(false);
  });

  test.each([
    ["0", 0],
    ["80", 80],
    ["65535", 65535],
    ["65536", null],
    ["080", null],
    ["", null],
    ["-1", null],
    ["8 ", null],
  ])("port %j is %s", (text, port) => {
    expect(net.parsePort(text)).toBe(port);
  });

  test("endpoints", () => {
    for (const text of ["192.0.2.1:80", "[2001:db8::1]:443"])
      expect(net.formatEndpoint(must(net.parseEndpoint(text)))).toBe(text);
    for (const text of ["2001:db8::1:80", "192.0.2.1", "[192.0.2.1]:80", ":80", "[::1]80", "::1:80", "1.1.1.1:65536"]) {
      expect(net.parseEndpoint(text)).toBeNull();
    }
  });

  test("port ranges", () => {
    expect(net.portRangeToPrefixes(0, 65535)).toEqual([{ port: 0, length: 0 }]);
    expect(net.portRangeToPrefixes(80, 80)).toEqual([{ port: 80, length: 16 }]);
    expect(net.portRangeToPrefixes(2, 1)).toEqual([]);
    const port = fc.integer({ min: 0, max: 65535 });
    fc.assert(
      fc.property(port, port, port, (a, b, probe) => {
        const [first, last] = a < b ? [a, b] : [b, a];
        const list = net.portRangeToPrefixes(first, last);
        expect(list.length).toBeLessThanOrEqual(30);
        for (const p of [probe, first, last, first - 1, last + 1].filter((x) => x >= 0 && x <= 65535)) {
          const hits = list.filter((entry) => p >> (16 - entry.length) === entry.port >> (16 - entry.length)).length;
          expect(hits).toBe(p >= first && p <= last ? 1 : 0);
        }
      }),
    );
  });
});
