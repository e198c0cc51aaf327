// Sixty shapes by number. Those that a program in C must avoid and whose plain form in TypeScript the compiler mends are taken here; what cannot
// be written at all is told by the compiler; what no code can prove is the kernel's refusal on the line that it is about.
import { testShapes, type Shape } from "./checklist.ts";

const W = 'const W = struct("W", { n: u32 });';
const IO = 'const Io = struct("Io", { w: array(u32, 8) });';
const TABLE = `${IO} const T = struct("T", { w: array(u32, 64) }); export const table = array("table", { value: T, maxEntries: 1 });`;
/** Words, little-endian. */
const words = (...list: readonly number[]): number[] => [...new Uint8Array(Uint32Array.from(list).buffer)];
const xdp = (body: string, top = ""): string => `${top}\nexport const main = xdp("main", (ctx) => {\n${body}\n});`;
const tc = (body: string, top = ""): string => `${top}\nexport const main = tc("main", (ctx) => {\n${body}\n});`;
/** A program with the packet's words and a table whose element is its index, tripled. */
const tabled = (body: string, top = ""): string =>
  xdp(
    `const io = ctx.header(Io, 0); const m = table.get(0); if (!io || !m) return 999; for (const i of range(64)) m.w[i] = i * 3;\n${body}`,
    `${TABLE} ${top}`,
  );
const FILL = 3000;
const ether = (type: number): number[] => [...Array.from({ length: 12 }, () => 0), type >> 8, type & 255];
const times = (count: number, make: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => make(at)).join(" ");

