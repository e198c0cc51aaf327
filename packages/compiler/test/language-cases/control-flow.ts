/** @module Branches, loops and labels. */
import type { LanguageCase } from "./case.ts";

export const CONTROL_FLOW: readonly LanguageCase[] = [
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
];
