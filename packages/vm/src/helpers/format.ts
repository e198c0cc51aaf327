/** @module The kernel's formats (bpf_bprintf_prepare, kernel/bpf/helpers.c): what bpf_trace_printk, bpf_snprintf and their like print. */
import type { Memory } from "../memory.ts";
import { stringAt } from "./machine.ts";

const specifier = /%(?:%|([-0 +]*)(\d*)(?:(l{0,2})([dixXu])|(c)|(s)|p([KxsSB]|[iI][46][hnblc]?)?|(.?)))/g;

/** Null for a format that the kernel refuses (EINVAL), or with too few values. */
export function formatText(memory: Memory, format: string, values: readonly bigint[]): string | null {
  let at = 0;
  let wrong = false;
  const take = (): bigint => {
    const value = values[at++];
    if (value === undefined) wrong = true;
    return value ?? 0n;
  };
  const text = format.replace(specifier, (whole, ...groups: (string | undefined)[]) => {
    const [flags = "", width = "", long = "", number, char, string, pointer, other] = groups;
    if (whole === "%%") return "%";
    if (number !== undefined) return pad(integer(take(), long, number), flags, width);
    if (char !== undefined) return pad(String.fromCharCode(Number(take() & 0xffn)), flags, width);
    if (string !== undefined) return pad(latin(stringAt(memory, Number(take() & 0xffff_ffffn), 512)), flags, width);
    if (other !== undefined && other !== "" && !/[\s,.:;)\]]/.test(other)) {
      wrong = true;
      return "";
    }
    return pad(pointerText(memory, take(), pointer ?? ""), flags, width) + (other ?? "");
  });
  return wrong ? null : text;
}

function latin(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function integer(value: bigint, long: string, kind: string): string {
  const bits = long === "" ? 32 : 64;
  if (kind === "d" || kind === "i") return String(BigInt.asIntN(bits, value));
  const text = BigInt.asUintN(bits, value).toString(kind === "u" ? 10 : 16);
  return kind === "X" ? text.toUpperCase() : text;
}

function pad(text: string, flags: string, width: string): string {
  const size = Number(width);
  if (flags.includes("-")) return text.padEnd(size);
  const sign = flags.includes("+") && !text.startsWith("-") ? "+" : "";
  return sign + text.padStart(size - sign.length, flags.includes("0") ? "0" : " ");
}

function pointerText(memory: Memory, value: bigint, kind: string): string {
  if (!/^[iI]/.test(kind)) return value.toString(16).padStart(16, "0");
  const v4 = kind[1] === "4";
  const bytes = memory.read(Number(value & 0xffff_ffffn), v4 ? 4 : 16);
  if (v4)
    return Array.from(bytes, (byte) => (kind[0] === "i" ? String(byte).padStart(3, "0") : String(byte))).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  return groups.map((group) => group.toString(16).padStart(4, "0")).join(kind[0] === "i" ? "" : ":");
}
