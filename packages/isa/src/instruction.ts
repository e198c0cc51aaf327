/**
 * One eBPF instruction (RFC 9669 section 3). `lddw` is one instruction here although it fills two slots.
 */
export interface Instruction {
  /** The opcode byte: class in the low three bits. */
  readonly opcode: number;
  /** Destination register, 0 to 10. */
  readonly dst: number;
  /** Source register, 0 to 10, or the pseudo source of `lddw` and `call`. */
  readonly src: number;
  /** Signed 16 bits. Jumps count slots from the next instruction. */
  readonly offset: number;
  /** Signed 32 bits. For `lddw` the low half of the immediate. */
  readonly imm: number;
  /** Only `lddw`: the high half of the immediate, signed 32 bits. */
  readonly immHigh?: number;
}

/** Slots of eight bytes that the instruction fills: 2 for `lddw` (opcode 0x18), else 1. */
export function slots(insn: Instruction): 1 | 2 {
  return insn.opcode === 0x18 ? 2 : 1;
}
