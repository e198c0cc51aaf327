/**
 * @module
 * A small program for each rule that breaks it, and one beside it that keeps it. Verified here and by the kernel.
 */
import {
  add,
  alu64,
  call,
  exit,
  jmp,
  ldx,
  lddw,
  mem,
  mov32,
  mov64,
  r0,
  r1,
  r2,
  r3,
  r4,
  r6,
  r7,
  r8,
  r10,
  st,
  stx,
} from "./notation.ts";
import type { Instruction } from "@skep/isa";
import type { Rule } from "../src/index.ts";
import type { FuzzProgram } from "./generate.ts";

export interface Case {
  readonly rule: Rule;
  readonly name: string;
  readonly refused: FuzzProgram;
  /** The same, mended. */
  readonly accepted: FuzzProgram | null;
}

interface Shape {
  readonly type?: string;
  readonly license?: string;
}

/** An instruction, or a map whose address goes into r1. */
type Piece = Instruction | { readonly map: string; readonly offset?: number };

function program(pieces: readonly Piece[], shape: Shape = {}): FuzzProgram {
  const maps = new Map<number, { map: string; offset: number | null }>();
  const instructions = pieces.map((piece, at): Instruction => {
    if ("opcode" in piece) return piece;
    maps.set(at, { map: piece.map, offset: piece.offset ?? null });
    const isValue = piece.offset !== undefined;
    return { opcode: 0x18, dst: 1, src: isValue ? 2 : 1, offset: 0, imm: 0, immHigh: piece.offset ?? 0 };
  });
  const license = shape.license === undefined ? {} : { license: shape.license };
  return { type: shape.type ?? "sched_cls", attachType: undefined, instructions, maps, ...license };
}

const done = [mov64(r0, 0), exit()];
const raw = (opcode: number, dst = 0, src = 0, offset = 0, imm = 0): Instruction => ({ opcode, dst, src, offset, imm });
const key = [st("u32", mem(r10, -8), 1), mov64(r2, r10), add(r2, -8)];
const value = [...key, { map: "hash" } as const, call("map_lookup_elem")];
const number = [call("get_prandom_u32"), mov64(r7, r0)];
const packet = [
  ldx("u32", r2, mem(r1, 76)),
  ldx("u32", r3, mem(r1, 80)),
  mov64(r4, r2),
  add(r4, 14),
  jmp("jgt", r4, r3, 1),
];
const record = [{ map: "ring" } as const, mov64(r2, 16), mov64(r3, 0), call("ringbuf_reserve"), jmp("jeq", r0, 0, 4)];
const give = (name: "ringbuf_submit" | "ringbuf_discard") => [mov64(r1, r0), mov64(r2, 0), call(name)];
const marked = [ldx("u32", r8, mem(r1, 8)), alu64("or", r8, 0x80)];
/** 0 or 256 is said to be 255 as well: what is written to the value there is walked. */
const extendedNumber = (size: "u32" | "u64") => [
  ...value,
  jmp("jeq", r0, 0, 6),
  mov64(r6, r0),
  call("get_prandom_u32"),
  alu64("and", r0, 0x100),
  raw(0xbf, 8, 0, 32),
  jmp("jne", r8, 255, 1),
  stx(size, mem(r6, 28), r8),
  ...done,
];
const inData = [...number, { map: ".data", offset: 0 } as const];

interface Row {
  readonly rule: Rule;
  readonly name: string;
  readonly refused: readonly Piece[];
  readonly accepted?: readonly Piece[];
  readonly shape?: Shape;
  /** Of the accepted one, where it is another. */
  readonly mended?: Shape;
}

