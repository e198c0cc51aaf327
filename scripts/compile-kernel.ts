import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { compile, formatDiagnostic } from "@skep/compiler";
import { writeObject } from "@skep/object";

export * from "@skep/compiler";

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Compiles a kernel module to the bytes of its object. Throws with every diagnostic shown. */
export function compileKernel(entry: string): Uint8Array {
  const { spec, diagnostics } = compile(entry, { readFile });
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  if (spec === null || errors.length > 0) {
    const shown = diagnostics.map((each) => formatDiagnostic(each, readFile(each.span?.file ?? entry) ?? ""));
    throw new Error(`${relative(process.cwd(), entry)} does not compile\n${shown.join("\n")}`);
  }
  return writeObject(spec);
}
