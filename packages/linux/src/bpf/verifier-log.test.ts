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

  test("the states that an endless loop is told with are not the sentence", () => {
    const log =
      "0: (b7) r0 = 1 ; R0_w=1\n1: (05) goto pc-1\ninfinite loop detected at insn 1\ncur state: R0=1 R10=fp0\nold state: R0=1 R10=fp0\n";
    expect(summarizeLog(log).message).toBe("infinite loop detected at insn 1");
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

/** The same mistake (a lookup's result is not checked) and others, as the kernels in between write them. */
const versions: readonly {
  readonly kernel: string;
  readonly log: string;
  readonly message: string;
  readonly slot: number;
  readonly text: string;
  readonly registers: Readonly<Record<string, string>>;
}[] = [
  {
    kernel: "4.9: no variable offsets, calls by number",
    log: `0: (bf) r6 = r1
1: (7a) *(u64 *)(r10 -8) = 0
2: (18) r1 = 0xffff8800356c8e00
4: (bf) r2 = r10
5: (07) r2 += -8
6: (85) call 1
7: R0=map_value_or_null(ks=8,vs=16,id=0) R6=ctx R10=fp
7: (79) r1 = *(u64 *)(r0 +0)
R0 invalid mem access 'map_value_or_null'
`,
    message: "R0 invalid mem access 'map_value_or_null'",
    slot: 7,
    text: "r1 = *(u64 *)(r0 +0)",
    registers: { R0: "map_value_or_null(ks=8,vs=16,id=0)", R6: "ctx", R10: "fp" },
  },
  {
    kernel: "4.14: offsets and ranges in every state",
    log: `5: (85) call bpf_map_lookup_elem#1
6: R0=map_value_or_null(id=1,off=0,ks=4,vs=8,imm=0) R10=fp0
6: (15) if r0 == 0x0 goto pc+3
 R0=map_value(id=0,off=0,ks=4,vs=8,imm=0) R10=fp0
7: (71) r1 = *(u8 *)(r0 +0)
8: R0=map_value(id=0,off=0,ks=4,vs=8,imm=0) R1=inv(id=0,umax_value=255,var_off=(0x0; 0xff)) R10=fp0
8: (0f) r0 += r1
9: R0=map_value(id=0,off=0,ks=4,vs=8,umax_value=255,var_off=(0x0; 0xff)) R1=inv(id=0,umax_value=255,var_off=(0x0; 0xff)) R10=fp0
9: (71) r0 = *(u8 *)(r0 +0)
invalid access to map value, value_size=8 off=255 size=1
R0 max value is outside of the array range
`,
    message: "invalid access to map value, value_size=8 off=255 size=1: R0 max value is outside of the array range",
    slot: 9,
    text: "r0 = *(u8 *)(r0 +0)",
    registers: { R0: "map_value(id=0,off=0,ks=4,vs=8,umax_value=255,var_off=(0x0; 0xff))" },
  },
  {
    kernel: "4.19: calls of functions, frames",
    log: `0: (85) call pc+2
caller:
 R10=fp0,call_-1
callee:
 frame1: R1=ctx(id=0,off=0,imm=0) R10=fp0,call_0
3: (61) r0 = *(u32 *)(r1 +200)
invalid bpf_context access off=200 size=4
processed 2 insns (limit 131072), stack depth 0+0
`,
    message: "invalid bpf_context access off=200 size=4",
    slot: 3,
    text: "r0 = *(u32 *)(r1 +200)",
    registers: {},
  },
  {
    kernel: "5.2: liveness, source lines without their place",
    log: `Validating count() func#0...
; int count(struct xdp_md *ctx)
0: (b7) r1 = 0
; c->packets++;
1: R1_w=inv0 R10=fp0
1: (7b) *(u64 *)(r10 -520) = r1
invalid stack off=-520 size=8
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    message: "invalid stack off=-520 size=8",
    slot: 1,
    text: "*(u64 *)(r10 -520) = r1",
    registers: { R1: "inv0", R10: "fp0" },
  },
  {
    kernel: "5.10: precision, speculation, stack slots",
    log: `from 14 to 20 (speculative execution): R0=inv(id=0) R6=ctx(id=0,off=0,imm=0) R10=fp0 fp-8=0000mmmm
20: (bf) r1 = r10
21: R0=inv(id=0) R1_w=fp0 R6=ctx(id=0,off=0,imm=0) R10=fp0 fp-8=0000mmmm
21: (07) r1 += -16
22: R0=inv(id=0) R1_w=fp-16 R6=ctx(id=0,off=0,imm=0) R10=fp0 fp-8=0000mmmm
22: (b7) r2 = 16
23: R0=inv(id=0) R1_w=fp-16 R2_w=invP16 R6=ctx(id=0,off=0,imm=0) R10=fp0 fp-8=0000mmmm
23: (85) call bpf_get_current_comm#16
last_idx 23 first_idx 20
regs=4 stack=0 before 22: (b7) r2 = 16
parent didn't have regs=4 stack=0 marks
mark_precise: frame0: regs=r2 stack= before 22: (b7) r2 = 16
R1 type=fp expected=map_value
processed 24 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 2 mark_read 1
`,
    message: "R1 type=fp expected=map_value",
    slot: 23,
    text: "call bpf_get_current_comm#16",
    registers: { R1: "fp-16", R2: "invP16", "fp-8": "0000mmmm" },
  },
  {
    kernel: "5.15: references",
    log: `8: (85) call bpf_sk_lookup_tcp#84
9: R0_w=sock_or_null(id=2,ref_obj_id=2,off=0,imm=0) R10=fp0 fp-16=mmmmmmmm refs=2
9: (b7) r0 = 0
10: R0_w=inv0 R10=fp0 fp-16=mmmmmmmm refs=2
10: (95) exit
Unreleased reference id=2 alloc_insn=8
processed 11 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    message: "Unreleased reference id=2 alloc_insn=8",
    slot: 10,
    text: "exit",
    registers: { R0: "inv0", "fp-16": "mmmmmmmm" },
  },
  {
    kernel: "6.1: changes beside the instruction, source without its place",
    log: `0: R1=ctx(off=0,imm=0) R10=fp0
; if (data + 1 > end)
0: (61) r2 = *(u32 *)(r1 +80)         ; R1=ctx(off=0,imm=0) R2_w=pkt_end(off=0,imm=0)
1: (61) r3 = *(u32 *)(r1 +76)         ; R1=ctx(off=0,imm=0) R3_w=pkt(off=0,r=0,imm=0)
2: (71) r0 = *(u8 *)(r3 +0)
invalid access to packet, off=0 size=1, R3(id=0,off=0,r=0)
R3 offset is outside of the packet
processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
    message: "invalid access to packet, off=0 size=1, R3(id=0,off=0,r=0): R3 offset is outside of the packet",
    slot: 2,
    text: "r0 = *(u8 *)(r3 +0)",
    registers: { R2: "pkt_end(off=0,imm=0)", R3: "pkt(off=0,r=0,imm=0)" },
  },
];

test.each(versions)("the log of Linux $kernel", ({ log, message, slot, text, registers }) => {
  const summary = summarizeLog(log);
  expect(summary.message).toBe(message);
  expect(summary.instruction).toMatchObject({ slot, text });
  expect(summary.registers).toMatchObject(registers);
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
