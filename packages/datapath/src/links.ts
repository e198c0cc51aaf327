/**
 * @module
 * The datapath's programs at their hooks, pinned so that they outlive the agent.
 */
import type { AttachTarget, Link, Machine, Program } from "@skep/machine";
import type { DatapathEndpoint } from "./datapath.ts";
import { DEVICE_HOOKS, ENDPOINT_HOOKS, OVERLAY_HOOKS, SOCKET_PROGRAMS, type TcHook, XDP_PROGRAM } from "./hooks.ts";
import type { Undo } from "./undo.ts";

/** Of a netkit pair: what the workload's end sends; what goes to it is judged as a veth's is, before it gets to the device. */
const NETKIT_PEER = "netkit_peer";
/** Names of links at workloads' devices: where, and the device. */
const AT_ENDPOINT = new RegExp(`^(tcx_ingress|tcx_egress|${NETKIT_PEER})-(.*)$`);

interface Interface {
  readonly interfaceName: string;
  readonly interfaceIndex: number;
}

export interface LinksOptions {
  /** The folder of the links' pins. */
  readonly folder: string;
  readonly program: (name: string) => Program;
  readonly undo: Undo;
}

/** Workloads of an agent that made netkit pairs are attached. */
export function hasNetkitLinks(machine: Pick<Machine, "bpf">, folder: string): boolean {
  return machine.bpf.pins(folder).some((name) => name.startsWith(`${NETKIT_PEER}-`));
}

export class Links {
  readonly #machine: Machine;
  readonly #options: LinksOptions;
  readonly #links = new Map<string, Link>();
  /** Programs whose hooks the machine does not have. */
  readonly unsupported: string[] = [];

  constructor(machine: Machine, options: LinksOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  /** Programs of a new version take the place of the old ones between two packets. What was attached to a device that has gone is forgotten. */
  adopt(): void {
    for (const name of this.#machine.bpf.pins(this.#options.folder)) {
      const link = this.#machine.bpf.openLink(this.#pin(name));
      if (!link) continue;
      const program = programAt(name);
      if (!program || !link.isAttached()) {
        link.close();
        if (program) this.#machine.bpf.unpin(this.#pin(name));
        continue;
      }
      this.#replace(link, this.#options.program(program));
      this.#links.set(name, link);
    }
  }

  #replace(link: Link, program: Program): void {
    const before = this.#machine.bpf.programOf(link);
    this.#options.undo.onEnd(() => before?.close());
    link.update(program);
    if (before) this.#options.undo.push(() => link.update(before));
  }

  attachSockets(cgroup: string): void {
    for (const program of SOCKET_PROGRAMS) {
      const name = `${program}-${cgroup.replaceAll("/", "_").replaceAll(".", "_")}`;
      try {
        this.#attach(name, program, { hook: "cgroup", path: cgroup });
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "NotSupportedError") throw error;
        this.unsupported.push(program);
      }
    }
  }

  /** `isNetkit`: what the workload sends is judged at its own end of the pair. */
  attachEndpoint({ interfaceName, interfaceIndex }: Interface, isNetkit: boolean): void {
    for (const { program, direction } of ENDPOINT_HOOKS) {
      if (isNetkit && direction === "ingress")
        this.#attach(`${NETKIT_PEER}-${interfaceName}`, program, {
          ...{ hook: "netkit", interface: interfaceIndex, end: "peer" },
        });
      else
        this.#attach(`tcx_${direction}-${interfaceName}`, program, {
          ...{ hook: "tcx", interface: interfaceIndex, direction },
        });
    }
  }

  /** At workloads' devices of these names and no others. */
  keepEndpoints(isKept: (interfaceName: string) => boolean): void {
    for (const name of this.#links.keys()) {
      const device = AT_ENDPOINT.exec(name)?.[2];
      if (device !== undefined && !isKept(device)) this.#drop(name);
    }
  }

  detachEndpoint({ interfaceName }: Pick<DatapathEndpoint, "interfaceName">): void {
    for (const at of ["tcx_ingress", "tcx_egress", NETKIT_PEER]) this.#drop(`${at}-${interfaceName}`);
  }

  /** At these interfaces, and no others. */
  attachHooks(hooks: readonly TcHook[], interfaces: readonly Interface[]): void {
    for (const { program, direction } of hooks)
      this.#attachAt(program, interfaces, (at) => ({ hook: "tcx", interface: at, direction }));
  }

  /** The front of the outer interfaces, where it is asked for. */
  attachXdp(mode: "native" | "generic" | undefined, interfaces: readonly Interface[]): void {
    this.#attachAt(XDP_PROGRAM, mode ? interfaces : [], (at) => ({
      ...{ hook: "xdp", interface: at },
      ...(mode ? { mode } : {}),
    }));
  }

  #attachAt(program: string, interfaces: readonly Interface[], target: (index: number) => AttachTarget): void {
    const wanted = new Set<string>();
    for (const { interfaceName, interfaceIndex } of interfaces) {
      const name = `${program}-${interfaceName}`;
      wanted.add(name);
      this.#attach(name, program, target(interfaceIndex));
    }
    for (const name of this.#links.keys()) if (name.startsWith(`${program}-`) && !wanted.has(name)) this.#drop(name);
  }

  #attach(name: string, program: string, target: AttachTarget): void {
    if (this.#links.get(name)?.isAttached()) return;
    // A device of the same name was made anew.
    this.#drop(name);
    const link = this.#machine.bpf.attach(this.#options.program(program), target);
    try {
      link.pin(this.#pin(name));
    } catch (error) {
      link.close();
      throw error;
    }
    this.#links.set(name, link);
    this.#options.undo.push(() => this.#drop(name));
  }

  #drop(name: string): void {
    const link = this.#links.get(name);
    if (!link) return;
    this.#links.delete(name);
    this.#machine.bpf.unpin(this.#pin(name));
    link.close();
  }

  #pin(name: string): string {
    return `${this.#options.folder}/${name}`;
  }

  /** The programs stay at their hooks. */
  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  destroy(): void {
    for (const name of this.#links.keys()) this.#drop(name);
  }
}

/** The program that belongs at a pinned link; undefined for what is not the datapath's own. */
function programAt(name: string): string | undefined {
  const at = AT_ENDPOINT.exec(name)?.[1];
  if (at) return ENDPOINT_HOOKS[at === "tcx_egress" ? 1 : 0].program;
  const named = [...[...DEVICE_HOOKS, ...OVERLAY_HOOKS].map(({ program }) => program), ...SOCKET_PROGRAMS, XDP_PROGRAM];
  return named.find((program) => name.startsWith(`${program}-`));
}
