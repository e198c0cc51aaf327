import { LOOP, NESTED, testPasses, type Case } from "./passes-harness.ts";

const CASES: readonly Case[] = [
  {
    pass: "ssa",
    name: "makes a phi of a variable that two ways set",
    before: `
      %3: i32 = const 1
      local.set x.0.i32 %0
      branch.eq %0, %3 b1, b2
      b1:
      local.set x.0.i32 %3
      jump b2
      b2:
      %4: i32 = local.get x.0.i32
      return %4`,
    has: [/phi \[b\d %\d\] \[b\d %\d\]/],
    lacks: [/local/],
  },
  { pass: "ssa", name: "leaves what has no variables", before: "%3: i32 = neg %0\nreturn %3" },
  {
    pass: "simplify",
    name: "folds constants, division by zero too",
    before: "%3: i32 = const 7\n%4: i32 = const 0\n%5: i32 = udiv %3, %4\n%6: i32 = sub %3, %5\nreturn %6",
    has: [/return %3/],
  },
  {
    pass: "simplify",
    name: "a signed division by a power of two rounds to zero: it is no shift",
    before: "%3: i32 = const 4\n%4: i32 = sdiv %0, %3\nreturn %4",
  },
  {
    pass: "simplify",
    name: "an unsigned one is a shift",
    before: "%3: i32 = const 4\n%4: i32 = udiv %0, %3\nreturn %4",
    has: [/lshr %0, %\d/],
    lacks: [/udiv/],
  },
  {
    pass: "numbering",
    name: "computes what is equal once",
    before: "%3: i32 = add %0, %0\n%4: i32 = add %0, %0\n%5: i32 = xor %3, %4\nreturn %5",
    has: [/xor %3, %3/],
    lacks: [/%4/],
  },
  {
    pass: "numbering",
    name: "keeps operands in their order where it matters",
    before: "%3: i32 = trunc %1\n%4: i32 = sub %0, %3\n%5: i32 = sub %3, %0\n%6: i32 = xor %4, %5\nreturn %6",
  },
  {
    pass: "numbering",
    name: "takes no value from a way that was not gone",
    before: `
      %3: i32 = const 1
      branch.eq %0, %3 b1, b2
      b1:
      %4: i32 = neg %0
      return %4
      b2:
      %5: i32 = neg %0
      return %5`,
  },
  {
    pass: "controlFlow",
    name: "takes a branch that is decided",
    before: "%3: i32 = const 1\nbranch.eq %3, %3 b1, b2\nb1:\nreturn %0\nb2:\nreturn %3",
    has: [/return %0/],
    lacks: [/branch/, /return %3/],
  },
  {
    pass: "controlFlow",
    name: "leaves one that is not",
    before: `
      %3: i32 = const 1
      branch.eq %0, %3 b1, b2
      b1:
      %4: i64 = helper 5()
      return %0
      b2:
      %5: i64 = helper 7()
      return %3`,
  },
  {
    pass: "conditions",
    name: "knows what a branch above has decided",
    before: `
      %3: i32 = const 8
      branch.ult %0, %3 b1, b2
      b1:
      %4: i32 = cmp.ult %0, %3
      return %4
      b2:
      %5: i32 = cmp.ult %0, %3
      return %5`,
    lacks: [/return %4/, /return %5/],
  },
  {
    pass: "conditions",
    name: "knows a compare that was kept, on the edge into a loop",
    before: `
      %3: i32 = const 0
      %4: i32 = const 1
      %5: i32 = cmp.ne %0, %4
      branch.ne %0, %4 b1, b2
      b1:
      %6: i32 = phi [b0 %5] [b1 %7]
      %7: i32 = sub %6, %4
      branch.ne %7, %3 b1, b2
      b2:
      return %0`,
    lacks: [/phi \[b0 %5\]/],
  },
  {
    pass: "conditions",
    name: "a signed bound says nothing of an unsigned one",
    before: `
      %3: i32 = const 8
      branch.slt %0, %3 b1, b2
      b1:
      %4: i32 = cmp.ult %0, %3
      return %4
      b2:
      return %3`,
  },
  {
    pass: "deadCode",
    name: "drops what nothing needs",
    before: "%3: i32 = neg %0\n%4: i32 = add %3, %3\nreturn %0",
    lacks: [/neg/, /add/],
  },
  {
    pass: "deadCode",
    name: "keeps calls and stores",
    before: "%3: i64 = helper 5()\nstore.u64 %2, %3 +0 map align 8\nreturn %0",
  },
  {
    pass: "loads",
    name: "forwards a store",
    before: "store.u32 %2, %0 +4 map align 4\n%3: i32 = load.u32 %2 +4 map align 4\nreturn %3",
    has: [/return %0/],
  },
  {
    pass: "loads",
    name: "not across a call that may write",
    before: `
      store.u32 %2, %0 +4 map align 4
      %3: i64 = helper 3(%2, %2)
      %4: i32 = load.u32 %2 +4 map align 4
      return %4`,
  },
  {
    pass: "loads",
    name: "not across a store that overlaps",
    before: `
      %3: i32 = load.u32 %2 +4 packet align 1
      %4: i32 = const 1
      store.u16 %2, %4 +6 packet align 1
      %5: i32 = load.u32 %2 +4 packet align 1
      %6: i32 = xor %3, %5
      return %6`,
  },
  {
    pass: "stores",
    name: "drops a store that another covers",
    before: "%3: i32 = neg %0\nstore.u32 %2, %0 +0 map align 4\nstore.u32 %2, %3 +0 map align 4\nreturn %0",
    has: [/store\.u32 %2, %3/],
    lacks: [/store\.u32 %2, %0/],
  },
  {
    pass: "stores",
    name: "not one that is read between",
    before: `
      %3: i32 = neg %0
      store.u32 %2, %0 +0 map align 4
      %4: i32 = load.u16 %2 +2 map align 2
      store.u32 %2, %3 +0 map align 4
      return %4`,
  },
  {
    pass: "stores",
    name: "not one that is covered in part",
    before: "%3: i32 = neg %0\nstore.u32 %2, %0 +0 map align 4\nstore.u16 %2, %3 +0 map align 2\nreturn %0",
  },
  {
    pass: "promote",
    name: "makes values of a struct on the stack",
    before: `
      %3: ptr = stack 8 align 8
      store.u32 %3, %0 +0 stack align 4
      store.u32 %3, %0 +4 stack align 4
      %4: i32 = load.u32 %3 +4 stack align 4
      return %4`,
    lacks: [/load/, /store/],
  },
  {
    pass: "promote",
    name: "not of one whose address a call has",
    before: `
      %3: ptr = stack 8 align 8
      store.u64 %3, %1 +0 stack align 8
      %4: i64 = helper 3(%2, %3)
      %5: i32 = load.u32 %3 +4 stack align 4
      return %5`,
  },
  {
    pass: "hoist",
    name: "computes what does not change before the loop",
    before: LOOP("%8: i32 = mul %0, %0\nstore.u32 %2, %8 +0 map align 4"),
    has: [/b0:[^]*mul %0, %0[^]*b1:/],
  },
  {
    pass: "hoist",
    name: "not the scaling of an index: its check stands in the loop",
    before: LOOP(
      "%8: i64 = shl %1, %1\n%9: i64 = const 8\n%10: i64 = mul %1, %9\n%11: ptr = ptradd %2, %10\nstore.u32 %11, %0 +0 map align 4",
    ),
    has: [/b2:[^]*mul %1, %9/],
  },
  {
    pass: "hoist",
    name: "not a load from what the loop writes",
    before: LOOP("%8: i32 = load.u32 %2 +0 map align 4\nstore.u32 %2, %6 +0 map align 4"),
  },
  {
    pass: "divide",
    name: "multiplies instead of dividing by a constant",
    before: "%3: i32 = const 10\n%4: i32 = udiv %0, %3\nreturn %4",
    has: [/mul/, /lshr/],
    lacks: [/udiv/],
  },
  { pass: "divide", name: "not by what is not known", before: "%3: i32 = trunc %1\n%4: i32 = udiv %0, %3\nreturn %4" },
  {
    pass: "combine",
    name: "stores neighbours at once",
    before: `
      %3: i32 = const 1
      %4: i32 = const 2
      store.u16 %2, %3 +0 packet align 2
      store.u16 %2, %4 +2 packet align 2
      return %0`,
    has: [/store\.u32/],
    lacks: [/store\.u16/],
  },
  {
    pass: "combine",
    name: "not with a gap between",
    before: `
      %3: i32 = const 1
      %4: i32 = const 2
      store.u16 %2, %3 +0 packet align 2
      store.u16 %2, %4 +4 packet align 2
      return %0`,
  },
  {
    pass: "rotate",
    name: "tests at the end of the loop",
    before: LOOP("store.u32 %2, %6 +0 map align 4"),
    has: [/branch\.[a-z]+ [^\n]*\n[^]*branch\./],
  },
  { pass: "rotate", name: "leaves what is no loop", before: "%3: i32 = neg %0\nreturn %3" },
  {
    pass: "unroll",
    name: "plays a short loop",
    before: LOOP("store.u32 %2, %6 +0 map align 4", "3"),
    has: [/(store\.u32[^]*){3}/],
  },
  {
    pass: "unroll",
    name: "two iterations at a time in a loop around it",
    before: NESTED(16),
    has: [/(store\.u32[^]*){2}/],
    lacks: [/(store\.u32[^]*){3}/, /(branch\.ult %\d+, %5 [^]*){2}/],
  },
  { pass: "unroll", name: "not where the last would be alone", before: NESTED(17) },
  { pass: "unroll", name: "not one whose end is not known", before: LOOP("store.u32 %2, %6 +0 map align 4") },
  {
    pass: "thread",
    name: "goes straight to where a phi decides",
    before: `
      %3: i32 = const 0
      %4: i32 = const 1
      branch.eq %0, %3 b1, b2
      b1:
      %5: i64 = helper 5()
      jump b3
      b2:
      %6: i64 = helper 7()
      jump b3
      b3:
      %7: i32 = phi [b1 %3] [b2 %4]
      branch.eq %7, %3 b4, b5
      b4:
      return %3
      b5:
      return %0`,
    lacks: [/phi \[b1 %3\] \[b2 %4\]/],
  },
  {
    pass: "thread",
    name: "not where nothing decides",
    before: `
      %3: i32 = const 0
      %4: i32 = trunc %1
      branch.eq %0, %3 b1, b2
      b1:
      %5: i64 = helper 5()
      jump b3
      b2:
      %6: i64 = helper 7()
      jump b3
      b3:
      %7: i32 = phi [b1 %0] [b2 %4]
      branch.eq %7, %4 b4, b5
      b4:
      return %3
      b5:
      return %0`,
  },
  {
    pass: "indexes",
    name: "a constant goes from the index into the offset",
    before: `
      %3: i32 = const 255
      %4: i32 = const 1
      %5: i32 = and %0, %3
      %6: i32 = add %5, %4
      %7: i64 = ext.u32 %6
      %8: i64 = const 2
      %9: i64 = shl %7, %8
      %10: ptr = ptradd %2, %9
      %11: i32 = load.u32 %10 +0 data align 4
      return %11`,
    has: [/: i64 = ext.u32 %5\n/, /: i64 = const 4\n/],
  },
  {
    pass: "indexes",
    name: "what a compare bounds stays the index",
    before: `
      %3: i32 = const 255
      %4: i32 = const 1
      %5: i32 = and %0, %3
      %6: i32 = add %5, %4
      %7: i64 = ext.u32 %6
      %8: i64 = const 2
      %9: i64 = shl %7, %8
      %10: ptr = ptradd %2, %9
      %11: i64 = const 8
      branch.ult %7, %11 b1, b2
      b1:
      %12: i32 = load.u32 %10 +0 data align 4
      return %12
      b2:
      return %0`,
  },
  {
    pass: "indexes",
    name: "the extension of a shift is the shift of the extension",
    before: `
      %3: i32 = const 255
      %4: i32 = const 2
      %5: i32 = and %0, %3
      %6: i32 = shl %5, %4
      %7: i64 = ext.u32 %6
      %8: ptr = ptradd %2, %7
      %9: i32 = load.u32 %8 +0 data align 4
      return %9`,
    has: [/: i64 = ext.u32 %5\n/],
  },
  {
    pass: "indexes",
    name: "a shift that a compare bounds is extended itself",
    before: `
      %3: i32 = const 255
      %4: i32 = const 2
      %5: i32 = and %0, %3
      %6: i32 = shl %5, %4
      %7: i64 = ext.u32 %6
      %8: ptr = ptradd %2, %7
      %9: i32 = const 64
      branch.ult %6, %9 b1, b2
      b1:
      %10: i32 = load.u32 %8 +0 data align 4
      return %10
      b2:
      return %0`,
  },
];

testPasses("passes", CASES);
