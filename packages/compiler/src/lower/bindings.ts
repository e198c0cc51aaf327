/**
 * @module
 * Names: what a variable holds, how it is read and set.
 */
import type ts from "typescript";
import { fits, INTS, type IntT, type MemoryType } from "../types.ts";
import { describe, type Binding, type IntValue, type RefBinding, type RefValue, type Value } from "../values.ts";
import { excerpt, type Cx } from "./cx.ts";
import { asBool, asInt, boolInst, read, writeScalar } from "./memory.ts";
import { coerce, defaultType, instOf, typedSoft } from "./ints.ts";

export function readBinding(cx: Cx, binding: Binding, node: ts.Node): Value {
  switch (binding.kind) {
    case "value":
      return binding.value;
    case "int":
      // What was assigned may be a quotient.
      return typedSoft(cx.emit(node).get(binding.local), binding.type);
    case "bool":
      return { kind: "bool", inst: cx.emit(node).get(binding.local) };
    case "kernel":
      return { ...binding.shape, ptr: cx.emit(node).get(binding.local) };
    case "memory":
      return read(cx, binding.base, binding.type, { offset: binding.offset, shift: 0, node });
    default:
      return { kind: "ref", ...binding.shape, ptr: cx.emit(node).get(binding.local), offset: 0 };
  }
}

/** A pointer that is 0 where the reference is null. */
export function pointerOf(cx: Cx, ref: RefValue, node: ts.Node): RefValue["ptr"] {
  const b = cx.emit(node);
  const move = (): RefValue["ptr"] => (ref.offset === 0 ? ref.ptr : b.ptradd(ref.ptr, ref.offset));
  if (!ref.nullable || !ref.present) return move();
  const local = b.local("reference", "ptr");
  const [some, none, join] = [b.block("present"), b.block("absent"), b.block("reference")];
  b.branch(ref.present.predicate, [ref.present.a, ref.present.b], [some, none]);
  // The verifier takes no sum with a pointer that may be null: behind the test only.
  b.at(some).set(local, move());
  b.jump(join);
  b.at(none).set(local, b.null());
  b.jump(join);
  return b.at(join).get(local);
}

function shapeOf(ref: RefValue): RefBinding["shape"] {
  return {
    type: ref.type,
    space: ref.space,
    align: ref.align,
    nullable: ref.nullable,
    ...(ref.epoch === undefined ? {} : { epoch: ref.epoch }),
    ...(ref.readOnly ? { readOnly: true } : {}),
  };
}

function intVariable(cx: Cx, name: string, value: IntValue, type: IntT, node: ts.Node): Binding {
  const b = cx.emit(node);
  const local = b.local(name, type.bits === 64 ? "i64" : "i32");
  b.set(local, instOf(cx, coerce(cx, value, type, node), type, node));
  return { kind: "int", local, type };
}

/** A variable that may be assigned again. `declared`: the type of its annotation. */
export function variableBinding(cx: Cx, name: string, value: Value, node: ts.Node, declared?: MemoryType): Binding {
  if (value.kind === "int") {
    const type = declared?.kind === "int" ? declared : defaultType(value);
    return intVariable(cx, name, value, type, node);
  }
  if (value.kind === "maybe" && value.value.kind === "int") {
    const hint =
      "?? 0n gives it a value there; const count = map.ref(key) is the integer in the map: count.value += 1n";
    cx.refuse(node, "mayBeNull", [excerpt(node)], hint);
  }
  if (value.kind === "bool") {
    const b = cx.emit(node);
    const local = b.local(name, "i32");
    b.set(local, boolInst(cx, value, node));
    return { kind: "bool", local };
  }
  if (value.kind === "kernel" && value.path.length === 0) {
    const b = cx.emit(node);
    const local = b.local(name, "ptr");
    b.set(local, value.ptr);
    const { ptr: _ptr, ...shape } = value;
    return { kind: "kernel", local, shape };
  }
  if (value.kind === "ref") {
    const ptr = pointerOf(cx, value, node);
    const b = cx.emit(node);
    const local = b.local(name, "ptr");
    b.set(local, ptr);
    return { kind: "ref", local, shape: shapeOf(value) };
  }
  if (
    value.kind === "null" &&
    declared &&
    (declared.kind === "struct" || declared.kind === "union" || declared.kind === "array")
  ) {
    const b = cx.emit(node);
    const local = b.local(name, "ptr");
    b.set(local, b.null());
    return { kind: "ref", local, shape: { type: declared, space: "unknown", align: 1, nullable: true } };
  }
  return { kind: "value", value };
}

function assignRef(cx: Cx, binding: RefBinding, value: Value, place: { name: string; node: ts.Node }): void {
  const { node } = place;
  if (value.kind === "null") {
    const b = cx.emit(node);
    b.set(binding.local, b.null());
    binding.shape = { ...binding.shape, nullable: true };
    return;
  }
  if (value.kind !== "ref") return cx.refuse(node, "wantsType", [describe(value), binding.shape.type.name]);
  if (value.type !== binding.shape.type) cx.refuse(node, "wantsType", [describe(value), binding.shape.type.name]);
  const known = binding.shape.space !== "unknown";
  if (known && value.space !== binding.shape.space) cx.refuse(node, "differentMemory", [place.name, value.space]);
  if (value.space !== "map" && value.space !== "packet") cx.stack.keep();
  const ptr = pointerOf(cx, value, node);
  cx.emit(node).set(binding.local, ptr);
  const merged = shapeOf(value);
  binding.shape = {
    ...merged,
    nullable: merged.nullable || binding.shape.nullable,
    align: known ? Math.min(merged.align, binding.shape.align) : merged.align,
  };
}

function assignKernel(cx: Cx, binding: Extract<Binding, { kind: "kernel" }>, value: Value, node: ts.Node): void {
  const b = cx.emit(node);
  if (value.kind === "null") {
    b.set(binding.local, b.null());
    binding.shape = { ...binding.shape, nullable: true };
    return;
  }
  if (value.kind !== "kernel" || value.root !== binding.shape.root || value.path.length > 0) {
    cx.refuse(node, "wantsType", [describe(value), binding.shape.root.name]);
  }
  b.set(binding.local, value.ptr);
  const trusted = binding.shape.trusted && value.trusted;
  binding.shape = { ...binding.shape, trusted, nullable: binding.shape.nullable || value.nullable };
}

/** Sets a variable. */
export function assignBinding(cx: Cx, binding: Binding, value: Value, place: { name: string; node: ts.Node }): void {
  const { node } = place;
  switch (binding.kind) {
    case "int":
      cx.emit(node).set(
        binding.local,
        instOf(cx, coerce(cx, asInt(cx, value, node), binding.type, node), binding.type, node),
      );
      return;
    case "bool":
      cx.emit(node).set(binding.local, boolInst(cx, asBool(cx, value, node), node));
      return;
    case "kernel":
      assignKernel(cx, binding, value, node);
      return;
    case "memory":
      writeScalar(cx, binding.base, binding.type, value, { offset: binding.offset, shift: 0, node });
      return;
    case "ref":
      assignRef(cx, binding, value, place);
      return;
    default:
      cx.refuse(node, "readOnly", [`'${place.name}'`]);
  }
}

/** A constant that fits the integer types up to 32 bits is written without `n`. */
export function isSmall(value: IntValue): boolean {
  return fits(value.min, INTS.u32) || fits(value.min, INTS.i32);
}
