import { Trap } from "../error.ts";
import type { Memory } from "../memory.ts";
import type { HelperMachine } from "./machine.ts";

/** What a dynptr points to. Packets move, so their place is looked up at each use. */
export const dynptrKind = { none: 0, memory: 1, ring: 2, packet: 3 } as const;
const READ_ONLY = 0x8000_0000;

/** `struct bpf_dynptr`, sixteen bytes that programs do not look into: kind, address, size, offset. */
export interface Dynptr {
  readonly kind: number;
  readonly readOnly: boolean;
  /** Of the first byte; for packets what the run says. */
  readonly address: number;
  readonly size: number;
  readonly offset: number;
}

export function readDynptr(machine: HelperMachine, at: number): Dynptr {
  const { memory, state } = machine;
  memory.check(at, 16, false);
  const word = (offset: number): number => memory.view.getUint32(at + offset, true);
  const kind = word(0) & 0xff;
  const base = kind === dynptrKind.packet ? state.data : word(4);
  return {
    kind,
    readOnly: (word(0) & READ_ONLY) !== 0,
    address: base + word(12),
    size: word(8),
    offset: word(12),
  };
}

export function writeDynptr(
  memory: Memory,
  at: number,
  what: { kind: number; readOnly?: boolean; address: number; size: number; offset?: number },
): void {
  memory.check(at, 16, true);
  memory.view.setUint32(at, what.kind + (what.readOnly === true ? READ_ONLY : 0), true);
  memory.view.setUint32(at + 4, what.address, true);
  memory.view.setUint32(at + 8, what.size, true);
  memory.view.setUint32(at + 12, what.offset ?? 0, true);
}

export function clearDynptr(memory: Memory, at: number): void {
  writeDynptr(memory, at, { kind: dynptrKind.none, address: 0, size: 0 });
}

/** The dynptr, which has to be valid. */
export function needDynptr(machine: HelperMachine, at: number): Dynptr {
  const found = readDynptr(machine, at);
  if (found.kind > dynptrKind.packet) throw new Trap("argument", `0x${at.toString(16)} is no dynptr`);
  return found;
}
