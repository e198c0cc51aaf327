import type { Code } from "../code.ts";
import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap } from "../error.ts";
import type { ClockName, Host } from "../host.ts";
import type { Heap } from "../kernel/heap.ts";
import type { VmMap } from "../maps/map.ts";
import type { Memory, Region } from "../memory.ts";
import type { KernelObject } from "../object.ts";
import type { RunState } from "../run-state.ts";
import type { Timers } from "../timers.ts";

/** What helpers need of the machine. */
export interface HelperMachine {
  readonly memory: Memory;
  readonly cpu: number;
  readonly cpus: number;
  readonly state: RunState;
  readonly host: Host;
  readonly timers: Timers;
  /** Objects that programs make. */
  readonly heap: Heap;
  /** Keys for callbacks stand here. */
  readonly scratch: Region;
  /** Nanoseconds. */
  clock(which: ClockName): bigint;
  /** 32 random bits. */
  random(): number;
  /** The map of a handle; a `Trap` where it is none. */
  map(handle: number): VmMap;
  /** The program that runs. */
  engineCode(cpu: Cpu): Code;
}

/** Helpers by number. */
export type HelperRows = readonly (readonly [number, HelperFunction])[];

export function mapOf(machine: HelperMachine, cpu: Cpu, register: number): VmMap {
  return machine.map(cpu.pointer(register));
}

/** The kernel object of an argument; null for null. */
export function objectOf(machine: HelperMachine, cpu: Cpu, register: number): KernelObject | null {
  const address = cpu.pointer(register);
  if (address === 0) return null;
  const found = machine.state.objects.get(address);
  if (found === undefined) throw new Trap("argument", `0x${address.toString(16)} is no kernel object`);
  return found;
}

/** As `objectOf`, but for a context it is the socket of the run. */
export function socketOf(machine: HelperMachine, cpu: Cpu, register: number): KernelObject | null {
  if (cpu.pointer(register) === machine.state.context.base) return machine.host.socket ?? null;
  return objectOf(machine, cpu, register);
}

/** Zero-terminated text of at most `limit` bytes, without the zero; bytes. */
export function stringAt(memory: Memory, address: number, limit: number): Uint8Array {
  let size = 0;
  while (size < limit && memory.read(address + size, 1)[0] !== 0) size++;
  return memory.bytes.slice(address, address + size);
}
