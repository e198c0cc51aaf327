/**
 * @module
 * Line info: which source line each instruction comes from.
 */
import type { LineInfo } from "@skep/object";
import type { Loc } from "../ir.ts";

export interface LineInfoOptions {
  /** Of the function. */
  readonly loc: Loc;
  readonly sources: Readonly<Record<string, readonly string[]>>;
  /** The module's file: line info names files by their way from its folder, so that the object is the same wherever the sources lie. */
  readonly file: string;
}

/** One record where the line changes, and one at the first instruction (kernel: check_btf_line). */
export function lineInfo(locs: readonly (Loc | undefined)[], options: LineInfoOptions): LineInfo[] {
  const lines: LineInfo[] = [];
  let last: Loc | undefined;
  for (const [at, given] of locs.entries()) {
    const loc = given ?? (at === 0 ? options.loc : undefined);
    if (loc === undefined) continue;
    if (last && last.line === loc.line && last.column === loc.column && last.file === loc.file) continue;
    last = loc;
    const text = options.sources[loc.file]?.[loc.line - 1] ?? "";
    lines.push({ at, file: wayTo(loc.file, options.file), line: loc.line, column: loc.column, text });
  }
  return lines;
}

/** The path of `file` as seen from the folder of `from`. */
export function wayTo(file: string, from: string): string {
  const [target, base] = [file.split("/"), from.split("/").slice(0, -1)];
  let shared = 0;
  while (shared < base.length && shared < target.length - 1 && base[shared] === target[shared]) shared++;
  // Files of the library, and those of another root, keep their names.
  if (shared === 0 || (shared === 1 && base[0] === "" && base.length > 1)) return file;
  return [...base.slice(shared).map(() => ".."), ...target.slice(shared)].join("/");
}
