import { alu64, call, exit, jmp, ldx, lddw, mem, mov64, r0, r1, r2, r6, r10, st, stx } from "@skep/isa";
import type { ByteOrder, LineInfo, ObjectSpec } from "@skep/object";
import { BtfBuilder } from "@skep/object";

const FILE = "count.bpf.ts";
const SOURCE = [
  "export const seen = hash('seen', { key: u32, value: u64 });",
  "export const limit = config('limit', u32, 7);",
  "function bump(index: u32) {",
  "  const value = seen.get(index);",
  "  if (value) value += 1n;",
  "  return limit.value;",
  "}",
  "export const count = xdp('count', (ctx) => bump(ctx.ingressIfindex));",
  "export const classify = tc('classify', (ctx) => bump(ctx.length));",
];

function lines(...places: readonly (readonly [at: number, line: number, column: number])[]): LineInfo[] {
  return places.map(([at, line, column]) => ({ at, file: FILE, line, column, text: SOURCE[line - 1] ?? "" }));
}

/** An XDP and a tc program, a subprogram, a hash map and a constant: what a compiler would hand over. */
export function sampleSpec(byteOrder: ByteOrder = "little"): ObjectSpec {
  const b = new BtfBuilder();
  const u32 = b.intType("u32", 4, "unsigned");
  const u64 = b.intType("u64", 8, "unsigned");
  const int = b.intType("int", 4, "signed");
  const context = b.pointer(b.struct("xdp_md", []));
  const buffer = b.pointer(b.struct("__sk_buff", []));
  const count = b.func("count", b.funcProto(int, [{ name: "ctx", typeId: context }]), "global");
  const classify = b.func("classify", b.funcProto(int, [{ name: "ctx", typeId: buffer }]), "global");
  const bump = b.func("bump", b.funcProto(u32, [{ name: "index", typeId: u32 }]), "static");
  const none = { references: [], coreRelocations: [] };
  const caller = (offset: number) => [ldx("u32", r1, mem(r1, offset)), call(0), mov64(r0, 2), exit()];
  const callsBump = [{ at: 1, kind: "call", function: "bump" }] as const;
  return {
    license: "GPL",
    byteOrder,
    maps: {
      seen: {
        name: "seen",
        type: "hash",
        keySize: 4,
        valueSize: 8,
        maxEntries: 64,
        flags: 0,
        keyTypeId: u32,
        valueTypeId: u64,
        pinning: "none",
      },
      ".rodata": {
        name: ".rodata",
        type: "array",
        keySize: 4,
        valueSize: 4,
        maxEntries: 1,
        flags: 128,
        pinning: "none",
        data: {
          contents: byteOrder === "little" ? Uint8Array.of(7, 0, 0, 0) : Uint8Array.of(0, 0, 0, 7),
          readOnly: true,
          variables: [{ name: "limit", offset: 0, size: 4, typeId: u32 }],
        },
      },
    },
    programs: {
      count: {
        ...none,
        name: "count",
        typeId: count,
        linkage: "global",
        section: "xdp",
        type: "xdp",
        attachType: "xdp",
        flags: 0,
        instructions: caller(12),
        references: callsBump,
        lines: lines([0, 8, 36], [2, 8, 1]),
      },
      classify: {
        ...none,
        name: "classify",
        typeId: classify,
        linkage: "global",
        section: "tc",
        type: "sched_cls",
        flags: 0,
        instructions: caller(0),
        references: callsBump,
        lines: lines([0, 9, 41], [2, 9, 1]),
      },
    },
    functions: {
      bump: {
        ...none,
        name: "bump",
        typeId: bump,
        linkage: "static",
        instructions: [
          stx("u32", mem(r10, -4), r1),
          mov64(r2, r10),
          alu64("add", r2, -4),
          lddw(r1, 0),
          call("map_lookup_elem"),
          jmp("jeq", r0, 0, 3),
          ldx("u64", r1, mem(r0)),
          alu64("add", r1, 1),
          stx("u64", mem(r0), r1),
          lddw(r6, 0),
          ldx("u32", r0, mem(r6)),
          st("u32", mem(r10, -4), 0),
          exit(),
        ],
        references: [
          { at: 3, kind: "map", map: "seen" },
          { at: 9, kind: "data", map: ".rodata", offset: 0 },
        ],
        lines: lines([0, 3, 10], [3, 4, 17], [5, 5, 3], [9, 6, 3]),
      },
    },
    btf: b.build(),
  };
}
