import { describe, expect, it } from "vitest";
import {
  decrementTtl,
  internetChecksum,
  ipv4Checksum,
  replaceIpv6Address,
  replaceLong,
  replaceWord,
  udpChecksum,
} from "@skep/bpf/checksum";
import {
  crc32,
  crc32c,
  fnv1a32,
  fnv1a64,
  jhash,
  jhashWords,
  murmur3,
  murmur3Words,
  sipHash,
  sipHashWords,
} from "@skep/bpf/hash";
import { dnsNameHash, dnsQuestion, greLength } from "@skep/bpf/parse";
import { linearSlot, log2, type Rate, takeTokens, takeTokensAt, TokenBucket } from "@skep/bpf/stats";
import { GRE, Ipv4 } from "@skep/bpf/net";
import { KernelOnlyError } from "../descriptors.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the standard library in user space", () => {
  it("hashes to the published values", () => {
    expect(crc32(ascii("123456789"))).toBe(0xcbf43926);
    expect(crc32([])).toBe(0);
    // Fowler, Noll and Vo's own test suite.
    expect(fnv1a32(ascii("foobar"))).toBe(0xbf9cf968);
    expect(fnv1a64(ascii("foobar"))).toBe(0x85944171f73967e8n);
    expect(fnv1a64([])).toBe(0xcbf29ce484222325n);
    // Of the bytes 0 to 7 and 0 to 15 with the key 0 to 15 (Aumasson and Bernstein, vectors_sip64).
    const [key0, key1] = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
    expect(sipHashWords([0x0706050403020100n], key0, key1)).toBe(0x93f5f5799a932462n);
    expect(sipHashWords([], key0, key1)).toBe(0x726fdb47dd0e0e31n);
    // MurmurHash3_x86_32 of "test" and of nothing.
    expect(murmur3Words(Uint32Array.of(0x74736574), 0)).toBe(0xba6bd213);
    expect(murmur3Words([], 1)).toBe(0x514e28b7);
    expect(jhashWords([], 0)).toBe(0xdeadbeef);
  });

  it("hashes bytes of any length to the published values", () => {
    // Bob Jenkins' own, of hashlittle (lookup3.c, driver5), which is the kernel's jhash.
    const gettysburg = ascii("Four score and seven years ago");
    expect([jhash([], 0), jhash([], 0xdeadbeef)]).toEqual([0xdeadbeef, 0xbd5b7dde]);
    expect([jhash(gettysburg, 0), jhash(gettysburg, 1)]).toEqual([0x17770551, 0xcd628161]);
    expect(jhash([1, 0, 0, 0, 2, 0, 0, 0], 7)).toBe(jhashWords([1, 2], 7));

    // SMHasher's value for MurmurHash3_x86_32: of 256 keys of 0 to 255 bytes, and of what they gave.
    const hashes = Array.from({ length: 256 }, (_, length) =>
      murmur3(
        Array.from({ length }, (_each, at) => at),
        256 - length,
      ),
    );
    expect(murmur3(new Uint8Array(Uint32Array.from(hashes).buffer), 0)).toBe(0xb0f57ee3);

    const [key0, key1] = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
    const count = (length: number): number[] => Array.from({ length }, (_, at) => at);
    const published = new Map([
      [0, 0x726fdb47dd0e0e31n],
      [1, 0x74f839c593dc67fdn],
      [7, 0xab0200f58b01d137n],
      [8, 0x93f5f5799a932462n],
      [15, 0xa129ca6149be45e5n],
      [63, 0x958a324ceb064572n],
    ]);
    for (const [length, hash] of published) expect(sipHash(count(length), key0, key1)).toBe(hash);

    // RFC 3720, appendix B.4.
    expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(crc32c(count(32))).toBe(0x46dd794e);
  });

  it("sums bytes, and knows what UDP says of zero", () => {
    // RFC 1071, section 3.
    expect(internetChecksum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])).toBe(0xffff - 0xddf2);
    expect(internetChecksum([0x12, 0x34, 0x56])).toBe(0xffff - (0x1234 + 0x5600));
    const from = { w0: 0x20010db8, w1: 0, w2: 0, w3: 1 };
    const to = { w0: 0xfd000000, w1: 0x1234, w2: 0xffffffff, w3: 0x99 };
    const bytesOf = (address: typeof from): Uint8Array => {
      const view = new DataView(new ArrayBuffer(16));
      Object.values(address).forEach((word, at) => view.setUint32(at * 4, word));
      return new Uint8Array(view.buffer);
    };
    expect(replaceIpv6Address(internetChecksum(bytesOf(from)), from, to)).toBe(internetChecksum(bytesOf(to)));
    expect([udpChecksum(0, 5), udpChecksum(5, 0), udpChecksum(5, 6)]).toEqual([0, 0xffff, 6]);
  });

  it("mends checksums", () => {
    // RFC 1624, section 4.
    expect(replaceWord(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
    const ip = Ipv4.decode(Uint8Array.from([69, 0, 0, 84, 0, 7, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 168, 1, 1]));
    ip.checksum = ipv4Checksum(ip);
    const { checksum } = ip;
    decrementTtl(ip);
    expect([ip.ttl, ip.checksum]).toEqual([63, ipv4Checksum(ip)]);
    expect(replaceWord(ip.checksum, 0x3f06, 0x4006)).toBe(checksum);
    const moved = replaceLong(ip.checksum, ip.source, 0x0a0000ff);
    expect(moved).toBe(ipv4Checksum({ ...ip, source: 0x0a0000ff }));
  });

  it("finds slots, and counts tokens", () => {
    expect([0n, 1n, 2n, 3n, 1023n, 1024n, (1n << 64n) - 1n].map(log2)).toEqual([0, 0, 1, 1, 9, 10, 63]);
    expect([9n, 10n, 19n, 20n, 1000n].map((value) => linearSlot(value, 10n, 10n, 5))).toEqual([0, 1, 1, 2, 6]);
    const bucket = TokenBucket.decode(new Uint8Array(TokenBucket.size));
    const limit = { rate: 10n, burst: 2n } satisfies Rate;
    const taken = [0n, 1n, 2n, 200_000_000n].map((at) => takeTokensAt(bucket, limit, 1n, 1_000_000_000n + at));
    expect(taken).toEqual([true, true, false, true]);
    expect(bucket).toEqual({ time: 1_200_000_000n, tokens: 1n });
  });

  it("knows headers, and names the part that needs a packet in the kernel", () => {
    expect([greLength(0), greLength(GRE.KEY | GRE.CHECKSUM)]).toEqual([4, 12]);
    const name = [7, ...ascii("Example"), 3, ...ascii("org")];
    expect(dnsNameHash(name)).toBe(fnv1a64(ascii("\u0007example\u0003org")));
    expect(() => dnsQuestion({} as never, 0)).toThrow(KernelOnlyError);
    expect(() => takeTokens({ time: 0n, tokens: 0n }, { rate: 1n, burst: 1n }, 1n)).toThrow(KernelOnlyError);
  });
});
