/** @module Constants of strings, finally, captures, patterns and generics. */
import type { LanguageCase } from "./case.ts";

export const SCOPES: readonly LanguageCase[] = [
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