const PACKETS: readonly Shape[] = [
  {
    name: "1: fourteen bytes are checked once, then a switch over the type",
    text: xdp(
      "const e = ctx.header(Ethernet, 0); if (!e) return 9;\nswitch (e.type) { case 0x0800: return 1; case 0x86dd: return 2; case 0x0806: return 3; default: return 4; }",
    ),
    runs: [
      { packet: ether(0x0800), gives: 1 },
      { packet: ether(0x86dd), gives: 2 },
      { packet: ether(0x0806), gives: 3 },
      { packet: ether(0x88cc), gives: 4 },
    ],
  },
  {
    name: "2: what lies behind a checked header is none of its fields",
    text: xdp("const e = ctx.header(Ethernet, 0); if (!e) return 9;\nif (e.source[6]) return 1; return 2;"),
    diagnostic: ["TS2493", "e.source[6]"],
  },
  {
    name: "3: a packet that ends where the header ends is long enough",
    text: xdp(
      "const b = ctx.header(B, 0); return b ? b.last : 9;",
      'const B = struct("B", { a: array(u8, 14), last: u8 });',
    ),
    runs: [
      { packet: [...ether(0), 7], length: 15, gives: 7 },
      { length: 14, gives: 9 },
    ],
  },
  {
    name: "4: the packet's length, compared, teaches the verifier nothing: null is to be checked",
    text: xdp("if (ctx.length < 14) return 0;\nconst e = ctx.header(Ethernet, 0);\nreturn e.type;"),
    diagnostic: ["TS18047", "return e.type"],
  },
  {
    name: "5: a header of variable length, then ports",
    text: xdp(
      "const ip = ctx.header(Ipv4, 14); if (!ip) return 1;\nconst tcp = ctx.header(Tcp, 14 + ip.ihl * 4); return tcp ? tcp.destination : 2;",
    ),
    runs: [
      { packet: [...ether(0x0800), 0x46, ...Array.from({ length: 25 }, () => 0), 1, 187], gives: 443 },
      { packet: [...ether(0x0800), 0x4f], gives: 2 },
    ],
  },
  {
    name: "6: an offset of sixteen bits is not masked by the author",
    text: xdp(
      "const o = ctx.header(O, 0); if (!o) return 1; const w = ctx.header(W, u32(o.at) + 20); return w ? w.n : 2;",
      `${W} const O = struct("O", { at: u16 });`,
    ),
    runs: [
      { packet: [12, 0, ...Array.from({ length: 30 }, () => 0), 5], gives: 5 },
      { packet: [255, 255], gives: 2 },
    ],
  },
  {
    name: "7: one that is masked",
    text: xdp(
      "const o = ctx.header(O, 0); if (!o) return 1; const w = ctx.header(W, (o.at & 0x7fff) + 20); return w ? w.n : 2;",
      `${W} const O = struct("O", { at: u16 });`,
    ),
    runs: [{ packet: [12, 128, ...Array.from({ length: 30 }, () => 0), 5], gives: 5 }],
  },
  {
    name: "8: a header whose place is computed anew after its check",
    text: xdp(
      "const o = ctx.header(O, 0); if (!o) return 1; if (!ctx.header(W, o.at & 63)) return 2; return ctx.header(W, o.at & 63)!.n;",
      `${W} const O = struct("O", { at: u16 });`,
    ),
    runs: [{ packet: [8, 0, 0, 0, 0, 0, 0, 0, 5], gives: 5 }],
  },
  {
    name: "9: a checked header over calls",
    text: xdp(
      "const w = ctx.header(W, 4); if (!w) return 1; for (const _ of range(3)) if (ktimeGetNs() === 0n) return 2; w.n += 1; return w.n;",
      W,
    ),
    runs: [{ packet: words(0, 6), gives: 7 }],
  },
  {
    name: "10: a header from before the packet's start moved",
    text: xdp("const w = ctx.header(W, 0); if (!w) return 1;\nxdpAdjustHead(ctx, 4);\nreturn w.n;", W),
    diagnostic: ["SKEP1409", "return w.n"],
  },
  {
    name: "11: two tags, by a loop that goes on in the packet",
    text: xdp(
      `const e = ctx.header(Ethernet, 0); if (!e) return 1; let type: u32 = e.type; let at: u32 = 14;
      for (let i = 0; i < 2 && (type === 0x8100 || type === 0x88a8); i++) { const v = ctx.header(Vlan, at); if (!v) return 2; type = v.type; at += 4; }
      return type + at;`,
    ),
    runs: [
      { packet: [...ether(0x88a8), 0, 1, 0x81, 0, 0, 2, 8, 0], gives: 0x0800 + 22 },
      { packet: [...ether(0x8100), 0, 1, 8, 0], gives: 0x0800 + 18 },
      { packet: ether(0x0800), gives: 0x0800 + 14 },
    ],
  },
  {
    name: "12: six extension headers of IPv6",
    text: xdp(
      `const ip = ctx.header(Ipv6, 14); if (!ip) return 1; let next: u32 = ip.nextHeader; let at: u32 = 54;
      for (const _ of range(6)) { if (next !== 0 && next !== 43 && next !== 60) break; const o = ctx.header(Ipv6Option, at); if (!o) return 2; next = o.nextHeader; at += (u32(o.length) + 1) * 8; }
      return next * 1000 + at;`,
    ),
    runs: [
      {
        packet: [...Array.from({ length: 54 }, () => 0), 60, 0, 0, 0, 0, 0, 0, 0, 17, 1],
        length: 128,
        gives: 17_000 + 54 + 8 + 16,
      },
    ],
  },
  {
    name: "13: a sum over sixty-four bytes with a test for each",
    text: xdp(
      "let sum: u32 = 0; for (let i = 0; i < 64; i++) { const b = ctx.header(B, i); if (!b) break; sum += b.n; } return sum;",
      'const B = struct("B", { n: u8 });',
    ),
    runs: [
      { packet: Array.from({ length: 64 }, (_, i) => i), gives: 2016 },
      { packet: Array.from({ length: 20 }, (_, i) => i), length: 20, gives: 190 },
    ],
    most: 2000,
  },
  {
    name: "14: a header that is read on after a checksum was mended",
    text: tc(
      "const ip = ctx.header(Ipv4, 14); if (!ip) return 1;\nl3CsumReplace(ctx, 24, 0n, 1n, 2n);\nreturn ip.ttl;",
    ),
    diagnostic: ["SKEP1409", "return ip.ttl"],
  },
  {
    name: "14: one that is read again",
    text: tc(
      "const ip = ctx.header(Ipv4, 14); if (!ip) return 1; const before = ip.ttl; l3CsumReplace(ctx, 24, 0n, 1n, 2n); const again = ctx.header(Ipv4, 14); return again ? again.ttl + before : 2;",
    ),
    runs: [{ packet: [...ether(0x0800), 0x45, 0, 0, 0, 0, 0, 0, 0, 9], gives: 18 }],
  },
  {
    name: "15: a packet that is written after it was pulled",
    text: tc(
      "if (skbPullData(ctx, 34) !== 0n) return 1; const ip = ctx.header(Ipv4, 14); if (!ip) return 2; ip.ttl -= 1; return ip.ttl;",
    ),
    runs: [{ packet: [...ether(0x0800), 0x45, 0, 0, 0, 0, 0, 0, 0, 9], gives: 8 }],
  },
];

