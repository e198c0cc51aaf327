import { describe, expect, it } from "vitest";
import { crc32 } from "@skep/bpf/hash";
import { runOnce, start } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

interface Case {
  readonly name: string;
  /** Declarations before the program. */
  readonly top?: string;
  /** The body of an XDP program; `io` is the packet as eight words of 32 bits. */
  readonly body: string;
  readonly words?: readonly number[];
  readonly returns: number;
  /** Words of the packet afterwards. */
  readonly after?: readonly number[];
}

const IMPORTS = [
  "array",
  "assert",
  "atomicAdd",
  "atomicCompareExchange",
  "atomicExchange",
  "be16",
  "be32",
  "be64",
  "bits",
  "bool",
  "config",
  "global",
  "hash",
  "hashOfMaps",
  "i16",
  "i32",
  "i64",
  "i8",
  "loop",
  "lpmTrie",
  "lruHash",
  "percpuArray",
  "queue",
  "range",
  "RINGBUF",
  "ringBuf",
  "SpinLock",
  "spinLock",
  "spinUnlock",
  "stack",
  "struct",
  "subprogram",
  "Timer",
  "timerCancel",
  "timerInit",
  "timerSetCallback",
  "timerStart",
  "u16",
  "u32",
  "u64",
  "u8",
  "union",
  "xdp",
  "XDP",
  "xdpAdjustHead",
];

function program({ top = "", body }: Case): string {
  return `
export const license = "GPL";
import { ${IMPORTS.join(", ")}, type BpfMap, type FixedArray, type Of, type XdpContext } from "@skep/bpf";
const Io = struct("Io", { w: array(u32, 8) });
${top}
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return 999;
  ${body}
});
`;
}

