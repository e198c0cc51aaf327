import { describe, expect, test } from "vitest";
import { parseRegisters, parseRegisterState, parseVerifierLog, summarizeLog } from "./verifier-log.ts";
import { usedRegisters, VerifierError } from "./verifier-error.ts";

// As Linux 6.18 writes it.
const recent = `func#0 @0
0: R1=ctx() R10=fp0
; int count(struct xdp_md *ctx) @ count.bpf.ts:10
0: (bf) r6 = r1                       ; R1=ctx() R6_w=ctx()
; const c = seen.get(key); @ count.bpf.ts:12
1: (7a) *(u64 *)(r10 -8) = 0          ; R10=fp0 fp-8_w=0
2: (18) r1 = 0xffff8881012c4c00       ; R1_w=map_ptr(map=seen,ks=8,vs=16)
4: (bf) r2 = r10                      ; R2_w=fp0 R10=fp0
5: (07) r2 += -8                      ; R2_w=fp-8
6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=seen,ks=8,vs=16)
; c.packets += 1n; @ count.bpf.ts:13
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

// As Linux 5.4 writes it: whole states on lines of their own.
const old = `0: (b7) r0 = 0
1: R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R10=fp0
1: (61) r2 = *(u32 *)(r1 +76)
2: R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R2_w=pkt(id=0,off=0,r=0,imm=0) R10=fp0
2: (15) if r2 == 0x5 goto pc+1
 R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R2_w=pkt(id=0,off=0,r=0,imm=0) R10=fp0

