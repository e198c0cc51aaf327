import { readFileSync } from "node:fs";
import { systemCode, usageError } from "./errors.ts";

/** The bytes of a file that an argument names; `-` is the standard input. Throws a usage error that says why it cannot be read. */
export function readAsked(file: string): Buffer {
  try {
    return readFileSync(file === "-" ? 0 : file);
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw usageError(`${file} cannot be read: ${code}`, { cause: error });
  }
}
