/**
 * @module
 * Programs by number: sixty shapes that a compiler for the kernel's verifier must get right. Each is taken, with its results; refused by the
 * compiler, with a code; or refused by the kernel whatever the code is, with the reason and the line.
 */
import * as language from "@skep/bpf";
import * as headers from "@skep/bpf/net";
import { describe, expect, it } from "vitest";
import { VerifierError } from "@skep/linux";
import type { LoadOptions } from "@skep/machine";
import { refusalDiagnostic, type CompileOptions } from "../src/index.ts";
import { bpf, compileText, specOf, start } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

/** The text with imports of what it names. */
export function withImports(text: string): string {
  const used = (names: readonly string[]): string =>
    names.filter((name) => new RegExp(`(?<![.\\w"])${name}\\b(?!:)`).test(text)).join(", ");
  const types = ["Of", "FixedArray", "XdpContext", "TcContext", "BpfMap", "Fields", "StructType", "StructOf", "IntType"]
    .map((name) => `type ${name}`)
    .join(", ");
  const license = text.includes("const license") ? "" : 'export const license = "GPL";';
  return `import { ${used(Object.keys(language))}, ${types} } from "@skep/bpf"; import { ${used(Object.keys(headers))} } from "@skep/bpf/net"; ${license}\n${text}`;
}

interface Run {
  /** Bytes of the packet; zeros behind them up to `length`. */
  readonly packet?: readonly number[];
  readonly length?: number;
  readonly gives: number;
}

export interface Shape {
  /** Number and what it is. */
  readonly name: string;
  /** Module without imports. */
  readonly text: string;
  readonly runs?: readonly Run[];
  /** Instructions that the verifier may walk. */
  readonly most?: number;
  readonly load?: LoadOptions;
  readonly compile?: CompileOptions;
  /** Code of the compiler, and what the line that is shown contains. */
  readonly diagnostic?: readonly [code: string, line: string];
  /** The kernel's words, and what the line that is shown contains. */
  readonly refused?: readonly [reason: RegExp, line: string];
}

export function packetOf({ packet = [], length = 64 }: Omit<Run, "gives">): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(packet);
  return bytes;
}

function taken(shape: Shape): void {
  const running = start(withImports(shape.text), {
    ...(shape.load ? { load: shape.load } : {}),
    ...(shape.compile ? { compile: shape.compile } : {}),
  });
  try {
    for (const run of shape.runs ?? []) expect(running.run(packetOf(run), { name: "main" }).returned).toBe(run.gives);
    const walked = running.collection.programs["main"]?.info.verifiedInstructions ?? Infinity;
    expect(walked).toBeLessThan(shape.most ?? 1000);
  } finally {
    running.close();
  }
}

function told(shape: Shape, [code, line]: readonly [string, string]): void {
  const text = withImports(shape.text);
  const { spec, diagnostics } = compileText(text);
  expect(spec).toBeNull();
  expect(diagnostics.map((one) => one.code)).toEqual([code]);
  expect(text.split("\n")[(diagnostics[0]?.span?.line ?? 0) - 1]).toContain(line);
}

function refused(shape: Shape, [reason, line]: readonly [RegExp, string]): void {
  const text = withImports(shape.text);
  const spec = specOf(text);
  try {
    bpf.load(spec).close();
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    const { span } = refusalDiagnostic(error);
    expect(error.log).toMatch(reason);
    expect(text.split("\n")[(span?.line ?? 0) - 1]).toContain(line);
    return;
  }
  throw new Error("the kernel took it");
}

export function testShapes(title: string, shapes: readonly Shape[]): void {
  describe.skipIf(!canUseBpf())(title, () => {
    it.each(shapes)("$name", (shape) => {
      if (shape.diagnostic) told(shape, shape.diagnostic);
      else if (shape.refused) refused(shape, shape.refused);
      else taken(shape);
    });
  });
}
