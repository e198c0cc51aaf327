import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode } from "./codec.ts";
import * as c from "./construct.ts";
import type { Instruction } from "./instruction.ts";
import { attachTypes, helperById, helperByName, helpers, mapTypes, programTypes } from "./index.ts";
import { programTypeOfSection } from "./tables/sections.ts";

const hex = (insn: Instruction, byteOrder: "little" | "big" = "little") =>
  Array.from(encode([insn], { byteOrder }), (byte) => byte.toString(16).padStart(2, "0")).join("");

describe("wire form", () => {
  test.each([
    [c.mov64(c.r0, 1), "b700000001000000", "b700000000000001"],
    [c.mov64(c.r3, c.r7), "bf73000000000000", "bf37000000000000"],
    [c.ldx("u32", c.r1, c.mem(c.r2, -4)), "6121fcff00000000", "6112fffc00000000"],
    [c.stx("u64", c.mem(c.r10, -8), c.r1), "7b1af8ff00000000", "7ba1fff800000000"],
    [c.lddw(c.r1, 0x1122334455667788n), "18010000887766550000000044332211", "18100000556677880000000011223344"],
    [c.call("map_lookup_elem"), "8500000001000000", "8500000000000001"],
    [c.exit(), "9500000000000000", "9500000000000000"],
    [c.cmpxchg("u64", c.mem(c.r1, 8), c.r2), "db210800f1000000", "db120008000000f1"],
    [c.alu64("sdiv", c.r1, c.r2), "3f21010000000000", "3f12000100000000"],
    [c.jmp32("jsle", c.r1, -1, 2), "d6010200ffffffff", "d6100002ffffffff"],
    [c.mayGoto(3), "e500030000000000", "e500000300000000"],
    [c.addrSpaceCast(c.r1, c.r2, { to: 0, from: 1 }), "bf21010001000000", "bf12000100000001"],
  ])("%j", (insn, little, big) => {
    expect(hex(insn)).toBe(little);
    expect(hex(insn, "big")).toBe(big);
  });

  const register = fc.integer({ min: 0, max: 10 });
  const half = fc.integer({ min: -32768, max: 32767 });
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const instruction = fc
    .record({
      opcode: fc.integer({ min: 0, max: 255 }),
      dst: register,
      src: register,
      offset: half,
      imm: word,
      immHigh: word,
    })
    .map(({ immHigh, ...rest }): Instruction => (rest.opcode === 0x18 ? { ...rest, immHigh } : rest));

  test("decode undoes encode in both byte orders", () => {
    fc.assert(
      fc.property(fc.array(instruction), fc.constantFrom("little" as const, "big" as const), (program, byteOrder) => {
        expect(decode(encode(program, { byteOrder }), { byteOrder })).toEqual({
          instructions: program,
          diagnostics: [],
        });
      }),
    );
  });

  test("decode never throws, and what it calls whole encodes to the same bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const { instructions, diagnostics } = decode(bytes);
        if (diagnostics.length === 0) expect(encode(instructions)).toEqual(bytes);
      }),
    );
  });

  test.each([
    [[0xb7, 0, 0], "ISA1001"],
    [[0x18, 0, 0, 0, 0, 0, 0, 0], "ISA1002"],
    [[0x18, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], "ISA1002"],
    [[0xb7, 0x0b, 0, 0, 0, 0, 0, 0], "ISA1003"],
  ])("%j is %s", (bytes, code) => {
    expect(decode(Uint8Array.from(bytes)).diagnostics.map((d) => d.code)).toEqual([code]);
  });
});

describe("tables", () => {
  test("helpers are numbered from 1 to 211 without gap", () => {
    expect(helpers.map((h) => h.id)).toEqual(Array.from({ length: 211 }, (_, i) => i + 1));
    expect(helperByName("bpf_redirect_peer")?.id).toBe(155);
    expect(helperById(9)).toMatchObject({ name: "skb_store_bytes", changesPacketData: true, returns: "s64" });
    expect(helperById(9)?.parameters.map((p) => p.name)).toEqual(["skb", "offset", "from", "len", "flags"]);
    expect(helperById(6)).toMatchObject({ variadic: true });
    expect(helperById(212)).toBeNull();
    expect(helperByName("toString")).toBeNull();
  });

  test("numbers of types", () => {
    expect(programTypes.netfilter).toBe(32);
    expect(mapTypes.arena).toBe(33);
    expect(attachTypes.tcx_ingress).toBe(46);
    expect(attachTypes.cgroup_inet4_connect).toBe(10);
  });

  test.each([
    ["tc", "sched_cls", null, null, 0],
    ["xdp", "xdp", "xdp", null, 0],
    ["xdp.frags", "xdp", "xdp", null, 32],
    ["xdp.frags/devmap", "xdp", "xdp_devmap", null, 32],
    ["tcx/ingress", "sched_cls", "tcx_ingress", null, 0],
    ["cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect", null, 0],
    ["cgroup_skb/ingress", "cgroup_skb", "cgroup_inet_ingress", null, 0],
    ["kprobe/do_unlinkat", "kprobe", null, "do_unlinkat", 0],
    ["kprobe.multi/tcp_*", "kprobe", "trace_kprobe_multi", "tcp_*", 0],
    ["uprobe.s/libc.so.6:getenv", "kprobe", null, "libc.so.6:getenv", 16],
    ["tracepoint/syscalls/sys_enter_openat", "tracepoint", null, "syscalls/sys_enter_openat", 0],
    ["fentry.s/vfs_open", "tracing", "trace_fentry", "vfs_open", 16],
    ["lsm_cgroup/socket_bind", "lsm", "lsm_cgroup", "socket_bind", 0],
    ["struct_ops/init", "struct_ops", null, "init", 0],
    ["?raw_tp/sys_enter", "raw_tracepoint", null, "sys_enter", 0],
  ])("section %s", (name, type, attachType, attachTo, flags) => {
    expect(programTypeOfSection(name)).toMatchObject({
      type,
      attachType,
      attachTo,
      flags,
      autoload: !name.startsWith("?"),
    });
  });

  test.each([".text", "xdp/custom", "kprobes", "tcx", "", "license"])("section %j holds no program", (name) => {
    expect(programTypeOfSection(name)).toBeNull();
  });
});
