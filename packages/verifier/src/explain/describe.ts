/**
 * @module
 * Registers in words, much as the kernel's log shows them.
 */
import { S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32_MAX, U64_MAX, flag, kind } from "../register.ts";
import type { Reg } from "../register.ts";

const names: Readonly<Record<number, string>> = {
  [kind.none]: "nothing",
  [kind.scalar]: "number",
  [kind.context]: "context",
  [kind.map]: "map",
  [kind.mapValue]: "map value",
  [kind.mapKey]: "map key",
  [kind.stack]: "stack",
  [kind.packetMeta]: "packet metadata",
  [kind.packet]: "packet",
  [kind.packetEnd]: "packet end",
  [kind.flowKeys]: "flow keys",
  [kind.socket]: "socket",
  [kind.sockCommon]: "socket (common part)",
  [kind.tcpSock]: "TCP socket",
  [kind.xdpSock]: "XDP socket",
  [kind.buffer]: "buffer",
  [kind.btf]: "kernel object",
  [kind.memory]: "memory",
  [kind.arena]: "arena",
  [kind.function]: "function",
  [kind.dynptr]: "dynptr",
  [kind.iterator]: "iterator",
};

export function kindName(reg: Reg): string {
  const name = names[reg.kind] ?? "something";
  return (reg.flags & flag.maybeNull) !== 0 ? `${name} or null` : name;
}

/** The constant that a register holds, signed. */
export function constantText(reg: Reg): string {
  if (reg.vh === reg.vl >> 31) return String(reg.vl);
  const hex = ((BigInt(reg.vh >>> 0) << 32n) | BigInt(reg.vl >>> 0)).toString(16);
  return `0x${hex}`;
}

function bounds(reg: Reg): string {
  const parts: string[] = [];
  const range = (name: string, min: number, max: number, all: readonly [number, number]) => {
    if (min !== all[0] || max !== all[1]) parts.push(`${name} ${show(min)} to ${show(max)}`);
  };
  range("unsigned", reg.umin, reg.umax, [0, U64_MAX]);
  const same = reg.smin === reg.umin && reg.smax === reg.umax;
  if (!same) range("signed", reg.smin, reg.smax, [S64_MIN, S64_MAX]);
  const narrow = reg.umin32 === reg.umin && reg.umax32 === reg.umax;
  if (!narrow) range("low word", reg.umin32, reg.umax32, [0, U32_MAX]);
  const signedNarrow = reg.smin32 === reg.umin32 && reg.smax32 === reg.umax32;
  if (!narrow && !signedNarrow) range("low word signed", reg.smin32, reg.smax32, [S32_MIN, S32_MAX]);
  return parts.length === 0 ? "unknown" : parts.join(", ");
}

function show(value: number): string {
  if (value >= U64_MAX) return "2^64-1";
  if (value === S64_MAX) return "2^63-1";
  if (value === S64_MIN) return "-2^63";
  return String(value);
}

/** What is known of a register: `number 5`, `number, unsigned 0 to 255`, `packet + 14 (34 bytes proven)`. */
export function describeReg(reg: Reg): string {
  if (reg.kind === kind.none) return "nothing";
  if (reg.kind === kind.scalar) return reg.isConst ? `number ${constantText(reg)}` : `number, ${bounds(reg)}`;
  let text = kindName(reg);
  if (reg.map !== null) text += ` of ${reg.map.name}`;
  if (reg.off !== 0) text += reg.off > 0 ? ` + ${reg.off}` : ` - ${-reg.off}`;
  if (!reg.isConst) text += ` + (${bounds(reg)})`;
  else if ((reg.vl | reg.vh) !== 0) text += ` + ${constantText(reg)}`;
  if (reg.kind === kind.packet) text += ` (${Math.max(0, reg.size)} bytes proven)`;
  if (reg.kind === kind.memory) text += ` of ${reg.size} bytes`;
  return text;
}
