/** @module The scenarios' programs in the user-space machine, and in the kernel. */
import type { LinuxMap, LinuxMachine } from "@skep/linux";
import { UserRingMap } from "@skep/vm";
import type { Vm, VmObject } from "@skep/vm";
import { specOf } from "./corpus.ts";
import type { Player } from "./scenarios.ts";

export function playerOf(vm: Vm, object: VmObject, pid: number): Player {
  return {
    pid,
    call: (name, { data, context }) => {
      const program = object.programs[name];
      if (program === undefined) throw new Error(`no program ${name}`);
      const result = vm.run(program, {
        ...(data === undefined ? {} : { packet: data }),
        ...(context === undefined ? {} : { context }),
      });
      return { returned: result.returned, context: result.context };
    },
    get: (map, key) => object.maps[map]?.get(key) ?? null,
    set: (map, key, value) => object.maps[map]?.set(key, value),
    write: (name, sample) => {
      const map = object.maps[name];
      if (!(map instanceof UserRingMap) || !map.produce(sample)) throw new Error(`no ring ${name}`);
    },
  };
}

/** The kernel, and what closes it. */
export function kernelPlayer(linux: LinuxMachine, module: string): Player & { close(): void } {
  const loaded = linux.bpf.load(specOf(module));
  const rings = new Map<string, ReturnType<LinuxMap["writeRing"]>>();
  return {
    pid: process.pid,
    call: (name, input) => {
      const program = loaded.programs[name];
      if (program === undefined) throw new Error(`no program ${name}`);
      const { returned, context } = program.test(input);
      return { returned, context: context ?? input.context ?? new Uint8Array(0) };
    },
    get: (map, key) => loaded.maps[map]?.get(key) ?? null,
    set: (map, key, value) => loaded.maps[map]?.set(key, value),
    write: (name, sample) => {
      const ring = rings.get(name) ?? (loaded.maps[name] as LinuxMap).writeRing();
      rings.set(name, ring);
      ring.write(sample);
    },
    close: () => {
      for (const ring of rings.values()) ring.close();
      loaded.close();
    },
  };
}
