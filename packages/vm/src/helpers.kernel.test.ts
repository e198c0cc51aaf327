/** Helpers that change packets, and those that read and write text: the same results and bytes as in the kernel. */
import { describe, expect, test } from "vitest";
import { alu64, assemble, call, exit, mem, mov64, r0, r1, r2, r3, r4, r5, r6, r7, r10, st, stx } from "@skep/isa";
import type { Instruction, Register } from "@skep/isa";
import { openLinux } from "@skep/linux";
import type { ObjectSpec } from "@skep/object";
import type { EngineName } from "./cpu.ts";
import { Vm } from "./vm.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");
const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];
const LOOPBACK_MTU = 65_536;

function object(code: readonly Instruction[]): ObjectSpec {
  const program = {
    ...{ name: "small", section: "tc", type: "sched_cls", flags: 0, linkage: "global" as const },
    ...{ instructions: code, references: [], lines: [], coreRelocations: [] },
  };
  return { license: "GPL", byteOrder: "little", maps: {}, functions: {}, programs: { small: program } };
}

/** Arguments behind the context, which is in r6. A string stands for a place on the stack, so many bytes from its top. */
type Call = readonly [name: Parameters<typeof call>[0], ...args: (number | { readonly stack: number })[]];

const registers: readonly Register[] = [r2, r3, r4, r5];

/** Calls one after the other; r0 is the sum of their results, each shifted. */
function sequence(calls: readonly Call[]): Instruction[] {
  const code = [mov64(r6, r1), mov64(r7, 0)];
  for (let at = -64; at < 0; at += 8) code.push(st("u64", mem(r10, at), at * 0x01010101));
  for (const [name, ...args] of calls) {
    code.push(mov64(r1, r6));
    args.forEach((value, i) => {
      const register = registers[i] ?? r5;
      if (typeof value === "number") code.push(mov64(register, value));
      else code.push(mov64(register, r10), alu64("add", register, value.stack));
    });
    code.push(call(name), alu64("lsh", r7, 3), alu64("add", r7, r0));
  }
  return [...code, mov64(r0, r7), exit()];
}

const buffer = { stack: -32 } as const;
const [V4, V6, VLAN] = [0x0008, 0xdd86, 0x0081];
const cases: readonly (readonly [string, readonly Call[]])[] = [
  ["change_proto to IPv6", [["skb_change_proto", V6, 0]]],
  ["change_proto to IPv4", [["skb_change_proto", V4, 0]]],
  ["change_proto with flags", [["skb_change_proto", V6, 1]]],
  ["one tag", [["skb_vlan_push", VLAN, 5]]],
  [
    "two tags",
    [
      ["skb_vlan_push", VLAN, 5],
      ["skb_vlan_push", VLAN, 6],
    ],
  ],
  ["three tags, one off", [["skb_vlan_push", VLAN, 5], ["skb_vlan_push", VLAN, 6], ["skb_vlan_pop"]]],
  ["a tag off", [["skb_vlan_pop"]]],
  ["two tags off", [["skb_vlan_pop"], ["skb_vlan_pop"]]],
  ["room behind the MAC header", [["skb_adjust_room", 8, 1, 0]]],
  ["room behind the network header", [["skb_adjust_room", 20, 0, 0]]],
  ["less room behind the MAC header", [["skb_adjust_room", -8, 1, 0]]],
  ["less room behind the network header", [["skb_adjust_room", -20, 0, 0]]],
  ["far too little room", [["skb_adjust_room", -200, 0, 0]]],
  ["much too much room", [["skb_adjust_room", 5000, 0, 0]]],
  ["room of an unknown kind", [["skb_adjust_room", 8, 7, 0]]],
  ["a longer tail", [["skb_change_tail", 120, 0]]],
  ["a shorter tail", [["skb_change_tail", 60, 0]]],
  ["a tail with flags", [["skb_change_tail", 60, 1]]],
  ["a longer head", [["skb_change_head", 14, 0]]],
  [
    "pull and load",
    [
      ["skb_pull_data", 60],
      ["skb_load_bytes", 20, buffer, 8],
      ["skb_store_bytes", 40, buffer, 8, 0],
    ],
  ],
  [
    "load behind the end",
    [
      ["skb_load_bytes", 97, buffer, 8],
      ["skb_store_bytes", 0, buffer, 8, 0],
    ],
  ],
  [
    "load from the network header",
    [
      ["skb_load_bytes_relative", 2, buffer, 8, 1],
      ["skb_store_bytes", 40, buffer, 8, 0],
    ],
  ],
  [
    "l3 checksum",
    [
      ["l3_csum_replace", 24, 0x1234, 0x4321, 2],
      ["l3_csum_replace", 24, 7, 9, 4],
    ],
  ],
  ["l3 checksum of a difference", [["l3_csum_replace", 24, 0, 0x1ffff, 0]]],
  [
    "l4 checksum",
    [
      ["l4_csum_replace", 50, 0x1234, 0x4321, 0x12],
      ["l4_csum_replace", 50, 1, 2, 0x24],
    ],
  ],
  ["l4 checksum at an odd place", [["l4_csum_replace", 51, 1, 2, 2]]],
  ["the mark of congestion", [["skb_ecn_set_ce"]]],
  [
    "change_type",
    [
      ["skb_change_type", 0],
      ["skb_change_type", 9],
    ],
  ],
  ["csum_update", [["csum_update", 5]]],
];

