// The language by its nouns: a small program for each, run in the kernel on words that count from 1.
import { testShapes, type Shape } from "./checklist.ts";

interface Noun {
  readonly name: string;
  readonly top?: string;
  /** Body of an XDP program; `io` is the packet as eight words. */
  readonly body: string;
  readonly gives: number;
}

const packet = [...new Uint8Array(Uint32Array.from({ length: 16 }, (_, at) => at + 1).buffer)];

const shapeOf = ({ name, top = "", body, gives }: Noun): Shape => ({
  name,
  text: `const Io = struct("Io", { w: array(u32, 8) });
${top}
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return 999;
  ${body}
});`,
  runs: [{ packet, gives }],
  most: 5000,
});

const TYPES: readonly Noun[] = [
  {
    name: "arrays of arrays",
    top: 'const A = struct("A", { m: array(array(u8, 4), 3) });',
    body: "const a = A.zero(); a.m[1][2] = 5; a.m[io.w[1] & 1]![io.w[0] & 3] = 7; let s = 0; for (const row of a.m) for (const b of row) s += b; return s;",
    gives: 12,
  },
  {
    name: "struct align",
    top: 'const A = struct("A", { a: u8, b: u64 }, { align: 64 });',
    body: "return A.size;",
    gives: 64,
  },
  {
    name: "alignment as C",
    top: 'const A = struct("A", { a: u8, b: u16, c: u32, d: u8, e: u64 });',
    body: "return A.size;",
    gives: 24,
  },
  {
    name: "string compare buffer",
    top: 'const N = struct("N", { name: array(u8, 16) });',
    body: 'const n = N.zero(); n.name[0] = 97; n.name[1] = 98; return u32(u64(strncmp(n.name, "ab")));',
    gives: 0,
  },
  {
    name: "generics over struct types",
    top: 'const A = struct("A", { n: u32, m: u32 });\nfunction at<F extends Fields>(ctx: XdpContext, type: StructType<F>, offset: u32): StructOf<F> | null { return ctx.header(type, offset); }',
    body: "const a = at(ctx, A, 4); return a ? a.m : 9;",
    gives: 3,
  },
  {
    name: "generics over constants",
    top: "function rep<const N extends number>(n: N, v: u32): u32 { let s = 0; for (const _ of range(n)) s += v; return s; }",
    body: "return rep(4, io.w[2]);",
    gives: 12,
  },
  {
    name: "generic with int type",
    top: "function cut<T>(type: IntType<T>, v: u32): T { return type(v); }",
    body: "return cut(u8, io.w[0] + 257);",
    gives: 2,
  },
  {
    name: "type alias, interface",
    top: "type Pair = { a: u32; b: u32 }; interface Sum { total: u32 }\nfunction sum(p: Pair): Sum { return { total: p.a + p.b }; }",
    body: "return sum({ a: io.w[0], b: io.w[1] }).total;",
    gives: 3,
  },
  {
    name: "enum-like union switch",
    top: "const KIND = { A: 1, B: 2 } as const; type Kind = (typeof KIND)[keyof typeof KIND];\nfunction f(k: Kind): u32 { switch (k) { case KIND.A: return 1; case KIND.B: return 2; } }",
    body: "return f(KIND.B);",
    gives: 2,
  },
  {
    name: "union discriminated",
    top: 'type Shape = { kind: "a"; n: u32 } | { kind: "b"; m: u32 };\nfunction f(s: Shape): u32 { return s.kind === "a" ? s.n : s.m; }',
    body: 'return f({ kind: "a", n: io.w[0] }) + f({ kind: "b", m: io.w[3] });',
    gives: 5,
  },
  {
    name: "struct alias nested update",
    top: 'const In = struct("In", { x: u32, y: u32 }); const Out = struct("Out", { a: In, b: In });',
    body: "const o = Out.zero(); o.a = { x: 3, y: 4 }; o.b = o.a; o.a.x = 9; return o.b.x + o.b.y;",
    gives: 7,
  },
  {
    name: "compare with null both ways",
    top: 'const V = struct("V", { x: u32 }); export const m = hash("m", { key: u32, value: V, maxEntries: 1 });',
    body: "const v = m.get(0); return null === v ? 4 : v.x;",
    gives: 4,
  },
  {
    name: "text into a buffer",
    top: 'const N = struct("N", { name: array(u8, 16), n: u32 });',
    body: 'const n: Of<typeof N> = { name: text("eth0", 16), n: 1 }; return n.name[0]! + n.name[4]!;',
    gives: 101,
  },
  { name: "text as a table", top: 'const NAME = text("eth0", 16);', body: "return NAME[io.w[1]] ?? 3;", gives: 104 },
  {
    name: "text as a key",
    top: 'const K = struct("K", { name: array(u8, 8) }); export const m = hash("m", { key: K, value: u32, maxEntries: 4 });',
    body: 'm.set({ name: text("a", 8) }, 7); return m.get({ name: text("a", 8) }) ?? 1;',
    gives: 7,
  },
  {
    name: "text assigned",
    top: 'const K = struct("K", { name: array(u8, 4) });',
    body: 'const k = K.zero(); k.name = text("abc", 4); return k.name[0]!;',
    gives: 97,
  },
];

