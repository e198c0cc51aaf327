/** Sections that mean something to a loader. */

/** Global data: `.data`, `.rodata`, `.bss` and those with a dot and more behind it. */
export function isDataSection(name: string): boolean {
  return /^\.(data|rodata|bss)(\.|$)/.test(name);
}

export function isReadOnlyData(name: string): boolean {
  return /^\.rodata(\.|$)/.test(name);
}

/** Code that is no program by itself. */
export function isTextSection(name: string): boolean {
  return name === ".text" || name.startsWith(".text.");
}

export function isStructOpsSection(name: string): boolean {
  return /^\??\.struct_ops(\.link)?$/.test(name);
}

/** Global variables of arenas (`__arena_global`): address space 1. */
export const ARENA_SECTION = ".addr_space.1";

/** Bytes; of data sections that say nothing else. */
export const DEFAULT_ALIGN = 8;

/** Where clang since 22 puts the targets of a `switch`. */
export const JUMP_TABLES = ".jumptables";
