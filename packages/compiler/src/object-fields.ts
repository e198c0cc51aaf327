/**
 * @module
 * Fields of map values and allocated objects that own something: pointers that are exchanged, heads of lists, roots of trees.
 */
import type ts from "typescript";
import type { KptrT, StructT } from "./types.ts";
import { describe, UNDEFINED, type Value } from "./values.ts";
import type { Cx } from "./lower/cx.ts";
import { LIST_HEAD, RB_ROOT } from "./type-names.ts";

export const OBJECT_FIELDS = ["kptr", "kptrUntrusted", "percpuKptr", "rbRoot", "listHead"] as const;
export type ObjectField = (typeof OBJECT_FIELDS)[number];

function structArgument(cx: Cx, node: ts.CallExpression): StructT {
  const [first] = node.arguments;
  const value = first ? cx.lower.value(cx, first) : UNDEFINED;
  if (value.kind === "type" && value.type.kind === "struct") return value.type;
  return cx.refuse(first ?? node, "wantsType", [describe(value), "a struct"]);
}

const TAGS = { kptr: "kptr", kptrUntrusted: "kptr_untrusted", percpuKptr: "percpu_kptr" } as const;

/** `kptr<task_struct>()`, or `kptr(Node)` of allocated objects. */
function pointer(cx: Cx, kind: keyof typeof TAGS, node: ts.CallExpression): KptrT {
  const tag = TAGS[kind];
  if (node.arguments.length > 0) {
    const to = structArgument(cx, node);
    const object = kind === "percpuKptr" ? percpuOf(to) : to;
    return { kind: "kptr", name: `${to.name} | null`, tag, to: object, kernel: null };
  }
  const [argument] = node.typeArguments ?? [];
  const kernel = argument ? cx.unit.kernel.structOf(cx.unit.checker.getTypeFromTypeNode(argument)) : null;
  if (!kernel) return cx.refuse(node, "needsKernelType", [kind]);
  return { kind: "kptr", name: `${kernel.name} | null`, tag, to: null, kernel };
}

const percpu = new WeakMap<StructT, StructT>();

/** What an object per CPU is before one says of which CPU: it has no members. */
export function percpuOf(type: StructT): StructT {
  const known = percpu.get(type) ?? { ...type, name: type.name, fields: type.fields, percpu: type };
  percpu.set(type, known);
  return known;
}

/** `rbRoot(Node, "node")`: the field of the struct by which it hangs there. */
function graph(cx: Cx, kind: "rbRoot" | "listHead", node: ts.CallExpression): StructT {
  const element = structArgument(cx, node);
  const fieldNode = node.arguments[1] ?? node;
  const value = node.arguments[1] ? cx.lower.value(cx, node.arguments[1]) : UNDEFINED;
  const wanted = kind === "rbRoot" ? "bpf_rb_node" : "bpf_list_node";
  const name = value.kind === "string" ? value.text : "";
  const field = element.fields.find((one) => one.name === name);
  if (field?.type.name !== wanted) {
    return cx.refuse(fieldNode, "wantsNode", [element.name, name, kind === "rbRoot" ? "RbNode" : "ListNode"]);
  }
  return { ...(kind === "rbRoot" ? RB_ROOT : LIST_HEAD), graph: { element, node: field } };
}

export function declareObjectField(cx: Cx, kind: ObjectField, node: ts.CallExpression): Value {
  const type = kind === "rbRoot" || kind === "listHead" ? graph(cx, kind, node) : pointer(cx, kind, node);
  return { kind: "type", type };
}
