/** @module Maps, variables and tables. */
import type { LanguageCase } from "./case.ts";

export const MAPS: readonly LanguageCase[] = [
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
];