const CASES: readonly Case[] = [
  {
    name: "if and else if",
    body: "const n = io.w[0]; if (n < 5) return 1; else if (n < 10) return 2; else return 3;",
    words: [7],
    returns: 2,
  },
  { name: "ternary of literals", body: "return io.w[0] > 3 ? 10 : 20;", words: [4], returns: 10 },
  {
    name: "nested ternary",
    body: "const n = io.w[0]; return n === 1 ? 10 : n === 2 ? 20 : 30;",
    words: [2],
    returns: 20,
  },
  {
    name: "and, or, not",
    body: "const a = io.w[0]; const b = io.w[1]; return (a > 1 && !(b > 1)) || a === b ? 1 : 0;",
    words: [2, 1],
    returns: 1,
  },
  {
    name: "a boolean in a variable",
    body: "const big = io.w[0] > 5 && io.w[1] > 5; const other = !big; return other ? 1 : 2;",
    words: [6, 6],
    returns: 2,
  },
  {
    name: "a boolean that is assigned",
    body: "let seen = false; if (io.w[0] === 3) seen = true; return seen ? 1 : 0;",
    words: [3],
    returns: 1,
  },
  {
    name: "let with a default type",
    body: "let n = 0; n += io.w[0]; n += io.w[1]; return n;",
    words: [3, 4],
    returns: 7,
  },
  {
    name: "a while loop",
    body: "let n = io.w[0] & 15; let sum = 0; while (n > 0) { sum += n; n--; } return sum;",
    words: [5],
    returns: 15,
  },
  { name: "a for loop", body: "let sum = 0; for (let i = 0; i < 10; i++) sum += i; return sum;", returns: 45 },
  { name: "a do loop", body: "let n = 0; do { n++; } while (n < 5); return n;", returns: 5 },
  { name: "for over a range", body: "let sum = 0; for (const i of range(3, 8)) sum += i; return sum;", returns: 25 },
  {
    name: "for over an array in memory",
    body: "let sum = 0; for (const w of io.w) sum += w; return sum;",
    words: [1, 2, 3, 4, 5, 6, 7, 8],
    returns: 36,
  },
  {
    name: "for over a list",
    body: "let sum = 0; for (const n of [3, 5, 7]) { if (n === 5) continue; sum += n; } return sum;",
    returns: 10,
  },
  {
    name: "for over a long array",
    top: 'const Long = struct("Long", { list: array(u8, 24) });',
    body: "const l = Long.zero(); l.list[3] = 4; l.list[20] = 6; let sum = 0; for (const b of l.list) sum += b; return sum;",
    returns: 10,
  },
  {
    name: "break and continue",
    body: "let n = 0; for (let i = 0; i < 20; i++) { if (i % 2 === 0) continue; if (i > 9) break; n += i; } return n;",
    returns: 25,
  },
  {
    name: "labelled loops",
    body: "let n = 0; outer: for (let i = 0; i < 5; i++) { for (let j = 0; j < 5; j++) { if (j === 3) continue outer; if (i === 3) break outer; n += 1; } } return n;",
    returns: 9,
  },
  {
    name: "a labelled block",
    body: "let n = 1; done: { if (io.w[0] === 1) break done; n = 2; } return n;",
    words: [1],
    returns: 1,
  },
  {
    name: "switch",
    body: "switch (io.w[0]) { case 1: return 10; case 2: case 3: return 20; default: return 30; }",
    words: [3],
    returns: 20,
  },
  {
    name: "switch that falls through",
    body: "let n = 0; switch (io.w[0]) { case 1: n += 1; case 2: n += 2; break; case 3: n += 4; } return n;",
    words: [1],
    returns: 3,
  },
  {
    name: "switch with the default in the middle",
    body: "let n = 0; switch (io.w[0]) { case 1: n = 1; break; default: n = 5; case 2: n += 2; } return n;",
    words: [9],
    returns: 7,
  },
  {
    name: "a function with early returns",
    top: "function f(n: u32): u32 { if (n === 0) return 7; if (n > 10) return n; return n * 2; }",
    body: "return f(io.w[0]) + f(io.w[1]) + f(io.w[2]);",
    words: [0, 20, 4],
    returns: 35,
  },
  {
    name: "a function without annotations",
    top: "function twice(n: number) { return n + n; }",
    body: "return twice(io.w[0]);",
    words: [21],
    returns: 42,
  },
  {
    name: "a closure that changes what it sees",
    body: "let n = 0; const add = (by: u32): void => { n += by; }; add(io.w[0]); add(2); return n;",
    words: [3],
    returns: 5,
  },
  {
    name: "a function as an argument",
    top: "function apply(f: (n: u32) => u32, n: u32): u32 { return f(n) + 1; }",
    body: "return apply((n) => n * 3, io.w[0]);",
    words: [4],
    returns: 13,
  },
  {
    name: "a default parameter",
    top: "function f(n: u32, by: u32 = 5): u32 { return n + by; }",
    body: "return f(io.w[0]) + f(1, 2);",
    words: [3],
    returns: 11,
  },
  {
    name: "rest parameters",
    top: "function sum(...list: number[]): number { let n = 0; for (const one of list) n += one; return n; }",
    body: "return sum(io.w[0], 2, 3);",
    words: [1],
    returns: 6,
  },
  {
    name: "a generic function over maps",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });\nfunction pick<K, T>(map: BpfMap<K, T>, key: K): T | null { return map.get(key); }',
    body: "m.set(5, { n: 9 }); const v = pick(m, 5); return v ? v.n : 0;",
    returns: 9,
  },
  {
    name: "destructuring of a struct",
    top: 'const P = struct("P", { x: u32, y: u32 });',
    body: "const p: Of<typeof P> = { x: io.w[0], y: 2 }; const { x, y: other } = p; return x * 10 + other;",
    words: [4],
    returns: 42,
  },
  {
    name: "destructuring of an array",
    body: "const [a, , c] = io.w; return a * 10 + c;",
    words: [1, 2, 3],
    returns: 13,
  },
  {
    name: "objects without a layout",
    body: "const o = { a: io.w[0], b: 3 }; o.a += 1; return o.a * o.b;",
    words: [4],
    returns: 15,
  },
  {
    name: "an object from a function",
    top: "function pair(n: u32) { if (n > 5) return { low: 5, high: n }; return { low: n, high: 5 }; }",
    body: "const p = pair(io.w[0]); return p.low * 10 + p.high;",
    words: [3],
    returns: 35,
  },
  {
    name: "spread of a struct",
    top: 'const P = struct("P", { x: u32, y: u32, z: u32 });',
    body: "const a: Of<typeof P> = { x: 1, y: 2, z: 3 }; const b: Of<typeof P> = { ...a, y: io.w[0] }; a.x = 100; return b.x * 100 + b.y * 10 + b.z;",
    words: [7],
    returns: 173,
  },
  {
    name: "a struct is a reference",
    top: 'const P = struct("P", { x: u32 });\nfunction bump(p: Of<typeof P>): void { p.x += 1; }',
    body: "const p = P.zero(); const q = p; bump(q); bump(p); return p.x;",
    returns: 2,
  },
  {
    name: "a struct from a function",
    top: 'const P = struct("P", { x: u32, y: u32 });\nfunction make(n: u32): Of<typeof P> { if (n > 3) return { x: n, y: 1 }; return { x: 3, y: 2 }; }',
    body: "const p = make(io.w[0]); return p.x * 10 + p.y;",
    words: [2],
    returns: 32,
  },
  {
    name: "nested structs are written in place",
    top: 'const In = struct("In", { a: u16, b: u32 }); const Out = struct("Out", { n: u8, inner: In, list: array(In, 2) });',
    body: "const o: Of<typeof Out> = { n: 1, inner: { a: 2, b: 3 }, list: [{ a: 4, b: 5 }, { a: 6, b: io.w[0] }] }; return o.inner.a + o.list[1].b + o.list[0].a + o.n;",
    words: [7],
    returns: 14,
  },
  {
    name: "unions",
    top: 'const U = union("U", { word: u32, bytes: array(u8, 4) }); const S = struct("S", { u: U });',
    body: "const s = S.zero(); s.u.word = 0x01020304; return s.u.bytes[0] * 10 + s.u.bytes[3];",
    returns: 41,
  },
  {
    name: "bit fields",
    top: 'const B = struct("B", { a: bits(u16, 5), b: bits(u16, 9), c: bits(u32, 20) });',
    body: "const b: Of<typeof B> = { a: 3, b: io.w[0] & 0x1ff, c: 70_000 }; b.a = 9; b.b = 400; return b.a + b.b + b.c;",
    words: [0xffff],
    returns: 70_409,
  },
  {
    name: "big-endian fields",
    top: 'const H = struct("H", { a: be16, pad: u16, b: be32, c: be64 });',
    body: "const h = ctx.header(H, 0); if (!h) return 0; h.c = 5n; if (h.a !== 0x0102) return 1; return h.b;",
    words: [0x0201, 0x44332211],
    returns: 0x11223344,
    after: [0x0201, 0x44332211, 0, 0x05000000],
  },
  {
    name: "packed structs",
    top: 'const P = struct("P", { a: u8, b: u32, c: u16 }, { packed: true });',
    body: "const p = ctx.header(P, 0); if (!p) return 0; p.c = 7; return p.a + p.b;",
    words: [0x00000301, 0],
    returns: 4,
    after: [0x301, 0x700],
  },
  {
    name: "padding of keys is zero",
    top: 'const K = struct("K", { a: u8, b: u32 }); export const m = hash("m", { key: K, value: u32, maxEntries: 8 });',
    body: "const n = u8(io.w[0]); m.set({ a: n, b: 2 }, 5); const k: Of<typeof K> = { b: 2, a: n }; return m.get(k) ?? 77;",
    words: [3],
    returns: 5,
  },
  {
    name: "an integer of a map",
    top: 'export const m = hash("m", { key: u32, value: u64, maxEntries: 8 });',
    body: "const before = m.get(1); m.set(1, 5n); const after = m.get(1); if (before !== null) return 1; return after === null ? 2 : u32(after);",
    returns: 5,
  },
  {
    name: "?? of a map's integer",
    top: 'export const m = hash("m", { key: u32, value: u32, maxEntries: 8 });',
    body: "m.set(2, 20); return (m.get(1) ?? 7) + (m.get(2) ?? 8);",
    returns: 27,
  },
  {
    name: "?. of a map's struct",
    top: 'const V = struct("V", { n: u32, inner: struct("W", { x: u32 }) }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: "m.set(1, { n: 3, inner: { x: 4 } }); const a = m.get(1)?.n ?? 50; const b = m.get(2)?.n ?? 60; const c = m.get(1)?.inner.x; return a + b + (c === undefined ? 100 : c);",
    returns: 67,
  },
  {
    name: "?. compared",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: "m.set(1, { n: 3 }); let r = 0; if (m.get(1)?.n === 3) r += 1; if (m.get(2)?.n === 3) r += 2; if (m.get(2)?.n !== 3) r += 4; return r;",
    returns: 5,
  },
  {
    name: "a reference into a map",
    top: 'export const m = hash("m", { key: u32, value: u64, maxEntries: 8 });',
    body: "m.set(1, 1n); const cell = m.ref(1); if (!cell) return 1; cell.value += 41n; return u32(m.get(1) ?? 0n);",
    returns: 42,
  },
  {
    name: "delete and set modes",
    top: 'export const m = hash("m", { key: u32, value: u32, maxEntries: 8 });',
    body: 'const a = m.set(1, 1, "existing"); const b = m.set(1, 1, "new"); const c = m.set(1, 2, "new"); const d = m.delete(1); const e = m.delete(1); return (a < 0n ? 1 : 0) + (b === 0n ? 2 : 0) + (c < 0n ? 4 : 0) + (d === 0n ? 8 : 0) + (e < 0n ? 16 : 0);',
    returns: 31,
  },
  {
    name: "a trie",
    top: 'const K = struct("K", { prefixLength: u32, address: be32 }); export const m = lpmTrie("m", { key: K, value: u32, maxEntries: 8 });',
    body: "m.set({ prefixLength: 8, address: 0x0a000000 }, 8); m.set({ prefixLength: 24, address: 0x0a010200 }, 24); const a = m.get({ prefixLength: 32, address: 0x0a010203 }); const b = m.get({ prefixLength: 32, address: 0x0a020203 }); return (a ?? 0) * 100 + (b ?? 0);",
    returns: 2408,
  },
  {
    name: "queue and stack",
    top: 'export const q = queue("q", { value: u32, maxEntries: 4 }); export const s = stack("s", { value: u32, maxEntries: 4 });',
    body: "q.push(1); q.push(2); s.push(1); s.push(2); const a = q.pop(); const b = s.pop(); const c = q.peek(); q.pop(); const d = q.pop(); return (a ?? 9) * 1000 + (b ?? 9) * 100 + (c ?? 9) * 10 + (d ?? 9);",
    returns: 1229,
  },
  {
    name: "a per-CPU array",
    top: 'const V = struct("V", { n: u64 }); export const m = percpuArray("m", { value: V, maxEntries: 4 });',
    body: "const v = m.get(2); if (!v) return 1; v.n += 5n; const w = m.get(2); return w ? u32(w.n) : 2;",
    returns: 5,
  },
  {
    name: "config and globals",
    top: 'export const limit = config("limit", u32, 41); export const seen = global("seen", u64); export const start = global("start", u32, 7);',
    body: "seen.value += 1n; start.value += limit.value; return start.value + u32(seen.value);",
    returns: 49,
  },
  {
    name: "tables",
    top: "const TABLE = [5, 10, 20, 300] as const;",
    body: "return (TABLE[io.w[0]] ?? 1) + (TABLE[io.w[1]] ?? 1);",
    words: [3, 4],
    returns: 301,
  },
  {
    name: "a table of names",
    top: "const CODES = { LOW: 3, HIGH: 1 << 10 } as const;",
    body: "return CODES.LOW + CODES.HIGH;",
    returns: 1027,
  },
  {
    name: "an index that is checked",
    body: "const i = io.w[0]; const x = io.w[i]; if (x === undefined) return 55; return x;",
    words: [9],
    returns: 55,
  },
  {
    name: "an index that is inside",
    body: "const i = io.w[0]; return io.w[i] ?? 55;",
    words: [3, 0, 0, 66],
    returns: 66,
  },
  { name: "an index by mask", body: "return io.w[io.w[0] & 7]!;", words: [10, 0, 77], returns: 77 },
  {
    name: "a store by index",
    body: "const i = io.w[0]; io.w[i] = 5; io.w[io.w[1]] = 6; return 1;",
    words: [3, 100],
    returns: 1,
    after: [3, 100, 0, 5],
  },
  {
    name: "++ and -- as values",
    body: "let n = io.w[0]; const a = n++; const b = ++n; const c = n--; return a * 100 + b * 10 + c;",
    words: [3],
    returns: 355,
  },
  {
    name: "compound assignments",
    body: "let n = io.w[0]; n += 4; n *= 3; n -= 1; n <<= 2; n >>= 1; n |= 1; n &= 0xff; n ^= 2; n /= 2; n %= 16; return n;",
    words: [5],
    returns: (((((((((5 + 4) * 3 - 1) << 2) >> 1) | 1) & 0xff) ^ 2) / 2) | 0) % 16,
  },
  {
    name: "logical assignments",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: "m.set(2, { n: 8 }); let v = m.get(1); v ??= m.get(2); return v ? v.n : 0;",
    returns: 8,
  },
  {
    name: "a variable that refers to one value or another",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: "m.set(1, { n: 3 }); m.set(2, { n: 4 }); const a = m.get(1); const b = m.get(2); let c = a; if (b) { if (!c) c = b; else if (b.n > c.n) c = b; } return c ? c.n : 0;",
    returns: 4,
  },
  {
    name: "a function that may give null",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });\ntype V = Of<typeof V>;\nfunction find(n: u32): V | null { if (n > 100) return null; const v = m.get(n); if (!v) return null; return v; }',
    body: "m.set(1, { n: 3 }); const a = find(1); const b = find(2); const c = find(200); return (a ? a.n : 100) + (b ? 1000 : 10) + (c ? 1000 : 20);",
    returns: 33,
  },
  {
    name: "header at a variable offset",
    top: 'const W = struct("W", { n: u32 });',
    body: "const at = ctx.header(W, (io.w[0] & 3) * 4 + 4); return at ? at.n : 77;",
    words: [2, 0, 0, 42],
    returns: 42,
  },
  {
    name: "header at an offset without a bound",
    top: 'const W = struct("W", { n: u32 });',
    body: "let off = io.w[0]; off += 4; const at = ctx.header(W, off); return at ? at.n : 77;",
    words: [8, 0, 0, 42],
    returns: 42,
  },
  {
    name: "a header outside",
    top: 'const W = struct("W", { n: u32 });',
    body: "const at = ctx.header(W, io.w[0]); return at ? at.n : 77;",
    words: [61],
    returns: 77,
  },
  {
    name: "a header from a function",
    top: 'const W = struct("W", { n: u32 });\nfunction word(ctx: XdpContext, at: u32) { const w = ctx.header(W, at); if (!w) return null; return w; }',
    body: "const a = word(ctx, 4); const b = word(ctx, 400); return a && !b ? a.n : 7;",
    words: [0, 42],
    returns: 42,
  },
  {
    name: "a subprogram",
    top: "const f = subprogram((a: u32, b: u64): u64 => { if (a > 3) return b; return b + 1n; });",
    body: "return u32(f(io.w[0], 10n) + f(9, 20n));",
    words: [1],
    returns: 31,
  },
  {
    name: "a subprogram with memory and context",
    top: 'const P = struct("P", { x: u32 });\ntype P = Of<typeof P>;\nconst add = subprogram((ctx: XdpContext, p: P, by: u32): void => { p.x += by + ctx.ingressIfindex * 0; });',
    body: "const p = P.zero(); add(ctx, p, 3); add(ctx, p, io.w[0]); return p.x;",
    words: [4],
    returns: 7,
  },
  {
    name: "a subprogram with a header",
    top: "type Io = Of<typeof Io>;\nconst first = subprogram((io: Io): u32 => io.w[0] + io.w[1]);",
    body: "return first(io);",
    words: [4, 5],
    returns: 9,
  },
  {
    name: "a ring that is written in place",
    top: 'const E = struct("E", { a: u8, b: u64 }); export const ring = ringBuf("ring", E, { bytes: 4096 });',
    body: "const ok = ring.emit({ a: 1, b: u64(io.w[0]) }); const e = ring.reserve(); if (!e) return 1; e.a = 3; ring.submit(e); const f = ring.reserve(); if (f) ring.discard(f, RINGBUF.NO_WAKEUP); const h = ring.reserve(); if (h) { h.a = 4; ring.submit(h, io.w[0] === 0 ? 0n : RINGBUF.FORCE_WAKEUP); } const g: Of<typeof E> = { a: 5, b: 6n }; return ok && ring.emit(g) ? 2 : 3;",
    words: [4],
    returns: 2,
  },
  {
    name: "atomics",
    top: 'const V = struct("V", { n: u64, m: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: 'm.set(1, { n: 5n, m: 7 }); const v = m.get(1); if (!v) return 0; atomicAdd(v, "n", 10n); const old = atomicExchange(v, "m", 9); const was = atomicCompareExchange(v, "n", 15n, 20n); return u32(v.n) * 100 + old * 10 + u32(was) + v.m;',
    returns: 20 * 100 + 70 + 15 + 9,
  },
  {
    name: "map of maps",
    top: 'export const outer = hashOfMaps("outer", { key: u32, inner: hash("inner", { key: u32, value: u32, maxEntries: 4 }), maxEntries: 4 });',
    body: "const inner = outer.get(3); if (!inner) return 5; return inner.get(1) ?? 6;",
    returns: 5,
  },
  { name: "the packet's length", body: "return ctx.length;", returns: 64 },
  {
    name: "moving the packet's start",
    body: "if (xdpAdjustHead(ctx, 4) !== 0) return 1; const again = ctx.header(Io, 0); return again ? again.w[0] : 2;",
    words: [1, 42],
    returns: 42,
  },
  {
    name: "wide arithmetic",
    body: "const n = u64(io.w[0]) * 1_000_000_007n; return u32((n >> 32n) ^ n);",
    words: [0xdeadbeef],
    returns: Number(((0xdeadbeefn * 1_000_000_007n) >> 32n) ^ ((0xdeadbeefn * 1_000_000_007n) & 0xffffffffn)) & -1,
  },
  {
    name: "a boolean field",
    top: 'const S = struct("S", { on: bool, n: u32 });',
    body: "const s: Of<typeof S> = { on: io.w[0] > 3, n: 1 }; if (s.on) s.n = 2; s.on = false; return s.n * 10 + (s.on ? 1 : 0);",
    words: [4],
    returns: 20,
  },
  {
    name: "undefined as a field of an object",
    top: "function f(o: { a: u32; b?: u32 }): u32 { return o.a + (o.b ?? 5); }",
    body: "return f({ a: io.w[0] }) + f({ a: 1, b: 2 });",
    words: [1],
    returns: 9,
  },
  {
    name: "template strings and constants of strings",
    top: 'const NAME = "m"; export const m = hash(`${NAME}_${1 + 1}`, { key: u32, value: u32, maxEntries: 8 });',
    body: 'return NAME === "m" && NAME + "_" + 1 === `m_${1}` ? 4 : 5;',
    returns: 4,
  },
  { name: "comma and void", body: "let n = 0; void (n = 3, n += 4); return n;", returns: 7 },
  {
    name: "shadowed names",
    body: "const n = 1; let sum = n; { const n = 10; sum += n; } for (let n = 0; n < 2; n++) sum += n; return sum;",
    returns: 12,
  },
  { name: "try and finally", body: "let n = 1; try { n += 1; } finally { n *= 10; } return n;", returns: 20 },
  {
    name: "finally before a return",
    top: "function f(o: { n: u32 }, early: boolean): u32 { try { if (early) return o.n; o.n = 5; } finally { o.n += 100; } return o.n; }",
    body: "const o = { n: 1 }; const a = f(o, true); const b = o.n; const c = f(o, false); return a * 10_000 + b * 1000 + c;",
    returns: 10_000 + 101_000 + 105,
  },
  {
    name: "finally before break and continue",
    body: "let n = 0; for (let i = 0; i < 5; i++) { try { if (i === 1) continue; if (i === 3) break; n += 1; } finally { n += 10; } } return n;",
    returns: 42,
  },
  {
    name: "nested finally",
    body: "let n = 0; const f = (): u32 => { try { try { return n; } finally { n = n * 2 + 1; } } finally { n = n * 2 + 1; } }; const r = f(); return r * 10 + n;",
    returns: 3,
  },
  {
    name: "loop with captured variables",
    body: "let sum = 0; let last = 0n; const by = io.w[0]; const times = loop(100, (i) => { sum += i * by; last = u64(i); return sum > 1000; }); return sum + u32(times) + u32(last);",
    words: [2],
    returns: 1056 + 33 + 32,
  },
  {
    name: "loop that captures memory",
    top: 'const P = struct("P", { n: u32, flag: bool });',
    body: "const p = P.zero(); let done = false; loop(10, (i) => { p.n += i; if (i === 9) done = true; }); const q = ctx.header(Io, 0); if (!q) return 0; loop(3, () => { p.n += q.w[1]; }); return done ? p.n : 1;",
    words: [0, 5],
    returns: 60,
  },
  {
    name: "loop in a loop",
    body: "let n = 0; loop(4, (i) => { loop(5, (j) => { n += i * j; }); }); return n;",
    returns: 60,
  },
  {
    name: "a local function called from a callback",
    body: "let n = 0; const add = (by: u32): void => { n += by; }; loop(5, (i) => { add(i); add(1); }); return n;",
    returns: 15,
  },
  {
    name: "forEach over a map",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 8 });',
    body: "m.set(1, { n: 10 }); m.set(2, { n: 20 }); m.set(3, { n: 30 }); let keys = 0; let sum = 0; const count = m.forEach((key, value) => { keys += key; sum += value.n; value.n = 0; }); return sum * 100 + keys * 10 + u32(count) + (m.get(2)?.n ?? 7);",
    returns: 6063,
  },
  {
    name: "a spin lock",
    top: 'const V = struct("V", { lock: SpinLock, n: u32, m: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    body: "const v = m.get(0); if (!v) return 0; spinLock(v.lock); try { v.n += 3; if (v.n > 100) return 1; v.m = v.n * 2; } finally { spinUnlock(v.lock); } return v.m;",
    returns: 6,
  },
  {
    name: "a timer",
    top: 'const V = struct("V", { timer: Timer, n: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    body: "const v = m.get(0); if (!v) return 99; const a = timerInit(v.timer, m); const b = timerSetCallback(v.timer, m, (key, value) => { value.n += 1 + key; }); const c = timerStart(v.timer, 3_600_000_000_000n); const d = timerCancel(v.timer); return (a === 0n ? 1 : 0) + (b === 0n ? 2 : 0) + (c === 0n ? 4 : 0) + (d === 1n ? 8 : 0);",
    returns: 15,
  },
  {
    name: "two variables change places",
    body: "let a = io.w[0]; let b = io.w[1]; [a, b] = [b, a]; return a * 10 + b;",
    words: [3, 4],
    returns: 43,
  },
  {
    name: "assignment by a pattern, into fields too",
    top: 'const P = struct("P", { x: u32, y: u32 });',
    body: "const p = P.zero(); let n = 0; ({ x: p.y, y: n } = { x: io.w[0], y: io.w[1] }); [io.w[2], , io.w[3]] = [p.y, 9, n]; return p.x + p.y * 10 + n * 100;",
    words: [3, 4],
    returns: 430,
    after: [3, 4, 3, 4],
  },
  {
    name: "a rest of a struct and of an array",
    top: 'const P = struct("P", { x: u32, y: u32, z: u32 });',
    body: "const { x, ...rest } = { ...P.zero(), x: 1, y: 2, z: io.w[0] }; const [first, ...others] = io.w; let sum = 0; for (const one of others) sum += one; return x + rest.y * 10 + rest.z * 100 + first * 1000 + sum * 10000;",
    words: [3, 1, 1],
    returns: 1 + 20 + 300 + 3000 + 20000,
  },
  {
    name: "tuples of functions",
    top: "function minMax(a: u32, b: u32): readonly [u32, u32] { return a < b ? [a, b] : [b, a]; }",
    body: "const [low, high] = minMax(io.w[0], io.w[1]); const [l, h] = minMax(high + 1, low); return low + high * 10 + l * 100 + h * 1000;",
    words: [7, 2],
    returns: 2 + 70 + 200 + 8000,
  },
  {
    name: "generics over types, constants and functions",
    top: `const A = struct("A", { n: u32 }); const B = struct("B", { n: u32, more: u32 });
      const nth = <T extends { n: u32 }>(value: T, times: number): u32 => value.n * times;
      const twice = <T>(value: T, change: (value: T) => T): T => change(change(value));`,
    body: "const a = { ...A.zero(), n: io.w[0] }; const b = { ...B.zero(), n: 5 }; return nth(a, 10) + nth(b, 2) + twice(1, (n) => n + io.w[0]);",
    words: [4],
    returns: 40 + 10 + 9,
  },
  {
    name: "packed, nested, in a union, in an array",
    top: `const Inner = struct("Inner", { a: u8, b: be32 }, { packed: true });
      const Both = union("Both", { inner: Inner, bytes: array(u8, 5) });
      const Outer = struct("Outer", { head: u8, list: array(Both, 3), tail: u64 });`,
    body: "const o = Outer.zero(); const one = o.list[1]; one.inner.a = 7; one.inner.b = 0x01020304; o.tail = 5n; let sum = 0; for (const byte of o.list[1].bytes) sum = sum * 10 + byte; return sum + Inner.size * 100000 + Outer.size * 1000000 + u32(o.tail);",
    returns: 71234 + 500000 + 24000000 + 5,
  },
  {
    name: "bit fields that are read, written and made",
    top: 'const F = struct("F", { a: bits(u32, 3), b: bits(u32, 7), c: bits(u32, 22) });',
    body: "const f = { ...F.zero(), a: 5, b: 100, c: 70000 }; f.b = u32(io.w[0] & 0x7f); f.a = (f.a - 1) & 7; return f.a + f.b * 10 + f.c * 10000;",
    words: [33],
    returns: 4 + 330 + 700000000,
  },
  {
    name: "assert ends the program, through finally",
    top: `const V = struct("V", { n: u32 }); export const m = array("m", { value: V, maxEntries: 1 });
      function half(n: u32): u32 { assert(n % 2 === 0, 77); return n / 2; }`,
    body: "const v = m.get(0); if (!v) return 0; try { v.n = 1; return half(io.w[0]); } finally { io.w[1] = v.n + 1; }",
    words: [9],
    returns: 77,
    after: [9, 2],
  },
  {
    name: "assert that holds narrows",
    body: "const more = ctx.header(Io, 32); assert(more, 5); assert(io.w[0] > 2 && more.w[0] === 0, 6); return more.w[0] + io.w[0];",
    words: [9],
    returns: 9,
  },
  {
    name: "a switch with a fall through, a default in the middle and a return",
    body: "let n = 0; switch (io.w[0]) { case 1: n += 1; case 2: n += 2; break; default: return 50; case 3: n += 3; } return n;",
    words: [1],
    returns: 3,
  },
  {
    name: "calls of what may be absent",
    top: `
      function each(n: u32, visit?: (x: u32) => void, done?: () => u32): u32 {
        for (let at = 0; at < 4; at++) visit?.(n + at);
        return done?.() ?? 7;
      }`,
    body: `
      let sum = 0;
      const first = each(1, (x) => { sum += x; });
      const second = each(1, undefined, () => sum);
      const hooks: { before?: (n: u32) => u32; after?: (n: u32) => u32 } = { before: (n) => n * 2 };
      const chosen = io.w[0] > 3 ? (): u32 => 1000 : undefined;
      return sum + first * 10 + second * 100 + (hooks.before?.(5) ?? 0) + (hooks.after?.(sum++) ?? 1) + (chosen?.() ?? 0);`,
    words: [4],
    returns: 10 + 70 + 1000 + 10 + 1 + 1000,
  },
  {
    name: "a call behind what may be absent",
    top: `
      const Row = struct("Row", { n: u32 });
      const row = hash("row", { key: u32, value: Row, maxEntries: 4 });
      const rows = hashOfMaps("rows", { key: u32, inner: row, maxEntries: 4 });
      const find = (key: u32) => (key > 3 ? Row.zero() : null);`,
    body: `return (rows.get(io.w[0])?.get(1)?.n ?? 5) + (find(io.w[0])?.n ?? 10) * 100 + (find(9)?.n ?? 10);`,
    words: [2],
    returns: 1005,
  },
  {
    name: "nullish of nested optionals",
    top: 'const V = struct("V", { n: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 4 });',
    body: "m.set(1, { n: 4 }); return (m.get(1)?.n ?? 100) + (m.get(2)?.n ?? m.get(1)?.n ?? 1000) * 10;",
    returns: 44,
  },
];

