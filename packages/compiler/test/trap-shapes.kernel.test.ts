// More of what the verifier knows and loses: ranges through arithmetic, packet offsets, memory on the stack, copies, joins; and what it refuses
// whatever the code is.
import { testRefusals, testTraps, type Refused, type Trap } from "./trap.ts";

const EIGHT = 'const Eight = struct("Eight", { w: array(u32, 8) });';
const ONE = 'const One = struct("One", { w: u32 });';
const list = (count: number, make: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => make(at)).join(" ");

const RANGES: readonly Trap[] = [
  {
    name: "an index below another that is masked",
    body: "const b = io.w[0] & 63; const i = io.w[1]; if (i >= b) return 1; return m.w[i]!;",
    ...{ words: [50, 9], returns: 27, most: 1000 },
  },
  {
    name: "an index of which the upper bits are tested",
    body: "const i = io.w[0]; if ((i & 0xffffffc0) !== 0) return 1; return m.w[i]!;",
    ...{ words: [9], returns: 27, most: 1000 },
  },
  {
    name: "a product of halves, shifted",
    body: "return m.w[(u32(u16(io.w[0])) * u32(u16(io.w[1]))) >>> 27]!;",
    ...{ words: [0xffff, 0xffff], returns: 93, most: 1000 },
  },
  {
    name: "a sum of masked parts",
    body: "return m.w[(io.w[0] & 7) * 8 + (io.w[1] & 7)]!;",
    ...{ words: [3, 5], returns: 87, most: 1000 },
  },
  {
    name: "a signed index that is bounded on both sides",
    body: "const i = i32(io.w[0]); if (i < 0 || i > 63) return 1; return m.w[u32(i)]!;",
    ...{ words: [10], returns: 30, most: 1000 },
  },
  {
    name: "a difference that is compared itself",
    body: "const d: u32 = (io.w[0] & 31) - (io.w[1] & 31); if (d > 63) return 1; return m.w[d]!;",
    ...{ words: [20, 7], returns: 39, most: 1000 },
  },
  {
    name: "memory that is checked, and read again behind another store",
    body: "if (io.w[0] > 63) return 1; m.w[1] = 7; return m.w[io.w[0]]!;",
    ...{ words: [5], returns: 15, most: 1000 },
  },
  {
    name: "sums made before the check of what they are made of",
    body: "const x = io.w[0]; const a = x + 1; io.w[1] = a; if (x > 20) return 1; return m.w[a]! + m.w[x]!;",
    ...{ words: [4], returns: 27, most: 1000 },
  },
  {
    name: "eight indexes of one value",
    body: `const x = io.w[0]; if (x > 20) return 1; return ${list(8, (at) => `m.w[x + ${at}]!${at < 7 ? " +" : ""}`)};`,
    ...{ words: [2], returns: 3 * (8 * 2 + 28), most: 1000 },
  },
  {
    name: "twenty branches that count, whose count is only returned",
    body: `let s: u32 = 0; ${list(20, (at) => `if (io.w[${at % 8}] > ${at}) s += ${at + 1};`)} return s;`,
    ...{ returns: 0, most: 500 },
  },
  {
    name: "twelve branches that count an index",
    body: `let s: u32 = 0; ${list(12, (at) => `if (io.w[${at % 8}] > ${at}) s += 1;`)} return m.w[s & 63]!;`,
    ...{ returns: 0, most: 2500 },
  },
];

