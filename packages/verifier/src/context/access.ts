/**
 * @module
 * Which fields of its context a program may read and write, and what the pointers in it point to.
 */
import { contextRows } from "./rows.ts";

/** What a load from the context gives: a number, or one of the words of `contextRows`. */
export interface ContextField {
  readonly what: string;
}

export interface ContextRules {
  mayAccess(offset: number, size: number, writes: boolean): boolean;
  /** Null: a number. */
  pointerAt(offset: number, size: number): string | null;
}

class TableRules implements ContextRules {
  /** By offset: sizes as bits, reads low, writes shifted by four. */
  private readonly allowed = new Map<number, number>();
  private readonly pointers = new Map<number, string>();

  constructor(access: string, pointers: string) {
    for (const part of access.split(" ")) {
      const [key = "", ranges = ""] = part.split(":");
      const bit = Number(key.slice(1)) << (key.startsWith("w") ? 4 : 0);
      for (const offset of offsets(ranges)) this.allowed.set(offset, (this.allowed.get(offset) ?? 0) | bit);
    }
    for (const part of pointers === "" ? [] : pointers.split(" ")) {
      const colon = part.indexOf(":");
      this.pointers.set(Number(part.slice(0, colon)), part.slice(colon + 1));
    }
  }

  mayAccess(offset: number, size: number, writes: boolean): boolean {
    return ((this.allowed.get(offset) ?? 0) & (size << (writes ? 4 : 0))) !== 0;
  }

  pointerAt(offset: number, size: number): string | null {
    return size >= 4 ? (this.pointers.get(offset) ?? null) : null;
  }
}

function* offsets(ranges: string): Generator<number> {
  for (const part of ranges.split(",")) {
    const [span = "", step = "1"] = part.split("/");
    const [first = "", last = first] = span.split("-");
    for (let offset = Number(first); offset <= Number(last); offset += Number(step)) yield offset;
  }
}

/** A record of plain bytes: aligned access between two offsets. */
function plain(from: number, to: number, writable: boolean): ContextRules {
  return {
    mayAccess: (offset, size, writes) =>
      (!writes || writable) && offset >= from && offset + size <= to && offset % size === 0,
    pointerAt: () => null,
  };
}

/** PERF_MAX_TRACE_SIZE; the first eight bytes of a tracepoint's record are the kernel's own. */
const TRACEPOINT_END = 8192;

const tables = new Map<string, ContextRules>([
  ["tracepoint", plain(8, TRACEPOINT_END, false)],
  ["syscall", plain(0, 0xffff, true)],
]);
for (const [types, access, pointers] of contextRows) {
  const rules = new TableRules(access, pointers);
  for (const type of types.split(" ")) tables.set(type, rules);
}

/** Null for types whose context is described by BTF (tracing, LSM, struct_ops, iterators), and unknown ones. */
export function contextRules(type: string, attachType: string | undefined): ContextRules | null {
  const exact = attachType === undefined ? undefined : tables.get(`${type}/${attachType}`);
  if (exact !== undefined) return exact;
  const whole = tables.get(type);
  if (whole !== undefined) return whole;
  for (const [name, rules] of tables) if (name.startsWith(`${type}/`)) return rules;
  return null;
}
