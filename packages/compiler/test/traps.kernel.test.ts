// What the kernel's verifier is known to lose or to fork on: each is written the plain way, loads, gives the right result, and costs few steps.
import { describe, expect, it } from "vitest";
import { start } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";
import { testTraps, type Trap } from "./trap.ts";

const selects = Array.from({ length: 16 }, (_, i) => `sum += (io.w[0] & ${1 << i}) !== 0 ? ${(i + 1) * 5} : 0;`).join(
  " ",
);

const BYTES = `const list = [${Array.from({ length: 256 }, (_, i) => i).join(",")}] as const;`;

const TRAPS: readonly Trap[] = [
  {
    name: "sixteen selects by a bit do not fork the state",
    body: `let sum: u32 = 0; ${selects} return sum;`,
    ...{ words: [0xffff], returns: 680, most: 2000 },
  },
  { name: "a remainder as an index", body: "return m.w[io.w[0] % 64]!;", words: [130], returns: 6, most: 1000 },
  {
    name: "a quotient as an index, bounded",
    body: "const q: u32 = io.w[0] / 10; if (q > 63) return 1; return m.w[q]!;",
    ...{ words: [75], returns: 21, most: 1000 },
  },
  { name: "a constant quotient as an index", body: "return m.w[100 / 7]!;", returns: 42, most: 1000 },
  {
    name: "a negative constant in the index",
    body: "const i = io.w[0]; if (i < 8 || i > 63) return 1; return m.w[i - 8]!;",
    ...{ words: [20], returns: 36, most: 1000 },
  },
  {
    name: "an index and what it was made from, when only the index is bounded",
    top: "const list = [1, 2, 3, 4, 5, 6, 7, 4294967295] as const;",
    body: "let i = u16(u8(io.w[0])); i++; return list[u32(i)] ?? 0;",
    ...{ words: [5], returns: 7, most: 1000 },
  },
  {
    name: "a product that is bounded in 32 bits as an index",
    body: "const i: u32 = u32(u8(io.w[0])) * 4; if (i >= 64) return 1; return m.w[i]!;",
    ...{ words: [5], returns: 60, most: 1000 },
  },
  {
    name: "an index clamped by a branch",
    body: "let i = io.w[0]; if (i > 63) i = 63; return m.w[i]!;",
    ...{ words: [500], returns: 189, most: 1000 },
  },
  {
    name: "a compare in 32 bits of what indexes in 64",
    body: "const i = u32(u64(io.w[0]) + 1n); if (i >= 64) return 1; return m.w[i]!;",
    ...{ words: [5], returns: 18, most: 1000 },
  },
  {
    name: "masked parts put together as an index",
    body: "return m.w[((io.w[0] & 32) | (io.w[1] & 31)) ^ 1]!;",
    ...{ words: [32, 4], returns: 111, most: 1000 },
  },
  {
    name: "a variable shift of a masked value as an index",
    body: "return m.w[((io.w[0] & 7) << (io.w[1] & 3)) & 63]!;",
    ...{ words: [5, 2], returns: 60, most: 1000 },
  },
  {
    name: "swapped bytes, bounded, as an index",
    top: 'const Be = struct("Be", { w: be32 });',
    body: "const b = ctx.header(Be, 0); if (!b || b.w > 63) return 1; return m.w[b.w]!;",
    ...{ words: [0x0900_0000], returns: 27, most: 1000 },
  },
  {
    name: "a bound that is checked before a call and used after it",
    body: "const i = io.w[0]; if (i > 63) return 1; if (ktimeGetNs() === 0n) return 2; return m.w[i]!;",
    ...{ words: [11], returns: 33, most: 1000 },
  },
  {
    name: "a packet pointer over calls",
    body: "if (ktimeGetNs() === 0n || ktimeGetNs() === 1n) return 2; io.w[3] = 7; return io.w[3] + io.w[0];",
    ...{ words: [3], returns: 10, most: 1000 },
  },
  {
    name: "many values that live over a call",
    body: `const [a, b, c, d, e, f, g, h] = [io.w[0], io.w[1], io.w[2], io.w[3], io.w[4], io.w[5], io.w[6], io.w[7]];
      if (ktimeGetNs() === 0n) return 2; if (h > 63) return 1; return a + b + c + d + e + f + g + m.w[h]!;`,
    ...{ words: [1, 2, 3, 4, 5, 6, 7, 8], returns: 28 + 24, most: 1000 },
  },
  {
    name: "a counter that is kept over calls",
    body: "let n: u32 = 0; for (let i = 0; i < 50; i++) { if (ktimeGetNs() !== 0n) n += io.w[0]; } return n;",
    ...{ words: [2], returns: 100, most: 5000 },
  },
  {
    name: "a thousand rounds",
    body: "let n: u32 = 0; for (const i of range(1000)) n += i & io.w[0]; return n;",
    ...{ words: [1], returns: 500, most: 9000 },
  },
  {
    name: "rounds up to an unknown number below a thousand",
    body: "const most = io.w[0] & 1023; let n: u32 = 0; for (let i = 0; i < most; i++) n += i; return n;",
    ...{ words: [10], returns: 45, most: 12_000 },
  },
  {
    name: "loops in loops",
    body: "let n: u32 = 0; for (const i of range(30)) for (const j of range(30)) n += i ^ j ^ io.w[0]; return n & 1;",
    ...{ words: [1], returns: 0, most: 9000 },
  },
  {
    name: "a map by a condition",
    top: 'const one = array("one", { value: u32, maxEntries: 4 }); const two = array("two", { value: u32, maxEntries: 4 });',
    body: "const v = io.w[0] > 3 ? one.get(1) : two.get(1); return v === null ? 1 : v + 5;",
    ...{ words: [2], returns: 5, most: 1000 },
  },
  {
    name: "a quotient by a register, bounded in 32 bits, as an index: the verifier loses its width",
    body: "const q: u32 = io.w[0] / io.w[1]; if (q > 63) return 1; return m.w[q]!;",
    ...{ words: [90, 9], returns: 30, most: 1000 },
  },
  {
    name: "a remainder by a register, bounded",
    body: "const q: u32 = io.w[0] % io.w[1]; if (q > 63) return 1; return m.w[q]!;",
    ...{ words: [95, 9], returns: 15, most: 1000 },
  },
  {
    name: "a shift by a register, bounded",
    body: "const q: u32 = io.w[0] >>> io.w[1]; if (q > 63) return 1; return m.w[q]!;",
    ...{ words: [96, 3], returns: 36, most: 1000 },
  },
  {
    name: "a quotient of a quotient as an index",
    body: "return m.w[u32(u64(io.w[0] / io.w[1]) >> 26n)]!;",
    ...{ words: [0xffff_ffff, 2], returns: 93, most: 1000 },
  },
  {
    name: "swapped bytes that equal a constant, as an index",
    top: 'const Be = struct("Be", { h: be16 });',
    body: "const b = ctx.header(Be, 0); if (!b) return 1; if (b.h === 5 || b.h === 9) return m.w[b.h]!; return 2;",
    ...{ words: [0x0900], returns: 27, most: 1000 },
  },
  {
    name: "an index scaled before its check, for another purpose",
    body: "const i = io.w[0]; const s = u64(i) << 2n; if (ktimeGetNs() === 0n) return 2; if (i > 63) return 1; return m.w[i]! + u32(s);",
    ...{ words: [7], returns: 49, most: 1000 },
  },
  {
    name: "a part of a checked value as an index",
    body: "const i = u16(io.w[0]); if (i > 63) return 1; return m.w[u8(i)]!;",
    ...{ words: [11], returns: 33, most: 1000 },
  },
  {
    name: "a sum with a part of a checked sum as an index",
    body: "const i = io.w[0] ^ 21; if (i > 62) return 1; return m.w[i ^ 1]! + m.w[i + 1]!;",
    ...{ words: [21], returns: 6, most: 1000 },
  },
  {
    name: "an index far from what it was made of",
    top: 'const Bytes = struct("Bytes", { b: array(u8, 64) }); const bytes = array("bytes", { value: Bytes, maxEntries: 1 });',
    body: "const y = io.w[0]; const x = y + 2000000000; const t = bytes.get(0); if (!t || x > 63) return 1; return t.b[x]! + y - 2294967290;",
    ...{ words: [2_294_967_300], returns: 10, most: 1000 },
  },
  {
    name: "bits of a loop's counter: the verifier goes on with a counter that its range excludes",
    body: "let n = io.w[0] & 3; let s: u32 = 0; while (n > 0) { if ((n & 3) === 0) s += 7; s += io.w[1]; n -= 1; } return s;",
    ...{ words: [3, 5], returns: 15, most: 1000 },
  },
  {
    name: "a remainder by a constant as an index, which its author says is inside",
    body: "return m.w[io.w[0] % 10]!;",
    ...{ words: [127], returns: 21, most: 1000 },
  },
  {
    name: "a shift by a register that fits its type, as an index",
    top: BYTES,
    body: "const q = u8(io.w[0]) >>> u8(io.w[1]); return list[q] ?? 9;",
    ...{ words: [200, 2], returns: 50, most: 1000 },
  },
  {
    name: "a variable that held a quotient as an index",
    top: BYTES,
    body: "let q = u8(io.w[0]) / u8(io.w[1]); if (ktimeGetNs() === 0n) q = 3; return list[q] ?? 9;",
    ...{ words: [200, 3], returns: 66, most: 1000 },
  },
  {
    name: "a subprogram's result, and its argument, as an index",
    top: `${BYTES} const over = subprogram((a: u32, b: u32): u8 => u8(a) / u8(b)); const at = subprogram((a: u8): u32 => list[a] ?? 7);`,
    body: "return (list[over(io.w[0], io.w[1])] ?? 9) + at(u8(io.w[0]) / u8(io.w[1]));",
    ...{ words: [200, 3], returns: 132, most: 1000 },
  },
  {
    name: "a packet's offset that is shifted by a register",
    top: 'const One = struct("One", { w: u32 });',
    body: "const h = ctx.header(One, u32(u8(io.w[0]) >>> u8(io.w[1])) + 4); return h ? h.w : 3;",
    ...{ words: [32, 3, 77], returns: 77, most: 1000 },
  },
  {
    name: "a copy that is checked for null",
    top: 'const h = hash("h", { key: u32, value: Table, maxEntries: 4 });',
    body: "const found = h.get(1); const other = found; if (other) return found!.w[0]; return 4;",
    ...{ returns: 4, most: 1000 },
  },
];

