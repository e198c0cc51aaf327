/**
 * @module
 * Memory that a helper reads or writes (check_helper_mem_access, kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { MAX_OFFSET } from "../env.ts";
import { describeReg, kindName } from "../explain/describe.ts";
import { checkPacket, checkRegion, mayPassPacket, nullExample } from "../memory/access.ts";
import { checkOverwritable, checkReadable, stackRange, writeUnknown } from "../memory/stack.ts";
import type { StackRange } from "../memory/stack.ts";
import { accessKernelObject } from "../memory/kernel-object.ts";
import { markPrecise } from "../pruning/precision.ts";
import type { Reg } from "../register.ts";
import { flag, kind } from "../register.ts";

export interface MemoryUse {
  readonly register: number;
  readonly size: number;
  readonly writes: boolean;
  /** Need not be initialised. */
  readonly raw: boolean;
  readonly mayBeEmpty: boolean;
  /** The helper takes packet pointers. */
  readonly packet: boolean;
}

/** Stack that a helper writes, to be marked after all arguments were looked at. */
export type Written = StackRange[];

export function checkMemory(env: Env, use: MemoryUse, written: Written): void {
  const ptr = env.read(use.register);
  const access = { register: use.register, off: 0, size: use.size };
  if (ptr.mayBeNull) {
    env.refuse("maybe-null", `r${use.register} may be null (${kindName(ptr)})`, nullExample(ptr, use.register));
    return;
  }
  switch (ptr.kind) {
    case kind.packet:
    case kind.packetMeta:
      if (!mayPassPacket(env, use.writes) || (!use.packet && env.kind.type !== "cgroup_sockopt")) {
        env.refuse("packet-argument", `r${use.register} is a packet pointer, which the function does not take`);
      }
      checkPacket(env, ptr, access);
      break;
    case kind.mapKey:
      if (use.writes) env.refuse("read-only", "a map's key is written");
      checkRegion(env, ptr, { ...access, limit: ptr.map?.keySize ?? 0, what: "the map's key" });
      break;
    case kind.mapValue:
      checkValue(env, ptr, use);
      break;
    case kind.memory:
      if (use.writes && (ptr.flags & flag.readOnly) !== 0)
        env.refuse("read-only", `r${use.register} is memory that may only be read`);
      checkRegion(env, ptr, { ...access, limit: ptr.size, what: "the memory" });
      break;
    case kind.buffer:
      if (use.writes && (ptr.flags & flag.readOnly) !== 0)
        env.refuse("read-only", `r${use.register} is memory that may only be read`);
      break;
    case kind.stack:
      checkStack(env, ptr, use, written);
      break;
    case kind.btf:
      accessKernelObject(env, ptr, access, use.writes);
      break;
    case kind.context:
      checkContext(env, use);
      break;
    default:
      if (use.mayBeEmpty && use.size === 0 && ptr.isNumber(0)) return;
      env.refuse("argument-type", `r${use.register} is ${describeReg(ptr)}, not a pointer to memory`);
  }
}

function checkValue(env: Env, ptr: Reg, use: MemoryUse): void {
  const { map } = ptr;
  if (map === null) return;
  if (use.writes && map.programReadOnly) env.refuse("read-only", `map ${map.name} may only be read`);
  if (!use.writes && map.programWriteOnly) env.refuse("write-only", `map ${map.name} may only be written`);
  const region = {
    register: use.register,
    off: 0,
    size: use.size,
    limit: map.valueSize,
    what: `the value of ${map.name}`,
  };
  checkRegion(env, ptr, region);
  const from = ptr.off + ptr.smin;
  const to = ptr.off + ptr.umax + use.size;
  for (const field of map.fields) {
    if (from < field.offset + field.size && to > field.offset) {
      env.refuse("special-field", `the memory covers the field ${field.kind} at ${field.offset} of ${map.name}`);
    }
  }
}

function checkStack(env: Env, ptr: Reg, use: MemoryUse, written: Written): void {
  if (use.size === 0 && use.mayBeEmpty) {
    checkEmptyStack(env, ptr, use.register);
    return;
  }
  const range = stackRange(env, ptr, 0, use.size);
  if (use.raw) checkOverwritable(env, range);
  else checkReadable(env, range, use.writes);
  if (use.writes) written.push(range);
}

/** Nothing is read or written, but there must be stack where it would be (check_stack_access_within_bounds). */
function checkEmptyStack(env: Env, ptr: Reg, register: number): void {
  const { min } = stackRange(env, ptr, 0, 0);
  if (min > -1) env.refuse("stack-bounds", `r${register} points to the end of the stack, where nothing is`);
}

/** The context of a syscall program is memory like any other. */
function checkContext(env: Env, use: MemoryUse): void {
  if (env.kind.type !== "syscall" || env.kind.context?.mayAccess(Math.max(0, use.size - 1), 1, use.writes) !== true) {
    env.refuse("argument-type", `r${use.register} is the context, not a pointer to memory`);
  }
}

export interface SizedMemory extends Omit<MemoryUse, "size"> {
  /** The register with the size. */
  readonly sizeRegister: number;
}

/** Memory whose size is in the next argument (check_mem_size_reg). Gives the largest size. */
export function checkSizedMemory(env: Env, use: SizedMemory, written: Written): number {
  const size = env.read(use.sizeRegister);
  if (size.kind !== kind.scalar) {
    env.refuse("argument-type", `r${use.sizeRegister} is ${describeReg(size)}, not a size`);
    return 0;
  }
  if (size.smin < 0) {
    env.refuse(
      "argument-size",
      `the size in r${use.sizeRegister} can be negative: ${describeReg(size)}`,
      `r${use.sizeRegister} = ${size.smax < 0 ? size.smax : -1}`,
    );
    return 0;
  }
  if (size.umin === 0 && !use.mayBeEmpty)
    env.refuse(
      "argument-size",
      `the size in r${use.sizeRegister} can be 0: ${describeReg(size)}`,
      `r${use.sizeRegister} = 0`,
    );
  if (size.umax >= MAX_OFFSET) {
    env.refuse("argument-size", `the size in r${use.sizeRegister} has no usable upper bound: ${describeReg(size)}`);
    return 0;
  }
  checkMemory(env, { ...use, size: size.umax, raw: use.raw && size.isConst }, written);
  markPrecise(env, use.sizeRegister);
  return size.umax;
}

/** After the call: what the helper wrote is unknown. */
export function finishWrites(env: Env, written: Written): void {
  for (const range of written) writeUnknown(env, range);
}