const MAPS: readonly Shape[] = [
  {
    name: "16: an array's element by a constant, checked by nobody, is refused by TypeScript",
    text: xdp("return m.get(2).n;", `${W} export const m = array("m", { value: W, maxEntries: 4 });`),
    diagnostic: ["TS2531", "m.get(2).n"],
  },
  {
    name: "16: vouched for: the kernel knows that it is there",
    text: xdp("return m.get(2)!.n + m.get(3)!.n;", `${W} export const m = array("m", { value: W, maxEntries: 4 });`),
    runs: [{ gives: 0 }],
  },
  {
    name: "17: keys on the stack lie where the kernel follows them",
    text: xdp(
      "const k = Keys.zero(); k.b = 3; if (ktimeGetNs() === 0n) k.b = 2; return m.get(3)!.n + k.a + k.b;",
      `${W} const Keys = struct("Keys", { a: u32, b: u32 }); export const m = array("m", { value: W, maxEntries: 4 });`,
    ),
    runs: [{ gives: 3 }],
  },
  {
    name: "18: null is checked on a copy",
    text: xdp(
      "m.set(1, { n: 6 }); const a = m.get(1); const b = a; if (!b) return 1; return a!.n;",
      `${W} export const m = hash("m", { key: u32, value: W, maxEntries: 4 });`,
    ),
    runs: [{ gives: 6 }],
  },
  {
    name: "19: null is checked in the condition of a choice, and behind a loop",
    text: xdp(
      "m.set(1, { n: 6 }); const a = m.get(1); let s: u32 = a ? 1 : 0; for (let i = 0; i < 3; i++) s += a?.n ?? 0; return s;",
      `${W} export const m = hash("m", { key: u32, value: W, maxEntries: 4 });`,
    ),
    runs: [{ gives: 19 }],
  },
  {
    name: "20: two maps by a condition are two calls, each inlined",
    text: xdp(
      "const v = ctx.length > 70 ? one.get(1) : two.get(1); return v === null ? 1 : v + 5;",
      'export const one = array("one", { value: u32, maxEntries: 4 }); export const two = array("two", { value: u32, maxEntries: 4 });',
    ),
    runs: [{ gives: 5 }, { length: 80, gives: 5 }],
  },
  {
    name: "21: an index that is masked",
    text: tabled("return m.w[io.w[0] & 63]!;"),
    runs: [{ packet: words(130), gives: 6 }],
    most: FILL,
  },
  {
    name: "22: an index that is compared, in 32 bits and in 64",
    text: tabled(
      "const i = io.w[0]; if (i > 63) return 1; const j = u64(io.w[1]); if (j > 63n) return 2; return m.w[i]! + m.w[u32(j)]!;",
    ),
    runs: [
      { packet: words(5, 7), gives: 36 },
      { packet: words(64, 7), gives: 1 },
      { packet: words(5, 64), gives: 2 },
    ],
    most: FILL,
  },
  {
    name: "23: a remainder as an index",
    text: tabled("return m.w[io.w[0] % 64]! + m.w[io.w[1] % 10]!;"),
    runs: [{ packet: words(130, 127), gives: 27 }],
    most: FILL,
  },
  {
    name: "24: a quotient of constants as an index",
    text: tabled("return m.w[100 / 7]!;"),
    runs: [{ gives: 42 }],
    most: FILL,
  },
  {
    name: "25: a negative constant in the index",
    text: tabled("const i = io.w[0]; if (i < 8 || i > 63) return 1; return m.w[i - 8]!;"),
    runs: [
      { packet: words(20), gives: 36 },
      { packet: words(7), gives: 1 },
    ],
    most: FILL,
  },
  {
    name: "26: the smaller and the larger of two as an index",
    text: tabled(
      "const i = io.w[0]; const low = i < 63 ? i : 63; const high = low > 10 ? low : 10; return m.w[high]!;",
    ),
    runs: [
      { packet: words(500), gives: 189 },
      { packet: words(3), gives: 30 },
      { packet: words(12), gives: 36 },
    ],
    most: FILL,
  },
  {
    name: "27: masked parts that are put together",
    text: tabled("return m.w[((io.w[0] & 32) | (io.w[1] & 31)) ^ 1]!;"),
    runs: [{ packet: words(32, 4), gives: 111 }],
    most: FILL,
  },
  {
    name: "28: sixteen selects by a bit",
    text: tabled(
      `let s: u32 = 0; ${times(16, (i) => `s += (io.w[0] & ${1 << i}) !== 0 ? ${(i + 1) * 5} : 0;`)} return s;`,
    ),
    runs: [
      { packet: words(0xffff), gives: 680 },
      { packet: words(5), gives: 20 },
    ],
    most: FILL,
  },
  {
    name: "28: choices by a bit, in all forms",
    text: tabled(
      `const x = io.w[0]; const l = u64(x); let n: u32 = (x & 4) !== 0 ? 32 : 0; n += (x & 64) === 0 ? 7 : 3; if ((x & 1) !== 0) n |= 0x100; if ((x & 2) !== 0) n -= 1;
      const wide = (l & 8n) !== 0n ? 0x100000000n : 0n; return n + u32(wide >> 30n) + ((l & 0x10n) !== 0n ? 1024 : 0) + ((x & 0x80000000) !== 0 ? 1 : 0);`,
    ),
    runs: [
      { packet: words(0), gives: 7 },
      { packet: words(0x8000_005f), gives: 32 + 3 + 256 - 1 + 4 + 1024 + 1 },
      { packet: words(0x44), gives: 35 },
      { packet: words(0x8000_0009), gives: 7 + 256 + 4 + 1 },
    ],
    most: FILL,
  },
  {
    name: "29: a shift by a variable is a value",
    text: tabled("return (io.w[0] >>> (io.w[1] & 31)) + 1;"),
    runs: [{ packet: words(96, 3), gives: 13 }],
    most: FILL,
  },
  {
    name: "29: and, bounded, an index",
    text: tabled("const q: u32 = io.w[0] >>> (io.w[1] & 31); if (q > 63) return 1; return m.w[q]!;"),
    runs: [{ packet: words(96, 3), gives: 36 }],
    most: FILL,
  },
  {
    name: "30: swapped bytes that are bounded, as an index",
    text: tabled(
      "const b = ctx.header(Be, 0); if (!b || b.n > 63) return 1; return m.w[b.n]!;",
      'const Be = struct("Be", { n: be16 });',
    ),
    runs: [
      { packet: [0, 9], gives: 27 },
      { packet: [1, 0], gives: 1 },
    ],
    most: FILL,
  },
  {
    name: "31: a signed index without its lower bound",
    text: tabled("const i = i32(io.w[0]);\nif (i > 63) return 1;\nreturn m.w[u32(i)]!;"),
    refused: [/unbounded memory access|max value is outside/, "return m.w[u32(i)]"],
  },
  {
    name: "31: a signed index with both",
    text: tabled("const i = i32(io.w[0]); if (i > 63 || i < 0) return 1; return m.w[u32(i)]!;"),
    runs: [
      { packet: words(9), gives: 27 },
      { packet: words(-1), gives: 1 },
    ],
    most: FILL,
  },
  {
    name: "32: copies that are checked behind a call",
    text: tabled(
      "const i = io.w[0]; const j = i; if (ktimeGetNs() === 0n) return 2; if (i > 63) return 1; return m.w[j]!;",
    ),
    runs: [{ packet: words(9), gives: 27 }],
    most: FILL,
  },
  {
    name: "33: nine sums of one value, all kept over its check: the verifier links six",
    text: tabled(
      `const x = io.w[0]; ${times(9, (at) => `const s${at} = x + ${at};`)} if (ktimeGetNs() === 0n) return 2; if (x > 20) return 1;
      return ${times(9, (at) => `m.w[s${at}]!${at < 8 ? " +" : ""}`)};`,
    ),
    runs: [{ packet: words(2), gives: 3 * (9 * 2 + 36) }],
    most: FILL,
  },
  {
    name: "34: a difference of which only the operands were compared",
    text: tabled("const [a, b] = [io.w[0] & 63, io.w[1] & 63];\nif (b > a) return 1;\nreturn m.w[a - b]!;"),
    refused: [/unbounded memory access|unbounded min value/, "return m.w[a - b]"],
  },
  {
    name: "34: one that is compared itself",
    text: tabled("const [a, b] = [io.w[0] & 63, io.w[1] & 63]; const d = a - b; if (d > 63) return 1; return m.w[d]!;"),
    runs: [
      { packet: words(20, 7), gives: 39 },
      { packet: words(7, 20), gives: 1 },
    ],
    most: FILL,
  },
  {
    name: "35: memory that a helper fills and reads has the size of its type",
    text: tc(
      "const b = B.zero(); if (skbLoadBytes(ctx, 14, b) !== 0n) return 1; return b.b[0]! + b.b[5]!;",
      'const B = struct("B", { b: array(u8, 6) });',
    ),
    runs: [{ packet: [...ether(0), 3, 0, 0, 0, 0, 4], gives: 7 }],
  },
  {
    name: "35: a record whose size is a variable",
    text: xdp(
      "const n = ctx.length & 63; const r = ring.reserveBytes(n); const w = r.data(W, 0n); if (w) w.n = 7; const v = w ? w.n : 1; ring.submitBytes(r); return v;",
      `${W} export const ring = ringBuf("ring", W, { bytes: 4096 });`,
    ),
    runs: [
      { length: 72, gives: 7 },
      { length: 66, gives: 1 },
    ],
  },
];

