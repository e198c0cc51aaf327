import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { array, i16, struct, u16, u32, u64, u8, type Of } from "@skep/bpf";
import { decrementTtl, foldChecksum, ipv4Checksum, replaceLong, replaceWord } from "@skep/bpf/checksum";
import {
  crc32,
  fnv1a32,
  fnv1a64,
  jhash1Word,
  jhash2Words,
  jhash3Words,
  jhashWords,
  murmur3Words,
  rotateLeft32,
  rotateLeft64,
  sipHashWords,
} from "@skep/bpf/hash";
import { Ipv4 } from "@skep/bpf/net";
import { dnsNameHash, greLength } from "@skep/bpf/parse";
import { linearSlot, log2, takeTokensAt, TokenBucket } from "@skep/bpf/stats";
import { start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

// The same text is the kernel program's and user space's: what differs is who runs the functions.
const Input = struct("Input", {
  words: array(u32, 8),
  wide: array(u64, 4),
  bytes: array(u8, 24),
  bucket: TokenBucket,
  rate: u64,
  ip: Ipv4,
  short: array(u16, 4),
  signed: i16,
});
const Output = struct("Output", {
  wide: array(u64, 8),
  words: array(u32, 16),
  short: array(u16, 4),
  bucket: TokenBucket,
  taken: u8,
  ip: Ipv4,
});

function compute(input: Of<typeof Input>, out: Of<typeof Output>): void {
  // both sides
  const w = input.words;
  const d = input.wide;
  out.words[0] = jhash1Word(w[0], w[1]);
  out.words[1] = jhash2Words(w[0], w[1], w[2]);
  out.words[2] = jhash3Words(w[0], w[1], w[2], w[3]);
  out.words[3] = jhashWords(w, w[0]);
  out.words[4] = murmur3Words(w, w[0]);
  out.words[5] = fnv1a32(input.bytes);
  out.words[6] = crc32(input.bytes);
  out.words[7] = rotateLeft32(w[0], (w[1] & 15) + 1);
  out.words[8] = log2(d[0]);
  out.words[9] = linearSlot(d[0], d[1], d[2], w[2]);
  out.words[10] = greLength(input.short[0]);
  out.wide[0] = fnv1a64(input.bytes);
  out.wide[1] = sipHashWords(d, d[0], d[1]);
  out.wide[2] = rotateLeft64(d[0], 13n);
  out.wide[3] = dnsNameHash(input.bytes);
  out.short[0] = replaceWord(input.short[0], input.short[1], input.short[2]);
  out.short[1] = replaceLong(input.short[0], w[0], w[1]);
  out.short[2] = ipv4Checksum(input.ip);
  out.short[3] = foldChecksum(w[0]);
  decrementTtl(out.ip);
  // end
}

const text = readFileSync(import.meta.filename, "utf8");
const BODY = text.slice(text.indexOf("// both sides\n"), text.indexOf("// end\n"));

const KERNEL = `
import { array, i16, struct, u16, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { decrementTtl, foldChecksum, ipv4Checksum, replaceLong, replaceWord } from "@skep/bpf/checksum";
import { crc32, fnv1a32, fnv1a64, jhash1Word, jhash2Words, jhash3Words, jhashWords, murmur3Words, rotateLeft32, rotateLeft64, sipHashWords } from "@skep/bpf/hash";
import { Ipv4 } from "@skep/bpf/net";
import { dnsNameHash, greLength } from "@skep/bpf/parse";
import { linearSlot, log2, takeTokensAt, TokenBucket } from "@skep/bpf/stats";
const Input = struct("Input", { words: array(u32, 8), wide: array(u64, 4), bytes: array(u8, 24), bucket: TokenBucket, rate: u64, ip: Ipv4,
  short: array(u16, 4), signed: i16 });
const Output = struct("Output", { wide: array(u64, 8), words: array(u32, 16), short: array(u16, 4), bucket: TokenBucket, taken: u8, ip: Ipv4 });
const Both = struct("Both", { input: Input, out: Output });
export const main = xdp("main", (ctx) => {
  const both = ctx.header(Both, 0);
  if (!both) return XDP.DROP;
  const { input, out } = both;
  out.ip = input.ip;
  out.bucket = input.bucket;
  ${BODY}
  out.taken = u8(takeTokensAt(out.bucket, { rate: input.rate, burst: input.wide[1] }, input.wide[2], input.wide[3]));
  return XDP.PASS;
});`;

const bigint = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const wide = fc.oneof(bigint, fc.bigInt({ min: 0n, max: 4_000_000_000n }));
const list = <T>(element: fc.Arbitrary<T>, length: number): fc.Arbitrary<T[]> =>
  fc.array(element, { minLength: length, maxLength: length });

describe.skipIf(!canUseBpf())("user space and the kernel", () => {
  let running: Running | undefined;
  afterAll(() => running?.close());

  it("have the same standard library", () => {
    const kernel = (running = start(KERNEL));
    const check = (input: Of<typeof Input>): void => {
      const out = Output.decode(new Uint8Array(Output.size));
      Object.assign(out.ip, input.ip);
      Object.assign(out.bucket, input.bucket);
      compute(input, out);
      const limit = { rate: input.rate, burst: input.wide[1] };
      out.taken = takeTokensAt(out.bucket, limit, input.wide[2], input.wide[3]) ? 1 : 0;
      const packet = new Uint8Array(Input.size + Output.size);
      packet.set(Input.encode(input));
      const answer = kernel.run(packet);
      expect(answer.returned).toBe(2);
      expect(Output.decode(answer.data.subarray(Input.size))).toEqual(out);
    };
    const arbitrary = fc.record({
      words: list(fc.nat(0xffff_ffff), 8),
      wide: list(wide, 4),
      bytes: list(fc.nat(255), 24),
      bucket: fc.record({ time: wide, tokens: wide }),
      rate: wide,
      ip: fc.uint8Array({ minLength: Ipv4.size, maxLength: Ipv4.size }).map((bytes) => Ipv4.decode(bytes)),
      short: list(fc.nat(0xffff), 4),
      signed: fc.integer({ min: -0x8000, max: 0x7fff }),
    });
    fc.assert(
      fc.property(arbitrary, (input) => check(input as unknown as Of<typeof Input>)),
      { seed: 11, numRuns: 300 },
    );
  });
});
