/**
 * @module
 * A datapath to trace packets in without a kernel: an agent on the simulated machine, with the workloads that stand beside the policies.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, createLogger } from "@skep/agent";
import type { Machine } from "@skep/machine";
import { formatAddress } from "@skep/net";
import { formatDiagnostic, readForeign } from "@skep/policy";
import { openSim } from "@skep/sim";
import { CliError, usageError } from "../errors.ts";
import { loadObjects } from "../policy/files.ts";
import { collect, type Names, workloadNames } from "./names.ts";

const PINS = "/sys/fs/bpf/skep";

export interface Simulated {
  readonly machine: Machine;
  readonly pins: string;
  readonly names: Omit<Names, "host">;
  close(): void;
}

/** The host's way to the rest of the world. */
function wireOut(machine: ReturnType<typeof openSim>): void {
  const { net } = machine;
  const { host, peer } = net.host.createVeth("out0", { namespace: net.createNamespace("outside"), name: "eth0" });
  const [own, next] = [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 254)];
  net.host.addAddress(host.index, { address: { family: 4, bytes: own }, length: 24 });
  net.host.setUp(host.index, true);
  const gateway = { family: 4, bytes: next } as const;
  net.host.addNeighbour(host.index, gateway, peer.mac);
  net.host.addRoute({
    destination: { address: { family: 4, bytes: new Uint8Array(4) }, length: 0 },
    gateway,
    interface: host.index,
  });
}

/** Throws CliError where the documents have errors, or no workload is among them. */
export function openSimulated(directory: string): Simulated {
  const { workloads } = readForeign(loadObjects([directory]).foreign);
  if (workloads.length === 0) throw usageError(`there is no Pod in ${directory}: packets are between workloads`);
  const folder = mkdtempSync(join(tmpdir(), "skep-trace-"));
  const machine = openSim();
  wireOut(machine);
  const agent = new Agent({
    ...{ machine, directory, run: folder, state: join(folder, "state"), pins: PINS, cgroup: "skep", watch: false },
    ...{ podCidr: "10.244.0.0/16", podCidr6: "fd00:10:244::/112", serviceCidr: "10.96.0.0/16", nodeName: "sim" },
    devices: ["out0"],
    log: createLogger({ write: () => undefined, now: () => 0, format: "json" }),
  });
  const close = (): void => {
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const problems = agent.world.diagnostics().filter(({ severity }) => severity === "error");
    if (problems[0]) throw new CliError(formatDiagnostic(problems[0]));
    for (const { namespace, name, labels, namedPorts } of workloads) {
      const { record } = agent.createEndpoint({ namespace, name, labels, ...(namedPorts ? { namedPorts } : {}) });
      machine.processes.start(record.cgroup);
    }
  } catch (error) {
    close();
    throw error;
  }
  const rows = agent.endpoints().map(({ endpoint: { id, namespace, name, address, address6 } }) => {
    return {
      ...{ id, namespace, name },
      addresses: [address, address6].flatMap((each) => (each ? [formatAddress(each)] : [])),
    };
  });
  const fronts = agent.world.services().filter(({ type }) => type === "ClusterIP");
  return {
    ...{ machine, pins: PINS, close },
    names: {
      workloads: workloadNames(rows),
      services: collect(
        fronts.map(({ namespace, name, address }) => [`${namespace}/${name}`, [formatAddress(address)]]),
      ),
    },
  };
}
