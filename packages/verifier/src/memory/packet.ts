/**
 * @module
 * What comparisons with the packet's end prove (try_match_pkt_pointers, find_good_pkt_pointers; kernel/bpf/verifier.c).
 */
import { jmpBits } from "@skep/isa";
import type { Reg } from "../register.ts";
import { kind } from "../register.ts";
import type { Taken } from "../scalar/compare.ts";
import { flip } from "../scalar/compare.ts";
import { mapRegs } from "../state.ts";
import type { State } from "../state.ts";

/** MAX_PACKET_OFF */
const MAX_PACKET = 0xffff;
/** Instead of a range: the pointer is at the end, or behind it. */
const AT_END = -1;
const BEYOND_END = -2;

function isStart(reg: Reg): boolean {
  return reg.kind === kind.packet && reg.id === 0 && reg.off === 0 && reg.isConst && reg.vl === 0;
}

/** Whether the first can be measured by the second. */
function measures(ptr: Reg, end: Reg): boolean {
  return (ptr.kind === kind.packet && end.kind === kind.packetEnd) || (ptr.kind === kind.packetMeta && isStart(end));
}

export function isPacketPointer(reg: Reg): boolean {
  return reg.kind === kind.packet || reg.kind === kind.packetMeta || reg.kind === kind.packetEnd;
}

/** A pointer of which it is known that it is at or behind the end is compared again. */
export function packetBranchTaken(op: number, a: Reg, b: Reg): Taken {
  let ptr = a;
  let compare = op;
  if (a.kind === kind.packetEnd) {
    ptr = b;
    compare = flip(op);
  } else if (b.kind !== kind.packetEnd) return "unknown";
  if (ptr.kind === kind.packetEnd || ptr.size >= 0) return "unknown";
  if (compare === jmpBits.jle || compare === jmpBits.jgt) {
    if (ptr.size === BEYOND_END) return compare === jmpBits.jgt ? "always" : "never";
  } else if (compare === jmpBits.jlt || compare === jmpBits.jge) {
    return compare === jmpBits.jge ? "always" : "never";
  }
  return "unknown";
}

interface Sides {
  readonly op: number;
  readonly dst: number;
  readonly src: number;
}

/** Extends what is known of the packet in either branch. False: nothing that the comparison could prove. */
export function learnPacket(sides: Sides, fallThrough: State, taken: State): boolean {
  const a = fallThrough.frame.reg(sides.dst);
  const b = fallThrough.frame.reg(sides.src);
  let { op } = sides;
  let ptr = a;
  let register = sides.dst;
  if (measures(b, a)) {
    ptr = b;
    register = sides.src;
    op = flip(op);
  } else if (!measures(a, b)) return false;
  switch (op) {
    case jmpBits.jgt:
      prove(fallThrough, ptr, false);
      markEnd(taken, register, BEYOND_END);
      return true;
    case jmpBits.jlt:
      prove(taken, ptr, true);
      markEnd(fallThrough, register, AT_END);
      return true;
    case jmpBits.jge:
      prove(fallThrough, ptr, true);
      markEnd(taken, register, AT_END);
      return true;
    case jmpBits.jle:
      prove(taken, ptr, false);
      markEnd(fallThrough, register, BEYOND_END);
      return true;
    default:
      return false;
  }
}

/** `open`: the byte at the pointer is there too. */
function prove(state: State, ptr: Reg, open: boolean): void {
  if (ptr.off < 0 || (ptr.off === 0 && open)) return;
  if (ptr.umax > MAX_PACKET || ptr.umax + ptr.off > MAX_PACKET) return;
  const range = ptr.off + (open ? 1 : 0);
  mapRegs(state, (reg) => {
    if (reg.kind !== ptr.kind || reg.id !== ptr.id || reg.size >= range) return reg;
    const proven = reg.clone();
    proven.size = range;
    return proven;
  });
}

function markEnd(state: State, register: number, size: number): void {
  const reg = state.frame.reg(register);
  if (reg.kind !== kind.packet) return;
  const marked = reg.clone();
  marked.size = size;
  state.frame.regs[register] = marked;
}

/** Pointers into a packet that was moved or changed. */
export function forgetPackets(state: State, nothing: Reg): void {
  mapRegs(state, (reg) => (isPacketPointer(reg) || (reg.kind === kind.memory && reg.linked) ? nothing : reg));
}
