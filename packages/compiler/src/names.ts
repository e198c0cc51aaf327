/**
 * @module
 * Names as the kernel keeps them: fifteen bytes (BPF_OBJ_NAME_LEN less the zero).
 */
import type ts from "typescript";
import type { Module } from "./module.ts";

const KEPT = 15;

interface Named {
  readonly name: string;
  readonly node: ts.Node;
}

function checkCut(module: Module, things: readonly Named[]): void {
  const cut = new Map<string, Named>();
  for (const thing of things) {
    const short = thing.name.slice(0, KEPT);
    const other = cut.get(short);
    if (other && other.name !== thing.name) module.problems.report(thing.node, "nameClash", [other.name, thing.name]);
    else cut.set(short, thing);
  }
}

/** Programs, and maps, that the kernel could not tell apart; types of one name and two layouts. */
export function checkNames(module: Module): void {
  checkCut(module, [...module.maps.values()]);
  checkCut(module, [...module.programs.values()]);
  const structs = new Map<string, ts.Node>();
  for (const [node, value] of module.declared) {
    if (value.kind !== "type" || (value.type.kind !== "struct" && value.type.kind !== "union")) continue;
    if (structs.has(value.type.name)) module.problems.report(node, "duplicateType", [value.type.name]);
    else structs.set(value.type.name, node);
  }
}
