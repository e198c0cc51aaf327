import { PROGRAM_KINDS } from "@skep/bpf";
import type ts from "typescript";
import type { IntValue } from "../values.ts";
import type { Cx } from "./cx.ts";

/** The kernel checks what some program types return; a constant is checked here already. */
export function checkProgramReturn(cx: Cx, value: IntValue, node: ts.Node): void {
  const kind = PROGRAM_KINDS[cx.program];
  if (!kind?.returns || value.const === undefined) return;
  const [min, max] = kind.returns;
  if (value.const >= BigInt(min) && value.const <= BigInt(max)) return;
  cx.refuse(node, "returnRange", [kind.type, String(min), String(max), String(value.const)]);
}
