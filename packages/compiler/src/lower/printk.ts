/**
 * @module
 * `printk` and its text: bpf_trace_printk with the format in `.rodata`.
 */
import ts from "typescript";
import { INTS } from "../types.ts";
import { describe, UNDEFINED, type Value } from "../values.ts";
import type { Inst } from "@skep/ir";
import type { Cx } from "./cx.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { convert, defaultType, instOf } from "./ints.ts";
import { asInt, present } from "./memory.ts";

const MAX_VALUES = 3;

/** A value as 64 bits, and how the format writes it. */
function argument(cx: Cx, value: Value, node: ts.Expression): { format: string; inst: Inst } {
  const shown = present(value);
  if (shown.kind !== "int" && shown.kind !== "bool") cx.refuse(node, "wantsInteger", [describe(value)]);
  const int = asInt(cx, shown, node);
  const type = defaultType(int);
  const wide = type.signed ? INTS.i64 : INTS.u64;
  return { format: type.signed ? "%lld" : "%llu", inst: instOf(cx, convert(cx, int, wide, node), wide, node) };
}

export function printk(cx: Cx, node: ts.TaggedTemplateExpression): Value {
  const tag = cx.lower.value(cx, node.tag);
  if (tag.kind !== "builtin" || tag.name !== "printk") return cx.refuse(node, "unsupported", ["a template with a tag"]);
  checkHelper(cx, "printk", "trace_printk", node);
  const b = cx.emit(node);
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
  const { section, offset, size } = cx.unit.text(text);
  b.helper(helperId("trace_printk"), [b.data(section, offset), b.i32(size), ...insts], "i64");
  return UNDEFINED;
}

function escape(text: string): string {
  return text.replaceAll("%", "%%");
}
