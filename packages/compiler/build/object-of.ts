/**
 * @module
 * What an application that was built with a plugin calls: nothing here reads files or compiles.
 */
import { readObject, type ObjectSpec } from "@skep/object";

/** The module was imported as it is, not through a build plugin. */
export class NotCompiledError extends TypeError {
  override readonly name = "NotCompiledError";
}

const known = new WeakMap<object, ObjectSpec>();

/** The object that the build plugin compiled for an imported `*.bpf.ts`. Throws `NotCompiledError` without one. */
export function objectOf(module: object): ObjectSpec {
  const before = known.get(module);
  if (before) return before;
  const text: unknown = "$skep" in module ? module.$skep : undefined;
  if (typeof text !== "string") {
    throw new NotCompiledError(
      "the module was not compiled: build with skepEsbuild() or skepVite() of @skep/compiler/build",
    );
  }
  const spec = readObject(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  known.set(module, spec);
  return spec;
}
