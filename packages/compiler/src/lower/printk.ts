/**
 * @module
 * `printk` and its text: bpf_trace_printk with the format in `.rodata`.
 */
import ts from "typescript";
import { arrayType, INTS, sizeOf, type MemoryType } from "../types.ts";
import { describe, UNDEFINED, type Value } from "../values.ts";
import type { Inst } from "@skep/ir";
import { pointerOf } from "./bindings.ts";
import type { Cx } from "./cx.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { convert, defaultType, instOf, typed } from "./ints.ts";
import { kernelAddress, RELOCATION } from "./kernel-address.ts";
import { asInt, present, stackRef } from "./memory.ts";

/** Of bpf_trace_vprintk, bpf_snprintf and bpf_seq_printf (MAX_BPRINTF_VARARGS). */
const MAX_VALUES = 12;
/** What bpf_trace_printk takes in registers. */
const MAX_DIRECT = 3;

/** A value as 64 bits, and how the format writes it: arrays of bytes are texts. */
function argument(cx: Cx, value: Value, node: ts.Expression): { format: string; inst: Inst } {
  const shown = present(value);
  if (shown.kind === "ref" && shown.type.kind === "array" && isByte(shown.type.element)) {
    return { format: "%s", inst: pointerOf(cx, shown, node) };
  }
  if (shown.kind === "kernel" && shown.type.kind === "array" && shown.type.element.kind === "int") {
    return { format: "%s", inst: kernelAddress(cx, shown, node) };
  }
  if (shown.kind !== "int" && shown.kind !== "bool") cx.refuse(node, "wantsInteger", [describe(value)]);
  const int = asInt(cx, shown, node);
  const type = defaultType(int);
  const wide = type.signed ? INTS.i64 : INTS.u64;
  return { format: type.signed ? "%lld" : "%llu", inst: instOf(cx, convert(cx, int, wide, node), wide, node) };
}

function isByte(type: MemoryType): boolean {
  return type.kind === "int" && type.bits === 8;
}

interface Formatted {
  readonly section: string;
  readonly offset: number;
  readonly size: number;
  readonly insts: readonly Inst[];
}

function formatOf(cx: Cx, node: ts.TaggedTemplateExpression): Formatted {
  const insts: Inst[] = [];
  let text = "";
  if (ts.isNoSubstitutionTemplateLiteral(node.template)) text = escape(node.template.text);
  else {
    text = escape(node.template.head.text);
    for (const span of node.template.templateSpans) {
      const value = cx.lower.value(cx, span.expression);
      if (value.kind === "string") text += escape(value.text);
      else {
        const { format, inst } = argument(cx, value, span.expression);
        text += format;
        insts.push(inst);
      }
      text += escape(span.literal.text);
    }
  }
  if (insts.length > MAX_VALUES) cx.refuse(node, "printkValues", [String(MAX_VALUES)]);
  return { ...cx.unit.text(text), insts };
}

/** The values as an array of 64-bit words on the stack. */
function wordsOf(cx: Cx, insts: readonly Inst[], node: ts.Node): readonly [Inst, Inst] {
  const b = cx.emit(node);
  if (insts.length === 0) return [b.null(), b.i32(0)];
  const room = stackRef(cx, arrayType(INTS.u64, insts.length), node, "values");
  insts.forEach((inst, at) => b.store(room.ptr, inst, { size: 8, offset: at * 8, space: "stack" }));
  return [room.ptr, b.i32(insts.length * 8)];
}

/** A template with a tag: `printk`, or what `seqPrint(ctx)` and `format(buffer)` give. */
export function printk(cx: Cx, node: ts.TaggedTemplateExpression): Value {
  const tag = cx.lower.value(cx, node.tag);
  if (tag.kind === "printer") return printTo(cx, tag, node);
  if (tag.kind !== "builtin" || tag.name !== "printk") return cx.refuse(node, "unsupported", ["a template with a tag"]);
  checkHelper(cx, "printk", "trace_printk", node);
  const b = cx.emit(node);
  const { section, offset, size, insts } = formatOf(cx, node);
  if (insts.length > MAX_DIRECT) {
    const args = [b.data(section, offset), b.i32(size), ...wordsOf(cx, insts, node)];
    b.helper(helperId("trace_vprintk"), args, "i64");
  } else b.helper(helperId("trace_printk"), [b.data(section, offset), b.i32(size), ...insts], "i64");
  return UNDEFINED;
}

