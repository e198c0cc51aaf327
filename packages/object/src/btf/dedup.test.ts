import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { golden, goldenNames } from "../../test/golden.ts";
import { BtfBuilder } from "./builder.ts";
import { decodeBtf } from "./decode.ts";
import { dedupBtf } from "./dedup.ts";
import { printC } from "./print-c.ts";
import type { BtfType, BtfTypes } from "./types.ts";
import { mapTypeIds } from "./walk.ts";

/** Types one after the other, as objects of several sources have them. */
function concat(...all: readonly BtfTypes[]): BtfTypes {
  const types: BtfType[] = [];
  for (const btf of all) {
    const start = types.length;
    for (const type of btf.types) types.push(mapTypeIds(type, (id) => (id === 0 ? 0 : id + start)));
  }
  return { types };
}

function make(run: (b: BtfBuilder) => void): BtfTypes {
  const b = new BtfBuilder();
  run(b);
  return b.build();
}

const int = (b: BtfBuilder) => b.intType("int", 4, "signed");

/** struct node { struct node *next; struct payload *payload; }, with or without the definition of payload. */
const list = (withPayload: boolean) =>
  make((b) => {
    const id = b.reserve();
    const payload = withPayload ? b.struct("payload", [{ name: "x", typeId: int(b) }]) : b.forward("payload");
    b.struct(
      "node",
      [
        { name: "next", typeId: b.pointer(id) },
        { name: "payload", typeId: b.pointer(payload) },
      ],
      { id },
    );
  });

const count = (btf: BtfTypes, kind: BtfType["kind"]) => btf.types.filter((type) => type.kind === kind).length;

describe("deduplicating BTF", () => {
  it.each(goldenNames)("%s twice is as much as once", (name) => {
    const plain = golden(name).btf ?? { types: [] };
    // Variables and sections are things, not types: they stay twice.
    const once = dedupBtf(plain).btf;
    const twice = dedupBtf(concat(plain, plain));
    expect(twice.btf.types.length).toBe(once.types.length + count(plain, "var") + count(plain, "datasec"));
    expect(twice.btf.types.slice(0, once.types.length)).toEqual(once.types);
    expect([...twice.ids].every((id) => id <= twice.btf.types.length)).toBe(true);
    expect(printC(dedupBtf(once).btf)).toBe(printC(once));
  });

  it.each([
    [true, false],
    [false, true],
  ])("lets a forward declaration be its definition (%s, %s)", (first, second) => {
    const { btf } = dedupBtf(concat(list(first), list(second)));
    expect(count(btf, "fwd")).toBe(0);
    expect(count(btf, "struct")).toBe(2);
    expect(count(btf, "ptr")).toBe(2);
  });

  it("keeps structs apart whose graphs differ", () => {
    const variant = (size: 4 | 8) =>
      make((b) => {
        const inner = b.struct("inner", [{ name: "x", typeId: b.intType("number", size, "signed") }]);
        b.struct("outer", [{ name: "p", typeId: b.pointer(inner) }]);
      });
    const { btf } = dedupBtf(concat(variant(4), variant(8), variant(4)));
    expect(count(btf, "struct")).toBe(4);
  });

  it("resolves forward declarations by name only where there is one struct of it", () => {
    const forward = make((b) => void b.pointer(b.forward("x")));
    const one = make((b) => void b.struct("x", [{ name: "a", typeId: int(b) }]));
    const other = make((b) => void b.struct("x", [{ name: "b", typeId: int(b) }]));
    const union = make((b) => void b.union("x", []));
    expect(count(dedupBtf(concat(forward, one)).btf, "fwd")).toBe(0);
    expect(count(dedupBtf(concat(forward, one, other)).btf, "fwd")).toBe(1);
    expect(count(dedupBtf(concat(forward, union)).btf, "fwd")).toBe(1);
  });

  it("lets an enum without values be the one of its name", () => {
    const forward = make((b) => void b.pointer(b.enumType("e", {})));
    const real = make((b) => void b.enumType("e", { A: 1 }));
    const unlike = make((b) => void b.enumType("e", { A: 2 }));
    expect(count(dedupBtf(concat(forward, real)).btf, "enum")).toBe(1);
    expect(count(dedupBtf(concat(real, forward)).btf, "enum")).toBe(1);
    expect(count(dedupBtf(concat(real, unlike)).btf, "enum")).toBe(2);
  });

  it("keeps tags, linkage and parameter names apart", () => {
    const make1 = (linkage: "static" | "global", name: string, tag: string) =>
      make((b) => {
        const func = b.func("f", b.funcProto(int(b), [{ name, typeId: int(b) }]), linkage);
        b.declTag(tag, func, 0);
      });
    const a = make1("static", "x", "t");
    expect(dedupBtf(concat(a, make1("static", "x", "t"))).btf.types.length).toBe(a.types.length);
    expect(count(dedupBtf(concat(a, make1("global", "x", "t"))).btf, "func")).toBe(2);
    expect(count(dedupBtf(concat(a, make1("static", "y", "t"))).btf, "func_proto")).toBe(2);
    expect(count(dedupBtf(concat(a, make1("static", "x", "u"))).btf, "decl_tag")).toBe(2);
  });

  it("replaces what it is told to", () => {
    const btf = make((b) => {
      const proto = b.funcProto(0, []);
      b.declTag("t", b.func("f", proto, "extern"));
      b.func("f", proto, "global");
    });
    const result = dedupBtf(btf, { replace: new Map([[2, 4]]) });
    expect([...result.ids]).toEqual([0, 1, 3, 2, 3]);
    expect(result.btf.types[1]).toMatchObject({ kind: "decl_tag", typeId: 3 });
  });
});

const vmlinux = "/sys/kernel/btf/vmlinux";
if (!existsSync(vmlinux)) console.warn(`skipped: no ${vmlinux}`);

describe.skipIf(!existsSync(vmlinux))("the kernel's types, deduplicated already", () => {
  it("stay as they are, alone and twice", () => {
    const btf = decodeBtf(new Uint8Array(readFileSync(vmlinux)));
    const alone = dedupBtf(btf).btf.types.length;
    const things = count(btf, "var") + count(btf, "datasec");
    expect(dedupBtf(concat(btf, btf)).btf.types.length).toBe(btf.types.length + things);
    expect(alone).toBe(btf.types.length);
  });
});