const LOOPS: readonly Shape[] = [
  {
    name: "36: a thousand rounds",
    text: tabled("let n: u32 = 0; for (const i of range(1000)) n += i & io.w[0]; return n;"),
    runs: [{ packet: words(1), gives: 500 }],
    most: 10_000,
  },
  {
    name: "37: rounds up to an unknown number",
    text: tabled("const most = io.w[0]; let n: u32 = 0; for (let i = 0; i < 1000 && i < most; i++) n += i; return n;"),
    runs: [{ packet: words(10), gives: 45 }],
    most: 14_000,
  },
  {
    name: "38: a counter that lives over calls, with many values beside it",
    text: tabled(
      `const [a, b, c, d, e, f, g, h] = [io.w[0], io.w[1], io.w[2], io.w[3], io.w[4], io.w[5], io.w[6], io.w[7]]; let n: u32 = 0;
      for (let i = 0; i < 100; i++) { if (ktimeGetNs() === 0n) return 1; n += a ^ i; } return n + b + c + d + e + f + g + h;`,
    ),
    runs: [{ packet: words(0, 1, 1, 1, 1, 1, 1, 1), gives: 4957 }],
    most: 8000,
  },
  {
    name: "39: a counter in a packed struct whose address a helper gets",
    text: tabled(
      "const p = P.zero(); let n: u32 = 0; for (p.at = 0; p.at < 20; p.at++) { if (m2.get(p)) n += 100; n += p.at; } return n;",
      'const P = struct("P", { tag: u8, flag: u32, at: u32, end: u8 }, { packed: true }); export const m2 = hash("m2", { key: P, value: u32, maxEntries: 4 });',
    ),
    runs: [{ gives: 190 }],
    most: 6000,
  },
  {
    name: "39: a counter in a struct that a helper fills",
    text: tc(
      "const p = P.zero(); let n: u32 = 0; for (p.at = 0; p.at < 20; p.at++) { if (skbLoadBytes(ctx, p.at, p.bytes) !== 0n) return 1; n += p.bytes[0]!; } return n;",
      'const P = struct("P", { tag: u32, at: u32, bytes: array(u8, 4) });',
    ),
    runs: [{ packet: Array.from({ length: 30 }, (_, at) => at), gives: 190 }],
    most: 6000,
  },
  {
    name: "39: a counter in memory that each round only adds to",
    text: tabled(
      "const p = P.zero(); m2.set(1, p); while (p.at < 30) { p.at += 3; p.sum += p.at; if (m2.set(1, p) !== 0n) return 1; } return p.sum;",
      'const P = struct("P", { tag: u32, at: u32, sum: u32 }); export const m2 = hash("m2", { key: u32, value: P, maxEntries: 4 });',
    ),
    runs: [{ gives: 165 }],
    most: 6000,
  },
  {
    name: "40: a loop without a bound of its own, by bpf_loop",
    text: tabled(
      "let i: u32 = 0; let n: u32 = 0; loop(100_000, () => { if (i >= io.w[0]) return true; n += i; i += 1; return false; }); return n;",
    ),
    runs: [{ packet: words(1000), gives: 499_500 }],
    most: FILL,
  },
  {
    name: "41: bpf_loop with what it captures on the stack",
    text: tabled(
      "let [n, k] = [io.w[0], 0]; const done = loop(100, (i) => { n += i; k += 1; return k === 50; }); return n + u32(done);",
    ),
    runs: [{ packet: words(7), gives: 7 + 1225 + 50 }],
    most: FILL,
  },
  {
    name: "42: the kernel's own iterator, left early",
    text: tabled(
      "let n: u32 = 0; for (const i of numbers(0, 1000)) { if (u32(i) === io.w[0]) break; n += u32(i); } return n;",
    ),
    runs: [{ packet: words(10), gives: 45 }],
    most: FILL,
  },
  {
    name: "43: loops in loops",
    text: tabled(
      "let n: u32 = 0; for (const i of range(30)) for (const j of range(30)) n += i ^ j ^ io.w[0]; return n & 1;",
    ),
    runs: [{ packet: words(1), gives: 0 }],
    most: 9000,
  },
  {
    name: "44: a loop that comes back as it was",
    text: tabled("let n: u32 = 1;\nwhile (n !== 0) { n |= io.w[0]; n |= 1; }\nreturn n;"),
    refused: [/infinite loop detected|too large|too complex/, "while (n !== 0)"],
  },
  {
    name: "45: a reference that is taken and given back in each round",
    text: tc(
      "let n: u32 = 0; for (let i = 0; i < 6; i++) { const s = skLookupUdp(ctx, Ipv4Tuple.zero(), 0n, 0n); if (s) { n += s.mark; skRelease(s); } n += 1; } return n;",
    ),
    runs: [{ gives: 6 }],
    most: 2000,
  },
];

