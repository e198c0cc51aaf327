import { existsSync, readFileSync } from "node:fs";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { bpftool, whyNoBpftool } from "../../test/bpftool.ts";
import { golden, goldenBytes, goldenNames, goldenPath } from "../../test/golden.ts";
import { readElf } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import { BtfBuilder } from "./builder.ts";
import { decodeBtf } from "./decode.ts";
import { openBtf } from "./open.ts";
import { printC } from "./print-c.ts";
import { printDts } from "./print-dts.ts";
import { printBtf } from "./print-raw.ts";
import { findByName } from "./query.ts";
import type { BtfTypes } from "./types.ts";

function typesOf(name: string): BtfTypes {
  return golden(name).btf ?? { types: [] };
}

/** The section as it is in the file: what bpftool prints. */
function rawTypes(name: string): BtfTypes {
  const section = readElf(goldenBytes(name)).sections.find((each) => each.name === ".BTF");
  return section === undefined ? { types: [] } : decodeBtf(section.data);
}

/** Diagnostics of a declaration file beside a stand-in for the module of the integer types. */
function typeErrors(source: string): string[] {
  const files = new Map([
    ["/types.ts", source],
    [
      "/skep.ts",
      `export type u8 = number; export type u16 = number; export type u32 = number; export type u64 = bigint;
       export type i8 = number; export type i16 = number; export type i32 = number; export type i64 = bigint;
       export type FixedArray<T, N extends number> = T[] & { readonly length: N };
       export type Bits<T, N extends number> = T & { readonly "~bits"?: N };`,
    ],
    [
      "/lib.ts",
      "interface Array<T> { [index: number]: T } interface ReadonlyArray<T> { readonly [index: number]: T } interface String {} interface Number {} interface Boolean {} interface Function {} interface CallableFunction extends Function {} interface NewableFunction extends Function {} interface IArguments {} interface Object {} interface RegExp {} interface BigInt {}",
    ],
  ]);
  const options: ts.CompilerOptions = {
    strict: true,
    noLib: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
  };
  const host: ts.CompilerHost = {
    getSourceFile: (name, target) =>
      files.has(name) ? ts.createSourceFile(name, files.get(name) ?? "", target) : undefined,
    getDefaultLibFileName: () => "/lib.ts",
    writeFile: () => undefined,
    getCurrentDirectory: () => "/",
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (name) => files.has(name),
    readFile: (name) => files.get(name),
  };
  const program = ts.createProgram(["/lib.ts", "/types.ts"], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

describe("BTF as C", () => {
  it("has every shape of declaration", async () => {
    await expect(printC(typesOf("types"))).toMatchFileSnapshot("../../testdata/types.h");
  });

  it("prints only what a type needs", () => {
    const btf = typesOf("types");
    const text = printC(btf, { types: [findByName(btf, "list", "struct")?.id ?? 0] });
    expect(text).toBe(
      "struct list {\n\tstruct list *next;\n\tstruct list **back;\n\tvolatile int * const restrict_me;\n};\n\n",
    );
  });

  it("numbers names that are taken", () => {
    const b = new BtfBuilder();
    const int = b.intType("int", 4, "signed");
    b.struct("x", [{ name: "a", typeId: int }]);
    b.struct("x", [{ name: "b", typeId: int }]);
    b.enumType("", { A: 1 });
    b.enumType("e", { A: 2 });
    expect(printC(b.build())).toContain("struct x___2 {\n\tint b;\n}");
    expect(printC(b.build())).toContain("\tA___2 = 2,");
  });

  it("refuses a struct that holds itself", () => {
    const b = new BtfBuilder();
    const id = b.reserve();
    b.define(id, {
      kind: "struct",
      name: "x",
      size: 4,
      members: [{ name: "x", typeId: id, bitOffset: 0, bitSize: 0 }],
      hasBitfields: false,
    });
    expect(() => printC(b.build())).toThrow(ObjectError);
    expect(() => printC(b.build(), { types: [99] })).toThrow(ObjectError);
  });
});

describe("BTF as TypeScript", () => {
  it("has every shape of declaration", async () => {
    await expect(printDts(typesOf("types"))).toMatchFileSnapshot("../../testdata/types.dts.txt");
  });

  it.each(goldenNames)("of %s passes the checker", (name) => {
    expect(typeErrors(printDts(typesOf(name), { from: "./skep.ts" }))).toEqual([]);
  });

  it("declares functions and variables that are asked for", () => {
    const btf = typesOf("kfuncs");
    const text = printDts(btf, { types: [findByName(btf, "bpf_task_from_pid", "func")?.id ?? 0] });
    expect(text).toContain("export declare function bpf_task_from_pid(arg0: i32): task_struct | null;");
  });

  it("ends at the depth that is asked for", () => {
    const btf = typesOf("core-fields");
    const task = [findByName(btf, "task_struct", "struct")?.id ?? 0];
    expect(printDts(btf, { types: task, depth: 0 })).toContain(
      "`struct mm_struct`, whose members are not declared here",
    );
    expect(printDts(btf, { types: task, depth: 1 })).toContain("start_code: u64;");
  });

  it("keeps apart what C keeps apart, and avoids words of TypeScript", () => {
    const b = new BtfBuilder();
    const int = b.intType("int", 4, "signed");
    b.struct("class", [{ name: "new", typeId: int }]);
    b.typedef("class", int);
    b.struct("u8", [{ name: "a b", typeId: int }]);
    b.enumType("", { true: 1, A: 2 });
    b.enumType("", { A: 3 });
    const text = printDts(b.build(), { from: "./skep.ts" });
    expect(typeErrors(text)).toEqual([]);
    expect(text).toContain("export interface class_ {");
    expect(text).toContain("export type class____2 = i32;");
  });
});

const noTool = whyNoBpftool("tool");
if (noTool !== null) console.warn(`skipped: BTF beside bpftool: ${noTool}`);

describe.skipIf(noTool !== null)("BTF beside bpftool", () => {
  const named = goldenNames.filter((name) => golden(name).btf !== undefined);

  /** GCC says of characters that they are signed and characters; one of the two is all that a kernel takes. */
  const known = (dump: string) => dump.replaceAll("encoding=UNKN", "encoding=SIGNED");

  it.each(named)("%s: the same dump", (name) => {
    expect(printBtf(rawTypes(name))).toBe(known(bpftool("btf", "dump", "file", goldenPath(name))));
  });

  // Since 7.5 the types are sorted, and the frame is another.
  const version = noTool === null ? /v7\.([0-4])\./.exec(bpftool("version")) : null;
  if (noTool === null && version === null) console.warn("skipped: C beside bpftool: versions 7.0 to 7.4 only");

  /** Versions before 1.3 of libbpf leave the size of small enums out. */
  const plain = (text: string) => text.replaceAll(/ __attribute__\(\(mode\((byte|word)\)\)\)/g, "");

  it.skipIf(version === null).each(named)("%s: the same C", (name) => {
    expect(plain(printC(rawTypes(name), { header: true }))).toBe(
      plain(bpftool("btf", "dump", "file", goldenPath(name), "format", "c")),
    );
  });

  const vmlinux = "/sys/kernel/btf/vmlinux";
  if (!existsSync(vmlinux)) console.warn(`skipped: no ${vmlinux}`);

  it.skipIf(version === null || !existsSync(vmlinux))("the kernel: the same dump and the same C", () => {
    const view = openBtf(new Uint8Array(readFileSync(vmlinux)));
    // Compared as booleans: a difference of megabytes is nothing to print.
    expect(printBtf(view) === bpftool("btf", "dump", "file", vmlinux)).toBe(true);
    expect(
      plain(printC(view, { header: true })) === plain(bpftool("btf", "dump", "file", vmlinux, "format", "c")),
    ).toBe(true);
  });
});
