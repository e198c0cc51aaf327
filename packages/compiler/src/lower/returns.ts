import { PROGRAM_KINDS } from "@skep/bpf";
import type ts from "typescript";
import type { IntValue } from "../values.ts";
import type { Cx } from "./cx.ts";

/** The kernel checks what some program types return; a constant is checked here already. */
export function checkProgramReturn(cx: Cx, value: IntValue, node: ts.Node): void {
  const kind = PROGRAM_KINDS[cx.program];
  // Of what only literals made, the range is exact.
  if (!kind?.returns || (value.const === undefined && value.type !== null)) return;
  const [min, max] = kind.returns;
  const wrong = [value.min, value.max].find((one) => one < BigInt(min) || one > BigInt(max));
  if (wrong !== undefined) cx.refuse(node, "returnRange", [kind.type, String(min), String(max), String(wrong)]);
}
