/**
 * @module
 * A program: its function in the IR, and what its entry does for the packet.
 */
import ts from "typescript";
import { PROGRAM_KINDS, type ProgramKind } from "@skep/bpf";
import { FunctionBuilder, type Inst } from "@skep/ir";
import { contextShape, programOfContext } from "../contexts.ts";
import { finishFunction } from "../finish.ts";
import { INTS, type MemoryType } from "../types.ts";
import { Env, UNDEFINED, type ProgramDecl, type Value } from "../values.ts";
import { Cx, type Lower, type Unit } from "./cx.ts";
import { declareTarget, declaredTypeOf } from "./declare.ts";
import { helperId, isGplCompatible } from "./helpers.ts";
import { iteratorContext, tracedArgument } from "./kernel.ts";
import { loadPacket } from "./packet.ts";
import { returnValue } from "./statements.ts";

function locOf(node: ts.Node): { file: string; line: number; column: number } {
  const file = node.getSourceFile();
  const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file));
  return { file: file.fileName, line: line + 1, column: character + 1 };
}

function setPacket(cx: Cx, packet: { data: Inst; end: Inst }, node: ts.Node): void {
  const b = cx.emit(node);
  if (!cx.packet) return;
  b.set(cx.packet.data, packet.data);
  b.set(cx.packet.end, packet.end);
}

/**
 * What the body looks at must be linear: header() sees no further. Done once, before any header is read, and only for a packet whose
 * start is not linear that far (__pskb_pull_tail behind bpf_skb_pull_data).
 */
function makeLinear(cx: Cx, node: ts.Node): void {
  const shape = contextShape(cx.program);
  if (!cx.packet || !shape?.packet) return;
  const b = cx.emit(node);
  const context = b.param(0);
  const [short, pull, body] = [b.block("short"), b.block("pull"), b.block("linear")];
  const load = (): void => {
    if (!cx.packet || !shape.packet) return;
    setPacket(cx, loadPacket(b, context, shape.packet), node);
  };
  const wanted = b.ptradd(b.get(cx.packet.data), cx.linear);
  b.branch("ule", [wanted, b.get(cx.packet.end)], [body, short], true);
  b.at(short);
  const length = b.load(context, { size: 4, offset: 0, space: "ctx" });
  const linear = b.ptrsub(b.get(cx.packet.end), b.get(cx.packet.data));
  b.branch("ugt", [b.zext(length), linear], [pull, body], false);
  b.at(pull);
  const size = b.select(b.cmp("ult", length, b.i32(cx.linear)), length, b.i32(cx.linear));
  b.helper(helperId("skb_pull_data"), [context, size], "i64");
  load();
  b.jump(body);
  b.at(body);
}

/** The entry: what the body turned out to need. */
function writeEntry(cx: Cx, node: ts.Node): void {
  const shape = contextShape(cx.program);
  if (!cx.packet || !shape?.packet || !cx.usesPacket) return;
  const b = cx.emit(node);
  const context = b.param(0);
  setPacket(cx, loadPacket(b, context, shape.packet), node);
  if (cx.program === "tc" && cx.linear > 0) makeLinear(cx, node);
}

const SLEEPABLE = 1 << 4;

/** The section's name: `fentry.s/target` where it sleeps, the first word alone without a target. */
function sectionOf(kind: ProgramKind, program: ProgramDecl): string {
  const [first = "", ...rest] = kind.section.split("/");
  const marked = (program.flags & SLEEPABLE) !== 0 && kind.maySleep ? `${first}.s` : first;
  const parts = rest.map((part) => part.replace("%", program.target ?? "")).filter((part) => part !== "");
  return [marked, ...parts].join("/");
}

/** The program type whose context and helpers it has: of a replacement, that of what it replaces. */
function contextKind(unit: Unit, program: ProgramDecl): string {
  const [parameter] = program.run.node.parameters;
  if (program.kind !== "freplace") return program.kind;
  const type = parameter ? unit.checker.getTypeAtLocation(parameter) : null;
  const replaced = type?.symbol ? programOfContext(type.symbol.name) : null;
  return replaced ?? unit.problems.refuse(parameter ?? program.node, "wantsContext", [program.name]);
}

