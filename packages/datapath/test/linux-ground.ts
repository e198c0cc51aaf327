import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLinux, unmountPins } from "@skep/linux";
import type { PacketMachine } from "./packet-ground.ts";

export const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the datapath's tests need root and BPF");

/**
 * The real machine, with a pin folder that is this test's alone; `close` removes it and the test's cgroups. `ownHost`: a namespace of its own takes the
 * host's part, where devices may be made.
 */
export function linuxUnderTest({ ownHost = false } = {}): PacketMachine {
  const folder = mkdtempSync(join(tmpdir(), "skep-datapath-"));
  const outside = openLinux({ runFolder: folder });
  const linux = ownHost ? openLinux({ runFolder: folder, netns: outside.net.createNamespace("host").path }) : outside;
  const pins = join(folder, "bpf");
  const made: string[] = [];
  const processes = {
    createCgroup: (path: string) => {
      made.push(path);
      return linux.processes.createCgroup(path);
    },
    deleteCgroup: (path: string) => linux.processes.deleteCgroup(path),
    cgroupProcesses: (path: string) => linux.processes.cgroupProcesses(path),
    giveBackMemory: () => linux.processes.giveBackMemory(),
    cgroupRoot: linux.processes.cgroupRoot,
  };
  const machine = { name: linux.name, bpf: linux.bpf, net: linux.net, clock: linux.clock, processes };
  return {
    machine,
    pins,
    close: async () => {
      unmountPins(pins);
      for (const path of made) await linux.processes.deleteCgroup(path);
      if (ownHost) outside.net.deleteNamespace("host");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
