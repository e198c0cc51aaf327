import { afterAll, describe, expect, it } from "vitest";
import { start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const HEAD = `
import { array, be16, struct, u16, u32, u64, u8, xdp } from "@skep/bpf";
import { Ipv4, Ipv6, Tcp } from "@skep/bpf/net";
import { crc32, fnv1a32, fnv1a64, jhash1Word, jhash2Words, jhash3Words, jhashWords, murmur3Words, sipHashWords } from "@skep/bpf/hash";
import { decrementTtl, ipv4Checksum, replaceLong, replaceWord } from "@skep/bpf/checksum";
import { linearSlot, log2, takeTokensAt, TokenBucket } from "@skep/bpf/stats";
import { findTcpOption, skipIpv6Extensions } from "@skep/bpf/parse";
`;

/** lookup3 as Bob Jenkins wrote it, on 32-bit words. */
function jhash(words: readonly number[], seed: number): number {
  const rot = (x: number, k: number): number => ((x << k) | (x >>> (32 - k))) >>> 0;
  let a = (0xdeadbeef + (words.length << 2) + seed) >>> 0;
  let b = a;
  let c = a;
  let at = 0;
  let left = words.length;
  while (left > 3) {
    a = (a + (words[at] ?? 0)) >>> 0;
    b = (b + (words[at + 1] ?? 0)) >>> 0;
    c = (c + (words[at + 2] ?? 0)) >>> 0;
    a = ((a - c) ^ rot(c, 4)) >>> 0;
    c = (c + b) >>> 0;
    b = ((b - a) ^ rot(a, 6)) >>> 0;
    a = (a + c) >>> 0;
    c = ((c - b) ^ rot(b, 8)) >>> 0;
    b = (b + a) >>> 0;
    a = ((a - c) ^ rot(c, 16)) >>> 0;
    c = (c + b) >>> 0;
    b = ((b - a) ^ rot(a, 19)) >>> 0;
    a = (a + c) >>> 0;
    c = ((c - b) ^ rot(b, 4)) >>> 0;
    b = (b + a) >>> 0;
    at += 3;
    left -= 3;
  }
  if (left === 3) c = (c + (words[at + 2] ?? 0)) >>> 0;
  if (left >= 2) b = (b + (words[at + 1] ?? 0)) >>> 0;
  if (left >= 1) a = (a + (words[at] ?? 0)) >>> 0;
  else return c;
  c = ((c ^ b) - rot(b, 14)) >>> 0;
  a = ((a ^ c) - rot(c, 11)) >>> 0;
  b = ((b ^ a) - rot(a, 25)) >>> 0;
  c = ((c ^ b) - rot(b, 16)) >>> 0;
  a = ((a ^ c) - rot(c, 4)) >>> 0;
  b = ((b ^ a) - rot(a, 14)) >>> 0;
  c = ((c ^ b) - rot(b, 24)) >>> 0;
  return c;
}

function internet(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

describe.skipIf(!canUseBpf())("the standard library in the kernel", () => {
  const open: Running[] = [];
  afterAll(() => open.forEach((one) => one.close()));
  const load = (text: string): Running => {
    const running = start(HEAD + text);
    open.push(running);
    return running;
  };
  const ascii = (text: string): Uint8Array => {
    const bytes = new Uint8Array(64);
    bytes.set(new TextEncoder().encode(text));
    return bytes;
  };

  it("hashes words as lookup3", () => {
    const program = load(`
      const Io = struct("Io", { w: array(u32, 8), out: array(u32, 5) });
      export const main = xdp("main", (ctx) => {
        const io = ctx.header(Io, 0);
        if (!io) return 1;
        const [a, b, c, d, e, f, g] = io.w;
        io.out[0] = jhash1Word(a, io.w[7]);
        io.out[1] = jhash2Words(a, b, io.w[7]);
        io.out[2] = jhash3Words(a, b, c, io.w[7]);
        io.out[3] = jhashWords([a, b, c, d, e, f, g], io.w[7]);
        io.out[4] = jhashWords([a, b, c, d], io.w[7]);
        return 2;
      });`);
    let state = 12345;
    for (let round = 0; round < 20; round++) {
      const words = Array.from({ length: 8 }, () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0));
      const data = new Uint8Array(64);
      const view = new DataView(data.buffer);
      words.forEach((word, at) => view.setUint32(at * 4, word, true));
      const out = program.run(data).data;
      const result = new DataView(out.buffer, out.byteOffset);
      const seed = words[7] ?? 0;
      [1, 2, 3, 7, 4].forEach((count, at) => {
        expect(result.getUint32(32 + at * 4, true)).toBe(jhash(words.slice(0, count), seed));
      });
    }
  });

  it("hashes to the published values", () => {
    const program = load(`
      const Text = struct("Text", { digits: array(u8, 9) });
      const Foobar = struct("Foobar", { bytes: array(u8, 6) });
      const Word = struct("Word", { test: u32 });
      const Out = struct("Out", { crc: u32, fnv32: u32, murmur: u32, pad: u32, fnv64: u64, sip0: u64, sip8: u64 });
      export const main = xdp("main", (ctx) => {
        const text = ctx.header(Text, 0);
        const foobar = ctx.header(Foobar, 10);
        const word = ctx.header(Word, 16);
        const out = ctx.header(Out, 24);
        if (!text || !foobar || !word || !out) return 1;
        const crc = crc32(text.digits);
        const f32 = fnv1a32(foobar.bytes);
        const f64 = fnv1a64(foobar.bytes);
        const k0 = 0x0706050403020100n;
        const k1 = 0x0f0e0d0c0b0a0908n;
        out.murmur = murmur3Words([word.test], 0);
        out.crc = crc;
        out.fnv32 = f32;
        out.fnv64 = f64;
        out.sip0 = sipHashWords([], k0, k1);
        out.sip8 = sipHashWords([k0], k0, k1);
        return 2;
      });`);
    const data = new Uint8Array(80);
    data.set(ascii("123456789").slice(0, 9), 0);
    data.set(ascii("foobar").slice(0, 6), 10);
    data.set(ascii("test").slice(0, 4), 16);
    const result = program.run(data);
    expect(result.returned).toBe(2);
    const out = new DataView(result.data.buffer, result.data.byteOffset + 24);
    expect(out.getUint32(0, true).toString(16)).toBe("cbf43926");
    expect(out.getUint32(4, true).toString(16)).toBe("bf9cf968");
    expect(out.getUint32(8, true).toString(16)).toBe("ba6bd213");
    expect(out.getBigUint64(16, true).toString(16)).toBe("85944171f73967e8");
    expect(out.getBigUint64(24, true).toString(16)).toBe("726fdb47dd0e0e31");
    expect(out.getBigUint64(32, true).toString(16)).toBe("93f5f5799a932462");
  });

  it("mends checksums", () => {
    const program = load(`
      const Io = struct("Io", { word: be16, long: u32 });
      export const main = xdp("main", (ctx) => {
        const ip = ctx.header(Ipv4, 0);
        if (!ip) return 1;
        ip.checksum = ipv4Checksum(ip);
        decrementTtl(ip);
        const old = ip.destination;
        ip.destination = old + 0x01020304;
        ip.checksum = replaceLong(ip.checksum, old, ip.destination);
        const id = ip.identification;
        ip.identification = id ^ 0x5555;
        ip.checksum = replaceWord(ip.checksum, id, ip.identification);
        return 2;
      });`);
    let state = 99;
    for (let round = 0; round < 50; round++) {
      const data = new Uint8Array(64).map(() => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16);
      data[0] = 0x45;
      const { data: out } = program.run(data);
      const header = out.slice(0, 20);
      const checksum = ((header[10] ?? 0) << 8) | (header[11] ?? 0);
      header[10] = 0;
      header[11] = 0;
      expect(checksum).toBe(internet(header));
      expect(header[8]).toBe(((data[8] ?? 0) - 1) & 0xff);
    }
  });

  it("counts in slots", () => {
    const program = load(`
      const Io = struct("Io", { value: u64, log: u32, slot: u32 });
      export const main = xdp("main", (ctx) => {
        const io = ctx.header(Io, 0);
        if (!io) return 1;
        io.log = log2(io.value);
        io.slot = linearSlot(io.value, 100n, 10n, 5);
        return 2;
      });`);
    for (const value of [
      0n,
      1n,
      2n,
      3n,
      99n,
      100n,
      109n,
      110n,
      149n,
      150n,
      65535n,
      65536n,
      (1n << 40n) + 5n,
      (1n << 64n) - 1n,
    ]) {
      const data = new Uint8Array(64);
      new DataView(data.buffer).setBigUint64(0, value, true);
      const { data: out } = program.run(data);
      const view = new DataView(out.buffer, out.byteOffset);
      expect(view.getUint32(8, true)).toBe(value === 0n ? 0 : value.toString(2).length - 1);
      expect(view.getUint32(12, true)).toBe(value < 100n ? 0 : Math.min(Number((value - 100n) / 10n), 5) + 1);
    }
  });

  it("keeps to a rate", () => {
    const program = load(`
      const Io = struct("Io", { now: u64, bucket: TokenBucket });
      export const main = xdp("main", (ctx) => {
        const io = ctx.header(Io, 0);
        if (!io) return 1;
        return takeTokensAt(io.bucket, { rate: 1000n, burst: 50n }, 1n, io.now) ? 3 : 2;
      });`);
    const data: { bytes: Uint8Array } = { bytes: new Uint8Array(64) };
    let taken = 0;
    // 10 ms in steps of 100 us: the burst, and one token each millisecond.
    for (let step = 0; step < 100; step++) {
      new DataView(data.bytes.buffer, data.bytes.byteOffset).setBigUint64(
        0,
        5_000_000_000n + BigInt(step) * 100_000n,
        true,
      );
      const result = program.run(data.bytes);
      data.bytes = result.data.slice();
      if (result.returned === 3) taken += 1;
    }
    expect(taken).toBe(50 + 9);
  });

  it("goes over IPv6 extensions and TCP options", () => {
    const program = load(`
      export const main = xdp("main", (ctx) => {
        const found = skipIpv6Extensions(ctx, 0);
        if (!found) return 0xffff;
        const option = findTcpOption(ctx, found.offset, 3);
        return u32(found.protocol) * 10_000 + found.offset * 100 + (option ?? 0);
      });`);
    const packet = (extensions: readonly number[]): Uint8Array => {
      const data = new Uint8Array(160);
      const chain = [...extensions, 6];
      data[6] = chain[0] ?? 0;
      let at = 40;
      extensions.forEach((_, index) => {
        data[at] = chain[index + 1] ?? 0;
        data[at + 1] = extensions[index] === 44 ? 0 : index % 2;
        at += extensions[index] === 44 ? 8 : 8 + (index % 2) * 8;
      });
      data[at + 12] = 0x80;
      data.set([1, 2, 4, 5, 180, 3, 3, 7, 0, 0], at + 20);
      return data;
    };
    for (const extensions of [[], [0], [0, 43], [0, 43, 44], [60, 60, 60, 60]]) {
      let offset = 40;
      extensions.forEach((kind, index) => (offset += kind === 44 ? 8 : 8 + (index % 2) * 8));
      expect(program.run(packet(extensions)).returned).toBe(6 * 10_000 + offset * 100 + offset + 25);
    }
    expect(program.run(packet([0, 0, 0, 0, 0, 0, 0])).returned).toBe(0xffff);
    expect(program.run(new Uint8Array(20)).returned).toBe(0xffff);
  });
});
