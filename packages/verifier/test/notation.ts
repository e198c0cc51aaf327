/** The instruction builders that the tests of this folder use. */
import { alu64, type Instruction, type Operand, type Register } from "@skep/isa";

export {
  alu64,
  call,
  exit,
  jmp,
  lddw,
  ldx,
  mem,
  mov32,
  mov64,
  r0,
  r1,
  r2,
  r3,
  r4,
  r6,
  r7,
  r8,
  r10,
  st,
  stx,
} from "@skep/isa";

export const add = (register: Register, value: Operand): Instruction => alu64("add", register, value);
