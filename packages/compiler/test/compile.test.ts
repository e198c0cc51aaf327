import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readObject, writeObject, type BtfType, type ObjectSpec } from "@skep/object";
import { compile, formatDiagnostic, PROBLEMS } from "../src/index.ts";
import { PRELUDE } from "../src/prelude.ts";
import { preludeModule, PRELUDE_FILES } from "../scripts/prelude-module.ts";

const COUNT = `import { config, lruHash, ringBuf, struct, tc, TC, be16, be32, u16, u64 } from "@skep/bpf";
import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";

const Tuple = struct("Tuple", { saddr: be32, daddr: be32, sport: be16, dport: be16 });
const Count = struct("Count", { packets: u64, bytes: u64 });

export const port = config("port", u16, 80);
export const seen = lruHash("seen", { key: Tuple, value: Count, maxEntries: 65_536 });
export const news = ringBuf("news", Tuple, { bytes: 1 << 20 });

export const count = tc("count", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== 6) return TC.OK;
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp || tcp.destination !== port.value) return TC.OK;
  const key = { saddr: ip.source, daddr: ip.destination, sport: tcp.source, dport: tcp.destination };
  const c = seen.get(key);
  if (c) {
    c.packets += 1n;
    c.bytes += u64(ctx.length);
    return TC.OK;
  }
  seen.set(key, { packets: 1n, bytes: u64(ctx.length) });
  news.emit(key);
  return TC.OK;
});
`;

function specOf(text: string): ObjectSpec {
  const result = compile("/count.bpf.ts", { readFile: (path) => (path === "/count.bpf.ts" ? text : undefined) });
  expect(result.diagnostics).toEqual([]);
  if (!result.spec) throw new Error("no object");
  return result.spec;
}

const named = (spec: ObjectSpec, name: string): BtfType | undefined =>
  spec.btf?.types.find((type) => "name" in type && type.name === name);

describe("an object", () => {
  const spec = specOf(COUNT);

  it("has its programs, maps and licence", () => {
    expect(Object.keys(spec.programs)).toEqual(["count"]);
    expect(spec.programs["count"]).toMatchObject({ section: "tc", type: "sched_cls", linkage: "global" });
    expect(spec.license).toBe("Apache-2.0");
    expect(spec.maps["seen"]).toMatchObject({ type: "lru_hash", keySize: 12, valueSize: 16, maxEntries: 65_536 });
    expect(spec.maps["news"]).toMatchObject({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 1 << 20 });
    expect(spec.maps[".rodata"]?.data?.readOnly).toBe(true);
    expect(spec.maps[".rodata"]?.data?.variables).toMatchObject([{ name: "port", offset: 0, size: 2 }]);
    expect(spec.maps[".rodata"]?.data?.contents[0]).toBe(80);
  });

  it("names fields and byte orders in BTF", () => {
    expect(named(spec, "Tuple")).toMatchObject({
      kind: "struct",
      size: 12,
      members: [
        { name: "saddr", bitOffset: 0 },
        { name: "daddr", bitOffset: 32 },
        { name: "sport", bitOffset: 64 },
        { name: "dport", bitOffset: 80 },
      ],
    });
    expect(named(spec, "be32")).toMatchObject({ kind: "typedef" });
    expect(named(spec, "count")).toMatchObject({ kind: "func", linkage: "global" });
  });

  it("has a line for every statement", () => {
    const lines = new Set(spec.programs["count"]?.lines.map(({ line }) => line));
    for (const line of [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25])
      expect(lines, `line ${line}`).toContain(line);
    expect(spec.programs["count"]?.lines.every(({ file }) => file === "count.bpf.ts")).toBe(true);
  });

  it("is the same each time, and as a file", () => {
    expect(writeObject(specOf(COUNT))).toEqual(writeObject(spec));
    expect(Object.keys(readObject(writeObject(spec)).programs)).toEqual(["count"]);
  });

  it("takes the licence of the entry module", () => {
    expect(specOf(`${COUNT}\nexport const license = "Dual BSD/GPL";`).license).toBe("Dual BSD/GPL");
  });
});

describe("modules", () => {
  it("import one another, and resolve names by the host", () => {
    const files: Record<string, string> = {
      "/main.bpf.ts": `import { xdp } from "@skep/bpf"; import { verdict } from "shared"; import * as own from "./own.bpf.ts";
        export const main = xdp("main", () => (own.STRICT ? verdict(1) : verdict(2)));`,
      "/own.bpf.ts": `export const STRICT = true;`,
      "/shared/index.bpf.ts": `import { XDP } from "@skep/bpf"; export function verdict(n: number): number { return n === 1 ? XDP.DROP : XDP.PASS; }`,
    };
    const result = compile("/main.bpf.ts", {
      readFile: (path) => files[path],
      resolve: (specifier) => (specifier === "shared" ? "/shared/index.bpf.ts" : null),
    });
    expect(result.diagnostics).toEqual([]);
    expect(result.spec?.programs["main"]?.instructions).toHaveLength(2);
  });

  it("that are missing are a diagnostic", () => {
    const result = compile("/none.bpf.ts", { readFile: () => undefined });
    expect(result.spec).toBeNull();
    expect(result.diagnostics.map(({ code }) => code)).toContain(PROBLEMS.noFile.code);
  });
});

describe("the prelude", () => {
  it("is what packages/bpf declares (npx tsx packages/compiler/scripts/embed-prelude.ts)", () => {
    const root = new URL("../../bpf/", import.meta.url);
    const files = PRELUDE_FILES.map((file) => [file, readFileSync(new URL(file, root), "utf8")] as const);
    const written = readFileSync(new URL("../src/prelude.ts", import.meta.url), "utf8");
    expect(written).toBe(preludeModule(files));
    expect([...PRELUDE.keys()]).toEqual([...PRELUDE_FILES]);
  });
});

describe("a diagnostic as text", () => {
  const diagnostic = {
    code: "SKEP1101",
    severity: "error",
    message: "u32 does not fit u8",
    span: { file: "a.bpf.ts", line: 2, column: 3, offset: 10, length: 4 },
    hint: "u8(...) truncates",
    related: [{ message: "declared here" }],
  } as const;

  it("shows the line with a caret, the hint and what is related", () => {
    expect(formatDiagnostic(diagnostic, "first\n\tx wide\nlast")).toBe(
      "a.bpf.ts:2:3: error SKEP1101: u32 does not fit u8\n2 | \tx wide\n  | \t ^~~~\n  hint: u8(...) truncates\n  note: declared here",
    );
  });

  it("goes without the source, and takes colours", () => {
    expect(formatDiagnostic({ code: "X", severity: "warning", message: "m" })).toBe("warning X: m");
    expect(formatDiagnostic(diagnostic, "a\nb", { color: true })).toContain("\u001b[31merror\u001b[0m");
  });
});
