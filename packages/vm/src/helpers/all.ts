import { helperById } from "@skep/isa";
import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import { coreHelpers } from "./core.ts";
import type { HelperMachine } from "./machine.ts";
import { mapHelpers } from "./maps.ts";
import { networkHelpers } from "./network.ts";
import { packetHelpers } from "./packet.ts";
import { skbHelpers } from "./skb.ts";
import { taskHelpers } from "./task.ts";
import { textHelpers } from "./text.ts";
import { tunnelHelpers } from "./tunnel.ts";

/** Everything that the machine has itself, and what its host answers (`Host.special`), by number. */
export function standardHelpers(machine: HelperMachine): ReadonlyMap<number, HelperFunction> {
  const found = new Map<number, HelperFunction>([
    ...coreHelpers(machine),
    ...textHelpers(machine),
    ...mapHelpers(machine),
    ...packetHelpers(machine),
    ...skbHelpers(machine),
    ...tunnelHelpers(machine),
    ...networkHelpers(machine),
    ...taskHelpers(machine),
  ]);
  for (const name of Object.keys(machine.host.special ?? {})) {
    const id = idOf(name);
    if (id !== null && !found.has(id)) found.set(id, (cpu) => askHost(machine, cpu, name));
  }
  return found;
}

function idOf(name: string): number | null {
  for (let id = 1; id <= 211; id++) if (helperById(id)?.name === name) return id;
  return null;
}

function askHost(machine: HelperMachine, cpu: Cpu, name: string): number | bigint {
  const answer = machine.host.special?.[name];
  if (answer === undefined) return -errno.EOPNOTSUPP;
  const { memory } = machine;
  const at = (address: bigint): number => {
    if (address > 0xffff_ffffn) throw new Trap("memory", `0x${address.toString(16)} is no address`);
    return Number(address);
  };
  return answer({
    args: [1, 2, 3, 4, 5].map((register) => cpu.u64(register)),
    read: (address, size) => memory.read(at(address), size).slice(),
    write: (address, data) => memory.write(at(address), data),
  });
}
