import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assemble, decode, validate } from "../src/index.ts";

/** The folder `../shared/data` beside the repository, or null in a clone that has none. */
export function sharedData(): string | null {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, ".git"))) {
    const up = dirname(folder);
    if (up === folder) return null;
    folder = up;
  }
  const data = join(folder, "..", "shared", "data");
  return existsSync(data) ? data : null;
}

/** The blocks of a bpf_conformance or uBPF test by name, such as `asm`, `raw`, `mem`, `result`. */
export type Blocks = ReadonlyMap<string, string>;

/** Splits a test file: `-- name` begins a block. `-- name @ file` takes the block from a file beside it. */
export function readBlocks(path: string): Blocks {
  const blocks = new Map<string, string>();
  let name = "";
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const header = /^-- (\S.*?)(?: @ (\S+))?\s*$/.exec(line);
    if (header === null) {
      blocks.set(name, `${blocks.get(name) ?? ""}${line}\n`);
      continue;
    }
    name = header[1] ?? "";
    const beside = header[2] === undefined ? null : join(dirname(path), header[2]);
    if (beside === null) blocks.set(name, "");
    else if (existsSync(beside)) blocks.set(name, readFileSync(beside, "utf8"));
    else name = `${name} (its file is not there)`;
  }
  return blocks;
}

/** All `.data` files below the folder with their paths relative to it. */
export function dataFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".data"))
    .sort();
}

/** A `-- raw` block: bytes in order of the negative tests, or 64-bit little-endian words with 0x of the others. */
export function rawBytes(block: string): Uint8Array {
  const words = block
    .replace(/#.*/g, "")
    .split(/\s+/)
    .filter((word) => word !== "");
  return Uint8Array.from(
    words.flatMap((word) => {
      const digits = word.replace(/^0x/, "");
      if (digits.length <= 2) return [Number.parseInt(digits, 16)];
      return (digits.padStart(16, "0").match(/../g) ?? []).reverse().map((pair) => Number.parseInt(pair, 16));
    }),
  );
}

/** Why the assembler or the decoder refuses the file; null if it takes it. */
export function refusal(path: string): string | null {
  const blocks = readBlocks(path);
  const asm = blocks.get("asm");
  const raw = blocks.get("raw");
  const unknown = Array.from(blocks.keys()).find(
    (name) => !["", "asm", "raw", "mem", "result", "error"].includes(name),
  );
  if (unknown !== undefined) return `unknown block ${unknown}`;
  if (asm === undefined && raw === undefined) return "no program";
  if (asm !== undefined) return assemble(asm, { notation: "conformance" }).diagnostics[0]?.message ?? null;
  const { instructions, diagnostics } = decode(rawBytes(raw ?? ""));
  return [...diagnostics, ...validate(instructions)][0]?.message ?? null;
}
