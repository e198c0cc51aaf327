/**
 * @module
 * The simulated machine: the same interface as the real one, without a kernel.
 */
import type { Machine } from "@skep/machine";
import { SimBpf } from "./bpf/machine.ts";
import { SimNetwork } from "./net/network.ts";
import { SimProcesses } from "./processes.ts";
import { Simulation, type SimulationOptions } from "./simulation.ts";
import type { VirtualClock } from "./clock.ts";

export interface SimMachine extends Machine {
  readonly bpf: SimBpf;
  readonly net: SimNetwork;
  readonly processes: SimProcesses;
  readonly clock: VirtualClock;
  readonly simulation: Simulation;
}

export interface SimOptions extends SimulationOptions {
  /** Shares time and chance with other machines; the other options are its own then. */
  readonly simulation?: Simulation;
  /** What paths of namespaces begin with. Default `/run/skep`. */
  readonly runFolder?: string;
}

export function openSim(options: SimOptions = {}): SimMachine {
  const simulation = options.simulation ?? new Simulation(options);
  const processes = new SimProcesses();
  const net = new SimNetwork(simulation, options.runFolder ?? "/run/skep");
  const bpf = new SimBpf(simulation, {
    mtu: (index) => net.host.device(index)?.mtu ?? null,
    tcx: (index, direction) => net.host.device(index)?.tcx[direction] ?? null,
    netkit: (index) => {
      const device = net.host.device(index);
      return (
        device && {
          primary: device.netkit?.isPrimary ? device.netkit.list : null,
          peer: device.peer?.netkit?.list ?? null,
        }
      );
    },
    xdp: (index) => net.host.device(index)?.xdp ?? null,
    skLookup: (path) => net.namespaceAt(path)?.skLookup ?? null,
    socket: (descriptor) => net.descriptors.get(descriptor) ?? null,
    sockOf: (object) => net.sockets.get(object) ?? null,
    cgroup: (path, attachType) => processes.cgroup(path)?.hook(attachType) ?? null,
  });
  net.join(bpf);
  return { name: "sim", bpf, net, processes, clock: simulation.clock, simulation };
}
