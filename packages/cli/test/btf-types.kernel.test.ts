// Kernel types as TypeScript: the checker takes them, and a program that reads them compiles, loads and runs.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cannotUseBpf, json, KernelLab, text } from "./kernel-lab.ts";
import { skep } from "./in-process.ts";

const reason = cannotUseBpf();
if (reason !== null) console.warn(`skipped: ${reason}`);

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What the checker says of files, also of the declarations that they import. */
function problems(...files: readonly string[]): string[] {
  const program = ts.createProgram(files, {
    lib: ["lib.es2023.d.ts"],
    strict: true,
    noEmit: true,
    types: [],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    customConditions: ["skep-source"],
    allowImportingTsExtensions: true,
  });
  return ts.getPreEmitDiagnostics(program).map((each) => ts.flattenDiagnosticMessageText(each.messageText, "\n"));
}

describe.skipIf(reason !== null)("btf types", () => {
  let lab: KernelLab;
  // Modules find @skep/bpf from below the repository.
  const folder = join(root, "packages/cli/testdata", `.types-${process.pid}`);
  const declarations = join(folder, "kernel.d.ts");
  beforeAll(async () => {
    lab = await KernelLab.open();
    mkdirSync(folder);
    await text("btf", "types", "task_struct", "bpf_task_from_pid", "bpf_task_release", "file", declarations);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await lab?.close();
  });

  it("are taken by the checker, which completes their members", () => {
    const [right, wrong] = [join(folder, "right.ts"), join(folder, "wrong.ts")];
    const head = 'import type { task_struct } from "./kernel.d.ts";\n';
    writeFileSync(
      right,
      `${head}export const pid = (task: task_struct): number => task.real_parent?.tgid ?? task.pid;\n`,
    );
    writeFileSync(wrong, `${head}export const pid = (task: task_struct) => task.pidd;\n`);
    // One file is wrong, in one place: the other, and every declaration, are right.
    expect(problems(right, wrong)).toEqual([
      expect.stringMatching(/Property 'pidd' does not exist on type 'task_struct'/),
    ]);
    expect(readFileSync(declarations, "utf8")).toMatch(/export declare function bpf_task_from_pid\(/);
  });

  it("are read by a program that compiles to CO-RE relocations, loads and runs", async () => {
    const module = join(folder, "parent.bpf.ts");
    writeFileSync(
      module,
      `import { getCurrentTaskBtf, global, rawTracepoint, u32, u64 } from "@skep/bpf";
import type { task_struct } from "./kernel.d.ts";
export const license = "GPL";
export const parent = global("parent", u64);
export const main = rawTracepoint("main", "sys_enter", () => {
  const up = getCurrentTaskBtf<task_struct>().real_parent;
  if (up) parent.value = u64(u32(up.tgid));
  return 0;
});
`,
    );
    const path = join(lab.pins, "main");
    await text("prog", "load", module, path, "pinmaps", join(lab.pins, "maps"));
    const context = join(lab.folder, "context");
    writeFileSync(context, new Uint8Array(16));
    expect(await json("prog", "run", "pinned", path, "ctx_in", context)).toMatchObject({ retval: 0 });
    expect(await text("map", "dump", "pinned", join(lab.pins, "maps/parent_bss"))).toBe(`parent = ${process.ppid}\n`);
    writeFileSync(module, readFileSync(module, "utf8").replace("up.tgid", "up.tgidd"));
    const wrong = await skep("prog", "load", module, path);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/does not compile\n.*parent\.bpf\.ts:7:\d+: error .*'tgidd'/);
  });

  it("of modules, of patterns, and with other names for @skep/bpf", async () => {
    const several = await text("btf", "types", "bpf_iter__t*", "depth", "0", "from", "./types.ts");
    expect(several).toContain('from "./types.ts"');
    expect(several).toContain("export interface bpf_iter__task {");
    expect(several).toContain("export interface bpf_iter__tcp {");
    expect((await skep("btf", "types", "task_struct", "-o", "json")).stderr).toMatch(/declarations are text/);
  });
});