function packets(): Uint8Array[] {
  const make = (etherType: number, at: number, header: readonly number[]): Uint8Array => {
    const bytes = Uint8Array.from({ length: 98 }, (_, i) => (i * 37 + 11) & 0xff);
    new DataView(bytes.buffer).setUint16(12, etherType);
    bytes.set(header, at);
    return bytes;
  };
  const tagged = make(0x8100, 14, [0, 9, 0x08, 0, 0x45, 1]);
  return [make(0x0800, 14, [0x45, 1]), make(0x86dd, 14, [0x60, 0x20]), tagged];
}

describe.skipIf(!privileged)("helpers as the kernel's", () => {
  const linux = privileged ? openLinux() : null;
  const vms = engines.map(
    (engine) =>
      new Vm({
        clock: () => 0n,
        random: () => 0,
        engine,
        host: { mtu: (index) => (index === 1 ? LOOPBACK_MTU : null) },
      }),
  );
  const agree = (code: readonly Instruction[]): Set<string> => {
    if (linux === null) throw new Error("no machine");
    const spec = object(code);
    const kernel = linux.bpf.load(spec);
    const seen = new Set<string>();
    try {
      for (const data of packets()) {
        const theirs = kernel.programs["small"]?.test({ data });
        if (theirs === undefined) throw new Error("no program");
        const wanted = { returned: theirs.returned >>> 0, data: String(theirs.data) };
        for (const vm of vms) {
          const program = vm.load(spec).programs["small"];
          if (program === undefined) throw new Error("no program");
          const { returned, packet } = vm.run(program, { packet: data });
          expect({ returned, data: String(packet) }).toEqual(wanted);
        }
        seen.add(JSON.stringify(wanted));
      }
    } finally {
      kernel.close();
    }
    return seen;
  };

  test.each(cases)("%s", (_name, calls) => {
    expect(agree(sequence(calls)).size).toBeGreaterThan(1);
  });

  const texts = [
    "12",
    "-77 rest",
    "0x1f",
    "017",
    "  9",
    "x",
    "0x",
    "9223372036854775807",
    "9223372036854775808",
    "-",
    "00",
  ];
  test.each(texts)("strtol and strtoul of %j", (text) => {
    for (const name of ["strtol", "strtoul"] as const) {
      for (const base of [0, 8, 10, 16, 7]) {
        const bytes = new TextEncoder().encode(text.padEnd(24, "\0"));
        const view = new DataView(bytes.buffer);
        const code = [0, 4, 8, 12, 16, 20].map((at) => st("u32", mem(r10, -32 + at), view.getInt32(at, true)));
        code.push(st("u64", mem(r10, -8), 0), mov64(r1, r10), alu64("add", r1, -32), mov64(r2, text.length));
        code.push(mov64(r3, base), mov64(r4, r10), alu64("add", r4, -8), call(name));
        const rest = assemble("r1 = *(u64 *)(r10 - 8)\nr0 *= 31\nr0 += r1\nr1 >>= 32\nr0 += r1\nexit");
        agree([...code, ...rest.instructions]);
      }
    }
  });

  test("the mtu of an interface", () => {
    for (const [index, size, delta] of [
      [1, 0, 0],
      [1, 100, 0],
      [1, 65_536, 10],
      [99, 0, 0],
    ] as const) {
      const code = [mov64(r6, r1), st("u64", mem(r10, -8), 0), st("u32", mem(r10, -8), size), mov64(r2, index)];
      code.push(mov64(r3, r10), alu64("add", r3, -8), mov64(r4, delta), mov64(r5, 0), call("check_mtu"));
      code.push(stx("u64", mem(r10, -16), r0));
      const rest = assemble("r1 = *(u32 *)(r10 - 8)\nr0 <<= 3\nr0 += r1\nexit");
      agree([...code, ...rest.instructions]);
    }
  });
});