const rows: readonly Row[] = [
  { rule: "malformed", name: "an unused field", refused: [raw(0xb7, 0, 3), exit()], accepted: done },
  {
    rule: "jump-target",
    name: "a jump behind the end",
    refused: [mov64(r0, 0), raw(0x05, 0, 0, 9), exit()],
    accepted: [mov64(r0, 0), raw(0x05), exit()],
  },
  { rule: "unreachable", name: "code behind exit", refused: [...done, ...done], accepted: done },
  { rule: "falls-off", name: "no exit", refused: [mov64(r0, 0)], accepted: done },
  {
    rule: "uninitialised",
    name: "a register after a call",
    refused: [...number, mov64(r0, r2), exit()],
    accepted: [...number, mov64(r0, r7), exit()],
  },
  { rule: "frame-pointer", name: "r10 written", refused: [mov64(r10, 0), ...done], accepted: [mov64(r8, 0), ...done] },
  {
    rule: "pointer-arithmetic",
    name: "a pointer multiplied",
    refused: [alu64("mul", r1, 2), ...done],
    accepted: [add(r1, 2), ...done],
  },
  {
    rule: "shift-width",
    name: "a shift by 64",
    refused: [mov64(r0, 1), alu64("lsh", r0, 64), exit()],
    accepted: [mov64(r0, 1), alu64("lsh", r0, 63), exit()],
  },
  {
    rule: "divide-by-zero",
    name: "a division by 0",
    refused: [mov64(r0, 1), alu64("div", r0, 0), exit()],
    accepted: [mov64(r0, 1), alu64("div", r0, 1), exit()],
  },
  {
    rule: "offset-range",
    name: "a pointer far away",
    refused: [lddw(r2, 1n << 30n), add(r1, r2), ...done],
    accepted: [mov64(r2, 1 << 20), add(r1, r2), ...done],
  },
  {
    rule: "pointer-bounds",
    name: "a number without bounds",
    refused: [...number, mov64(r6, r10), add(r6, r7), ...done],
    accepted: [...number, alu64("and", r7, 7), mov64(r6, r10), add(r6, r7), ...done],
  },
  {
    rule: "not-a-pointer",
    name: "a load through a number",
    refused: [mov64(r1, 5), ldx("u8", r0, mem(r1, 0)), exit()],
    accepted: [ldx("u32", r0, mem(r1, 0)), exit()],
  },
  { rule: "not-a-pointer", name: "a pointer in half", refused: [mov32(r1, r1), ldx("u32", r0, mem(r1, 0)), exit()] },
  {
    rule: "maybe-null",
    name: "a value that was not compared",
    refused: [...value, ldx("u32", r0, mem(r0, 0)), exit()],
    accepted: [...value, jmp("jeq", r0, 0, 1), ldx("u32", r0, mem(r0, 0)), exit()],
  },
  {
    rule: "stack-bounds",
    name: "below the stack",
    refused: [st("u64", mem(r10, -520), 0), ...done],
    accepted: [st("u64", mem(r10, -512), 0), ...done],
  },
  {
    rule: "stack-alignment",
    name: "not aligned",
    refused: [st("u64", mem(r10, -12), 0), ...done],
    accepted: [st("u32", mem(r10, -12), 0), ...done],
  },
  {
    rule: "stack-variable",
    name: "an offset without bounds",
    refused: [...number, alu64("rsh", r7, 1), mov64(r6, r10), add(r6, r7), ldx("u8", r0, mem(r6, -8)), exit()],
    accepted: [...number, alu64("and", r7, 7), mov64(r6, r10), add(r6, r7), ldx("u8", r0, mem(r6, -8)), exit()],
  },
  {
    rule: "value-bounds",
    name: "an index too large",
    refused: [...inData, alu64("and", r7, 127), add(r1, r7), ldx("u8", r0, mem(r1, 0)), exit()],
    accepted: [...inData, alu64("and", r7, 63), add(r1, r7), ldx("u8", r0, mem(r1, 0)), exit()],
  },
  {
    rule: "packet-bounds",
    name: "byte 14 of 14",
    refused: [...packet, ldx("u8", r0, mem(r2, 14)), ...done],
    accepted: [...packet, ldx("u8", r0, mem(r2, 13)), ...done],
  },
  {
    rule: "memory-bounds",
    name: "behind a record",
    refused: [...record, stx("u64", mem(r0, 16), r10), ...give("ringbuf_submit"), ...done],
    accepted: [...record, st("u64", mem(r0, 8), 1), ...give("ringbuf_submit"), ...done],
  },
  {
    rule: "negative-offset",
    name: "an index from -8",
    refused: [...inData, alu64("and", r7, 15), add(r7, -8), add(r1, r7), ldx("u8", r0, mem(r1, 0)), exit()],
    accepted: [...inData, alu64("and", r7, 15), add(r1, r7), ldx("u8", r0, mem(r1, 0)), exit()],
  },
  {
    rule: "unbounded-offset",
    name: "an index of 32 bits",
    refused: [...inData, lddw(r2, 0xffff_ffffn), alu64("and", r7, r2), add(r1, r7), ldx("u8", r0, mem(r1, 0)), exit()],
    accepted: [...inData, jmp("jgt", r7, 63, 2), add(r1, r7), ldx("u8", r0, mem(r1, 0)), ...done],
  },
  {
    rule: "context-access",
    name: "a field that is none",
    refused: [ldx("u32", r0, mem(r1, 190)), exit()],
    accepted: [ldx("u32", r0, mem(r1, 0)), exit()],
  },
  {
    rule: "context-modified",
    name: "the context moved",
    refused: [add(r1, 8), ldx("u32", r0, mem(r1, 0)), exit()],
    accepted: [ldx("u32", r0, mem(r1, 8)), exit()],
  },
  {
    rule: "read-only",
    name: "a store into .rodata",
    refused: [{ map: ".rodata", offset: 0 }, st("u32", mem(r1, 0), 1), ...done],
    accepted: [{ map: ".data", offset: 0 }, st("u32", mem(r1, 0), 1), ...done],
  },
  {
    rule: "packet-write",
    name: "a store into a packet that may only be read",
    refused: [...packet, st("u8", mem(r2, 0), 1), ...done],
    accepted: [...packet, ldx("u8", r0, mem(r2, 0)), ...done],
    shape: { type: "lwt_in" },
  },
  {
    rule: "misaligned",
    name: "an atomic addition off its place",
    refused: [{ map: ".data", offset: 4 }, mov64(r2, 1), raw(0xdb, 1, 2), ...done],
    accepted: [{ map: ".data", offset: 8 }, mov64(r2, 1), raw(0xdb, 1, 2), ...done],
  },
  {
    rule: "atomic",
    name: "an atomic addition to the context",
    refused: [mov64(r2, 1), raw(0xdb, 1, 2), ...done],
    accepted: [st("u64", mem(r10, -8), 0), mov64(r2, 1), raw(0xdb, 10, 2, -8), ...done],
  },
  {
    rule: "write-only",
    name: "a load from a map for writing",
    refused: [
      ...key,
      { map: "sink" },
      call("map_lookup_elem"),
      jmp("jeq", r0, 0, 1),
      ldx("u32", r0, mem(r0, 0)),
      ...done,
    ],
    accepted: [
      ...key,
      { map: "sink" },
      call("map_lookup_elem"),
      jmp("jeq", r0, 0, 1),
      st("u32", mem(r0, 0), 1),
      ...done,
    ],
  },
  {
    rule: "unknown-helper",
    name: "a helper of another type",
    refused: [mov64(r2, 0), call("xdp_adjust_head"), ...done],
    accepted: [mov64(r2, 0), call("skb_pull_data"), ...done],
  },
  {
    rule: "licence",
    name: "trace_printk without the licence",
    refused: [st("u64", mem(r10, -8), 0), mov64(r1, r10), add(r1, -8), mov64(r2, 8), call("trace_printk"), ...done],
    accepted: [st("u64", mem(r10, -8), 0), mov64(r1, r10), add(r1, -8), mov64(r2, 8), call("trace_printk"), ...done],
    shape: { license: "Proprietary" },
    mended: {},
  },
  {
    rule: "argument-type",
    name: "a number for a map",
    refused: [...key, mov64(r1, 1), call("map_lookup_elem"), ...done],
    accepted: [...value, ...done],
  },
  {
    rule: "argument-size",
    name: "a size that can be 0",
    refused: [
      ...number,
      alu64("and", r7, 7),
      mov64(r1, r10),
      add(r1, -8),
      mov64(r2, r7),
      call("get_current_comm"),
      ...done,
    ],
    accepted: [
      ...number,
      alu64("and", r7, 7),
      add(r7, 1),
      mov64(r1, r10),
      add(r1, -8),
      mov64(r2, r7),
      call("get_current_comm"),
      ...done,
    ],
    shape: { type: "kprobe" },
  },
  {
    rule: "argument-constant",
    name: "a record of unknown size",
    refused: [
      ...number,
      alu64("and", r7, 7),
      { map: "ring" },
      mov64(r2, r7),
      mov64(r3, 0),
      call("ringbuf_reserve"),
      ...done,
    ],
    accepted: [...record, ...give("ringbuf_discard"), ...done],
  },
  {
    rule: "map-and-helper",
    name: "a lookup in a ring",
    refused: [...key, { map: "programs" }, call("map_lookup_elem"), ...done],
    accepted: [...value, ...done],
  },
  {
    rule: "packet-argument",
    name: "a packet to a helper that takes none",
    refused: [
      ...packet.slice(0, -1),
      jmp("jgt", r4, r3, 3),
      mov64(r1, r2),
      mov64(r2, 4),
      call("trace_printk"),
      ...done,
    ],
  },
  {
    rule: "callback",
    name: "no function",
    refused: [mov64(r1, 1), mov64(r2, 0), mov64(r3, 0), mov64(r4, 0), call("loop"), ...done],
  },
  {
    rule: "sleeps",
    name: "a helper that sleeps",
    refused: [mov64(r1, r10), add(r1, -8), mov64(r2, 8), mov64(r3, 0), call("copy_from_user"), ...done],
    shape: { type: "kprobe" },
  },
  {
    rule: "dynptr",
    name: "no dynptr",
    refused: [
      st("u64", mem(r10, -8), 0),
      st("u64", mem(r10, -16), 0),
      mov64(r1, r10),
      add(r1, -16),
      mov64(r2, 0),
      mov64(r3, 8),
      call("dynptr_data"),
      ...done,
    ],
  },
  {
    rule: "reference-leak",
    name: "a record that is kept",
    refused: [...record.slice(0, -1), ...done],
    accepted: [...record, ...give("ringbuf_discard"), ...done],
  },
  {
    rule: "release",
    name: "a record released from within",
    refused: [...record, mov64(r1, r0), add(r1, 8), mov64(r2, 0), call("ringbuf_submit"), ...done],
    accepted: [...record, ...give("ringbuf_submit"), ...done],
  },
  {
    rule: "value-bounds",
    name: "a number whose known bits a sign extension forgets",
    // The kernel keeps only the range: it walks the path on which the number has bits that it cannot have.
    refused: extendedNumber("u64"),
    accepted: extendedNumber("u32"),
  },
  {
    rule: "offset-range",
    name: "a number whose known bit a byte swap moves to the top",
    refused: [...marked, raw(0xdc, 8, 0, 0, 32), alu64("add", r8, r1), ...done],
    accepted: [...marked, raw(0xd4, 8, 0, 0, 32), alu64("add", r8, r1), ...done],
  },
  {
    rule: "infinite-loop",
    name: "a jump to itself",
    refused: [mov64(r0, 0), jmp("jeq", r1, 7, -1), exit()],
    accepted: done,
  },
  {
    rule: "call-depth",
    name: "a function that calls itself",
    refused: [raw(0x85, 0, 1, 0, 1), exit(), mov64(r0, 0), raw(0x85, 0, 1, 0, -2), exit()],
    accepted: [raw(0x85, 0, 1, 0, 1), exit(), mov64(r0, 0), exit()],
  },
  {
    rule: "stack-depth",
    name: "two frames of 300 bytes",
    refused: [st("u64", mem(r10, -304), 0), raw(0x85, 0, 1, 0, 1), exit(), st("u64", mem(r10, -304), 0), ...done],
    accepted: [st("u64", mem(r10, -240), 0), raw(0x85, 0, 1, 0, 1), exit(), st("u64", mem(r10, -240), 0), ...done],
  },
  {
    rule: "pointer-leak",
    name: "the callee's stack in the caller's",
    refused: [
      mov64(r1, r10),
      raw(0x85, 0, 1, 0, 2),
      mov64(r0, 0),
      exit(),
      stx("u64", mem(r1, -8), r10),
      mov64(r0, 0),
      exit(),
    ],
  },
  {
    rule: "return-range",
    name: "2 of a program that decides",
    refused: [mov64(r0, 2), exit()],
    accepted: [mov64(r0, 1), exit()],
    shape: { type: "sock_ops" },
  },
  {
    rule: "return-pointer",
    name: "a function that gives its stack away",
    refused: [raw(0x85, 0, 1, 0, 2), mov64(r0, 0), exit(), mov64(r0, r10), exit()],
    accepted: [raw(0x85, 0, 1, 0, 2), mov64(r0, 0), exit(), mov64(r0, 1), exit()],
  },
  { rule: "void-return", name: "no result", refused: [exit()], accepted: done },
];

export const cases: readonly Case[] = rows.map(({ rule, name, refused, accepted, shape, mended }) => ({
  rule,
  name,
  refused: program(refused, shape),
  accepted: accepted === undefined ? null : program(accepted, mended ?? shape),
}));