const CALLS: readonly Shape[] = [
  {
    name: "46: a subprogram that gets a header",
    text: xdp(
      "const w = ctx.header(W, 4); if (!w) return 1; return add(w, 3);",
      `${W} const add = subprogram((w: Of<typeof W>, by: u32): u32 => { w.n += by; return w.n; });`,
    ),
    runs: [{ packet: words(0, 6), gives: 9 }],
  },
  {
    name: "47: a subprogram that gets memory that may be absent",
    text: xdp(
      "m.set(1, { n: 6 }); return of(m.get(1)) + of(m.get(2));",
      `${W} export const m = hash("m", { key: u32, value: W, maxEntries: 4 }); const of = subprogram((w: Of<typeof W> | null): u32 => (w ? w.n : 50));`,
    ),
    runs: [{ gives: 56 }],
  },
  {
    name: "48: eight frames",
    text: xdp(
      "return f1(ctx.length);",
      `${times(7, (at) => `const f${7 - at} = subprogram((n: u32): u32 => ${at === 0 ? "n + 1" : `f${8 - at}(n + 1) + 1`});`)}`,
    ),
    runs: [{ length: 64, gives: 64 + 13 }],
  },
  {
    name: "48: nine",
    text: xdp(
      "return f1(ctx.length);",
      `${times(8, (at) => `const f${8 - at} = subprogram((n: u32): u32 => ${at === 0 ? "n + 1" : `f${9 - at}(n + 1) + 1`});\n`)}`,
    ),
    refused: [/call stack of 9 frames is too deep|too deep/, "f8"],
  },
  {
    name: "48: stacks of two frames that fit",
    text: xdp(
      "const b = Big.zero(); fill(b, ctx.length); const n = f(ctx.length); fill(b, n); return b.w[3]! + n;",
      'const Big = struct("Big", { w: array(u64, 28) }); const Other = struct("Other", { w: array(u64, 28) }); const fill = subprogram((b: Of<typeof Big>, n: u32): void => { for (let i = 0; i < 28; i++) b.w[i] = u64(n + i); }); const put = subprogram((b: Of<typeof Other>, n: u32): void => { for (let i = 0; i < 28; i++) b.w[i] = u64(n + i); }); const f = subprogram((n: u32): u32 => { const o = Other.zero(); put(o, n); return u32(o.w[5]!); });'.replaceAll(
        "b.w[i] = u64(n + i)",
        "b.w[i] = u64(n + i)",
      ),
    ).replace("return b.w[3]! + n;", "return u32(b.w[3]!) + n;"),
    runs: [{ gives: 64 + 5 + 3 + 64 + 5 }],
    most: 6000,
  },
  {
    name: "48: a value larger than the stack",
    text: xdp(
      "const b = Big.zero();\nreturn take(b);",
      'const Big = struct("Big", { w: array(u64, 65) }); const take = subprogram((b: Of<typeof Big>): u32 => u32(b.w[1]!));',
    ),
    diagnostic: ["SKEP1412", "Big.zero()"],
  },
  {
    name: "49: a subprogram does not give memory of its own",
    text: xdp(
      "return make(3).n;",
      `${W} const make = subprogram((n: u32): Of<typeof W> => {\nconst w = W.zero(); w.n = n; return w; });`,
    ),
    diagnostic: ["SKEP1413", "make"],
  },
  {
    name: "50: a slot without a program, by a constant and by a variable",
    text: xdp(
      "jumps.tailCall(ctx, 1); jumps.tailCall(ctx, ctx.length & 3); return 7;",
      'export const jumps = progArray("jumps", { maxEntries: 4 });',
    ),
    runs: [{ gives: 7 }],
  },
  {
    name: "52: a timer in a map's value",
    text: xdp(
      "const v = m.get(0); if (!v) return 1; timerInit(v.timer, m); timerSetCallback(v.timer, m, (key, value) => { value.n += key + 1; }); timerStart(v.timer, 3_600_000_000_000n); return timerCancel(v.timer) === 1n ? 4 : 5;",
      'const V = struct("V", { timer: Timer, n: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    ),
    runs: [{ gives: 4 }],
  },
  {
    name: "53: a record that is submitted on every way",
    text: xdp(
      "const r = ring.reserve(); if (!r) return 1; r.n = 7; if (ctx.length > 70) { ring.discard(r); return 2; } ring.submit(r); return 3;",
      `${W} export const ring = ringBuf("ring", W, { bytes: 4096 });`,
    ),
    runs: [{ length: 80, gives: 2 }, { gives: 3 }],
  },
  {
    name: "53: one that is left on one of them",
    text: xdp(
      "const r = ring.reserve(); if (!r) return 1;\nr.n = 7;\nif (ctx.length > 70) return 2;\nring.submit(r); return 3;",
      `${W} export const ring = ringBuf("ring", W, { bytes: 4096 });`,
    ),
    refused: [/reference leak/, "return 2"],
  },
  {
    name: "54: a socket that is given back on every way",
    text: tc(
      "const s = skLookupTcp(ctx, Ipv4Tuple.zero(), 0n, 0n); if (!s) return 4; try { if (s.family === 2) return 1; return 2; } finally { skRelease(s); }",
    ),
    runs: [{ gives: 4 }],
  },
  {
    name: "55: two fields under a lock",
    text: xdp(
      "const v = m.get(0); if (!v) return 1; spinLock(v.lock); v.a += 3; v.b += v.a; spinUnlock(v.lock); return v.b;",
      'const V = struct("V", { lock: SpinLock, a: u32, b: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    ),
    runs: [{ gives: 3 }],
  },
  {
    name: "55: a call between",
    text: xdp(
      "const v = m.get(0); if (!v) return 1; spinLock(v.lock);\nif (ktimeGetNs() === 0n) v.a = 1;\nspinUnlock(v.lock); return v.a;",
      'const V = struct("V", { lock: SpinLock, a: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    ),
    refused: [/function calls are not allowed while holding a lock/, "ktimeGetNs()"],
  },
  {
    name: "56: a pointer that memory owns, exchanged",
    text: xdp(
      'const v = m.get(0); const n = objNew(N); if (!v || !n) { if (n) objDrop(n); return 1; } n.k = 5; const old = kptrXchg(v, "kept", n); if (old) objDrop(old); const back = kptrXchg(v, "kept", null); if (!back) return 2; const k = back.k; objDrop(back); return k;',
      'const N = struct("N", { k: u32 }); const V = struct("V", { kept: kptr(N) }); export const m = array("m", { value: V, maxEntries: 1 });',
    ),
    runs: [{ gives: 5 }],
  },
  {
    name: "57: a tree under its lock",
    text: xdp(
      "const t = m.get(0); const n = objNew(N); if (!t || !n) { if (n) objDrop(n); return 1; } n.k = ctx.length; spinLock(t.lock); rbtreeAdd(t.root, n, (a, b) => a.k < b.k); const f = rbtreeFirst(t.root); const d = f ? rbtreeRemove(t.root, f) : null; spinUnlock(t.lock); if (!d) return 2; const k = d.k; objDrop(d); return k;",
      'const N = struct("N", { k: u32, node: RbNode }); const T = struct("T", { lock: SpinLock, root: rbRoot(N, "node") }); export const m = array("m", { value: T, maxEntries: 1 });',
    ),
    runs: [{ gives: 64 }],
  },
  {
    name: "58: a packet as a dynptr, sliced and written back",
    text: tc(
      "const d = dynptrFromPacket(ctx); const s = d.slice(W, 16); if (!s) return 1; const w = W.zero(); w.n = s.n + 1; if (d.write(16n, w) !== 0n) return 2; const again = d.slice(W, 16); return again ? again.n : 3;",
      W,
    ),
    runs: [{ packet: words(0, 0, 0, 0, 6), gives: 7 }],
  },
];

testShapes("packets, by number", PACKETS);
testShapes("maps and indexes, by number", MAPS);
testShapes("loops, by number", LOOPS);
testShapes("calls and what is owned, by number", CALLS);