const LISTS: readonly Noun[] = [
  {
    name: "tuple of tuples",
    body: "const t = [[io.w[0], 2], [3, [4, 5]]] as const; const [[a, b], [c, [d, e]]] = t; return a + b + c + d + e + t[1][1][0] + 2;",
    gives: 21,
  },
  {
    name: "tuple param and result",
    top: "function f([a, b]: readonly [u32, u32]): [u32, u32] { return [b, a]; }",
    body: "const [x, y] = f(f([io.w[0], io.w[1]])); return x + y * 3;",
    gives: 7,
  },
  {
    name: "tuple for of",
    body: "const t: [u32, u32, u32] = [io.w[0], io.w[1], io.w[2]]; let s = 0; for (const v of t) s += v; return s;",
    gives: 6,
  },
  {
    name: "table of objects",
    top: "const T = [{ a: 10, b: 20 }, { a: 30, b: 40 }] as const;",
    body: "return T[io.w[0]]?.a ?? 5;",
    gives: 30,
  },
  {
    name: "table of objects loop",
    top: "const T = [{ a: 10, b: 20 }, { a: 10, b: 20 }] as const;",
    body: "let s = 0; for (const { a, b } of T) s += a + b; return s;",
    gives: 60,
  },
  {
    name: "table of tables",
    top: "const T = [[1, 2], [3, 4]] as const;",
    body: "return T[io.w[0] & 1]?.[io.w[0] & 1] ?? 9;",
    gives: 4,
  },
  {
    name: "table of u64",
    top: "const T = [0x100000001n, 0x300000000n] as const;",
    body: "return u32((T[io.w[0] & 1] ?? 0n) >> 32n);",
    gives: 3,
  },
  {
    name: "table negative",
    top: "const T = [-5, 7, -1] as const;",
    body: "return (T[io.w[1]] ?? 5) < 0 ? 1 : 0;",
    gives: 1,
  },
  {
    name: "table of booleans",
    top: "const T = [false, true, true] as const;",
    body: "return T[io.w[0]] ? 1 : 2;",
    gives: 1,
  },
  {
    name: "object table by name",
    top: "const MTU = { eth: 1500, lo: 65535 } as const satisfies Record<string, number>;",
    body: "const { eth } = MTU; return eth;",
    gives: 1500,
  },
  {
    name: "spread of tables",
    top: "const A = [1, 2] as const; const B = [...A, 3, 4] as const;",
    body: "let s = 0; for (const b of B) s += b; return s;",
    gives: 10,
  },
  {
    name: "tuple elements",
    body: "const t: [u32, u64] = [io.w[0], 2n]; t[0] += 4; t[1] += t[1]; t[0] *= 2; const [a, b] = t; let s = 0; for (const v of t) s += u32(v); return a + u32(b) + s - 14 + 11;",
    gives: 25,
  },
  {
    name: "tuple elements across a loop",
    body: "const t: [u32, u32] = [0, 1]; for (let i = 0; i < 9; i++) { t[1] += 1; t[0] = t[1]; } return t[0];",
    gives: 10,
  },
  {
    name: "tuple captured by a callback",
    body: "const t: [u32, u32] = [0, 1]; loop(10, () => { t[0] += 5; }); return t[0];",
    gives: 50,
  },
  {
    name: "list variable write",
    body: "const list = [1, 2, 3, 4]; list[io.w[1] & 3] = 9; let s = 0; for (const v of list) s += v; return s;",
    gives: 16,
  },
  {
    name: "list of run-time values by variable",
    body: "const list = [io.w[0], io.w[1], io.w[2]]; return list[io.w[1]] ?? 7;",
    gives: 3,
  },
  {
    name: "list of run-time values outside",
    body: "const list = [io.w[0], io.w[1], io.w[2]]; return list[io.w[5]] ?? 7;",
    gives: 7,
  },
  {
    name: "table row checked",
    top: "const T = [{ a: 10, b: { c: 20, on: true } }, { a: 30, b: { c: 40, on: false } }] as const;",
    body: "const row = T[io.w[0]]; if (!row) return 1; return row.b.on ? 2 : row.b.c;",
    gives: 40,
  },
  {
    name: "table row outside",
    top: "const T = [{ a: 10, b: { c: 20, on: true } }, { a: 30, b: { c: 40, on: false } }] as const;",
    body: "const row = T[io.w[4]]; if (!row) return 1; return row.b.on ? 2 : row.b.c;",
    gives: 1,
  },
  {
    name: "table row destructured",
    top: "const T = [{ a: 10, b: 20 }, { a: 30, b: 40 }] as const;",
    body: "const { a, b } = T[io.w[0] & 1]!; return a + b;",
    gives: 70,
  },
  { name: "array length", body: "return io.w.length;", gives: 8 },
  {
    name: "array literal variable index",
    body: "const list = [io.w[0], io.w[1], io.w[2]]; return list[io.w[1] & 3] ?? 7;",
    gives: 3,
  },
  {
    name: "array literal variable write",
    body: "const list = [1, 2, 3, 4]; list[io.w[1] & 3] = 9; return list[2]!;",
    gives: 9,
  },
  {
    name: "array of structs literal",
    top: 'const P = struct("P", { x: u32 });',
    body: "const list = [{ x: 3 }, { x: 2 }]; return list[0]!.x + list[1]!.x;",
    gives: 5,
  },
];