function printTo(cx: Cx, printer: Extract<Value, { kind: "printer" }>, node: ts.TaggedTemplateExpression): Value {
  const b = cx.emit(node);
  const { section, offset, size, insts } = formatOf(cx, node);
  const values = wordsOf(cx, insts, node);
  const text = b.data(section, offset);
  const [helper, args] =
    printer.to === "seq"
      ? ["seq_printf", [printer.ptr, text, b.i32(size), ...values]]
      : ["snprintf", [printer.ptr, b.i32(printer.size), text, ...values]];
  return typed(b.helper(helperId(helper as string), args as Inst[], "i64"), INTS.i64);
}

/** The iterator's context begins with a pointer to bpf_iter_meta, and that with one to the seq_file. */
function seqFile(cx: Cx, name: string, node: ts.CallExpression): Inst {
  const [argument] = node.arguments;
  const context = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (context.kind !== "kernel" || cx.program !== "iterator") {
    return cx.refuse(argument ?? node, "wantsContext", [name]);
  }
  const b = cx.emit(node);
  const meta = b.load(context.ptr, { size: 8, type: "ptr", space: "ctx" });
  return b.load(meta, { size: 8, type: "ptr", space: "kernel" });
}

function seqPrint(cx: Cx, node: ts.CallExpression): Value {
  const ptr = seqFile(cx, "seqPrint", node);
  checkHelper(cx, "seqPrint", "seq_printf", node);
  return { kind: "printer", to: "seq", ptr, size: 0 };
}

/** struct btf_ptr for a structure of the kernel, by its number in the running kernel's BTF; then its size and the flags. */
function typedPointer(cx: Cx, node: ts.CallExpression): readonly [Inst, Inst, Inst] {
  const [, pointerNode, flagsNode] = node.arguments;
  const value = pointerNode ? cx.lower.value(cx, pointerNode) : UNDEFINED;
  if (value.kind !== "kernel" || value.type.kind !== "struct" || value.type.struct.name === "") {
    return cx.refuse(pointerNode ?? node, "wantsType", [describe(value), "a kernel structure"]);
  }
  const b = cx.emit(node);
  const room = stackRef(cx, arrayType(INTS.u64, 2), node, "btf_ptr");
  const typeId = b.core(RELOCATION.typeId, { typeId: value.type.struct.typeId, access: "0", local: 1n });
  b.store(room.ptr, kernelAddress(cx, value, node), { size: 8, space: "stack" });
  b.store(room.ptr, b.trunc(typeId), { size: 4, offset: 8, space: "stack" });
  b.store(room.ptr, b.i32(0), { size: 4, offset: 12, space: "stack" });
  const flags = flagsNode
    ? instOf(
        cx,
        convert(cx, asInt(cx, cx.lower.value(cx, flagsNode, INTS.u64), flagsNode), INTS.u64, node),
        INTS.u64,
        node,
      )
    : b.i64(0);
  return [room.ptr, b.i32(16), flags];
}

/** `seqPrintfBtf(ctx, task)`: the structure with its members' names and values. */
function seqPrintfBtf(cx: Cx, node: ts.CallExpression): Value {
  const seq = seqFile(cx, "seqPrintfBtf", node);
  checkHelper(cx, "seqPrintfBtf", "seq_printf_btf", node);
  const args = [seq, ...typedPointer(cx, node)];
  return typed(cx.emit(node).helper(helperId("seq_printf_btf"), args, "i64"), INTS.i64);
}

function snprintfBtf(cx: Cx, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const buffer = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (buffer.kind !== "ref") return cx.refuse(argument ?? node, "wantsMemory", ["snprintfBtf"]);
  checkHelper(cx, "snprintfBtf", "snprintf_btf", node);
  const b = cx.emit(node);
  const args = [pointerOf(cx, buffer, node), b.i32(sizeOf(buffer.type)), ...typedPointer(cx, node)];
  return typed(b.helper(helperId("snprintf_btf"), args, "i64"), INTS.i64);
}

function format(cx: Cx, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const buffer = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (buffer.kind !== "ref") return cx.refuse(argument ?? node, "wantsMemory", ["format"]);
  checkHelper(cx, "format", "snprintf", node);
  return { kind: "printer", to: "text", ptr: pointerOf(cx, buffer, node), size: sizeOf(buffer.type) };
}

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  seqPrint,
  format,
  seqPrintfBtf,
  snprintfBtf,
};

export function printerBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}

function escape(text: string): string {
  return text.replaceAll("%", "%%");
}
