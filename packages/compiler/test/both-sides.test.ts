import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileJavaScript } from "../src/index.ts";
import { STANDARD_MODULES, standardModule } from "../scripts/standard-modules.ts";
import { memoryHost } from "./harness.ts";
import * as reference from "./references.ts";

const STANDARD = join(import.meta.dirname, "../../bpf/src/std");
const readFile = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

type Functions = Record<string, (...args: never[]) => unknown>;

async function load(code: string | null): Promise<Functions> {
  if (code === null) throw new Error("there is no JavaScript");
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Functions;
}

const standard = (name: string): Promise<Functions> =>
  load(compileJavaScript(join(STANDARD, `${name}.bpf.ts`), { readFile }).code);

const word = fc.nat(0xffff_ffff);
const words = fc.array(word, { maxLength: 12 });
const bytes = fc.array(fc.nat(255), { maxLength: 40 });
const wide = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const SEEDED = { seed: 5, numRuns: 200 };

function same<A extends unknown[]>(
  functions: Functions,
  name: string,
  args: { [K in keyof A]: fc.Arbitrary<A[K]> },
  wanted: (...args: A) => unknown,
): void {
  const fn = functions[name] as unknown as (...values: A) => unknown;
  fc.assert(
    fc.property(...(args as [fc.Arbitrary<unknown>]), (...values) => {
      const given = values as unknown as A;
      expect(fn(...given)).toBe(wanted(...given));
    }),
    SEEDED,
  );
}

describe("the standard library in JavaScript", () => {
  it("hashes", async () => {
    const hash = await standard("hash");
    same(hash, "jhashWords", [words, word], reference.jhash);
    same(hash, "jhash1Word", [word, word], (a, seed) => reference.jhash([a], seed));
    same(hash, "jhash2Words", [word, word, word], (a, b, seed) => reference.jhash([a, b], seed));
    same(hash, "jhash3Words", [word, word, word, word], (a, b, c, seed) => reference.jhash([a, b, c], seed));
    same(hash, "murmur3Words", [words, word], reference.murmur3);
    same(hash, "fnv1a32", [bytes], (list) => Number(reference.fnv1a(list, 32)));
    same(hash, "fnv1a64", [bytes], (list) => reference.fnv1a(list, 64));
    same(hash, "sipHashWords", [fc.array(wide, { maxLength: 6 }), wide, wide], reference.sipHash);
    same(hash, "crc32", [bytes], reference.crc32);
  });

  it("is what packages/bpf has for user space (packages/compiler/scripts/embed-standard.ts)", () => {
    for (const name of STANDARD_MODULES) {
      const made = standardModule(name, join(STANDARD, `${name}.bpf.ts`), readFile);
      expect(readFile(join(STANDARD, "generated", `${name}.ts`)), name).toBe(made.text);
      const types = readFile(join(STANDARD, `${name}.ts`)) ?? "";
      for (const one of made.functions) expect(types).toContain(`> = compiled.${one};`);
      for (const one of made.skipped) expect(types).toContain(`kernelOnly("${one.name}")`);
    }
  });

  it("takes lists of any length", async () => {
    const { crc32 } = (await standard("hash")) as unknown as { crc32: (list: ArrayLike<number>) => number };
    const long = Uint8Array.from({ length: 200_000 }, (_, at) => (at * 7) & 255);
    expect(crc32(long)).toBe(reference.crc32([...long]));
    expect(crc32([])).toBe(0);
  });

  it("sums", async () => {
    const checksum = await standard("checksum");
    const short = fc.nat(0xffff);
    const complement = (value: number): number => ~value & 0xffff;
    same(checksum, "replaceWord", [short, short, short], (sum, from, to) =>
      reference.internetChecksum([complement(sum), complement(from), to]),
    );
    const header = { ihl: 5, version: 4, tos: 0, length: 84, identification: 7, fragment: 0, ttl: 64, protocol: 6 };
    const ip = { ...header, checksum: 0, source: 0x0a000001, destination: 0xc0a80101 };
    const { ipv4Checksum, decrementTtl } = checksum as unknown as {
      ipv4Checksum: (header: typeof ip) => number;
      decrementTtl: (header: typeof ip) => void;
    };
    const parts = [0x4500, 84, 7, 0, (64 << 8) | 6, 0x0a00, 1, 0xc0a8, 0x0101];
    ip.checksum = ipv4Checksum(ip);
    expect(ip.checksum).toBe(reference.internetChecksum(parts));
    // By reference: the header has changed.
    decrementTtl(ip);
    expect(ip.ttl).toBe(63);
    expect(ip.checksum).toBe(ipv4Checksum(ip));
  });

  it("finds slots of histograms", async () => {
    const stats = await standard("stats");
    same(stats, "log2", [wide], (value) => (value === 0n ? 0 : value.toString(2).length - 1));
  });
});

describe("JavaScript of pure functions", () => {
  const compile = (text: string) =>
    compileJavaScript("/m.bpf.ts", memoryHost({ "/m.bpf.ts": `import * as bpf from "@skep/bpf";\n${text}` }));

  it("has the kernel's arithmetic", async () => {
    const source = `import { i8, i32, i64, u32, u64, u8 } from "@skep/bpf";
      export function div(a: u32, b: u32): u32 { return a / b; }
      export function mod(a: i32, b: i32): i32 { return a % b; }
      export function least(a: i64, b: i64): i64 { return a / b; }
      export function wrap(a: u8, b: u8): u8 { return a * b; }
      export function cut(a: u64): i8 { return i8(a); }
      export function flip(on: boolean): boolean { return !on; }`;
    const { code, declarations, skipped } = compileJavaScript("/m.bpf.ts", memoryHost({ "/m.bpf.ts": source }));
    expect(skipped).toEqual([]);
    const fn = (await load(code)) as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect([fn["div"]?.(7, 2), fn["div"]?.(7, 0), fn["div"]?.(-1, 1)]).toEqual([3, 0, 0xffff_ffff]);
    expect([fn["mod"]?.(-7, 4), fn["mod"]?.(-7, 0)]).toEqual([-3, -7]);
    expect(fn["least"]?.(-(1n << 63n), -1n)).toBe(-(1n << 63n));
    expect([fn["wrap"]?.(16, 17), fn["wrap"]?.(300, 1)]).toEqual([16, 44]);
    expect(fn["cut"]?.(0x1ffn)).toBe(-1);
    expect(fn["flip"]?.(true)).toBe(false);
    expect(declarations).toContain("export declare function least(a: bigint, b: bigint): bigint;");
  });

  it("is not made of what needs the kernel, and says why", () => {
    const { code, skipped } = compile(`
      import { ktimeGetNs, hash, u32, u64, type Context } from "@skep/bpf";
      export const seen = hash("seen", { key: u32, value: u64, maxEntries: 8 });
      export function now(): u64 { return ktimeGetNs(); }
      export function count(key: u32): u64 { return seen.get(key) ?? 0n; }
      export function apply(f: (n: u32) => u32): u32 { return f(1); }
      export function free(n: number) { return n; }`);
    expect(code).toBeNull();
    expect(Object.fromEntries(skipped.map((one) => [one.name, one.reason]))).toEqual({
      now: "it calls the kernel's helper 5",
      count: "it uses the map seen",
      apply: "the type of 'f' has no layout",
      free: "its result has no declared type",
    });
  });
});
