import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleSpec } from "../../test/sample.ts";
import { writeObject } from "./write.ts";

function bpftool(...args: string[]): string {
  return execFileSync("bpftool", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function whyNot(): string | null {
  if (process.getuid?.() !== 0) return "not root";
  try {
    bpftool("prog", "list");
    return null;
  } catch (error) {
    return `bpftool cannot be used: ${String(error)}`;
  }
}

const reason = whyNot();
if (reason !== null) console.warn(`skipped: objects loaded by bpftool: ${reason}`);

describe.skipIf(reason !== null)("an object that was written, in bpftool", () => {
  let folder = "";
  let pins = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-object-"));
    pins = join(folder, "bpf");
    mkdirSync(pins);
    execFileSync("mount", ["-t", "bpf", "bpf", pins]);
  });

  afterAll(() => {
    // What is pinned goes with the file system.
    if (pins !== "") execFileSync("umount", [pins]);
    rmSync(folder, { recursive: true });
  });

  it("loads, and the kernel shows its lines", () => {
    const file = join(folder, "sample.o");
    writeFileSync(file, writeObject(sampleSpec()));
    bpftool("prog", "loadall", file, join(pins, "sample"));
    const dump = bpftool("prog", "dump", "xlated", "pinned", join(pins, "sample", "count"), "linum");
    expect(dump).toContain(
      "export const count = xdp('count', (ctx) => bump(ctx.ingressIfindex)); [file:count.bpf.ts line_num:8 line_col:36]",
    );
    expect(dump).toContain("const value = seen.get(index); [file:count.bpf.ts line_num:4 line_col:17]");
    expect(dump).toContain("u32 bump(u32 index)");
    expect(readdirSync(join(pins, "sample")).sort()).toEqual(["classify", "count"]);
  });
});