const MEMORY: readonly Trap[] = [
  {
    name: "a packet offset of sixteen bits, unmasked",
    top: ONE,
    body: "const h = ctx.header(One, u16(io.w[0])); return h ? h.w : 3;",
    ...{ words: [8, 0, 77], returns: 77, most: 1000 },
  },
  {
    name: "a packet offset of two such parts",
    top: ONE,
    body: "const h = ctx.header(One, u32(u16(io.w[0])) + u32(u16(io.w[1]))); return h ? h.w : 3;",
    ...{ words: [8, 4, 0, 77], returns: 77, most: 1000 },
  },
  {
    name: "two headers at variable offsets, kept over a call",
    top: ONE,
    body: `const at = io.w[0] & 63; const h = ctx.header(One, at); const k = ctx.header(One, at + 4);
      if (!h || !k || ktimeGetNs() === 0n) return 1; return h.w + k.w;`,
    ...{ words: [8, 0, 70, 7], returns: 77, most: 1000 },
  },
  {
    name: "headers whose lengths add up",
    top: ONE,
    body: `let at: u32 = 0; let n: u32 = 0;
      for (const _ of range(6)) { const h = ctx.header(One, at); if (!h) return 9; n += 1; at += (h.w & 7) * 4 + 4; } return n;`,
    ...{ words: [1, 0, 2], returns: 6, most: 5000 },
  },
  {
    name: "an array on the stack that is written and read at variable places",
    top: EIGHT,
    body: "const s = Eight.zero(); s.w[io.w[0] & 7] = 5; s.w[io.w[1] & 7] = 6; return s.w[io.w[2] & 7]! * 10 + s.w[4]!;",
    ...{ words: [3, 4, 3], returns: 56, most: 1000 },
  },
  {
    name: "more values than registers, over a call",
    body: `const a = [${list(24, (at) => `io.w[${at % 8}] * ${at + 3},`)}] as const;
      if (ktimeGetNs() === 0n) return 1; return ${list(24, (at) => `a[${at}]${at < 23 ? " ^" : ""}`)};`,
    ...{ words: [1], returns: 3 ^ 11 ^ 19, most: 1000 },
  },
  {
    name: "a record that is reserved and submitted in each round",
    top: `${EIGHT} const ring = ringBuf("ring", Eight, { bytes: 4096 });`,
    body: "for (const i of range(5)) { const r = ring.reserve(); if (!r) return 1; r.w[0] = i; ring.submit(r); } return 7;",
    ...{ returns: 7, most: 1000 },
  },
  {
    name: "a branch that configuration closes",
    top: 'const mode = config("mode", u32, 0);',
    body: "if (mode.value === 1) return m.w[io.w[0]]!; return 4;",
    ...{ words: [999], returns: 4, most: 1000 },
  },
  {
    name: "a subprogram of thirty calls",
    top: "const mix = subprogram((a: u32, b: u32): u32 => { let n: u32 = 0; for (let i = 0; i < 5; i++) n += (a ^ b) >>> (i & 7); return n; });",
    body: `let s: u32 = 0; ${list(30, (at) => `s += mix(io.w[${at % 8}], ${at});`)} return s;`,
    ...{ returns: 799, most: 6000 },
  },
  {
    name: "a subprogram that indexes what it is given",
    top: "const get = subprogram((t: Of<typeof Table>, i: u32): u32 => t.w[i] ?? 3);",
    body: "return get(m, io.w[0]);",
    ...{ words: [12], returns: 36, most: 1000 },
  },
];

const REFUSED: readonly Refused[] = [
  {
    name: "a signed index that is bounded above alone",
    body: "const i = i32(io.w[0]);\n  if (i > 63) return 1;\n  return m.w[u32(i)]!;",
    ...{ reason: /unbounded memory access|max value is outside/, at: 2 },
  },
  {
    name: "a difference of which only the operands were compared",
    body: "const [a, b] = [io.w[0] & 63, io.w[1] & 63];\n  if (b > a) return 1;\n  return m.w[a - b]!;",
    ...{ reason: /unbounded memory access|unbounded min value/, at: 2 },
  },
  {
    name: "a value whose part was compared",
    body: "const a = io.w[0];\n  if (a >>> 1 > 20) return 1;\n  return m.w[a]!;",
    ...{ reason: /unbounded memory access|max value is outside/, at: 2 },
  },
  {
    name: "memory that was checked before a call that may change it",
    top: 'const g = global("g", u32); const h = hash("h", { key: u32, value: u32, maxEntries: 4 });',
    body: "if (g.value > 63) return 1;\n  h.set(1, 1);\n  return m.w[g.value]!;",
    ...{ reason: /unbounded memory access/, at: 2 },
  },
  {
    name: "a loop that comes back as it was",
    body: "let n: u32 = 1;\n  while (n !== 0) { n |= io.w[0]; n |= 1; }\n  return n;",
    ...{ reason: /infinite loop detected|too large|too complex/, at: 1 },
  },
];

testTraps("ranges that the verifier follows", RANGES);
testTraps("memory as the verifier follows it", MEMORY);
testRefusals("what no code can prove to the verifier", REFUSED);
