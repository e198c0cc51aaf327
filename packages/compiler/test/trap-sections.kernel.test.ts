// What was measured of contexts, of calls that the kernel inlines, and of the verifier's tables: a program for each.
import { testShapes, type Shape } from "./checklist.ts";

const xdp = (body: string, top = ""): string => `${top}\nexport const main = xdp("main", (ctx) => {\n${body}\n});`;
const tc = (body: string, top = ""): string => `${top}\nexport const main = tc("main", (ctx) => {\n${body}\n});`;

const CONTEXTS: readonly Shape[] = [
  {
    name: "1.5: fields of a context are loaded as wide as they are, at constant places, also behind calls",
    text: xdp(
      "const a = ctx.rxQueueIndex; if (ktimeGetNs() === 0n) return 9; return a + u16(ctx.rxQueueIndex) + u8(ctx.ingressIfindex) * 0 + ctx.length;",
    ),
    runs: [{ gives: 64 }],
  },
  {
    name: "1.5: parts of fields of a packet's context, and what may be written",
    text: tc(
      "ctx.mark = 0x01020304; ctx.priority = 7; ctx.cb[1]; return u8(ctx.mark) + u16(ctx.mark >>> 16) + ctx.priority + (ctx.mark & 0xff00) / 256;",
    ),
    runs: [{ gives: 4 + 0x0102 + 7 + 3 }],
  },
  {
    name: "1.5: an element of a context has a constant index",
    text: tc("if (ctx.cb[ctx.mark & 3]) return 1; return 0;"),
    diagnostic: ["SKEP1002", "ctx.cb[ctx.mark & 3]"],
  },
  {
    name: "1.5: what cannot be written is told",
    text: tc("ctx.hash = 3;\nreturn 0;"),
    diagnostic: ["TS2540", "ctx.hash = 3"],
  },
  {
    name: "1.5: the context goes into functions as it is",
    text: xdp(
      "return of(ctx) + of(ctx);",
      "const of = subprogram((ctx: XdpContext): u32 => ctx.length + ctx.rxQueueIndex);",
    ),
    runs: [{ gives: 128 }],
  },
  {
    name: "1.5: a verdict outside of what the type returns",
    text: 'export const main = cgroupConnect4("main", () => 5);',
    diagnostic: ["SKEP1403", "=> 5"],
  },
];

const SCALARS: readonly Shape[] = [
  {
    name: "1.2: a check of a factor says nothing of a product from before",
    text: xdp(
      "const w = ctx.header(W, 0); if (!w) return 9; const product = u64(w.a) * u64(u32(w.b)); if (w.b !== 0) return u32(product); return TABLE[u32(product)] ?? 7;",
      'const W = struct("W", { a: u32, b: u8 }); const TABLE = [13, 1023, 4_294_967_295, 4] as const;',
    ),
    runs: [
      { packet: [3, 0, 0, 0, 0], gives: 13 },
      { packet: [3, 0, 0, 0, 5], gives: 15 },
    ],
  },
  {
    name: "1.2: one of a product from behind it does",
    text: xdp(
      "const w = ctx.header(W, 0); if (!w) return 9; const b = u32(w.b); if (b > 3) return 8; const product = u64(b) * 2n; return TABLE[u32(product)] ?? 7;",
      'const W = struct("W", { a: u32, b: u8 }); const TABLE = [13, 1, 2, 4, 5, 6, 77] as const;',
    ),
    runs: [{ packet: [3, 0, 0, 0, 3], gives: 77 }],
  },
];

const TABLES: readonly Shape[] = [
  {
    name: "4.1: a helper that the program's type has not",
    text: xdp("return u32(skbLoadBytes(ctx as never, 0, B.zero()));", 'const B = struct("B", { b: array(u8, 6) });'),
    diagnostic: ["SKEP1401", "skbLoadBytes"],
  },
  {
    name: "4.1: keys and values of a map's size, from a packet, the stack and another map",
    text: xdp(
      "const w = ctx.header(W, 0); if (!w) return 9; m.set(w, w); const a = m.get(w); if (!a) return 8; n.set(a, { k: 5 }); return n.get({ k: w.k })?.k ?? 7;",
      'const W = struct("W", { k: u32 }); export const m = hash("m", { key: W, value: W, maxEntries: 4 }); export const n = hash("n", { key: W, value: W, maxEntries: 4 });',
    ),
    runs: [{ packet: [3], gives: 5 }],
  },
  {
    name: "4.1: a buffer that a helper fills is not cleared before, and has its size",
    text: 'const B = struct("B", { b: array(u8, 6) });\nexport const main = tc("main", (ctx) => { const b = B.zero(); return skbLoadBytes(ctx, 60, b) < 0n ? 3 : 4; });',
    runs: [{ gives: 3 }],
  },
  {
    name: "4.1: a copy of a random packet, signed errors of helpers",
    text: xdp(
      "return m.delete(7) === -2n ? 5 : 6;",
      'export const m = hash("m", { key: u32, value: u32, maxEntries: 4 });',
    ),
    runs: [{ gives: 5 }],
  },
  {
    name: "4.4: special fields are not copied, and lie at constant places",
    text: xdp(
      "const v = m.get(0); if (!v) return 1; const before = v.n; spinLock(v.lock); v.n = before + 2; const now = v.n; spinUnlock(v.lock); return now;",
      'const V = struct("V", { n: u32, lock: SpinLock, timer: Timer }); export const m = array("m", { value: V, maxEntries: 1 });',
    ),
    runs: [{ gives: 2 }],
  },
  {
    name: "4.4: a dynptr's slice is stale when the packet has moved",
    text: tc(
      "const d = dynptrFromPacket(ctx); const s = d.slice(W, 0); if (!s) return 1;\nskbPullData(ctx, 32);\nreturn s.k;",
      'const W = struct("W", { k: u32 });',
    ),
    diagnostic: ["SKEP1409", "return s.k"],
  },
];

testShapes("contexts", CONTEXTS);
testShapes("what a scalar carries", SCALARS);
testShapes("the verifier's tables", TABLES);
