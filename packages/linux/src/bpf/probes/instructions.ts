import {
  alu64,
  bswap,
  exit,
  ja,
  jal,
  jmp,
  jmp32,
  ldxs,
  loadAcquire,
  mayGoto,
  mem,
  mov64,
  movsx64,
  r0,
  r1,
  r10,
  st,
  storeRelease,
  type Instruction,
} from "@skep/isa";
import { conclusive, tryProgram } from "./run.ts";

const rest: readonly Instruction[] = [mov64(r0, 0), exit()];

/** Programs that need what the name says. */
const samples = {
  /** Instruction set v2: `jlt` and its likes (4.14). */
  v2: [mov64(r0, 0), jmp("jlt", r0, 1, 0), ...rest],
  /** v3: 32-bit jumps (5.1). */
  v3: [mov64(r0, 0), jmp32("jlt", r0, 1, 0), ...rest],
  /** v4: sign extension, byte swap, signed division, long jumps (6.6). */
  v4: [
    st("u64", mem(r10, -8), 0),
    ldxs("u8", r1, mem(r10, -8)),
    movsx64(r0, r1, 8),
    bswap(r0, 16),
    alu64("sdiv", r0, 3),
    jal(0),
    ...rest,
  ],
  /** `may_goto` (6.9). */
  mayGoto: [mayGoto(0), ...rest],
  /** Load-acquire and store-release (6.15). */
  loadAcquire: [
    st("u64", mem(r10, -8), 0),
    loadAcquire("u64", r1, mem(r10, -8)),
    storeRelease("u64", mem(r10, -8), r1),
    ...rest,
  ],
  /** Loops that the verifier follows to their end (5.3). */
  boundedLoops: [mov64(r0, 10), alu64("sub", r0, 1), jmp("jne", r0, 0, -2), ...rest],
  /** More than 4,096 instructions (5.2). */
  manyInstructions: [...Array.from({ length: 4100 }, () => mov64(r0, 1)), ...rest],
  /** Calls of functions of the program itself (4.16). */
  localCalls: [{ opcode: 0x85, dst: 0, src: 1, offset: 0, imm: 1 }, exit(), ...rest],
  /** A jump that goes nowhere: what every kernel takes, so that a refusal is not of the probe. */
  plain: [ja(0), ...rest],
} satisfies Record<string, readonly Instruction[]>;

export type InstructionFeature = Exclude<keyof typeof samples, "plain">;

/** Whether the verifier takes the instructions. Throws `InconclusiveError`. */
export function probeInstructions(feature: InstructionFeature): boolean {
  const { errno } = tryProgram({ type: "socket_filter", code: samples[feature], withoutLog: true });
  conclusive(`instructions ${feature}`, errno);
  return errno === 0;
}
