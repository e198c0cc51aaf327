/**
 * @module
 * What kernels before 6.18 do not have: instructions and helpers by the version that brought them.
 */
import { CALL, atomicImm, insnClass, modeBits, pseudoCall } from "@skep/isa";
import type { Env } from "../env.ts";
import { isConditional, isGoto } from "./code.ts";

/** The largest helper number of a kernel, by version: releases between have at least the earlier one's. */
const lastHelpers: readonly (readonly [version: number, last: number])[] = [
  [5004, 110],
  [5010, 155],
  [5015, 175],
  [6001, 209],
  [6002, 211],
];

function lastHelper(version: number): number {
  return lastHelpers.findLast(([since]) => since <= version)?.[1] ?? 0;
}

/** The version that an instruction needs, and what it is; null: any. */
function needs(env: Env, at: number): readonly [version: number, what: string] | null {
  const { code } = env;
  const opcode = code.opcode[at] as number;
  const kind = opcode & 7;
  const op = opcode & 0xf0;
  const offset = code.offset[at] as number;
  if (opcode === 0xe5) return [6009, "may_goto"];
  if (opcode === 0x06) return [6006, "a jump over 32 bits"];
  if (kind === insnClass.jmp32) return [5001, "a 32-bit comparison"];
  if ((isConditional(opcode) || isGoto(opcode)) && (code.target[at] as number) <= at) return [5003, "a loop"];
  if (kind === insnClass.ldx && (opcode & 0xe0) === modeBits.memsx) return [6006, "a load with sign"];
  if (kind === insnClass.alu64 && op === 0xd0) return [6006, "bswap"];
  if ((kind === insnClass.alu || kind === insnClass.alu64) && offset !== 0 && op === 0xb0) {
    return offset === 1 ? [6009, "an address cast"] : [6006, "a move with sign"];
  }
  if ((kind === insnClass.alu || kind === insnClass.alu64) && offset === 1) return [6006, "a signed division"];
  if (kind === insnClass.stx && (opcode & 0xe0) === modeBits.atomic) return atomicNeeds(code.imm[at] as number);
  if (opcode === CALL && code.src[at] === pseudoCall.kfunc) return [5013, "a call of a kernel function"];
  return null;
}

function atomicNeeds(imm: number): readonly [version: number, what: string] | null {
  if (imm === atomicImm.loadAcquire || imm === atomicImm.storeRelease) return [6015, "an ordered load or store"];
  return imm === atomicImm.add ? null : [5012, "an atomic operation other than addition"];
}

function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${version % 1000}`;
}

export function checkVersions(env: Env): void {
  const { kernel } = env.kind;
  if (kernel >= 6018) return;
  const last = lastHelper(kernel);
  const { code } = env;
  for (let at = 0; at < code.count; at++) {
    env.at = at;
    const needed = needs(env, at);
    if (needed !== null && needed[0] > kernel) {
      env.refuse("too-new", `${needed[1]} needs kernel ${versionText(needed[0])}; this is ${versionText(kernel)}`);
    }
    const isHelper = code.opcode[at] === CALL && code.src[at] === 0;
    if (isHelper && (code.imm[at] as number) > last) {
      env.refuse("too-new", `helper number ${code.imm[at]} is not known to have been in kernel ${versionText(kernel)}`);
    }
  }
}
