import { describe, expect, it } from "vitest";
import { decrementTtl, ipv4Checksum, replaceLong, replaceWord } from "@skep/bpf/checksum";
import { crc32, fnv1a32, fnv1a64, jhashWords, murmur3Words, sipHashWords } from "@skep/bpf/hash";
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