function packet(words: readonly number[] = []): Uint8Array {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  words.forEach((word, at) => view.setUint32(at * 4, word, true));
  return data;
}

describe.skipIf(!canUseBpf())("the language in the kernel", () => {
  for (const one of CASES) {
    it(one.name, () => {
      const { returned, data } = runOnce(program(one), packet(one.words));
      expect(returned).toBe(one.returns >>> 0);
      const view = new DataView(data.buffer, data.byteOffset);
      one.after?.forEach((word, at) => expect(view.getUint32(at * 4, true)).toBe(word));
    });
  }

  it("what a system call is given, indexed by variables", () => {
    const running = start(`
      import { array, struct, syscall, u32, u8 } from "@skep/bpf";
      import { crc32 } from "@skep/bpf/hash";
      const A = struct("A", { bytes: array(u8, 24), at: u32, sum: u32, crc: u32 });
      export const main = syscall("main", A, (a) => {
        a.bytes[1] = 77;
        for (const byte of a.bytes) a.sum += byte;
        a.crc = crc32(a.bytes);
        return a.bytes[a.at + 1] ?? 50;
      });`);
    try {
      const context = new Uint8Array(36);
      context[3] = 5;
      const answer = running.collection.programs["main"]?.test({ context });
      const view = new DataView((answer?.context ?? context).buffer, answer?.context?.byteOffset ?? 0);
      const bytes = Uint8Array.from({ length: 24 }, (_, at) => (at === 1 ? 77 : at === 3 ? 5 : 0));
      expect(answer?.returned).toBe(77);
      expect([view.getUint32(28, true), view.getUint32(32, true)]).toEqual([82, crc32(bytes)]);
    } finally {
      running.close();
    }
  });
});
