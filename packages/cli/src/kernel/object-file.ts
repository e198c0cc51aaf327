/**
 * @module
 * Objects as files: compiled ones, and modules that are compiled on the way.
 */
import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ObjectError, type ObjectSpec, readObject, writeObject } from "@skep/object";
import { readAsked } from "../asked-file.ts";
import { storeOptions } from "../compile-store.ts";
import { CliError, systemCode } from "../errors.ts";

/** The bytes of a file; `-` is the standard input. */
export function readBytes(path: string): Uint8Array {
  return new Uint8Array(readAsked(path));
}

async function compiled(path: string): Promise<ObjectSpec> {
  const [{ compile, formatDiagnostic }, { hasColor }] = await Promise.all([
    import("@skep/compiler"),
    import("../output/print.ts"),
  ]);
  const readFile = (file: string): string | undefined => {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      if (["ENOENT", "EISDIR"].includes(systemCode(error) ?? "")) return undefined;
      throw error;
    }
  };
  readBytes(path);
  const { spec, diagnostics } = compile(resolve(path), { readFile }, storeOptions());
  const color = hasColor(process.stderr);
  const texts = diagnostics.map((each) =>
    formatDiagnostic(each, each.span ? readFile(each.span.file) : undefined, { color }),
  );
  if (spec === null || diagnostics.some((each) => each.severity === "error"))
    throw new CliError(`${path} does not compile\n${texts.join("\n")}`);
  for (const text of texts) process.stderr.write(`${text}\n`);
  // As the file that `skep compile` writes: with what only the reader of objects adds.
  return readObject(writeObject(spec));
}

/** The spec of an object file, or of a module `FILE.bpf.ts`. */
export async function readSpec(path: string): Promise<ObjectSpec> {
  if (path.endsWith(".ts")) return compiled(path);
  try {
    return readObject(readBytes(path));
  } catch (error) {
    if (error instanceof ObjectError) throw new CliError(`${path}: ${error.message}`, 1, { cause: error });
    throw error;
  }
}

/** What libbpf calls an object: the file's name up to its first dot. */
export function objectName(path: string): string {
  return basename(path).split(".", 1)[0] ?? "";
}
