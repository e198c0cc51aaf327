import type { Cpu } from "../cpu.ts";
import { errno } from "../error.ts";
import { formatText } from "./format.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { stringAt } from "./machine.ts";

/** Printing, and numbers from text (kernel/bpf/helpers.c, kernel/trace/bpf_trace.c). */
export function textHelpers(machine: HelperMachine): HelperRows {
  return [
    [6, (cpu) => print(machine, cpu, [cpu.u64(3), cpu.u64(4), cpu.u64(5)])],
    [105, (cpu) => parseNumber(machine, cpu, true)],
    [106, (cpu) => parseNumber(machine, cpu, false)],
    [165, (cpu) => snprintf(machine, cpu)],
    [177, (cpu) => printWithArray(machine, cpu)],
    [126, (cpu) => printIntoFile(machine, cpu)],
    [
      127,
      (cpu) => {
        machine.state.written.push(...machine.memory.read(cpu.pointer(2), cpu.u32(3)));
        return 0;
      },
    ],
    [182, (cpu) => compare(machine, cpu)],
  ];
}

/** bpf_trace_printk: the text without what the kernel writes before it. */
function print(machine: HelperMachine, cpu: Cpu, values: readonly bigint[]): number {
  const bytes = machine.memory.read(cpu.pointer(1), cpu.u32(2));
  const format = new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
  const text = formatText(machine.memory, format, values);
  if (text === null) return -errno.EINVAL;
  machine.state.prints.push(text);
  machine.host.print?.(text);
  return text.length;
}

function valuesAt(machine: HelperMachine, address: number, size: number): bigint[] | null {
  if (size % 8 !== 0 || size > 12 * 8) return null;
  if (size === 0) return [];
  machine.memory.check(address, size, false);
  return Array.from({ length: size / 8 }, (_, i) => machine.memory.view.getBigUint64(address + i * 8, true));
}

function printWithArray(machine: HelperMachine, cpu: Cpu): number {
  const values = valuesAt(machine, cpu.pointer(3), cpu.u32(4));
  return values === null ? -errno.EINVAL : print(machine, cpu, values);
}

/** bpf_seq_printf */
function printIntoFile(machine: HelperMachine, cpu: Cpu): number {
  const values = valuesAt(machine, cpu.pointer(4), cpu.u32(5));
  if (values === null) return -errno.EINVAL;
  const format = new TextDecoder().decode(machine.memory.read(cpu.pointer(2), cpu.u32(3))).replace(/\0.*$/s, "");
  const text = formatText(machine.memory, format, values);
  if (text === null) return -errno.EINVAL;
  machine.state.written.push(...new TextEncoder().encode(text));
  return 0;
}

/** bpf_snprintf: the length that the whole text needs, with its zero. */
function snprintf(machine: HelperMachine, cpu: Cpu): number {
  const { memory } = machine;
  const size = cpu.u32(2);
  const values = valuesAt(machine, cpu.pointer(4), cpu.u32(5));
  if (values === null) return -errno.EINVAL;
  const format = new TextDecoder().decode(stringAt(memory, cpu.pointer(3), 4096));
  const text = formatText(memory, format, values);
  if (text === null) return -errno.EINVAL;
  const bytes = new TextEncoder().encode(text);
  if (size > 0) {
    const shown = bytes.subarray(0, size - 1);
    memory.write(cpu.pointer(1), Uint8Array.of(...shown, 0));
  }
  return bytes.length + 1;
}

/** bpf_strncmp: the first string has at most r2 bytes, the second ends with zero. */
function compare(machine: HelperMachine, cpu: Cpu): number {
  const limit = cpu.u32(2);
  for (let i = 0; i < limit; i++) {
    const a = machine.memory.read(cpu.pointer(1) + i, 1)[0] ?? 0;
    const b = machine.memory.read(cpu.pointer(3) + i, 1)[0] ?? 0;
    if (a !== b) return a < b ? -1 : 1;
    if (a === 0) return 0;
  }
  return 0;
}

/** __bpf_strtoull: how many bytes were read. */
function parseNumber(machine: HelperMachine, cpu: Cpu, signed: boolean): number {
  const { memory } = machine;
  const bytes = memory.read(cpu.pointer(1), cpu.u32(2));
  const base = Number(cpu.u64(3));
  if (![0, 8, 10, 16].includes(base) || bytes.length === 0) return -errno.EINVAL;
  const text = String.fromCharCode(...bytes).replace(/\0.*$/s, "");
  // _parse_integer_fixup_radix: with base 16 the prefix is skipped whatever follows it.
  const shape = base === 16 ? /^(\s*)(-?)(0[xX])?(.*)$/s : /^(\s*)(-?)(0[xX](?=[0-9a-fA-F]))?(.*)$/s;
  const found = shape.exec(text);
  const [, space = "", minus = "", prefix = "", rest = ""] = found ?? [];
  if (minus !== "" && !signed) return -errno.EINVAL;
  const isHex = base === 16 || (base === 0 && prefix !== "");
  const isOctal = base === 8 || (base === 0 && prefix === "" && rest.startsWith("0"));
  // A prefix that the base does not know: only its zero is a digit.
  const known = isHex ? prefix : "";
  const body = prefix !== "" && !isHex ? prefix + rest : rest;
  const digits = (isHex ? /^[0-9a-fA-F]+/ : isOctal ? /^[0-7]+/ : /^[0-9]+/).exec(body)?.[0] ?? "";
  if (digits === "") return -errno.EINVAL;
  const value = BigInt(isHex ? `0x${digits}` : isOctal ? `0o${digits}` : digits);
  const result = minus === "" ? value : -value;
  const limit = signed ? 1n << 63n : 1n << 64n;
  if (result >= limit || (signed && result < -limit)) return -errno.ERANGE;
  const out = cpu.pointer(4);
  memory.check(out, 8, true);
  memory.view.setBigUint64(out, BigInt.asUintN(64, result), true);
  return space.length + minus.length + known.length + digits.length;
}