from 2 to 4: R0=inv0 R1=ctx(id=0,off=0,imm=0) R2=pkt(id=0,off=0,r=0,imm=0) R10=fp0
4: (71) r0 = *(u8 *)(r2 +0)
invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)
R2 offset is outside of the packet
`;

describe("logs", () => {
  test("of a recent kernel: instructions with what they changed, source lines, states", () => {
    const entries = parseVerifierLog(recent);
    expect(entries[0]).toEqual({ kind: "message", text: "func#0 @0" });
    expect(entries[1]).toMatchObject({ kind: "state", slot: 0, registers: { R1: "ctx()", R10: "fp0" } });
    expect(entries[2]).toEqual({
      kind: "source",
      source: { text: "int count(struct xdp_md *ctx)", file: "count.bpf.ts", line: 10 },
    });
    expect(entries[3]).toMatchObject({
      instruction: { slot: 0, opcode: 0xbf, text: "r6 = r1" },
      registers: { R6: "ctx()" },
    });
    expect(entries[5]).toMatchObject({ registers: { "fp-8": "0" } });
    expect(entries.at(-1)?.kind).toBe("statistics");
  });

  test("of a recent kernel: the sentence, the place and the registers before it", () => {
    const summary = summarizeLog(recent);
    expect(summary.message).toBe("R0 invalid mem access 'map_value_or_null'");
    expect(summary.instruction).toEqual({ slot: 7, opcode: 0x79, text: "r1 = *(u64 *)(r0 +0)" });
    expect(summary.source).toMatchObject({ file: "count.bpf.ts", line: 13 });
    expect(summary.registers).toMatchObject({
      R0: "map_value_or_null(id=1,map=seen,ks=8,vs=16)",
      R6: "ctx()",
      "fp-8": "0",
    });
    expect(summary.path).toEqual([0, 1, 2, 4, 5, 6, 7]);
  });

  test("of an old kernel: whole states, branches, two sentences", () => {
    const summary = summarizeLog(old);
    expect(summary.message).toBe(
      "invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0): R2 offset is outside of the packet",
    );
    expect(summary.instruction?.slot).toBe(4);
    expect(summary.registers).toMatchObject({ R0: "inv0", R2: "pkt(id=0,off=0,r=0,imm=0)" });
    expect(summary.path).toEqual([4]);
  });

  test("of a program that is too complex: the verdict stands on the instruction's line", () => {
    const log =
      "16: (61) r1 = *(u32 *)(r6 +8)  ; R1=scalar()\n17: (ae) if w8 < w1 goto pc+2 BPF program is too large. Processed 1000001 insn\n";
    expect(summarizeLog(log)).toMatchObject({
      message: "BPF program is too large. Processed 1000001 insn",
      instruction: { slot: 17, text: "if w8 < w1 goto pc+2" },
    });
  });

  test("of a program that is refused as a whole", () => {
    expect(summarizeLog("unreachable insn 5\nprocessed 0 insns (limit 1000000)\n")).toMatchObject({
      message: "unreachable insn 5",
      instruction: null,
      registers: {},
    });
    expect(summarizeLog("").message).toBe("");
  });
});

describe("states", () => {
  test("are split at spaces outside brackets", () => {
    const text =
      "R0_w=scalar(umax=255,var_off=(0x0; 0xff)) R1=ptr_sk_buff(a=1, b) R2_rw=pkt(id=3,off=14,r=20) fp-8=mmmm???? refs=2";
    expect(parseRegisters(text)).toEqual({
      R0: "scalar(umax=255,var_off=(0x0; 0xff))",
      R1: "ptr_sk_buff(a=1, b)",
      R2: "pkt(id=3,off=14,r=20)",
      "fp-8": "mmmm????",
    });
  });

  test.each<[string, unknown]>([
    ["7", { type: "scalar", value: 7n, attributes: {} }],
    ["-1", { type: "scalar", value: -1n, attributes: {} }],
    ["0xffffffff", { type: "scalar", value: 0xffffffffn, attributes: {} }],
    ["inv5", { type: "scalar", value: 5n, attributes: {} }],
    ["invP0", { type: "scalar", value: 0n, attributes: {} }],
    ["P-8", { type: "scalar", value: -8n, attributes: {} }],
    ["ctx()", { type: "ctx", attributes: {} }],
    ["scalar()", { type: "scalar", attributes: {} }],
    ["inv(id=0)", { type: "scalar", attributes: { id: "0" } }],
    ["fp-16", { type: "fp", attributes: { off: "-16" } }],
    ["fp0", { type: "fp", attributes: { off: "0" } }],
    ["pkt(id=3,off=14,r=20)", { type: "pkt", attributes: { id: "3", off: "14", r: "20" } }],
    [
      "scalar(smin=smin32=0,smax=umax=255,var_off=(0x0; 0xff))",
      { type: "scalar", attributes: { smin: "0", smin32: "0", smax: "255", umax: "255", var_off: "(0x0; 0xff)" } },
    ],
    ["map_value(map=seen,ks=8,vs=16)", { type: "map_value", attributes: { map: "seen", ks: "8", vs: "16" } }],
  ])("%s", (text, state) => expect(parseRegisterState(text)).toEqual(state));
});

describe("errors", () => {
  const lines = [
    { slot: 0, file: "count.bpf.ts", line: 10, column: 1, text: "count" },
    { slot: 7, file: "count.bpf.ts", line: 13, column: 3, text: "  c.packets += 1n;" },
  ];

  test("name the source line in one line, and tell the rest on request", () => {
    const error = new VerifierError("count", recent, { lines, cause: new Error("EACCES") });
    expect(error.message).toBe("count: R0 invalid mem access 'map_value_or_null' (count.bpf.ts:13)");
    expect(error.source).toEqual({ file: "count.bpf.ts", line: 13, column: 3, text: "  c.packets += 1n;" });
    expect(error.detail().split("\n")).toEqual([
      "count: R0 invalid mem access 'map_value_or_null' (count.bpf.ts:13)",
      "  count.bpf.ts:13:3  c.packets += 1n;",
      "  7: r1 = *(u64 *)(r0 +0)",
      "    R1 = map_ptr(map=seen,ks=8,vs=16)",
      "    R0 = map_value_or_null(id=1,map=seen,ks=8,vs=16)",
    ]);
  });

  test("the registers of an instruction", () => {
    expect(usedRegisters("w3 = w4")).toEqual(["R3", "R4"]);
    expect(usedRegisters("call bpf_map_lookup_elem#1")).toEqual(["R1", "R2", "R3", "R4", "R5"]);
  });
});