/** Types of which the kernel takes GPL-compatible programs alone (bpf_lsm_verify_prog, check_struct_ops_btf_id). */
const GPL_KINDS: ReadonlySet<string> = new Set(["lsm", "lsmCgroup", "structOps"]);

function checkProgramLicense(unit: Unit, program: ProgramDecl): void {
  if (!GPL_KINDS.has(program.kind) || isGplCompatible(unit.license)) return;
  unit.problems.report(program.node, "needsGpl", [`a program of type ${program.kind}`, unit.license]);
}

export function lowerProgram(unit: Unit, lower: Lower, program: ProgramDecl): void {
  const kind = PROGRAM_KINDS[program.kind];
  const as = contextKind(unit, program);
  const shape = contextShape(as);
  if (!kind || !shape) throw new Error(`no program type ${program.kind}`);
  checkProgramLicense(unit, program);
  const typeId = unit.functionType({
    name: program.name,
    params: [{ name: "ctx", type: { pointer: shape.struct } }],
    returns: INTS.i32,
    linkage: "global",
  });
  const builder = new FunctionBuilder({
    name: program.name,
    params: [{ name: "ctx", type: "ptr" }],
    returns: "i32",
    typeId,
    inline: "never",
    program: {
      section: sectionOf(kind, program),
      type: kind.type,
      ...(kind.attachType ? { attachType: kind.attachType } : {}),
      ...(program.target === null || program.target === "" ? {} : { attachTo: program.target }),
      flags: program.flags,
    },
    loc: locOf(program.node),
  });
  const cx = new Cx(unit, lower, builder, new Env(program.run.env));
  cx.program = as;
  const entry = builder.current;
  const body = builder.block("body");
  if (shape.packet) cx.packet = { data: builder.local("data", "ptr"), end: builder.local("data_end", "ptr") };
  builder.at(body);
  lowerBody(cx, program);
  builder.loc = locOf(program.node);
  builder.at(entry);
  writeEntry(cx, program.node);
  builder.jump(body);
  unit.functions.push(finishFunction(builder));
}

/** What a system call was given lies in the context itself. */
function givenArgument(ptr: Inst, type: MemoryType): Value {
  if (type.kind !== "struct" && type.kind !== "union") throw new Error(`${type.name} is no structure`);
  return { kind: "ref", type, ptr, offset: 0, space: "ctx", align: 8, nullable: false };
}

function lowerBody(cx: Cx, program: ProgramDecl): void {
  const { node } = program.run;
  const builder = cx.emit(node);
  const [parameter] = node.parameters;
  cx.context = { kind: "context", program: cx.program, ptr: builder.param(0) };
  if (PROGRAM_KINDS[program.kind]?.context === "TracedContext") {
    node.parameters.forEach((one, index) =>
      declareTarget(cx, one.name, tracedArgument(cx, builder.param(0), index, one), null),
    );
  } else if (PROGRAM_KINDS[program.kind]?.context === "IteratorContext" && parameter) {
    declareTarget(cx, parameter.name, iteratorContext(cx, builder.param(0), parameter), null);
  } else if (program.argument && parameter) {
    declareTarget(cx, parameter.name, givenArgument(builder.param(0), program.argument), null);
  } else if (parameter) {
    declareTarget(cx, parameter.name, cx.context, null);
  }
  cx.frame = { sites: null, returns: declaredTypeOf(cx, node.type), name: program.name, node };
  cx.inlining.push(node);
  if (!node.body) return cx.refuse(node, "notCallable", [program.name]);
  if (ts.isBlock(node.body)) {
    cx.lower.statements(cx, node.body.statements);
    if (!cx.dead) returnValue(cx, UNDEFINED, node);
    return;
  }
  cx.at(node.body);
  const value = cx.lower.value(cx, node.body);
  if (!cx.dead) returnValue(cx, value, node.body);
}