const CODE: readonly Noun[] = [
  {
    name: "closures from functions",
    top: "function adder(by: u32): (n: u32) => u32 { return (n) => n + by; }",
    body: "const add = adder(10); return add(io.w[0]);",
    gives: 11,
  },
  {
    name: "closures in objects",
    body: "let n = 0; const o = { inc: (by: u32): void => { n += by; }, get: (): u32 => n }; o.inc(1); o.inc(io.w[1]); return o.get();",
    gives: 3,
  },
  {
    name: "spread arguments",
    top: "function f(a: u32, b: u32): u32 { return a + b; }",
    body: "const t = [io.w[0], io.w[1]] as const; return f(...t);",
    gives: 3,
  },
  {
    name: "default destructuring",
    top: "function f({ a, b = 5 }: { a: u32; b?: u32 }): u32 { return a + b; }",
    body: "return f({ a: io.w[2] });",
    gives: 8,
  },
  {
    name: "array destructuring defaults",
    body: "const [a, b = 7] = [io.w[0]] as readonly u32[]; return a! + b;",
    gives: 8,
  },
  {
    name: "function used before its place",
    body: "return late(io.w[0]); function late(n: u32): u32 { return n + 1; }",
    gives: 2,
  },
  {
    name: "logical assignment",
    body: "let n = io.w[0] - 1; n ||= 5; let b = true; b &&= n === 5; return b ? n : 0;",
    gives: 5,
  },
  { name: "exponent constants", body: "return 2 ** 10;", gives: 1024 },
  {
    name: "switch true",
    body: "switch (true) { case io.w[0] > 5: return 1; case io.w[0] > 0: return 2; default: return 3; }",
    gives: 2,
  },
  {
    name: "switch bigint",
    body: "switch (u64(io.w[0])) { case 0n: return 3; case 1n: return 4; default: return 5; }",
    gives: 4,
  },
  {
    name: "switch with blocks and break to label",
    body: "let n = 0; out: for (const w of io.w) { switch (w) { case 1: { n += 4; break; } case 2: n += 5; continue; case 3: break out; default: n += 100; } } return n;",
    gives: 9,
  },
  {
    name: "for with two variables",
    body: "let s = 0; for (let i = 0, j = 5; i < j; i++, j--) s += j; return s + 3;",
    gives: 15,
  },
  { name: "for ever", body: "let i = 0; for (;;) { if (i > 5) break; i++; } return i;", gives: 6 },
  {
    name: "count down",
    body: "let s = 0; for (let i = 7; i >= 0; i--) { s += io.w[i]!; if (i === 0) break; } return s;",
    gives: 36,
  },
  { name: "u64 counter", body: "let s = 0n; for (let i = 0n; i < 5n; i++) s += i; return u32(s);", gives: 10 },
  {
    name: "labelled continue through finally over iterators",
    body: "let n = 0; outer: for (const i of numbers(0, 3)) { for (const j of numbers(0, 3)) { try { if (j === 1) continue outer; n += 1; } finally { n += 1; } } } n += 4; return n;",
    gives: 13,
  },
  {
    name: "iterator in a closure",
    body: "let s = 0; const each = (run: (n: u32) => void): void => { for (const i of numbers(0, 5)) run(u32(i)); }; each((n) => { s += n; }); return s;",
    gives: 10,
  },
  {
    name: "return out of an iterator",
    body: "for (const i of numbers(0, 100)) if (i === 3) return u32(i); return 0;",
    gives: 3,
  },
  {
    name: "iterator with unknown bound",
    body: "let s = 0; for (const i of numbers(0, i32(io.w[3]))) s += u32(i); return s;",
    gives: 6,
  },
  {
    name: "nested functions with captured written",
    body: "let s = 0; function add(n: u32): void { s += n; } for (const v of [1, 2, 3]) add(v); return s;",
    gives: 6,
  },
  {
    name: "index over length",
    body: "let s = 0; for (let i = 0; i < io.w.length; i++) s += io.w[i]!; return s;",
    gives: 36,
  },
  {
    name: "spread struct with override",
    top: 'const P = struct("P", { x: u32, y: u32, z: u32 });',
    body: "const p: Of<typeof P> = { ...{ ...P.zero(), x: io.w[0] }, y: 8 }; return p.x + p.y + p.z;",
    gives: 9,
  },
  {
    name: "optional chaining deep",
    top: 'const In = struct("In", { x: u32 }); const V = struct("V", { a: In, list: array(In, 2) }); export const m = array("m", { value: V, maxEntries: 2 });',
    body: "const v = m.get(1); if (v) v.list[1].x = 7; return m.get(1)?.list[1].x ?? 1;",
    gives: 7,
  },
  {
    name: "template string names",
    top: 'const N = "x"; const M = `${N}_m`; export const m = array(M, { value: u32, maxEntries: 1 });',
    body: 'return M === "x_m" ? 3 : 4;',
    gives: 3,
  },
  { name: "printk", body: "printk`n ${io.w[0]} ${u64(io.w[1])} ${-1}`; printk`only text`; return 0;", gives: 0 },
  {
    name: "assert in helper",
    top: "function need(n: u32): u32 { assert(n > 0, 77); return n + 2; }",
    body: "return need(io.w[0]);",
    gives: 3,
  },
  {
    name: "try finally nested return",
    body: "let n = 1; const f = (): u32 => { try { if (n > 0) return n; } finally { n = 10; } return 5; }; return f() + n * 2;",
    gives: 21,
  },
  {
    name: "try finally in a loop with break",
    body: "let n = 0; for (let i = 0; i < 10; i++) { try { if (i === 3) break; n += 1; } finally { n += 10 * (i === 3 ? 0 : 1); } } return n;",
    gives: 33,
  },
  {
    name: "lock with early return through finally",
    top: 'const V = struct("V", { lock: SpinLock, n: u32 }); export const m = array("m", { value: V, maxEntries: 1 });',
    body: "const v = m.get(0); if (!v) return 9; spinLock(v.lock); try { v.n += 1; if (v.n === 1) return v.n; v.n = 0; } finally { spinUnlock(v.lock); } return 5;",
    gives: 1,
  },
  {
    name: "struct returned through branches",
    top: 'const P = struct("P", { x: u32, y: u32 });\nfunction pick(n: u32): Of<typeof P> { const p = P.zero(); if (n > 5) { p.x = 1; return p; } p.y = 3; return p; }',
    body: "const p = pick(io.w[0]); return p.x + p.y;",
    gives: 3,
  },
  {
    name: "loop with captured struct",
    top: 'const P = struct("P", { n: u64 });',
    body: "const p = P.zero(); loop(10, (i) => { p.n += u64(i); }); let t = 0; loop(5, () => { t += 3; }); return u32(p.n) + t;",
    gives: 60,
  },
  {
    name: "loop returning early from program",
    body: "let found = 0; loop(8, (i) => { if (i === 3) { found = i; return true; } return false; }); return found;",
    gives: 3,
  },
  {
    name: "forEach writes captured",
    top: 'export const m = hash("m", { key: u32, value: u32, maxEntries: 4 });',
    body: "m.set(1, 1); m.set(2, 2); let s = 0; m.forEach((k, v) => { s += k; }); return s;",
    gives: 3,
  },
  {
    name: "min max by functions",
    top: "const min = (a: u32, b: u32): u32 => (a < b ? a : b);",
    body: "return min(io.w[3], 9);",
    gives: 4,
  },
  { name: "satisfies and as", body: "return ({ n: 5 } satisfies { n: u32 }).n as u32;", gives: 5 },
  { name: "non-null and definite", body: "let n!: u32; n = 3; return n!;", gives: 3 },
  {
    name: "const enum-like with computed",
    top: "const A = { X: 1 << 1, Y: (1 << 2) | 0 } as const;",
    body: "return A.X | A.Y;",
    gives: 6,
  },
  {
    name: "enums: constants, types of variables, of fields and of what may be absent",
    top: `enum Color { Red, Green = 5, Blue }
const enum Signed { Low = -3, High = 1 << 4 }
enum Device { First = "eth0" }
export enum Verdict { Pass = 2, Drop = 1, Both = Pass | Drop }
export const last = global("last", u32, Color.Blue);
const Row = struct("Row", { color: u8, kind: u32 });
function pick(color: Color): Verdict {
  switch (color) {
    case Color.Red: return Verdict.Drop;
    case Color.Green: return Verdict.Pass;
    default: return Verdict.Both;
  }
}
const maybe = (x: u32): Color | null => (x > 5 ? Color.Green : x > 2 ? Color.Blue : null);`,
    body: `let color: Color = Color.Green;
  let other = Color.Red;
  const low: i32 = Signed.Low;
  const row: Of<typeof Row> = { ...Row.zero(), color: Color.Blue };
  if (io.w[0] !== Color.Red) other = last.value as Color;
  if (io.w[7] === Color.Green) color = Color.Blue;
  return pick(color) * 1000 + pick(other) * 100 + row.color * 10 + (maybe(io.w[6]) ?? 9) + u32(low + 3) - Device.First.length;`,
    gives: 2361,
  },
  {
    name: "computed key",
    top: 'const K = "x"; const P = struct("P", { [K]: u32 });',
    body: "const p = P.zero(); p[K] = 3; return p.x;",
    gives: 3,
  },
  {
    name: "overloads",
    top: "function f(n: u32): u32; function f(n: u64): u32; function f(n: u32 | u64): u32 { return u32(n); }",
    body: "return f(1) + f(2n);",
    gives: 3,
  },
  {
    name: "early return in closure in loop",
    body: "const find = (want: u32): u32 => { for (const w of io.w) if (w === want) return w; return 99; }; return find(2);",
    gives: 2,
  },
  { name: "local type and const in block", body: "{ type T = u32; const n: T = 2; return n; }", gives: 2 },
  { name: "bool arithmetic", body: "return u32(io.w[0] === 1) + u32(io.w[1] === 2);", gives: 2 },
  { name: "u64 as condition", body: "return u64(io.w[0]) ? 1 : 0;", gives: 1 },
  { name: "unsigned right shift 64", body: "return u32((u64(io.w[0]) << 32n) >> 32n);", gives: 1 },
  { name: "rotate", body: "return (io.w[0] << 24) | (io.w[0] >>> 8);", gives: 16777216 },
  {
    name: "swap struct refs",
    top: 'const P = struct("P", { x: u32 });',
    body: "let a = { ...P.zero(), x: 1 }; let b = { ...P.zero(), x: 2 }; if (io.w[0] > 5) { const t = a; a = b; b = t; } return a.x;",
    gives: 1,
  },
  {
    name: "struct replaced in a loop",
    top: 'const P = struct("P", { x: u32, y: u32 });',
    body: "let p: Of<typeof P> = { x: io.w[0], y: io.w[1] }; for (let i = 0; i < (io.w[2] & 3); i++) p = { x: p.y, y: p.x }; return p.x * 10 + p.y;",
    gives: 21,
  },
  {
    name: "computed",
    top: 'const K = "x"; const P = struct("P", { [K]: u32 });',
    body: "const p = P.zero(); p[K] = 3; return p.x;",
    gives: 3,
  },
];

testShapes("types", TYPES.map(shapeOf));
testShapes("tuples, lists and tables", LISTS.map(shapeOf));
testShapes("code", CODE.map(shapeOf));
