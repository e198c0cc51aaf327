import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpftool, bpftoolLog, privatePins, whyNoBpftool } from "../../test/bpftool.ts";
import { golden, goldenPath } from "../../test/golden.ts";
import { sampleSpec } from "../../test/sample.ts";
import { openBtf } from "../btf/open.ts";
import { relocate } from "../core/relocate.ts";
import type { CoreResult } from "../core/relocate.ts";
import { linkObjects } from "../link/objects.ts";
import { linkProgram } from "../link/program.ts";
import { writeObject } from "./write.ts";

const reason = whyNoBpftool("kernel");
if (reason !== null) console.warn(`skipped: objects loaded by bpftool: ${reason}`);

/** What bpftool's libbpf (1.1 and later) and kernels since 6.6 load; maps that are pinned by name are left out. */
const LOADABLE = [
  "asm",
  "callbacks",
  "core-bitfields",
  "core-enums",
  "core-fields",
  "core-flavors",
  "core-types",
  "cpu-v4",
  "dwarf",
  "global-data",
  "inner-maps",
  "iterators",
  "kconfig",
  "kfuncs",
  "linked",
  "plain",
  "rings",
  "subprograms",
  "tail-calls",
  "types",
];

describe.skipIf(reason !== null)("objects in bpftool", () => {
  let place: ReturnType<typeof privatePins>;

  beforeAll(() => {
    place = privatePins();
  });

  afterAll(() => {
    place.remove();
  });

  it("load when their maps had no types", () => {
    const file = join(place.folder, "legacy.o");
    writeFileSync(file, writeObject(golden("legacy-maps")));
    bpftool("prog", "loadall", file, join(place.pins, "legacy"));
    expect(readdirSync(join(place.pins, "legacy"))).toEqual(["legacy"]);
  });

  it("load when they were written, and the kernel shows their lines", () => {
    const file = join(place.folder, "sample.o");
    writeFileSync(file, writeObject(sampleSpec()));
    bpftool("prog", "loadall", file, join(place.pins, "sample"));
    const dump = bpftool("prog", "dump", "xlated", "pinned", join(place.pins, "sample", "count"), "linum");
    expect(dump).toContain(
      "export const count = xdp('count', (ctx) => bump(ctx.ingressIfindex)); [file:count.bpf.ts line_num:8 line_col:36]",
    );
    expect(dump).toContain("const value = seen.get(index); [file:count.bpf.ts line_num:4 line_col:17]");
    expect(dump).toContain("u32 bump(u32 index)");
    expect(readdirSync(join(place.pins, "sample")).sort()).toEqual(["classify", "count"]);
  });

  /** What the kernel made of each program of a file; numbers of maps and addresses differ from load to load. */
  function loaded(file: string, name: string): Record<string, string> {
    const pins = join(place.pins, name);
    bpftool("prog", "loadall", file, pins);
    try {
      const dumps = readdirSync(pins).map((program) => {
        const dump = bpftool("prog", "dump", "xlated", "pinned", join(pins, program), "linum");
        return [
          program,
          dump.replaceAll(/map\[id:\d+\]/g, "map[id]").replaceAll(/0x[0-9a-f]{9,16}/g, "address"),
        ] as const;
      });
      return Object.fromEntries(dumps);
    } finally {
      rmSync(pins, { recursive: true });
    }
  }

  it.each(LOADABLE)("%s loads the same after reading and writing", (name) => {
    const file = join(place.folder, `${name}.o`);
    writeFileSync(file, writeObject(golden(name)));
    expect(loaded(file, name.replaceAll("-", "_"))).toEqual(loaded(goldenPath(name), name.replaceAll("-", "_")));
  });
});

describe.skipIf(reason !== null)("linked objects in bpftool", () => {
  it("become the same programs as those that bpftool linked", () => {
    const place = privatePins();
    try {
      const ours = join(place.folder, "ours.o");
      writeFileSync(ours, writeObject(linkObjects([golden("link-a"), golden("link-b")])));
      const dumps = [ours, goldenPath("linked")].map((file, index) => {
        const pins = join(place.pins, `linked${index}`);
        bpftool("prog", "loadall", file, pins);
        return ["entry", "side"].map((program) => {
          const dump = bpftool("prog", "dump", "xlated", "pinned", join(pins, program), "linum");
          return dump.replaceAll(/map\[id:\d+\]/g, "map[id]").replaceAll(/0x[0-9a-f]{9,16}/g, "address");
        });
      });
      expect(dumps[0]).toEqual(dumps[1]);
    } finally {
      place.remove();
    }
  });
});

const vmlinux = "/sys/kernel/btf/vmlinux";
const noTypes = reason ?? (existsSync(vmlinux) ? null : `no ${vmlinux}`);
if (noTypes !== null) console.warn(`skipped: CO-RE beside libbpf: ${noTypes}`);

/** The relocations that libbpf applied, from its debug log: `slot value`, the value null where it poisoned. */
function libbpfRelocations(log: string, program: string): [slot: number, value: string | null][] {
  const found = new Map<string, [number, string | null]>();
  const line = new RegExp(
    `prog '${program}': relo #(\\d+): (?:patched insn #(\\d+) .*(?:imm|off|imm64) \\d+ -> (\\d+)|substituting insn #(\\d+))`,
  );
  for (const text of log.split("\n")) {
    const [, relocation = "", patched, value, poisoned] = line.exec(text) ?? [];
    if (patched !== undefined && value !== undefined) found.set(relocation, [Number(patched), value]);
    // Of an lddw the second half is poisoned first.
    if (poisoned !== undefined) {
      const before = found.get(relocation)?.[0] ?? Infinity;
      found.set(relocation, [Math.min(before, Number(poisoned)), null]);
    }
  }
  return [...found.values()];
}

function ours(results: readonly CoreResult[]): [slot: number, value: string | null][] {
  return results.map(({ slot, value }) => [slot, value === null ? null : BigInt.asUintN(64, value).toString()]);
}

describe.skipIf(noTypes !== null)("CO-RE relocations beside libbpf", () => {
  it.each(["core-bitfields", "core-enums", "core-fields", "core-flavors", "core-types", "ksyms"])(
    "%s: the same values",
    (name) => {
      const place = privatePins();
      try {
        const log = bpftoolLog("-d", "prog", "loadall", goldenPath(name), join(place.pins, "x"));
        const spec = golden(name);
        const target = openBtf(readFileSync(vmlinux));
        for (const program of Object.keys(spec.programs)) {
          const { results } = relocate(linkProgram(spec, program), { local: spec.btf ?? { types: [] }, target });
          const theirs = libbpfRelocations(log, program);
          expect(theirs.length).toBeGreaterThan(0);
          expect(ours(results)).toEqual(theirs);
        }
      } finally {
        place.remove();
      }
    },
  );
});