testTraps("traps of the verifier", TRAPS);

describe.skipIf(!canUseBpf())("packet tests of several headers", () => {
  it("one test for several headers fails where each would", () => {
    const text = `
      import { xdp, XDP } from "@skep/bpf";
      import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";
      export const main = xdp("main", (ctx) => {
        const ethernet = ctx.header(Ethernet, 0);
        const ip = ctx.header(Ipv4, Ethernet.size);
        const tcp = ctx.header(Tcp, Ethernet.size + Ipv4.size);
        if (!ethernet || !ip || !tcp) return XDP.DROP;
        return ethernet.type === 0 && ip.ttl === 0 && tcp.flags === 0 ? XDP.TX : XDP.PASS;
      });`;
    const running = start(text);
    try {
      for (const length of [14, 33, 34, 53]) expect(running.run(new Uint8Array(length)).returned).toBe(1);
      expect(running.run(new Uint8Array(54)).returned).toBe(3);
    } finally {
      running.close();
    }
  });

  it("headers whose failures differ keep their own tests", () => {
    const text = `
      import { xdp } from "@skep/bpf";
      import { Ethernet, Ipv4 } from "@skep/bpf/net";
      export const main = xdp("main", (ctx) => {
        const ethernet = ctx.header(Ethernet, 0);
        if (!ethernet) return 10;
        const ip = ctx.header(Ipv4, Ethernet.size);
        if (!ip) return 20;
        return ip.ttl + ethernet.type;
      });`;
    const running = start(text);
    try {
      expect(running.run(new Uint8Array(20)).returned).toBe(20);
      expect(running.run(new Uint8Array(40).fill(1)).returned).toBe(1 + 0x0101);
    } finally {
      running.close();
    }
  });
});
