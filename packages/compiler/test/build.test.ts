import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build as esbuild } from "esbuild";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ObjectSpec } from "@skep/object";
import { NotCompiledError, objectOf, skepEsbuild, skepVite } from "../build/index.ts";
import { userSide } from "../src/index.ts";

const KERNEL = `import { config, hash, struct, u32, u64, xdp, XDP } from "@skep/bpf";
import { lengthOf } from "./length.bpf.ts";
export const Key = struct("Key", { ifindex: u32 });
export const limit = config("limit", u32, 1500);
export const counts = hash("counts", { key: Key, value: u64, maxEntries: 16 });
export const SIZES = { SMALL: 64, LARGE: 1500 } as const;
export function mix(memory: u32, bytes: u64): u64 { return (u64(memory) << 32n) * bytes; }
export const half = (n: u32): u32 => n / 2;
export const main = xdp("main", (ctx) => {
  const count = counts.ref({ ifindex: ctx.ingressIfindex });
  if (count) count.value += 1n;
  return lengthOf(ctx) > limit.value ? XDP.DROP : XDP.PASS;
});
`;
const LENGTH = `import type { u32, XdpContext } from "@skep/bpf";
export function lengthOf(ctx: XdpContext): u32 { return ctx.length; }
`;
const APPLICATION = `import { objectOf } from "@skep/compiler/object-of";
import * as count from "./count.bpf.ts";
import { triple } from "./pure.bpf.ts";
export const spec = objectOf(count);
export const key = [...count.Key.encode({ ifindex: 7 })];
export const names = [count.counts.name, count.main.name, count.limit.name];
export const sizes = count.SIZES;
export const results = [count.mix(3, 2n ** 33n + 5n), count.half(7), triple(2 ** 31)];
`;
const PURE = `import { u32 } from "@skep/bpf";
export function triple(n: u32): u32 { return n * 3; }
`;

interface Built {
  readonly spec: ObjectSpec;
  readonly key: number[];
  readonly names: string[];
  readonly sizes: object;
  readonly results: readonly unknown[];
}

describe("build plugins", () => {
  let folder = "";
  const root = join(import.meta.dirname, "../../..");
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-build-"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "count.bpf.ts"), KERNEL);
    writeFileSync(join(folder, "length.bpf.ts"), LENGTH);
    writeFileSync(join(folder, "pure.bpf.ts"), PURE);
    writeFileSync(join(folder, "application.ts"), APPLICATION);
    writeFileSync(
      join(folder, "wrong.bpf.ts"),
      KERNEL.replace("u64,", "u64, u8,")
        .replace("> limit.value", "> (limit.value as u8)")
        .replace("ctx.ingressIfindex", "nothing"),
    );
    writeFileSync(join(folder, "wrong.ts"), `export * from "./wrong.bpf.ts";\n`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function check(path: string): Promise<void> {
    const { spec, key, names, sizes, results } = (await import(pathToFileURL(path).href)) as Built;
    expect(Object.keys(spec.programs)).toEqual(["main"]);
    expect(spec.maps["counts"]).toMatchObject({ type: "hash", keySize: 4, valueSize: 8 });
    expect(key).toEqual([7, 0, 0, 0]);
    expect(names).toEqual(["counts", "main", "limit"]);
    expect(sizes).toEqual({ SMALL: 64, LARGE: 1500 });
    // The arithmetic is the kernel's: it wraps.
    expect(results).toEqual([(3n << 32n) * 5n, 3, 2 ** 31]);
    // Nothing of the compiler is in the bundle, nor the program's body.
    const text = readFileSync(path, "utf8");
    expect(text).not.toContain("createProgram");
    expect(text).not.toContain("ingressIfindex");
  }

  it("esbuild: a bundle with the object in it", async () => {
    const outfile = join(folder, "esbuild.mjs");
    await esbuild({
      entryPoints: [join(folder, "application.ts")],
      bundle: true,
      format: "esm",
      platform: "node",
      outfile,
      conditions: ["skep-source"],
      plugins: [skepEsbuild()],
      logLevel: "silent",
    });
    await check(outfile);
  });

  it("esbuild: what is wrong, with its place", async () => {
    const failing = esbuild({
      entryPoints: [join(folder, "wrong.ts")],
      bundle: true,
      write: false,
      conditions: ["skep-source"],
      plugins: [skepEsbuild()],
      logLevel: "silent",
    });
    await expect(failing).rejects.toMatchObject({
      errors: [
        {
          text: expect.stringContaining("nothing"),
          location: { line: 10, lineText: expect.stringContaining("nothing") },
        },
      ],
    });
  });

  it("Vite: the same", async () => {
    await vite({
      root: folder,
      configFile: false,
      logLevel: "silent",
      plugins: [skepVite()],
      resolve: { conditions: ["skep-source"] },
      build: {
        lib: { entry: join(folder, "application.ts"), formats: ["es"], fileName: () => "application.mjs" },
        outDir: join(folder, "vite"),
        minify: false,
        target: "node20",
      },
    });
    await check(join(folder, "vite/application.mjs"));
    const failing = vite({
      root: folder,
      configFile: false,
      logLevel: "silent",
      plugins: [skepVite()],
      build: { lib: { entry: join(folder, "wrong.ts"), formats: ["es"] }, write: false },
    });
    await expect(failing).rejects.toThrow("nothing");
  });

  it("leaves no body of any form in user space, and no import that only bodies used", () => {
    const text = userSide(
      `import { u32, xdp, type XdpContext } from "@skep/bpf";
       import { kernelOnly } from "./kernel.js";
       export function a(): u32 { return kernelOnly(1); }
       export const b = xdp("b", function (ctx) { return kernelOnly(2); });
       export const c = { method() { return kernelOnly(3); }, size: u32.size };`,
      "/main.bpf.ts",
    );
    expect(text).not.toMatch(/kernelOnly|XdpContext/);
    expect(text).toMatch(/import \{ u32, xdp \} from "@skep\/bpf";/);
    expect(text.match(/this function runs in the kernel/g)).toHaveLength(3);
  });

  it("without a plugin there is no object", () => {
    expect(() => objectOf({})).toThrow(NotCompiledError);
  });
});
